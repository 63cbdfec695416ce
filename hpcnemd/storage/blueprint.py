"""HDF5 files whose metadata is written once, before the first byte of data.

The library changes metadata in place, in several writes: a kill between two of them can leave a file that does not open. Here all of it
(groups, attributes, the chunk index for `capacity` frames) is composed beforehand, in a scratch file, and copied to the target, which then
gets its name by a rename. After that only two kinds of bytes change: raw data at addresses that the index has named from the start, and the
first dimension of each growing dataset, an aligned word of 8 bytes (HDF5 File Format Specification 3.0, section IV.A.2.b): a reader finds the
old value or the new one. The file has its full length from the start, but takes disk blocks only for what has been written (a sparse file).
"""
import errno
import os
import resource
import tempfile
import time
from dataclasses import dataclass, field

import h5py
import numpy as np

from .raw_bytes import copy_sparse, fill, length_word, open_to_read, set_frames

GROUP_BYTES = 64 * 1024     # small frames share a chunk of about this size
MOST_GROUPS = 1000          # chunks per dataset: HDF5 needs quadratic time to lay them out
LAYOUT = "provenance/layout"
SCRATCH = "hpcnemd-scratch-"


@dataclass(frozen=True)
class Series:
    """A dataset that grows by frames. `name`: path in the file; `shape`: of one frame; `links`: other paths of the same dataset."""
    name: str
    shape: tuple
    dtype: str
    unit: str = ""
    description: str = ""
    links: tuple = ()


@dataclass(frozen=True)
class Fixed:
    """A dataset whose shape is final. `fill`: the value of what is never written (None: bytes 0)."""
    name: str
    shape: tuple
    dtype: str
    unit: str = ""
    description: str = ""
    fill: object = None


@dataclass
class Places:
    """Where in the file everything lies. `series`: name -> (frame shape, dtype, place of the length word, offsets (groups,));
    `fixed`: name -> (shape, dtype, offset); `ends` (groups,): end of the bytes that are in use once a group is; `head`: the same without
    a frame; `total`: length of the file."""
    capacity: int = 0
    per_group: int = 1
    series: dict = field(default_factory=dict)
    fixed: dict = field(default_factory=dict)
    ends: np.ndarray = None
    head: int = 0
    total: int = 0

    def end_of(self, frames):
        """End of the bytes that this many frames use."""
        return self.head if frames == 0 else int(self.ends[(frames - 1) // self.per_group])

    def runs(self, name, start, shape):
        """[(offset, bytes)] of a block, in the order of its elements. A block of a series is (frames, rows, ...), of a fixed dataset
        it is contiguous in the file; anything else raises ValueError."""
        if 0 in shape:
            return []
        if name in self.fixed:
            whole, dtype, base = self.fixed[name]
            return [(base + _linear(start, shape, whole) * np.dtype(dtype).itemsize, int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize)]
        frame_shape, dtype, _, offsets = self.series[name]
        item, width = np.dtype(dtype).itemsize, int(np.prod(frame_shape, dtype=np.int64))
        inner = _linear(start[1:], shape[1:], frame_shape) * item
        size = int(np.prod(shape[1:], dtype=np.int64)) * item
        return [(int(offsets[t // self.per_group]) + t % self.per_group * width * item + inner, size)
                for t in range(start[0], start[0] + shape[0])]


def _linear(start, shape, whole):
    """Index of the first element of a block that is one run of bytes."""
    inside = False
    for extent, full in zip(shape, whole):
        if inside and extent != full:
            raise ValueError(f"the block {tuple(start)} + {tuple(shape)} of {tuple(whole)} is not one run of bytes")
        inside = inside or extent != 1
    return int(np.ravel_multi_index(tuple(start), tuple(whole))) if len(whole) else 0


def frames_per_group(series, capacity):
    """Frames that share a chunk: small frames are bundled, and the number of chunks stays bounded."""
    frame = max(map(_bytes, series), default=1)
    most = max(1, (2**32 - 1) // max(1, frame))
    wanted = max(1, GROUP_BYTES // max(1, frame), -(-capacity // MOST_GROUPS))
    return min(wanted, most, max(1, capacity))


def _bytes(one):
    return int(np.prod(one.shape, dtype=np.int64)) * np.dtype(one.dtype).itemsize


def _metadata_bytes(series, fixed, capacity):
    """More than HDF5 needs for the headers of so many datasets and the index of so many chunks."""
    return 64 * 1024 + (len(series) + len(fixed)) * 8192 + len(series) * 200 * _groups(series, capacity)


def within_file_limit(series, fixed, capacity):
    """`capacity`, or as many frames as the process' limit on file sizes leaves room for: the index of more could not be laid out.

    Raises OSError (EFBIG) where there is room for none.
    """
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit == resource.RLIM_INFINITY:
        return capacity
    frame, rest = sum(map(_bytes, series)), sum(map(_bytes, fixed))
    while True:
        whole_groups = _groups(series, capacity) * frames_per_group(series, capacity) if series else 0
        if _metadata_bytes(series, fixed, capacity) + rest + whole_groups * frame <= limit:
            return capacity
        if capacity <= 1:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        capacity = int(0.9 * capacity)


def compose(target, series=(), fixed=(), capacity=0, decorate=None):
    """A new file at `target` (overwritten), empty of frames, its fixed datasets filled. `decorate(file)` adds attributes and small datasets;
    `capacity`: frames, fewer where the limit on file sizes is lower.

    Returns its `Places`. Raises OSError where the target cannot be written.
    """
    capacity = within_file_limit(series, fixed, max(1, capacity) if series else 0)
    problem = None
    for folder in ("/dev/shm", tempfile.gettempdir(), os.path.dirname(os.path.abspath(target))):
        if not os.access(folder, os.W_OK):
            continue
        try:
            return _compose_in(folder, target, series, fixed, capacity, decorate)
        except _ScratchProblem as found:                                # a full /dev/shm is no reason to give up
            problem = found.__cause__
    raise problem or PermissionError(errno.EACCES, "no folder for temporary files", tempfile.gettempdir())


class _ScratchProblem(Exception):
    """HDF5 failed on the scratch file."""


def _compose_in(folder, target, series, fixed, capacity, decorate):
    if folder == "/dev/shm":
        _sweep(folder)
    handle, scratch = tempfile.mkstemp(suffix=".h5", prefix=SCRATCH, dir=folder)
    os.close(handle)
    try:
        try:
            places = _build(scratch, series, fixed, capacity, decorate)
        except (OSError, RuntimeError) as problem:
            raise _ScratchProblem from problem
        copy_sparse(scratch, target, places.head)
        fill(target, fixed, places)
        return places
    finally:
        if os.path.exists(scratch):
            os.unlink(scratch)


def _sweep(folder):
    """Removes this user's scratch files that a kill has left."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.startswith(SCRATCH):
            try:
                if time.time() - os.path.getmtime(path) > 3600:         # composing takes seconds at most
                    os.unlink(path)
            except OSError:                                             # another user's, or swept by another run
                pass


def _groups(series, capacity):
    return -(-capacity // frames_per_group(series, capacity))


def _build(path, series, fixed, capacity, decorate):
    per_group = frames_per_group(series, capacity)
    with h5py.File(path, "w", libver="earliest", locking=False) as f:
        if decorate is not None:
            decorate(f)
        for one in fixed:
            _create(f, one, None, one.shape, one.shape)
        handles = [_create(f, one, (per_group, *one.shape), (0, *one.shape), (None, *one.shape)) for one in series]
        for one in series:
            for link in one.links:
                f[link] = f[one.name]
        if series:
            f.require_group(LAYOUT).attrs["frames_capacity"] = np.int64(capacity)
        for group in range(_groups(series, capacity)):      # in the order of time: what is not written yet lies at the end
            for dataset in handles:
                dataset.id.set_extent(((group + 1) * per_group, *dataset.shape[1:]))
    places = read_places(path, [one.name for one in series], [one.name for one in fixed])
    with open(path, "r+b") as raw:
        set_frames(raw, places, 0)
    with open_to_read(path) as f:                           # the words are where they were looked for
        if any(f[one.name].shape != (0, *one.shape) for one in series):
            raise RuntimeError(f"HDF5 {h5py.version.hdf5_version} keeps lengths elsewhere; please report this")
    return places


def _create(f, one, chunk, shape, most):
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if chunk is not None:
        layout.set_chunk(chunk)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    layout.set_obj_track_times(False)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    space = h5py.h5s.create_simple(shape, tuple(h5py.h5s.UNLIMITED if m is None else m for m in most)) if shape or most else h5py.h5s.create(h5py.h5s.SCALAR)
    kind = h5py.h5t.py_create(np.dtype(one.dtype), logical=True)
    dataset = h5py.Dataset(h5py.h5d.create(f.id, one.name.encode(), kind, space, layout, lcpl=links))
    for key in ("unit", "description"):
        if getattr(one, key):
            dataset.attrs[key] = getattr(one, key)
    return dataset


def read_places(path, series, fixed):
    """The `Places` of an existing file; `series`, `fixed`: names of datasets. Raises KeyError where one is absent."""
    with open_to_read(path) as f:
        places = Places(capacity=int(f[LAYOUT].attrs["frames_capacity"]) if series else 0)
        for name in fixed:                              # by identifiers: looking f[name] up takes three times as long
            dataset = h5py.h5d.open(f.id, name.encode())
            places.fixed[name] = (dataset.shape, dataset.dtype.str, dataset.get_offset() or 0)
        words = []
        for name in series:
            dataset = h5py.h5d.open(f.id, name.encode())
            places.per_group = dataset.get_create_plist().get_chunk()[0]
            groups = -(-places.capacity // places.per_group)
            origin = (0,) * (len(dataset.shape) - 1)
            chunks = [dataset.get_chunk_info_by_coord((g * places.per_group, *origin)) for g in range(groups)]
            words.append(h5py.h5o.get_info(dataset).addr)
            places.series[name] = (dataset.shape[1:], dataset.dtype.str, 0, np.array([c.byte_offset for c in chunks], np.int64))
            ends = np.array([c.byte_offset + c.size for c in chunks], np.int64)
            places.ends = ends if places.ends is None else np.maximum(places.ends, ends)
    places.head = places.total = os.path.getsize(path)
    with open(path, "rb") as raw:
        for name, address in zip(series, words):
            shape, dtype, _, offsets = places.series[name]
            places.series[name] = (shape, dtype, length_word(raw, address), offsets)
    if series:
        places.ends = np.maximum.accumulate(places.ends)
        places.head = int(min(offsets.min() for *_, offsets in places.series.values()))
    return places
