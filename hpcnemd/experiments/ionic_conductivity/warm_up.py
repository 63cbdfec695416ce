"""Compiles every kernel of a run once, on a few of its particles."""
from dataclasses import replace

import numpy as np

from ...core.state import State
from ...dynamics.drive import Drive
from ...dynamics.loop import advance
from ...dynamics.observers import Series
from ...dynamics.simulation import Simulation
from ...dynamics.thermostat import make_thermostat
from ...parallel.serial import SerialComm
from ..system import domain_of, forces_of

FEW = 24


def warm_up(prepared):
    """A few steps on one rank, with the run's own force field, mesh, drive and thermostat and a few of its particles."""
    system, deck = prepared.system, prepared.deck
    few = np.unique(np.linspace(0, len(system.species) - 1, FEW).astype(int))
    counts = np.bincount(system.species[few], minlength=len(system.kinds.names))
    state = State.of(system.box, system.kinds, system.species[few], system.position[few])
    domain = domain_of(system, SerialComm(), (1, 1, 1))
    forces = forces_of(system, domain, counts)
    colour = replace(prepared.colour, counts=counts.astype(np.float64))
    sim = Simulation(state, domain, forces, colour, 1e-3)
    bath = deck.run.thermostat
    thermostat, on = make_thermostat(bath.kind, deck.run.temperature, prepared.colour, False, deck.run.timestep, bath.time, bath.chain, bath.group)
    sim.enter_phase(Drive(), thermostat, on)
    state.velocity[:state.n_owned] = 1e-6
    sim.start()
    advance(sim, 3, [Series(2, 0, 4, len(counts))])
