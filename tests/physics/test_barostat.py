"""Constant pressure: everything that depends on the cell follows it, and the cell samples the ensemble that it should."""
from dataclasses import replace

import numpy as np
import pytest
from engines import advance, heat_bath, simulation, system_of
from mpi4py import MPI

from hpcnemd.core.box import Box
from hpcnemd.core.errors import InputError, PhysicsError
from hpcnemd.core.units import BOLTZMANN
from hpcnemd.dynamics.barostat import Barostat
from hpcnemd.dynamics.drive import Drive
from hpcnemd.dynamics.loop import settle_lists
from hpcnemd.dynamics.observers import Observer, pressure_tensor
from hpcnemd.dynamics.restart import restore, snapshot
from hpcnemd.dynamics.thermostat import NoThermostat, make_thermostat
from hpcnemd.experiments.structures import Structure
from hpcnemd.experiments.system import prepare_system
from hpcnemd.forces.coulomb import settings_for
from hpcnemd.forces.forcefield import load_forcefield


def salt(method="spme", truncation="shift_force", repeat=2, precision="double"):
    """Rock salt, displaced by 0.1 angstrom."""
    system = system_of("nacl", "nacl_tosi_fumi", (repeat,) * 3, cutoff=8.0, coulomb=method, truncation=truncation, precision=precision)
    return replace(system, position=system.position + 0.1 * np.random.default_rng(3).standard_normal(system.position.shape))


def strained(sim, lengths):
    """Potential energy (eV) in another cell."""
    sim.rescale(lengths)
    settle_lists(sim, False)
    sim.evaluate(observe=True)
    return sim.shared.potential


def started(system, coupling="anisotropic", every=5, comm=None, **options):
    sim = simulation(system, 300.0, 2.0, comm=comm, **options)
    heat_bath(sim, 300.0)
    sim.barostat = Barostat(0.0, 300.0, 100.0, 6.0, coupling, every, 2.0, sim.state.box.lengths)
    sim.start()
    return sim


@pytest.mark.parametrize("method, truncation", [("spme", "shift_force"), ("spme", "switch"), ("ewald", "shift_force"), ("dsf", "shift_force")])
def test_the_virial_is_the_derivative_of_the_energy(method, truncation):
    """-dU/d ln L of each axis from central differences: their own error is 2e-7 eV."""
    sim = simulation(salt(method, truncation), 300.0, 2.0)
    sim.start()
    lengths, virial, step = sim.state.box.lengths, sim.shared.virial.copy(), 2e-5
    for axis in range(3):
        turn = np.eye(3)[axis] * step
        slope = -(strained(sim, lengths * np.exp(turn)) - strained(sim, lengths * np.exp(-turn))) / (2 * step)
        assert virial[axis, axis] == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("precision", ["double", "mixed"])
def test_lists_ghosts_and_mesh_follow_the_cell(precision):
    """A cell that is strained in steps of up to 1.5 % with its lists kept while they are safe has the energy and the forces of a cell that was built so."""
    system = salt(precision=precision)
    sim = simulation(system, 300.0, 2.0)
    sim.start()
    for k in range(1, 9):
        energy = strained(sim, system.box.lengths * (1 - 0.015 * k, 1 - 0.009 * k, 1 + 0.012 * k))
    assert 1 < sim.rebuilds < 8
    lengths = sim.state.box.lengths
    fresh = simulation(replace(system, box=Box(lengths), position=system.position * lengths / system.box.lengths), 300.0, 2.0)
    fresh.start()
    tight = 1e-9 if precision == "double" else 2e-4
    assert energy == pytest.approx(fresh.shared.potential, abs=tight)
    for one in (sim, fresh):
        one.order = np.argsort(one.state.id[:one.state.n_owned])
    assert np.abs(sim.state.force[sim.order] - fresh.state.force[fresh.order]).max() < tight


def test_the_mesh_keeps_its_accuracy():
    system = salt()
    before = system.coulomb
    assert settings_for(before, system.box, system.kinds, system.counts).mesh == before.mesh
    assert settings_for(before, Box(system.box.lengths * 0.9), system.kinds, system.counts).mesh == before.mesh
    wide = Box(system.box.lengths * 1.2)
    after = settings_for(before, wide, system.kinds, system.counts)
    assert min(after.mesh) > max(before.mesh) and (after.order, after.beta) == (before.order, before.beta)
    assert after.estimated_error <= after.accuracy * after.force_scale
    sim = simulation(system, 300.0, 2.0)
    sim.start()
    strained(sim, wide.lengths)
    assert sim.forces.settings == after and sim.forces.mesh.settings == after


@pytest.mark.parametrize("coupling", ["anisotropic"])
def test_a_snapshot_continues_bit_for_bit(coupling):
    """The cell, its mesh and the lists, which were made in a cell of another size."""
    whole = started(salt(repeat=2), coupling)
    whole.rescale(whole.state.box.lengths * 1.08)               # takes another mesh
    settle_lists(whole, False)
    whole.evaluate(observe=True)
    whole.take_stock()
    advance(whole, 38)
    assert not np.array_equal(whole.built_lengths, whole.state.box.lengths) and whole.barostat.accepted > 4
    meta, rows = snapshot(whole)
    advance(whole, 75)
    again = started(salt(repeat=2), coupling)
    restore(again, meta, rows, same_grid=True)
    advance(again, 75)
    n = whole.state.n_owned
    for name in ("position", "velocity", "image", "force"):
        assert np.array_equal(getattr(again.state, name)[:n], getattr(whole.state, name)[:n]), name
    assert np.array_equal(again.state.box.lengths, whole.state.box.lengths)
    assert np.array_equal(again.barostat.variables(), whole.barostat.variables()) and again.rebuilds == whole.rebuilds


@pytest.mark.parametrize("coupling, free", [("isotropic", 1), ("semi_isotropic", 2), ("anisotropic", 3)])
def test_coupling_says_which_edges_go_together(coupling, free):
    sim = started(salt(), coupling)
    advance(sim, 20)
    ratio = sim.state.box.lengths / 11.28
    assert sim.barostat.accepted > 0 and len(set(np.round(ratio, 12))) == free
    assert coupling == "anisotropic" or ratio[0] == pytest.approx(ratio[1], rel=1e-14)


@pytest.mark.mpi(min_size=2)
def test_ranks_agree_with_one():
    comm = MPI.COMM_WORLD
    many, one = started(salt(repeat=3), comm=comm), started(salt(repeat=3))
    for sim in (many, one):
        advance(sim, 40)
    assert np.abs(many.state.box.lengths - one.state.box.lengths).max() < 1e-9 and many.barostat.accepted == one.barostat.accepted > 4
    ids = many.state.id[:many.state.n_owned]
    order = np.argsort(one.state.id[:one.state.n_owned])
    assert np.abs(many.state.unwrapped() - one.state.unwrapped()[order][ids]).max(initial=0.0) < 1e-9
    assert many.barostat.drift == pytest.approx(one.barostat.drift, abs=1e-9)


def test_a_drive_refuses_a_barostat():
    sim = simulation(salt(), 300.0, 2.0)
    barostat = Barostat(0.0, 300.0, 100.0, 6.0, "isotropic", 5, 2.0, sim.state.box.lengths)
    with pytest.raises(InputError, match="run.npt"):
        sim.enter_phase(Drive("constant_field", 0.01), NoThermostat(), np.zeros(2, bool), barostat)
    with pytest.raises(InputError, match="isotropic, semi_isotropic, anisotropic"):
        Barostat(0.0, 300.0, 100.0, 6.0, "cubic", 5, 2.0, sim.state.box.lengths)


class Ideal:
    """Particles that do not see each other."""
    skin, follows_images = 1e3, False

    def rebuild(self, state):
        pass

    def rescale(self, box):
        pass

    def keep_accuracy(self):
        pass

    def compute(self, state, observe, unsettled=None, spent=None):
        state.force[:state.n_owned] = 0.0
        return type("Nothing", (), {"potential": 0.0, "virial": np.zeros((3, 3)), "mesh_force": 0.0}) if observe else None


class Elastic(Ideal):
    """Particles that do not see each other, in a frame with springs: U = stiffness/2 sum of squares of ln(L/L0)."""

    def __init__(self, stiffness, box):
        self.stiffness, self.first, self.box = stiffness, box.lengths, box

    def rescale(self, box):
        self.box = box

    def compute(self, state, observe, unsettled=None, spent=None):
        state.force[:state.n_owned] = 0.0
        strain = np.log(self.box.lengths / self.first)
        return type("Frame", (), {"potential": 0.5 * self.stiffness * float(np.sum(strain**2)), "virial": -self.stiffness * np.diag(strain), "mesh_force": 0.0})


def gas(coupling, every=1, time=4.0, volume=1.0, thermostat="langevin", seed=11, frame=None):
    """20 free particles at 300 K, 1 fs, at the pressure of 20 kT in the volume of a cube of 30 angstrom times `volume`; `frame`: stiffness in kT."""
    system = system_of("nacl", "nacl_tosi_fumi", coulomb="none", cutoff=5.0)
    edge, n = 30.0, 20
    system = replace(system, box=Box([edge * volume**(1 / 3)] * 3), species=np.zeros(n, np.int32), counts=np.array([n, 0]),
                     position=np.random.default_rng(2).uniform(0, edge, (n, 3)))
    sim = simulation(system, 300.0, 1.0, mobile=None, seed=seed)
    sim.forces, sim.domain.halo_width = Ideal() if frame is None else Elastic(frame * BOLTZMANN * 300.0, system.box), 0.0
    bath, on = make_thermostat(thermostat, 300.0, sim.colour, False, 1.0, time=2.0)
    pressure = n * BOLTZMANN * 300.0 / edge**3
    sim.enter_phase(Drive(), bath, on, Barostat(pressure, 300.0, time, 1.0 / pressure, coupling, every, 1.0, system.box.lengths))
    sim.start()
    return sim, pressure


def test_a_free_gas_has_its_distribution_of_volumes():
    """20 particles in a Langevin bath, whose momentum is not kept: PV/kT has the gamma distribution of order 21. A fixed seed; 2400 moves of a quarter of the
    relaxation time; mean and variance within 4 standard errors (from 40 blocks): chance to fail below 1e-3 (two tests of Student's t with 39 degrees)."""
    sim, pressure = gas("isotropic")
    volume = np.empty(2400)
    advance(sim, 40)
    for k in range(len(volume)):
        advance(sim, sim.step + 1)
        volume[k] = sim.state.box.volume
    x = pressure * volume / (BOLTZMANN * 300.0)
    for sample, exact in ((x, 21.0), ((x - 21.0)**2, 21.0)):
        blocks = sample.reshape(40, -1).mean(axis=1)
        assert abs(blocks.mean() - exact) < 4 * blocks.std(ddof=1) / np.sqrt(40)
    assert 0.5 < sim.barostat.accepted / sim.barostat.tried < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("coupling, seed", [("semi_isotropic", 5), ("anisotropic", 6)])
def test_the_shape_has_its_distribution(coupling, seed):
    """The same gas in an elastic frame: its strains e have the density exp(-(U + P0 V)/kT + 21 sum e) over the edges that move by themselves. Fixed seeds; 20 000
    moves; mean of the first and the last strain, their variances and their covariance within 4 standard errors of quadrature (20 blocks; five tests of
    Student's t with 19 degrees: chance to fail below 5e-3)."""
    stiffness, n = 60.0, 20
    sim, _ = gas(coupling, time=12.0, frame=stiffness, seed=seed)
    advance(sim, 40)
    found = np.empty((20_000, 2))
    for row in found:
        advance(sim, sim.step + 1)
        row[:] = np.log(sim.state.box.lengths / 30.0)[[0, 2]]
    line = np.linspace(-1.0, 1.0, 81)
    first, last = line[:, None, None], line[None, :, None]
    other = first if coupling == "semi_isotropic" else line[None, None, :]
    weight = np.exp(-0.5 * stiffness * (first**2 + last**2 + other**2) - n * np.exp(first + last + other) + (n + 1) * (first + last + other))
    weight = weight / weight.sum()
    mean = [float((weight * e).sum()) for e in (first, last)]
    x, y = found[:, 0] - mean[0], found[:, 1] - mean[1]
    exact = [0.0, 0.0] + [float((weight * (a - mean[i]) * (b - mean[j])).sum()) for a, i, b, j in ((first, 0, first, 0), (last, 1, last, 1), (first, 0, last, 1))]
    for sample, value in zip((x, y, x * x, y * y, x * y), exact):
        blocks = sample.reshape(20, -1).mean(axis=1)
        assert abs(blocks.mean() - value) < 4 * blocks.std(ddof=1) / np.sqrt(20)


def test_a_cell_that_holds_nothing_is_named():
    bursting, _ = gas("isotropic", volume=0.2)
    with pytest.raises(PhysicsError, match="bursts"):
        advance(bursting, 2000)
    collapsing, _ = gas("isotropic", volume=5.0)
    with pytest.raises(PhysicsError, match="collapses"):
        advance(collapsing, 2000)
    thin, _ = gas("anisotropic")
    with pytest.raises(PhysicsError, match="too thin.*isotropic"):
        advance(thin, 5000)
    hasty, _ = gas("isotropic", time=1e-4)
    with pytest.raises(PhysicsError, match="longer run.barostat.time"):
        advance(hasty, 2000)


class Volumes(Observer):
    needs_energy = True

    def __init__(self, every):
        super().__init__(every)
        self.rows = []

    def observe(self, sim):
        self.rows.append((*sim.state.box.lengths, *np.diag(pressure_tensor(sim))))


def fluid(pressure, coupling, seed, steps):
    """Lennard-Jones fluid of 32 particles at kT = 1.3, reduced units: edges (k, 3) and pressures (k, 3) every 20 steps of 0.005."""
    edge = (32 / 0.5)**(1 / 3)
    corner = np.array([(x, y, z) for x in range(2) for y in range(2) for z in range(2)])
    place = np.concatenate([corner + shift for shift in np.array([(0, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1)]) / 2]) * edge / 2
    field = load_forcefield("lennard_jones_reduced")
    system = prepare_system(Structure(Box([edge] * 3), ["A"] * 32, place), field, cutoff=2.0, skin=0.35, coulomb="none")
    sim = simulation(system, 1.3 / BOLTZMANN, 0.005, mobile=None, seed=seed)
    bath, on = make_thermostat("nose_hoover", 1.3 / BOLTZMANN, sim.colour, False, 0.005, time=0.3)
    sim.enter_phase(Drive(), bath, on, Barostat(pressure, 1.3 / BOLTZMANN, 0.5, 0.5, coupling, 5, 0.005, system.box.lengths))
    sim.start()
    advance(sim, 4000)
    watch = Volumes(20)
    advance(sim, sim.step + steps, [watch])
    rows = np.array(watch.rows)
    return rows[:, :3], rows[:, 3:], sim.barostat


def errors(sample, blocks=20):
    means = sample[:len(sample) // blocks * blocks].reshape(blocks, -1).mean(axis=1)
    return means.mean(), means.std(ddof=1) / np.sqrt(blocks)


@pytest.mark.slow
def test_a_fluid_has_its_ensemble():
    """Lennard-Jones fluid at two pressures, 30 000 steps each, fixed seeds. Three exact relations, each within 4 standard errors from blocks (chance to
    fail below 1 % in all): <(P0 - P) V> = kT (partial integration over ln V); ln p1(V)/p2(V) is linear in V with slope (P2 - P1)/kT (fitted by maximum
    likelihood, Shirts, J. Chem. Theory Comput. 9, 909 (2013)); Var(V) = kT * -d<V>/dP, by the mean over both and their difference."""
    from scipy.optimize import minimize
    kt, pressures = 1.3, (0.60, 0.80)
    volumes = []
    for pressure, seed in zip(pressures, (3, 4)):
        edges, inside, barostat = fluid(pressure, "isotropic", seed, 30_000)
        volume = edges.prod(axis=1)
        mean, error = errors((pressure - inside.mean(axis=1)) * volume)
        print(pressure, "<(P0-P)V>", mean, error, "<V>", errors(volume), "var", errors((volume - volume.mean())**2), barostat.accepted / barostat.tried, barostat.drift)
        assert abs(mean - kt) < 4 * error
        volumes.append(volume)

    def slope(pair):
        centre = np.mean([v.mean() for v in pair])

        def cost(c):
            return sum(np.logaddexp(0.0, sign * (c[0] + c[1] * (v - centre))).mean() for sign, v in zip((-1, 1), pair))
        return minimize(cost, (0.0, 0.1)).x[1]
    parts = [slope([v[k * len(v) // 10:(k + 1) * len(v) // 10] for v in volumes]) for k in range(10)]
    whole, error = slope(volumes), np.std(parts, ddof=1) / np.sqrt(10)
    print("slope", whole, error, "exact", (pressures[1] - pressures[0]) / kt)
    assert abs(whole - (pressures[1] - pressures[0]) / kt) < 4 * error
    means, spreads = ([errors(f(v)) for v in volumes] for f in (lambda v: v, lambda v: (v - v.mean())**2))
    scale = kt / (pressures[1] - pressures[0])
    response, spread = scale * (means[0][0] - means[1][0]), 0.5 * (spreads[0][0] + spreads[1][0])
    error = np.sqrt(sum((scale * e)**2 for _, e in means) + sum((0.5 * e)**2 for _, e in spreads))
    print("kT -d<V>/dP", response, "Var(V)", spread, "error of the difference", error)
    assert abs(response - spread) < 4 * error
