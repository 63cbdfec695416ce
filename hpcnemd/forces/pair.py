"""Pair forces of one rank: short-range forms and the real-space part of the Coulomb energy, over cluster lists of owned and ghost rows.

The list is built for cutoff + skin and stays right while no particle has moved by more than skin / 2. Rows of the state are never moved: slots of the
list point to them. Everything depends on the positions and on the order of rows only, so equal rows give equal bits."""
import functools
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..core.errors import InputError
from ..kernels import neighbours, pair_slots
from ..kernels.coefficients import ewald_polynomials, exp2_polynomial
from ..kernels.memory import aligned, zeros
from ..kernels.mesh import add_points, clear
from ..kernels.neighbours_simd import builder
from ..kernels.pair_arguments import arguments
from ..kernels.pair_kernels import pair_kernel
from ..kernels.pair_source import scratch
from ..kernels.simd import choose_path
from ..kernels.tail import BLOCK, PIECES, bring_rows
from ..kernels.work import add_work
from ..parallel.threads import Table, team_of
from .columns import ColumnGrid, column_width, columns_of
from .pair_table import PairTable

SHAPES = {"double": {"plain": (1, 1), "avx2": (2, 1), "avx512": (2, 3)},           # path -> (rows of j in a vector, vectors at once)
          "mixed": {"plain": (1, 1), "avx2": (2, 1), "avx512": (4, 2)}}
FULL_SHAPES = {"double": {"avx2": (1, 2), "avx512": (2, 4)}, "mixed": {"avx2": (2, 2), "avx512": (4, 3)}}         # of full lists
LARGEST_EXPONENT = {"double": 1000, "mixed": 125}       # the vector code's exp has no guard against underflow
FLOAT32 = 2.0**-23
INNER = 0.5             # of the skin, within which the inner parts of the lists reach
TAIL = 0.2              # of the list, that other ranks of the node may take in pieces
CLUSTER = 12            # list entries that take as long as what a cluster costs beside its list


@dataclass(frozen=True)
class RealSpace:
    """The real-space Coulomb energy k_e q_i q_j erfc(beta r)/r, for r below `cutoff` (angstrom): kind "ewald" leaves it as the truncation says,
    kind "dsf" shifts its force and energy to zero at the cutoff. beta in 1/angstrom."""
    kind: str
    beta: float
    cutoff: float

    def __post_init__(self):
        if self.kind not in ("ewald", "dsf"):
            raise InputError(f'real-space Coulomb kind "{self.kind}": "ewald" or "dsf" is possible')
        if not (self.beta >= 0 and self.cutoff > 0):
            raise InputError(f"real-space Coulomb: beta = {self.beta:g}, cutoff = {self.cutoff:g}; beta >= 0 and cutoff > 0 are needed")


class PairResult(NamedTuple):
    """This rank's share of the energies (eV) and of the virial W_ab = sum over pairs of r_a f_b (3, 3) eV."""
    energy_short: float
    energy_coulomb: float
    virial: np.ndarray


class PairForces:
    """Pair forces of `kinds` (core.Species, names known to the force field) in one box.

    cutoff and skin in angstrom; coulomb: a RealSpace with the same cutoff, or None; path: "auto", "plain", "avx2" or "avx512"; precision: "double" or
    "mixed", where a pair is worked out in float32 from fixed-point positions and all sums are float64.
    `threads`: of this rank, among which clusters are shared out; sums of forces and energies then run in another order than those of one thread.
    `tail`: a parallel.tail.Tail for the end of the lists, or None; of one thread only.
    `minimum_distance` (s, s): distance below which a pair has fallen inside its repulsive wall. `path` tells which kernels run."""

    def __init__(self, forcefield, kinds, box, cutoff, skin, truncation="shift_force", coulomb=None, path="auto", precision="double", threads=1, tail=None):
        if precision not in SHAPES:
            raise InputError(f'precision "{precision}": write one of {", ".join(SHAPES)}')
        if not (cutoff > 0 and skin >= 0):
            raise InputError(f"cutoff = {cutoff:g}, skin = {skin:g} angstrom: a positive cutoff and a skin of at least 0 are needed")
        if coulomb is not None and abs(coulomb.cutoff - cutoff) > 1e-12 * cutoff:
            raise InputError(f"the real-space Coulomb cutoff {coulomb.cutoff:g} and the pair cutoff {cutoff:g} angstrom differ; one cutoff serves both")
        self.box, self.kinds, self.cutoff, self.skin, self.truncation, self.coulomb = box, kinds, float(cutoff), float(skin), truncation, coulomb
        self.table = PairTable(forcefield, kinds, self.cutoff, truncation, coulomb)
        self.minimum_distance = self.table.minimum_distance
        try:
            path = choose_path(path)
        except ValueError as problem:
            raise InputError(str(problem)) from None
        self.precision, real = precision, np.float32 if precision == "mixed" else np.float64
        self._place = np.int32 if precision == "mixed" else np.float64
        self.path = path if not self.table.tabulated and self.table.largest_exponent < LARGEST_EXPONENT[precision] else "plain"
        beta = coulomb.beta if coulomb else 0.0
        force, energy = ewald_polynomials(beta, self.cutoff, precision) if coulomb and self.path != "plain" else ((0.0,), (0.0,))
        plan = self.table.plan(self.path, precision, max(len(force) - 1, 1) if coulomb else 0)
        rows, unroll = (FULL_SHAPES if plan.full else SHAPES)[precision][self.path]
        plan = replace(plan, rows=rows, unroll=unroll)
        self.plan = plan
        self._multiple, self._build_list, self._groups = plan.multiple, builder(self.path), plan.groups * len(kinds.names)
        self.rescale(box)
        self._numbers = (*map(real, (self.cutoff**2, 2 / self.cutoff**2, beta, *self.table.switch_numbers)),
                         *(aligned(np.repeat(c, 4 * rows), real) for c in (force, energy, exp2_polynomial(precision))), self.table.pieces.astype(real))
        self._parameter_table = self.table.parameters(plan).astype(real)
        lane, row = np.arange(4), np.arange(4)
        if plan.full:                   # inside a cluster: i that are not j, behind a row of none
            self._partners = np.concatenate((np.zeros(4), (lane[None, :] != row[:, None]).ravel())).astype(real)
        else:                           # i before j
            self._partners = np.ascontiguousarray((lane[None, :] < row[:, None]).astype(real).ravel())
        self.inner_skin = INNER * self.skin
        self._observed, self._unseen, self._shift, self._nowhere = np.zeros(8), np.zeros(8), np.zeros((1, 3)), np.zeros((1, 3))
        self.threads, self._team = int(threads), team_of(int(threads))
        self._tables, self._observed_parts = [Table(self._team) for _ in range(2)], np.zeros((max(self.threads, PIECES + 1), 8))
        self._tail, self._settled = tail, False             # whether it has been told of the present lists
        self._of_piece = [list(arguments(plan)).index(name) for name in ("foremost", "clusters", "force")]
        self._scratch = [scratch(plan) for _ in range(self.threads)]
        self._slots = self._owned_slots = self._receiving = self._clusters = self.list_length = 0
        self._neighbour, self._pieces = np.zeros(4096, np.int32), []
        self._reserve(64)
        self._parted = {}                   # number of parts -> their edges, of the present list
        self.reference = np.zeros((0, 3))

    @functools.cached_property
    def kernel(self):
        """The compiled pair function."""
        return pair_kernel(self.plan)

    @functools.cached_property
    def _entry(self):
        """The same without a look at the types of its arguments, which are its only signature."""
        return next(iter(self.kernel.overloads.values())).entry_point

    def rescale(self, box):
        """Take another box; lists stay as they are."""
        self.box, self._settled = box, False
        span = box.lengths + 2 * self.list_radius + 2 * self.skin       # a length, a list radius to either side and the motion of a skin
        if box.tilted:
            span = np.abs(box.matrix).T @ (1 + 2 * (self.list_radius + self.skin) / box.heights)
        self.period = pair_slots.fraction_periods(box.lengths, span, self.cutoff)
        self._middle = 0.5 * box.matrix.sum(axis=0) * (2**32 / self.period)
        self._units = tuple(np.float32(length) for length in self.period / 2**32) if self.precision == "mixed" else ()

    @property
    def list_radius(self):
        """cutoff + skin, angstrom: the width of the halo."""
        return self.cutoff + self.skin

    def displacement(self, state):
        """Largest distance (angstrom) that an owned particle has moved since `build`; the list is safe while it is below skin / 2."""
        return pair_slots.largest_move(state.position, self.reference, state.n_owned)

    def _reserve(self, slots):
        """Buffers for at least that many slots, with room for whole vectors and the dummy behind the last."""
        room = int(slots * 1.15) + 64
        kinds = len(self.kinds.names)
        self._room = room
        self._slot_row, self._route = np.full(room, -1, np.int32), np.full(room, -1, np.int32)
        self._near = [np.full(room, 1e18, np.float32) for _ in range(3)]
        common = zeros if self._tail is None else self._tail.array                      # what a tail needs of the lists
        if self._tail is not None:
            self._tail.clear()
            self._neighbour, self._piece_force = common(max(len(self._neighbour), 4096), np.int32), common((PIECES, 4 * room), np.float64)
            self._touched, self._blocks = np.zeros(PIECES, np.int64), common((PIECES, room // BLOCK), np.int64)
            self._slot_force, self._same_row = (common((room, 3), np.float64), common(room, np.int32)) if self.plan.full else (None, None)
            if self.plan.full:
                self._same_row[:] = np.arange(room)
        self._species = common(room, np.int32)
        self._rows, self._force = common(4 * room, self._place), zeros(4 * room, np.float64)            # forces are zero between calls of the kernel that bring them back
        self._others = [zeros(4 * room, np.float64) for _ in range(1, self.threads)]             # forces that the other threads have summed
        groups = self._groups
        self._found = np.zeros((groups + 2) * room, np.int32)
        self._pointer, self._inner_end = common(room // 4 * groups + 1, np.int64), common(room // 4 * groups, np.int64)
        self._list_end = self._pointer[1:]
        self._parameters = common(room * kinds * self._parameter_table.shape[2], self._parameter_table.dtype)

    @property
    def follows_images(self):
        """Whether ghosts that are images of this rank's own particles may be left where they were at `build`."""
        return not (self.box.tilted and self.precision == "mixed")

    def build(self, state, images=None):
        """Lists from the owned and ghost rows of `state`, which become the reference of `displacement`. `images`: see parallel.exchange.own_images; these ghosts
        then follow their owners, who get their forces; their own rows are neither read nor written by `compute`."""
        n, ghosts = state.n_owned, state.n_ghost
        position, self._parted, self._settled = state.position, {}, False
        if len(self.reference) != n:
            self.reference = np.empty((n, 3))
        self.reference[:] = position[:n]
        if n == 0:
            self._slots = self._owned_slots = self._clusters = self.list_length = 0
            return
        lowest, highest, low_ghost, high_ghost = np.empty((4, 3))
        if not neighbours.extent(position, 0, n, lowest, highest):
            raise ValueError("positions that are not finite cannot be listed")
        extent = np.ptp(self.box.upright(position[:n]), axis=0) if self.box.tilted else highest - lowest       # their product is the space that particles fill
        width = column_width(extent, n, self.list_radius)
        owned = ColumnGrid(lowest, highest, width, self.list_radius)
        neighbours.extent(position, n, ghosts, low_ghost, high_ghost)
        ghost = ColumnGrid(low_ghost, high_ghost, width, self.list_radius) if ghosts else owned
        self._reserve_slots(n + ghosts + 20)
        centre = 0.5 * (lowest + highest)
        columns = columns_of(owned, ghost, centre)
        self._owned_slots = owned.sort(position, 0, n, 4, 0, self._slot_row)
        self._slots = ghost.sort(position, n, ghosts, 1, self._owned_slots, self._slot_row) if ghosts else self._owned_slots
        self._clusters = self._owned_slots // 4
        self._receiving = self._owned_slots if self.plan.full else 0        # first slot that gets forces as j
        reach = 0.5 * max((highest - lowest).tolist()) + self.list_radius
        neighbours.fill_slots(position, state.species, self._slot_row, self._slots, centre, *self._near, self._species)
        self._list(columns, max(owned.columns, ghost.columns), ghosts, 8 * FLOAT32 * reach)
        self._route[:self._slots - self._owned_slots] = -1
        if images is not None and self.follows_images:
            base, self._shift, *routes = images
            pair_slots.follow_owners(self._slot_row, self._owned_slots, self._slots, n + base, *routes, self._route)
        pair_slots.spread_parameters(self._species, self._clusters, self._parameter_table, self._parameters)

    def _reserve_slots(self, slots):
        if slots > self._room:
            self._reserve(slots)

    def _list(self, columns, most, ghosts, margin):
        """The cluster list, in a buffer that grows until it is long enough. `columns`: see `columns_of`; `most` of them are near a cluster."""
        kinds = len(self.kinds.names)

        def part(foremost, end, found, pointer, inner_end, neighbour):
            """(length, neighbour) of the list of the clusters [foremost, end)."""
            ranges = np.empty(2 * (most + 8), np.int32)
            while True:
                used = self._build_list(*self._near, self._species, self._slot_row, foremost, end, kinds, int(self.plan.full), self.cutoff + self.inner_skin, self.list_radius, margin, *columns, ghosts, self._multiple,
                                        self._slots, found, ranges, pointer, inner_end, neighbour)
                if used >= 0:
                    return used, neighbour
                neighbour = (zeros if self._tail is None else self._tail.array)(2 * len(neighbour), np.int32)
        if self._team is None:
            self.list_length, self._neighbour = part(0, self._clusters, self._found, self._pointer, self._inner_end, self._neighbour)
        else:
            self._list_by_threads(part)

    def _list_by_threads(self, part):
        """The lists of the parts, one behind the other: the same as of one thread."""
        team, groups = self._team, self._groups
        edges, used = team.edges(self._clusters), [0] * team.size
        if not self._pieces or self._pieces[0][1].shape != self._pointer.shape:
            self._pieces = [(np.empty_like(self._found), np.empty_like(self._pointer), np.empty_like(self._inner_end), np.zeros(len(self._neighbour), np.int32))
                            for _ in range(team.size)]

        def build(k):
            *space, neighbour = self._pieces[k]
            used[k], neighbour = part(int(edges[k]), int(edges[k + 1]), *space, neighbour)
            self._pieces[k] = *space, neighbour
        team.run(build)
        ends = np.concatenate(([0], np.cumsum(used)))
        self.list_length = int(ends[-1])
        if self.list_length > len(self._neighbour):
            self._neighbour = np.zeros(int(1.2 * self.list_length), np.int32)
        self._pointer[0] = 0

        def copy(k):
            _, pointer, inner_end, neighbour = self._pieces[k]
            first, end = int(edges[k]) * groups, int(edges[k + 1]) * groups
            self._pointer[first + 1:end + 1] = pointer[first + 1:end + 1] + ends[k]
            self._inner_end[first:end] = inner_end[first:end] + ends[k]
            self._neighbour[ends[k]:ends[k + 1]] = neighbour[:used[k]]
        team.run(copy)

    def add_work(self, state, entry, particle, per_length, histogram):
        """histogram (3, bins) int64 += the work of the lists (see kernels.work); returns its sum."""
        return int(add_work(self.box.upright(state.position[:state.n_owned]), self._slot_row, self._clusters, self._groups, self._pointer, entry, particle, per_length, histogram))

    def compute(self, state, observe, spent=None, part=(0, 1)):
        """Adds the pair forces (eV/angstrom) to rows [0, n_all) of state.force, ghosts included; returns a PairResult if `observe`, else None.
        `part` (k, n): the k-th of n calls that make all pairs, on one thread and without an observation; the forces are there after the last one.
        `spent`: by how much (angstrom, at most) particles can have come closer since `build`, where that is known: while it is little, the inner parts of the lists will do."""
        if self._clusters:
            self._reach = self._inner_end if spent is not None and spent <= self.inner_skin else self._list_end
            rows = self._ways(state)
            if self._tail is not None:
                self._with_tail(rows, observe, *part)
            elif self._team is None:
                k, n = part
                foremost, end = self._cuts(n)[k:k + 2]
                self._part(k == 0, k == n - 1, rows, observe, foremost, end, self._force, self._observed, self._scratch[0])
            else:
                self._by_threads(rows, observe)
        if not observe:
            return None
        short, far, xx, yy, zz, xy, xz, yz = self._observed if self._clusters else np.zeros(8)
        return PairResult(float(short), float(far), np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))

    def _cuts(self, parts):
        """[parts + 1] clusters that part the list: the first part is twice as long as the others."""
        if parts not in self._parted:
            inside, end = [], self._clusters if self._tail is None else self._piece_cuts()[0]
            if parts > 1:
                length = self._pointer[:end * self._groups + 1:self._groups]
                inside = length.searchsorted([k * int(length[-1]) // (parts + 1) for k in range(2, parts + 1)]).tolist()
            self._parted[parts] = [0, *inside, end]
        return self._parted[parts]

    def _piece_cuts(self):
        """[PIECES + 1] clusters that part the tail of the list into pieces of equal work."""
        if 0 not in self._parted:
            length = self._pointer[:self._clusters * self._groups + 1:self._groups]
            entries, step = self.list_length, int(TAIL / PIECES * self.list_length)
            self._parted[0] = [*length.searchsorted([entries - (PIECES - p) * step for p in range(PIECES)]).tolist(), self._clusters]
        return self._parted[0]

    def _work(self):
        """(clusters + 1,) work before each cluster, counted as entries of the list, and a few for each cluster."""
        return self._pointer[:self._clusters * self._groups + 1:self._groups] + CLUSTER * np.arange(self._clusters + 1)

    def _ways(self, state):
        """What the kernel needs of the state, and of where its rows stand."""
        position, fractions = state.position, ()
        if self.precision == "mixed":
            box, per_length = self.box, 2**32 / self.period
            if box.tilted:
                position = pair_slots.whole_units(box.upright(position[:state.n_all]), per_length, box.lengths, box.tilts)
                per_length = np.ones(3)
            fractions = per_length, self._middle
        return position, state.force, self._slot_row, self._route, self._shift, self._owned_slots, self._slots, self._receiving, *fractions

    def _part(self, fetch, deliver, rows, observe, foremost, end, force, observed, work):
        """Pairs of the clusters [foremost, end); `fetch`, `deliver`: with the way from the state's `rows` and back to them; `work`: the scratch of one thread."""
        self._entry(*self._arguments(fetch, deliver, rows, observe, foremost, end, force, observed, work))

    def _way(self, into, rows):
        """The way from the state's `rows`, or back to them."""
        self._part(into, not into, rows, False, 0, 0, self._force, self._unseen, self._scratch[0])

    def _arguments(self, fetch, deliver, rows, observe, foremost, end, force, observed, work):
        return (fetch, deliver, *rows, observe, self._rows, self._species, foremost, end, len(self.kinds.names), self._pointer, self._reach, self._neighbour,
                self._parameters, self._partners, *self._units, *self._numbers, force, observed, *work)

    def calls(self, state, parts=1):
        """(calls that take the inner parts of the lists, those that take the whole lists, what is called before them, and what after) of `compute` in so many parts without an observation, each
        a list of (kernel, arguments); None without particles. Of several threads only in one part, and they must be awake."""
        if not self._clusters or self.box.tilted or self._team is not None and parts > 1:
            return None
        ways = self._ways(state)
        if self._team is not None:
            return self._calls_by_threads(ways)
        cuts, found, whole = self._cuts(parts), [], self._tail is None
        for self._reach in (self._inner_end, self._list_end):
            found.append([(self.kernel, self._arguments(whole and k == 0, whole and k == parts - 1, ways, False, *cuts[k:k + 2], self._force, self._observed, self._scratch[0])) for k in range(parts)])
        if whole:
            return *found, [], []
        self._settle_tail()
        for far, calls in enumerate(found):
            calls[:] = [self._tail.opening[far], *calls, self._tail.working]
        fetch, deliver = ([(self.kernel, self._arguments(fetch, not fetch, ways, False, 0, 0, self._force, self._observed, self._scratch[0]))] for fetch in (True, False))
        return *found, fetch, [*self._rows_of_pieces(state.force), *deliver]

    def _with_tail(self, rows, observe, k, n):
        """The k-th of n calls, where the end of the list is done in pieces: their sums are added last, in their order. Nobody helps where energies are observed."""
        if k == 0:
            self._way(True, rows)
            if not observe:
                self._settle_tail()
                self._tail.open(self._reach is self._list_end)
        observed = self._observed_parts[:PIECES + 1]
        self._part(False, False, rows, observe, *self._cuts(n)[k:k + 2], self._force, observed[PIECES], self._scratch[0])
        if k < n - 1:
            return
        if observe:
            edges, received = self._piece_cuts(), slice(4 * self._receiving, 4 * self._slots + 4)
            for p, piece in enumerate(self._piece_force):
                piece[received] = 0.0
                self._part(False, False, rows, True, *edges[p:p + 2], piece, observed[p], self._scratch[0])
                self._force[received] += piece[received]
            self._observed[:] = observed.sum(axis=0)
        else:
            self._tail.work()
            for kernel, arguments in self._rows_of_pieces(rows[1]):
                kernel(*arguments)
        self._way(False, rows)

    def _settle_tail(self):
        """Tells the tail of lists that it has not seen."""
        if self._settled:
            return
        reach, edges, found = self._reach, self._piece_cuts(), []
        ways = self._ways_of_pieces()
        for self._reach in (self._inner_end, self._list_end):
            found.append(self._arguments(False, False, ways, False, *edges[:2], self._piece_force[0], self._unseen, self._scratch[0]))
        self._tail.arrange(self.kernel, found, self._of_piece, np.array(edges), (self._pointer, self._groups, self._neighbour), self._receiving, self._force, self._piece_force, self._touched, self._blocks)
        self._reach, self._settled = reach, True

    def _ways_of_pieces(self):
        """As `_ways`, for kernels that neither fetch nor deliver: full ones give to rows of slots what others give to slots."""
        fractions = (np.ones(3), self._middle) if self.precision == "mixed" else ()
        rows, row = (self._slot_force, self._same_row) if self.plan.full else (self._nowhere, self._slot_row)
        return self._nowhere, rows, row, self._route, self._shift, self._owned_slots, self._slots, self._receiving, *fractions

    def _rows_of_pieces(self, force):
        """Calls that bring rows of slots to the rows `force` of the state."""
        return [(bring_rows, (force, self._slot_row, self._slot_force, 4 * self._piece_cuts()[0], 4 * self._clusters))] if self.plan.full else []

    def _calls_by_threads(self, ways):
        team, edges, received = self._team, self._edges(), slice(4 * self._receiving, 4 * self._slots + 4)
        force, found = [self._force, *self._others], []
        for table, self._reach in zip(self._tables, (self._inner_end, self._list_end)):
            parts = [[(self.kernel, self._arguments(False, False, ways, False, *edges[k:k + 2], force[k], self._observed_parts[k], self._scratch[k]))] for k in range(team.size)]
            for k in range(1, team.size):
                parts[k].insert(0, (clear, (force[k][received],)))
            found.append(table.calls(parts))
        fetch, deliver = ([(self.kernel, self._arguments(fetch, not fetch, ways, False, 0, 0, self._force, self._observed, self._scratch[0]))] for fetch in (True, False))
        return *found, fetch, [*((add_points, (self._force[received], other[received])) for other in self._others), *deliver]

    def _edges(self):
        """[threads + 1] clusters that part the list into equal work."""
        team, work = self._team, self._work()
        return [0, *np.searchsorted(work, team.edges(int(work[-1]))[1:-1]).tolist(), self._clusters]

    def _by_threads(self, rows, observe):
        """Clusters in parts of equal work; sums of the parts in their order."""
        self._way(True, rows)
        team, edges = self._team, self._edges()
        force, observed, received = [self._force, *self._others], self._observed_parts, slice(4 * self._receiving, 4 * self._slots + 4)

        def part(k):
            if k:
                force[k][received] = 0.0
            self._part(False, False, rows, observe, *edges[k:k + 2], force[k], observed[k], self._scratch[k])
        team.run(part)
        for other in self._others:
            self._force[received] += other[received]
        self._way(False, rows)
        self._observed = observed[:team.size].sum(axis=0)
