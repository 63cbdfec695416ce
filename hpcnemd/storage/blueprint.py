"""HDF5 files whose metadata is written once, before the first byte of data.

The library changes metadata in place, in several writes: a kill between two of them can leave a file that does not open. Here all of it
(groups, attributes, the chunk index for `capacity` frames) is composed beforehand, in a scratch file, and copied to the target, which then
gets its name by a rename. After that only three kinds of bytes change: raw data at addresses that the index has named from the start, the
end-of-file address in the superblock, and the first dimension of each growing dataset. The last two are single aligned words of 8 bytes
(HDF5 File Format Specification 3.0, sections II.A and IV.A.2.b): a reader finds the old value or the new one.
"""
import errno
import os
import resource
import struct
import tempfile
from dataclasses import dataclass, field

import h5py
import numpy as np

GROUP_BYTES = 64 * 1024     # small frames share a chunk of about this size
MOST_GROUPS = 1000          # chunks per dataset: HDF5 needs quadratic time to lay them out
LAYOUT = "provenance/layout"
SCRATCH = "hpcnemd-scratch-"
END_WORD = 40               # of the end-of-file address in a version 0 superblock


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
    `fixed`: name -> (shape, dtype, offset); `ends` (groups,): end of the file once a group is in use; `head`: end of the metadata."""
    capacity: int = 0
    per_group: int = 1
    series: dict = field(default_factory=dict)
    fixed: dict = field(default_factory=dict)
    ends: np.ndarray = None
    head: int = 0
    total: int = 0

    def end_of(self, frames):
        """Bytes of a file with this many frames."""
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
    _sweep(folder)
    for attempt in range(6):
        margin = _metadata_bytes(series, fixed, capacity) * 4**attempt
        handle, scratch = tempfile.mkstemp(suffix=".h5", prefix=f"{SCRATCH}{os.getpid()}-", dir=folder)
        os.close(handle)
        try:
            try:
                places = _build(scratch, series, fixed, capacity, decorate, margin)
                sound = _is_sound(scratch, places)
            except (OSError, RuntimeError) as problem:
                raise _ScratchProblem from problem
            if sound:
                _copy_sparse(scratch, target)
                _fill(target, fixed, places)
                return places
        finally:
            os.unlink(scratch)
    raise RuntimeError(f"HDF5 {h5py.version.hdf5_version} puts metadata between the data; please report this")


def _sweep(folder):
    """Removes scratch files of processes that were killed."""
    for name in os.listdir(folder):
        if name.startswith(SCRATCH) and name.endswith(".h5"):
            try:
                os.kill(int(name[len(SCRATCH):].split("-")[0]), 0)
            except ProcessLookupError:
                try:
                    os.unlink(os.path.join(folder, name))
                except OSError:                                         # another user's, or swept by another rank
                    pass
            except (ValueError, OSError):
                pass


def _groups(series, capacity):
    return -(-capacity // frames_per_group(series, capacity))


def _build(path, series, fixed, capacity, decorate, margin):
    per_group = frames_per_group(series, capacity)
    with h5py.File(path, "w", libver="earliest", meta_block_size=margin, locking=False) as f:
        if decorate is not None:
            decorate(f)
        for one in fixed:
            _create(f, one, None, one.shape, one.shape)
        handles = [_create(f, one, (per_group, *one.shape), (0, *one.shape), (None, *one.shape)) for one in series]
        if series:
            note = f.require_group(LAYOUT).attrs
            note["frames_capacity"], note["head_bytes"] = np.int64(capacity), np.int64(0)
            for one in series:
                for link in one.links:
                    f[link] = f[one.name]
            f.flush()
            note.modify("head_bytes", np.int64(f.id.get_filesize()))
        for group in range(_groups(series, capacity)):      # frame by frame: a file ends where its last frame ends
            for dataset in handles:
                dataset.id.set_extent(((group + 1) * per_group, *dataset.shape[1:]))
    places = read_places(path, [one.name for one in series], [one.name for one in fixed])
    with open(path, "r+b") as raw:
        set_frames(raw, places, 0)
        set_end(raw, places.head)
        if series:
            raw.truncate(places.head)
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
        note = f[LAYOUT].attrs if series else {"frames_capacity": 0, "head_bytes": 0}
        places = Places(capacity=int(note["frames_capacity"]), head=int(note["head_bytes"]))
        for name in fixed:
            dataset = f[name]
            places.fixed[name] = (dataset.shape, dataset.dtype.str, dataset.id.get_offset() or 0)
        words = []
        for name in series:
            dataset = f[name]
            places.per_group = dataset.chunks[0]
            groups = -(-places.capacity // places.per_group)
            origin = (0,) * (dataset.ndim - 1)
            chunks = [dataset.id.get_chunk_info_by_coord((g * places.per_group, *origin)) for g in range(groups)]
            words.append(h5py.h5o.get_info(dataset.id).addr)
            places.series[name] = (dataset.shape[1:], dataset.dtype.str, 0, np.array([c.byte_offset for c in chunks], np.int64))
            ends = np.array([c.byte_offset + c.size for c in chunks], np.int64)
            places.ends = ends if places.ends is None else np.maximum(places.ends, ends)
    size = os.path.getsize(path)
    with open(path, "rb") as raw:
        for name, address in zip(series, words):
            shape, dtype, _, offsets = places.series[name]
            places.series[name] = (shape, dtype, _length_word(raw, address), offsets)
    if series and places.capacity:
        places.ends = np.maximum.accumulate(places.ends)
        places.total = int(places.ends[-1])
    else:
        places.head = places.total = size
    return places


def _length_word(raw, address):
    """Place of the first dimension in the object header at `address` (version 1, as libver="earliest" writes it)."""
    raw.seek(address)
    header = raw.read(4096)
    if header[0] != 1:
        raise RuntimeError("this file was not written by this program: its object headers have another version")
    place, end = 16, 16 + struct.unpack_from("<I", header, 8)[0]
    while place + 8 <= min(end, len(header)):
        kind, size = struct.unpack_from("<HH", header, place)
        if kind == 1 and header[place + 8] in (1, 2):                   # the dataspace message
            return address + place + 8 + (8 if header[place + 8] == 1 else 4)
        place += 8 + size
    raise RuntimeError("an object header without a dataspace")


def put(raw, offset, data):
    """All of `data` at `offset` of an open binary file, past its buffer; raises OSError."""
    raw.flush()
    view = memoryview(data).cast("B")
    while len(view):
        done = os.pwrite(raw.fileno(), view, offset)
        view, offset = view[done:], offset + done


def put_runs(raw, runs, block):
    """The elements of `block`, in their order, into the runs [(offset, bytes)] of `Places.runs`."""
    data, done = np.ascontiguousarray(block).reshape(-1).view(np.uint8), 0
    for offset, size in runs:
        put(raw, offset, data[done:done + size])
        done += size


def set_end(raw, end):
    """The end-of-file address; the file must be that long already."""
    put(raw, END_WORD, struct.pack("<Q", end))


def set_frames(raw, places, frames, names=None):
    """The length of each series, in one write each; the first named series is last, because readers count frames there."""
    for name in reversed(list(names or places.series)):
        put(raw, places.series[name][2], struct.pack("<Q", frames))


def _is_sound(path, places):
    """Whether nothing but chunks lies beyond the head: every object, attribute and index entry is read from the head alone."""
    if not places.series:
        return True
    try:
        with open_to_read(path) as f:
            f.visititems(lambda name, item: [None for _ in item.attrs.values()] and None)
        again = read_places(path, list(places.series), list(places.fixed))
    except (OSError, RuntimeError, KeyError, ValueError):
        return False
    return all(np.array_equal(again.series[name][3], one[3]) for name, one in places.series.items()) and again.fixed == places.fixed


def _copy_sparse(source, target):
    """Copies only what was written; the space of the whole target is reserved, so that a full disk is found here."""
    size = os.path.getsize(source)
    with open(source, "rb") as a, open(target, "wb") as b:
        reserve(b, 0, size)
        place = 0
        while place < size:
            try:
                place = os.lseek(a.fileno(), place, os.SEEK_DATA)
                end = os.lseek(a.fileno(), place, os.SEEK_HOLE)
            except OSError:                                             # nothing but holes up to the end
                break
            while place < end:
                data = os.pread(a.fileno(), min(end - place, 1 << 24), place)
                put(b, place, data)
                place += len(data)


def reserve(raw, start, end):
    """Disk blocks for [start, end): a full disk or a file too large is an OSError here and not in the middle of a parallel write."""
    if end <= start:
        return
    raw.flush()
    try:
        os.posix_fallocate(raw.fileno(), start, end - start)
    except OSError as problem:
        if problem.errno not in (errno.EINVAL, errno.EOPNOTSUPP):        # a file system that cannot reserve
            raise
        os.ftruncate(raw.fileno(), end)


def sync(path):
    """fsync of a file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_to_read(path):
    """An h5py.File. Locks as other programs in this process would, and does without where the file system has none. Raises OSError."""
    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise
    except OSError:
        return h5py.File(path, "r", locking=False)


def update(path, places, name, change):
    """A fixed dataset becomes `change(its value now)`, in place. Raises OSError."""
    shape, dtype, offset = places.fixed[name]
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    with open(path, "r+b") as raw:
        now = np.frombuffer(os.pread(raw.fileno(), size, offset), dtype).reshape(shape).copy()
        put_runs(raw, [(offset, size)], np.broadcast_to(np.asarray(change(now), dtype), shape))


def _fill(target, fixed, places):
    with open(target, "r+b") as raw:
        for one in fixed:
            if one.fill is None:
                continue
            shape, dtype, offset = places.fixed[one.name]
            left = int(np.prod(shape, dtype=np.int64))
            block = np.full(min(left, 1 << 20), one.fill, np.dtype(dtype))
            while left > 0:
                put(raw, offset, block[:left])
                offset, left = offset + block[:left].nbytes, left - len(block)
