"""Particles of a whole replica: handed out to their owners at the start, gathered on one rank to be read."""
import numpy as np

from ..core.errors import PhysicsError
from ..core.state import OWNED_FIELDS, State
from ..kernels.packing import find_owners
from .launch import agree_on_errors
from .migration import broken_rows, count_particles, name_ids, sort_rows, starts, wrap_owned
from .reduce import vote_any


def scatter(domain, state, arrays):
    """Collective over domain.comm. Fills `state`, whose old rows are dropped, with the particles of this rank's brick, in the order of `migrate`.

    `arrays`: {field: rows of all particles of the replica}, the same on all ranks, or on rank 0 alone with None on the others. `position`
    (n, 3) and `species` (n,) must be there; without `id` particles are numbered from 0, without `velocity` or `image` these are 0. Returns `state`.
    Raises PhysicsError on all ranks for positions that are not finite and ids that are there twice.
    """
    if domain.size > 1 and vote_any(domain.comm, arrays is None):
        arrays = domain.comm.bcast(arrays, root=0)
    n = len(arrays["species"])
    full = State.empty(state.box, state.kinds, n)
    full.id[:n] = np.arange(n)
    for name in OWNED_FIELDS:
        if name in arrays:
            getattr(full, name)[:n] = arrays[name]
    full.n_owned = n
    problem = broken_rows(domain, full, 0)
    ids = np.sort(full.id[:n])
    twice = ids[1:][ids[1:] == ids[:-1]]
    if not problem and len(twice):
        problem = f"particles {name_ids(np.unique(twice))} are there more than once"
    agree_on_errors(domain.comm, PhysicsError(problem) if problem else None)
    owner = np.zeros(n, np.int64)
    wrap_owned(full)
    find_owners(state.box.upright(full.position[:n]), n, *domain.cuts, owner)
    mine = np.flatnonzero(owner == domain.rank)
    state.n_owned = state.n_ghost = 0
    state.reserve(len(mine))
    for name in OWNED_FIELDS:
        getattr(state, name)[:len(mine)] = getattr(full, name)[mine]
    state.n_owned = len(mine)
    sort_rows(domain, state)
    domain.expected = None
    count_particles(domain, state)
    return state


def gather_sorted(comm, state, fields=OWNED_FIELDS):
    """Collective. {field: rows of all ranks, ordered by particle id} on rank 0, None on the others.

    `fields`: names of arrays of the state, "unwrapped" for position + image * L, or a mapping {name: array (n_owned, ...)}.
    """
    n = state.n_owned
    if not isinstance(fields, dict):
        fields = {name: state.unwrapped() if name == "unwrapped" else getattr(state, name)[:n] for name in fields}
    ids = gather_rows(comm, state.id[:n])
    parts = {name: gather_rows(comm, rows) for name, rows in fields.items()}
    if comm.rank:
        return None
    order = np.argsort(ids, kind="stable")
    return {name: rows[order] for name, rows in parts.items()}


def gather_rows(comm, rows):
    """Collective. The rows of all ranks in rank order on rank 0, None on the others."""
    rows = np.ascontiguousarray(rows)
    if comm.size == 1:
        return rows.copy()
    from mpi4py import MPI
    counts = comm.gather(len(rows))
    width = int(np.prod(rows.shape[1:])) * rows.dtype.itemsize
    if comm.rank:
        comm.Gatherv([rows, rows.nbytes, MPI.BYTE], None)
        return None
    whole = np.empty((sum(counts),) + rows.shape[1:], rows.dtype)
    counts = np.array(counts, np.int64) * width
    comm.Gatherv([rows, rows.nbytes, MPI.BYTE], [whole, counts, starts(counts), MPI.BYTE])
    return whole
