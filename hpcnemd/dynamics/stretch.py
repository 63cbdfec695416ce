"""Steps of a small replica that need nothing but the kernels: many in one call.

A replica of some hundred ions on a rank of its own makes a step in less time than Python takes to call the kernels of two. So as long as lists are safe and no observer is
due, kernels.stretch runs them by itself: the same kernels in the same order, so that every bit is that of steps made one by one."""
import numpy as np

from ..core.errors import PhysicsError
from ..kernels import entry
from ..kernels import stretch as kernels
from ..kernels.frames import WIDTH, Bound
from ..kernels.whole_step import close_whole, open_whole
from .observers import Observer

MOST = 16               # steps of one stretch: whoever asks for a stop does not wait for more
SMALL = 4096            # particles, above which calls take no part of a step that counts


def hurry(sim, until, observers):
    """Makes steps for as long as nobody wants to look, not beyond the last but one before `until`. Returns None, or, where the next step has begun and its lists must be
    looked at first, what `loop.open_half` returned for that."""
    if sim.hurrying is None:
        sim.hurrying = Stretch(sim) if possible(sim) else False
    if sim.hurrying is False:
        return None
    every = [watch for watch in observers if type(watch).every_step is not Observer.every_step]
    if not all(watch.wants_shared_numbers_only for watch in every):
        return None
    count, most = 0, min(MOST, until - 1 - sim.step)
    while count < most and not any(watch.due(sim.step + count + 1) for watch in observers):
        count += 1
    return sim.hurrying.run(count, every) if count > 1 else None


def possible(sim):
    """Whether steps of `sim` in its present phase are made of the kernels that a stretch knows."""
    if sim.comm.size > 1 or not 0 < sim.state.n_owned <= SMALL or sim.barostat is not None or sim.thermostat.kind == "langevin" or not hasattr(sim.forces, "calls"):
        return False
    calls = sim.forces.calls(sim.state)
    return calls is not None and (calls[1] is None or sim.unsettled is not None)        # the net force of a mesh is taken off at the end of the step


class Stretch:
    """The kernels of a step of `sim` with their arguments in frames."""

    def __init__(self, sim):
        self.sim, self.bound, self.arranged = sim, {}, None
        self.words = np.zeros((kernels.CALLS, WIDTH), np.int64)
        self.values, self.address = self.words.view(np.float64), np.zeros(kernels.CALLS, np.int64)
        self.parts = sim.shared.kinetic, sim.shared.stream, sim.shared.numbers
        self.edges = np.cumsum([0, *map(len, self.parts)]).tolist()
        self.log, self._run = np.zeros((MOST, self.edges[-1])), None

    def compile(self):
        """The loop, before there is anything to do for it."""
        return entry(kernels.run_steps, 0, 1.0, self.address, self.words, self.values, 0, True, np.zeros(3), 0, np.zeros(3), np.zeros(7), 1.0, 1.0, 1.0, *self.parts, self.log)

    def _bind(self):
        """Arguments as they are now."""
        from .loop import closing_arguments, opening_arguments
        sim = self.sim
        calls = {kernels.OPEN: (open_whole, opening_arguments(sim)), kernels.CLOSE: (close_whole, closing_arguments(sim))}
        if self.arranged != sim.arranged:           # other lists, or arrays
            (pair, near, far), mesh = sim.forces.calls(sim.state)
            calls |= {kernels.NEAR: (pair, near), kernels.FAR: (pair, far)}
            if mesh is not None:
                calls |= {kernels.SPREAD: mesh[0], kernels.MESH: mesh[1], kernels.GATHER: mesh[2]}
            net, flag = mesh[3:] if mesh else (np.zeros(3), False)
            share = sim.unsettled if sim.unsettled is not None else np.zeros(7)
            self.given = (self.address, self.words, self.values, self.words.ctypes.data, mesh is not None, sim.state.force.reshape(-1), sim.state.n_all, net, share, float(flag),
                          sim.forces.skin, sim.forces.pair.inner_skin, *self.parts, self.log)
            self.arranged = sim.arranged
        for row, (kernel, arguments) in calls.items():
            if row in self.bound:
                self.bound[row].bind(arguments)
            else:
                self.bound[row] = Bound(kernel, arguments, self.words[row])
                self.address[row] = self.bound[row].address

    def run(self, count, every):
        """`count` steps at most; `every`: observers of every step. Returns as `hurry`."""
        sim = self.sim
        self._bind()
        given = count, sim.safe_skin, *self.given
        if self._run is None:
            self._run = self.compile()
        made, how, moved = self._run(*given)
        first = sim.step
        if every:
            self._tell(every, made)
        sim.step, sim.spent = first + made, None
        if how == kernels.NOT_FINITE:
            sim.report_not_finite(sim.step)
        if how == kernels.FAILED:
            raise PhysicsError(f"step {sim.step + 1}: a kernel ran out of memory")
        return None if how == kernels.MADE else moved

    def _tell(self, every, made):
        """The observers of every step get to see the shared numbers of each."""
        sim, present = self.sim, [part.copy() for part in self.parts]          # of a step that has begun, perhaps
        for row in self.log[:made]:
            sim.step += 1
            for part, begin, end in zip(self.parts, self.edges[:-1], self.edges[1:]):
                part[:] = row[begin:end]
            for watch in every:
                watch.every_step(sim)
        for part, values in zip(self.parts, present):
            part[:] = values
