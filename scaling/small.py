"""Small replicas beside large systems, on one core: the rate per particle of a small replica over that of a large system of the same substance, cutoff, skin
and Coulomb accuracy, and the rate per chain of one full block of lanes over that of a thousand chains.

    . jobs/env.sh
    $PY scaling/small.py [--pair nacl,llzo,fput,phi4] [--repeats 40] [--json scaling/results/mine.jsonl]

Both run in one process and take turns in short blocks of about equal CPU time; a ratio is the median over neighbouring blocks, with its lowest and highest, and
the standard error of the median where blocks are independent (1.25 standard deviations over the root of their number)."""
import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from bench import machine, revision
from cases import case_of, system_of
from ours import STRESS_EVERY, Stress, simulation
from quiet import Quiet

from hpcnemd.dynamics.loop import advance
from hpcnemd.kernels.chain_heated import heat_chains
from hpcnemd.kernels.lane_normals import LANES
from hpcnemd.parallel.serial import SerialComm

PAIRS = {"nacl": ("nacl_216", "nacl_8000"), "llzo": ("llzo_192", "llzo_5184")}
CHAINS = {"fput": ((1.0, 1.0), None), "phi4": ((1.0, 0.0), (0.0, 1.0))}        # links and pinning, as heat_chains takes them
SITES, BATCHES = 128, (LANES, 1000)


def ions(name, accuracy, precision):
    """A function that moves a system on by some steps, and its number of particles."""
    case = case_of(name)
    system = system_of(case, accuracy, precision=precision)
    sim = simulation(case, system, SerialComm())
    sim.start()
    stress = [Stress(STRESS_EVERY)]
    return lambda steps: advance(sim, sim.step + steps, stress), len(system.species)


def chains(kind, replicas):
    """A function that moves chains on by some steps, and their number of sites."""
    links, pinning = CHAINS[kind]
    random = np.random.default_rng(1)
    position, leap = 0.1 * random.standard_normal((SITES, replicas)), 0.01 * random.standard_normal((SITES, replicas))
    ledger, sums, at = np.zeros((4, replicas)), np.zeros((3, SITES, replicas)), [0]

    def run(steps):
        steps *= 100
        heat_chains((1, 2), np.arange(replicas), 0, at[0], steps, 1, 0.02, links, pinning, (1.0, 1.0), (1.2, 0.8), position, leap, ledger, sums)
        at[0] += steps
    return run, 100 * SITES * replicas


def compared(small, large, seconds, repeats):
    """(rates of small, rates of large): particle-steps per CPU second of blocks in turn; (run, particles) each."""
    plans = []
    for run, particles in (small, large):
        run(3)
        begin = time.process_time()
        run(5)
        each = (time.process_time() - begin) / 5
        plans.append((run, particles, max(1, int(seconds / each))))
        run(plans[-1][2])
    rates = [], []
    for _ in range(repeats):
        for (run, particles, steps), found in zip(plans, rates):
            begin = time.process_time()
            run(steps)
            found.append(particles * steps / (time.process_time() - begin))
    return rates


def line_of(names, rates):
    each = [a / b for a, b in zip(*rates)]
    return {"case": f"{names[0]}_over_{names[1]}", "code": "hpcnemd", "ranks": 1, "ratio_cpu": [statistics.median(each), min(each), max(each)],
            "ratio_error": 1.25 * statistics.stdev(each) / len(each)**0.5,
            "atom_steps_per_cpu_s": rates[0], "atom_steps_per_cpu_s_large": rates[1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pair", default=",".join((*PAIRS, *CHAINS)))
    parser.add_argument("--accuracy", type=float, default=1e-4)
    parser.add_argument("--precision", default="double")
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.1, help="CPU time of a block")
    parser.add_argument("--json", help="file that the records are added to, one line each")
    arguments = parser.parse_args()
    quiet, lines = Quiet(), []
    quiet.sample()
    for pair in arguments.pair.split(","):
        if pair in CHAINS:
            names, parties = [f"{pair}_{number}" for number in BATCHES], [chains(pair, number) for number in BATCHES]
        else:
            names, parties = PAIRS[pair], [ions(name, arguments.accuracy, arguments.precision) for name in PAIRS[pair]]
        lines.append(line_of(names, compared(*parties, arguments.seconds, arguments.repeats)))
        line = lines[-1]
        print(f"{line['case']}: {'%.3f (%.3f to %.3f)' % tuple(line['ratio_cpu'])}, standard error {line['ratio_error']:.3f}, of the rate per particle, {statistics.median(line['atom_steps_per_cpu_s']) / 1e6:.3f} and "
              f"{statistics.median(line['atom_steps_per_cpu_s_large']) / 1e6:.3f} Matom-steps per CPU second", flush=True)
    quiet.sample()
    if arguments.json:
        common = {"machine": machine(), "revision": revision(), "quiet": quiet.verdict()["quiet"], "noise": quiet.verdict(), "precision": arguments.precision}
        with open(Path(arguments.json), "a", encoding="utf-8") as file:
            file.writelines(json.dumps({**line, **common, "date": time.strftime("%Y-%m-%d %H:%M")}) + "\n" for line in lines)


if __name__ == "__main__":
    main()
