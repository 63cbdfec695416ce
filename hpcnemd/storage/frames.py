"""A file of datasets that grow together, frame by frame, in bursts; whatever kills the run, it opens and holds the frames of all closed bursts."""
import errno
import os

import h5py
import numpy as np

from ..core.errors import InputError
from . import blueprint, raw_bytes
from .agreement import closed, on_root, together

VALID = "parameters/valid_frames"

_VALID = blueprint.Fixed(VALID, (), "<i8", description="frames that count; datasets may be longer by a burst that was cut short")


class FrameFile:
    """All methods are collective over `writer.comm`. `series`: list of `blueprint.Series` of one file; `valid`: frames that count.

    The length of every dataset is the number of valid frames, except for moments inside a burst (while the library looks up the places of
    new frames, and while the lengths are raised one after the other), when `VALID` is the smaller number and counts.
    """

    def __init__(self, path, writer, places, valid):
        self.path, self.writer, self.comm = str(path), writer, writer.comm
        self.places, self.valid = places, valid
        self.names = list(places.series)

    @classmethod
    def create(cls, path, writer, series, capacity, fixed=(), decorate=None):
        """Collective. An empty file with room for `capacity` frames. Raises InputError where the folder cannot take it."""
        def lay_out():
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            return raw_bytes.replace(path, lambda new: _compose(new, series, fixed, capacity, decorate))
        places = on_root(writer.comm, lay_out, path, starting=True)
        return cls(path, writer, places, 0)

    @classmethod
    def resume(cls, path, writer, series, valid, fixed=()):
        """Collective. An existing file, cut to its first `valid` frames. Raises InputError where it holds fewer, or other datasets."""
        def inspect():
            names = [one.name for one in series]
            try:
                places = blueprint.read_places(path, names, [one.name for one in fixed] + [VALID])
            except KeyError as problem:
                raise InputError(f"{path}: {problem.args[0]}; this file was written with other settings, move it away or choose another folder") from None
            have = frames_in(path)
            if have < valid:
                raise InputError(f"{path} holds {have} frames, the checkpoint is from frame {valid}; the files are not of one run")
            for one in series:
                shape, dtype = places.series[one.name][:2]
                if tuple(shape) != tuple(one.shape) or np.dtype(dtype) != np.dtype(one.dtype):
                    raise InputError(f"{path}: {one.name} has frames {shape} {dtype}, needed are {one.shape} {one.dtype}; choose another folder")
            return places
        file = cls(path, writer, on_root(writer.comm, inspect, path, starting=True), valid)
        on_root(file.comm, lambda: file._truncate(valid), path)
        return file

    def _truncate(self, frames):
        with open(self.path, "r+b") as raw:
            self._put_valid(raw, frames)
            raw_bytes.set_frames(raw, self.places, frames, self.names)
            os.fsync(raw.fileno())

    def _put_valid(self, raw, frames, places=None):
        raw_bytes.put(raw, (places or self.places).fixed[VALID][2], np.array(frames, "<i8"))

    def append(self, frames, blocks):
        """Collective. One burst. `blocks`: name -> (first row, array (frames, rows, ...)) for every series, on every rank, rows may be 0.

        Raises StoppedEarly, with the frames before untouched, where the disk is full.
        """
        old, new = self.valid, self.valid + frames
        if frames == 0:
            return
        if new > self.places.capacity:
            self.regrow(max(new, 2 * self.places.capacity), new)
        on_root(self.comm, lambda: self._make_room(new), self.path)
        self._open(old, new)
        problem = None
        for name in self.names:
            first, block = blocks[name]
            start = (old, first) + (0,) * (block.ndim - 2) if block.ndim > 1 else (old,)
            try:
                self.writer.write(name, start, block)
            except OSError as error:
                problem = problem or error
        problem = closed(self.writer, problem)
        together(self.comm, problem, self.path)
        on_root(self.comm, lambda: self._publish(new), self.path)
        self.valid = new

    def _make_room(self, frames):
        with open(self.path, "r+b") as raw:
            raw_bytes.reserve(raw, self.places.end_of(self.valid), self.places.end_of(frames))
            if self.writer.through_library:                 # the library looks up the chunks of a dataset within its length only
                raw_bytes.set_frames(raw, self.places, frames, self.names)

    def _open(self, old, new):
        self.writer.open(self.path, self.places, self.names)
        if self.writer.through_library:
            self.comm.Barrier()                             # every rank has read the length

            def hide():
                with open(self.path, "r+b") as raw:
                    raw_bytes.set_frames(raw, self.places, old, self.names)
            on_root(self.comm, hide, self.path)

    def _publish(self, frames):
        with open(self.path, "r+b") as raw:
            os.fsync(raw.fileno())                          # the data before the number that says they are there
            raw_bytes.set_frames(raw, self.places, frames, self.names)
            self._put_valid(raw, frames)
            os.fsync(raw.fileno())

    def update(self, name, change):
        """Collective. A fixed dataset becomes `change(its value now)`, called on rank 0 only."""
        on_root(self.comm, lambda: raw_bytes.update(self.path, self.places, name, change), self.path)

    def regrow(self, capacity, least=0):
        """Collective. A new file with room for `capacity` frames (at least `least`) takes the place of this one; the frames are copied.
        Raises StoppedEarly where there is no room."""
        self.places = on_root(self.comm, lambda: self._copy(capacity, max(least, self.valid)), self.path)

    def finish(self):
        """Collective. The last call of a complete run: a file with much unused index is copied to one without, which any tool can process."""
        used = -(-max(1, self.valid) // self.places.per_group)
        if used < -(-self.places.capacity // self.places.per_group):
            self.regrow(max(1, self.valid))

    def _copy(self, capacity, least):
        with raw_bytes.open_to_read(self.path) as old:
            links = _other_paths(old, self.names)
            series = [blueprint.Series(name, old[name].shape[1:], old[name].dtype.str, *_texts(old[name]), tuple(links[name])) for name in self.names]
            fixed = [blueprint.Fixed(name, old[name].shape, old[name].dtype.str, *_texts(old[name])) for name in self.places.fixed]
            laid_out = {*self.names, *self.places.fixed, *(path for paths in links.values() for path in paths)}

            def build(path):
                places = blueprint.compose(path, series, fixed, capacity, lambda new: _copy_static(old, new, laid_out))
                if places.capacity < least:
                    raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
                with open(path, "r+b") as raw:
                    self._copy_data(old, raw, places)
                return places
            return raw_bytes.replace(self.path, build)

    def _copy_data(self, old, raw, places):
        raw_bytes.reserve(raw, places.head, places.end_of(self.valid))
        for name in self.names:
            for first in range(0, self.valid, places.per_group):
                block = old[name][first:min(self.valid, first + places.per_group)]
                raw_bytes.put_runs(raw, places.runs(name, (first,) + (0,) * (block.ndim - 1), block.shape), block)
        for name, (shape, dtype, offset) in places.fixed.items():
            raw_bytes.put_runs(raw, [(offset, int(np.prod(shape)) * np.dtype(dtype).itemsize)], np.asarray(old[name][()], dtype))
        raw_bytes.set_frames(raw, places, self.valid, self.names)
        self._put_valid(raw, self.valid, places)


def frames_in(path):
    """The number of valid frames of a file, whatever state a kill has left it in."""
    with raw_bytes.open_to_read(path) as f:
        return int(f[VALID][()])


def _compose(path, series, fixed, capacity, decorate):
    return blueprint.compose(path, series, [_VALID, *fixed], capacity, decorate)


def _texts(dataset):
    """(unit, description) of a dataset."""
    values = [dataset.attrs.get(key, "") for key in ("unit", "description")]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _other_paths(f, names):
    """name -> the other paths that lead to the same dataset."""
    places = {h5py.h5o.get_info(f[name].id).addr: name for name in names}
    links = {name: [] for name in names}

    def look(group):
        for key in group:
            item, path = group[key], f"{group.name.rstrip('/')}/{key}".lstrip("/")
            if isinstance(item, h5py.Group):
                look(item)
            else:
                name = places.get(h5py.h5o.get_info(item.id).addr, path)
                if name != path:
                    links[name].append(path)
    look(f)
    return links


def _copy_static(old, new, laid_out):
    """Groups, attributes and small datasets: all but the paths that the blueprint lays out."""
    def visit(group, target):
        for key, value in group.attrs.items():
            if group.name.lstrip("/") != blueprint.LAYOUT:
                target.attrs[key] = value
        for key in group:
            item = group[key]
            if isinstance(item, h5py.Group):
                visit(item, target.require_group(key))
            elif f"{group.name.rstrip('/')}/{key}".lstrip("/") not in laid_out:
                group.copy(item, target, name=key)
    visit(old, new)
