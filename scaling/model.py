"""A performance model of one step, fitted to recorded runs: python scaling/model.py scaling/results/*.jsonl --leave-out llzo_5184 --figure model

    t = a_pair pairs/P (charged pairs, neutral ones) + a_ion N/P + a_ghost ghosts + a_mesh points log2(points) / min(P, planes) + a_brick brick + a_step
        + waiting meetings + bytes / bandwidth (+ latency messages between machines)

with, per rank, pairs inside cutoff + skin, ghosts of a half shell and the brick of mesh points around the domain, all from geometry. The a are fitted to
runs on one rank (relative errors, none negative), by CPU time where the machine was not quiet; to what runs on several ranks (no more than cores, with nobody else
at work) took beyond that, the time that ranks wait for each other where they meet (their clocks swing, and the later one sets the pace: far more than a message takes)
and the bandwidth of one machine. Between machines the latency and bandwidth of a network are added, which are assumptions, and printed.
A mesh is cut into slabs, so that no more ranks than planes transform it; a small one is transformed by every rank (parallel.mesh.repeated)."""
import argparse
import json
import statistics
from pathlib import Path

import numpy as np
from cases import case_of, system_of

from hpcnemd.parallel.mesh import repeated

LATENCY, BANDWIDTH = 2e-6, 10e9             # s a message and bytes/s of a rank, of a network between nodes
COLLECTIVES = 2                             # small reductions of a step, each 2 log2 P messages deep
ALONE = 1.1                                 # wall over CPU time of a loop beside the runs: nobody else was at work, even where the clock of the cores swings
TERMS = ("pair_charged", "pair_neutral", "ion", "ghost", "mesh", "brick", "step")


def sizes(particles, lengths, reach, mesh, order, grid, charged=True):
    """Work of one rank: the factors of TERMS; then, per step, how often it waits for others, messages and bytes sent. `lengths` (3,) of the cell, `grid` (3,) domains."""
    lengths, grid = np.array(lengths), np.array(grid)
    ranks, volume = max(1, round(float(np.prod(grid)))), float(np.prod(lengths))
    density, edges = particles / volume, lengths / grid
    ghosts = 0.5 * (np.prod(edges + 2 * reach) - np.prod(edges)) * density
    pairs = particles / ranks * 0.5 * 4 / 3 * np.pi * reach**3 * density
    points = float(np.prod(mesh)) if mesh else 0.0
    brick, transforming, to_mesh, mesh_bytes, meetings = 0.0, 1, 0.0, 0.0, 3         # ghosts and votes, their forces, the sums of the step
    if mesh:
        spacing = lengths / np.array(mesh)
        brick = float(np.prod(edges / spacing + order + 1))
        to_mesh, mesh_bytes, meetings = ranks - 1, 8 * brick * (ranks - 1), 4   # all ranks have the whole of a small mesh
        if not repeated(mesh, ranks):
            transforming = min(ranks, mesh[0])
            planes = min(transforming, edges[0] / spacing[0] + order + 1)       # ranks whose planes a brick touches
            to_mesh, mesh_bytes, meetings = 2 * planes + 2 * transforming, 2 * 8 * brick + 2 * 16 * 0.5 * points / transforming, 7
    work = [pairs * charged, pairs * (not charged), particles / ranks, ghosts, points * np.log2(max(points, 2)) / transforming, brick, 1.0]
    if ranks == 1:
        return work, 0.0, 0.0, 0.0
    around = np.minimum(grid, 1 + 2 * np.ceil(reach / edges))                   # domains within the range of the lists, along each axis
    neighbours = np.ceil((np.prod(around) - 1) / 2)
    messages = 2 * neighbours + COLLECTIVES * 2 * np.log2(ranks) + to_mesh
    return work, float(meetings), float(messages), float(2 * 24 * ghosts + mesh_bytes)


def work_of(line):
    """`sizes` of a record."""
    case = case_of(line["case"])
    if line["case"] not in _BOXES:
        _BOXES[line["case"]] = system_of(case).box.lengths
    coulomb = line.get("coulomb") or {}
    return sizes(line["particles"], _BOXES[line["case"]], case.cutoff + line.get("skin", case.skin), coulomb.get("mesh"), coulomb.get("order") or 0,
                 line.get("grid", [1, 1, 1]), case.charged)


_BOXES = {}


def seconds_of(line):
    """Median seconds of a step."""
    column = "atom_steps_per_s" if line["quiet"] else "atom_steps_per_cpu_s"
    return line["particles"] / statistics.median(line[column])


def fit(lines):
    """(7,) coefficients in seconds, by least squares of relative errors, from runs on one rank."""
    from scipy.optimize import nnls
    matrix = np.array([work_of(line)[0] for line in lines])
    times = np.array([seconds_of(line) for line in lines])
    scale = np.maximum(matrix.max(axis=0), 1.0)
    found, _ = nnls(matrix / scale / times[:, None], np.ones(len(times)))
    return found / scale


def fit_messages(coefficients, lines):
    """(s of waiting at a meeting, bandwidth bytes/s) of runs on several ranks, from the time that their work does not explain, relative to the whole; none negative."""
    from scipy.optimize import nnls
    parts = [work_of(line) for line in lines]
    times = np.array([seconds_of(line) for line in lines])
    matrix = np.array([(meetings, sent) for _, meetings, _, sent in parts])
    scale = matrix.max(axis=0)
    left = np.array([1 - np.dot(coefficients, work) / t for (work, *_), t in zip(parts, times)])
    waiting, per_byte = nnls(matrix / scale / times[:, None], left)[0] / scale
    return float(waiting), float(1 / per_byte) if per_byte > 0 else np.inf


def predict(coefficients, sizes_of_rank, waiting=0.0, bandwidth=np.inf, latency=0.0):
    work, meetings, messages, sent = sizes_of_rank
    return float(np.dot(coefficients, work) + waiting * meetings + latency * messages + sent / bandwidth)


def draw(coefficients, name, waiting, bandwidth, particles=1e7):
    """Predicted steps per second and parallel efficiency of `particles` ions of LLZO, to 10,000 ranks that wait so long at a meeting (s), with this bandwidth (bytes/s)
    and the latency of a network."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    ranks = np.unique(np.round(np.geomspace(1, 10000, 40)).astype(int))
    edge = (particles / 192) ** (1 / 3) * 13.17
    planes = 2 * int(np.ceil(edge / 1.1 / 2))

    def time(p):
        return predict(coefficients, sizes(particles, (edge,) * 3, 11.0, (planes,) * 3, 8, (p ** (1 / 3),) * 3), waiting, bandwidth, LATENCY)
    times = np.array([time(int(p)) for p in ranks])
    figure, axis = plt.subplots(figsize=(5, 3.6), layout="constrained")
    axis.loglog(ranks, 1 / times, label="model")
    axis.loglog(ranks, ranks / times[0], "--", color="0.6", label="ideal")
    axis.set(xlabel="ranks", ylabel="steps per second", title=f"{particles:.0e} ions of LLZO, mesh {planes}$^3$ in slabs\nlatency {LATENCY * 1e6:.3g} us, waiting {waiting * 1e6:.3g} us, {bandwidth / 1e9:.3g} GB/s a rank")
    axis.legend(frameon=False)
    figure.savefig(f"{name}.png", dpi=150)
    figure.savefig(f"{name}.pdf")
    for p in (100, 1000, 10000):
        t = time(p)
        print(f"prediction: {particles:.0e} ions on {p} ranks: {1e3 * t:.3g} ms a step, efficiency {times[0] / p / t:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("records", nargs="+")
    parser.add_argument("--leave-out", default="", help="cases that are predicted, not fitted, with a comma between them")
    parser.add_argument("--figure", help="name of a figure without its ending")
    arguments = parser.parse_args()
    lines = [json.loads(text) for file in arguments.records for text in Path(file).read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line["code"] == "hpcnemd" and line.get("scaling") in ("strong", "weak") and not line["oversubscribed"]
             and line["precision"] == "double" and line.get("threads", 1) == 1]
    left = set(arguments.leave_out.split(","))
    used = [line for line in lines if line["case"] not in left and line["ranks"] == 1]
    several = [line for line in lines if line["ranks"] > 1 and (line["quiet"] or line["noise"]["worst_waiting"] < ALONE)]
    if len({line["case"] for line in used}) < 4:
        parser.error(f"{len({line['case'] for line in used})} cases are left to fit; at least 4 are needed")
    coefficients = fit(used)
    print(", ".join(f"a_{name} {1e9 * value:.4g} ns" for name, value in zip(TERMS, coefficients)))
    fitted = [line for line in several if line["case"] not in left]
    waiting, bandwidth = fit_messages(coefficients, fitted) if fitted else (0.0, np.inf)
    far = 1 / (1 / bandwidth + 1 / BANDWIDTH)
    print(f"on one machine: waiting {waiting:.3g} s a meeting, bandwidth {bandwidth:.3g} B/s ({f'fitted to {len(fitted)} runs on several ranks' if fitted else 'no runs'}); "
          f"between machines a network's {LATENCY:g} s a message and {BANDWIDTH:g} B/s are added (assumed): {far:.3g} B/s")
    for line in [line for line in lines if line["ranks"] == 1] + several:
        guess, true = predict(coefficients, work_of(line), waiting, bandwidth), seconds_of(line)
        print(f"{line['case']:14s} {line['ranks']} ranks {'left out' if line['case'] in left else 'fitted  '} {1e3 * true:9.3f} ms, model {1e3 * guess:9.3f} ms "
              f"({100 * (guess / true - 1):+.0f}%){'' if line['quiet'] else '  [CPU time: machine not quiet]'}")
    if arguments.figure:
        draw(coefficients, arguments.figure, waiting, far)


if __name__ == "__main__":
    main()
