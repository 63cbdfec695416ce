"""Structures to start from: built-in cells, files that ASE reads, and what is checked before any work."""
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..core.box import Box
from ..core.errors import InputError
from ..core.random import generator
from ..core.units import AVOGADRO, MASS
from .tables import StructureTable


class Structure(NamedTuple):
    """`names`: species of each ion (list of n str); `positions` (n, 3) angstrom, inside or outside the box."""
    box: Box
    names: list
    positions: np.ndarray


# ---- built-in cells: each returns ASE Atoms ------------------------------------------------------------------------

def _crystal(symbols, basis, spacegroup, cell, count, setting=1):
    """A crystal from its sites, with the number of its ions checked: a wrong origin choice gives another number without a word."""
    from ase.spacegroup import crystal
    atoms = crystal(symbols, basis, spacegroup=spacegroup, setting=setting, cellpar=[*cell, 90, 90, 90])
    if len(atoms) != count:
        raise RuntimeError(f"{len(atoms)} ions instead of {count} from space group {spacegroup}: has ASE's crystal() changed?")
    return atoms


def llzo_tetragonal():
    """Tetragonal Li7La3Zr2O12, 192 ions: I4_1/acd, origin choice 1, DFT-relaxed sites of github.com/bjmorgan/hofmann (examples/Li7La3Zr2O12.cif)."""
    sites = [("Li", (0.0805155, 0.1624655, 0.9308565)), ("Li", (0.181211, 0.181211, 0.75)), ("Li", (0, 0, 0)),
             ("La", (0.12737, 0.25, 0.375)), ("La", (0, 0, 0.25)), ("Zr", (0, 0.25, 0.125)),
             ("O", (0.034616, 0.694517, 0.471296)), ("O", (0.054963, 0.102443, 0.090667)), ("O", (0.150823, 0.223227, 0.571236))]
    return _crystal([name for name, _ in sites], [site for _, site in sites], 142, (13.23607, 13.23607, 12.701706), 192)


def llzo_cubic_box():
    """The same ions in a cube of 13.17 angstrom, the mean edge at 1000 K: above 700-900 K they become cubic LLZO within about 10 ps."""
    return _rescaled(llzo_tetragonal(), (13.17, 13.17, 13.17))


def nacl():
    """Rock salt, 8 ions, a = 5.64 angstrom."""
    return _crystal(["Na", "Cl"], [(0, 0, 0), (0.5, 0.5, 0.5)], 225, (5.64,) * 3, 8)


def nacl_melt():
    """216 ions at the density of the melt, 1.454 g/cm3 (Tosi-Fumi salt at 1100 K): a stretched rock salt that melts by itself at that temperature."""
    return _at_density(nacl().repeat(3), 1.454)


def agi_alpha():
    """Alpha silver iodide, 256 ions: I on a body-centred lattice with a = 5.08 angstrom, Ag on 128 of its 768 tetrahedral sites (12d of Im-3m),
    taken in a fixed random order under a distance of at least 0.6 a, so that all three kinds of site occur."""
    import ase
    cells, edge = 4, 5.08
    sites = np.array([(0.25, 0, 0.5), (0.75, 0, 0.5), (0.5, 0.25, 0), (0.5, 0.75, 0), (0, 0.5, 0.25), (0, 0.5, 0.75),
                      (0.75, 0.5, 0), (0.25, 0.5, 0), (0, 0.75, 0.5), (0, 0.25, 0.5), (0.5, 0, 0.75), (0.5, 0, 0.25)])
    corner = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    iodide = (corner + np.array([(0, 0, 0), (0.5, 0.5, 0.5)])).reshape(-1, 3)
    candidates = (corner + sites).reshape(-1, 3)
    silver = _spread_out(candidates, len(iodide), 0.6, cells, generator(1, "structure"))
    return ase.Atoms(["I"] * len(iodide) + ["Ag"] * len(silver), positions=edge * np.concatenate([iodide, silver]),
                     cell=[cells * edge] * 3, pbc=True)


def _spread_out(candidates, count, distance, period, random):
    """(count, 3) of the candidates, none closer than `distance` to another (periodic cube): random sequential, started again if it jams."""
    for _ in range(100):
        chosen = np.empty((0, 3))
        for k in random.permutation(len(candidates)):
            apart = chosen - candidates[k]
            apart -= period * np.round(apart / period)
            if not np.any(np.sum(apart**2, axis=1) < distance**2):
                chosen = np.vstack([chosen, candidates[k]])
                if len(chosen) == count:
                    return chosen
    raise RuntimeError(f"no {count} sites at a distance of {distance} found")


def caf2():
    """Fluorite, 12 ions, a = 5.463 angstrom."""
    return _crystal(["Ca", "F"], [(0, 0, 0), (0.25, 0.25, 0.25)], 225, (5.463,) * 3, 12)


def li2o():
    """Antifluorite lithium oxide, 12 ions, a = 4.61 angstrom."""
    return _crystal(["O", "Li"], [(0, 0, 0), (0.25, 0.25, 0.25)], 225, (4.61,) * 3, 12)


BUILT_IN = {maker.__name__: maker for maker in (llzo_tetragonal, llzo_cubic_box, nacl, nacl_melt, agi_alpha, caf2, li2o)}


# ---- reading and rescaling -------------------------------------------------------------------------------------------

def _rescaled(atoms, lengths):
    atoms.set_cell(np.diag(lengths), scale_atoms=True)
    return atoms


def _at_density(atoms, density):
    """Evenly rescaled to `density` g/cm3."""
    now = atoms.get_masses().sum() / AVOGADRO / (atoms.get_volume() * 1e-24)
    atoms.set_cell(atoms.cell * (now / density) ** (1 / 3), scale_atoms=True)
    return atoms


def _from_file(path, table):
    import warnings

    import ase.io
    if not path.is_file():
        raise InputError(f"structure.file = {table.file!r}: there is no file {path}; give its path relative to the deck, "
                         f"or write build = one of {', '.join(BUILT_IN)}")
    options = {}
    if table.types:
        from ase.data import atomic_numbers
        unknown = [name for name in table.types if name not in atomic_numbers]
        if unknown:
            raise InputError(f"structure.types: {', '.join(unknown)} are no chemical elements; write the element of each atom type, such as [\"Li\", \"O\"]")
        options["Z_of_type"] = {k + 1: atomic_numbers[name] for k, name in enumerate(table.types)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")                 # what matters of them is checked below
            # ASE finds MPI in the process and would broadcast to ranks that do not listen: only rank 0 reads
            atoms = ase.io.read(path, format=table.format, parallel=False, **options)
    except Exception as problem:                            # ASE's readers raise anything, IndexError and AssertionError included
        raise InputError(f"structure.file = {str(path)!r}: ASE cannot read it ({type(problem).__name__}: {problem}); name its kind with "
                         "structure.format, for example \"cif\", \"vasp\", \"extxyz\", \"lammps-data\"") from None
    partial = [site for site, share in atoms.info.get("occupancy", {}).items() if any(float(x) < 1 for x in share.values())]
    if partial:
        raise InputError(f"structure.file = {str(path)!r}: {len(partial)} of its sites are partly occupied; make an ordered cell of it first "
                         "(whole ions on whole sites), or take build = \"llzo_tetragonal\"")
    return atoms


def load_structure(table, base="."):
    """The Structure of a StructureTable; relative paths start at `base` (the deck's folder). Raises InputError."""
    if table.build is not None:
        if table.build not in BUILT_IN:
            import difflib
            close = difflib.get_close_matches(table.build, BUILT_IN, n=1)
            raise InputError(f"structure.build = {table.build!r}: " + (f"did you mean \"{close[0]}\"? " if close else "")
                             + f"write one of: {', '.join(BUILT_IN)}")
        atoms = BUILT_IN[table.build]()
    else:
        atoms = _from_file(Path(base, table.file), table)
    if len(atoms) == 0:
        raise InputError("structure: it holds no ions")
    if atoms.cell.rank < 3 or not np.all(atoms.pbc):
        raise InputError("structure: it has no periodic cell; write the cell into the file (extxyz: Lattice=\"...\" pbc=\"T T T\")")
    Box.from_matrix(atoms.cell.array)                       # before rescaling, so that the message shows the file's own cell
    if table.lattice is not None:
        atoms = _rescaled(atoms, table.lattice)
    if table.density is not None:
        atoms = _at_density(atoms, table.density)
    atoms = atoms.repeat(table.supercell)
    return Structure(Box.from_matrix(atoms.cell.array), atoms.get_chemical_symbols(), np.ascontiguousarray(atoms.positions))


def named_structure(name):
    """The Structure of a built-in name or of a file, whichever `name` is (command line)."""
    return load_structure(StructureTable(build=name) if name in BUILT_IN and not Path(name).exists() else StructureTable(file=str(name)))


# ---- checks ------------------------------------------------------------------------------------------------------------

def nearest_pair(structure):
    """(distance angstrom, i, j) of the closest two ions, images included; a lone ion meets its own image."""
    from scipy.spatial import cKDTree
    box = structure.box
    position, image = structure.positions.copy(), np.zeros((len(structure.names), 3), np.int64)
    box.wrap(position, image)
    used = slice(0, box.dimensions)
    edge = float(box.lengths[used].min())
    if len(position) < 2:
        return edge, 0, 0
    distance, index = cKDTree(position[:, used], boxsize=box.lengths[used]).query(position[:, used], k=2)
    i = int(np.argmin(distance[:, 1]))
    j = int(index[i][0] if index[i][0] != i else index[i][1])
    return min(float(distance[i, 1]), edge), i, j


def close_pairs(structure, distance):
    """[(distance, i, j)] of all pairs of ions nearer than `distance` (angstrom; at most half the shortest edge is looked at), nearest image."""
    from scipy.spatial import cKDTree
    box = structure.box
    reach = min(distance, 0.499 * float(box.lengths[:box.dimensions].min()))
    if reach <= 0:
        return []
    position, image = structure.positions.copy(), np.zeros((len(structure.names), 3), np.int64)
    box.wrap(position, image)
    pairs = cKDTree(position[:, :box.dimensions], boxsize=box.lengths[:box.dimensions]).query_pairs(reach, output_type="ndarray")
    apart = position[pairs[:, 0]] - position[pairs[:, 1]]
    apart -= box.lengths * np.round(apart / box.lengths)
    return sorted((float(r), int(i), int(j)) for r, (i, j) in zip(np.linalg.norm(apart, axis=1), pairs))


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
        problems.append(f"structure: the cell is charged, {excess:+g} e ({told}); the Coulomb sum needs a neutral cell: add or take away ions")
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
