"""Particle-mesh Ewald on one rank: kernels against numpy, the sum against Ewald, forces and virial against derivatives of the energy."""
import numpy as np
import pytest
from charged_cells import WholeBox, counts_of, displaced, exact, garnet, random_ions, real_space, reciprocal, rock_salt, strained

from hpcnemd.core.errors import PhysicsError
from hpcnemd.core.state import State
from hpcnemd.forces.coulomb import CoulombSettings, choose_coulomb, coulomb_force_scale
from hpcnemd.forces.ewald import Ewald
from hpcnemd.forces.spme import Spme
from hpcnemd.kernels.mesh_simd import make_gather, make_spread
from hpcnemd.kernels.simd import available_paths
from hpcnemd.kernels.splines import ORDERS, axis_sums, spline_table
from hpcnemd.parallel.mesh import DistributedMesh
from hpcnemd.parallel.serial import SerialComm


def settings(mesh, order, beta=0.4):
    return CoulombSettings("spme", beta, mesh, order, None, 0.0, 9.0, 1e-5, "plain", 1.0)


def many_waves(beta, cell):
    """Ewald settings of the same splitting, exact to 1e-12 in the reciprocal part."""
    return CoulombSettings("ewald", beta, None, None, tuple(int(np.ceil(2 * beta * 5.5 * length / (2 * np.pi))) for length in cell[0].lengths), 0.0, 9.0, 1e-10,
                           "plain", 1.0)


@pytest.mark.parametrize("order", ORDERS)
def test_splines_against_scipy(order):
    from scipy.interpolate import BSpline
    weight, slope = spline_table(order)
    oracle = BSpline.basis_element(np.arange(order + 1), extrapolate=False)
    for f in (0.0, 0.3, 0.999):
        powers = f ** np.arange(order)
        at = f + order - 1 - np.arange(order)
        np.testing.assert_allclose(powers @ weight[:, :order], oracle(at), rtol=0, atol=1e-13)
        np.testing.assert_allclose(powers @ slope[:, :order], oracle.derivative()(at), rtol=0, atol=1e-12)
    assert not weight[:, order:].any() and not slope[:, order:].any()
    with pytest.raises(ValueError, match="4, 5, 6, 7, 8"):
        spline_table(9)


def test_kernels_of_each_order_have_names_of_their_own():
    """Machine code of two orders that two processes have compiled as the first of their functions would go by one name otherwise, and kernels.frames looks code up by name."""
    names = [make(order).py_func.__qualname__ for make in (make_spread, make_gather) for order in ORDERS]
    assert len(set(names)) == len(names) and make_spread(5) is make_spread(5)


def test_sums_over_aliases_are_sums_over_weights():
    """sum over m of U(k_m)^2 is the transform of the spline of order 2p at the mesh points: an independent closed form."""
    from scipy.interpolate import BSpline
    points, order = 12, 5
    spline = BSpline.basis_element(np.arange(2 * order + 1), extrapolate=False)
    shift = np.arange(-order + 1, order)
    closed = [(spline(shift + order) * np.cos(2 * np.pi * j * shift / points)).sum() for j in range(points)]
    np.testing.assert_allclose(axis_sums(points, order, 7.0, 0.4, np.arange(points))[0], closed, rtol=1e-10)


def oracle_mesh(position, charge, box, shape, order):
    """Charges on the periodic mesh, and the (n, points, 3) weights' gradients, straight from the splines."""
    from scipy.interpolate import BSpline
    spline = BSpline.basis_element(np.arange(order + 1), extrapolate=False)
    weight, slope = [], []
    for axis in range(3):
        u = position[:, axis] * shape[axis] / box.lengths[axis]
        rows, steep = np.zeros((len(u), shape[axis])), np.zeros((len(u), shape[axis]))
        for i, x in enumerate(u):
            for g in range(int(np.floor(x)) - order + 1, int(np.floor(x)) + 1):
                rows[i, g % shape[axis]] += np.nan_to_num(spline(x - g))
                steep[i, g % shape[axis]] += np.nan_to_num(spline.derivative()(x - g)) * shape[axis] / box.lengths[axis]
        weight.append(rows)
        slope.append(steep)
    mesh = np.einsum("i,ix,iy,iz->xyz", charge, *weight)
    gradient = [np.einsum("ix,iy,iz->ixyz", *[(slope if a == axis else weight)[a] for a in range(3)]) for axis in range(3)]
    return mesh, gradient


@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("shape, order", [((10, 6, 7), 4), ((9, 14, 8), 5), ((4, 5, 6), 8), ((12, 8, 10), 7), ((8, 8, 8), 6)])
def test_spread_and_gather_against_numpy(path, shape, order):
    """Positions up to 1.5 boxes outside, meshes smaller than the spline."""
    box, kinds, species, position = random_ions(10)
    position = position + np.random.default_rng(1).integers(-2, 3, position.shape) * 0.5 * box.lengths
    charge = kinds.charge[species]
    spme = Spme(settings(shape, order), box, kinds, WholeBox(box), path=path)
    want, gradient = oracle_mesh(position, charge, box, shape, order)
    mesh = spme.mesh
    mesh.brick.points[:] = 1.0
    found = np.empty(len(charge))
    assert spme.spread(position, species, kinds.charge, len(charge), found, mesh.brick.points) == 0
    assert np.array_equal(found, charge)
    mesh.send()
    np.testing.assert_allclose(mesh.deposit(), want, rtol=0, atol=1e-13)
    potential = np.random.default_rng(2).standard_normal(shape)
    mesh.collect(potential)
    force, net = np.ones((len(charge), 3)), np.empty(3)
    spme.gather(position, charge, len(charge), mesh.brick.points, force, net)
    force -= 1.0
    np.testing.assert_allclose(net, force.sum(axis=0), rtol=0, atol=1e-12 * len(charge))
    oracle = np.stack([-charge * np.einsum("ixyz,xyz->i", g, potential) for g in gradient], axis=1)
    np.testing.assert_allclose(force, oracle, rtol=0, atol=1e-12 * np.abs(oracle).max())


def test_brick_of_a_part_holds_what_its_particles_touch():
    """A domain in the middle of the box, particles up to the margin outside it, and one beyond."""
    box, kinds, species, _ = random_ions(5, (20.0, 20.0, 20.0))
    lower, upper = np.array([5.0, 0.0, 12.0]), np.array([9.0, 20.0, 20.0])
    mesh = DistributedMesh(SerialComm(), (20, 24, 18), 6, box.lengths, lower, upper, 1.0)
    place = (mesh.brick.scale, mesh.brick.low, mesh.brick.period, mesh.brick.first, mesh.brick.last)
    corners = np.array([[x, y, z] for x in (4.0, 9.999999) for y in (-30.0, 19.99) for z in (11.0, 20.999999)])
    charge = np.linspace(1, 2, len(corners))
    from hpcnemd.kernels.mesh import spread
    table = spline_table(6)[0]
    own, found = np.arange(len(charge), dtype=species.dtype), np.empty(len(charge))
    assert spread(corners, own, charge, len(charge), *place, 6, table, mesh.brick.planes, mesh.brick.rows, found, mesh.brick.points) == 0
    want, _ = oracle_mesh(corners, charge, box, (20, 24, 18), 6)
    mesh.send()
    np.testing.assert_allclose(mesh.deposit(), want, rtol=0, atol=1e-13)
    far = np.array([[3.9 - 20 / 20, 3.0, 15.0]])
    assert spread(far, own, charge, 1, *place, 6, table, mesh.brick.planes, mesh.brick.rows, found, mesh.brick.points) == 1


@pytest.mark.parametrize("name, cell", [("rock salt", rock_salt(4)), ("garnet", garnet()), ("partial charges", garnet("oxides_du_teter"))])
def test_accuracy_is_met_and_not_far_exceeded(name, cell):
    """The number asked for against Ewald at 1e-10 and the same cutoff, in cells displaced by 0.1 angstrom."""
    cell = displaced(cell)
    box, kinds, species, position = cell
    _, want, _ = exact(cell)
    rms = np.sqrt((want**2).mean())
    scale = coulomb_force_scale(box, kinds, species, position)
    assert scale == pytest.approx(rms, rel=0.1)
    for accuracy in (1e-4, 1e-5, 1e-6):
        chosen = choose_coulomb("spme", accuracy, 10.0, box, kinds, counts_of(cell), force_scale=scale)
        _, force = reciprocal(Spme, chosen, cell, remove_net_force=False)
        force += real_space(box, position, kinds.charge[species], chosen.beta, chosen.cutoff)[1]
        error = np.sqrt(((force - want) ** 2).mean())
        asked = accuracy * max(rms, 1.0)
        assert asked / 5 < error <= asked
        assert chosen.estimated_error <= asked and error < 1.5 * chosen.estimated_error


@pytest.mark.parametrize("order", ORDERS)
def test_converges_to_ewald_with_the_mesh(order):
    """Every order, even and odd, on meshes even and odd in size; the plain Euler spline would have a zero at the zone boundary for odd orders."""
    cell = displaced(rock_salt(2), 0.2)
    want, exact_force = reciprocal(Ewald, many_waves(0.4, cell), cell)
    coarse, fine = ([12, 13, 14], [24, 26, 25])
    errors = []
    for mesh in (coarse, fine):
        result, force = reciprocal(Spme, settings(tuple(mesh), order), cell, remove_net_force=False)
        errors.append(np.sqrt(((force - exact_force) ** 2).mean()))
    assert errors[1] < errors[0] / 2 ** (order - 1.5)           # h^(order - 1) for analytic differentiation
    assert result.energy == pytest.approx(want.energy, rel=3e-5)
    np.testing.assert_allclose(result.virial, want.virial, rtol=0, atol=1e-4 * abs(want.energy))


@pytest.mark.parametrize("path", available_paths())
def test_force_is_minus_the_derivative_of_the_energy(path):
    cell = random_ions(10)
    box, kinds, species, position = cell
    chosen = settings((10, 12, 9), 6)
    _, force = reciprocal(Spme, chosen, cell, remove_net_force=False, path=path)
    for i, axis in ((0, 0), (4, 1), (9, 2)):
        energies = []
        for step in (1e-4, -1e-4):
            moved = position.copy()
            moved[i, axis] += step
            energies.append(reciprocal(Spme, chosen, (box, kinds, species, moved), path=path)[0].energy)
        assert (energies[1] - energies[0]) / 2e-4 == pytest.approx(force[i, axis], abs=1e-6)


def test_virial_is_minus_the_derivative_with_strain():
    """Exactly, on a mesh so coarse that the result is far from Ewald: the influence function changes with the box."""
    cell = displaced(garnet(), 0.2)
    chosen = settings((8, 10, 9), 5)
    virial = reciprocal(Spme, chosen, cell)[0].virial
    for axis in range(3):
        strain = 1e-4 * np.eye(3)[axis]
        energy = [reciprocal(Spme, chosen, strained(cell, s))[0].energy for s in (strain, -strain)]
        assert (energy[1] - energy[0]) / 2e-4 == pytest.approx(virial[axis, axis], rel=1e-6)


def test_shear_parts_of_the_virial_against_ewald():
    cell = displaced(garnet(), 0.3)
    want = reciprocal(Ewald, many_waves(0.35, cell), cell)[0].virial
    found = reciprocal(Spme, settings((20, 20, 20), 8, 0.35), cell)[0].virial
    off = ~np.eye(3, dtype=bool)
    assert np.abs(want[off]).max() > 1.0
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-3)
    np.testing.assert_allclose(found, found.T, rtol=0, atol=1e-9)


def test_net_force_is_reported_and_taken_off_by_mass():
    cell = displaced(garnet(), 0.1)
    kinds, species = cell[1], cell[2]
    chosen = settings((10, 10, 10), 6, 0.33)
    with_net, left = reciprocal(Spme, chosen, cell, remove_net_force=False)
    result, force = reciprocal(Spme, chosen, cell)
    np.testing.assert_allclose(left.sum(0), with_net.net_force, rtol=0, atol=1e-11)
    np.testing.assert_array_equal(result.net_force, with_net.net_force)
    assert np.abs(result.net_force).max() > 1e-6
    assert np.abs(force.sum(0)).max() < 1e-11
    mass = kinds.mass[species]
    np.testing.assert_allclose(left - force, mass[:, None] * result.net_force / mass.sum(), rtol=0, atol=1e-13)


def test_twice_the_same_bits_and_buffers_do_not_leak():
    cell = random_ions(20)
    box, kinds, species, position = cell
    spme = Spme(settings((10, 12, 9), 7), box, kinds, WholeBox(box))
    forces = []
    for shift in (0.0, 1.7, 0.0):
        state = State.of(box, kinds, species, position + shift)
        first = spme.compute(state, True)
        forces.append((state.force[:len(species)].copy(), first.energy))
    np.testing.assert_array_equal(forces[0][0], forces[2][0])
    assert forces[0][1] == forces[2][1] and spme.compute(state, False).energy is None


def test_a_particle_beyond_the_margin_is_an_error():
    box, kinds, species, position = random_ions(5, (20.0, 20.0, 20.0))
    domain = WholeBox(box)
    domain.upper = np.array([8.0, 20.0, 20.0])
    spme = Spme(settings((20, 20, 20), 6), box, kinds, domain, margin=1.0)
    state = State.of(box, kinds, species, np.full((5, 3), 4.0))
    spme.compute(state)
    state.position[2, 0], state.position[4, 1] = 11.0, np.nan
    with pytest.raises(PhysicsError, match=r"2 particles .* \(ids 2, 4\)"):
        spme.compute(state)
