"""The ensemble file: one row per replica in every dataset, all laid out at the start, so that each group writes its replicas' rows in place.

Rows that were never written hold NaN (0 in whole numbers); `valid/<name>` counts what was. The file is the same whatever groups of ranks wrote it.
"""
import os
from dataclasses import dataclass

import h5py
import numpy as np

from ..core.errors import InputError
from . import blueprint, raw_bytes
from .agreement import closed, on_root, together
from .provenance import SLOTS
from .provenance import write as write_provenance
from .writer import choose_writer

STATUS = ("missing", "running", "complete", "failed")
ROOT = "ensemble"
LARGE = "large_attributes"          # datasets that read like attributes: HDF5 ends an attribute at 64 KiB
LARGEST_ATTRIBUTE = 32 * 1024
LARGER = ".larger"          # end of the name of a file that is to replace one of fewer replicas
MOVED_AT_ONCE = 4096        # replicas


class EnsembleFile:
    """Open for writing over `comm`, usually the leaders of the replica groups."""

    def __init__(self, path, comm, replicas, schema, places, writer):
        self.path, self.comm, self.replicas, self.schema = str(path), comm, replicas, schema
        self.places, self.writer = places, writer
        self._pending = []

    @classmethod
    def create(cls, path, comm, replicas, schema, writer="auto", attributes=None, provenance=None):
        """Collective. A new file. `schema`: name -> (shape of one replica's row, dtype, unit, description); where the shape has an axis,
        the first one counts blocks. Raises InputError where the folder cannot take it."""
        def lay_out():
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            return raw_bytes.replace(path, lambda new: blueprint.compose(new, fixed=_fixed(replicas, schema), decorate=decorate))

        def decorate(f):
            group = f.require_group(ROOT)
            for key, value in (attributes or {}).items():
                if isinstance(value, np.ndarray) and value.nbytes > LARGEST_ATTRIBUTE:
                    group[f"{LARGE}/{key}"] = value
                else:
                    group.attrs[key] = value
            group.attrs["replicas"], group.attrs["status_names"] = np.int64(replicas), ",".join(STATUS)
            write_provenance(f, provenance or {})
        places = on_root(comm, lay_out, path, starting=True)
        return cls(path, comm, replicas, schema, places, choose_writer(comm, writer))

    @classmethod
    def resume(cls, path, comm, replicas, schema, writer="auto"):
        """Collective. An existing file of the same replicas and schema. Raises InputError where it is another."""
        def inspect():
            fixed = _fixed(replicas, schema)
            try:
                places = blueprint.read_places(path, [], [one.name for one in fixed])
            except KeyError as problem:
                raise InputError(f"{path}: {problem.args[0]}; it was written with other settings, choose another folder") from None
            for one in fixed:
                shape, dtype, _ = places.fixed[one.name]
                if tuple(shape) != tuple(one.shape) or np.dtype(dtype) != np.dtype(one.dtype):
                    raise InputError(f"{path}: {one.name} is {tuple(shape)} {np.dtype(dtype)}, needed is {tuple(one.shape)} {np.dtype(one.dtype)}; "
                                     "it was written with other settings, choose another folder")
            return places
        places = on_root(comm, inspect, path, starting=True)
        return cls(path, comm, replicas, schema, places, choose_writer(comm, writer))

    @classmethod
    def enlarge(cls, path, comm, moves, replicas, schema, writer="auto", attributes=None, provenance=None):
        """Collective. The file at `path`, which has the same schema, becomes one of `replicas` replicas. `moves`: (first old row, rows, first new row) of
        what is kept; other rows are missing. The file that is there is replaced in the end by a rename, so that a kill leaves one or the other.
        Raises InputError where the folder cannot take it, or the file holds other datasets."""
        larger = f"{path}{LARGER}"
        file = cls.create(larger, comm, replicas, schema, writer, attributes, provenance)

        def take_over():
            try:
                with raw_bytes.open_to_read(path) as f:
                    for old, rows, new in moves:
                        for at in range(0, rows, MOVED_AT_ONCE):
                            file._take(f[ROOT], old + at, min(rows - at, MOVED_AT_ONCE), new + at)
            except KeyError as problem:
                raise InputError(f"{path}: {problem.args[0]}; it was written with other settings, choose another folder") from None
            raw_bytes.sync(larger)
            os.replace(larger, path)
            raw_bytes.sync(os.path.dirname(os.path.abspath(path)))
        on_root(comm, take_over, path, starting=True)
        return cls.resume(path, comm, replicas, schema, writer)

    def _take(self, group, old, rows, new):
        """Not collective. Rows of another file's group, in place here."""
        for name in [*self.schema, *(f"valid/{name}" for name in self.schema), "cause", "status"]:
            self._put(f"{ROOT}/{name}", (new,) + (0,) * (group[name].ndim - 1), group[name][old:old + rows], last=name in ("cause", "status"))
        self.store()

    def write_rows(self, replica, name, start_block, values):
        """Not collective; on disk after the next `flush`. `values` (blocks, ...) become blocks [start_block, start_block + blocks) of this
        replica, or its whole row where the row has no axis. Raises ValueError for what does not fit, TypeError for another kind of number."""
        shape, dtype = tuple(self.schema[name][0]), np.dtype(self.schema[name][1])
        values = np.asarray(values).astype(dtype, casting="same_kind")
        fits = values.shape == shape if not shape else values.shape[1:] == shape[1:] and 0 <= start_block <= start_block + len(values) <= shape[0]
        if not fits or not 0 <= replica < self.replicas:
            raise ValueError(f"{name}: {values.shape} at block {start_block} of replica {replica} does not fit into {self.replicas} x {shape}")
        if values.size:
            self._put(f"{ROOT}/{name}", (replica, start_block) + (0,) * (len(shape) - 1) if shape else (replica,), values[None])
        self._put(f"{ROOT}/valid/{name}", (replica,), np.array([start_block + len(values) if shape else 1], "<i8"), last=True)

    def truncate(self, replica, name, blocks):
        """Not collective; on disk after the next `flush`. Forgets all blocks of a replica from `blocks` on, as if they had never been written."""
        shape, dtype = tuple(self.schema[name][0]), np.dtype(self.schema[name][1])
        self._put(f"{ROOT}/valid/{name}", (replica,), np.array([blocks], "<i8"))
        rest = (shape[0] - blocks, *shape[1:]) if shape else ()
        if not shape and blocks == 0:
            self._put(f"{ROOT}/{name}", (replica,), np.full((1,), _empty(dtype), dtype))
        elif shape and rest[0] > 0:
            self._put(f"{ROOT}/{name}", (replica, blocks) + (0,) * (len(shape) - 1), np.full((1, *rest), _empty(dtype), dtype))

    def set_status(self, replica, status, cause=""):
        """Not collective; on disk after the next `flush`. Raises ValueError for a status that is not in `STATUS`."""
        self._put(f"{ROOT}/status", (replica,), np.array([STATUS.index(status)], "i1"), last=True)
        self._put(f"{ROOT}/cause", (replica,), np.array([cause.encode()[:255]], "S256"), last=True)

    def write_range(self, first, name, values):
        """Not collective; on disk after the next `flush`. Whole rows of the consecutive replicas from `first` on: `values` (replicas, *row shape).
        Raises ValueError for what does not fit, TypeError for another kind of number."""
        shape, dtype = tuple(self.schema[name][0]), np.dtype(self.schema[name][1])
        values = np.ascontiguousarray(values).astype(dtype, casting="same_kind", copy=False)
        if values.shape[1:] != shape or not 0 <= first <= first + len(values) <= self.replicas:
            raise ValueError(f"{name}: {values.shape} from replica {first} on does not fit into {self.replicas} x {shape}")
        if values.size:
            self._put(f"{ROOT}/{name}", (first,) + (0,) * len(shape), values)
        self._put(f"{ROOT}/valid/{name}", (first,), np.full(len(values), shape[0] if shape else 1, "<i8"), last=True)

    def set_status_range(self, first, statuses, causes=None):
        """Not collective; on disk after the next `flush`. `statuses`: names of `STATUS` of the consecutive replicas from `first` on;
        `causes`: their str, none where None."""
        self._put(f"{ROOT}/status", (first,), np.array([STATUS.index(one) for one in statuses], "i1"), last=True)
        if causes is not None:
            self._put(f"{ROOT}/cause", (first,), np.array([one.encode()[:255] for one in causes], "S256"), last=True)

    def _put(self, name, start, block, last=False):
        self._pending.append((last, name, start, block))

    def flush(self):
        """Collective. Everything pending on any rank is written: rows first, then what says that they are there.
        Raises StoppedEarly where the disk is full."""
        for last in (False, True):
            mine = {}
            for late, name, start, block in self._pending:
                if late == last:
                    mine.setdefault(name, []).append((start, block))
            counts = [dict(part) for part in self.comm.allgather([(name, len(parts)) for name, parts in mine.items()])]
            # the status is the very last: a replica that is complete has its counts too, whenever the launch was killed
            order = sorted(set().union(*counts), key=lambda name: (name == f"{ROOT}/status", name))
            most = {name: max(part.get(name, 0) for part in counts) for name in order}
            if most:
                self.writer.open(self.path, self.places, list(most))
                problem = None
                for name, rounds in most.items():
                    problem = self._write_rounds(name, mine.get(name, []), rounds) or problem
                together(self.comm, closed(self.writer, problem), self.path)
            self.comm.Barrier()
        self._pending = []
        on_root(self.comm, lambda: raw_bytes.sync(self.path), self.path)

    def _write_rounds(self, name, parts, rounds):
        shape, dtype, _ = self.places.fixed[name]
        nothing = ((0,) * len(shape), np.empty((0,) * len(shape), dtype))
        problem = None
        for start, block in parts + [nothing] * (rounds - len(parts)):
            try:
                self.writer.write(name, start, block)
            except OSError as error:
                problem = problem or error
        return problem

    def store(self):
        """Not collective. Writes what is pending on this rank alone, in place: for groups that do not keep step with each other."""
        with open(self.path, "r+b") as raw:
            for last in (False, True):
                for late, name, start, block in self._pending:
                    if late == last:
                        raw_bytes.put_runs(raw, self.places.runs(name, start, block.shape), block)
        self._pending = []

    def update(self, name, change):
        """Collective. A fixed dataset becomes `change(its value now)`, called on rank 0 only."""
        on_root(self.comm, lambda: raw_bytes.update(self.path, self.places, name, change), self.path)

    def read(self):
        """Not collective. What the file holds now, as `Ensemble`."""
        return read(self.path)

    def close(self):
        """Collective."""
        self.flush()


@dataclass(frozen=True)
class Ensemble:
    """`arrays`: name -> (replicas, ...); `valid`: name -> (replicas,) blocks written; `units`, `descriptions`: name -> str;
    `status`, `causes`: lists of str; `attributes`: dict."""
    arrays: dict
    valid: dict
    units: dict
    descriptions: dict
    status: list
    causes: list
    attributes: dict


def read(path):
    """An ensemble file as `Ensemble`; needs no MPI. Raises OSError or KeyError where it is no such file."""
    with raw_bytes.open_to_read(path) as f:
        group = f[ROOT]
        names = list(group["valid"])
        units, descriptions = ({name: group[name].attrs.get(key, "") for name in names} for key in ("unit", "description"))
        return Ensemble({name: group[name][()] for name in names}, {name: group["valid"][name][:] for name in names}, units, descriptions,
                        [STATUS[code] for code in group["status"][:]], [text.decode(errors="replace") for text in group["cause"][:]],
                        _all_attributes(group))


def read_status(path):
    """(status (list of str), causes (list of str)) of the replicas of an ensemble file, without its rows."""
    with raw_bytes.open_to_read(path) as f:
        return [STATUS[code] for code in f[ROOT]["status"][:]], [text.decode(errors="replace") for text in f[ROOT]["cause"][:]]


def read_attributes(path):
    """dict of an ensemble file's attributes."""
    with blueprint.open_to_read(path) as f:
        return _all_attributes(f[ROOT])


def _all_attributes(group):
    large = group.get(LARGE, {})
    return dict(group.attrs.items()) | {key: large[key][()] for key in large}


def read_rows(path, first, last):
    """{name: rows [first, last) of the replicas} of an ensemble file."""
    with raw_bytes.open_to_read(path) as f:
        return {name: f[ROOT][name][first:last] for name in f[ROOT]["valid"]}


def _empty(dtype):
    return np.nan if np.dtype(dtype).kind == "f" else 0


def _fixed(replicas, schema):
    fixed = [blueprint.Fixed(f"{ROOT}/status", (replicas,), "i1", "", "index into status_names"), blueprint.Fixed(f"{ROOT}/cause", (replicas,), "S256")]
    for name, (shape, dtype, unit, description) in schema.items():
        if "/" in name or name in ("status", "cause", "valid"):
            raise ValueError(f"{name!r} cannot be the name of a dataset")
        fixed.append(blueprint.Fixed(f"{ROOT}/{name}", (replicas, *shape), np.dtype(dtype).str, unit, description, _empty(dtype)))
        fixed.append(blueprint.Fixed(f"{ROOT}/valid/{name}", (replicas,), "<i8"))
    return [*fixed, *SLOTS]
