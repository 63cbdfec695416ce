"""Structures to start from: how a deck's [structure] becomes ions in a box, and what is checked before any work."""
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..core.box import Box, reduced, standard
from ..core.errors import InputError
from ..core.nearby import pairs_within
from ..core.random import generator
from ..core.units import AVOGADRO, MASS
from .building.crystals import BUILT_IN, at_density, rescaled
from .building.grains import build_grains
from .building.orthorhombic import is_orthorhombic, orthorhombic_matrix, orthorhombic_supercell
from .building.reading import read_atoms
from .building.sites import dope, fill, partial_sites, sites_of
from .tables import StructureTable


class Structure(NamedTuple):
    """`names`: species of each ion (list of n str); `positions` (n, 3) angstrom, inside or outside the box. `grain` (n,) int32 of each ion, or None where
    there are no grains; `notes`: lines on how it was built; `rough`: whether ions were placed at random, so that it needs to be relaxed."""
    box: Box
    names: list
    positions: np.ndarray
    grain: np.ndarray | None = None
    notes: tuple = ()
    rough: bool = False


# ---- building ----------------------------------------------------------------------------------------------------------

def load_structure(table, base=".", charges=None):
    """The Structure of a StructureTable; relative paths start at `base` (the deck's folder). `charges`: {species: e} of the force field, by which dopants are
    balanced and occupancies rounded. Raises InputError."""
    notes = []
    random = generator(table.seed, "structure")
    crystal = _crystal(table, base, charges, notes, table.grains is not None)
    if table.grains is None:
        atoms = fill(crystal, table.exclusion, random)
    else:
        crystals, of_grain = [(crystal, table.exclusion)], np.zeros(table.grains.number, int)
        for number, phase in enumerate(table.phases, 1):
            crystals.append((_crystal(phase, base, charges, notes, True), phase.exclusion))
            of_grain[list(phase.grains)] = number
        atoms, told = build_grains(crystals, table.grains, of_grain, charges, random)
        notes += told
    if table.grains is None:
        _reduce(atoms, table, notes)
    return Structure(Box.from_matrix(atoms.cell.array), atoms.get_chemical_symbols(), np.ascontiguousarray(atoms.positions), atoms.arrays.get("grain"),
                     tuple(notes), crystal.drawn or table.grains is not None)


def _crystal(table, base, charges, notes, for_grains):
    """The Sites of a CellTable, in a standard cell (an orthorhombic one `for_grains`), with their numbers of ions."""
    atoms = read_atoms(table, base)
    atoms = _standard(atoms, table.orthorhombic, notes, for_grains)
    if table.lattice is not None:
        atoms = rescaled(atoms, table.lattice)
    if table.density is not None:
        atoms = at_density(atoms, table.density)
    return _populated(atoms.repeat(table.supercell), table, charges, notes)


def _standard(atoms, strain, notes, for_grains):
    """The Atoms with a along x and b in the plane of x and y, or the smallest orthorhombic supercell of them."""
    cell = atoms.cell.array
    if is_orthorhombic(cell):
        return atoms
    shape = " ".join(f"{x:.5g}" for x in atoms.cell.cellpar())
    matrix, turn = standard(cell)
    if strain is None and not is_orthorhombic(matrix):
        hints = [(allowed, cells, cells * len(atoms)) for allowed, cells in _orthorhombic_cells(cell)]
        offers = " or ".join(f"structure.orthorhombic = {allowed:g} ({cells} cells, {sites} sites)" for allowed, cells, sites in hints)
        if for_grains:
            raise InputError(f"structure: grains are cut from orthorhombic cells, and this one is not orthorhombic (a b c alpha beta gamma: {shape}); "
                             + (f"write {offers}: the largest strain with which an orthorhombic supercell may be made of it" if hints
                                else "no orthorhombic supercell of up to 200 cells is within a strain of 3 %; make one with ase.build.make_supercell"))
        notes += [f"cell not orthorhombic (a b c alpha beta gamma: {shape}): it stays as it is" + (f"; the choice would be {offers}, whose steps cost less per ion" if hints else "")]
    if strain is None or is_orthorhombic(matrix):
        if not np.array_equal(turn, np.eye(3)):
            notes.append("the cell was turned, and forces with it: a along x, b in the plane of x and y; rows of the turn: " + np.array2string(turn, precision=6, separator=", ").replace("\n", ""))
        atoms.set_cell(np.diag(np.diag(matrix)) if is_orthorhombic(matrix) else matrix)
        atoms.positions[:] = atoms.positions @ turn
        return atoms
    found = orthorhombic_supercell(atoms, strain)
    if found is None:
        raise InputError(f"structure.orthorhombic = {strain:g}: no orthorhombic supercell of up to 200 cells is within this strain "
                         f"(a b c alpha beta gamma: {shape}); write a larger one")
    whole, matrix, off = found
    notes.append(f"orthorhombic supercell of {round(abs(np.linalg.det(matrix)))} cells, rows {matrix.tolist()} of the lattice vectors, largest strain {off:.2g}")
    return whole


def _orthorhombic_cells(cell):
    """[(strain, number of cells)] of the orthorhombic supercells of falling size."""
    hints = []
    for allowed in (1e-6, 0.01, 0.03):
        found = orthorhombic_matrix(cell, allowed)
        if found is not None and (not hints or round(abs(np.linalg.det(found[0]))) < hints[-1][1]):
            hints.append((allowed, round(abs(np.linalg.det(found[0])))))
    return hints


def _reduce(atoms, table, notes):
    """In place: tilts of at most half an edge."""
    matrix, change = reduced(atoms.cell.array)
    if not np.array_equal(change, np.eye(3)):
        notes.append(f"tilts reduced to the equivalent cell with the rows {change.tolist()} of the cell vectors")
        atoms.set_cell(matrix)


def _populated(atoms, table, charges, notes):
    """The Sites of a repeated cell: dopants, vacancies, and the numbers of ions on partly occupied sites."""
    partial = partial_sites(atoms)
    if table.doping and charges is None:
        raise InputError("structure.doping: dopants are balanced by the charges of a force field, and none is given")
    if table.counts and not partial:
        raise InputError("structure.counts: the structure has no partly occupied sites; remove it")
    sites = sites_of(atoms, int(np.prod(table.supercell)), table.counts, charges)
    notes += dope(sites, table.doping, charges) if table.doping else []
    if partial:
        told = ", ".join(f"{n} {name} on {size} {label}" for k, (label, counts, size) in enumerate(zip(sites.labels, sites.counts, sites.sizes))
                         if sites.is_random(k) for name, n in counts.items() if n)
        notes.append(f"filled at random, at least {table.exclusion:g} angstrom apart: {told}")
    return sites


def named_structure(name):
    """The Structure of a built-in name or of a file, whichever `name` is (command line)."""
    return load_structure(StructureTable(build=name) if name in BUILT_IN and not Path(name).exists() else StructureTable(file=str(name)))


def named_atoms(name):
    """ASE Atoms, in any cell, of a built-in name or of a file (command line). Raises InputError; sites must be wholly occupied."""
    atoms = BUILT_IN[name]() if name in BUILT_IN and not Path(name).exists() else read_atoms(StructureTable(file=str(name)), ".")
    if partial_sites(atoms):
        raise InputError(f"{name} has partly occupied sites; fill them first: write a deck with structure.file = \"{name}\" and run hpcnemd check DECK --write cell.cif")
    return atoms


# ---- checks ------------------------------------------------------------------------------------------------------------

def nearest_pair(structure):
    """(distance angstrom, i, j) of the closest two ions, images included; a lone ion meets its own image."""
    box, n = structure.box, len(structure.names)
    reach = 1.13 * (box.volume / n) ** (1 / box.dimensions)         # no packing of as many points keeps them further apart
    found = _pairs(box, structure.positions, reach, n)
    edge = float(box.lengths[:box.dimensions].min())
    if not len(found[0]) or found[2][0] > edge:
        return edge, 0, 0
    i, j, distance = (values[0] for values in found)
    return float(distance), int(i), int(j)


def close_pairs(structure, distance):
    """[(distance, i, j)] of all pairs of ions nearer than `distance` (angstrom): in tilted cells of all images, in others of the nearest one, up to half the
    shortest edge."""
    box = structure.box
    reach = distance if box.tilted else min(distance, 0.499 * float(box.lengths[:box.dimensions].min()))
    if reach <= 0:
        return []
    i, j, apart = _pairs(box, structure.positions, reach, len(structure.names))
    return [(r, a, b) for r, a, b in sorted(zip(apart.tolist(), i.tolist(), j.tolist())) if a != b]


def _pairs(box, positions, reach, n):
    """(i, j, distance) as of core.nearby.pairs_within; in tilted cells of all images, also a pair's several ones, and with an ion's own."""
    position, image = positions.copy(), np.zeros((n, 3), np.int64)
    box.wrap(position, image)
    if not box.tilted:
        return pairs_within(position[:, :box.dimensions], box.lengths[:box.dimensions], reach)
    rows, places = box.images_within(position, reach)
    first, second, apart = pairs_within(places, np.ptp(places, axis=0) + 2.0 * reach, reach)
    once = (first < n) & (rows[first] <= rows[second])              # images stand behind the ions
    return rows[first[once]], rows[second[once]], apart[once]


def structure_problems(structure, forcefield=None, minimum_distance=0.5):
    """Messages (list of str, empty where all is well): positions that are not finite, ions that overlap, species that the force field lacks, charge."""
    bad = np.flatnonzero(~np.isfinite(structure.positions).all(axis=1))
    if len(bad):
        some = ", ".join(f"{k} ({structure.names[k]})" for k in bad[:5])
        return [f"structure: {len(bad)} ions have positions that are not numbers, ions {some}{' ...' if len(bad) > 5 else ''} (counted from 0); correct the file"]
    problems = []
    distance, i, j = nearest_pair(structure)
    if distance < minimum_distance:
        problems.append(f"structure: ions {i} ({structure.names[i]}) and {j} ({structure.names[j]}) are {distance:.3f} angstrom apart; at least "
                        f"{minimum_distance:g} are needed: is an ion there twice, or is the cell too small? (structure.minimum_distance sets the limit)")
    if forcefield is None:
        return problems
    lacking = sorted(set(structure.names) - set(forcefield.species))
    if lacking:
        problems.append(f"structure: the force field {forcefield.name} has no parameters for {', '.join(lacking)}; it knows {', '.join(forcefield.species)}: "
                        "take another force field (forcefield.table), or add rows to a table of your own")
        return problems
    counts = {name: structure.names.count(name) for name in forcefield.species}
    excess = float(sum(count * forcefield.charges[forcefield.species.index(name)] for name, count in counts.items()))
    if forcefield.coulomb and abs(excess) > 1e-6 * max(1, len(structure.names)):
        told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        problems.append(f"structure: the cell is charged, {excess:+g} e ({told}); the Coulomb sum needs a neutral cell: add or take away ions, "
                        "by structure.counts where they are on partly occupied sites")
    return problems


def kinds_of(structure, forcefield):
    """(Species, index (n,) int32) of the ions, with the species that occur in the order of the force field. Raises InputError where one is lacking."""
    present = [name for name in forcefield.species if name in set(structure.names)]
    present += sorted(set(structure.names) - set(present))
    kinds = forcefield.kinds(present)
    return kinds, np.array([present.index(name) for name in structure.names], dtype=np.int32)


def mass_density(structure, kinds, index):
    """g/cm3 in three dimensions."""
    return float(np.sum(kinds.mass[index]) / MASS / AVOGADRO / (structure.box.volume * 1e-24))
