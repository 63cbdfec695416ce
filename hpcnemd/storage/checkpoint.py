"""Checkpoints: two slots, a.h5 and b.h5. The older one is replaced, by a file that was complete, checked and on disk before it got its name.

After the HDF5 data each file has a seal: mark, sequence number, step and the SHA-256 of all bytes before; HDF5 does not see it. A file whose
seal does not fit is not opened at all.
"""
import hashlib
import json
import os
import struct
from dataclasses import dataclass

import h5py
import numpy as np

from ..core.errors import InputError
from . import blueprint, raw_bytes
from .agreement import closed, on_root, together
from .provenance import write as write_provenance
from .writer import choose_writer

SLOTS = ("a.h5", "b.h5")
MARK = b"hpcnemd1"
SEAL = struct.Struct("<8sQQ32s")


@dataclass(frozen=True)
class Saved:
    """A checkpoint as read. `tree`: as it was saved (tuples are lists); `counts`: name -> (ranks,) rows per rank; `arrays`: this rank's rows
    where `own`, otherwise all rows in the order of ranks."""
    path: str
    step: int
    ranks: int
    tree: dict
    counts: dict
    arrays: dict
    own: bool


def save(comm, folder, tree, arrays, step, writer=None, provenance=None, first=False):
    """Collective. Saves rank 0's `tree` (nested dicts and lists of numbers, strings, None and numpy arrays) and every rank's `arrays`
    (name -> (rows, ...), the same names, types and trailing shapes on all ranks).

    Returns the path. Raises StoppedEarly (InputError where it is the `first` of a run) on a full disk: the other slot stays.
    """
    writer = writer or choose_writer(comm)
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    counts = {name: np.array(comm.allgather(len(array)), np.int64) for name, array in arrays.items()}
    shapes = {name: (array.shape[1:], array.dtype.str) for name, array in arrays.items()}
    plan = on_root(comm, lambda: _lay_out(folder, tree, counts, shapes, comm.size, step, provenance), folder, starting=first)
    slot, new, sequence, places = plan
    problem = None
    writer.open(new, places, [f"ranks/{name}" for name in arrays])
    for name, array in arrays.items():
        start = int(counts[name][:comm.rank].sum())
        try:
            writer.write(f"ranks/{name}", (start,) + (0,) * (array.ndim - 1), array)
        except OSError as error:
            problem = problem or error
    problem = closed(writer, problem)
    together(comm, problem, folder, starting=first)
    return on_root(comm, lambda: _publish(new, slot, sequence, step), folder, starting=first)


def _lay_out(folder, tree, counts, shapes, ranks, step, provenance):
    os.makedirs(folder, exist_ok=True)
    seals = {name: _seal(os.path.join(folder, name)) for name in SLOTS}
    slot = min(SLOTS, key=lambda name: seals[name][0] if seals[name] else -1)
    sequence = 1 + max((seal[0] for seal in seals.values() if seal), default=0)
    values = {}
    text = json.dumps(_flatten(tree, "tree", values)).encode()
    values["tree_text"] = np.array(text, f"S{len(text)}")
    values["step"], values["n_ranks"] = np.array(step, "<i8"), np.array(ranks, "<i8")
    values.update({f"rows_per_rank/{name}": count for name, count in counts.items()})
    fixed = [blueprint.Fixed(name, value.shape, value.dtype.str) for name, value in values.items()]
    fixed += [blueprint.Fixed(f"ranks/{name}", (int(counts[name].sum()), *shape), dtype) for name, (shape, dtype) in shapes.items()]
    new = os.path.join(folder, f".{slot}.new")
    try:
        places = blueprint.compose(new, fixed=fixed, decorate=lambda f: write_provenance(f, provenance or {}))
        with open(new, "r+b") as raw:
            raw_bytes.reserve(raw, places.total, places.total + SEAL.size)
            os.ftruncate(raw.fileno(), places.total)
            for name, value in values.items():
                raw_bytes.put_runs(raw, [(places.fixed[name][2], value.nbytes)], value)
    except BaseException:
        if os.path.exists(new):
            os.unlink(new)
        raise
    return os.path.join(folder, slot), new, sequence, places


def _publish(new, slot, sequence, step):
    with open(new, "r+b") as raw:
        raw_bytes.put(raw, os.path.getsize(new), SEAL.pack(MARK, sequence, step, _digest(new, os.path.getsize(new), sequence, step)))
        os.fsync(raw.fileno())
    os.replace(new, slot)
    raw_bytes.sync(os.path.dirname(slot) or ".")
    return slot


def _digest(path, size, sequence, step):
    total = hashlib.sha256(struct.pack("<QQ", sequence, step))
    with open(path, "rb") as raw:
        while size > 0:
            data = raw.read(min(size, 1 << 22))
            if not data:
                break
            total.update(data)
            size -= len(data)
    return total.digest()


def _seal(path):
    """(sequence, step, digest) at the end of a slot, or None."""
    try:
        with open(path, "rb") as raw:
            raw.seek(-SEAL.size, os.SEEK_END)
            mark, *rest = SEAL.unpack(raw.read(SEAL.size))
    except (OSError, struct.error):
        return None
    return tuple(rest) if mark == MARK else None


def is_whole(path):
    """Whether every byte of a slot is as it was written."""
    seal = _seal(path)
    return seal is not None and _digest(path, os.path.getsize(path) - SEAL.size, seal[0], seal[1]) == seal[2]


def latest(folder):
    """Path of the newest whole slot, or None where there is no checkpoint. Raises InputError where there are only damaged ones."""
    there = [path for path in (os.path.join(folder, name) for name in SLOTS) if os.path.exists(path)]
    for path in sorted(there, key=lambda path: _seal(path) or (-1,), reverse=True):
        if is_whole(path):
            return path
    if there:
        raise InputError(f"{folder}: no slot is whole ({', '.join(os.path.basename(path) for path in there)}); "
                         "restore one from a copy, or remove the folder to start the run again")
    return None


def load_latest(comm, folder, whole=False):
    """Collective. The newest whole checkpoint (`Saved`), or None. A rank gets its own rows where the number of ranks is that of the save
    and not `whole`; otherwise all rows. Raises InputError where there are only damaged slots."""
    path = on_root(comm, lambda: latest(folder), folder, starting=True)
    return None if path is None else read(path, None if whole else (comm.rank, comm.size))


def read(path, rank=None):
    """A checkpoint file as `Saved`. `rank`: (rank, size) of the rows that are wanted where the sizes agree."""
    with raw_bytes.open_to_read(path) as f:
        ranks = int(f["n_ranks"][()])
        own = rank is not None and rank[1] == ranks
        counts = {name: dataset[:] for name, dataset in f.get("rows_per_rank", {}).items()}
        arrays = {}
        for name, count in counts.items():
            start = int(count[:rank[0]].sum()) if own else 0
            stop = start + int(count[rank[0]]) if own else int(count.sum())
            arrays[name] = f["ranks"][name][start:stop]
        tree = _restore(json.loads(f["tree_text"][()]), f)
        return Saved(str(path), int(f["step"][()]), ranks, tree, counts, arrays, own)


def _flatten(item, path, arrays):
    """What JSON holds exactly stays; numpy arrays and scalars go to `arrays` under their path."""
    if isinstance(item, dict):
        bad = [key for key in item if not isinstance(key, str) or key == "@array" or "/" in key]
        if bad:
            raise TypeError(f"{path}: keys {bad} cannot be stored; strings without '/' can")
        return {key: _flatten(value, f"{path}/{key}", arrays) for key, value in item.items()}
    if isinstance(item, (list, tuple)):
        return [_flatten(value, f"{path}/{index}", arrays) for index, value in enumerate(item)]
    if isinstance(item, (np.ndarray, np.generic)):
        array = np.ascontiguousarray(item).reshape(np.shape(item))
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{path}: arrays of {array.dtype} cannot be stored")
        arrays[path] = array.view(np.uint8) if array.dtype.kind == "b" else array
        return {"@array": path, "bool": array.dtype.kind == "b", "scalar": isinstance(item, np.generic)}
    if item is None or isinstance(item, (bool, int, float, str)):
        return item
    raise TypeError(f"{path}: {type(item).__name__} cannot be stored")


def _restore(item, f):
    if isinstance(item, dict) and "@array" in item:
        array = f[item["@array"]][()]
        array = array.astype(bool) if item["bool"] else array
        return array[()] if item["scalar"] else np.asarray(array)
    if isinstance(item, dict):
        return {key: _restore(value, f) for key, value in item.items()}
    return [_restore(value, f) for value in item] if isinstance(item, list) else item
