"""Thousands of replicas in one launch and one file: batches of them go round over the groups of ranks, and each replica is one row.

A row depends on the deck and the replica's number only, never on the batch, its owner or its company. What is in the file counts: a launch
that was killed is continued with the replicas that are missing there."""
import time
from dataclasses import dataclass

import numpy as np

from ..core.errors import PhysicsError, StoppedEarly
from ..parallel.launch import agree_on_errors
from ..parallel.reduce import vote_any
from ..storage.ensemble import read_rows, read_status

FLUSH_SECONDS = 5.0         # a killed launch loses at most this much, and the batches under way


@dataclass(frozen=True)
class Branch:
    """Replicas that follow the same protocol; `number` names its random numbers, `first` is the file's row of its replica 0."""
    name: str
    number: int
    first: int
    count: int


def branches(names, count):
    """One Branch of `count` replicas for each name, one after another in the file."""
    return [Branch(name, k, k * count, count) for k, name in enumerate(names)]


def batches(branch_list, size, done):
    """The work that is left: list of (branch, ids (n,) int64 ascending, n <= size) of the replicas that are not `done` (bool, by row of the file).
    A batch stays inside one aligned range of `size` replicas, so that a whole range is a leaf of the statistics."""
    found = []
    for branch in branch_list:
        left = np.flatnonzero(~done[branch.first:branch.first + branch.count]).astype(np.int64)
        for part in np.split(left, np.flatnonzero(np.diff(left // size)) + 1):
            if len(part):
                found.append((branch, part))
    return found


def leaf_ranges(branch, size):
    """[(first, last)] of a branch's replicas: the leaves of its statistics."""
    return [(k, min(k + size, branch.count)) for k in range(0, branch.count, size)]


def padded(ids, size):
    """ids filled up to a multiple of `size` with copies of the last one: kernels work on full vectors, the copies' rows are thrown away."""
    return np.concatenate([ids, np.full(-len(ids) % size, ids[-1], np.int64)])


def run_campaign(layout, file, branch_list, batch, work, statistics=None, stop=None, progress=None, flush_seconds=FLUSH_SECONDS):
    """Collective over layout.world. Runs every replica that `file` (EnsembleFile over layout.leader_comm; None on other ranks) does not hold yet.

    `work(comm, branch, ids) -> {dataset: rows (len(ids), ...)}`: Collective over `comm`, the ranks of one group; it may add
    "causes": {position in ids: str} of replicas that broke, and may raise PhysicsError for the whole batch.
    `statistics`: {name: leaf(rows, good) -> state with .merge(other)}, see `statistics`; `stop() -> bool` on any rank ends early;
    `progress(replicas done, replicas to do)` on rank 0.
    Returns (failed replicas, {branch name: {statistic: state}} the same on all ranks). Raises StoppedEarly after `stop`, with everything on disk.
    """
    world = layout.world
    done = world.bcast(np.array([one in ("complete", "failed") for one in read_status(file.path)[0]]) if world.rank == 0 else None)
    todo = batches(branch_list, batch, done)
    # each group gets neighbouring batches, whose rows go into the file in one piece
    shares = [todo[k * len(todo) // layout.n_groups:(k + 1) * len(todo) // layout.n_groups] for k in range(layout.n_groups)]
    total, leaves, told, finished, pending = int((~done).sum()), {}, time.monotonic(), 0, []
    rounds = max(len(share) for share in shares)
    for turn in range(rounds):
        if stop is not None and vote_any(world, stop()):
            _flush(file, pending)
            raise StoppedEarly(f"stopped early, {finished} of {total} replicas done in this launch; start the same command again to go on")
        if turn < len(shares[layout.group]):
            _one(layout.domain_comm, pending, *shares[layout.group][turn], batch, work, statistics, leaves)
        finished += sum(len(share[turn][1]) for share in shares if turn < len(share))
        late = world.bcast(time.monotonic() - told >= flush_seconds)
        if late or turn == rounds - 1:
            _flush(file, pending)
            told = time.monotonic()
        if progress is not None and world.rank == 0:
            progress(finished, total)
    world.Barrier()
    status, _ = world.bcast(read_status(file.path) if world.rank == 0 else None)
    path = world.bcast(file.path if world.rank == 0 else None)
    return status.count("failed"), _merged(layout, path, branch_list, batch, statistics or {}, leaves, np.array([one == "complete" for one in status]))


def _one(comm, pending, branch, ids, batch, work, statistics, leaves):
    """Collective over the group. One batch: computed, voted on, kept on the group's first rank until the next flush."""
    rows, problem = None, None
    try:
        rows = work(comm, branch, ids)
    except PhysicsError as error:
        problem = error
    try:
        agree_on_errors(comm, problem)          # ranks that saw nothing learn of it here, inside their own group
        causes = dict(rows.pop("causes", {}))
        causes = {**broken_rows(rows, len(ids)), **causes}
    except PhysicsError as error:
        rows, causes = {}, {k: str(error) for k in range(len(ids))}
    if comm.rank:
        return
    good = np.array([k not in causes for k in range(len(ids))])
    status, texts = ["complete" if one else "failed" for one in good], [causes.get(k, "") for k in range(len(ids))]
    for part in np.split(np.arange(len(ids)), np.flatnonzero(np.diff(ids) != 1) + 1):
        span = slice(part[0], part[-1] + 1)
        pending.append((int(branch.first + ids[part[0]]), {name: values[span] for name, values in rows.items()}, status[span], texts[span]))
    if len(ids) == min(batch, branch.count - int(ids[0]) // batch * batch) and ids[0] % batch == 0 and rows:
        leaves[branch.number, int(ids[0]) // batch] = {name: leaf(rows, good) for name, leaf in (statistics or {}).items()}


def _flush(file, pending):
    """Collective over the leaders; nothing on other ranks. Neighbouring batches of equal datasets are written as one range."""
    if file is None:
        pending.clear()
        return
    pending.sort(key=lambda one: one[0])
    at = 0
    while at < len(pending):
        end = at + 1
        while end < len(pending) and pending[end][0] == pending[end - 1][0] + len(pending[end - 1][2]) and pending[end][1].keys() == pending[at][1].keys():
            end += 1
        run = pending[at:end]
        for name in run[0][1]:
            file.write_range(run[0][0], name, np.concatenate([rows[name] for _, rows, _, _ in run]))
        causes = [text for one in run for text in one[3]]
        file.set_status_range(run[0][0], [word for one in run for word in one[2]], causes if any(causes) else None)
        at = end
    pending.clear()
    file.flush()


def broken_rows(rows, count):
    """{position: cause} of the replicas with a number that is not finite."""
    causes = {}
    for name, values in rows.items():
        if values.dtype.kind == "f":
            for k in np.flatnonzero(~np.isfinite(values.reshape(count, -1)).all(axis=1)):
                causes.setdefault(int(k), f"{name} is not finite")
    return causes


def _merged(layout, path, branch_list, batch, statistics, leaves, good):
    """Collective. {branch name: {statistic: state}}. Leaves that this launch did not compute come from the file; the tree is the same for all."""
    if not statistics:
        return {}
    world = layout.world
    known = set().union(*world.allgather(set(leaves)))
    wanted = [(branch, k, first, last) for branch in branch_list for k, (first, last) in enumerate(leaf_ranges(branch, batch))
              if (branch.number, k) not in known]
    for branch, k, first, last in wanted[world.rank::world.size]:
        rows = read_rows(path, branch.first + first, branch.first + last)
        leaves[branch.number, k] = {name: leaf(rows, good[branch.first + first:branch.first + last]) for name, leaf in statistics.items()}
    whole = {}
    for part in world.allgather(leaves):
        whole.update(part)
    return {branch.name: {name: tree_merge([whole[branch.number, k][name] for k in range(len(leaf_ranges(branch, batch)))]) for name in statistics}
            for branch in branch_list}


def tree_merge(states):
    """Neighbours are merged in pairs, then the pairs: a fixed tree, and an error that grows with the logarithm of the count."""
    while len(states) > 1:
        states = [states[k].merge(states[k + 1]) if k + 1 < len(states) else states[k] for k in range(0, len(states), 2)]
    return states[0]
