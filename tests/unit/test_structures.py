"""Built-in cells against their crystal chemistry, files through ASE, and what is refused before any work."""
from collections import Counter

import numpy as np
import pytest

from hpcnemd.core.box import Box
from hpcnemd.core.errors import InputError
from hpcnemd.experiments.structures import BUILT_IN, Structure, kinds_of, load_structure, mass_density, named_structure, nearest_pair, structure_problems
from hpcnemd.experiments.tables import StructureTable
from hpcnemd.forces.forcefield import load_forcefield


def brute_force_nearest(structure):
    apart = structure.positions[:, None] - structure.positions[None]
    apart -= structure.box.lengths * np.round(apart / structure.box.lengths)
    distance = np.linalg.norm(apart, axis=-1)
    np.fill_diagonal(distance, np.inf)
    return distance.min()


@pytest.mark.parametrize("name, formula, table", [
    ("llzo_tetragonal", {"Li": 56, "La": 24, "Zr": 16, "O": 96}, "llzo_buckingham"),
    ("llzo_cubic_box", {"Li": 56, "La": 24, "Zr": 16, "O": 96}, "oxides_du_teter"),
    ("llzo_cubic", {"Li": 56, "La": 24, "Zr": 16, "O": 96}, "llzo_buckingham"),
    ("nacl", {"Na": 4, "Cl": 4}, "nacl_tosi_fumi"),
    ("nacl_melt", {"Na": 108, "Cl": 108}, "nacl_tosi_fumi"),
    ("agi_alpha", {"Ag": 128, "I": 128}, "agi_reprv"),
    ("caf2", {"Ca": 4, "F": 8}, "caf2_gillan"),
    ("li2o", {"Li": 8, "O": 4}, "li2o_islam"),
])
def test_built_in_cells(name, formula, table):
    structure, field = named_structure(name), load_forcefield(table)
    assert Counter(structure.names) == formula
    assert structure_problems(structure, field) == []
    assert nearest_pair(structure)[0] == pytest.approx(brute_force_nearest(structure), abs=1e-12)
    kinds, index = kinds_of(structure, field)
    assert [kinds.names[k] for k in index] == structure.names


def test_every_built_in_cell_is_tested():
    assert set(BUILT_IN) == {"llzo_tetragonal", "llzo_cubic_box", "llzo_cubic", "nacl", "nacl_melt", "agi_alpha", "caf2", "li2o"}


def test_bonds_of_tetragonal_llzo():
    """Six Zr-O bonds of 2.13-2.14, eight La-O of 2.47-2.64, Li-O of at least 1.895 angstrom follow from the published sites."""
    structure = named_structure("llzo_tetragonal")
    names = np.array(structure.names)
    apart = structure.positions[:, None] - structure.positions[None, names == "O"]
    apart -= structure.box.lengths * np.round(apart / structure.box.lengths)
    distance = np.sort(np.linalg.norm(apart, axis=-1), axis=1)
    assert np.all(np.abs(distance[names == "Zr"][:, :6] - 2.135) < 0.01)
    assert np.all((distance[names == "La"][:, :8] > 2.465) & (distance[names == "La"][:, :8] < 2.645))
    assert np.all(distance[names == "La"][:, 8] > 3.0)
    assert distance[names == "Li"][:, 0].min() == pytest.approx(1.895, abs=1e-3)


def test_silver_of_alpha_agi_uses_all_kinds_of_site():
    structure = named_structure("agi_alpha")
    silver = structure.positions[np.array(structure.names) == "Ag"] / 5.08 % 1.0
    axes = Counter(int(np.argmax(np.abs(np.abs(site % 0.5 - 0.25) - 0.25) > 0.1)) for site in silver)
    assert len(silver) == 128 and set(axes) == {0, 1, 2} and min(axes.values()) > 20
    assert nearest_pair(structure)[0] > 2.8                                 # Ag-I in its tetrahedron, a sqrt(5)/4 = 2.84


def test_density_lattice_and_supercell():
    melt = named_structure("nacl_melt")
    kinds, index = kinds_of(melt, load_forcefield("nacl_tosi_fumi"))
    assert mass_density(melt, kinds, index) == pytest.approx(1.454, abs=1e-3)
    cell = load_structure(StructureTable(build="llzo_tetragonal", lattice="13 angstrom", supercell=[2, 1, 3]))
    assert cell.box.lengths == pytest.approx([26, 13, 39]) and len(cell.names) == 6 * 192
    thin = load_structure(StructureTable(build="nacl", density="2.0 g/cm^3"))
    assert mass_density(thin, *kinds_of(thin, load_forcefield("nacl_tosi_fumi"))) == pytest.approx(2.0, rel=1e-3)


def test_files_come_in_through_ase(tmp_path):
    import ase.io
    from ase.spacegroup import crystal
    atoms = crystal(["Na", "Cl"], [(0, 0, 0), (0.5, 0.5, 0.5)], spacegroup=225, cellpar=[5.64] * 3 + [90] * 3)
    for name in ("salt.cif", "POSCAR", "salt.extxyz"):
        ase.io.write(tmp_path / name, atoms)
        read = load_structure(StructureTable(file=name), base=tmp_path)
        assert Counter(read.names) == {"Na": 4, "Cl": 4} and read.box.lengths == pytest.approx([5.64] * 3, abs=1e-5)
    ase.io.write(tmp_path / "salt.data", atoms, format="lammps-data", atom_style="charge", specorder=["Na", "Cl"])
    table = StructureTable(file="salt.data", format="lammps-data", types=["Na", "Cl"])
    assert Counter(load_structure(table, base=tmp_path).names) == {"Na": 4, "Cl": 4}


def refusal(tmp_path, name, **table):
    with pytest.raises(InputError) as caught:
        load_structure(StructureTable(file=name, **table), base=tmp_path)
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


def test_files_that_are_refused(tmp_path):
    assert "there is no file" in refusal(tmp_path, "nowhere.cif")
    (tmp_path / "noise.cif").write_text("this is no crystal")
    assert "ASE cannot read it" in refusal(tmp_path, "noise.cif")
    (tmp_path / "molecule.xyz").write_text("2\n\nNa 0 0 0\nCl 0 0 2.4\n")
    assert "no periodic cell" in refusal(tmp_path, "molecule.xyz")


def test_structures_that_are_refused():
    field = load_forcefield("nacl_tosi_fumi")
    good = named_structure("nacl")
    positions = good.positions.copy()
    positions[3, 1] = np.nan
    told = structure_problems(good._replace(positions=positions), field)
    assert len(told) == 1 and "1 ions have positions that are not numbers, ions 3 (Na)" in told[0]
    positions = good.positions.copy()
    positions[5] = positions[0] + [5.64, 0.2, -5.64]                        # overlaps through two faces of the cell
    told = structure_problems(good._replace(positions=positions), field)
    assert len(told) == 1 and "ions 0 (Na) and 5 (Cl) are 0.200 angstrom apart" in told[0]
    told = structure_problems(Structure(good.box, good.names[:-1], good.positions[:-1]), field)
    assert len(told) == 1 and "the cell is charged, +1 e (4 Na, 3 Cl)" in told[0]
    told = structure_problems(named_structure("caf2"), field)
    assert len(told) == 1 and "no parameters for Ca, F" in told[0]


def test_a_lone_ion_meets_its_image():
    assert nearest_pair(Structure(Box(np.array([3.0, 4.0, 5.0])), ["Na"], np.zeros((1, 3)))) == (3.0, 0, 0)
