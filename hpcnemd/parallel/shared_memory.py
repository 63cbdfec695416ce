"""Memory that the ranks of a node share, cut into channels for messages between them.

Within a node a message through MPI takes several times what the copy takes, and a step of a small system on few ranks is mostly messages. So every rank has an arena, a piece of
memory that the others of its node can read, with a channel to each of them for each kind of message. A message that a channel has no room for, and all between nodes, go
through MPI. Where the arenas cannot be made, or HPCNEMD_SHARED_MEMORY is 0, everything does."""
import mmap
import os
import uuid

import numpy as np


FOLDER = "/dev/shm"
LINE = 128              # bytes between numbers that different ranks write: two cache lines, since processors fetch them in pairs
ARENA, LEAST = 32 << 20, 2 << 20        # bytes of all arenas of a node, and at least of one
KINDS = 9               # of messages, see parallel.persistent
_KEY = []               # of the attribute by which a communicator knows its Channels


class Channels:
    """Of this rank with the other ranks of `comm` on its node; none where there is one rank. `size` bytes fit into each. `partners`: ranks of comm.
    `waited` (1,): ns that this rank has waited for messages in steps, those of MPI, too."""

    def __init__(self, comm, ranks=(), arenas=(), size=0):
        self.size, self.partners, self._arenas = size, [rank for rank in ranks if rank != comm.rank], arenas
        self._place = {rank: k for k, rank in enumerate(ranks)}
        self._mine, self._count = self._place.get(comm.rank), len(ranks)
        self._starts = [np.frombuffer(arena, np.uint8).ctypes.data for arena in arenas]
        self._counts, self._ways = np.zeros((2, KINDS * max(self._count, 1)), np.int64), {}
        self.waited = np.zeros(1, np.int64)

    def everyone(self, comm):
        """Whether all ranks of `comm` are partners."""
        return len(self.partners) == comm.size - 1

    def fits(self, array, partner):
        return 0 < array.nbytes <= self.size and partner in self._place

    def _head(self, owner, other, kind, ack):
        return self._starts[owner] + LINE * (2 * (kind * self._count + other) + ack)

    def _ends(self, partner, outgoing):
        """(sender, receiver) among the ranks of the node."""
        there = self._place[partner]
        return (self._mine, there) if outgoing else (there, self._mine)

    def _offset(self, receiver, kind):
        """Of a channel's room, from the beginning of the sender's arena."""
        return 2 * LINE * KINDS * self._count + self.size * (kind * self._count + receiver)

    def room(self, shape, dtype, partner, kind, outgoing):
        """An array in the channel itself for messages to a partner, or from it, that are not to be copied; in memory of its own where they do not fit. Two of the same channel are the same memory."""
        count, dtype = int(np.prod(shape)), np.dtype(dtype)
        if not 0 < count * dtype.itemsize <= self.size or partner not in self._place:
            return np.zeros(shape, dtype)
        sender, receiver = self._ends(partner, outgoing)
        return np.frombuffer(self._arenas[sender], dtype, count, self._offset(receiver, kind)).reshape(shape)

    def row(self, array, partner, kind, outgoing):
        """A row of a table of kernels.shared_memory for messages of a kind, from the array to a partner or the other way."""
        way = self._ways.get((partner, kind, outgoing))
        if way is None:
            there = self._place[partner]
            sender, receiver = self._ends(partner, outgoing)
            data = self._starts[sender] + self._offset(receiver, kind)
            way = self._ways[partner, kind, outgoing] = (data, self._head(sender, receiver, kind, 0), self._head(receiver, sender, kind, 1),
                                                         self._counts[int(outgoing), kind * self._count + there:].ctypes.data, self.waited.ctypes.data)
        return (array.__array_interface__["data"][0], array.nbytes, *way)


NONE = Channels(type("", (), {"rank": 0, "size": 1}))


def channels_of(comm):
    """The Channels that `open_channels` has made for a communicator, or none."""
    if comm.size == 1 or not _KEY:
        return NONE
    return comm.Get_attr(_KEY[0]) or NONE


def open_channels(comm):
    """Collective. Channels for the ranks of `comm`, once."""
    if comm.size == 1:
        return
    from mpi4py import MPI
    if not _KEY:
        _KEY.append(MPI.Comm.Create_keyval())
    if comm.Get_attr(_KEY[0]) is None:
        comm.Set_attr(_KEY[0], _made(comm))


def _made(comm):
    from .launch import node_of             # whose votes come back here
    node = node_of(comm)
    ranks = node.allgather(comm.rank)
    size = max(ARENA // node.size, LEAST) // (KINDS * node.size) // LINE * LINE
    whole = (2 * LINE * KINDS + size * KINDS) * node.size
    wanted = all(node.allgather(node.size > 1 and size > 0 and os.environ.get("HPCNEMD_SHARED_MEMORY", "1") != "0"))
    arenas = _arenas(node, whole) if wanted else None
    node.Free()
    return Channels(comm) if arenas is None else Channels(comm, ranks, arenas, size)


def _arenas(node, size):
    """Collective over the ranks of a node. The arenas of all of them, or None."""
    name = os.path.join(FOLDER, f"hpcnemd-channels-{uuid.uuid4().hex}")
    try:
        with open(name, "xb") as file:
            os.posix_fallocate(file.fileno(), 0, size)          # now, rather than by a signal when it is first written to
    except OSError:
        name = _removed(name)
    names, arenas = node.allgather(name), None
    if all(names):
        try:
            arenas = [_mapped(other, size) for other in names]
        except OSError:
            pass
    agreed = all(node.allgather(arenas is not None))
    if name:
        _removed(name)
    return arenas if agreed else None


def _mapped(name, size):
    with open(name, "r+b") as file:
        return mmap.mmap(file.fileno(), size)


def _removed(name):
    try:
        os.unlink(name)
    except OSError:
        pass
