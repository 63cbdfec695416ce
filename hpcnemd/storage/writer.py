"""Three ways in which the ranks of a communicator put blocks of rows into one HDF5 file; the file is the same.

collective  h5py with MPI, every rank writes its rows in one collective call
offset      MPI-IO at addresses that HDF5 told when the file was laid out; h5py needs no MPI
gather      rank 0 receives all rows and writes them

All of them write raw data only, at places that exist already (see `blueprint`), and a rank with nothing to write takes part.
MPI-IO, and HDF5 on top of it, may lose bytes without a word (a collective write of Open MPI 4.1 past the limit on file sizes counts as
done): what went through it is looked up in the file before anyone relies on it.
"""
import errno
import os

import h5py
import numpy as np

from ..core.errors import InputError
from ..parallel.mpi_io import SharedFile
from .raw_bytes import put_runs

NAMES = ("collective", "offset", "gather")
FEWEST_ROWS = 4096          # a rank writes at least so many rows of a frame, or none: small pieces are slow
LOOKED_UP = 64              # bytes at the end of each run that are read back


def choose_writer(comm, wanted="auto"):
    """A writer over `comm` (all ranks choose the same). Raises InputError for a name that is not known or cannot work here."""
    parallel = bool(h5py.get_config().mpi)
    if wanted == "auto":
        wanted = "collective" if parallel else "offset"
    if wanted not in NAMES:
        raise InputError(f"parallel.writer = {wanted!r}: one of auto, {', '.join(NAMES)} is possible")
    if wanted == "collective" and not parallel:
        raise InputError("parallel.writer = 'collective': this h5py was built without MPI; write 'auto', 'offset' or 'gather', "
                         "or set up again with jobs/setup.sh")
    if comm.size == 1:
        return GatherWriter(comm)                           # one rank has nobody to agree with
    return {"collective": CollectiveWriter, "offset": OffsetWriter, "gather": GatherWriter}[wanted](comm)


class GatherWriter:
    """Rank 0 writes for all. `through_library`: whether the file's lengths must cover the block while it is opened."""
    name, through_library = "gather", False

    def __init__(self, comm):
        self.comm = comm

    def bounds(self, rows):
        """(size + 1,) rank r writes rows [bounds[r], bounds[r + 1]) of a frame."""
        edges = np.full(self.comm.size + 1, rows, np.int64)
        edges[0] = 0
        return edges

    def open(self, path, places, names):
        """Collective. Opens the file for the blocks of these datasets."""
        self.places, self.path = places, path
        self.raw = open(path, "r+b") if self.comm.rank == 0 else None

    def write(self, name, start, block):
        """Collective. `block` (any shape, may hold nothing) at `start`; its dtype is the dataset's, every rank gives the same name."""
        _check(self.places, name, block)
        parts = self.comm.gather((tuple(start), block))
        if self.comm.rank == 0:
            for start, block in parts:
                put_runs(self.raw, self.places.runs(name, start, block.shape), block)

    def close(self):
        """Collective. Raises OSError on a rank whose bytes are not in the file."""
        if self.raw is not None:
            self.raw.close()


class OffsetWriter(GatherWriter):
    """Every rank writes its bytes through MPI-IO."""
    name = "offset"

    def bounds(self, rows, fewest=None):
        share = max(-(-rows // self.comm.size), min(rows, FEWEST_ROWS if fewest is None else fewest))
        return np.minimum(np.arange(self.comm.size + 1, dtype=np.int64) * share, rows)

    def open(self, path, places, names):
        self.places, self.path, self.ends = places, path, []
        self.file = SharedFile(self.comm, path)

    def write(self, name, start, block):
        _check(self.places, name, block)
        data = np.ascontiguousarray(block).reshape(-1).view(np.uint8)
        runs = self.places.runs(name, start, block.shape)
        self._remember(runs, data)
        done = 0
        for offset, size in runs:
            self.file.write_at(offset, data[done:done + size])
            done += size

    def close(self):
        self.file.close()
        self._look_up()

    def _remember(self, runs, data):
        done = 0
        for offset, size in runs:
            done += size
            few = min(size, LOOKED_UP)
            self.ends.append((offset + size - few, data[done - few:done].tobytes()))

    def _look_up(self):
        if not self.ends:
            return
        handle = os.open(self.path, os.O_RDONLY)
        try:
            for offset, data in self.ends:
                if os.pread(handle, len(data), offset) != data:
                    raise OSError(errno.EIO, "bytes that were written are not in the file")
        finally:
            os.close(handle)


class CollectiveWriter(OffsetWriter):
    """HDF5's own parallel driver, in collective mode."""
    name, through_library = "collective", True

    def open(self, path, places, names):
        self.places, self.path, self.ends = places, path, []
        self.file = h5py.File(path, "r+", driver="mpio", comm=self.comm)
        self.datasets = {name: self.file[name] for name in names}
        self.transfer = h5py.h5p.create(h5py.h5p.DATASET_XFER)
        self.transfer.set_dxpl_mpio(h5py.h5fd.MPIO_COLLECTIVE)

    def write(self, name, start, block):
        _check(self.places, name, block)                    # HDF5 would convert, and leave collective mode without a word
        dataset, empty = self.datasets[name], 0 in block.shape
        if 0 in dataset.shape:                              # it has no place in the file; all ranks know that
            return
        file = dataset.id.get_space()
        memory = h5py.h5s.create_simple((1,) * max(1, block.ndim) if empty else block.shape or (1,))
        if empty:                                           # `dataset[a:b] = block` would skip the call, and the others wait for ever
            memory.select_none()
            file.select_none()
        elif block.ndim:
            file.select_hyperslab(tuple(start), block.shape)
        data = np.zeros((1,) * max(1, block.ndim), block.dtype) if empty else np.ascontiguousarray(block)
        self._remember(self.places.runs(name, start, block.shape), data.reshape(-1).view(np.uint8))
        dataset.id.write(memory, file, data, dxpl=self.transfer)

    def close(self):
        self.datasets = {}
        self.file.flush()
        self.file.close()
        self._look_up()


def _check(places, name, block):
    dtype = places.fixed[name][1] if name in places.fixed else places.series[name][1]
    if block.dtype != np.dtype(dtype):
        raise TypeError(f"{name}: block is {block.dtype}, dataset is {np.dtype(dtype)}; convert before writing")
