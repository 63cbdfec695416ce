"""Messages that go from the same memory to the same place in every step: set up once, then only started."""
import functools
import time
import weakref

import numpy as np

from ..kernels import entry
from ..kernels import shared_memory as kernels
from .shared_memory import channels_of

LOOKS = 20000           # for a message, before MPI gets to see to its own
REFRESH, FOLD, DEPOSIT, COLLECT, TURN, TURN_BACK, VOTE, SUM, ROWS = range(9)      # kinds of messages
TAGS = 200                                  # MPI's tag of kind 0
_ENTRIES = {}


class Messages:
    """Local. One kind of message on `comm`; nothing is sent before `receive` and `send`.

    `incoming`: [(array, source)], `outgoing`: [(array, target)]: C-contiguous arrays, which must stay where they are while this object lives; empty
    ones are left out, on both sides. Those from shared_memory.Channels.room are written and read where they travel: `ready` comes before the one, `done` after the other. Through the node's memory where parallel.shared_memory.open_channels has been called for `comm` and they fit, through persistent requests
    of MPI elsewhere. Without messages nothing of MPI is used, so that a communicator of one rank need not be one of MPI's.
    """

    def __init__(self, comm, incoming, outgoing, kind):
        self._comm, self._arrays, self._channels = comm, (incoming, outgoing), channels_of(comm)
        self.table_in, sources = _parted(self._channels, incoming, kind, False)
        self.table_out, targets = _parted(self._channels, outgoing, kind, True)
        self._receives = [comm.Recv_init(array, source, TAGS + kind) for array, source in sources]
        self._sends = [comm.Send_init(array, target, TAGS + kind) for array, target in targets]
        if not self._receives and not self._sends:
            return
        self.free = weakref.finalize(self, _free, self._receives + self._sends)
        self.free.atexit = False            # the end of the process needs no tidying, and MPI may have ended before

    def again(self, incoming, outgoing):
        """Whether these arrays take the places of the others from here on, which they can where all go through memory: from and to the same ranks in the same order, of any size that fits."""
        if self._receives or self._sends:
            return False
        for table, before, now in ((self.table_in, self._arrays[0], incoming), (self.table_out, self._arrays[1], outgoing)):
            if [rank for _, rank in before] != [rank for _, rank in now] or len(table) != len(now) or not all(self._channels.fits(array, rank) for array, rank in now):
                return False
        for table, now in ((self.table_in, incoming), (self.table_out, outgoing)):
            for k, (array, _) in enumerate(now):
                table[k, kernels.LOCAL], table[k, kernels.BYTES] = array.__array_interface__["data"][0], array.nbytes
        self._arrays = incoming, outgoing
        return True

    def free(self):
        """Gives the requests back; so does the end of this object."""

    def ready(self):
        """Outgoing arrays in rooms of channels may be written to, until `send`."""
        self._until(kernels.await_taken, self.table_out)

    def done(self):
        """Incoming arrays in rooms of channels, which `wait` has waited for, have been read."""
        if len(self.table_in):
            _call(kernels.give_back, self.table_in)

    def _until(self, kernel, table):
        here = 0
        while here < len(table) and (here := _call(kernel, table, here, LOOKS)) < len(table):
            self._comm.Iprobe()             # MPI moves its messages while it is called

    def receive(self):
        """Arrays of incoming messages belong to others until `wait`."""
        for request in self._receives:
            request.Start()

    def send(self):
        """Arrays of outgoing messages belong to others until `wait`."""
        for request in self._sends:
            request.Start()
        if len(self.table_out):
            _call(kernels.post, self.table_out)

    def wait(self):
        self._until(kernels.take, self.table_in)
        if self._receives or self._sends:
            start = time.perf_counter_ns()
            for request in self._receives:
                request.Wait()
            for request in self._sends:
                request.Wait()
            self._channels.waited += time.perf_counter_ns() - start

    def start(self):
        """`receive` and `send`."""
        self.receive()
        self.send()

    @functools.cached_property
    def starting(self):
        """`start` to be called, with its `calls`."""
        return Way(self, "start", None if self._sends or self._receives else [(kernels.post, (self.table_out,))] if len(self.table_out) else [])

    @functools.cached_property
    def waiting(self):
        """`wait`, as `starting`."""
        return Way(self, "wait", None if self._sends or self._receives else [(kernels.take, (self.table_in, 0, -1))] if len(self.table_in) else [])


    @functools.cached_property
    def clearing(self):
        """`ready`, as `starting`."""
        return Way(self, "ready", [(kernels.await_taken, (self.table_out, 0, -1))] if len(self.table_out) else [])

    @functools.cached_property
    def returning(self):
        """`done`, as `starting`."""
        return Way(self, "done", [(kernels.give_back, (self.table_in,))] if len(self.table_in) else [])


class Way:
    """A verb of Messages to be called, and the [(kernel, arguments)] `calls` that do the same, or None where more than kernels is needed."""

    def __init__(self, messages, verb, calls):
        self._messages, self._verb, self.calls = messages, verb, calls

    def __call__(self):
        getattr(self._messages, self._verb)()


def _parted(channels, messages, kind, outgoing):
    """(table of those messages that go through memory, the others) of those that are not empty."""
    rows, others = [], []
    for array, partner in messages:
        if channels.fits(array, partner):
            rows.append(channels.row(array, partner, kind, outgoing))
        else:
            others.append((array, partner))
    return np.array(rows, np.int64).reshape(-1, kernels.COLUMNS), [(array, partner) for array, partner in others if array.size]


def _call(kernel, *arguments):
    if kernel not in _ENTRIES:
        _ENTRIES[kernel] = entry(kernel, *arguments)
    return _ENTRIES[kernel](*arguments)


def _free(requests):
    from mpi4py import MPI
    if not MPI.Is_finalized():
        for request in requests:
            request.Free()
