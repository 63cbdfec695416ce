"""Simulations for physics tests, built from the library as the experiment builds them."""
import numpy as np

from hpcnemd.core.state import State
from hpcnemd.dynamics.colour import Colour
from hpcnemd.dynamics.drive import Drive
from hpcnemd.dynamics.loop import advance
from hpcnemd.dynamics.observers import Observer
from hpcnemd.dynamics.simulation import Simulation
from hpcnemd.dynamics.thermostat import NoThermostat, make_thermostat
from hpcnemd.dynamics.velocities import draw_velocities
from hpcnemd.experiments.structures import load_structure
from hpcnemd.experiments.system import prepare_system
from hpcnemd.experiments.tables import StructureTable
from hpcnemd.forces.evaluator import Forces
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.parallel.domain import Domain, scatter
from hpcnemd.parallel.layout import choose_grid
from hpcnemd.parallel.serial import SerialComm


def system_of(build, forcefield, supercell=(1, 1, 1), **options):
    return prepare_system(load_structure(StructureTable(build=build, supercell=supercell)), load_forcefield(forcefield), **options)


def simulation(system, temperature, timestep, mobile="all", comm=None, seed=1, grid=None, path="auto", threads=1):
    """A Simulation at equilibrium with velocities drawn, not started; `mobile` None: nothing carries a charge."""
    comm = comm or SerialComm()
    domain = Domain(comm, system.box, grid or choose_grid(comm.size, system.box.lengths), system.cutoff + system.skin)
    state = State.empty(system.box, system.kinds)
    scatter(domain, state, {"species": system.species, "position": system.position})
    forces = Forces(system.forcefield, system.kinds, system.box, domain, system.cutoff, system.skin, system.truncation, system.coulomb,
                    path=path, counts=system.counts, precision=system.precision, threads=threads)
    draw_velocities(comm, state, temperature, seed, 0)
    if mobile is None:
        s = len(system.counts)
        colour = Colour(np.asarray(system.counts, float), system.kinds.mass, np.zeros(s), np.zeros(s, np.int64), np.ones(s, bool), np.array([1.0, 0.0, 0.0]))
    else:
        colour = Colour.of(system.kinds, system.counts, mobile)
    return Simulation(state, domain, forces, colour, timestep, seed)


def heat_bath(sim, temperature, kind="nose_hoover", drive=None):
    """Enters a phase with this thermostat and drive."""
    drive = drive or Drive()
    bath, on = make_thermostat(kind, temperature, sim.colour, drive.driven, sim.timestep)
    sim.enter_phase(drive, bath, on)


def isolate(sim):
    """No thermostat, no drive."""
    sim.enter_phase(Drive(), NoThermostat(), np.zeros(len(sim.colour.mass), bool))


class Record(Observer):
    """Every `every` steps: time (fs), total energy, kinetic energy, ledger error (eV), net mesh force (eV/angstrom)."""
    needs_energy = True

    def __init__(self, every):
        super().__init__(every)
        self.rows = []

    def observe(self, sim):
        shared = sim.shared
        self.rows.append((sim.step * sim.timestep, sim.energy, sim.kinetic, sim.energy - shared.work + shared.heat, shared.mesh_force))

    @property
    def columns(self):
        return np.array(self.rows).T


def line_fit(x, y):
    """(slope, its standard error with the residuals' integrated correlation time, rms about the line)."""
    x = x - x.mean()
    slope = np.sum(x * y) / np.sum(x * x)
    rest = y - y.mean() - slope * x
    spectrum = np.abs(np.fft.rfft(rest, 2 * len(rest))) ** 2
    correlation = np.fft.irfft(spectrum)[:len(rest)]
    correlation /= correlation[0]
    first = np.argmax(correlation < 0.05)
    time = 1 + 2 * np.sum(correlation[1:max(2, first)])
    return slope, np.sqrt(max(1.0, time) * np.var(rest) / np.sum(x * x)), rest.std()


__all__ = ["system_of", "simulation", "heat_bath", "isolate", "Record", "line_fit", "advance"]
