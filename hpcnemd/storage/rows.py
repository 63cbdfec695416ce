"""Particles change ranks; files want them in the order of their ids. Here the rows of a burst travel to the ranks that write them."""
import numpy as np

from ..core.errors import PhysicsError


def sorted_ids(comm, mine):
    """Collective. All ids of the replica, ascending, on every rank. Raises PhysicsError where an id is held twice."""
    every = np.sort(np.concatenate([np.asarray(part, np.int64) for part in comm.allgather(np.asarray(mine, np.int64))]))
    twice = every[1:][every[1:] == every[:-1]]
    if len(twice):
        raise PhysicsError(f"particles held by two ranks: ids {twice[:10].tolist()}")
    return every


def to_writers(comm, ids, bounds, frames):
    """Collective. Rows to the ranks that write them.

    `ids` (n,): all ids, ascending; `bounds` (size + 1,): rank r writes rows [bounds[r], bounds[r + 1]); `frames`: list, the same length on
    all ranks, of (ids held by this rank (m,), list of arrays (m, ...)). Returns one array (frames, rows here, ...) per array of a frame.
    Raises PhysicsError where a frame misses rows.
    """
    first, last = int(bounds[comm.rank]), int(bounds[comm.rank + 1])
    kinds = [(array.shape[1:], array.dtype) for array in frames[0][1]]
    record = np.dtype([("frame", "<i4"), ("row", "<i4"), *((f"v{i}", dtype, shape) for i, (shape, dtype) in enumerate(kinds))])
    parts, targets = [], []
    for number, (held, arrays) in enumerate(frames):
        rows = np.searchsorted(ids, held)
        part = np.empty(len(held), record)
        part["frame"], part["row"] = number, rows
        for i, array in enumerate(arrays):
            part[f"v{i}"] = array
        parts.append(part)
        targets.append(np.searchsorted(bounds[1:], rows, side="right"))
    mine = _exchange(comm, np.concatenate(parts), np.concatenate(targets))
    result = [np.empty((len(frames), last - first, *shape), dtype) for shape, dtype in kinds]
    seen = np.zeros((len(frames), last - first), bool)
    place = (mine["frame"], mine["row"] - first)
    seen[place] = True
    missing = [] if seen.all() and len(mine) == seen.size else (ids[first:last][~seen.all(axis=0)].tolist() or ["(one twice)"])
    found = [one for part in comm.allgather(missing[:10]) for one in part]
    if found:
        raise PhysicsError(f"a frame to be stored misses particles: ids {found[:10]}")
    for i, array in enumerate(result):
        array[place] = mine[f"v{i}"]
    return result


def _exchange(comm, records, targets):
    """Each record to its target rank."""
    if comm.size == 1:
        return records
    order = np.argsort(targets, kind="stable")
    records, edges = records[order], np.searchsorted(targets[order], np.arange(comm.size + 1))
    return np.concatenate(comm.alltoall([records[edges[r]:edges[r + 1]] for r in range(comm.size)]))
