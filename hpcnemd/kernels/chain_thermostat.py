"""Half step of a Nose-Hoover chain: Martyna, Tuckerman, Tobias, Klein, Mol. Phys. 87, 1117 (1996), Suzuki-Yoshida weights of fourth order."""
import math

from . import inner


_OUTER = 1.0 / (2.0 - 2.0 ** (1.0 / 3.0))
_WEIGHTS = (_OUTER, 1.0 - 2.0 * _OUTER, _OUTER)


@inner
def _push(velocity, mass, k, kinetic, degrees, kt, step):
    """Velocity of link k: half of its force, between two halves of the drag of the next link, over `step`."""
    force = 2.0 * kinetic - degrees * kt if k == 0 else mass[k - 1] * velocity[k - 1] ** 2 - kt
    if k + 1 < velocity.shape[0]:
        drag = math.exp(-velocity[k + 1] * 0.5 * step)
        velocity[k] = (velocity[k] * drag + step * force / mass[k]) * drag
    else:
        velocity[k] += step * force / mass[k]


@inner
def chain_half_step(velocity, mass, kinetic, degrees, kt, half_step):
    """Moves the chain velocities (chain,) 1/fs by `half_step` fs; returns the factor of the peculiar velocities whose kinetic energy is `kinetic` eV."""
    scale = 1.0
    last = velocity.shape[0] - 1
    for weight in _WEIGHTS:
        step = weight * half_step
        for k in range(last, -1, -1):
            _push(velocity, mass, k, kinetic, degrees, kt, 0.5 * step)
        factor = math.exp(-velocity[0] * step)
        scale *= factor
        kinetic *= factor * factor
        for k in range(last + 1):
            _push(velocity, mass, k, kinetic, degrees, kt, 0.5 * step)
    return scale
