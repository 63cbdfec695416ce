"""The bytes of an HDF5 file: the only writes that a running program makes."""
import errno
import os
import resource
import struct

import h5py
import numpy as np

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


def set_frames(raw, places, frames, names=None):
    """The length of each series, in one write each; the first named series is last, because readers count frames there."""
    for name in reversed(list(names or places.series)):
        put(raw, places.series[name][2], struct.pack("<Q", frames))


def length_word(raw, address):
    """Place of the first dimension in the object header at `address` (version 1, as libver="earliest" writes it; HDF5 File Format
    Specification 3.0, sections IV.A.1.a and IV.A.2.b). Raises RuntimeError."""
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


def reserve(raw, start, end):
    """Disk blocks for [start, end): a full disk or a file too large is an OSError here and not in the middle of a parallel write."""
    if end <= start:
        return
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit != resource.RLIM_INFINITY and end > limit:                  # within the length of a sparse file the system sees no reason to refuse
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    raw.flush()
    try:
        os.posix_fallocate(raw.fileno(), start, end - start)
    except OSError as problem:
        if problem.errno not in (errno.EINVAL, errno.EOPNOTSUPP):        # a file system that cannot reserve
            raise
        os.ftruncate(raw.fileno(), max(end, os.fstat(raw.fileno()).st_size))


def copy_sparse(source, target, certain):
    """Copies what was written; the rest stays a hole, but for the first `certain` bytes: their space is reserved. Raises OSError."""
    size = os.path.getsize(source)
    with open(source, "rb") as a, open(target, "wb") as b:
        os.ftruncate(b.fileno(), size)
        reserve(b, 0, certain)
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


def fill(target, fixed, places):
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


def update(path, places, name, change):
    """A fixed dataset becomes `change(its value now)`, in place. Raises OSError."""
    shape, dtype, offset = places.fixed[name]
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    with open(path, "r+b") as raw:
        now = np.frombuffer(os.pread(raw.fileno(), size, offset), dtype).reshape(shape).copy()
        put_runs(raw, [(offset, size)], np.broadcast_to(np.asarray(change(now), dtype), shape))


def replace(path, build):
    """Builds under another name, then renames: the name always leads to a whole file."""
    path = os.path.abspath(path)
    new = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")
    try:
        result = build(new)
        sync(new)
        os.replace(new, path)
        sync(os.path.dirname(path))
    except BaseException:
        if os.path.exists(new):
            os.unlink(new)
        raise
    return result


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
