"""Are the lists still safe? Every pair within the cutoff is in them until two particles have come closer by a whole skin."""
import numpy as np

from ..core.errors import PhysicsError
from ..kernels.packing import largest_displacement2
from .launch import agree_on_errors
from .migration import name_ids
from .reduce import vote_max


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
