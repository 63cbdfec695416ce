"""Whether two results are the same: every dataset and attribute outside /provenance, in value, type and order."""
import json
import math
from pathlib import Path

import h5py
import numpy as np

from ..core.errors import InputError
from . import checkpoint, raw_bytes
from .provenance import GROUP

NEWEST = "(newest)"
HDF5_ENDINGS = (".h5", ".h5md", ".hdf5")


def compare(path_a, path_b, relative=0.0):
    """List of differences (str), empty where there is none. Two files, or two folders: then all result files of both are compared
    (HDF5 and JSON; of checkpoints from equal numbers of ranks the newest whole one). `relative`: floating-point values may differ by so much of the larger one;
    0 means bit for bit (NaN equals the same NaN). Raises InputError where a path is absent or cannot be compared."""
    a, b = Path(path_a), Path(path_b)
    for path in (a, b):
        if not path.exists():
            raise InputError(f"{path}: there is no such file or folder")
    if a.is_dir() != b.is_dir():
        raise InputError(f"{a} and {b}: compare two files or two folders")
    return _folders(a, b, relative) if a.is_dir() else _files(a, b, relative)


def _folders(a, b, relative):
    names = [_names(folder) for folder in (a, b)]
    found = [f"{name}: only in {folder}" for folder, mine, other in ((a, *names), (b, *names[::-1])) for name in sorted(set(mine) - set(other))]
    for name in sorted(set(names[0]) & set(names[1])):
        if name.endswith(NEWEST) and len({checkpoint.read(one[name]).ranks for one in names}) > 1:
            continue                        # a checkpoint holds the order of particles on each rank
        found += [f"{name}: {text}" for text in _files(names[0][name], names[1][name], relative)]
    return found


def _names(folder):
    """name -> path of what is compared in a folder."""
    names = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.name.startswith(".") or not path.is_file() or path.suffix not in (*HDF5_ENDINGS, ".json"):
            continue
        if "checkpoint" in name.parts[:-1] and path.name in checkpoint.SLOTS:       # which slot is the newer one depends on the clock
            newest = checkpoint.latest(path.parent)
            names[f"{name.parent}/{NEWEST}"] = Path(newest)
        else:
            names[str(name)] = path
    return names


def _files(a, b, relative):
    if a.suffix == b.suffix == ".json":
        return list(_json("", json.loads(a.read_text()), json.loads(b.read_text()), relative))
    try:
        with raw_bytes.open_to_read(a) as f, raw_bytes.open_to_read(b) as g:
            return list(_group("", f, g, relative))
    except OSError as problem:
        raise InputError(f"{a}, {b}: not two HDF5 or two JSON files ({problem})") from None


def _group(path, a, b, relative):
    yield from _attributes(path or "/", a, b, relative)
    for key in sorted(set(a) | set(b)):
        name = f"{path}/{key}"
        if name == f"/{GROUP}":
            continue
        if key not in a or key not in b:
            yield f"{name}: only in the {'second' if key not in a else 'first'}"
        elif isinstance(a[key], h5py.Group) != isinstance(b[key], h5py.Group):
            yield f"{name}: a group in one, a dataset in the other"
        elif isinstance(a[key], h5py.Group):
            yield from _group(name, a[key], b[key], relative)
        else:
            yield from _attributes(name, a[key], b[key], relative)
            yield from _datasets(name, a[key], b[key], relative)


def _attributes(name, a, b, relative):
    for key in sorted(set(a.attrs) | set(b.attrs)):
        if key not in a.attrs or key not in b.attrs:
            yield f"{name}@{key}: only in the {'second' if key not in a.attrs else 'first'}"
        else:
            yield from _values(f"{name}@{key}", _plain(a.attrs[key]), _plain(b.attrs[key]), relative)


def _plain(value):
    """An array; a string is one value of one type, however long."""
    return np.array(value, object) if isinstance(value, str) else np.asarray(value)


def _datasets(name, a, b, relative):
    if a.dtype != b.dtype or a.shape != b.shape:
        yield f"{name}: {a.shape} {a.dtype} and {b.shape} {b.dtype}"
        return
    step = max(1, (8 << 20) // max(1, a.dtype.itemsize * int(np.prod(a.shape[1:], dtype=np.int64)))) if a.ndim else 1
    pieces = [np.s_[first:first + step] for first in range(0, a.shape[0], step)] if a.ndim else [()]
    for piece in pieces:                    # the first difference is enough, files may be large
        found = list(_values(name, np.asarray(a[piece]), np.asarray(b[piece]), relative, piece.start if a.ndim else 0))
        if found:
            yield from found
            return


def _values(name, a, b, relative, first=0):
    if a.dtype != b.dtype or a.shape != b.shape:
        yield f"{name}: {a.shape} {a.dtype} and {b.shape} {b.dtype}"
        return
    if a.dtype.kind in "fc":
        differ = ~_close(a, b, relative)
    else:
        differ = np.asarray(a != b)
    if not differ.any():
        return
    where = np.unravel_index(int(np.argmax(differ)), differ.shape) if differ.ndim else ()
    x, y = a[where], b[where]
    place = tuple(int(i) + (first if axis == 0 else 0) for axis, i in enumerate(where))
    text = f"{name}: {int(differ.sum())} of {differ.size} values differ" if differ.ndim else f"{name}: differs"
    yield f"{text}, the first{f' at {place}' if place else ''}: {x!r} and {y!r}"


def _close(a, b, relative):
    """Bit for bit (so 0.0 is not -0.0), or within `relative` of the larger magnitude."""
    width = a.dtype.itemsize
    same = (np.ascontiguousarray(a).reshape(-1).view(np.uint8).reshape(-1, width) == np.ascontiguousarray(b).reshape(-1).view(np.uint8).reshape(-1, width))
    same = same.all(axis=1).reshape(a.shape)
    if relative == 0:
        return same
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(a - b) <= relative * np.maximum(np.abs(a), np.abs(b))
    return same | near | (np.isnan(a) & np.isnan(b))


def _json(path, a, b, relative):
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            if path == "" and key == GROUP:
                continue
            if key not in a or key not in b:
                yield f"{path}/{key}: only in the {'second' if key not in a else 'first'}"
            else:
                yield from _json(f"{path}/{key}", a[key], b[key], relative)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, (x, y) in enumerate(zip(a, b)):
            yield from _json(f"{path}/{index}", x, y, relative)
    elif isinstance(a, float) and isinstance(b, float):
        same = a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= relative * max(abs(a), abs(b))
        if not same:
            yield f"{path}: {a!r} and {b!r}"
    elif type(a) is not type(b) or a != b:
        yield f"{path}: {a!r} and {b!r}"
