"""Compiles every kernel of a run once, on a few of its particles."""
from dataclasses import replace

import numpy as np

from ...core.state import State
from ...dynamics.drive import Drive
from ...dynamics.loop import advance
from ...dynamics.observers import Series
from ...dynamics.simulation import Simulation
from ...dynamics.thermostat import make_thermostat
from ...forces.evaluator import Forces
from ...parallel.domain import Domain
from ...parallel.serial import SerialComm

FEW = 24


def warm_up(prepared):
    """A few steps on one rank, with the run's own force field, mesh, drive and thermostat and a few of its particles."""
    system, deck = prepared.system, prepared.deck
    few = np.unique(np.linspace(0, len(system.species) - 1, FEW).astype(int))
    counts = np.bincount(system.species[few], minlength=len(system.kinds.names))
    state = State.of(system.box, system.kinds, system.species[few], system.position[few])
    domain = Domain(SerialComm(), system.box, (1, 1, 1), system.cutoff + system.skin)
    forces = Forces(system.forcefield, system.kinds, system.box, domain, system.cutoff, system.skin, system.truncation, system.coulomb, counts=counts,
                    precision=system.precision)
    colour = replace(prepared.colour, counts=counts.astype(np.float64))
    sim = Simulation(state, domain, forces, colour, 1e-3)
    bath = deck.run.thermostat
    thermostat, on = make_thermostat(bath.kind, deck.run.temperature, prepared.colour, False, deck.run.timestep, bath.time, bath.chain, bath.group)
    sim.enter_phase(Drive(), thermostat, on)
    state.velocity[:state.n_owned] = 1e-6
    sim.start()
    advance(sim, 3, [Series(2, 0, 4, len(counts))])
