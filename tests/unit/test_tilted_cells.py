"""Tilted cells: their geometry, and forces, energies and pressures against the same crystal in a cube, against the exact sum and against differences."""
from dataclasses import replace

import numpy as np
import pytest
from charged_cells import coulomb, counts_of, exact, random_ions
from engines import advance, heat_bath, isolate, simulation
from tilted_salt import in_a_cube, rhombohedral

from hpcnemd.app.energy import evaluate
from hpcnemd.core.box import Box, reduced, standard
from hpcnemd.core.errors import InputError
from hpcnemd.dynamics.barostat import Barostat
from hpcnemd.dynamics.drive import Drive
from hpcnemd.dynamics.observers import Observer, Series
from hpcnemd.dynamics.restart import restore, snapshot
from hpcnemd.experiments.building.writing import write_structure
from hpcnemd.experiments.structures import close_pairs, load_structure, nearest_pair
from hpcnemd.experiments.system import cutoff_limit, prepare_system
from hpcnemd.experiments.tables import StructureTable
from hpcnemd.forces.coulomb import choose_coulomb, coulomb_force_scale
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.forces.spme import Spme
from hpcnemd.kernels.pair_slots import whole_units
from hpcnemd.parallel.serial import SerialComm

SALT = load_forcefield("nacl_tosi_fumi")
STRONG = (0.5, -0.5, 0.5)


# ---- geometry ------------------------------------------------------------------------------------------------------------

def test_coordinates_there_and_back():
    rng = np.random.default_rng(3)
    for skew in (STRONG, (-0.3, 0.5, 0.1), (0.0, 0.4, 0.0)):
        box = Box([7.0, 9.0, 5.0], skew=skew)
        assert np.allclose(box.matrix, [[7, 0, 0], [7 * skew[0], 9, 0], [7 * skew[1], 9 * skew[2], 5]])
        assert box.volume == pytest.approx(np.linalg.det(box.matrix))
        faces = np.cross(box.matrix[[1, 2, 0]], box.matrix[[2, 0, 1]])
        assert np.allclose(box.heights, box.volume / np.linalg.norm(faces, axis=1)) and np.allclose(box.edges, np.linalg.norm(box.matrix, axis=1))
        unit = faces / np.linalg.norm(faces, axis=1)[:, None]
        assert box.corner_room == pytest.approx(np.linalg.eigvalsh(unit @ unit.T).max())
        place = 40 * rng.standard_normal((50, 3))
        assert np.allclose(box.upright(place) / box.lengths, np.linalg.solve(box.matrix.T, place.T).T)
        assert np.allclose(box.placed(box.upright(place)), place)
        gradient = rng.standard_normal((4, 3))
        force = gradient.copy()
        box.lay_back(force)
        move = rng.standard_normal((4, 3))
        assert np.allclose((force * move).sum(axis=1), (gradient * box.upright(move)).sum(axis=1))          # the work is the same
        wrapped, image = place.copy(), np.zeros((50, 3), np.int64)
        box.wrap(wrapped, image)
        assert np.allclose(wrapped + image @ box.matrix, place, atol=1e-12) and image.any()
        fraction = box.upright(wrapped) / box.lengths
        assert (fraction > -1e-12).all() and (fraction < 1 + 1e-12).all()
        strained = box.with_lengths(box.lengths * [1.1, 0.9, 1.2])
        assert np.allclose(strained.matrix, box.matrix * [1.1, 0.9, 1.2])


def test_any_cell_is_turned_and_reduced():
    rng = np.random.default_rng(4)
    for _ in range(20):
        cell = rng.standard_normal((3, 3)) * 5
        cell *= np.sign(np.linalg.det(cell))
        try:
            matrix, turn = standard(cell)
        except InputError:
            continue                                    # thin ones are another test
        assert np.allclose(cell @ turn, matrix) and np.allclose(turn @ turn.T, np.eye(3)) and np.linalg.det(turn) > 0
        small, change = reduced(matrix)
        assert np.allclose(change @ matrix, small) and round(np.linalg.det(change)) == 1
        assert np.abs(Box.from_matrix(small).skew).max() <= 0.5 + 1e-9


def test_cells_that_are_none_say_what_to_do(tmp_path):
    import ase
    import ase.io

    def refused(cell, **table):
        ase.io.write(tmp_path / "cell.extxyz", ase.Atoms("NaCl", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=cell, pbc=True))
        with pytest.raises(InputError) as caught:
            load_structure(StructureTable(file="cell.extxyz", **table), tmp_path)
        return str(caught.value)
    assert "left-handed" in refused([[0, 4, 1], [4, 0, 1], [0, 1, 4]]) and "exchange two of them" in refused([[0, 4, 1], [4, 0, 1], [0, 1, 4]])
    assert "degenerate" in refused([[4, 0, 0.1], [0, 4, 0], [2, 2, 0.1]])
    assert "write structure.orthorhombic = 1e-06 (2 cells" in refused(0.5 * 5.64 * (1 - np.eye(3)), grains={"count": 2, "box": "20 angstrom"})
    with pytest.raises(InputError, match="tilts of .*reduce the cell"):
        Box([4.0, 4.0, 4.0], skew=(0.7, 0.0, 0.0))
    structure, _ = rhombohedral(1, 0.0)
    assert cutoff_limit(structure.box) == pytest.approx(3 * structure.box.heights.min())
    with pytest.raises(InputError, match=r'cutoff = "12 angstrom": the limit for this cell is 9.769 angstrom \(3 times its smallest distance between faces\); write a smaller cutoff, or repeat'):
        prepare_system(structure, SALT, cutoff=12.0)


@pytest.mark.parametrize("name", ["cell.cif", "POSCAR", "cell.extxyz", "cell.data"])
def test_files_there_and_back(tmp_path, name):
    """The same cell and ions from each kind of file, whose tilts here are the largest."""
    structure, _ = rhombohedral(2)
    system = prepare_system(structure, SALT, "none", cutoff=6.0)
    write_structure(system, tmp_path / name)
    options = dict(format="lammps-data", types=("Na", "Cl")) if name.endswith("data") else {}
    back = load_structure(StructureTable(file=name, **options), tmp_path)
    assert np.allclose(back.box.matrix, structure.box.matrix, atol=1e-5) and "it stays as it is" in back.notes[0]
    apart = np.linalg.norm(structure.box.images_within(back.positions, 3.0)[1][:, None] - structure.positions, axis=2)
    names = np.array(back.names)[structure.box.images_within(back.positions, 3.0)[0]]
    assert apart.min(axis=0).max() < 1e-4 and names[apart.argmin(axis=0)].tolist() == structure.names


def test_a_supercell_is_reduced_to_the_equivalent_one(tmp_path):
    import ase
    import ase.io
    ase.io.write(tmp_path / "cell.extxyz", ase.Atoms("NaCl", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=0.5 * 5.64 * (1 - np.eye(3)), pbc=True))
    built = load_structure(StructureTable(file="cell.extxyz", supercell=[1, 3, 3]), tmp_path)
    assert np.abs(built.box.skew).max() <= 0.5 + 1e-9 and built.box.volume == pytest.approx(9 * 5.64**3 / 4)
    assert any(note.startswith("tilts reduced to the equivalent cell with the rows") for note in built.notes)
    assert any("the cell was turned" in note for note in built.notes)
    assert nearest_pair(built)[0] == pytest.approx(2.82) and len(close_pairs(built, 2.9)) == 9 * 2 * 6 / 2


def test_neighbours_of_a_structure():
    structure, turn = rhombohedral(3)
    cube, rows = in_a_cube(structure, turn, 3)
    assert nearest_pair(structure)[0] == pytest.approx(nearest_pair(cube)[0], abs=1e-12)
    mine, theirs = close_pairs(structure, 3.0), close_pairs(cube, 3.0)
    assert 4 * len(mine) == len(theirs) and np.allclose(np.repeat([r for r, *_ in mine], 4), [r for r, *_ in theirs])
    lone = structure._replace(box=Box([3.0, 4.0, 5.0], skew=(0.5, 0.5, 0.5)), names=["Na"], positions=np.zeros((1, 3)))
    assert nearest_pair(lone) == (3.0, 0, 0)


def test_fixed_point_places_differ_by_the_same_numbers_at_every_image():
    box, rng = Box([11.0, 9.0, 13.0], skew=(0.5, -0.37, 0.21)), np.random.default_rng(6)
    place = box.placed(rng.random((200, 3)) * box.lengths)
    per_length = 2.0**32 / (box.lengths * [4, 8, 2])
    here = whole_units(box.upright(place), per_length, box.lengths, box.tilts)
    assert np.abs(here / per_length - place).max() < 1.6 / per_length.min()
    for turn in ((1, 0, 0), (0, -1, 0), (0, 0, 1), (-1, 2, -1)):
        there = whole_units(box.upright(place + np.array(turn) @ box.matrix), per_length, box.lengths, box.tilts)
        assert len(np.unique(there - here, axis=0)) == 1


# ---- forces --------------------------------------------------------------------------------------------------------------

def test_rhombohedral_salt_is_cubic_salt():
    """The same particles in two cells: energy, forces and pressure tensor to 1e-9."""
    structure, turn = rhombohedral(3)
    cube, rows = in_a_cube(structure, turn, 3)
    mine, theirs = (prepare_system(one, SALT, "ewald", 1e-10, 8.0) for one in (structure, cube))
    theirs = replace(theirs, coulomb=replace(theirs.coulomb, beta=mine.coulomb.beta))
    (potential, force), (other, wanted) = (evaluate(SerialComm(), one) for one in (mine, theirs))
    assert potential.potential * 4 == pytest.approx(other.potential, rel=1e-9)
    assert np.abs(force[rows] @ turn.T - wanted).max() < 1e-9
    assert np.abs(turn @ potential.virial @ turn.T * 4 - other.virial).max() < 1e-9 * np.abs(other.virial).max()


@pytest.mark.parametrize("accuracy", [1e-4, 1e-5, 1e-6])
def test_mesh_against_the_exact_sum(accuracy):
    """Random ions in a strongly tilted cell: the rms error of the mesh is that of its estimate."""
    cell = random_ions(60, (9.0, 11.0, 7.5), skew=STRONG)
    box, kinds, species, position = cell
    settings = choose_coulomb("spme", accuracy, 8.0, box, kinds, counts_of(cell), force_scale=coulomb_force_scale(box, kinds, species, position))
    _, wanted, virial = exact(cell, 8.0)
    energy, force, found = coulomb(Spme, settings, cell, remove_net_force=False)
    error = np.sqrt(((force - wanted) ** 2).mean())
    assert 0.2 * settings.estimated_error < error < 1.5 * settings.estimated_error
    assert np.abs(found - virial).max() < 100 * settings.estimated_error


def test_force_scale_is_that_of_the_same_crystal():
    structure, turn = rhombohedral(3)
    cube, rows = in_a_cube(structure, turn, 3)
    scale = []
    for one in (structure, cube):
        system = prepare_system(one, SALT, "none", cutoff=8.0)
        scale.append(coulomb_force_scale(one.box, system.kinds, system.species, one.positions))
    assert scale[0] == pytest.approx(scale[1], rel=1e-9)


def strained(system, strain):
    """The System with the cell H (1 + strain), strain (3, 3) lower triangular as H, at the same settings."""
    change = np.eye(3) + strain
    box = Box.from_matrix(system.box.matrix @ change)
    return replace(system, box=box, position=system.position @ change)


@pytest.mark.parametrize("method", ["ewald", "spme"])
def test_forces_and_virial_are_derivatives_of_the_energy(method):
    """Forces by moves of single ions; the virial by strains, shears of the cell among them."""
    structure, _ = rhombohedral(2, 0.2)
    box = Box(structure.box.lengths, skew=(0.45, 0.4, -0.3))
    system = prepare_system(structure._replace(box=box, positions=box.placed(structure.box.upright(structure.positions))), SALT, method, 1e-6, 6.0)
    potential, force = evaluate(SerialComm(), system)

    def energy(one):
        return evaluate(SerialComm(), one)[0].potential
    for ion, axis in ((0, 0), (5, 1)):
        ends = []
        for step in (1e-4, -1e-4):
            position = system.position.copy()
            position[ion, axis] += step
            ends.append(energy(replace(system, position=position)))
        assert force[ion, axis] == pytest.approx(-(ends[0] - ends[1]) / 2e-4, abs=2e-6)
    for a, b in ((0, 0), (2, 2), (1, 0), (2, 0), (2, 1)):
        ends = []
        for step in (1e-5, -1e-5):
            strain = np.zeros((3, 3))
            strain[a, b] = step
            ends.append(energy(strained(system, strain)))
        assert potential.virial[a, b] == pytest.approx(-(ends[0] - ends[1]) / 2e-5, abs=2e-4)


def test_no_tilt_is_no_tilt():
    """A cell given as a tilted one without tilts is the orthorhombic one; with a tilt that moves nothing, the other path of the code gives the same numbers."""
    structure, turn = rhombohedral(2)
    cube = in_a_cube(structure, turn, 2)[0]
    assert not Box.from_matrix(np.diag(cube.box.lengths) + np.tril(np.full((3, 3), 1e-12), -1)).tilted
    for method, accuracy in (("ewald", 1e-8), ("spme", 1e-5)):
        plain = prepare_system(cube, SALT, method, accuracy, 7.0)
        tilted = replace(plain, box=Box(cube.box.lengths, skew=(1e-200, 0.0, 0.0)))
        assert tilted.box.tilted
        (one, force), (other, wanted) = (evaluate(SerialComm(), system) for system in (tilted, plain))
        # the influence function of the mesh counts fewer aliases: 2e-4 of its smallest values
        room = 1e-10 if method == "ewald" else 0.05 * plain.coulomb.estimated_error
        assert one.potential == pytest.approx(other.potential, abs=100 * room)
        assert np.abs(force - wanted).max() < room and np.abs(one.virial - other.virial).max() < 100 * room


# ---- motion --------------------------------------------------------------------------------------------------------------

class Ledger(Observer):
    """Energy - work + heat, eV, and current, e angstrom/fs, of every step."""
    needs_energy = True

    def __init__(self):
        super().__init__(1)
        self.energy, self.current = [], []

    def observe(self, sim):
        self.energy.append(sim.energy - sim.shared.work + sim.shared.heat)
        self.current.append(sim.shared.current)


def ledgers(drive=None, time=40.0):
    """[(Ledger, Simulation, Series)] of the same run with steps of 2 and 1 fs; a drive acts along z, which is along no edge of the cell."""
    structure, _ = rhombohedral(3)
    found = []
    for timestep in (2.0, 1.0):
        sim = simulation(prepare_system(structure, SALT, "spme", 1e-5, 7.0), 1000.0, timestep)
        if drive is None:
            isolate(sim)
        else:
            sim.colour.axis[:] = (0.0, 0.0, 1.0)
            heat_bath(sim, 1000.0, drive=drive)
        sim.start()
        advance(sim, 1)                                 # the projection brings the current to its value
        found.append((Ledger(), sim, Series(1, 2, int(time / timestep), 2)))
        advance(sim, 1 + int(time / timestep), (found[-1][0], found[-1][2]))
    return found


def test_energy_is_conserved_to_second_order():
    """Fluctuations of the energy of an isolated system fall by four with half the time step (3 to 5.5 here)."""
    coarse, fine = (np.std(one.energy) for one, *_ in ledgers())
    assert 3.0 < coarse / fine < 5.5 and fine < 2e-3


def test_constant_current_and_its_ledger():
    """The current to 1e-12, and energy = work - heat to second order in the time step; unwrapped places tell the same charge moved along z, through the walls."""
    runs = ledgers(Drive("constant_current", 0.03))
    assert all(np.abs(np.array(one.current) / 0.03 - 1.0).max() < 1e-12 for one, *_ in runs)
    coarse, fine = (np.std(one.energy) for one, *_ in runs)
    assert 2.5 < coarse / fine < 6.0 and fine < 2e-3
    _, sim, series = runs[1]
    moved = sim.colour.charge @ np.diff(series.data["species_displacement"][[0, -1], :, 2], axis=0)[0]
    assert moved == pytest.approx(0.03 * (series.taken - 1), rel=1e-3) and sim.state.image[:sim.state.n_owned].any() and sim.rebuilds > 1


def test_restart_at_constant_pressure_is_the_uninterrupted_run():
    """Bit for bit, the cell included, whose skew stays."""
    structure, _ = rhombohedral(3)
    system = prepare_system(structure, SALT, "spme", 1e-4, 7.0)

    def begun():
        sim = simulation(system, 900.0, 2.0, seed=5)
        heat_bath(sim, 900.0)
        sim.enter_phase(sim.drive, sim.thermostat, sim.on, Barostat(0.0, 900.0, 100.0, 6.0, "anisotropic", 5, 2.0, system.box.lengths))
        return sim
    whole = begun()
    whole.start()
    start = whole.energy
    advance(whole, 23)
    saved = snapshot(whole)
    advance(whole, 60)
    assert np.array_equal(whole.state.box.skew, system.box.skew) and np.ptp(whole.state.box.lengths / system.box.lengths) > 1e-3
    assert abs(whole.energy - start + whole.shared.heat - whole.barostat.energy) < 0.05
    again = begun()
    restore(again, *saved, same_grid=True)
    advance(again, 60)
    n = again.state.n_owned
    assert np.array_equal(again.state.box.lengths, whole.state.box.lengths)
    for name in ("id", "position", "velocity", "force", "image"):
        assert np.array_equal(getattr(again.state, name)[:n], getattr(whole.state, name)[:n]), name
