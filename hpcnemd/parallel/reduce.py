"""Sums and votes over the ranks of a communicator. With one rank none of them calls MPI."""
import time

import numpy as np

from .persistent import Messages
from .shared_memory import channels_of


def gathered(comm, values):
    """Collective, on several ranks. (ranks, ...) the arrays of all, of one shape and type, in the order of ranks."""
    parts = np.empty((comm.size,) + values.shape, values.dtype)
    comm.Allgather(values, parts)
    return parts


def ordered_sum(comm, values):
    """Collective. The sum over ranks, added in the order of ranks, so that every rank and every run on the same grid gets the same bits.

    For all that enters the dynamics: MPI_Allreduce may choose another order from one call to the next. `values`: a number or an array of
    one shape and type on all ranks. Returns an array of that shape (a number for a number); the input is left alone.
    """
    values = np.ascontiguousarray(values) if np.ndim(values) else np.asarray(values)
    if comm.size == 1:
        return values.copy()[()]
    parts = gathered(comm, values)
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total[()]


def vote_any(comm, flag):
    """Collective. True on every rank where any rank says so."""
    return bool(flag) if comm.size == 1 else vote_max(comm, 1.0 if flag else 0.0) > 0.0


def vote_max(comm, values):
    """Collective. The largest value of all ranks, element by element: a float for a number, float64 (k,) for k numbers. NaN on any rank is NaN on all."""
    mine = np.array(values, np.float64)
    if comm.size > 1:                       # not MPI_MAX, which leaves open what it makes of NaN
        mine = gathered(comm, mine).max(axis=0)
    return mine if mine.ndim else float(mine)


class Parts:
    """Few numbers of every rank for all, in the same memory each time. Collective in its constructor.

    `mine` (k,) float64: of this rank, to be filled before `send`. Other messages may travel between that and `receive`, after which `parts` (ranks, k) has those of all in the order
    of ranks. Between ranks that are partners (parallel.shared_memory) through their memory."""

    def __init__(self, comm, mine, kind):
        self._comm, self.mine = comm, mine
        self.parts = np.zeros((comm.size, mine.size))
        self._messages = self._request = None
        if comm.size > 1 and channels_of(comm).everyone(comm):
            others = [rank for rank in range(comm.size) if rank != comm.rank]
            self._messages = Messages(comm, [(self.parts[rank], rank) for rank in others], [(mine, rank) for rank in others], kind)

    def send(self):
        if self._messages is not None:
            self._messages.start()
        elif self._comm.size > 1:
            self._request = self._comm.Iallgather(self.mine, self.parts)

    def receive(self):
        if self._messages is not None:
            self._messages.wait()
        elif self._comm.size > 1:
            start = time.perf_counter_ns()
            self._request.Wait()
            channels_of(self._comm).waited += time.perf_counter_ns() - start
        self.parts[self._comm.rank] = self.mine.reshape(-1)
        return self.parts

    def largest(self):
        """Collective, after `send`. (k,) element by element; NaN where any rank has it."""
        return self.receive().max(axis=0)

    def sum(self):
        """Collective, after `send`. Of the shape of `mine`: the same bits as `ordered_sum`."""
        parts = self.receive()
        total = parts[0].copy()
        for part in parts[1:]:
            total += part
        return total.reshape(self.mine.shape)

    @property
    def ways(self):
        """(`send`, receipt without this rank's own row) as Messages.starting and waiting; None where collectives of MPI are called."""
        return None if self._messages is None else (self._messages.starting, self._messages.waiting)


def vote_min(comm, values):
    """Collective. The smallest value of all ranks, as `vote_max`."""
    return -vote_max(comm, -np.asarray(values, np.float64))
