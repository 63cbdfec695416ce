"""Sums and votes over the ranks of a communicator. With one rank none of them calls MPI."""
import numpy as np


def ordered_sum(comm, values):
    """Collective. The sum over ranks, added in the order of ranks, so that every rank and every run on the same grid gets the same bits.

    For all that enters the dynamics: MPI_Allreduce may choose another order from one call to the next. `values`: a number or an array of
    one shape and type on all ranks. Returns an array of that shape (a number for a number); the input is left alone.
    """
    values = np.ascontiguousarray(values) if np.ndim(values) else np.asarray(values)
    if comm.size == 1:
        return values.copy()[()]
    parts = np.empty((comm.size,) + values.shape, values.dtype)
    comm.Allgather(values, parts)
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
        parts = np.empty((comm.size,) + mine.shape)
        comm.Allgather(mine, parts)
        mine = parts.max(axis=0)
    return mine if mine.ndim else float(mine)


class Vote:
    """`vote_max` of k numbers in two halves: other messages travel in between. Collective in its constructor and in `result`."""

    def __init__(self, comm, values):
        self._parts = np.empty((comm.size, len(values)))
        self._mine = np.array(values, np.float64)
        self._request = comm.Iallgather(self._mine, self._parts)

    def result(self):
        """(k,) float64"""
        self._request.Wait()
        return self._parts.max(axis=0)


def vote_min(comm, values):
    """Collective. The smallest value of all ranks, as `vote_max`."""
    return -vote_max(comm, -np.asarray(values, np.float64))
