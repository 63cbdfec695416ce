"""Threads beside ranks: one rank with N threads, N ranks, and one rank alone take turns on one system. Called by `bench.py --threads N`.

CPU time is that of the longest chain: of N ranks the slowest rank's (which waits for messages by looking for them), of one rank with threads the calling thread's and
what the slowest part of each shared loop took beyond it. On a machine that is not quiet it is the better measure of the two."""
import statistics
import tempfile
import time
from pathlib import Path

from cases import case_of
from processes import cores, launched, rates


def measure(name, arguments, common, quiet):
    """Records of a case: one for each of the three, with the ratio of the speed of one rank with threads to its own."""
    case, number, records = case_of(name), arguments.threads, []
    for precision in arguments.precision.split(","):
        parties = {"threads": (1, number), "ranks": (number, 1), "alone": (1, 1)}
        runs = {party: [] for party in parties}
        quiet.sample()
        with tempfile.TemporaryDirectory() as place:
            for _ in range(arguments.repeats):
                for party, (ranks, each) in parties.items():
                    ask = {"case": case.name, "accuracy": arguments.accuracy or 1e-4, "precision": precision, "steps": max(1, int(case.steps * arguments.length)),
                           "blocks": arguments.blocks, "threads": each}
                    runs[party].append(launched("ours.py", ask, ranks, Path(place)))
                quiet.sample()
        records += [_record(party, parties, case, precision, runs, common, quiet.verdict()) for party in parties]
    return records


def _record(party, parties, case, precision, runs, common, verdict):
    own, (ranks, each) = runs[party], parties[party]
    line = {"case": case.name, "code": "hpcnemd", "version": common["revision"], "ranks": ranks, "threads": each, "precision": precision, "scaling": "threads",
            "skin": case.skin, "particles": own[0]["particles"], "steps": own[0]["steps"], "path": own[0]["path"]}
    for kind, column, key in (("wall", 0, "atom_steps_per_s"), ("cpu", 1, "atom_steps_per_cpu_s")):
        line[key] = [rate for run in own for rate in rates(run, column)]
        ratios = [statistics.median(rates(a, column)) / statistics.median(rates(b, column)) for a, b in zip(runs["threads"], own)]
        line[f"threads_over_this_{kind}"] = [statistics.median(ratios), min(ratios), max(ratios)]
    return {**line, "oversubscribed": ranks * each > cores(), **common, "quiet": verdict["quiet"], "noise": verdict, "date": time.strftime("%Y-%m-%d %H:%M")}


def show(line):
    """One record, for people."""
    wall, cpu = (statistics.median(line[key]) / 1e6 for key in ("atom_steps_per_s", "atom_steps_per_cpu_s"))
    told = "; ".join("%.3f (%.3f to %.3f) by %s time" % (*line[f"threads_over_this_{kind}"], kind) for kind in ("wall", "cpu"))
    print(f"{line['case']:14s} {line['precision']:6s} {line['ranks']} rank{'s' * (line['ranks'] > 1)} x {line['threads']} thread{'s' * (line['threads'] > 1)}: "
          f"{wall:.3f} Matom-steps/s (by CPU time of the longest chain {cpu:.3f})"
          f"{'' if line['quiet'] else '  [machine NOT quiet]'}{'  [oversubscribed: no speed claim]' if line['oversubscribed'] else ''}"
          + (f"\n    speed of one rank with threads over this: {told}" if line["threads"] == 1 else ""))
