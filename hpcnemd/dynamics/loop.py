"""The time loop."""
import numpy as np

from ..core.random import stream_key
from ..kernels.integrate import close_step, half_kick, langevin_half, largest_displacement, open_step
from ..kernels.philox import normals
from ..parallel.domain import check_halo, refresh
from ..parallel.reduce import ordered_sum, vote_max


def advance(sim, until, observers=(), stop=None):
    """Collective. Step `sim` to step `until`, or to the end of the step at which any rank's `stop()` is true; returns True when stopped.

    One step, in its own words:
        thermostat half step (peculiar velocities)
        half kick; drive: project onto the current
        drift
        list still safe? (voted)   yes: refresh ghosts   no: migrate, sort, halo, build lists
        forces: mesh part, pair part; fold
        half kick; one reduction; drive: project; thermostat half step
        observers that are due
        stop? (voted with the lists)
    """
    votes = np.zeros(2)
    while sim.step < until:
        due = [watch for watch in observers if watch.due(sim.step + 1)]
        open_half(sim)
        stopped = settle_lists(sim, votes, stop is not None and stop())
        sim.evaluate(observe=any(watch.needs_energy for watch in due))
        close_half(sim)
        sim.step += 1
        for watch in observers:
            watch.every_step(sim)
        for watch in due:
            watch.observe(sim)
        if stopped:
            return True
    return False


def open_half(sim):
    """Thermostat half step, half kick, projection and drift, in one sweep over the particles."""
    shared, half = sim.shared, 0.5 * sim.timestep
    scale = thermostat_half(sim, 0)
    # J after the half kick is known before the sweep: the thermostat leaves it alone, and sum c F/m came with the last reduction
    middle = shared.current + half * shared.colour_force
    delta = sim.drive.impulse(middle, sim.colour.norm, half)
    sim.middle = middle + delta * sim.colour.norm
    sim.opening = delta
    state = sim.state
    open_step(state.n_owned, state.species, state.position, state.velocity, state.force, sim.inverse_mass, scale, shared.stream,
              delta * sim.colour.charge * sim.inverse_mass, sim.colour.axis, half, sim.timestep)


def close_half(sim):
    """Half kick, the reduction of the step, projection and thermostat half step; the ledger of the step."""
    state, shared, colour, half = sim.state, sim.shared, sim.colour, 0.5 * sim.timestep
    half_kick(state.n_owned, state.species, state.velocity, state.force, sim.inverse_mass, half, sim.sums)
    total = ordered_sum(sim.comm, np.append(sim.sums.ravel(), sim.heat_here))
    sim.heat_here[:] = 0.0
    shared.heat += total[-1]
    current = sim.share(total[:-1].reshape(sim.sums.shape))
    delta = sim.drive.impulse(current, colour.norm, half)
    if delta:
        shared.current = current + delta * colour.norm
        shared.stream = shared.stream + delta * colour.by_group(colour.counts * colour.charge) / np.where(
            colour.counts > 0, colour.by_group(colour.counts * colour.mass), 1.0)
    scale = thermostat_half(sim, 1)
    if delta or np.any(scale != 1.0):
        close_step(state.n_owned, state.species, state.velocity, scale, shared.stream, delta * colour.charge * sim.inverse_mass, colour.axis)
    impulse = sim.opening + delta
    shared.impulse += impulse
    # J is `middle` all through the drift: this is the field's work on the displacement, exactly
    shared.work += sim.middle * impulse
    shared.charge_moved += sim.middle * sim.timestep


def thermostat_half(sim, draw):
    """The scale (s,) of the peculiar velocities for this half step; kinetic energies and heat follow. Langevin acts here itself."""
    shared, kind = sim.shared, sim.thermostat.kind
    if kind == "none":
        return sim.ones
    if kind == "langevin":
        langevin(sim, draw)
        return sim.ones
    kinetic = float(shared.kinetic[sim.on].sum())
    factor = sim.thermostat.half_step(kinetic, 0.5 * sim.timestep)
    shared.heat += kinetic * (1.0 - factor * factor)
    scale = np.where(sim.on, factor, 1.0)
    shared.kinetic = shared.kinetic * scale**2
    return scale


def langevin(sim, draw):
    """Ornstein-Uhlenbeck half step; its heat is summed over ranks with the next reduction."""
    state, bath, n = sim.state, sim.thermostat, sim.state.n_owned
    if len(sim.noise) < n:
        sim.noise = np.zeros((state.capacity, 3))
    normals(*stream_key(sim.seed, "langevin", sim.replica), state.id[:n], sim.step, draw, sim.noise[:n])
    sim.noise[:n, state.box.dimensions:] = 0.0
    langevin_half(n, state.species, state.velocity, sim.noise, bath.keep, bath.spread, sim.colour.mass, sim.heat_here)


def settle_lists(sim, votes, stop):
    """Collective. Refresh the ghosts while the lists are safe, rebuild them otherwise; returns True when any rank wants to stop.

    Safe: no particle has moved half a skin since the lists were made, so that no two have come closer by a whole one."""
    state = sim.state
    votes[0] = largest_displacement(state.n_owned, state.position, sim.reference)
    votes[1] = stop
    worst = vote_max(sim.comm, votes)
    if not worst[0] < max(sim.domain.halo_width, sim.forces.skin) ** 2:
        check_halo(sim.domain, state, sim.reference, sim.forces.skin, sim.step + 1)     # names the particles
    if 2.0 * np.sqrt(worst[0]) < sim.forces.skin:
        refresh(sim.domain, state)
    else:
        sim.rebuild()
    return worst[1] > 0
