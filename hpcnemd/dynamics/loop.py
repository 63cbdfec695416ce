"""The time loop."""
import math

import numpy as np

from ..core.random import stream_key
from ..kernels import entry
from ..kernels.integrate import half_kick, langevin_half, largest_displacement
from ..kernels.philox import normals
from ..kernels.step_numbers import HEAT
from ..kernels.whole_step import close_shared, close_whole, open_whole
from ..parallel.domain import check_halo, refresh
from ..parallel.reduce import ordered_sum
from .stretch import hurry
from .sweeps import Sweeps, awake


def advance(sim, until, observers=(), stop=None):
    """Collective. Step `sim` to step `until`, or to the end of the step before which any rank's `stop()` was true (it is not asked within a stretch); returns True when stopped.

    One step, in its own words:
        thermostat half step (peculiar velocities)
        half kick; drive: project onto the current
        drift
        list still safe? (voted)   yes: refresh ghosts   no: migrate, sort, halo, build lists
        forces: charges on the mesh set out, pair part, forces on ghosts set out, mesh part, both arrive
        half kick; one reduction, the net force of the mesh in it; drive: project; thermostat half step
        barostat, where one is due: strain the cell; lists and forces once more
        observers that are due
        stop? (voted with the lists)
    Where steps are short, several are made in one call before each (`stretch.hurry`).
    """
    if sim.sweeps is None and Sweeps.wanted(sim):
        sim.sweeps = Sweeps(sim, sim.forces.team)
    while sim.step < until:
        asked = stop is not None and stop()
        first, begun = sim.step, hurry(sim, until, observers, asked)
        if sim.step > first and not begun:
            continue
        due = [watch for watch in observers if watch.due(sim.step + 1)]
        stopped = False if begun else settle_lists(sim, asked, open_half(sim))
        strain = sim.barostat is not None and sim.barostat.due(sim.step + 1)
        sim.evaluate(strain or any(watch.needs_energy for watch in due), sim.unsettled)
        close_half(sim)
        sim.step += 1
        if strain:
            sim.barostat.move(sim)
        for watch in observers:
            watch.every_step(sim)
        for watch in due:
            watch.observe(sim)
        if stopped:
            return True
    return False


def open_half(sim):
    """Thermostat half step, half kick, projection and drift, in one sweep over the particles; returns the square of how far one has moved since the lists."""
    if sim.thermostat.kind == "langevin":
        langevin(sim, 0)
    kernel, given = opening_call(sim)
    if sim.opening is None:
        sim.opening = entry(kernel, *given)
    with awake(sim):
        return sim.opening(*given)


def opening_call(sim):
    """kernels.whole_step.open_whole with its arguments, or what threads do in its place."""
    if sim.sweeps is not None:
        return sim.sweeps.opening()
    shared, bath, colour, drive, state = sim.shared, sim.thermostat, sim.colour, sim.drive, sim.state
    return open_whole, (state.n_owned, state.species, state.position, state.velocity, state.force, sim.inverse_mass, sim.scale, shared.stream, sim.kick, colour.axis,
                        sim.timestep, drive.code, drive.value, sim.norm, bath.code, bath.numbers, bath.velocity, bath.mass, sim.on, colour.mass, colour.charge,
                        shared.kinetic, shared.numbers, sim.reference, sim.stretch)


def close_half(sim):
    """Half kick, the reduction of the step, projection and thermostat half step; the ledger of the step."""
    shared, bath = sim.shared, sim.thermostat
    if bath.kind == "langevin":         # heat of the half step before
        shared.numbers[HEAT] += ordered_sum(sim.comm, sim.heat_here)[0]
        sim.heat_here[:] = 0.0
    with awake(sim):
        for kernel, given in kick_calls(sim):
            kernel(*given)
    if sim.comm.size > 1:
        sim.summed.send()
        sim.total[:] = sim.summed.sum()
    kernel, given = closing_call(sim)
    if sim.closing is None:
        sim.closing = entry(kernel, *given)
    with awake(sim):
        finite = sim.closing(*given)
    if not finite:
        sim.report_not_finite(sim.step + 1)
    if bath.kind == "langevin":
        langevin(sim, 1)


def closing_call(sim):
    """kernels.whole_step.close_whole with its arguments; on several ranks close_shared, after `kick_calls` and the sum over ranks; or what threads do in its place, after `kick_calls`."""
    shared, bath, colour, drive, state = sim.shared, sim.thermostat, sim.colour, sim.drive, sim.state
    others = (sim.unsettled is not None, sim.scale, shared.stream, sim.kick, colour.axis, sim.timestep, drive.code, drive.value, sim.norm, bath.code, bath.numbers, bath.velocity, bath.mass, sim.on,
              colour.mass, colour.charge, colour.counts, colour.group, sim.group_mass, sim.group_charge, shared.kinetic, shared.numbers)
    if sim.sweeps is not None:
        return sim.sweeps.closing(others)
    rows = state.n_owned, state.species, state.velocity, state.force
    return (close_whole, (*rows, sim.inverse_mass, sim.sums, sim.reduced, *others)) if sim.comm.size == 1 else (close_shared, (*rows, sim.total, *others))


def kick_calls(sim):
    """[(kernel, arguments)] of the second half kick where the closing of the step does not make it itself."""
    if sim.sweeps is not None:
        return [sim.sweeps.kicking()]
    if sim.comm.size == 1:
        return []
    return [(half_kick, (sim.state.n_owned, sim.state.species, sim.state.velocity, sim.state.force, sim.inverse_mass, 0.5 * sim.timestep, sim.sums))]


def langevin(sim, draw):
    """Ornstein-Uhlenbeck half step; its heat is summed over ranks with the next reduction."""
    state, bath, n = sim.state, sim.thermostat, sim.state.n_owned
    if len(sim.noise) < n:
        sim.noise = np.zeros((state.capacity, 3))
    normals(*stream_key(sim.seed, "langevin", sim.replica), state.id[:n], sim.step, draw, sim.noise[:n])
    sim.noise[:n, state.box.dimensions:] = 0.0
    langevin_half(n, state.species, state.velocity, sim.noise, bath.keep, bath.spread, sim.colour.mass, sim.heat_here)


def settle_lists(sim, stop, moved=None, voted=False):
    """Collective. Refresh the ghosts while the lists are safe, rebuild them otherwise; returns True when any rank wants to stop.

    Safe: no particle has moved half a skin since the lists were made, so that no two have come closer by a whole one; or some have, and no pair is missing in the lists
    (`Simulation.renew`). Motion that a strain of the cell has made is counted by what it takes from the skin.
    `moved`: what `open_half` returned, where nothing has moved after it; `voted`: that is of all ranks, nobody wants to stop, and ghosts of other ranks are where they should be."""
    state, images = sim.state, not sim.forces.follows_images
    if moved is None:
        moved = largest_displacement(state.n_owned, state.position, sim.reference, sim.stretch)
    if sim.comm.size > 1 and not voted:             # ghosts travel while the votes are counted, in vain where the lists turn out to be too old
        sim.vote.mine[:] = moved, stop
        sim.vote.send()
        refresh(sim.domain, state, images)
        moved, stop = sim.vote.largest().tolist()
    closer, safe = 2.0 * math.sqrt(moved), sim.safe_skin
    kept = closer < safe
    if not kept:
        if not moved < max(sim.domain.halo_width, sim.forces.skin) ** 2:
            check_halo(sim.domain, state, sim.reference * sim.stretch, sim.forces.skin, sim.step + 1)     # names the particles
        kept = sim.renew(moved)
        if not kept:
            sim.rebuild()
        closer, safe = 0.0, sim.safe_skin
    if kept and sim.comm.size == 1:
        refresh(sim.domain, state, images)
    sim.spent = closer + sim.forces.skin - safe
    return stop > 0
