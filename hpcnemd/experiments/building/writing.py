"""The built cell as a file for other programs, or as a picture."""
from pathlib import Path

import numpy as np

from ...core.errors import InputError

KINDS = {".cif": "cif", ".vasp": "vasp", ".extxyz": "extxyz", ".data": "lammps-data", ".lmp": "lammps-data", ".png": "png"}


def write_structure(system, path):
    """Writes the ions of a System to `path`, in the format that its name tells; returns a line for the terminal. extxyz has the array "grain" where there are
    grains; LAMMPS data have the charges and masses of the force field, types in the order of its species. Raises InputError."""
    path = Path(path)
    kind = "vasp" if path.name.startswith(("POSCAR", "CONTCAR")) else KINDS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"--write {path}: the name does not tell the format; end it in one of {', '.join(KINDS)}, or call it POSCAR")
    try:
        if kind == "png":
            _picture(system, path)
        else:
            _atoms_file(system, path, kind)
    except OSError as problem:
        raise InputError(f"--write {path}: cannot be written ({problem.strerror})") from None
    return f"{path}: {len(system.species)} ions ({kind})"


def as_atoms(system):
    """ASE Atoms of a System, wrapped into the box; arrays "id" and, where there are grains, "grain"."""
    import ase
    position, image = system.position.copy(), np.zeros((len(system.species), 3), np.int64)
    system.box.wrap(position, image)
    atoms = ase.Atoms([system.kinds.names[k] for k in system.species], positions=position, cell=system.box.matrix, pbc=True)
    atoms.set_array("id", np.arange(len(atoms)))
    if system.grain is not None:
        atoms.set_array("grain", np.asarray(system.grain))
    return atoms


def _atoms_file(system, path, kind):
    import ase.io
    atoms, options = as_atoms(system), {}
    if kind == "vasp":
        options = {"direct": True, "sort": True}
    elif kind == "lammps-data":
        atoms.set_initial_charges(system.kinds.charge[system.species])
        options = {"atom_style": "charge", "masses": True, "units": "metal", "specorder": list(system.kinds.names)}
    elif kind == "cif":
        for name in ("id", "grain"):
            atoms.arrays.pop(name, None)
    ase.io.write(path, atoms, format=kind, parallel=False, **options)


def _picture(system, path):
    from matplotlib.figure import Figure

    from .picture import draw_system
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    draw_system(figure, system)
    figure.savefig(path, dpi=150)
