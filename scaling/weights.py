"""Weights of the load balance, fitted to measured phase times: $PY scaling/weights.py [--repeats 3] [--json FILE]

Systems of both crystals, with several cutoffs and accuracies of the mesh, so that list entries, mesh points and particles do not grow together, run on one rank. By least
squares of relative errors, without negative weights, in CPU time of a step:
    pair part and lists   = ENTRY list entries + a particles
    spread and gather     = POINT mesh points touched + b particles
    sweeps                = c particles,            PARTICLE = a + b + c.
What does not follow the particles of a brick (transforms, messages) is not in the balance. `parallel/balance.py` holds the weights in hundredths of a nanosecond."""
import argparse
import json
import time
from dataclasses import replace

import numpy as np
from bench import machine, revision
from cases import case_of, system_of                            # also puts the repository on the path
from ours import simulation
from phases import Clock, watch

from hpcnemd.dynamics.loop import advance
from hpcnemd.parallel import balance
from hpcnemd.parallel.serial import SerialComm

RUNS = (("nacl_1728", 10.0, 1e-5), ("nacl_1728", 8.0, 1e-3), ("nacl_1728", 7.0, 1e-4), ("llzo_1536", 10.0, 1e-4), ("llzo_1536", 8.0, 1e-5), ("llzo_1536", 7.0, 1e-2))
PHASES = {"pairs": ("pair", "lists"), "mesh": ("mesh_spread", "mesh_gather"), "sweeps": ("integrate",)}
UNIT = 1e-11                # s: weights are whole numbers of it


def measured(name, cutoff, accuracy, steps, repeats):
    """{"entries", "points", "particles", seconds a step of each of PHASES (the least of the repeats)}."""
    case = replace(case_of(name), cutoff=cutoff)
    system = system_of(case, accuracy)
    sim = simulation(case, system, SerialComm())
    sim.start()
    advance(sim, 20)
    found = []
    for _ in range(repeats):
        clock = Clock(time.process_time)
        watch(sim, clock)
        advance(sim, sim.step + steps)
        clock.release()
        found.append([sum(clock.seconds.get(one, 0.0) for one in names) / steps for names in PHASES.values()])
    n = len(system.species)
    return {"case": name, "cutoff": cutoff, "accuracy": accuracy, "order": system.coulomb.order, "particles": n, "entries": sim.forces.pair.list_length,
            "points": n * system.coulomb.order ** 3, **dict(zip(PHASES, np.min(found, axis=0).tolist()))}


def least_squares(columns, seconds):
    """Non-negative weights (s) of the columns, and the largest relative error of the fit."""
    from scipy.optimize import nnls
    matrix, seconds = np.array(columns, float).T, np.array(seconds)
    weights, _ = nnls(matrix / seconds[:, None], np.ones(len(seconds)))
    return weights, float(np.abs(matrix @ weights / seconds - 1).max())


def fit(runs):
    """({"ENTRY", "POINT", "PARTICLE"} in hundredths of a nanosecond, {phase: largest relative error})."""
    entries, points, particles = ([run[key] for run in runs] for key in ("entries", "points", "particles"))
    (entry, a), worst_pairs = least_squares((entries, particles), [run["pairs"] for run in runs])
    (point, b), worst_mesh = least_squares((points, particles), [run["mesh"] for run in runs])
    (c,), worst_sweeps = least_squares((particles,), [run["sweeps"] for run in runs])
    found = {"ENTRY": entry, "POINT": point, "PARTICLE": a + b + c}
    return {name: float(value / UNIT) for name, value in found.items()}, {"pairs": worst_pairs, "mesh": worst_mesh, "sweeps": worst_sweeps}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", help="file that the record is added to, one line")
    arguments = parser.parse_args()
    runs = [measured(*run, arguments.steps, arguments.repeats) for run in RUNS]
    for run in runs:
        print(f"{run['case']:10s} cutoff {run['cutoff']:4.1f}, splines of order {run['order']}: {run['entries'] / run['particles']:6.1f} list entries a particle; us a step: "
              + ", ".join(f"{phase} {1e6 * run[phase]:.0f}" for phase in PHASES))
    weights, worst = fit(runs)
    print("weights (hundredths of a nanosecond): " + ", ".join(f"{name} {value:.0f} (in use {getattr(balance, name)})" for name, value in weights.items()))
    print("largest error of a fitted time: " + ", ".join(f"{phase} {100 * value:.0f} %" for phase, value in worst.items()))
    if arguments.json:
        with open(arguments.json, "a", encoding="utf-8") as file:
            file.write(json.dumps({"case": "weights", "code": "hpcnemd", "ranks": 1, "scaling": "weights", "weights": weights, "worst": worst, "runs": runs, "machine": machine(), "revision": revision(),
                                   "date": time.strftime("%Y-%m-%d %H:%M")}) + "\n")


if __name__ == "__main__":
    main()
