"""When may a run stop? A rule that looks at its blocks and at nothing else, so that it is the same however often the run was interrupted.

A driven run stops on the entropy that it produced, 2/eps^2 in linear response, not on the conductivity: the first passage of a sum through a level leaves
the mean time to it unbiased (Wald's identity), and with it sigma = J0 time / (V sum of impulses) at constant current; at constant field the bias is eps^2,
a twentieth of the error at 5 %. The error from the blocks themselves must agree; it is asked at a few levels only, because stopping where an error happens
to be small makes errors too small."""
import math

import numpy as np

from ..core.units import BOLTZMANN
from .conductivity import driven
from .planning import FEWEST_BLOCKS, STEP, entropy_for


def level(amount, first):
    """Number of the last look that `amount` has passed, -1 before the `first`."""
    return math.floor(math.log(amount / first) / math.log(STEP) + 1e-9) if amount >= first else -1


def look_is_due(work, temperature, error):
    """Whether the last block of `work` (replicas, blocks) eV passes a look. `temperature` K, `error`: the relative one that is wished."""
    work = np.asarray(work)
    made = np.maximum.accumulate(work.sum(axis=0).cumsum()) / (BOLTZMANN * temperature)
    passed = [level(made[k - 1], entropy_for(error)) if k and k * len(work) >= FEWEST_BLOCKS else -1 for k in (work.shape[1], work.shape[1] - 1)]
    return passed[0] > passed[1]


def look_is_due_at_rest(replicas, blocks):
    """The same where nothing is driven: the number of blocks counts."""
    return level(replicas * blocks, FEWEST_BLOCKS) > level(replicas * (blocks - 1), FEWEST_BLOCKS)


def driven_error(mode, impulse, current, block, volume, memory):
    """(relative error of the conductivity, whether its blocks are independent); (replicas, blocks) arrays as for `conductivity.driven`."""
    outcome = driven(mode, list(np.asarray(impulse)), list(np.asarray(current)), block, volume, memory)
    return outcome.sigma.relative, bool(outcome.level.independent) and outcome.response.low * outcome.response.high > 0


def stopping_block(mode, impulse, current, work, block, volume, temperature, error, memory):
    """Blocks (of each replica) after which a driven run with these blocks (replicas, B) stops; None where it goes on beyond them."""
    for count in range(1, np.shape(work)[1] + 1):
        if look_is_due(np.asarray(work)[:, :count], temperature, error):
            reached, sound = driven_error(mode, np.asarray(impulse)[:, :count], np.asarray(current)[:, :count], block, volume, memory)
            if sound and reached <= error:
                return count
    return None
