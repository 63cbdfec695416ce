"""Relaxation of a built structure in its fixed cell: the fast inertial relaxation engine."""
import numpy as np

from ..parallel.reduce import ordered_sum, vote_max
from .loop import settle_lists

FIRST, LARGEST = 0.1, 1.0       # step of the artificial dynamics of unit masses, angstrom/eV^(1/2)
MIXING, WAIT = 0.1, 5           # share of the force's direction; steps downhill before the step grows
REACH = 0.1                     # angstrom that an ion moves in one step at most


def relax(sim, steps, force):
    """Collective. Moves the ions of a Simulation downhill until no force component is above `force` (eV/angstrom), at most `steps` times. Velocities are 0
    afterwards. Returns (steps taken, largest force component eV/angstrom).

    FIRE: Bitzek, Koskinen, Gaehler, Moseler, Gumbsch, PRL 97, 170201 (2006), eqs. 1-2, with unit masses and a limited step."""
    state = sim.state
    state.velocity[:state.n_owned] = 0.0
    sim.rebuild()
    sim.evaluate(observe=False)
    step, mixing, downhill = FIRST, MIXING, 0
    for taken in range(steps + 1):
        n = state.n_owned
        velocity, pull = state.velocity[:n], state.force[:n]
        largest = float(vote_max(sim.comm, np.array([np.abs(pull).max(initial=0.0)]))[0])
        if not np.isfinite(largest):
            sim.report_not_finite(sim.step)
        if largest <= force or taken == steps:
            break
        power, squared, speed = ordered_sum(sim.comm, np.array([np.sum(pull * velocity), np.sum(pull**2), np.sum(velocity**2)]))
        if power > 0:
            velocity *= 1.0 - mixing
            velocity += mixing * np.sqrt(speed / squared) * pull
            downhill += 1
            if downhill > WAIT:
                step, mixing = min(1.1 * step, LARGEST), 0.99 * mixing
        else:
            velocity[:] = 0.0
            step, mixing, downhill = 0.5 * step, MIXING, 0
        velocity += step * pull
        move = step * velocity
        move *= np.minimum(1.0, REACH / np.maximum(np.linalg.norm(move, axis=1, keepdims=True), 1e-300))
        state.position[:n] += move
        settle_lists(sim, False)
        sim.evaluate(observe=False)
    state.velocity[:state.n_owned] = 0.0
    return taken, largest
