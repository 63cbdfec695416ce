"""Chains between two heat baths and counter-based normals beside the prototype and numba's generator, in turn in one process.

    . jobs/env.sh
    $PY scaling/chains.py --json scaling/results/mine.jsonl                         ours, batches of 8, 12 and 64 replicas beside 1000
    $PY scaling/chains.py --prototypes FOLDER --json scaling/results/mine.jsonl     and perf_chains.py of that folder

A rate is site-updates (one site, one step) or normals per second, a ratio the median over neighbouring turns, with its lowest and highest, in CPU time: it stands on a
shared machine too. The prototype has 8 replicas of the same chain, a noise that is not counter-based (cheaper), and steps of first order; each of its kernels takes part.
Its arrays are put on cache lines, as ours are."""
import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from bench import cores, machine, revision
from numba import njit
from quiet import Quiet

from hpcnemd.core.random import stream_key
from hpcnemd.kernels.chain_heated import heat_chains, leaps_of
from hpcnemd.kernels.lane_normals import fill_normals
from hpcnemd.kernels.simd import choose_path

SITES, STEP, FRICTION, TEMPERATURE = 128, 0.01, 0.1, (1.2, 0.8)
CHAINS = {"chains_fput": ((1.0, 1.0), None), "chains_phi4": ((1.0, 0.0), (0.0, 1.0)), "chains_fput_phi4": ((1.0, 1.0), (0.0, 1.0))}
LARGE, BATCHES = 1000, (8, 12, 64)
NORMALS = 1 << 16
RATE = {"site": ("atom_steps_per_s", "atom_steps_per_cpu_s"), "normal": ("normals_per_s", "normals_per_cpu_s")}


def aligned(values):
    """A flat copy that begins on a cache line."""
    whole = np.empty(values.size + 8)
    first = -(whole.ctypes.data // 8) % 8
    whole[first:first + values.size] = values.ravel()
    return whole[first:first + values.size]


def momenta(replicas):
    return np.random.default_rng(3).normal(size=(SITES, replicas))


def ours(chain, replicas, updates):
    """(a function that runs, what it counts, fields of the record)"""
    links, pinning = CHAINS[chain]
    position, key = np.zeros((SITES, replicas)), stream_key(2026, "noise")
    leap = leaps_of(position, momenta(replicas), STEP, links, pinning)
    ledger, sums, state = np.zeros((4, replicas)), np.zeros((3, SITES, replicas)), {"time": 0}
    steps = max(1, updates // (SITES * replicas))

    def run():
        heat_chains(key, np.arange(replicas), 0, state["time"], steps, 1, STEP, links, pinning, (FRICTION, FRICTION), TEMPERATURE, position, leap, ledger, sums)
        state["time"] += steps
    return run, SITES * replicas * steps, {"replicas": replicas, "particles": SITES * replicas, "steps": steps, "path": choose_path()}


def prototypes(chain, updates):
    """{name: as `ours`} of every kernel that the prototype has."""
    import perf_chains
    pinned = CHAINS[chain][1] is not None
    kernels = {"prototype fused": (perf_chains.chain_simd, False)} | {f"prototype wavefront {k}": (perf_chains.mk_blk2(k, pinned), True) for k in (1, 2, 4)}
    steps, found = updates // (8 * SITES) // 4 * 4, {}
    for name, (kernel, buffered) in kernels.items():
        p = np.zeros((SITES + 2, 8))
        p[1:-1] = momenta(8)
        state = np.random.default_rng(9).integers(-2**62, 2**62, 32)
        more = (aligned(np.zeros(16 * 16)),) if buffered else ()
        arguments = (aligned(np.zeros((SITES + 2) * 8)), aligned(p), state, SITES, steps, STEP, CHAINS[chain][0][1], FRICTION, *TEMPERATURE, 1.0 if pinned else 0.0, *more)
        found[name] = (lambda kernel=kernel, arguments=arguments: kernel(*arguments)), 8 * SITES * steps, {"replicas": 8, "particles": 8 * SITES, "steps": steps}
    return found


@njit
def generate(generator, out):
    for k in range(out.size):
        out[k] = generator.standard_normal()


def normals(with_prototype):
    out, ids, key = aligned(np.zeros(NORMALS)), np.arange(NORMALS // 2), np.array(stream_key(2026, "noise"), np.int64)
    generator, counter, size = np.random.default_rng(1), {"step": 0}, {"particles": NORMALS}

    def run():
        counter["step"] += 1
        for draw in range(16):
            fill_normals(key, ids, 0, counter["step"], draw, out)
    parties = {"hpcnemd": (run, 16 * NORMALS, {**size, "path": choose_path()}), "numba": (lambda: [generate(generator, out) for _ in range(4)], 4 * NORMALS, size)}
    if with_prototype:
        import perf_chains
        lanes = np.arange(8)
        parties["prototype"] = (lambda: [perf_chains.fill_philox(out, NORMALS, np.int64(7), np.int64(k), lanes) for k in range(16)]), 16 * NORMALS, size
    return parties


def turns(parties, repeats, quiet):
    """{name: [(rate by wall time, rate by CPU time) of each turn]}; a first turn compiles and is not counted."""
    found = {name: [] for name in parties}
    for repeat in range(repeats + 1):
        for name, (run, count, unused) in parties.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if repeat:
                found[name].append((count / (time.perf_counter() - wall), count / (time.process_time() - cpu)))
        if repeat % 5 == 0:
            quiet.sample()
    return found


def ratio(above, below, column):
    each = [a[column] / b[column] for a, b in zip(above, below)]
    return [statistics.median(each), min(each), max(each)]


def record(case, name, parties, rates, unit, common):
    """One JSON line of a party, with the ratio of ours to it, or of a small batch of ours to the large one."""
    fields, own = parties[name][2], rates[name]
    code = "hpcnemd" if name.startswith("hpcnemd") else name
    line = {"case": case, "code": code, "version": common["revision"] if code == "hpcnemd" else f"numpy {np.__version__}" if code == "numba" else "prototype",
            "ranks": 1, "precision": "double", **fields}
    for column, key in enumerate(RATE[unit]):
        line[key] = [rate[column] for rate in own]
    if name != "hpcnemd":
        over = (own, rates["hpcnemd"]) if code == "hpcnemd" else (rates["hpcnemd"], own)
        kind = "ratio_to_large" if code == "hpcnemd" else "ratio"
        line |= {f"{kind}_wall": ratio(*over, 0), f"{kind}_cpu": ratio(*over, 1)}
    return line


def show(line, unit):
    rate = statistics.median(line[RATE[unit][1]]) / 1e9
    told = next(("; %s %.2f (%.2f to %.2f)" % (text, *line[key]) for key, text in (("ratio_cpu", "hpcnemd over it"), ("ratio_to_large_cpu", "of the large batch's rate")) if key in line), "")
    batch = f"{line['replicas']:4d} replicas" if "replicas" in line else ""
    print(f"{line['case']:16s} {line['code']:21s} {batch:13s}: {rate:.3f} {'site-updates' if unit == 'site' else 'normals'} per ns of CPU time{told}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default=",".join([*CHAINS, "normals"]), help="with commas (default: %(default)s)")
    parser.add_argument("--prototypes", help="folder of perf_chains.py")
    parser.add_argument("--repeats", type=int, default=15, help="turns of each code (default: %(default)s)")
    parser.add_argument("--updates", type=int, default=300_000_000, help="site-updates of a turn (default: %(default)s)")
    parser.add_argument("--json", help="file that the records are added to, one line each")
    arguments = parser.parse_args()
    unknown = [case for case in arguments.case.split(",") if case not in (*CHAINS, "normals")]
    if unknown or arguments.repeats < 1 or arguments.updates < LARGE * SITES:
        parser.error(f"cases are {', '.join(CHAINS)} and normals; at least one repeat and {LARGE * SITES} updates" + f"; not {', '.join(unknown)}" * bool(unknown))
    if arguments.prototypes and not Path(arguments.prototypes, "perf_chains.py").is_file():
        parser.error(f"--prototypes {arguments.prototypes}: there is no perf_chains.py")
    sys.path += [arguments.prototypes] if arguments.prototypes else []
    quiet, common, lines = Quiet(), {"machine": machine(), "revision": revision()}, []
    for case in arguments.case.split(","):
        unit = "normal" if case == "normals" else "site"
        if unit == "normal":
            parties = normals(bool(arguments.prototypes))
        else:
            parties = {"hpcnemd": ours(case, LARGE, arguments.updates)} | {f"hpcnemd {n}": ours(case, n, arguments.updates) for n in BATCHES}
            parties |= prototypes(case, arguments.updates) if arguments.prototypes else {}
        rates = turns(parties, arguments.repeats, quiet)
        for name in parties:
            lines.append(record(case, name, parties, rates, unit, common))
            show(lines[-1], unit)
    verdict = quiet.verdict()
    print(f"machine: {common['machine']['cpu']}, {cores()} cores, {common['machine']['vector']}; noise {verdict}")
    if arguments.json:
        Path(arguments.json).parent.mkdir(parents=True, exist_ok=True)
        with open(arguments.json, "a", encoding="utf-8") as file:
            file.writelines(json.dumps({**line, **common, "oversubscribed": False, "quiet": verdict["quiet"], "noise": verdict, "date": time.strftime("%Y-%m-%d %H:%M")}) + "\n"
                            for line in lines)


if __name__ == "__main__":
    main()
