"""The time loop on ions tied to sites by anharmonic springs and repelling nobody: every term of the loop has an answer that can be written down."""
from types import SimpleNamespace

import numpy as np
import pytest
from mpi4py import MPI

from hpcnemd.core.box import Box
from hpcnemd.core.errors import InputError, PhysicsError
from hpcnemd.core.state import Species, State
from hpcnemd.core.units import BOLTZMANN, MASS
from hpcnemd.dynamics.colour import Colour
from hpcnemd.dynamics.drive import Drive
from hpcnemd.dynamics.loop import advance
from hpcnemd.dynamics.observers import Observer
from hpcnemd.dynamics.restart import restore, snapshot
from hpcnemd.dynamics.simulation import Simulation
from hpcnemd.dynamics.thermostat import make_thermostat
from hpcnemd.dynamics.velocities import draw_velocities
from hpcnemd.experiments.structures import load_structure
from hpcnemd.experiments.system import prepare_system, simulation_of
from hpcnemd.experiments.tables import StructureTable
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.parallel.domain import Domain, scatter
from hpcnemd.parallel.layout import choose_grid
from hpcnemd.parallel.reduce import ordered_sum
from hpcnemd.parallel.serial import SerialComm

BOX = Box([12.0, 11.0, 10.0])
KINDS = Species(("Li", "La", "O"), np.array([6.94, 138.9, 16.0]) * MASS, [1.0, 3.0, -2.0], [1, 3, -2])
N = 60


class Springs:
    """A rough periodic substrate for the mobile ions, quartic springs to their sites for the others. No pair forces: total momentum is not conserved."""
    skin = 1.0
    threads = 1
    follows_images = False

    class pair:
        path = "test"

    def __init__(self, comm, sites):
        self.comm, self.sites = comm, sites

    def rebuild(self, state):
        pass

    def variables(self):
        return {}

    def compute(self, state, observe, unsettled=None, spent=None):
        n = state.n_owned
        species, ids = state.species[:n], state.id[:n]
        wave = 2 * np.pi / BOX.lengths * 4
        away = state.unwrapped() - self.sites[ids]
        square = (away**2).sum(axis=1, keepdims=True)
        mobile = (species == 0)[:, None]
        state.force[:n] = np.where(mobile, 0.05 * wave * np.sin(wave * state.position[:n]), -(1.0 + 2.0 * square) * away)
        energy = np.where(mobile[:, 0], 0.05 * np.cos(wave * state.position[:n]).sum(axis=1), (0.5 * square + 0.5 * square**2)[:, 0])
        total = float(ordered_sum(self.comm, energy.sum()))
        return SimpleNamespace(potential=total, virial=np.zeros((3, 3)), mesh_force=0.0) if observe else None


def build(comm, kind="constant_current", value=0.02, thermostat="nose_hoover", timestep=1.0, temperature=600.0, seed=5):
    species = np.arange(N) % 3
    sites = np.random.default_rng(1).uniform(0, 1, (N, 3)) * BOX.lengths
    domain = Domain(comm, BOX, choose_grid(comm.size, BOX.lengths), 2.0)
    state = scatter(domain, State.empty(BOX, KINDS), {"species": species, "position": sites})
    draw_velocities(comm, state, temperature, seed, 0)
    colour = Colour.of(KINDS, np.bincount(species), ["Li"], "x")
    sim = Simulation(state, domain, Springs(comm, sites), colour, timestep, seed)
    bath, on = make_thermostat(thermostat, temperature, colour, kind != "none", timestep)
    sim.enter_phase(Drive(kind, value), bath, on)
    sim.start()
    return sim


class Watch(Observer):
    needs_energy = True

    def __init__(self, every):
        super().__init__(every)
        self.energy, self.work, self.heat, self.current, self.temperature, self.field = [], [], [], [], [], []

    def observe(self, sim):
        self.energy.append(sim.energy)
        self.work.append(sim.shared.work)
        self.heat.append(sim.shared.heat)
        self.temperature.append(sim.temperature)
        n = sim.state.n_owned
        velocity = sim.state.velocity[:n] @ sim.colour.axis
        self.current.append(float(ordered_sum(sim.comm, np.sum(sim.colour.charge[sim.state.species[:n]] * velocity))))
        self.field.append((sim.shared.impulse, -sim.shared.colour_force / sim.colour.norm))

    def ledger(self):
        energy = np.array(self.energy)
        return energy - energy[0] - (np.array(self.work) - self.work[0]) + (np.array(self.heat) - self.heat[0])


@pytest.mark.parametrize("thermostat", ["nose_hoover", "gaussian"])
def test_the_current_is_held_and_the_framework_recoils_rigidly(thermostat):
    sim, watch = build(SerialComm(), thermostat=thermostat), Watch(1)
    advance(sim, 5)
    advance(sim, 400, [watch])
    assert np.abs(np.array(watch.current) / 0.02 - 1).max() < 1e-12
    colour = sim.colour
    assert abs(np.sum(colour.counts * colour.charge)) < 1e-12
    assert colour.charge[1] / colour.mass[1] == pytest.approx(colour.charge[2] / colour.mass[2], rel=1e-12)


@pytest.mark.parametrize("kind, value", [("constant_current", 0.02), ("constant_field", 0.05)])
def test_the_ledger_closes_with_the_square_of_the_time_step(kind, value):
    """work - heat - energy change: rms over the same 400 fs at 2, 1 and 0.5 fs in ratios 4 +- 1."""
    rms = []
    for step in (2.0, 1.0, 0.5):
        sim, watch = build(SerialComm(), kind, value, timestep=step), Watch(1)
        advance(sim, round(20 / step))
        advance(sim, round(420 / step), [watch])
        rms.append(np.sqrt(np.mean(watch.ledger() ** 2)))
    assert 3 < rms[0] / rms[1] < 5 and 3 < rms[1] / rms[2] < 5, rms


def test_the_projected_field_is_gauss_multiplier():
    """Mean field over a stretch, from the projections and from -sum(cF/m)/sum(c^2/m): the difference falls with the square of the time step."""
    errors = []
    for step in (2.0, 1.0, 0.5):
        sim, watch = build(SerialComm(), timestep=step, thermostat="gaussian"), Watch(1)
        advance(sim, round(20 / step))
        advance(sim, round(60 / step), [watch])
        impulse, field = np.array(watch.field).T
        mean = (impulse[-1] - impulse[0]) / (step * (len(impulse) - 1))
        trapezoid = (field[0] / 2 + field[1:-1].sum() + field[-1] / 2) / (len(field) - 1)
        errors.append(abs(mean - trapezoid))
    assert errors[1] < 1e-9 or errors[0] / errors[1] > 2.5, errors
    assert errors[2] < 1e-3 * abs(trapezoid), errors


def test_temperatures_count_the_degrees_of_freedom():
    colour = build(SerialComm()).colour
    assert colour.degrees_of_freedom(False).sum() == pytest.approx(3 * N - 3)
    assert colour.degrees_of_freedom(True).sum() == pytest.approx(3 * N - 4)
    salt = Colour.of(KINDS, [20, 0, 10], "all", [1, 1, 0])
    assert salt.n_groups == 2 and salt.degrees_of_freedom(True).sum() == pytest.approx(3 * 30 - 4)


def test_nose_hoover_chain_samples_the_canonical_energy():
    """Mean and variance of the kinetic energy of 64 ions of molten salt over 40 blocks of 1.5 ps, each within 3.5 standard errors of g kT/2 and g (kT)^2/2 (correct
    code fails in 0.3 %). Ions on springs of their own would not do: they share their energy by the thermostat alone."""
    system = prepare_system(load_structure(StructureTable(build="nacl", supercell=(2, 2, 2))), load_forcefield("nacl_tosi_fumi"), coulomb="dsf", damping=0.25, cutoff=6.0, skin=0.5)
    colour, watch = Colour.of(system.kinds, system.counts, "all"), Watch(20)
    sim = simulation_of(system, colour, SerialComm(), (1, 1, 1), 3.0, 7, 0)
    scatter(sim.domain, sim.state, {"species": system.species, "position": system.position})
    draw_velocities(sim.comm, sim.state, 1500.0, 7, 0)
    sim.enter_phase(Drive(), *make_thermostat("nose_hoover", 1500.0, colour, False, 3.0))
    sim.start()
    advance(sim, 3000)
    advance(sim, 23000, [watch])
    g, kt = 3 * 64 - 3, BOLTZMANN * 1500.0
    kinetic = np.array(watch.temperature) * BOLTZMANN * g / 2
    for values, target in ((kinetic, g * kt / 2), ((kinetic - g * kt / 2) ** 2, g * kt**2 / 2)):
        blocks = values.reshape(40, -1).mean(axis=1)
        assert abs(blocks.mean() - target) < 3.5 * blocks.std(ddof=1) / np.sqrt(40), (blocks.mean(), target)


def test_langevin_equilibrium_and_its_refusal():
    """Equilibrium temperature within 3.5 standard errors of 40 blocks; a driven run refuses the friction on what carries colour."""
    sim, watch = build(SerialComm(), "none", 0.0, "langevin", 2.0), Watch(25)
    advance(sim, 1000)
    advance(sim, 21000, [watch])
    blocks = (np.array(watch.temperature) * (3 * N - 3) / (3 * N)).reshape(40, -1).mean(axis=1)     # all 3N degrees are thermal here
    assert abs(blocks.mean() - 600.0) < 3.5 * blocks.std(ddof=1) / np.sqrt(40) + 0.5
    ledger = watch.ledger()
    assert np.abs(ledger).max() < 0.02 * np.abs(watch.heat[-1] - watch.heat[0]) + 0.05
    with pytest.raises(InputError, match="nose_hoover"):
        build(SerialComm(), "constant_field", 0.01, "langevin")


def test_a_snapshot_continues_bit_for_bit():
    whole = build(SerialComm())
    advance(whole, 73)
    meta, rows = snapshot(whole)
    advance(whole, 200)
    again = build(SerialComm())
    restore(again, meta, rows, same_grid=True)
    assert again.step == 73
    advance(again, 200)
    for name in ("position", "velocity", "image", "force"):
        assert np.array_equal(getattr(again.state, name)[:N], getattr(whole.state, name)[:N]), name
    assert again.shared.work == whole.shared.work and again.shared.heat == whole.shared.heat


def test_a_particle_that_leaves_for_infinity_is_named():
    sim = build(SerialComm())
    sim.state.velocity[7] = np.nan
    with pytest.raises(PhysicsError, match="step 1"):
        advance(sim, 3)


@pytest.mark.mpi(min_size=2)
def test_ranks_agree_with_one():
    comm = MPI.COMM_WORLD
    many, one = build(comm), build(SerialComm())
    advance(many, 100)
    advance(one, 100)
    assert many.shared.work == pytest.approx(one.shared.work, rel=1e-10)
    ids = many.state.id[:many.state.n_owned]
    order = np.argsort(one.state.id[:N])
    assert np.abs(many.state.unwrapped() - one.state.unwrapped()[order][ids]).max(initial=0.0) < 1e-9


@pytest.mark.mpi(min_size=2)
def test_velocities_do_not_depend_on_ranks():
    many, one = build(MPI.COMM_WORLD), build(SerialComm())
    order = np.argsort(one.state.id[:N])
    ids = many.state.id[:many.state.n_owned]
    assert np.allclose(many.state.velocity[:len(ids)], one.state.velocity[:N][order][ids], rtol=1e-12, atol=1e-15)
