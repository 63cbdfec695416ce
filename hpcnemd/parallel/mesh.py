"""The distributed mesh: bricks of each rank's space, x slabs of the mesh, y slabs of its spectrum.

A rank spreads its particles onto a brick, a piece of the mesh around its domain. Whole planes of bricks go straight to the ranks that own
those planes (one message per pair of ranks), which add them in rank order. A real transform over x slabs needs one message per pair of ranks each way.
Any number of ranks works, also more than there are planes. One rank makes no MPI call.

A small mesh is transformed faster than it is cut: there every rank owns all planes. It gets the whole brick of every other rank, adds all bricks in rank
order, so that all ranks have the same bits, transforms the whole mesh, and sends nothing back."""
import numpy as np

from ..kernels import Call, entry
from ..kernels import mesh as kernels
from ..kernels import transform
from ..kernels.round_trip import BACK, THERE, round_trip
from ..kernels.simd import choose_path
from .persistent import COLLECT, DEPOSIT, TURN, TURN_BACK, Messages
from .serial import SerialComm
from .shared_memory import channels_of, open_channels
from .threads import Shares, joined

NOTHING = {np.dtype(real): np.empty(0, real) for real in (np.float64, np.float32)}
SMALL = 3000            # mesh points that ranks may transform beyond their share, rather than exchange them three times more


def repeated(shape, ranks):
    """Whether every one of the ranks transforms the whole mesh of that shape."""
    return ranks == 1 or int(np.prod(shape)) * (ranks - 1) <= SMALL * ranks


def cut(points, ranks):
    """(ranks + 1,) edges of the planes that each rank owns; ranks beyond the planes own none."""
    return np.array([points * r // ranks for r in range(ranks + 1)], dtype=np.int64)


class SlabFFT:
    """Real three-dimensional transform: rank r holds real [x0:x1, :, :] and spectrum [:, y0:y1, :nz // 2 + 1], both possibly empty.
    `path`: one of kernels.simd.PATHS or "auto"; numpy transforms where it is plain. `real`: type of the mesh, float64 or float32 (complex64 spectra). `team`: a Team of threads, among which
    vector code shares out planes and columns; the bits depend on the planes of a thread where a plane has an odd number of rows."""

    def __init__(self, shape, comm, path="auto", real=np.float64, team=None):
        self.shape, self.comm, self.real = tuple(int(n) for n in shape), comm, np.dtype(real)
        kind = np.complex64 if self.real == np.float32 else np.complex128
        nx, ny, nz = self.shape
        self.modes = nz // 2 + 1
        self.x_edges, self.y_edges = cut(nx, comm.size), cut(ny, comm.size)
        rank = comm.rank
        self.x_range, self.y_range = slice(*self.x_edges[rank:rank + 2]), slice(*self.y_edges[rank:rank + 2])
        self.nx, self.ny = int(np.diff(self.x_edges)[rank]), int(np.diff(self.y_edges)[rank])
        self.slab_shape, self.spectrum_shape = (self.nx, ny, nz), (nx, self.ny, self.modes)
        self.spectrum = np.empty(self.spectrum_shape, kind)
        self.flat = self.spectrum.reshape(-1).view(self.real)       # pairs of numbers
        self.vector = choose_path(path) != "plain"
        if self.vector:
            self.plans = [array for points in self.shape for array in transform.plan(points, self.real)]
            self.work = transform.workspace(max(self.shape), self.real)
            self._sizes, self.factor = (ny, nz, self.modes), self.real.type(1.0 / (nx * ny * nz))
        self.team, self._slab = team if self.vector else None, None
        if self.team is not None:
            self._works = [self.work, *(transform.workspace(max(self.shape), self.real) for _ in range(1, team.size))]
        if comm.size > 1:
            open_channels(comm)
            self._half = np.empty((self.nx, ny, self.modes), kind)
            self._rows = self._half.view(self.real)                     # pairs of numbers
            channels, alike = channels_of(comm), self.real
            y_edges, x_edges = (edges.tolist() for edges in (self.y_edges, self.x_edges))
            wide, deep = 2 * self.modes * self.nx, 2 * self.modes * self.ny
            # the blocks of planes of the spectrum that come from each rank lie there in the order of x
            from_x = [self.flat[a * deep:b * deep] for a, b in zip(x_edges[:-1], x_edges[1:])]
            leaving, coming = ([channels.room((b - a) * wide, alike, r, kind, kind == TURN) if r != rank else from_x[r] for r, (a, b) in enumerate(zip(y_edges[:-1], y_edges[1:]))]
                               for kind in (TURN, TURN_BACK))
            self._leaving, self._coming = (list(zip(y_edges[:-1], y_edges[1:], blocks)) for blocks in (leaving, coming))
            others = [r for r in range(comm.size) if r != rank]
            rows, out, back = ([(blocks[r], r) for r in others] for blocks in (from_x, leaving, coming))
            self._turn, self._turn_back = Messages(comm, rows, out, TURN), Messages(comm, back, rows, TURN_BACK)

    def forward(self, slab):
        """Collective. Spectrum (nx, own y, nz // 2 + 1) complex of a slab (own x, ny, nz): a buffer of this object, the next call overwrites it."""
        spectrum = self.spectrum
        if self.comm.size > 1 or self.team is not None:
            there, across, *_ = self.legs(slab)
            run(there + across)
        elif self.vector:
            self._real(transform.FORWARD, slab, None, self.flat, 1)()
        else:
            np.fft.rfft(slab, axis=2, out=spectrum)
            np.fft.fft(spectrum, axis=1, out=spectrum)
            np.fft.fft(spectrum, axis=0, out=spectrum)
        return spectrum

    def backward(self, spectrum, slab, influence=None):
        """Collective. The inverse of `forward`, normalised, into `slab`, of the spectrum times `influence` (flat, one for each of its numbers); `spectrum` must be
        the buffer that `forward` returned, and is spoiled."""
        if self.comm.size > 1 or self.team is not None:
            *_, back, home = self.legs(slab, influence)
            run(back + home)
        elif self.vector:
            self._real(transform.BACKWARD, slab, influence, self.flat, 1)()
        else:
            if influence is not None:
                transform.multiply(self.flat, influence)
            np.fft.ifft(spectrum, axis=0, out=spectrum)
            np.fft.ifft(spectrum, axis=1, out=spectrum)
            np.fft.irfft(spectrum, n=self.shape[2], axis=2, out=slab)
        return slab

    def _real(self, direction, slab, influence, spectrum, along_x):
        return Call(transform.real_mesh, direction, slab.reshape(-1), NOTHING[self.real] if influence is None else influence, self.nx, *self._sizes, spectrum, along_x, *self.plans,
                    self.factor, self.work)

    def legs(self, slab, influence=None):
        """On several ranks or with a team, (there, across, back, home): lists of things to be done, which are `forward` and `backward` when each is called in turn. Messages set out at the ends
        of `there` and `back`, and are waited for at the beginnings of `across` and `home`."""
        if self._slab is None or self._slab[0] is not slab or self._slab[1] is not influence:
            self._slab, alone = (slab, influence), self.comm.size == 1
            half = self.flat if alone else self._rows.reshape(-1)
            if self.team is not None:
                out, back, along, return_along = self._shared_legs(slab, influence, half)
            elif self.vector:
                out, back = self._real(transform.FORWARD, slab, None, half, 0), self._real(transform.BACKWARD, slab, None, half, 0)
                sizes = 1, self.shape[0], 2 * self.ny * self.modes
                along, return_along = (Call(transform.lines, self.flat, *sizes, *self.plans[:2], way, self.work) for way in (transform.FORWARD, transform.BACKWARD))
            else:
                out, back, along, return_along = self._plain_legs(slab)
            scale = [] if influence is None or self.team is not None else [Call(transform.multiply, self.flat, influence)]
            if alone:
                self._legs = [out], [along], [*scale, return_along], [back]
            else:
                pack, unpack = ([Call(kernel, self._rows, *block) for block in blocks]
                                for kernel, blocks in ((transform.pack_rows, self._leaving), (transform.unpack_rows, self._coming)))
                self._legs = ([out, self._turn.clearing, *pack, self._turn.starting], [self._turn.waiting, along],
                              [*scale, return_along, self._turn_back.starting], [self._turn_back.waiting, *unpack, self._turn_back.returning, back])
        return self._legs

    def planes(self, k):
        """(first, end) of the slab's planes that are thread k's."""
        edges = self.team.edges(self.nx)
        return int(edges[k]), int(edges[k + 1])

    def _shared_legs(self, slab, influence, half):
        """Of a team: planes along z and y, columns along x."""
        ny, nz = self.shape[1:]
        inner, each, nothing = 2 * self.ny * self.modes, transform.width_of.py_func(self.shape[0]), NOTHING[self.real]
        edges = np.minimum(self.team.edges(-(-inner // each)) * each, inner).tolist()

        def across(direction, factors):
            return Shares(self.team, [[Call(transform.columns, self.flat, factors, self.shape[0], inner, *edges[k:k + 2], *self.plans[:2], direction, work)]
                                      for k, work in enumerate(self._works)], "columns")

        def flat(direction):
            lists = []
            for k, work in enumerate(self._works):
                first, end = self.planes(k)
                lists.append([Call(transform.real_mesh, direction, slab.reshape(-1)[first * ny * nz:end * ny * nz], nothing, end - first, *self._sizes,
                                   half[2 * first * ny * self.modes:2 * end * ny * self.modes], 0, *self.plans, self.factor, work)])
            return Shares(self.team, lists, "planes")
        return flat(transform.FORWARD), flat(transform.BACKWARD), across(transform.FORWARD, nothing), across(transform.BACKWARD, nothing if influence is None else influence)

    def _plain_legs(self, slab):
        half, spectrum = self._half, self.spectrum

        def out():
            np.fft.rfft(slab, axis=2, out=half)
            np.fft.fft(half, axis=1, out=half)

        def back():
            np.fft.ifft(half, axis=1, out=half)
            np.fft.irfft(half, n=self.shape[2], axis=2, out=slab)
        steps = out, back, lambda: np.fft.fft(spectrum, axis=0, out=spectrum), lambda: np.fft.ifft(spectrum, axis=0, out=spectrum)
        owned = self.nx, self.nx, self.ny, self.ny
        return [step if count else lambda: None for step, count in zip(steps, owned)]


def run(things):
    """Call each of them."""
    for thing in things:
        thing()


class Brick:
    """A rank's piece of the mesh: every point that a particle inside [lower - margin, upper + margin) (angstrom, upright coordinates) touches.

    An axis that the domain spans, margins included, is covered once from `lower`: positions are brought into that period, and along x and y the brick
    holds each plane of the mesh once. `first`, `last` (3,): lowest and highest floor(u) of a particle; `low`, `period` (3,) mesh units; `planes`, `rows`:
    all as kernels.mesh.spread wants them. `corner` (3,): mesh point of the brick's point 0; `count` (3,) points used; `points`: of the charges; `potential`: of what
    comes back, of type `real` (the same array where that is float64)."""

    def __init__(self, shape, order, lengths, lower, upper, margin, real=np.float64):
        shape = np.asarray(shape, dtype=np.int64)
        self.scale = shape / lengths
        self.period = shape.astype(float)
        whole = upper - lower + 2 * margin >= lengths * (1 - 1e-12)
        low = np.where(whole, lower, lower - margin) * self.scale
        high = np.where(whole, low + self.period, (upper + margin) * self.scale)
        self.low = low
        self.first = np.floor(low).astype(np.int64)
        self.last = np.floor(high).astype(np.int64)                 # a coordinate may round up to `high` itself
        self.order = int(order)
        round_trip = whole & (np.arange(3) < 2)
        self.corner = np.where(round_trip, 0, self.first - (order - 1))
        touched = self.last - self.first + order
        self.count = np.where(round_trip, shape, touched)
        self.ny = int(self.count[1])
        self.nz = int(-(-(self.last[2] - self.first[2] + 8) // 8) * 8)
        self.points = np.zeros(int(self.count[0]) * self.ny * self.nz)
        self.potential = self.points if real == np.float64 else np.zeros(self.points.size, real)
        planes, rows = ((self.first[axis] - (order - 1) - self.corner[axis] + np.arange(touched[axis])) % self.count[axis] for axis in (0, 1))
        self.planes, self.rows = planes * self.ny * self.nz, rows * self.nz

    def misses(self, position):
        """(n,) bool: which of the positions (n, 3) `kernels.mesh.spread` leaves out, those that are not finite included."""
        u = position * self.scale
        with np.errstate(invalid="ignore"):
            place = np.floor(u - np.floor((u - self.low) / self.period) * self.period)
            return ~((place >= self.first) & (place <= self.last)).all(axis=1)


class DistributedMesh:
    """Bricks, slabs and their traffic over one communicator. `shape` (3,) mesh points, `order` of the splines, `lengths` (3,) angstrom,
    `lower`, `upper` (3,) of this rank's domain, `margin` (3,) angstrom that particles may lie outside it, all in upright coordinates; `path` as in
    SlabFFT. `whole`: every rank has all planes in its slab (default: see `repeated`). `share`: of sums over this rank's slab or spectrum, what it adds to
    those over all ranks. `real`: type of the slabs, their spectrum and the bricks' potentials (charges in bricks and messages are float64). `team`: as of SlabFFT. Collective."""

    def __init__(self, comm, shape, order, lengths, lower, upper, margin, path="auto", whole=None, real=np.float64, team=None):
        open_channels(comm)
        self.comm, self.shape, self._real = comm, np.asarray(shape, dtype=np.int64), real
        self.order, self.margin = order, margin
        self.whole = repeated(shape, comm.size) if whole is None else whole
        self.share = 1.0 if comm.rank == 0 or not self.whole else 0.0
        self.fft = SlabFFT(shape, SerialComm() if self.whole else comm, path, real, team)
        self.slab = np.zeros(self.fft.slab_shape, real)
        self._threads = 1 if team is None else team.size
        self.place(lengths, lower, upper)

    def place(self, lengths, lower, upper):
        """Collective. Another domain of this rank, from `lower` to `upper` (3,) in a box of `lengths` (3,): a new brick and new ways for its planes."""
        comm = self.comm
        self.brick = Brick(self.shape, self.order, np.asarray(lengths), np.asarray(lower), np.asarray(upper), self.margin, self._real)
        own = np.concatenate((self.brick.corner, self.brick.count))
        bricks = own[None, :] if comm.size == 1 else np.array(comm.allgather(own))
        edges = [(0, self.shape[0])] * comm.size if self.whole else [tuple(pair) for pair in zip(self.fft.x_edges[:-1], self.fft.x_edges[1:])]
        self._sends = [self._piece(own, *edges[r], r) for r in range(comm.size)]
        self._receives = [self._piece(brick, *edges[comm.rank], r) for r, brick in enumerate(bricks)]
        to_slabs, from_bricks = ([p for p in pieces if p is not None and p.rank != comm.rank] for pieces in (self._sends, self._receives))
        self._packed, channels = to_slabs[:1] if self.whole else to_slabs, channels_of(comm)        # the same for all where all have the whole mesh
        for pieces, out, back in ((to_slabs, DEPOSIT, COLLECT), (from_bricks, COLLECT, DEPOSIT)):
            for p in pieces:
                shape = len(p.brick_planes) * p.rows * p.columns
                p.outbox = np.zeros(shape) if self.whole else channels.room(shape, float, p.rank, out, True)
                p.inbox = channels.room(shape, float, p.rank, back, False)
        self._deposit = Messages(comm, [(p.inbox, p.rank) for p in from_bricks], [((self._packed[0] if self.whole else p).outbox, p.rank) for p in to_slabs], DEPOSIT)
        self._collect = None if self.whole else Messages(comm, [(p.inbox, p.rank) for p in to_slabs], [(p.outbox, p.rank) for p in from_bricks], COLLECT)
        piece, brick, fft = self._receives[comm.rank], self.brick, self.fft
        self.layers = [brick.points, *(np.empty_like(brick.points) for _ in range(1, self._threads))]
        self._ways()
        if self.whole and fft.vector and fft.team is None:
            self._there = (comm.size == 1, brick.points, piece.brick_planes, brick.ny, brick.nz, piece.slab_planes, piece.first_y, piece.first_z, piece.rows, piece.columns, self.slab,
                           self.slab.reshape(-1), fft.modes, fft.flat)
            self._back = (*fft.plans, fft.factor, fft.work, brick.potential)
        self._trip = self._legs = self._straight = None

    def _piece(self, brick, x0, x1, rank):
        """What a brick and the slab [x0, x1) share, or None: see `_Piece`."""
        x = (brick[0] + np.arange(brick[3])) % self.shape[0]
        planes = np.flatnonzero((x >= x0) & (x < x1))
        if not len(planes):
            return None
        return _Piece(rank, planes, x[planes] - x0, np.arange(len(planes)), int(brick[1] % self.shape[1]), int(brick[2] % self.shape[2]), int(brick[4]), int(brick[5]))

    def send(self):
        """To be called when the charges are in the brick, one layer of it for each thread: what other ranks need of it sets out. It stays as it is until `deposit`."""
        run(self.setting_out)

    def deposit(self):
        """Collective, after `send`. The slab (own x, ny, nz) with all bricks added, in rank order."""
        run(self._laying)
        return self.slab

    def collect(self, slab):
        """Collective. Fills the brick with the points of `slab`, which the slab of this object takes over."""
        if slab is not self.slab:
            self.slab[...] = slab
        run(self._lifting)
        run(self._arriving)

    def _ways(self):
        """Lists of things to be done for `send`, `deposit` and `collect`."""
        brick, rank, own = self.brick, self.comm.rank, self._receives[self.comm.rank]
        shared = [piece for piece in self._receives if piece is not None]
        by_threads = self.comm.size == 1 and self.fft.team is not None
        self.setting_out = [] if by_threads else [Call(kernels.add_points, brick.points, layer) for layer in self.layers[1:]]
        self.setting_out.append(self._deposit.clearing)
        self.setting_out += [Call(kernels.pack_planes, brick.points, p.brick_planes, brick.ny, brick.nz, p.rows, p.columns, p.outbox) for p in self._packed]
        self.setting_out.append(self._deposit.starting)
        self._laying = [self._deposit.waiting, Call(kernels.clear, self.slab.reshape(-1))]
        self._laying += [Call(kernels.add_planes, *self._end(p, brick.points, p.inbox), p.slab_planes, p.first_y, p.first_z, p.rows, p.columns, self.slab) for p in shared]
        self._laying.append(self._deposit.returning)
        if by_threads:
            self._laying, self._lifting, self._arriving = [self._laid_by_threads(own)], [self._lifted_by_threads(own)], []
            return
        taken = [own] if self.whole else shared
        self._lifting = [Call(kernels.take_planes, self.slab, p.slab_planes, p.first_y, p.first_z, p.rows, p.columns, *self._end(p, brick.potential, p.outbox)) for p in taken if p is not None]
        self._arriving = []
        if not self.whole:
            self._lifting = [self._collect.clearing, *self._lifting, self._collect.starting]
            self._arriving = [self._collect.waiting]
            self._arriving += [Call(kernels.unpack_planes, p.inbox, p.brick_planes, brick.ny, brick.nz, p.rows, p.columns, brick.potential) for p in self._packed]
            self._arriving.append(self._collect.returning)

    def _of_thread(self, piece, k):
        """(planes of the brick, planes of the slab) of a piece that are thread k's."""
        first, end = self.fft.planes(k)
        mine = (piece.slab_planes >= first) & (piece.slab_planes < end)
        return piece.brick_planes[mine], piece.slab_planes[mine]

    def _laid_by_threads(self, piece):
        """The slab with the brick of a rank that is alone, to which its layers have been added in their order: it holds the planes of the mesh in theirs."""
        brick, points, lists, size = self.brick, self.slab.reshape(len(self.slab), -1), [], self.brick.ny * self.brick.nz
        for k in range(self.fft.team.size):
            first, end = self.fft.planes(k)
            of_brick, of_slab = self._of_thread(piece, k)
            lists.append([Call(kernels.add_points, *(points[first * size:end * size] for points in (brick.points, layer))) for layer in self.layers[1:]])
            lists[-1] += [Call(kernels.clear, points[first:end].reshape(-1)),
                          Call(kernels.add_planes, brick.points, of_brick, brick.ny, brick.nz, of_slab, piece.first_y, piece.first_z, piece.rows, piece.columns, self.slab)]
        return Shares(self.fft.team, lists, "planes")

    def _lifted_by_threads(self, piece):
        """The potential from the slab."""
        brick, lists = self.brick, []
        for k in range(self.fft.team.size):
            of_brick, of_slab = self._of_thread(piece, k)
            lists.append([Call(kernels.take_planes, self.slab, of_slab, piece.first_y, piece.first_z, piece.rows, piece.columns, brick.potential, of_brick, brick.ny, brick.nz)])
        return Shares(self.fft.team, lists, "planes")

    def legs(self, influence):
        """On several ranks or with a team, and where kernels transform, `convolve` in parts: (there, across, back, home, end), lists of things to be done in turn. What a part begins with is waited for, and
        was sent at the end of the part before, so that other work may be done between them. Where every rank has the whole mesh, `across`, `home` and `end` are empty."""
        if self._legs is None:
            if self.whole and self.fft.team is None:
                there, back = ([Call(round_trip, leg, *self._there, influence, *self._back)] for leg in (THERE, BACK))
                self._legs = self._laying + there, [], back, [], []
            else:
                there, across, back, home = self.fft.legs(self.slab, influence)
                self._legs = self._laying + there, across, back, home + self._lifting, self._arriving
        return self._legs

    def straight(self, influence):
        """All `legs`, as one list."""
        if self._straight is None:
            self._straight = joined([thing for leg in self.legs(influence) for thing in leg])
        return self._straight

    def convolve(self, influence, look=None):
        """Collective, after `send`. The brick's potential: `deposit`, the spectrum times `influence` (flat, one for each of its numbers; the same array in every call), `collect`. Returns
        `look(spectrum)`, before it is multiplied, where a function is given. One call where this rank is alone."""
        if not self.fft.vector or self.comm.size == 1 and not self.whole:
            spectrum = self.fft.forward(self.deposit())
            found = look(spectrum) if look else None
            self.collect(self.fft.backward(spectrum, self.slab, influence))
            return found
        if self.comm.size > 1 or self.fft.team is not None:
            there, across, back, home, end = self.legs(influence)
            if look is None:
                run(self.straight(influence))
                return None
            run(there + across)
            found = look(self.fft.spectrum)
            run(back + home + end)
            return found
        if self._trip is None:
            self._trip = entry(round_trip, THERE + BACK, *self._there, influence, *self._back)
        if look is None:
            self._trip(THERE + BACK, *self._there, influence, *self._back)
            return None
        self._trip(THERE, *self._there, influence, *self._back)
        found = look(self.fft.spectrum)
        self._trip(BACK, *self._there, influence, *self._back)
        return found

    def trip_arguments(self, influence):
        """Of kernels.round_trip.round_trip for the whole of `convolve`; None where more is needed."""
        return (THERE + BACK, *self._there, influence, *self._back) if self.whole and self.fft.vector and self.comm.size == 1 else None

    def _end(self, piece, own, message):
        """(flat array, its planes, its rows and columns per plane) that a piece of this rank's slab is added from or copied to: the `own` brick, or a message."""
        if piece.rank == self.comm.rank:
            return own, piece.brick_planes, self.brick.ny, self.brick.nz
        return message, piece.message_planes, piece.rows, piece.columns


class _Piece:
    """Planes that a brick and a slab share: `brick_planes`, `slab_planes`, `message_planes` their rows in either and in the message; rows and columns from mesh point (first_y, first_z) on.
    `outbox`, `inbox`: where a message of theirs is made, and where one arrives; None of the rank's own piece."""
    __slots__ = ("rank", "brick_planes", "slab_planes", "message_planes", "first_y", "first_z", "rows", "columns", "outbox", "inbox")

    def __init__(self, *values):
        for name, value in zip(self.__slots__, (*values, None, None)):
            setattr(self, name, value)
