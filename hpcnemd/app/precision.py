"""What mixed precision costs on a deck's own ions: force error and energy drift, measured beside double precision on one rank."""
from dataclasses import replace

import numpy as np

from ..core.units import BOLTZMANN
from ..dynamics.loop import advance
from ..dynamics.observers import Observer
from ..dynamics.velocities import draw_velocities
from ..experiments.system import simulation_of
from ..parallel.domain import gather_sorted, scatter
from ..parallel.serial import SerialComm

ATOM_STEPS = 1e6            # of each of the two short runs: a few seconds
FEWEST, MOST = 60, 500      # their steps
EVERY = 2                   # steps between readings of the energy
PARTS = 5                   # of a run, whose average energies give the drift and its error


class Energy(Observer):
    """Total energy (eV) every few steps."""
    needs_energy = True

    def __init__(self):
        super().__init__(EVERY)
        self.values = []

    def observe(self, sim):
        self.values.append(sim.energy)


def precision_lines(prepared):
    """Lines for `check`: the deck's structure is shaken by a short run at constant energy in either precision, from the same start and velocities."""
    run, ions = prepared.deck.run, len(prepared.system.species)
    steps = int(np.clip(ATOM_STEPS / ions, FEWEST, MOST)) // (EVERY * PARTS) * EVERY * PARTS
    double, _ = _isolated(prepared, "double", steps)
    mixed, position = _isolated(prepared, "mixed", steps)
    error, scale = force_error(prepared, position)
    yield (f"force error against double precision: rms {np.sqrt((error**2).sum(1).mean()):.1e}, largest component {np.abs(error).max():.1e} eV/angstrom, "
           f"of rms forces of {scale:.3g} eV/angstrom (after {steps} steps)")
    yield f"energy drift over {steps} steps of {run.timestep:g} fs at constant energy from {run.temperature:g} K, per ion and ns:"
    for name, energy in (("mixed", mixed), ("double", double), ("mixed less double, step by step", mixed - double)):
        slope, bar = drift(energy, EVERY * run.timestep)
        slope, bar = 1e9 * slope / ions, 1e9 * bar / ions
        yield f"  {name}: {slope:.2g} +- {bar:.1g} meV = {slope / (3e3 * BOLTZMANN):.2g} +- {bar / (3e3 * BOLTZMANN):.1g} K"


def _simulation(prepared, precision, position):
    """A Simulation of one rank with these positions (n, 3), by id, no velocities, thermostat or drive."""
    system, run = prepared.system, prepared.deck.run
    sim = simulation_of(replace(system, precision=precision), prepared.colour, SerialComm(), (1, 1, 1), run.timestep, run.seed, 0)
    scatter(sim.domain, sim.state, {"species": system.species, "position": position})
    return sim


def _isolated(prepared, precision, steps):
    """(total energies, last positions (n, 3)) of a run at constant energy."""
    run, sim = prepared.deck.run, _simulation(prepared, precision, prepared.system.position)
    draw_velocities(sim.comm, sim.state, run.temperature, run.seed, 0)
    sim.start()
    energy = Energy()
    advance(sim, steps, [energy])
    return np.array(energy.values), gather_sorted(sim.comm, sim.state, ("position",))["position"]


def force_error(prepared, position):
    """(mixed minus double forces (n, 3), rms force) at these positions, eV/angstrom."""
    found = []
    for precision in ("mixed", "double"):
        sim = _simulation(prepared, precision, position)
        sim.rebuild()
        sim.evaluate(observe=False)
        found.append(gather_sorted(sim.comm, sim.state, ("force",))["force"])
    return found[0] - found[1], float(np.sqrt((found[1]**2).sum(1).mean()))


def drift(energy, interval):
    """(slope of energies (n,) taken every `interval` fs, its standard error), eV/fs: a line through the averages of PARTS equal parts."""
    means = energy[:len(energy) // PARTS * PARTS].reshape(PARTS, -1).mean(axis=1)
    time = np.arange(PARTS) * (len(energy) // PARTS) * interval
    slope, start = np.polyfit(time, means, 1)
    rest = means - start - slope * time
    return float(slope), float(np.sqrt(np.sum(rest**2) / (PARTS - 2) / np.sum((time - time.mean())**2)))
