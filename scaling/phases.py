"""Where a step's time goes, and what it sends: the engine's functions wrapped from outside, so that the loop carries no clock when nobody asks."""
import time

import numpy as np

import hpcnemd.dynamics.loop as loop
import hpcnemd.dynamics.simulation as simulation
import hpcnemd.forces.evaluator as evaluator
from hpcnemd.kernels.shared_memory import BYTES
from hpcnemd.parallel.persistent import Messages
from hpcnemd.parallel.reduce import Parts
from hpcnemd.parallel.threads import Team


class Clock:
    """Seconds by phase, each without the phases inside it. `clock`: time.perf_counter, or time.process_time where the machine is shared."""

    def __init__(self, clock=time.process_time):
        self.clock, self.seconds, self._inner, self._undo = clock, {}, [0.0], []

    def wrap(self, owner, name, phase):
        function = getattr(owner, name)
        own = vars(owner).get(name)

        def timed(*arguments, **options):
            self._inner.append(0.0)
            start = self.clock()
            try:
                return function(*arguments, **options)
            finally:
                spent = self.clock() - start
                self.seconds[phase] = self.seconds.get(phase, 0.0) + spent - self._inner.pop()
                self._inner[-1] += spent
        setattr(owner, name, timed)
        self._undo.append((owner, name, own))

    def tell(self, owner, name, listener):
        """Each call of owner.name calls `listener` with its first argument too."""
        function = getattr(owner, name)

        def told(first, *rest):
            listener(first)
            return function(first, *rest)
        self._undo.append((owner, name, vars(owner).get(name)))
        setattr(owner, name, told)

    def release(self):
        for owner, name, own in reversed(self._undo):
            setattr(owner, name, own) if own is not None else delattr(owner, name)
        self._undo.clear()


class ChainClock:
    """CPU seconds of the longest chain of one rank: of the calling thread, and, of each call to the other threads, of the slowest part alone. What a machine with
    free cores would take, but for what threads wait for each other."""

    def __init__(self):
        self.beyond, run = 0.0, Team.run

        def timed_run(team, work):
            spent = [0.0] * team.size

            def timed(k):
                start = time.thread_time()
                work(k)
                spent[k] = time.thread_time() - start
            start = time.thread_time()
            run(team, timed)
            self.beyond += max(spent) - (time.thread_time() - start)
        Team.run = timed_run

    def __call__(self):
        return time.thread_time() + self.beyond


def watch(sim, clock):
    """Wraps the parts of `sim`'s step. Phases: pair, mesh spread/gather/transform/exchange/rest, ghosts, lists, integration; the rest is the loop's own.
    What several ranks spend in messages, waiting for each other included, is `waiting` (for halo and mesh) and `votes` (for sums of few numbers).
    Small systems make their steps one by one from here on, see dynamics.stretch."""
    sim.hurrying = False
    for owner, name, phase in ((loop, "open_half", "integrate"), (loop, "close_half", "integrate"),
                               (Parts, "receive", "votes"), (loop, "ordered_sum", "votes"), (loop, "refresh", "ghosts"),
                               (evaluator, "send_forces", "ghosts"), (evaluator, "add_forces", "ghosts"),
                               (simulation, "migrate", "lists"), (simulation, "halo", "lists"), (sim.forces, "rebuild", "lists"),
                               (sim.forces.pair, "compute", "pair")):
        clock.wrap(owner, name, phase)
    mesh = sim.forces.mesh
    if sim.comm.size > 1:
        clock.wrap(Messages, "wait", "waiting")
        if isinstance(sim.comm, CountingComm):
            clock.tell(Messages, "send", sim.comm.count_shared)
    if mesh is None:
        return
    clock.wrap(evaluator, "run", "mesh_transform")
    clock.wrap(mesh, "start", "mesh_rest")
    clock.wrap(mesh, "finish", "mesh_rest")
    if hasattr(mesh, "spread"):
        for owner, name, phase in ((mesh, "spread", "mesh_spread"), (mesh, "gather", "mesh_gather"), (mesh.mesh, "send", "mesh_exchange"),
                                   (mesh.mesh, "deposit", "mesh_exchange"), (mesh.mesh, "collect", "mesh_exchange"), (mesh.mesh, "convolve", "mesh_transform")):
            clock.wrap(owner, name, phase)


class CountingComm:
    """A communicator that counts what this rank sends: messages from rank to rank, and collectives as size - 1 messages each."""

    def __init__(self, comm):
        self._comm, self.rank, self.size = comm, comm.rank, comm.size
        self.messages = self.collectives = self.bytes = 0

    def __getattr__(self, name):
        return getattr(self._comm, name)

    def _sent(self, array, collective=False, copies=1):
        self.collectives += collective
        self.messages += self.size - 1 if collective else 1
        self.bytes += array.nbytes * copies

    def Isend(self, array, *where, **more):
        self._sent(array)
        return self._comm.Isend(array, *where, **more)

    def Send_init(self, array, *where, **more):
        return CountedRequest(self, array, self._comm.Send_init(array, *where, **more))

    def Allgather(self, array, into):
        self._sent(np.asarray(array), True, self.size - 1)
        return self._comm.Allgather(array, into)

    def count_shared(self, messages):
        """The part of Messages that goes through the node's memory."""
        self.messages += len(messages.table_out)
        self.bytes += int(messages.table_out[:, BYTES].sum())

    def Iallgather(self, array, into):
        self._sent(np.asarray(array), True, self.size - 1)
        return self._comm.Iallgather(array, into)

    def allgather(self, value):
        self.collectives += 1
        self.messages += self.size - 1
        return self._comm.allgather(value)

    def reset(self):
        self.messages = self.collectives = self.bytes = 0


class CountedRequest:
    """A persistent request that tells a CountingComm of each start."""

    def __init__(self, comm, array, request):
        self._comm, self._array, self._request = comm, array, request

    def __getattr__(self, name):
        return getattr(self._request, name)

    def Start(self):
        self._comm._sent(self._array)
        self._request.Start()
