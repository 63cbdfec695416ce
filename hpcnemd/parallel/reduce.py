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


def vote_max(comm, value):
    """Collective. The largest value (float) of all ranks; NaN on any rank is NaN on all."""
    value = float(value)
    if comm.size == 1:
        return value
    from mpi4py import MPI
    broken = value != value                 # MPI leaves open what MAX makes of NaN: a flag travels beside the value
    mine, most = np.array((-np.inf if broken else value, broken), np.float64), np.empty(2)
    comm.Allreduce(mine, most, op=MPI.MAX)
    return float("nan") if most[1] else float(most[0])


def vote_min(comm, value):
    """Collective. The smallest value (float) of all ranks; NaN on any rank is NaN on all."""
    return -vote_max(comm, -float(value))
