"""Are the lists still safe? Every pair within the cutoff is in them until two particles have come closer by a whole skin."""
import math

import numpy as np

from ..core.errors import PhysicsError
from ..kernels.approach import ROUNDING, far_rows, newly_near
from ..kernels.packing import largest_displacement2
from .launch import agree_on_errors
from .migration import name_ids
from .persistent import ROWS
from .reduce import Parts, vote_any, vote_max


MOST, MANY = 2048, 3    # particles of all ranks that may be looked at one by one, and so are one in MANY of them at most,
PAIRS = 8               # and pairs of them for each particle of all: some per cent of the time of a step


def lists_hold(domain, state, reference, near, radius, moved2=None):
    """Collective over domain.comm. Whether lists with the list `radius`, made at the positions `reference` (n_owned, 3) in the same box, hold every pair that is now closer
    than `near` (angstrom). Of a pair that they miss, both particles have moved, by radius - near together, and while few have moved so far, their pairs are looked at. So
    lists live longer: the fastest particle of many is much faster than those which it meets. False where it cannot be told without too much work.
    `moved2`: the square of the largest distance from `reference` of all ranks, where it is known. Each rank looks at the pairs of its own particles."""
    comm, box = domain.comm, state.box
    if moved2 is None:
        moved2 = vote_max(comm, largest_displacement2(state.position, reference, state.n_owned))
    least, room = (radius - near) * (1.0 - ROUNDING) - math.sqrt(moved2), min(MOST, domain.expected[0] // MANY) // comm.size
    if not least > 0.0 or room == 0:
        return False
    if domain.sight is None or domain.sight.mine.size != 1 + 6 * room:
        domain.sight = Parts(comm, np.zeros(1 + 6 * room), ROWS)
    far_rows(state.n_owned, state.position, reference, least, domain.sight.mine)
    domain.sight.send()
    lengths = box.lengths if box.dimensions == 3 else np.where(np.arange(3) < box.dimensions, box.lengths, 1e300)
    return not vote_any(comm, newly_near(domain.sight.receive(), comm.rank, lengths, box.tilts, near, radius, PAIRS * max(domain.expected[0], MOST) // comm.size))


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
