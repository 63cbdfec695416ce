"""Partly occupied sites, dopants, orthorhombic supercells and written cells: exact numbers, distances, the same cell from the same seed, and what is refused."""
import re
from collections import Counter

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.cell import Cell
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal

from hpcnemd.core.errors import InputError
from hpcnemd.experiments.building.orthorhombic import orthorhombic_matrix
from hpcnemd.experiments.building.sites import sites_of
from hpcnemd.experiments.building.symmetry import crystal as from_sites, operations
from hpcnemd.experiments.building.writing import write_structure
from hpcnemd.experiments.structures import load_structure, nearest_pair
from hpcnemd.experiments.system import prepare_system, system_of_deck
from hpcnemd.experiments.tables import ForcefieldTable, StructureTable
from hpcnemd.forces.forcefield import load_forcefield

CHARGES = {"Li": 1.0, "La": 3.0, "Zr": 4.0, "O": -2.0, "Ta": 5.0, "Al": 3.0, "Ca": 2.0}
CUBIC = {"Li": 56, "La": 24, "Zr": 16, "O": 96}


def garnet_cif(path, share_24d, share_96h):
    """Cubic LLZO with Li on 24d and split 96h sites, whose two halves are 0.77 angstrom apart and 1.67 from a 24d site."""
    sites = [("Zr", (0, 0, 0), 1), ("La", (0.125, 0, 0.25), 1), ("O", (-0.0311, 0.0537, 0.1497), 1), ("Li", (0.375, 0, 0.25), share_24d),
             ("Li", (0.0971, 0.6853, 0.5763), share_96h)]
    rows = "\n".join(f"{name}{k} {name} {share} {x} {y} {z}" for k, (name, (x, y, z), share) in enumerate(sites))
    path.write_text("data_llzo\n_cell_length_a 13.17\n_cell_length_b 13.17\n_cell_length_c 13.17\n_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n"
                    "_symmetry_space_group_name_H-M 'I a -3 d'\n_symmetry_Int_Tables_number 230\nloop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_occupancy\n"
                    f"_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n{rows}\n")


def test_partly_occupied_sites_of_a_cif_file_are_filled(tmp_path):
    garnet_cif(tmp_path / "llzo.cif", 0.3333, 0.5)
    table = dict(file="llzo.cif", supercell=[2, 1, 1], exclusion="2.3 angstrom")
    built = load_structure(StructureTable(**table, seed=3), tmp_path, CHARGES)
    assert Counter(built.names) == {name: 2 * n for name, n in CUBIC.items()}
    lithium = np.array(built.names) == "Li"
    assert nearest_pair(built._replace(names=["Li"] * int(lithium.sum()), positions=built.positions[lithium]))[0] >= 2.3
    assert "16 Li on 48 Li3, 96 Li on 192 Li4" in built.notes[-1]
    again = load_structure(StructureTable(**table, seed=3), tmp_path, CHARGES)
    other = load_structure(StructureTable(**table, seed=4), tmp_path, CHARGES)
    assert np.array_equal(built.positions, again.positions) and not np.array_equal(built.positions, other.positions)


def test_sites_that_cannot_be_filled_say_what_to_do(tmp_path):
    """22.6 of 24 tetrahedra and 33.5 of 48 octahedra share faces everywhere: no arrangement keeps 2 angstrom."""
    garnet_cif(tmp_path / "llzo.cif", 0.94, 0.349)
    with pytest.raises(InputError, match=r"cannot be filled .*Li3-Li4 1.665 angstrom.*structure.exclusion = \"1.664 angstrom\""):
        load_structure(StructureTable(file="llzo.cif"), tmp_path, CHARGES)
    assert Counter(load_structure(StructureTable(file="llzo.cif", exclusion="1.664 angstrom"), tmp_path, CHARGES).names) == CUBIC
    with pytest.raises(InputError, match="Li3 is to hold 40 ions and has 24 places in the cell"):
        load_structure(StructureTable(file="llzo.cif", counts={"Li": 100}), tmp_path, CHARGES)
    with pytest.raises(InputError, match="structure.counts: Na is on no partly occupied site; those hold Li"):
        load_structure(StructureTable(file="llzo.cif", counts={"Na": 5}), tmp_path, CHARGES)


def test_occupancies_are_rounded_to_a_neutral_cell(tmp_path):
    """0.94 x 24 + 0.349 x 96 is 56.06, and 448.5 in eight cells: 448 is neutral; without charges the nearest number stands."""
    garnet_cif(tmp_path / "llzo.cif", 0.94, 0.349)
    atoms = ase.io.read(tmp_path / "llzo.cif", store_tags=True).repeat(2)
    assert sites_of(atoms, 8, None, CHARGES).total("Li") == 448
    assert sites_of(atoms, 8, {"Li": 55}, CHARGES).total("Li") == 440


def doped(build, *doping, **table):
    return load_structure(StructureTable(build=build, doping=doping, **table), charges=CHARGES)


def test_dopants_come_with_their_vacancies():
    assert Counter(doped("llzo_cubic", dict(element="Ta", site="Zr", fraction=0.25)).names) == {"Li": 52, "La": 24, "Zr": 12, "Ta": 4, "O": 96}
    assert Counter(doped("llzo_tetragonal", dict(element="Al", site="Li", count=3)).names) == {"Li": 47, "La": 24, "Zr": 16, "Al": 3, "O": 96}
    both = doped("llzo_cubic", dict(element="Ta", site="Zr", fraction=0.5), dict(element="Al", site="Li1", count=2))
    assert Counter(both.names) == {"Li": 56 - 8 - 2 - 4, "La": 24, "Zr": 8, "Ta": 8, "Al": 2, "O": 96}
    acceptor = doped("llzo_cubic", dict(element="Ca", site="La", count=2))
    assert Counter(acceptor.names) == {"Li": 58, "La": 22, "Ca": 2, "Zr": 16, "O": 96}
    for built in (both, acceptor):
        assert sum(CHARGES[name] for name in built.names) == 0
    assert not np.array_equal(*(doped("llzo_tetragonal", dict(element="Ta", site="Zr", count=4), seed=seed).positions for seed in (1, 2)))


@pytest.mark.parametrize("doping, message", [
    (dict(element="Ta", site="Zr", fraction=0.1), r"these are 1.6 ions of Ta, not a whole number; write 0.0625 \(1 ions\) or 0.125 \(2 ions\), or a larger"),
    (dict(element="Ta", site="Ti", count=1), "no such species or site; write one of"),
    (dict(element="Nb", site="Zr", count=1), r"no parameters for Nb.*add a \[species\] entry"),
    (dict(element="Ta", site="Zr", count=4, compensate="La"), r"change the charge by \+4 e, which 1.33333 La of \+3 e cannot balance; write count = 3 or 6 for Ta"),
    (dict(element="Ca", site="La", count=2), r"need 2 more Li, and its sites have 0 free places"),
    (dict(element="Ta", site="Zr", count=99), "the cell has 16 Zr on those sites"),
])
def test_doping_that_is_refused(doping, message):
    with pytest.raises(InputError, match=message):
        doped("llzo_tetragonal", doping)


def test_a_dopant_that_the_force_field_lacks():
    structure = StructureTable(build="llzo_cubic", doping=[dict(element="W", site="Zr", fraction=0.25)])
    with pytest.raises(InputError, match="the force field has no parameters for W"):
        system_of_deck(structure, ForcefieldTable(table="llzo_buckingham"))


# ---- orthorhombic supercells -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("cell, cells", [([3.99, 3.99, 3.99, 60, 60, 60], 2), ([3.2, 3.2, 5.2, 90, 90, 120], 2), ([4.96, 4.96, 4.96, 32.99, 32.99, 32.99], 6),
                                         ([6.0, 7.0, 8.0, 90, 90, 90], 1)])
def test_lattices_with_an_exact_orthorhombic_cell(cell, cells):
    matrix, edges, strain = orthorhombic_matrix(Cell.fromcellpar(cell).array, 1e-6)
    assert round(np.linalg.det(matrix)) == cells and strain < 1e-6
    assert np.prod(edges) == pytest.approx(cells * Cell.fromcellpar(cell).volume)


def surroundings(structure, reach):
    import ase
    atoms = ase.Atoms(structure.names, positions=structure.positions, cell=structure.box.matrix, pbc=True)
    i, j, d = neighbor_list("ijd", atoms, reach)
    return Counter((structure.names[a], structure.names[b], round(float(r), 4)) for a, b, r in zip(i, j, d)), len(atoms)


def test_a_primitive_cell_becomes_the_same_crystal(tmp_path):
    """Numbers of neighbours at each distance, per ion, of rock salt from its primitive cell and from its cubic one."""
    ase.io.write(tmp_path / "primitive.extxyz", bulk("NaCl", "rocksalt", a=5.64))
    ase.io.write(tmp_path / "cubic.extxyz", bulk("NaCl", "rocksalt", a=5.64, cubic=True))
    found, n = surroundings(load_structure(StructureTable(file="primitive.extxyz", orthorhombic=1e-6), tmp_path), 7.0)
    known, m = surroundings(load_structure(StructureTable(file="cubic.extxyz"), tmp_path), 7.0)
    assert n == 4 and {key: value / n for key, value in found.items()} == {key: value / m for key, value in known.items()}


def test_monoclinic_cells_are_told_their_strain(tmp_path):
    atoms = crystal(["Na", "Cl"], [(0, 0, 0), (0.5, 0.5, 0.5)], spacegroup=1, cellpar=[8.6, 9.0, 6.5, 90, 110.2, 90])
    ase.io.write(tmp_path / "mono.extxyz", atoms)
    kept = load_structure(StructureTable(file="mono.extxyz"), tmp_path)
    assert len(kept.names) == 2 and kept.box.tilted and kept.box.edges == pytest.approx([8.6, 9.0, 6.5]) and kept.box.volume == pytest.approx(atoms.get_volume())
    assert re.search(r"not orthorhombic .*structure.orthorhombic = 0.01 \(4 cells, 8 sites\) or structure.orthorhombic = 0.03 \(2 cells", kept.notes[0])
    built = load_structure(StructureTable(file="mono.extxyz", orthorhombic=0.01), tmp_path)
    assert len(built.names) == 8 and built.box.volume == pytest.approx(4 * atoms.get_volume()) and "largest strain 0.0078" in built.notes[0]
    with pytest.raises(InputError, match="within this strain"):
        load_structure(StructureTable(file="mono.extxyz", orthorhombic=1e-4), tmp_path)


# ---- files out ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["cell.cif", "POSCAR", "cell.extxyz", "cell.data"])
def test_a_built_cell_comes_back_from_its_file(tmp_path, name):
    field = load_forcefield("llzo_buckingham")
    built = load_structure(StructureTable(build="llzo_cubic", doping=[dict(element="Al", site="Li1", count=4)]), charges=dict(zip(field.species, field.charges)))
    system = prepare_system(built, field)
    assert "184 ions" in write_structure(system, tmp_path / name)
    types = dict(format="lammps-data", types=system.kinds.names) if name.endswith("data") else {}
    back = load_structure(StructureTable(file=name, **types), tmp_path)
    assert Counter(back.names) == Counter(built.names) and back.box.lengths == pytest.approx(built.box.lengths, abs=1e-5)
    for species in set(built.names):
        a, b = (s.positions[np.array(s.names) == species] for s in (built, back))
        apart = a[:, None] - b[None]
        apart -= built.box.lengths * np.round(apart / built.box.lengths)
        assert np.linalg.norm(apart, axis=-1).min(axis=1).max() < 1e-4
    with pytest.raises(InputError, match="does not tell the format"):
        write_structure(system, tmp_path / "cell.unknown")


@pytest.mark.parametrize("number", [62, 142, 167, 194, 225, 227, 230])
def test_crystals_from_sites_are_those_of_ase(number):
    """Same ions, order and coordinates, for special and general sites; also with the second setting where there is one."""
    names, basis = ["Zr", "O", "Li"], [(0, 0, 0), (0.125, 0, 0.25), (0.0805, 0.1625, 0.9309)]
    for setting in (1, 2) if number in (142, 167, 227) else (1,):
        expected = crystal(names, basis, spacegroup=number, setting=setting, cellpar=[7, 8, 9, 90, 90, 90], occupancies=[1, 1, 0.5])
        found = from_sites(names, basis, number, (7.0, 8.0, 9.0), [1, 1, 0.5], setting)
        assert found.get_chemical_symbols() == expected.get_chemical_symbols() and found.info["occupancy"] == expected.info["occupancy"]
        assert np.array_equal(found.get_scaled_positions(), expected.get_scaled_positions())
        assert np.array_equal(found.arrays["spacegroup_kinds"], expected.arrays["spacegroup_kinds"])
    with pytest.raises(KeyError, match="space group 231"):
        operations(231)
