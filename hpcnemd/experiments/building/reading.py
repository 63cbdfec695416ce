"""Structures as ASE Atoms: a built-in one by name, or a file that ASE reads."""
from pathlib import Path

import numpy as np

from ...core.errors import InputError
from .crystals import BUILT_IN


def read_atoms(table, base="."):
    """ASE Atoms of a table with the keys file, build, format and types; relative paths start at `base`. Raises InputError.

    Partly occupied sites stand in info["occupancy"] {kind: {species: share}} with the array "spacegroup_kinds", names of the kinds in info["site_labels"]."""
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
    return atoms


def _is_cif(path, kind):
    """Whether ASE's CIF reader will be at work, which can tell the labels of the sites."""
    from ase.io.formats import filetype
    try:
        return (kind or filetype(str(path))) == "cif"
    except Exception:                                       # no known kind: the reader says so
        return False


def _from_file(path, table):
    import warnings

    import ase.io
    if not path.is_file():
        raise InputError(f"structure.file = {table.file!r}: there is no file {path}; give its path relative to the deck, "
                         f"or write build = one of {', '.join(BUILT_IN)}")
    options = {"store_tags": True} if _is_cif(path, table.format) else {}
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
    labels = atoms.info.get("_atom_site_label")
    if labels is not None:
        atoms.info["site_labels"] = list(labels) if isinstance(labels, (list, tuple)) else [labels]
    return atoms
