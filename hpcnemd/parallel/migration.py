"""Ownership: particles move to the rank whose brick holds them, are handed out at the start and gathered for reading.

Leavers travel by one Alltoall of counts and one Alltoallv over the ranks of the replica: right however far a particle went, and it happens once
per list build only, where its cost (a few microseconds at the rank counts of one replica) is small beside the build.
"""
import numpy as np

from ..core.errors import PhysicsError
from ..core.state import OWNED_FIELDS, State
from ..kernels.packing import cell_keys, find_owners, largest_displacement2
from .launch import agree_on_errors
from .reduce import ordered_sum, vote_any, vote_max

CELL = 5.0                                  # angstrom: rows of one such cell lie together in memory
TURNS = 2 ** 30                             # image counts are int32
SHOWN = 10                                  # ids named in a message
MIGRANT = np.dtype([("id", np.int64), ("position", np.float64, 3), ("velocity", np.float64, 3), ("image", np.int32, 3), ("species", np.int32)])


def migrate(domain, state, step=0):
    """Collective over domain.comm. Wraps the owned positions, moves every particle to the rank that owns its place, drops the ghosts.

    Afterwards the owned rows are ordered by cells of about 5 angstrom (x slowest) and by id inside a cell, so the order depends on the places
    only, and all forces are 0. `position + image * L` is unchanged to rounding. Raises PhysicsError on all ranks, naming `step` and the ids, where
    a position or velocity is not finite, or where a particle is missing or there twice.
    """
    n = state.n_owned
    state.n_ghost = 0
    problem = _broken_rows(domain, state, step)
    if domain.size == 1:
        if problem:
            raise PhysicsError(problem)
        state.box.wrap(state.position[:n], state.image[:n])
    else:
        owner = np.full(n, domain.rank, np.int64)
        if not problem:
            state.box.wrap(state.position[:n], state.image[:n])
            find_owners(state.position, n, *domain.cuts, owner)
        _move(domain, state, owner, problem)
    _sort(domain, state)
    count_particles(domain, state, step)


def _broken_rows(domain, state, step):
    """A message that names the particles whose numbers are no places or velocities, or an empty one."""
    n = state.n_owned
    position, velocity = state.position[:n], state.velocity[:n]
    with np.errstate(invalid="ignore"):
        good = np.all(np.abs(position) < TURNS * domain.box.lengths, axis=1) & np.all(np.isfinite(velocity), axis=1)
    if good.all():
        return ""
    return f"step {step}: positions or velocities are not finite (or beyond {TURNS} box lengths): particles {_names(state.id[:n][~good])}"


def _names(ids):
    ids = np.sort(np.asarray(ids))
    return "id " + ", ".join(str(one) for one in ids[:SHOWN]) + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")


def _move(domain, state, owner, problem):
    """Collective. Sends the rows with another owner, appends those that arrive; a rank with a problem sends counts of -1."""
    comm, n = domain.comm, state.n_owned
    leavers = np.flatnonzero(owner != domain.rank)
    leavers = leavers[np.argsort(owner[leavers], kind="stable")]
    sent = np.bincount(owner[leavers], minlength=domain.size).astype(np.int64)
    if problem:
        sent[:] = -1
    come = np.empty_like(sent)
    comm.Alltoall(sent, come)
    if come.min() < 0:
        agree_on_errors(comm, PhysicsError(problem) if problem else None)
    arrivals = exchange_rows(comm, _packed(state, leavers), sent, come)
    stayers = np.flatnonzero(owner == domain.rank)
    kept = len(stayers)
    state.reserve(kept + len(arrivals))
    for name in OWNED_FIELDS:
        rows = getattr(state, name)
        if kept < n:
            rows[:kept] = rows[stayers]
        rows[kept:kept + len(arrivals)] = arrivals[name]
    state.n_owned = kept + len(arrivals)


def _packed(state, rows):
    packed = np.empty(len(rows), MIGRANT)
    for name in OWNED_FIELDS:
        packed[name] = getattr(state, name)[rows]
    return packed


def exchange_rows(comm, rows, sent, come=None):
    """Collective. `rows` (any dtype), ordered by target rank, `sent[r]` of them for rank r; returns what came, ordered by source rank.

    `come[r]`: how many rows rank r sends; asked for where it is None.
    """
    if come is None:
        come = np.empty_like(sent)
        comm.Alltoall(sent, come)
    received = np.empty(int(come.sum()), rows.dtype)
    from mpi4py import MPI
    size = rows.dtype.itemsize
    comm.Alltoallv([rows.view(np.uint8), sent * size, _starts(sent) * size, MPI.BYTE],
                   [received.view(np.uint8), come * size, _starts(come) * size, MPI.BYTE])
    return received


def _starts(counts):
    return np.concatenate(([0], np.cumsum(counts)[:-1]))


def _sort(domain, state):
    """Orders the owned rows by cell, then id; forces become 0."""
    n, box = state.n_owned, domain.box
    extent = domain.upper - domain.lower
    counts = np.maximum(1, np.rint(extent / CELL)).astype(np.int64)
    counts[box.dimensions:] = 1
    key = np.empty(n, np.int64)
    cell_keys(state.position, n, domain.lower, counts / extent, counts, key)
    order = np.lexsort((state.id[:n], key))
    for name in OWNED_FIELDS:
        rows = getattr(state, name)
        rows[:n] = rows[:n][order]
    state.force[:n] = 0.0


def count_particles(domain, state, step=0):
    """Collective. Raises PhysicsError on all ranks unless the particles are those of the last time (of which domain.expected tells)."""
    ids = state.id[:state.n_owned]
    total = np.array((len(ids), ids.sum(), (ids * ids).sum()), np.int64)         # int64 wraps around: still a checksum
    total = tuple(int(one) for one in ordered_sum(domain.comm, total))
    if domain.expected is not None and total != domain.expected:
        before = domain.comm.gather(domain.known_ids)
        now = domain.comm.gather(ids.copy())
        agree_on_errors(domain.comm, PhysicsError(_difference(before, now, step)) if domain.rank == 0 else None)
    domain.expected, domain.known_ids = total, ids.copy()


def _difference(before, now, step):
    before, (now, times) = np.concatenate(before), np.unique(np.concatenate(now), return_counts=True)
    parts = [f"{word} {_names(ids)}" for word, ids in (("lost", np.setdiff1d(before, now)), ("new", np.setdiff1d(now, before)),
                                                      ("more than once", now[times > 1])) if len(ids)]
    return f"step {step}: {len(before)} particles became {int(times.sum())}: " + "; ".join(parts)


def check_halo(domain, state, reference_position, skin, step=0):
    """Collective over domain.comm. True where the lists built at `reference_position` (n_owned, 3) still hold every pair within the cutoff.

    The rule: twice the largest displacement of any particle on any rank is below `skin` (angstrom). Raises PhysicsError on all ranks, naming
    `step` and the ids, where a position is not finite or went further than the halo is wide.
    """
    moved2 = vote_max(domain.comm, largest_displacement2(state.position, reference_position, state.n_owned))
    limit = max(domain.halo_width, skin)
    if not moved2 < limit * limit:
        report_runaways(domain, state, reference_position, limit, step)
    return 4.0 * moved2 < skin * skin


def report_runaways(domain, state, reference_position, limit, step):
    """Collective over domain.comm. Raises PhysicsError on all ranks, naming `step` and the ids, where owned particles are not finite or
    `limit` (angstrom) or more away from `reference_position` (n_owned, 3)."""
    n = state.n_owned
    with np.errstate(all="ignore"):
        moved = np.sqrt(np.sum((state.position[:n] - reference_position[:n]) ** 2, axis=1))
    bad = ~(moved < limit)
    problem = None
    if bad.any():
        worst = f"up to {moved.max():.4g} angstrom" if np.all(np.isfinite(moved)) else "some are not finite"
        problem = PhysicsError(f"step {step}: particles {_names(state.id[:n][bad])} moved further than the halo width of {limit:.4g} angstrom since "
                               f"the lists were built ({worst}): take a smaller timestep, or look for overlaps")
    agree_on_errors(domain.comm, problem)


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
    problem = _broken_rows(domain, full, 0)
    ids, times = np.unique(full.id[:n], return_counts=True)
    if not problem and len(ids) < n:
        problem = f"particles {_names(ids[times > 1])} are there more than once"
    agree_on_errors(domain.comm, PhysicsError(problem) if problem else None)
    owner = np.zeros(n, np.int64)
    state.box.wrap(full.position[:n], full.image[:n])
    find_owners(full.position, n, *domain.cuts, owner)
    mine = np.flatnonzero(owner == domain.rank)
    state.n_owned = state.n_ghost = 0
    state.reserve(len(mine))
    for name in OWNED_FIELDS:
        getattr(state, name)[:len(mine)] = getattr(full, name)[mine]
    state.n_owned = len(mine)
    _sort(domain, state)
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
    comm.Gatherv([rows, rows.nbytes, MPI.BYTE], [whole, counts, _starts(counts), MPI.BYTE])
    return whole
