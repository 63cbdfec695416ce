"""Maxwell-Boltzmann velocities, drawn by particle id: the same for any number of ranks."""
import numpy as np

from ..core.random import stream_key
from ..core.units import BOLTZMANN
from ..kernels.philox import normals
from ..parallel.reduce import ordered_sum


def draw_velocities(comm, state, temperature, seed, replica, draw=0):
    """Collective. Velocities of the owned rows at `temperature` (K): no total momentum, kinetic energy exactly (d N - d) kT / 2."""
    n, dimensions = state.n_owned, state.box.dimensions
    mass = state.mass()[:, None]
    velocity = np.empty((n, 3))
    normals(*stream_key(seed, "velocities", replica), state.id[:n], 0, draw, velocity)
    velocity *= np.sqrt(BOLTZMANN * temperature / mass)
    velocity[:, dimensions:] = 0.0
    moments = ordered_sum(comm, np.concatenate([(mass * velocity).sum(0), [mass.sum(), n]]))
    velocity[:, :dimensions] -= moments[:dimensions] / moments[3]
    kinetic = ordered_sum(comm, np.array([0.5 * np.sum(mass * velocity**2)]))[0]
    degrees = dimensions * (moments[4] - 1)
    if kinetic > 0:
        velocity *= np.sqrt(0.5 * degrees * BOLTZMANN * temperature / kinetic)
    state.velocity[:n] = velocity
