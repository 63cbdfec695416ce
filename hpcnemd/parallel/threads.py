"""Threads of one rank, for loops that are handed out in parts. The number of parts is that of the threads and never depends on who is free, and what each part has
summed is added in the order of parts: a run repeats bit for bit."""
import functools
import os
import threading

import numpy as np


class Team:
    """`size` threads, the calling one included; the others wait between two calls of `run`."""

    def __init__(self, size):
        self.size = int(size)
        self._work, self._problems = None, []
        self._go, self._done = ([threading.Lock() for _ in range(1, self.size)] for _ in range(2))
        for k, (go, done) in enumerate(zip(self._go, self._done), 1):
            go.acquire()
            done.acquire()
            threading.Thread(target=self._serve, args=(k, go, done), daemon=True).start()

    def _serve(self, k, go, done):
        while True:
            go.acquire()
            try:
                self._work(k)
            except BaseException as problem:        # told to the caller of `run`, which goes on waiting for the others
                self._problems.append(problem)
            done.release()

    def run(self, work):
        """Calls work(k) for k = 0 ... size - 1, each on a thread of its own, k = 0 on the calling one. They run side by side while they are in kernels that
        were compiled without Python's lock. Raises what one of them raised."""
        self._work = work
        for go in self._go:
            go.release()
        try:
            work(0)
        finally:
            for done in self._done:
                done.acquire()
        if self._problems:
            problem, self._problems = self._problems[0], []
            raise problem

    def edges(self, number):
        """Rows [edges[k], edges[k + 1]) of `number` are part k: (size + 1,) int."""
        return np.arange(self.size + 1) * number // self.size


@functools.cache
def team_of(size):
    """The Team of that size of this process, or None for one thread."""
    return Team(size) if size > 1 else None


def cores_here():
    """Cores that this process may use: those that the batch system or mpirun bound it to."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_problem(threads):
    """A message where there are more threads than cores for this process, else None."""
    if threads > cores_here():
        return (f"parallel.threads = {threads}: this rank may use {cores_here()} core{'s' * (cores_here() > 1)}; write at most that many, or give it more "
                f"(Slurm: --cpus-per-task={threads}; Open MPI: mpirun --map-by slot:PE={threads})")
    return None
