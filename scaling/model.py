"""A performance model of one step, fitted to recorded runs: python scaling/model.py scaling/results/*.jsonl --leave-out llzo_5184 --figure model

    t = a_pair pairs/P + a_ion N/P + a_ghost ghosts + a_mesh points log2(points) / min(P, planes) + a_brick brick + a_step
        + latency messages + bytes / bandwidth

with, per rank, pairs inside cutoff + skin, ghosts of a half shell and the brick of mesh points around the domain, all from geometry. The a are fitted to
runs on one rank (relative errors, none negative), by CPU time where the machine was not quiet; latency and bandwidth are assumptions and printed.
The mesh is cut into slabs, so that no more ranks than planes transform it."""
import argparse
import json
import statistics
from pathlib import Path

import numpy as np
from cases import case_of, system_of

LATENCY, BANDWIDTH = 2e-6, 10e9             # s a message and bytes/s of a rank, between nodes
NEIGHBOURS = 13                             # ranks of a half shell, where the brick is wider than the halo
COLLECTIVES = 4                             # small reductions of a step, each 2 log2 P messages deep
TERMS = ("pair", "ion", "ghost", "mesh", "brick", "step")


def sizes(particles, volume, reach, mesh, order, ranks):
    """Work of one rank: the factors of TERMS, then messages and bytes sent per step."""
    density, edge = particles / volume, (volume / ranks) ** (1 / 3)
    ghosts = 0.5 * ((edge + 2 * reach) ** 3 - edge**3) * density
    pairs = particles / ranks * 0.5 * 4 / 3 * np.pi * reach**3 * density
    points = float(np.prod(mesh)) if mesh else 0.0
    brick, transforming = 0.0, 1
    if mesh:
        spacing = (volume / points) ** (1 / 3)
        brick = (edge / spacing + order + 1) ** 3
        transforming = min(ranks, mesh[0])
    work = [pairs, particles / ranks, ghosts, points * np.log2(max(points, 2)) / transforming, brick, 1.0]
    if ranks == 1:
        return work, 0.0, 0.0
    slabs = min(transforming, edge / spacing + order + 1) if mesh else 0      # ranks whose planes a brick touches
    messages = 2 * min(NEIGHBOURS, ranks - 1) + COLLECTIVES * 2 * np.log2(ranks) + 2 * slabs + (2 * transforming if mesh else 0)
    sent = 2 * 24 * ghosts + 2 * 8 * brick + 2 * 16 * 0.5 * points / transforming
    return work, messages, sent


def work_of(line):
    """`sizes` of a record."""
    case = case_of(line["case"])
    box = system_of(case).box if line["case"] not in _BOXES else _BOXES[line["case"]]
    _BOXES[line["case"]] = box
    mesh = (line.get("coulomb") or {}).get("mesh")
    return sizes(line["particles"], box.volume, case.cutoff + line.get("skin", case.skin), mesh, (line.get("coulomb") or {}).get("order") or 0, line["ranks"])


_BOXES = {}


def seconds_of(line):
    """Median seconds of a step."""
    column = "atom_steps_per_s" if line["quiet"] else "atom_steps_per_cpu_s"
    return line["particles"] / statistics.median(line[column])


def fit(lines):
    """(6,) coefficients in seconds, by least squares of relative errors."""
    from scipy.optimize import nnls
    matrix = np.array([work_of(line)[0] for line in lines])
    times = np.array([seconds_of(line) for line in lines])
    scale = matrix.max(axis=0)
    found, _ = nnls(matrix / scale / times[:, None], np.ones(len(times)))
    return found / scale


def predict(coefficients, sizes_of_rank, latency=LATENCY, bandwidth=BANDWIDTH):
    work, messages, sent = sizes_of_rank
    return float(np.dot(coefficients, work) + latency * messages + sent / bandwidth)


def draw(coefficients, name, particles=1e7):
    """Predicted steps per second and parallel efficiency of `particles` ions of LLZO, to 10,000 ranks."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    ranks = np.unique(np.round(np.geomspace(1, 10000, 40)).astype(int))
    volume, planes = particles / 192 * 13.17**3, 2 * int(np.ceil((particles / 192) ** (1 / 3) * 13.17 / 1.1 / 2))
    times = np.array([predict(coefficients, sizes(particles, volume, 11.0, (planes,) * 3, 8, int(p))) for p in ranks])
    figure, axis = plt.subplots(figsize=(5, 3.6), layout="constrained")
    axis.loglog(ranks, 1 / times, label="model")
    axis.loglog(ranks, ranks / times[0], "--", color="0.6", label="ideal")
    axis.set(xlabel="ranks", ylabel="steps per second", title=f"{particles:.0e} ions of LLZO, mesh {planes}$^3$ in slabs\nlatency {LATENCY * 1e6:g} us, {BANDWIDTH / 1e9:g} GB/s a rank")
    axis.legend(frameon=False)
    figure.savefig(f"{name}.png", dpi=150)
    figure.savefig(f"{name}.pdf")
    for p in (100, 1000, 10000):
        t = predict(coefficients, sizes(particles, volume, 11.0, (planes,) * 3, 8, p))
        print(f"prediction: {particles:.0e} ions on {p} ranks: {1e3 * t:.3g} ms a step, efficiency {times[0] / p / t:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("records", nargs="+")
    parser.add_argument("--leave-out", default="", help="cases that are predicted, not fitted, with a comma between them")
    parser.add_argument("--figure", help="name of a figure without its ending")
    arguments = parser.parse_args()
    lines = [json.loads(text) for file in arguments.records for text in Path(file).read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line["code"] == "hpcnemd" and line["case"] != "startup" and line["ranks"] == 1 and line["scaling"] != "replicas"]
    left = set(arguments.leave_out.split(","))
    used = [line for line in lines if line["case"] not in left]
    if len({line["case"] for line in used}) < 4:
        parser.error(f"{len({line['case'] for line in used})} cases are left to fit; at least 4 are needed")
    coefficients = fit(used)
    print(", ".join(f"a_{name} {1e9 * value:.4g} ns" for name, value in zip(TERMS, coefficients)) + f"; latency {LATENCY:g} s, bandwidth {BANDWIDTH:g} B/s (assumed)")
    for line in lines:
        guess, true = predict(coefficients, work_of(line)), seconds_of(line)
        print(f"{line['case']:14s} {'left out' if line['case'] in left else 'fitted  '} {1e3 * true:9.3f} ms, model {1e3 * guess:9.3f} ms ({100 * (guess / true - 1):+.0f}%)"
              f"{'' if line['quiet'] else '  [CPU time: machine not quiet]'}")
    if arguments.figure:
        draw(coefficients, arguments.figure)


if __name__ == "__main__":
    main()
