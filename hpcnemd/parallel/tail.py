"""The tail of a rank's pair work: pieces that other ranks of its node may take when they are through with theirs (kernels.tail).

Cores that are equal on paper differ by a tenth from one moment to the next, and all ranks wait for the slowest one in each step. Cuts cannot follow that fast; who takes a piece of another's
work needs no more than a look at it. So what the pair kernel reads and what it writes in a piece lies in memory that the ranks of a node share: an anonymous file, which ends with
the processes and takes memory only where it was written to. Pieces are the same and are added in the same order whoever does them, and where nobody can (one rank on a node, no such memory,
HPCNEMD_SHARED_MEMORY = 0): the bits of a run do not depend on it."""
import mmap
import os

import numpy as np

from ..kernels import entry
from ..kernels import tail as kernels
from ..kernels.frames import WIDTH, Bound
from ..kernels.memory import zeros
from .shared_memory import channels_of, open_channels

LEAST, EACH = 64 << 20, 16 << 10        # bytes of the file: at least, and for each particle of a rank; a few times what the arrays take
TOKEN = bytes(16)                       # stands behind the home, so that a file can be told from others
START = 8 * kernels.HOME + len(TOKEN)
FRIENDS = 7                             # other ranks of the node, those who come next, for whose pieces one looks: a look at all of many would take longer than it helps


class Tail:
    """Collective over `comm`. `particles`: of all its ranks."""

    def __init__(self, comm, particles=0):
        open_channels(comm)
        self._waited = channels_of(comm).waited
        self._file, others = _files(comm, LEAST + EACH * (particles // comm.size))
        self._files, self.others = others, np.array([np.frombuffer(file, np.uint8).ctypes.data for file in others], np.int64)
        self._alone = np.zeros(kernels.HOME, np.int64)          # home of a rank whose arrays the others cannot read
        self._local, self._home, self._open, self._work, self._settle = np.zeros(WIDTH, np.int64), None, None, None, None
        for home in [self._alone] + ([np.frombuffer(self._file, np.int64, kernels.HOME)] if self._file is not None else []):
            home[kernels.TICKET] = kernels.CLOSED
        self.clear()

    def clear(self):
        """There are no arrays any more."""
        self._used, self._common = START, self._file is not None

    def array(self, shape, dtype):
        """An array of zeros that the other ranks of the node can read and write, as far as there is room."""
        dtype = np.dtype(dtype)
        count, begin = int(np.prod(shape)), -(-self._used // 128) * 128
        if self._common and begin + count * dtype.itemsize <= len(self._file):
            found = np.frombuffer(self._file, dtype, count, begin).reshape(shape)
            self._used = begin + found.nbytes
            found[...] = 0
            return found
        self._common = False
        return zeros(shape, dtype)

    def arrange(self, kernel, arguments, own, cuts, lists, receiving, force, pieces, number, blocks):
        """Takes the arguments of the first piece, for the inner parts of the lists and for the whole ones, as they are until the next time; those in the places `own` are cuts[0], cuts[1] and
        pieces[0]. `lists`: (pointer, groups, neighbour); for the others see kernels.tail: the sums in `pieces` are to be added to `force`."""
        if self._home is None or (self._home is self._alone) == self._common:
            self._home, self._given = self._alone if not self._common else np.frombuffer(self._file, np.int64, kernels.HOME), [None]
            frames = self._home[kernels.FRAMES:].reshape(2, kernels.PIECES, WIDTH)
            self._bound = [Bound(kernel, numbers, frame[0]) for numbers, frame in zip(arguments, frames)]
            self._pointers, self._places = self._bound[0].pointers, np.array([self._bound[0].word_of(k) for k in own])
            place = self._home.ctypes.data
            self._home[kernels.BASE], self._home[kernels.SIZE] = place, len(self._file) if self._common else 0
            self.opening = [(kernels.open_pieces, (place, far)) for far in (0, 1)]
        else:
            for bound, numbers in zip(self._bound, arguments):
                bound.bind(numbers)
        if self._given[0] is not force:                         # all of these change together
            self._given = force, pieces, number, blocks
            self._starts = pieces.ctypes.data, pieces.strides[0], blocks.ctypes.data
            self.working = kernels.work_off, (self._home.ctypes.data, self.others, self._bound[0].address, self._pointers, self._local, self._local.ctypes.data, self._waited.ctypes.data, *self._given)
        settled = self._home, self._places, cuts, *lists, receiving, *self._starts, number, blocks
        if self._settle is None:
            self._settle = entry(kernels.settle, *settled)
        self._settle(*settled)

    def open(self, far):
        """The pieces of this rank can be taken; with the whole lists where `far`."""
        if self._open is None:
            self._open, self._work = (entry(kernel, *arguments) for kernel, arguments in (self.opening[0], self.working))
        self._open(*self.opening[far][1])

    def work(self):
        """All pieces of this rank are done, and added; others' perhaps."""
        self._work(*self.working[1])


    @property
    def helped(self):
        """Pieces of this rank that others have done since they were last opened."""
        if self._home is None:
            return 0
        done = self._home[kernels.DONE:kernels.BASE:kernels.LINE]
        return int(np.sum(done == self._home[kernels.TICKET] // kernels.SEQUENCE))


def _files(comm, size):
    """Collective. (the file of this rank, those of its FRIENDS), mapped; (None, []) where one cannot be made or there is nobody else."""
    from .launch import node_of
    node, handle, told, files = node_of(comm), None, None, []
    whose = [(node.rank + k) % node.size for k in range(1, min(node.size, FRIENDS + 1))]
    wanted = all(node.allgather(node.size > 1 and hasattr(os, "memfd_create") and os.environ.get("HPCNEMD_SHARED_MEMORY", "1") != "0"))
    if wanted:
        try:
            handle = os.memfd_create("hpcnemd-tail")
            os.ftruncate(handle, size)
            files = [mmap.mmap(handle, size)]
            files[0][START - len(TOKEN):START] = token = os.urandom(len(TOKEN))
            told = f"/proc/{os.getpid()}/fd/{handle}", token
        except (OSError, ValueError):
            pass
        all_told = node.allgather(told)
        try:
            files += [_mapped(*all_told[rank], size) for rank in whose] if all(all_told) else []
        except (OSError, ValueError):
            pass
        wanted = all(node.allgather(len(files) == len(whose) + 1))
        if handle is not None:
            os.close(handle)
    node.Free()
    return (files[0], files[1:]) if wanted else (None, [])


def _mapped(path, token, size):
    """Raises ValueError for a file that is another one: where ranks have process numbers of their own, as in containers, the path may lead to anything."""
    with open(path, "r+b", buffering=0) as file:
        found = mmap.mmap(file.fileno(), size)
    if found[START - len(token):START] != token:
        raise ValueError(f"{path} belongs to another process")
    return found
