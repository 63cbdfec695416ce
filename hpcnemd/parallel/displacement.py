"""Are the lists still safe? Every pair within the cutoff is in them until two particles have come closer by a whole skin."""
import math

import numpy as np

from ..core.errors import PhysicsError
from ..kernels.approach import ROUNDING, far_rows, newly_near
from ..kernels.packing import largest_displacement2
from .launch import agree_on_errors
from .migration import name_ids
from .persistent import ROWS
from .reduce import Parts, gathered, vote_any, vote_max
from .shared_memory import channels_of


MOST = 2048             # particles of all ranks that may be looked at one by one,
SOME = 256              # of a rank, that all send to all at once
PAIRS = 8               # and pairs of them for each particle of all: some per cent of the time of a step


def lists_hold(domain, state, reference, near, radius, moved2=None):
    """Collective over domain.comm. Whether lists with the list `radius`, made at the positions `reference` (n_owned, 3) in the same box, hold every pair that is now closer
    than `near` (angstrom). Of a pair that they miss, both particles have moved, by radius - near together, and while few have moved so far, their pairs are looked at. So
    lists live longer: the fastest particle of many is much faster than those which it meets. False where it cannot be told without too much work.
    `moved2`: the square of the largest distance from `reference` of all ranks, where it is known. Each rank looks at the pairs of its own particles."""
    comm, box = domain.comm, state.box
    if moved2 is None:
        moved2 = vote_max(comm, largest_displacement2(state.position, reference, state.n_owned))
    least = (radius - near) * (1.0 - ROUNDING) - math.sqrt(moved2)
    room = MOST if comm.size == 1 else MOST // comm.size
    if not least > 0.0 or room == 0:
        return False
    rows = np.empty((room, 6))
    count = far_rows(state.n_owned, state.position, reference, least, rows)
    begin = 0
    if comm.size > 1:
        counts, parts = _gather_rows(comm, rows, count)
        if max(counts) > room:
            return False
        rows, begin = np.concatenate([part[:k] for part, k in zip(parts, counts)]), sum(counts[:comm.rank])
    elif count > room:
        return False
    lengths = np.where(np.arange(3) < box.dimensions, box.lengths, 1e300)
    return not vote_any(comm, newly_near(rows, len(rows) if comm.size > 1 else count, begin, begin + count, lengths, box.tilts, near, radius, PAIRS * max(domain.expected[0], MOST) // comm.size))


def _gather_rows(comm, rows, count):
    """Collective. [counts] and the first rows of all ranks; rows[:count] (room, 6) are those of this one. No rows where a count is more than there is room."""
    channels, first = channels_of(comm), []
    if channels.everyone(comm) and 8 + 48 * SOME <= channels.size:          # few rows come along with their number
        few = channels.gatherers.get(ROWS)
        if few is None:
            few = channels.gatherers[ROWS] = Parts(comm, np.zeros(1 + 6 * SOME), ROWS)
        few.mine[0] = count
        few.mine[1:].reshape(SOME, 6)[:count] = rows[:min(count, SOME)]       # no more than there is room for
        few.send()
        parts = few.receive()
        counts, first = parts[:, 0].astype(int).tolist(), parts[:, 1:].reshape(comm.size, SOME, 6)
        if max(counts) <= SOME:
            return counts, first
    else:
        counts = gathered(comm, np.array([count])).ravel().tolist()
    most = max(counts)
    if most > len(rows):
        return counts, first
    parts = np.empty((comm.size, most, 6))
    comm.Allgather(rows[:most], parts)
    return counts, parts


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
        problem = PhysicsError(f"step {step}: particles {name_ids(state.id[:n][bad])} moved further than the halo width of {limit:.4g} angstrom since "
                               f"the lists were built ({worst}): take a smaller timestep, or look for overlaps")
    agree_on_errors(domain.comm, problem)
