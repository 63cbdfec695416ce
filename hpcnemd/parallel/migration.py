"""Ownership: particles move to the rank whose brick holds them, and none may be missing afterwards.

All ranks of the replica hear how many go where, and leavers travel by one message from each rank to each that gets any: right however far a particle went, and it happens once
per list build only, where its cost (a few microseconds at the rank counts of one replica) is small beside the build.
"""
import math

import numpy as np

from ..core.errors import PhysicsError
from ..kernels.packing import LEAVER, cell_keys, count_broken, count_leavers, find_owners, id_sums, order_rows, pack_leavers, settle_arrivals, take_rows, wrap_rows
from .launch import agree_on_errors
from .reduce import gathered, ordered_sum

CELL = 4                                    # particles that a cell holds where they are spread evenly: their rows lie together in memory, as their slots do in the lists
TURNS = 2 ** 30                             # image counts are int32
TAG = 14
SHOWN = 10                                  # ids named in a message


def migrate(domain, state, step=0):
    """Collective over domain.comm. Wraps the owned positions, moves every particle to the rank that owns its place, drops the ghosts.

    Afterwards the owned rows are ordered by cells of a few particles (x slowest) and by id inside a cell, so the order depends on the places
    only, and all forces are 0. `position + box.translation(image)` is unchanged to rounding. Raises PhysicsError on all ranks, naming `step` and the ids, where
    a position or velocity is not finite, or where a particle is missing or there twice.
    """
    n = state.n_owned
    state.n_ghost = 0
    problem = broken_rows(domain, state, step)
    if domain.size == 1:
        if problem:
            raise PhysicsError(problem)
        wrap_owned(state)
    else:
        owner = np.full(n, domain.rank, np.int64)
        if not problem:
            wrap_owned(state)
            find_owners(state.box.upright(state.position[:n]), n, *domain.cuts, owner)
        _move(domain, state, owner, problem)
    sort_rows(domain, state)
    count_particles(domain, state, step)


def wrap_owned(state):
    """Owned positions into the cell, image counts along."""
    if state.box.tilted:
        state.box.wrap(state.position[:state.n_owned], state.image[:state.n_owned])
    else:
        wrap_rows(state.position, state.image, state.n_owned, state.box.lengths, state.box.dimensions)


def broken_rows(domain, state, step):
    """A message that names the particles whose numbers are no places or velocities, or an empty one."""
    n, limit = state.n_owned, TURNS * domain.box.lengths
    if not count_broken(state.position, state.velocity, n, limit):
        return ""
    good = np.all(np.abs(state.position[:n]) < limit, axis=1) & np.all(np.isfinite(state.velocity[:n]), axis=1)
    return f"step {step}: positions or velocities are not finite (or beyond {TURNS} box lengths): particles {name_ids(state.id[:n][~good])}"


def name_ids(ids):
    ids = np.sort(np.asarray(ids))
    return "id " + ", ".join(str(one) for one in ids[:SHOWN]) + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")


def _move(domain, state, owner, problem):
    """Collective. Sends the rows with another owner; those that arrive take their places, in no order. A rank with a problem sends counts of -1."""
    comm, n = domain.comm, state.n_owned
    sent = np.empty(comm.size, np.int64)
    leaving = count_leavers(owner, comm.rank, sent)
    if problem:
        sent[:] = -1
    come = gathered(comm, sent)[:, comm.rank].tolist()
    if min(come) < 0:
        agree_on_errors(comm, PhysicsError(problem) if problem else None)
    hole, record = np.empty(leaving, np.int64), np.empty((leaving, LEAVER))
    pack_leavers(owner, comm.rank, sent, state.id, state.species, state.position, state.velocity, state.image, hole, *_views(record))
    arrivals = exchange_rows(comm, record, sent.tolist(), come)
    end = n - leaving + len(arrivals)
    state.reserve(end)
    settle_arrivals(n, hole, *_views(arrivals), state.id, state.species, state.position, state.velocity, state.image)
    state.n_owned = end


def _views(record):
    return record, record.view(np.int64), record.view(np.int32)


def exchange_rows(comm, rows, sent, come):
    """Collective. `rows` (n, k) float64, ordered by target rank, sent[r] of them for rank r; returns what came, come[r] from rank r, ordered by source rank. No message where there is nothing
    to send."""
    received, requests, at = np.empty((sum(come), rows.shape[1])), [], 0
    for rank, count in enumerate(come):
        if count:
            requests.append(comm.Irecv(received[at:at + count], rank, TAG))
        at += count
    at = 0
    for rank, count in enumerate(sent):
        if count:
            requests.append(comm.Isend(rows[at:at + count], rank, TAG))
        at += count
    for request in requests:
        request.Wait()
    return received


def starts(counts):
    return np.concatenate(([0], np.cumsum(counts)[:-1]))


def sort_rows(domain, state):
    """Orders the owned rows by cell, then id; forces become 0."""
    n, extent, dimensions = state.n_owned, (domain.upper - domain.lower).tolist(), domain.box.dimensions
    cell = (CELL * math.prod(extent[:dimensions]) / max(n, 1))**(1 / dimensions)
    while True:
        counts = [max(1, round(length / cell)) if axis < dimensions else 1 for axis, length in enumerate(extent)]
        if math.prod(counts) <= 8 * (n + 64):
            break
        cell *= 2.0                         # a vast box of few particles
    key, order, start = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(math.prod(counts) + 1, np.int64)
    per_length = np.array([number / length for number, length in zip(counts, extent)])
    cell_keys(state.box.upright(state.position[:n]), n, domain.lower, per_length, np.array(counts, np.int64), key)
    order_rows(key, state.id, n, start, order)
    take_rows(order, n, state.id, state.species, state.position, state.velocity, state.image)
    state.force[:n] = 0.0


def count_particles(domain, state, step=0):
    """Collective. Raises PhysicsError on all ranks unless the particles are those of the last time (of which domain.expected tells)."""
    ids = state.id[:state.n_owned]
    total = np.empty(3, np.int64)
    id_sums(state.id, state.n_owned, total)
    total = tuple(ordered_sum(domain.comm, total).tolist())
    if domain.expected is not None and total != domain.expected:
        before = domain.comm.gather(domain.known_ids)
        now = domain.comm.gather(ids.copy())
        agree_on_errors(domain.comm, PhysicsError(_difference(before, now, step)) if domain.rank == 0 else None)
    domain.expected, domain.known_ids = total, ids.copy()


def _difference(before, now, step):
    before, (now, times) = np.concatenate(before), np.unique(np.concatenate(now), return_counts=True)
    parts = [f"{word} {name_ids(ids)}" for word, ids in (("lost", np.setdiff1d(before, now)), ("new", np.setdiff1d(now, before)),
                                                      ("more than once", now[times > 1])) if len(ids)]
    return f"step {step}: {len(before)} particles became {int(times.sum())}: " + "; ".join(parts)
