"""Trajectories of this program and of others, one frame at a time: H5MD, LAMMPS text dumps, and whatever ASE reads (extxyz, traj, XDATCAR ...)."""
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from . import raw_bytes

KINDS = ("h5md", "lammps", "ase")
_LENGTH = {"": 1.0, "angstrom": 1.0, "a": 1.0, "nm": 10.0, "pm": 0.01}
_TIME = {"fs": 1.0, "ps": 1e3, "ns": 1e6}


@dataclass
class Frame:
    """`place` (n, 3) angstrom in the order of ids, `cell` (3, 3) rows angstrom; `image` (n, 3) whole periods to add, or None; `unwrapped`: places do not
    jump at the walls; `time` fs or None; `step` or None."""
    place: np.ndarray
    cell: np.ndarray
    image: object = None
    unwrapped: bool = False
    time: object = None
    step: object = None


@dataclass
class Source:
    """`species`: list of n names, in the order of ids; `frames`: iterator of Frame; `charges` {name: formal charge} or None; `masses` {name: u} or None;
    `deck`: the text of the deck of our own files, else ""."""
    species: list
    frames: object
    charges: object = None
    masses: object = None
    deck: str = ""


def kind_of(path, wanted=None):
    """One of `KINDS` for a file, by its name where `wanted` is None. Raises InputError."""
    if wanted is not None and wanted not in KINDS:
        raise InputError(f"--format {wanted}: choose one of {', '.join(KINDS)}")
    name = Path(path).name.lower()
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file; give a trajectory (.h5md, .extxyz, .lammpstrj, .dump, or anything that ASE reads)")
    if wanted:
        return wanted
    if name.endswith((".h5md", ".h5", ".hdf5")):
        return "h5md"
    return "lammps" if name.endswith((".lammpstrj", ".dump")) or name.startswith("dump.") else "ase"


def open_frames(path, kind, types=()):
    """A Source. `types`: names of the types 1, 2, ... of a file that only numbers them. Raises InputError."""
    try:
        return {"h5md": _h5md, "lammps": _lammps, "ase": _ase}[kind](path, tuple(types))
    except (OSError, KeyError, ValueError, IndexError, StopIteration) as problem:
        raise InputError(f"{path}: cannot be read as {kind} ({type(problem).__name__}: {problem}); say what it is with --format {'|'.join(KINDS)}") from None


def _named(kinds, types, path):
    """Names of particles from type numbers that count from 1."""
    if not types or max(kinds) > len(types) or min(kinds) < 1:
        raise InputError(f"{path}: it has particle types {sorted(set(int(k) for k in kinds))} and no names; give them in this order, for example --types Li,O")
    return [types[k - 1] for k in kinds]


# ---- H5MD ----------------------------------------------------------------------------------------------------------------

def _unit(dataset, table, what, default):
    unit = dataset.attrs.get("unit", default)
    unit = (unit.decode() if isinstance(unit, bytes) else str(unit)).strip().lower()
    if unit not in table:
        raise InputError(f"{dataset.file.filename}: {what} in {unit!r}; only {', '.join(name for name in table if name)} are known")
    return table[unit]


def _h5md(path, types):
    file = raw_bytes.open_to_read(path)
    groups = [group for group in file["particles"].values() if "position" in group]
    if not groups:
        raise InputError(f"{path}: no group of particles has positions; is it an H5MD file?")
    group = groups[0]
    kinds = group["species"]
    if kinds.ndim > 1 or not isinstance(kinds[:1], np.ndarray):
        kinds = kinds["value"][0] if "value" in kinds else kinds[0]
    import h5py
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in group["species"].attrs.get("names", ())]
    enum = h5py.check_enum_dtype(group["species"].dtype) if hasattr(group["species"], "dtype") else None
    numbers = np.asarray(kinds[:])
    if types:
        species = _named(numbers - numbers.min() + 1, types, path)
    elif names:
        species = [names[k] for k in numbers]
    elif enum:
        back = {value: name for name, value in enum.items()}
        species = [back[int(k)] for k in numbers]
    else:
        species = _named(numbers, types, path)
    charges = None
    if "formal_charge" in group:
        charges = {name: float(group["formal_charge"][species.index(name)]) for name in dict.fromkeys(species)}
    deck = file["provenance/deck"][()].decode() if "provenance/deck" in file else ""
    return Source(species, _h5md_frames(file, group), charges, None, deck)


def _h5md_frames(file, group):
    from . import frames
    position = group["position/value"]
    scale = _unit(position, _LENGTH, "positions", "")
    count = int(file[frames.VALID][()]) if frames.VALID in file else len(position)
    edges = group["box/edges"]
    moving = edges["value"] if hasattr(edges, "keys") else None
    time = group["position/time"] if "time" in group["position"] else None
    clock = _unit(time, _TIME, "times", "ps") if time is not None else None
    steps = group["position/step"] if "step" in group["position"] else None
    image = group["image/value"] if "image" in group else None
    for k in range(count):
        cell = np.asarray(moving[k] if moving is not None else edges[()], dtype=np.float64) * scale
        yield Frame(np.asarray(position[k], dtype=np.float64) * scale, np.diag(cell) if cell.ndim == 1 else cell, np.asarray(image[k]) if image is not None else None,
                    False, float(time[k]) * clock if time is not None and time.ndim else None, int(steps[k]) if steps is not None and steps.ndim else None)
    file.close()


# ---- LAMMPS text dumps ----------------------------------------------------------------------------------------------------

def _lammps(path, types):
    with open(path, encoding="utf-8") as text:
        found = _dump_frame(text, path)
    if found is None:
        raise ValueError("it holds no frame of a text dump")
    columns, table, *_ = found
    order = np.argsort(_column(columns, table, "id", path).astype(np.int64), kind="stable")
    if "element" in columns and not types:
        species = [table[k][columns.index("element")] for k in order]
    else:
        species = _named(_column(columns, table, "type", path).astype(int)[order], types, path)
    return Source(species, _lammps_frames(path))


def _lammps_frames(path):
    with open(path, encoding="utf-8") as text:
        while (found := _dump_frame(text, path)) is not None:
            columns, table, origin, cell, step = found
            order = np.argsort(_column(columns, table, "id", path).astype(np.int64), kind="stable")
            for names, scaled, unwrapped in ((("xu", "yu", "zu"), False, True), (("x", "y", "z"), False, False), (("xsu", "ysu", "zsu"), True, True),
                                             (("xs", "ys", "zs"), True, False)):
                if all(name in columns for name in names):
                    place = np.stack([_column(columns, table, name, path) for name in names], axis=1)[order]
                    break
            else:
                raise InputError(f"{path}: the dump has no positions (x y z, xu yu zu, xs ys zs or xsu ysu zsu) among {' '.join(columns)}")
            image = None
            if not unwrapped and all(name in columns for name in ("ix", "iy", "iz")):
                image = np.stack([_column(columns, table, name, path) for name in ("ix", "iy", "iz")], axis=1)[order]
            yield Frame(place @ cell if scaled else place - origin, cell, image, unwrapped, None, step)


def _column(columns, table, name, path):
    if name not in columns:
        raise InputError(f"{path}: the dump has no column {name!r}; write it with `dump ... custom ... id type element x y z ix iy iz`")
    k = columns.index(name)
    return np.array([row[k] for row in table], dtype=np.float64)


def _dump_frame(text, path):
    """(columns, rows of words, origin (3,), cell (3, 3), step) of the next frame of a dump; None at its end."""
    step = count = bounds = None
    tilt = False
    while line := text.readline():
        word = line.strip()
        if word == "ITEM: TIMESTEP":
            step = int(text.readline())
        elif word == "ITEM: NUMBER OF ATOMS":
            count = int(text.readline())
        elif word.startswith("ITEM: BOX BOUNDS"):
            tilt = "xy" in word
            bounds = np.array([text.readline().split() for _ in range(3)], dtype=np.float64)
        elif word.startswith("ITEM: ATOMS"):
            if bounds is None or count is None:
                raise InputError(f"{path}: a frame of the dump has no box or no number of atoms")
            rows = [text.readline().split() for _ in range(count)]
            columns = word.split()[2:]
            if rows and len(rows[-1]) != len(columns):
                return None                             # the file ends inside of a frame: the run that wrote it was cut off
            xy, xz, yz = bounds[:, 2] if tilt else (0.0, 0.0, 0.0)
            low = bounds[:, 0] - ([min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0] if tilt else 0.0)
            high = bounds[:, 1] - ([max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0] if tilt else 0.0)
            x, y, z = high - low
            return columns, rows, low, np.array([[x, 0, 0], [xy, y, 0], [xz, yz, z]]), step
    return None


# ---- ASE -------------------------------------------------------------------------------------------------------------------

def _ase(path, types):
    from ase.io import iread, read
    try:
        first = read(path, index=0, parallel=False)
    except Exception as problem:                            # ASE's readers raise anything
        raise InputError(f"{path}: ASE cannot read it ({type(problem).__name__}: {problem}); say what it is with --format {'|'.join(KINDS)}") from None

    def frames():
        for atoms in iread(path, parallel=False):
            order = np.argsort(atoms.arrays["id"], kind="stable") if "id" in atoms.arrays else slice(None)
            if atoms.cell.rank < 3:
                raise InputError(f"{path}: a frame has no periodic cell; write it into the file (extxyz: Lattice=\"...\" pbc=\"T T T\")")
            yield Frame(atoms.get_positions()[order], np.asarray(atoms.cell), None, False, None, atoms.info.get("step"))
    order = np.argsort(first.arrays["id"], kind="stable") if "id" in first.arrays else np.arange(len(first))
    symbols = first.get_chemical_symbols()
    return Source([symbols[k] for k in order], frames())
