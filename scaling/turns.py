"""Ranks beside one rank, in turns of a fraction of a second: mpirun --bind-to none -n 2 python scaling/turns.py [--case llzo_1536,lj_32000] [--threads] [--timed] [--json FILE]

On a machine whose clock or neighbours change from second to second, two launches see two machines. Here the processes of one launch hold several copies of a system: one
that all ranks share, one of each rank's own and, with --threads, one of rank 0 with as many threads; with --timed another that all share, whose cuts follow measured times
(balance = "time" in a deck). They take turns: all ranks together, each rank alone while the others sleep (the mean of their times is that of one rank), all of them on copies of
their own side by side, rank 0 with its threads; ranks with measured times make as many steps before the clock is read as after it, since their cuts have stood still while others had
their turns. A round of these gives one ratio of each kind; printed are medians over rounds with their standard error (bootstrap) and quartiles. Every process, and every thread, keeps
to a core of its own.

2 ranks over 1: the speed-up. Copies: what the machine gives to processes that have nothing to do with each other, twice the time of one rank over theirs (the slowest of them)."""
import argparse
import contextlib
import json
import os
import time

import numpy as np
from bench import machine, revision                             # also puts the repository on the path
from cases import CASES, case_of, system_of
from ours import asleep_until_all, simulation
from quiet import Quiet

from hpcnemd.dynamics.loop import advance
from hpcnemd.parallel.launch import world
from hpcnemd.parallel.serial import SerialComm

PIECE, LEAST = 100000, 16       # steps of particles in a slice, and steps: lists are made in each


@contextlib.contextmanager
def confined(cores):
    """This thread, and those that it starts, keep to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Turns:
    """Copies of a case's system and the slices of time in which they are stepped, `steps` at a time (None: see PIECE). `cores`: all that this launch has. Collective."""

    def __init__(self, comm, case, accuracy, precision, threads, steps, cores, timed=False):
        system = system_of(case, accuracy, precision=precision)
        self.particles, self.skin = len(system.species), case.skin
        self.comm, self.steps = comm, steps or max(LEAST, PIECE // self.particles)
        self.shared, self.own, self.threaded = simulation(case, system, comm.Dup()), simulation(case, system, SerialComm(), comm.rank), None
        self.timed = simulation(case, system, comm.Dup(), balance="time") if timed else None
        self._begin(self.shared)
        if timed:
            self._begin(self.timed)
        self._begin(self.own)
        if threads:
            if comm.rank == 0:
                with confined(set(cores[1:comm.size])):         # its helpers are started here
                    self.threaded = simulation(case, system, SerialComm(), threads=comm.size)
                self._begin(self.threaded)
            comm.Barrier()
        self.with_threads = threads

    def _begin(self, sim):
        sim.start()
        advance(sim, 3 * self.steps)

    def _timed(self, sim):
        start = time.perf_counter()
        advance(sim, sim.step + self.steps)
        return time.perf_counter() - start

    def _alone(self, rank, sim):
        asleep_until_all(self.comm)
        seconds = self._timed(sim) if self.comm.rank == rank else None
        asleep_until_all(self.comm)
        return self.comm.bcast(seconds, rank)

    def _together(self, sim):
        self.comm.Barrier()
        return max(self.comm.allgather(self._timed(sim)))

    def _led(self):
        """Seconds of the ranks whose cuts follow measured times, after a slice that is not timed."""
        self._together(self.timed)
        return self._together(self.timed)

    def round(self):
        """{kind: seconds of a slice} of one round; all ranks' slices come first and last, and their mean counts."""
        first = self._together(self.shared)
        timed = self._led() if self.timed else 0.0
        alone = [self._alone(rank, self.own) for rank in range(self.comm.size)]
        found = {"copies": self._together(self.own), "alone": float(np.mean(alone)), "slowest_alone": max(alone)}
        if self.with_threads:
            found["threads"] = self._alone(0, self.threaded)
        if self.timed:
            found["timed"] = 0.5 * (timed + self._led())
        return {**found, "ranks": 0.5 * (first + self._together(self.shared))}


def ratio(above, below):
    """{"median", "error", "quartiles"} of the ratio of two arrays of seconds (rounds,)."""
    values, random = above / below, np.random.default_rng(1)
    again = np.median(random.choice(values, (400, len(values))), axis=1)
    return {"median": float(np.median(values)), "error": float(again.std(ddof=1)), "quartiles": np.quantile(values, (0.25, 0.75)).tolist()}


def measured(comm, name, arguments):
    """Collective. The record of a case."""
    case, rounds, quiet = case_of(name), [], Quiet() if comm.rank == 0 else None
    asleep_until_all(comm)
    if quiet:
        with confined(arguments.cores):
            quiet.sample()
    turns = Turns(comm, case, arguments.accuracy, arguments.precision, arguments.threads, arguments.steps, sorted(arguments.cores), arguments.timed)
    end = time.monotonic() + arguments.seconds
    while comm.bcast(time.monotonic() < end or len(rounds) < 5):
        rounds.append(turns.round())
    asleep_until_all(comm)
    seconds = {kind: np.array([one[kind] for one in rounds]) for kind in rounds[0]}
    line = {"case": case.name, "code": "hpcnemd", "ranks": comm.size, "precision": arguments.precision, "scaling": "turns", "accuracy": arguments.accuracy, "skin": turns.skin,
            "particles": turns.particles, "steps": turns.steps, "rounds": len(rounds),
            "atom_steps_per_s": {kind: turns.particles * turns.steps / float(np.median(values)) for kind, values in seconds.items()},
            "ranks_over_one": ratio(seconds["alone"], seconds["ranks"]), "ranks_over_slowest": ratio(seconds["slowest_alone"], seconds["ranks"]),
            "copies": ratio(comm.size * seconds["alone"], seconds["copies"])}
    if arguments.threads:
        line["threads_over_one"], line["threads_over_ranks"] = ratio(seconds["alone"], seconds["threads"]), ratio(seconds["ranks"], seconds["threads"])
    if arguments.timed:
        line["timed_over_one"], line["timed_over_ranks"] = ratio(seconds["alone"], seconds["timed"]), ratio(seconds["ranks"], seconds["timed"])
    if quiet is None:
        return line
    with confined(arguments.cores):
        quiet.sample()
    verdict = quiet.verdict()
    return {**line, "machine": {**machine(), "cores": len(arguments.cores)}, "revision": revision(), "quiet": verdict["quiet"], "noise": verdict,
            "oversubscribed": comm.size > len(arguments.cores), "date": time.strftime("%Y-%m-%d %H:%M")}


def show(line):
    """One record, for people."""
    def told(key):
        found = line[key]
        return f"{found['median']:.3f} +- {found['error']:.3f} (quartiles {found['quartiles'][0]:.2f}, {found['quartiles'][1]:.2f})"
    rates = ", ".join(f"{kind} {1e-6 * rate:.3f}" for kind, rate in line["atom_steps_per_s"].items())
    print(f"{line['case']} {line['precision']}, {line['rounds']} rounds of {line['steps']} steps; Matom-steps/s: {rates}{'' if line['quiet'] else '  [machine NOT quiet]'}"
          f"{'  [oversubscribed: no speed claim]' if line['oversubscribed'] else ''}")
    print(f"    {line['ranks']} ranks over one: {told('ranks_over_one')}; over one on the slowest core of the round: {told('ranks_over_slowest')}")
    print(f"    copies side by side over one: {told('copies')}")
    if "threads_over_ranks" in line:
        print(f"    one rank of {line['ranks']} threads over one: {told('threads_over_one')}; over {line['ranks']} ranks: {told('threads_over_ranks')}")
    if "timed_over_ranks" in line:
        print(f"    {line['ranks']} ranks whose cuts follow measured times over one: {told('timed_over_one')}; over {line['ranks']} ranks: {told('timed_over_ranks')}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--case", default="llzo_1536", help=", ".join(CASES))
    parser.add_argument("--precision", choices=("double", "mixed"), default="double")
    parser.add_argument("--accuracy", type=float, default=1e-4, help="of the Coulomb forces")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each case")
    parser.add_argument("--steps", type=int, help=f"of a slice; default: {PIECE} over the number of particles, at least {LEAST}")
    parser.add_argument("--threads", action="store_true", help="one rank of as many threads takes turns, too")
    parser.add_argument("--timed", action="store_true", help="ranks whose cuts follow measured times take turns, too")
    parser.add_argument("--json", help="file that the records are added to, one line each")
    comm = world()
    if comm.rank:
        parser._print_message = lambda *message: None           # one rank says what is wrong
    arguments = parser.parse_args()
    if arguments.steps is not None and arguments.steps < 1:
        parser.error(f"--steps {arguments.steps}: write a whole number above 0")
    if not arguments.seconds > 0.0:
        parser.error(f"--seconds {arguments.seconds:g}: write a number above 0, for example --seconds 60")
    try:
        for name in arguments.case.split(","):
            case_of(name)
    except KeyError as problem:
        parser.error(f"--case: {problem.args[0]}")
    if comm.size < 2:
        parser.error("one rank has nobody to take turns with: mpirun --bind-to none -n 2 python scaling/turns.py")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < comm.size:
        parser.error(f"{comm.size} ranks, of which each sees {len(cores)} core{'s' * (len(cores) > 1)}: mpirun --bind-to none -n {min(comm.size, os.cpu_count())} python scaling/turns.py")
    arguments.cores = set(cores)
    lines = []
    with confined({cores[comm.rank]}):
        for name in arguments.case.split(","):
            lines.append(measured(comm, name, arguments))
            if comm.rank == 0:
                show(lines[-1])
    if arguments.json and comm.rank == 0:
        with open(arguments.json, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
