"""Threads of one rank, for loops that are handed out in parts. The number of parts is that of the threads and never depends on who is free, and what each part has
summed is added in the order of parts: a run repeats bit for bit."""
import atexit
import contextlib
import functools
import os
import threading
import time

import numpy as np

from ..kernels import calls_of
from ..kernels.frames import WIDTH, Bound
from ..kernels.waiting import LINE, STAY, TABLE, await_threads, await_work, share_out

PATIENCE, DELAY = 1e-3, 12e-6       # seconds that a thread looks for work before it sleeps, and that it leaves to the calling one (see kernels.waiting)


class Team:
    """`size` threads, the calling one included; between two calls of `run` the others look for work, for a while, then sleep."""

    def __init__(self, size):
        self.size = int(size)
        self._work, self._problems, self._number, self._open = None, [], 0, True
        self.flags, self._asleep = np.zeros(LINE * self.size, np.int64), {}
        looks = self._looks_per_second()
        self._patience, self._delay = int(PATIENCE * looks), int(DELAY * looks)
        self._wake = {k: threading.Lock() for k in range(1, self.size)}
        self._threads = [threading.Thread(target=self._serve, args=(k, lock), daemon=True) for k, lock in self._wake.items()]
        for thread, lock in zip(self._threads, self._wake.values()):
            lock.acquire()
            thread.start()
        atexit.register(self.close)                     # no thread may be in compiled code when Python ends

    @staticmethod
    def _looks_per_second(number=2000):
        """Of the quickest of a few bursts: this thread may lose its core in others."""
        flags, bursts = np.zeros(2 * LINE, np.int64), []
        await_threads(flags, 2, 0, 1)
        await_work(flags, 2, 1, 0, 1, 1)
        flags[0] = 1
        for _ in range(20):
            start = time.perf_counter()
            await_work(flags, 2, 1, 0, 1, number)
            bursts.append(time.perf_counter() - start)
        return number / min(bursts)

    def _serve(self, k, lock):
        done = 0
        while True:
            found, done = await_work(self.flags, self.size, k, done, self._patience, self._delay)
            if not found:
                self._asleep[k] = True
                if self.flags[0] == done or self._asleep.pop(k, None) is None:         # nothing has come, or whoever brought it wakes this thread
                    lock.acquire()
            if not self._open:
                return
            done = int(self.flags[0])
            try:
                self._work(k)
            except BaseException as problem:        # told to the caller of `run`, which goes on waiting for the others
                self._problems.append(problem)

    def _give(self, work):
        self._work, self._number = work, int(self.flags[0]) + 1
        self.flags[TABLE] = 0
        self.flags[0] = self._number
        for k, lock in self._wake.items():
            if self._asleep and self._asleep.pop(k, None):
                lock.release()

    def run(self, work):
        """Calls work(k) for k = 0 ... size - 1, each on a thread of its own, k = 0 on the calling one. They run side by side while they are in kernels that
        were compiled without Python's lock. Raises what one of them raised."""
        self._give(work)
        try:
            work(0)
        finally:
            await_threads(self.flags, self.size, self._number, self._patience)
        if self._problems:
            problem, self._problems = self._problems[0], []
            raise problem

    @contextlib.contextmanager
    def awake(self):
        """While it is entered all threads look for work, as kernels.waiting.share_out wants them."""
        self.flags[STAY] = 1
        try:
            self.run(lambda k: None)            # whoever was asleep, or about to, has been here since
            yield
        finally:
            self.flags[STAY] = 0

    def close(self):
        """Ends the other threads; there is no `run` after it."""
        if self._open:
            self._open = False
            self._give(None)
            for thread in self._threads:
                thread.join()

    def edges(self, number):
        """Rows [edges[k], edges[k + 1]) of `number` are part k: (size + 1,) int."""
        return np.arange(self.size + 1) * number // self.size


class Shares:
    """Things to be called, a list for each thread of a team, side by side. Two of one `cut` share out the same things alike: what a thread needs in the second, it has made itself in the first."""

    def __init__(self, team, lists, cut):
        self._team, self._lists, self.cut = team, lists, cut

    @functools.cached_property
    def calls(self):
        """As of kernels.Call."""
        lists, self._table = [calls_of(things) for things in self._lists], Table(self._team)       # kept: calls have but its address
        return None if None in lists else self._table.calls(lists)

    def __call__(self):
        self._team.run(self._part)

    def _part(self, k):
        for thing in self._lists[k]:
            thing()

    def before(self, other):
        """Both in one."""
        return Shares(self._team, [[*mine, *others] for mine, others in zip(self._lists, other._lists)], self.cut)


class Table:
    """Kernels with their arguments for the threads of a team: see kernels.waiting. `counted`: the sum of what they return, int64 each, is wanted."""

    def __init__(self, team, counted=False):
        self._team, self._counted, self._bound, self._words = team, counted, [], None

    def calls(self, lists):
        """[(kernel, arguments)] of a call that has lists[k] = [(kernel, arguments)] called on thread k, in the place of those of before. Threads must be `awake` then."""
        given = [call for calls in lists for call in calls]
        if len(given) != len(self._bound) or any(bound.kernel is not kernel for bound, (kernel, _) in zip(self._bound, given)):
            self._words = np.zeros((max(len(given), 1), WIDTH), np.int64)
            self._bound = [Bound(kernel, arguments, words) for (kernel, arguments), words in zip(given, self._words)]
            place = self._words.ctypes.data
            rows = [(bound.address, place + 8 * WIDTH * r) for r, bound in enumerate(self._bound)]
            self._table = np.array([*np.cumsum([0, *map(len, lists)]), *(value for row in rows for value in row)], np.int64)
            self._calls = [(share_out, (self._team.flags, self._team.size, self._table.ctypes.data, self._counted))]
        else:
            self._table[:len(lists) + 1] = np.cumsum([0, *map(len, lists)])
            for bound, (_, arguments) in zip(self._bound, given):
                if bound.arguments is not arguments:
                    bound.bind(arguments)
        return self._calls


def joined(things):
    """The things to be called in turn, where Shares of one cut that follow each other are one."""
    found = []
    for thing in things:
        if found and isinstance(thing, Shares) and isinstance(found[-1], Shares) and thing.cut == found[-1].cut:
            found[-1] = found[-1].before(thing)
        else:
            found.append(thing)
    return found


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
