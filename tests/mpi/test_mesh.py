"""The distributed mesh and what uses it, on every rank count: equal to one rank, to numpy's transform and to a plain sum over bricks."""
import itertools

import numpy as np
import pytest
from charged_cells import counts_of, displaced, garnet, random_ions, reciprocal, rock_salt
from mpi4py import MPI

from hpcnemd.core.state import State
from hpcnemd.forces.coulomb import CoulombSettings, choose_coulomb
from hpcnemd.forces.ewald import Ewald
from hpcnemd.forces.spme import Spme
from hpcnemd.parallel import mesh as parallel_mesh
from hpcnemd.parallel.domain import Domain, gather_sorted, scatter
from hpcnemd.parallel.mesh import DistributedMesh, SlabFFT, cut
from hpcnemd.parallel.reduce import ordered_sum
from hpcnemd.parallel.serial import SerialComm

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi
GRIDS = [grid for grid in itertools.product(range(1, comm.size + 1), repeat=3) if np.prod(grid) == comm.size]
if comm.size > 3:                           # one of each kind is enough: slabs across and along the mesh's, and bars
    GRIDS = [grid for grid in GRIDS if grid in {(comm.size, 1, 1), (1, 1, comm.size), (comm.size // 2, 2, 1), (1, 2, comm.size // 2)}]
TIGHT = {"rtol": 0, "atol": 1e-12}


@pytest.mark.parametrize("shape", [(8, 6, 10), (7, 5, 9), (12, 20, 14), (2, 3, 4), (3, 1, 6), (12, 2, 5)])
def test_slab_transform_is_that_of_numpy(shape):
    """Also with fewer planes than ranks, in x, in y or in both."""
    whole = np.random.default_rng(1).standard_normal(shape)
    fft = SlabFFT(shape, comm)
    mine = np.ascontiguousarray(whole[fft.x_range])
    spectrum = fft.forward(mine)
    assert spectrum.shape == fft.spectrum_shape
    np.testing.assert_allclose(spectrum, np.fft.rfftn(whole)[:, fft.y_range], **TIGHT)
    back = fft.backward(spectrum, np.empty(fft.slab_shape))
    np.testing.assert_allclose(back, mine, **TIGHT)
    assert comm.allreduce(fft.nx) == shape[0] and comm.allreduce(fft.ny) == shape[1]


def test_slab_transform_of_single_precision():
    """Rounding as in float32, and the bits of one rank on any number."""
    shape = (12, 20, 14)
    whole = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    fft, alone = SlabFFT(shape, comm, real=np.float32), SlabFFT(shape, SerialComm(), real=np.float32)
    mine = np.ascontiguousarray(whole[fft.x_range])
    spectrum, right = fft.forward(mine), alone.forward(whole)
    assert spectrum.dtype == np.complex64 and np.array_equal(spectrum, right[:, fft.y_range])
    np.testing.assert_allclose(spectrum, np.fft.rfftn(whole)[:, fft.y_range], rtol=0, atol=2e-4)
    back = fft.backward(spectrum, np.empty(fft.slab_shape, np.float32))
    np.testing.assert_allclose(back, mine, rtol=0, atol=2e-6)


def test_planes_are_cut_without_gaps():
    for points, ranks in itertools.product((1, 2, 5, 8, 64), range(1, 9)):
        edges = cut(points, ranks)
        assert edges[0] == 0 and edges[-1] == points and np.all(np.diff(edges) >= 0) and np.diff(edges).max() <= -(-points // ranks)


@pytest.mark.parametrize("shape, order, margin", [((16, 12, 10), 6, 1.0), ((4, 4, 6), 8, 1.0), ((3, 9, 8), 5, 4.0)])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("whole", [False, True])
def test_bricks_add_up_and_come_back(whole, grid, shape, order, margin):
    """Random numbers on every point of every brick against a sum in numpy; bricks wider than the box wrap more than once."""
    lengths = np.array([11.0, 9.0, 8.0])
    domain = Domain(comm, random_ions(5, lengths)[0], grid, 0.0)
    mesh = DistributedMesh(comm, shape, order, lengths, domain.lower, domain.upper, margin, whole=whole)
    brick = mesh.brick
    total = np.zeros(shape)
    points = brick.points.reshape(brick.count[0], brick.ny, brick.nz)
    places = []
    for rank in range(comm.size):
        corner, count = comm.bcast((brick.corner, brick.count), root=rank)
        values = np.random.default_rng(rank).standard_normal(count)
        index = np.ix_(*[(corner[axis] + np.arange(count[axis])) % shape[axis] for axis in range(3)])
        np.add.at(total, index, values)
        places.append(index)
        if rank == comm.rank:
            points[:, :, :count[2]] = values
    mesh.send()
    slab = mesh.deposit()
    np.testing.assert_allclose(slab, total[mesh.fft.x_range], **TIGHT)
    assert not whole or all(np.array_equal(slab, other) for other in comm.allgather(slab))          # the same bits
    mesh.collect(np.ascontiguousarray(total[mesh.fft.x_range]))
    np.testing.assert_array_equal(points[:, :, :brick.count[2]], total[places[comm.rank]])


@pytest.mark.parametrize("real", [np.float64, np.float32])
@pytest.mark.parametrize("whole", [False, True])
def test_charges_to_their_potential_as_by_parts(whole, real):
    """With and without a look at the spectrum: the bits of `deposit`, `forward`, `backward` and `collect` one after the other."""
    lengths, shape = np.array([11.0, 9.0, 8.0]), (12, 10, 9)
    domain = Domain(comm, random_ions(5, lengths)[0], GRIDS[0], 0.0)
    mesh = DistributedMesh(comm, shape, 6, lengths, domain.lower, domain.upper, 1.0, whole=whole, real=real)
    brick, charges = mesh.brick, np.random.default_rng(comm.rank).standard_normal(mesh.brick.points.size)
    influence = np.random.default_rng(99).uniform(size=mesh.fft.spectrum_shape).astype(real).ravel()

    def potential(way):
        brick.points[:] = charges
        mesh.send()
        seen = way()
        return seen, brick.potential.copy().reshape(brick.count[0], brick.ny, brick.nz)[:, :, :brick.count[2]]

    def by_parts():
        spectrum = mesh.fft.forward(mesh.deposit())
        seen = spectrum.copy()
        mesh.collect(mesh.fft.backward(spectrum, mesh.slab, influence))
        return seen
    seen, want = potential(by_parts)
    looked, found = potential(lambda: mesh.convolve(influence, np.copy))
    unseen, again = potential(lambda: mesh.convolve(influence))
    assert unseen is None and np.abs(want).max() > 0.0
    for one, other in ((looked, seen), (found, want), (again, want)):
        np.testing.assert_array_equal(one, other)


def on_ranks(maker, settings, cell, grid, drift=0.0, **options):
    """(energy, virial, net force, forces of all particles) over the ranks of a grid; `drift`: angstrom that particles have left their domain by."""
    box, kinds, species, position = cell
    domain = Domain(comm, box, grid, 0.0)
    state = scatter(domain, State.empty(box, kinds), {"species": species, "position": position})
    moved = drift * np.random.default_rng(9).uniform(-1, 1, position.shape)
    state.position[:state.n_owned] += moved[state.id[:state.n_owned]]
    result = maker(settings, box, kinds, domain, **options).compute(state, True)
    share = ordered_sum(comm, np.append(result.virial.ravel(), result.energy))
    whole = comm.bcast(gather_sorted(comm, state, ["force"]), root=0)
    return share[9], share[:9].reshape(3, 3), result.net_force, whole["force"], (box, kinds, species, position + moved)


def clustered():
    """Ions in one corner of the box: most ranks own nothing."""
    box, kinds, species, position = random_ions(20, (20.0, 24.0, 22.0))
    return box, kinds, species, position * 0.25


CELLS = {"garnet": displaced(garnet()), "rock salt": displaced(rock_salt(3)), "clustered": clustered()}


@pytest.fixture(params=["cut", "whole"])
def mesh_of_ranks(request, monkeypatch):
    """Meshes cut between the ranks, and whole ones on every rank."""
    monkeypatch.setattr(parallel_mesh, "SMALL", 10**9 if request.param == "whole" else 0)
    if comm.size == 1 and request.param == "cut":
        pytest.skip("one rank has the whole mesh")


@pytest.mark.parametrize("grid, name", [(grid, "garnet") for grid in GRIDS] + [(GRIDS[0], "rock salt"), (GRIDS[0], "clustered"), (GRIDS[-1], "clustered")])
def test_forces_do_not_depend_on_the_ranks(grid, name, mesh_of_ranks):
    """Particles up to 0.9 angstrom outside their domains and the box, as between two builds of the lists."""
    cell = CELLS[name]
    chosen = choose_coulomb("spme", 1e-5, 9.0, cell[0], cell[1], counts_of(cell))
    energy, virial, net, force, moved = on_ranks(Spme, chosen, cell, grid, 0.9)
    want, want_force = reciprocal(Spme, chosen, moved)
    largest = max(np.abs(want_force).max(), 1.0)
    np.testing.assert_allclose(force, want_force, rtol=0, atol=1e-11 * largest)
    assert energy == pytest.approx(want.energy, rel=1e-12)
    np.testing.assert_allclose(virial, want.virial, rtol=0, atol=1e-11 * abs(want.energy))
    np.testing.assert_allclose(net, want.net_force, rtol=0, atol=1e-11 * largest)


@pytest.mark.parametrize("mesh, order", [((2, 2, 2), 4), ((4, 3, 5), 8), ((6, 2, 4), 7), ((3, 5, 5), 5)])
def test_more_ranks_than_planes(mesh, order, mesh_of_ranks):
    cell = random_ions(20, (5.0, 4.0, 6.0))
    chosen = CoulombSettings("spme", 0.5, mesh, order, None, 0.0, 9.0, 1e-3, "plain", 1.0)
    for grid in GRIDS[::2]:
        energy, _, _, force, moved = on_ranks(Spme, chosen, cell, grid, 0.4)
        want, want_force = reciprocal(Spme, chosen, moved)
        np.testing.assert_allclose(force, want_force, rtol=0, atol=1e-11 * max(np.abs(want_force).max(), 1.0))
        assert energy == pytest.approx(want.energy, rel=1e-11)


def test_ewald_does_not_depend_on_the_ranks():
    cell, grid = CELLS["garnet"], GRIDS[0]
    chosen = choose_coulomb("ewald", 1e-8, 9.0, cell[0], cell[1], counts_of(cell))
    energy, virial, _, force, moved = on_ranks(Ewald, chosen, cell, grid)
    want, want_force = reciprocal(Ewald, chosen, moved)
    np.testing.assert_allclose(force, want_force, rtol=0, atol=1e-11 * max(np.abs(want_force).max(), 1.0))
    assert energy == pytest.approx(want.energy, rel=1e-12)
    np.testing.assert_allclose(virial, want.virial, rtol=0, atol=1e-11 * abs(want.energy))


def test_the_same_bits_twice(mesh_of_ranks):
    cell, grid = CELLS["garnet"], GRIDS[-1]
    chosen = choose_coulomb("spme", 1e-5, 9.0, cell[0], cell[1], counts_of(cell))
    first, second = (on_ranks(Spme, chosen, cell, grid) for _ in range(2))
    for a, b in zip(first[:4], second[:4]):
        np.testing.assert_array_equal(a, b)
