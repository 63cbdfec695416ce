"""Steps of a small system that need nothing but the kernels: many in one call.

A replica of some hundred ions on a rank of its own makes a step in less time than Python takes to call the kernels of two. So as long as lists are safe and no observer is
due, kernels.stretch runs them by itself: the same kernels in the same order, so that every bit is that of steps made one by one. On several ranks of one node too, whose messages go
through memory (parallel.shared_memory): one late call of Python on one rank is a wait for all."""
import contextlib

import numpy as np

from ..core.errors import PhysicsError
from ..kernels import entry
from ..kernels import stretch as kernels
from ..kernels.frames import WIDTH, Bound
from .observers import Observer

LEAST, MOST = 16, 64    # steps of one stretch: whoever asks for a stop does not wait for more,
SHORT = 50000           # and of particles of a rank times steps between the two
SMALL = 20000           # particles of a rank and thread, above which calls take no part of a step that counts, and who asks for a stop would wait


def hurry(sim, until, observers, asked=False):
    """Collective. Makes steps for as long as nobody wants to look and no rank has `asked` for a stop, not beyond the last but one before `until`. Returns whether the
    next step has begun, and its lists are settled."""
    if sim.hurrying is None:
        sim.hurrying = Stretch(sim) if possible(sim) else False
    if sim.hurrying is False:
        return False
    every = [watch for watch in observers if type(watch).every_step is not Observer.every_step]
    count, most = 0, min(sim.hurrying.most, until - 1 - sim.step)
    if asked or not all(watch.wants_shared_numbers_only for watch in every):
        most = 0
    while count < most and not any(watch.due(sim.step + count + 1) for watch in observers):
        count += 1
    count = sim.hurrying.agreed(count)
    return count > 1 and sim.hurrying.run(count, every)


def possible(sim):
    """Whether steps of `sim` in its present phase are made of the kernels that a stretch knows: the same on all ranks."""
    if sim.barostat is not None or sim.thermostat.kind == "langevin" or not hasattr(sim.forces, "calls") or sim.domain.expected is None:
        return False
    if sim.comm.size > 1 and sim.vote.ways is None:
        return False
    return sim.domain.expected[0] <= SMALL * sim.comm.size * getattr(sim.forces, "threads", 1) and (getattr(sim.forces, "mesh", None) is None or sim.unsettled is not None)      # the net force is taken off at the end of the step


class Stretch:
    """The kernels of a step of `sim` with their arguments in frames."""

    def __init__(self, sim):
        self.sim, self.arranged, self.given, self._pattern = sim, None, None, None
        self._reserve(kernels.FIRST)
        self._sums = sim.summed.parts, sim.reduced.reshape(-1), sim.comm.rank, sim.total.reshape(-1)
        self.parts = sim.shared.kinetic, sim.shared.stream, sim.shared.numbers
        self.edges = np.cumsum([0, *map(len, self.parts)]).tolist()
        here = max(sim.state.n_owned if sim.domain.expected is None else sim.domain.expected[0] // sim.comm.size, 1)
        self.most = min(max(SHORT // here, LEAST), MOST)
        self.log, self._run = np.zeros((self.most, self.edges[-1])), None

    def _reserve(self, rows):
        """Frames for at least so many calls."""
        self.words, self.bound = np.zeros((rows + 8, WIDTH), np.int64), [None] * (rows + 8)
        self.values, self.address = self.words.view(np.float64), np.zeros(rows + 8, np.int64)

    def compile(self):
        """The loop, before there is anything to do for it."""
        programs = [np.zeros(1, np.int64)] * 4
        return entry(kernels.run_steps, 0, 1.0, False, 1.0, self.address, self.words, self.values, 0, *programs, np.zeros((1, 2)), np.zeros(2), 0, True, np.zeros(3), 0, np.zeros(3), np.zeros(7), 1.0, 1.0, 1.0,
                     *self.parts, self.log)

    def agreed(self, count):
        """Collective. The least `count` of all ranks, 0 where one cannot."""
        sim = self.sim
        if sim.state.n_owned == 0 or not self._arrange():
            count = 0
        if sim.comm.size > 1:
            sim.vote.mine[:] = -count, 0.0
            sim.vote.send()
            count = -int(sim.vote.largest()[0])
        return count

    def _arrange(self):
        """The calls of a step for lists and arrays as they are; whether a step is made of them."""
        sim = self.sim
        if self.arranged == sim.arranged:
            return self.given is not None
        self.arranged, self.given = sim.arranged, None
        from .loop import kick_calls
        calls = sim.forces.calls(sim.state)
        if calls is None:
            return False
        vote, total = (ways_of(parts) for parts in (sim.vote, sim.summed))
        before, after = [*calls.start, *vote[0], *calls.wait, *vote[1]], kick_calls(sim)
        if sim.comm.size > 1:
            after = [*after, *total[0], *total[1], (kernels.add_parts, self._sums)]
        forces = calls.others[0]
        for pairs, others in zip(calls.near, calls.others[1:]):
            forces = [*forces, pairs, *others]
        rows = [*before, *forces, *calls.far, *after]
        pattern = len(before), *map(len, calls.others), len(after)
        if pattern != self._pattern:
            self._lay_out(pattern, len(rows))
        if calls.charges is not None:
            self._bind(kernels.SPREAD, calls.charges)
        for row, call in enumerate(rows, kernels.FIRST):
            self._bind(row, call)
        share = sim.unsettled if sim.unsettled is not None else np.zeros(7)
        self.given = (self.address, self.words, self.values, self.words.ctypes.data, *self._programs, sim.vote.parts, sim.vote.mine, sim.comm.rank, calls.charges is not None,
                      sim.state.force.reshape(-1), sim.state.n_all, calls.net, share, float(calls.removed), sim.forces.skin, sim.forces.pair.inner_skin, *self.parts, self.log)
        return True

    def _lay_out(self, pattern, rows):
        """The programs of kernels.stretch for so many rows: before the forces, the forces with other pairs, after them."""
        if kernels.FIRST + rows > len(self.words):
            self._reserve(kernels.FIRST + rows)
        before, *others, after = pattern
        near = list(range(kernels.FIRST + before, kernels.FIRST + rows - after - len(others) + 1))
        far, at = near.copy(), 0
        for k, length in enumerate(others[:-1]):
            at += length
            far[at] = near[-1] + 1 + k
            at += 1
        ends = range(kernels.FIRST, kernels.FIRST + before), range(kernels.FIRST + rows - after, kernels.FIRST + rows)
        self._pattern, self._programs = pattern, [np.array(list(row), np.int64) for row in (ends[0], near, far, ends[1])]

    def _bind(self, row, call):
        """A (kernel, arguments) into its frame."""
        kernel, arguments = call
        bound = self.bound[row]
        if bound is not None and bound.kernel is kernel:
            if bound.arguments is not arguments:
                bound.bind(arguments)
        else:
            self.bound[row] = bound = Bound(kernel, arguments, self.words[row])
            self.address[row] = bound.address

    def run(self, count, every):
        """Collective. `count` steps; `every`: observers of every step. Returns as `hurry`: True where the last of them are left to others."""
        team = getattr(self.sim.forces, "team", None)
        with contextlib.nullcontext() if team is None else team.awake():
            return self._made(count, every)

    def _made(self, count, every):
        from .loop import closing_call, opening_call, settle_lists
        sim, end, begun = self.sim, self.sim.step + count, False
        while True:
            self._bind(kernels.OPEN, opening_call(sim))
            self._bind(kernels.CLOSE, closing_call(sim))
            if self._run is None:
                self._run = self.compile()
            start = sim.worked()
            made, how, moved = self._run(end - sim.step, sim.safe_skin, begun, sim.spent if begun else 0.0, *self.given)
            if sim.balance is not None:
                sim.balance.note(sim.worked() - start, made)
            if every:
                self._tell(every, made)
            else:
                sim.step += made
            sim.spent = None
            if how == kernels.NOT_FINITE:
                sim.report_not_finite(sim.step)
            if how == kernels.FAILED:
                raise PhysicsError(f"step {sim.step + 1}: a kernel ran out of memory")
            if how == kernels.MADE:
                return False
            settle_lists(sim, False, moved, True)
            begun = True
            if how == kernels.OUTSIDE or self.agreed(1) < 1:
                return True

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


def ways_of(parts):
    """([(kernel, arguments)] that send the numbers of parallel.reduce.Parts, those that wait for them); none on one rank."""
    return ([], []) if parts.ways is None else [way.calls for way in parts.ways]
