"""The distributed mesh: bricks of each rank's space, x slabs of the mesh, y slabs of its spectrum.

A rank spreads its particles onto a brick, a piece of the mesh around its domain. Whole planes of bricks go straight to the ranks that own
those planes (one message per pair of ranks), which add them in rank order. A real transform over x slabs needs one Alltoallv each way.
Any number of ranks works, also more than there are planes. One rank makes no MPI call.

A small mesh is transformed faster than it is cut: there every rank owns all planes. It gets the whole brick of every other rank, adds all bricks in rank
order, so that all ranks have the same bits, transforms the whole mesh, and sends nothing back."""
import numpy as np

from ..kernels import entry
from ..kernels import mesh as kernels
from ..kernels import transform
from ..kernels.round_trip import BACK, THERE, round_trip
from ..kernels.simd import choose_path
from .persistent import Messages
from .serial import SerialComm

NOTHING = {np.dtype(real): np.empty(0, real) for real in (np.float64, np.float32)}
TAG_DEPOSIT, TAG_COLLECT = 211, 212
SMALL = 10000           # mesh points that ranks may transform beyond their share, rather than exchange them three times more


def repeated(shape, ranks):
    """Whether every one of the ranks transforms the whole mesh of that shape."""
    return ranks == 1 or int(np.prod(shape)) * (ranks - 1) <= SMALL * ranks


def cut(points, ranks):
    """(ranks + 1,) edges of the planes that each rank owns; ranks beyond the planes own none."""
    return np.array([points * r // ranks for r in range(ranks + 1)], dtype=np.int64)


class SlabFFT:
    """Real three-dimensional transform: rank r holds real [x0:x1, :, :] and spectrum [:, y0:y1, :nz // 2 + 1], both possibly empty.
    `path`: one of kernels.simd.PATHS or "auto"; numpy transforms where it is plain. `real`: type of the mesh, float64 or float32 (complex64 spectra)."""

    def __init__(self, shape, comm, path="auto", real=np.float64):
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
            self._sizes, self.factor = (self.nx, ny, nz, self.modes), self.real.type(1.0 / (nx * ny * nz))
        if comm.size > 1:
            self._half = np.empty((self.nx, ny, self.modes), kind)
            self._by_x = np.empty(self._half.size, kind)
            to_y = np.diff(self.y_edges) * self.nx * self.modes
            to_x = np.diff(self.x_edges) * self.ny * self.modes
            self._part_x, self._part_y = _parts(to_y), _parts(to_x)
            self._blocks = [(int(s), int(s + c), int(a), int(b)) for s, c, a, b
                            in zip(np.cumsum(to_y) - to_y, to_y, self.y_edges[:-1], self.y_edges[1:])]

    def forward(self, slab):
        """Collective. Spectrum (nx, own y, nz // 2 + 1) complex of a slab (own x, ny, nz): a buffer of this object, the next call overwrites it."""
        spectrum = self.spectrum
        if self.comm.size == 1 and self.vector:
            self._real(transform.FORWARD, slab, None, self.flat, 1)
            return spectrum
        half = self._half if self.comm.size > 1 else spectrum
        if self.vector:
            self._real(transform.FORWARD, slab, None, half.reshape(-1).view(self.real), 0)
        elif self.nx:
            np.fft.rfft(slab, axis=2, out=half)
            np.fft.fft(half, axis=1, out=half)
        if self.comm.size > 1:
            for start, stop, y0, y1 in self._blocks:
                self._by_x[start:stop].reshape(self.nx, y1 - y0, self.modes)[...] = half[:, y0:y1]
            # blocks arrive in the order of x, that is as planes of the spectrum
            self.comm.Alltoallv([self._by_x.view(self.real), self._part_x], [self.flat, self._part_y])
        if self.vector:
            transform.lines(self.flat, 1, self.shape[0], 2 * self.ny * self.modes, *self.plans[:2], transform.FORWARD, self.work)
        elif self.ny:
            np.fft.fft(spectrum, axis=0, out=spectrum)
        return spectrum

    def _real(self, direction, slab, influence, spectrum, along_x):
        transform.real_mesh(direction, slab.reshape(-1), NOTHING[self.real] if influence is None else influence, *self._sizes, spectrum, along_x, *self.plans,
                            self.factor, self.work)

    def backward(self, spectrum, slab, influence=None):
        """Collective. The inverse of `forward`, normalised, into `slab`, of the spectrum times `influence` (flat, one for each of its numbers); `spectrum` must be
        the buffer that `forward` returned, and is spoiled."""
        if self.comm.size == 1 and self.vector:
            self._real(transform.BACKWARD, slab, influence, self.flat, 1)
            return slab
        if influence is not None:
            transform.multiply(self.flat, influence)
        half = self._half if self.comm.size > 1 else spectrum
        if self.vector:
            transform.lines(self.flat, 1, self.shape[0], 2 * self.ny * self.modes, *self.plans[:2], transform.BACKWARD, self.work)
        elif self.ny:
            np.fft.ifft(spectrum, axis=0, out=spectrum)
        if self.comm.size > 1:
            self.comm.Alltoallv([self.flat, self._part_y], [self._by_x.view(self.real), self._part_x])
            for start, stop, y0, y1 in self._blocks:
                half[:, y0:y1] = self._by_x[start:stop].reshape(self.nx, y1 - y0, self.modes)
        if self.vector:
            self._real(transform.BACKWARD, slab, None, half.reshape(-1).view(self.real), 0)
        elif self.nx:
            np.fft.ifft(half, axis=1, out=half)
            np.fft.irfft(half, n=self.shape[2], axis=2, out=slab)
        return slab


def _parts(complex_counts):
    counts = 2 * np.asarray(complex_counts, dtype=np.int64)         # the buffers travel as pairs of numbers
    return counts, np.cumsum(counts) - counts


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
    those over all ranks. `real`: type of the slabs, their spectrum and the bricks' potentials (charges in bricks and messages are float64). Collective."""

    def __init__(self, comm, shape, order, lengths, lower, upper, margin, path="auto", whole=None, real=np.float64):
        self.comm, self.shape, self._real = comm, np.asarray(shape, dtype=np.int64), real
        self.order, self.margin = order, margin
        self.whole = repeated(shape, comm.size) if whole is None else whole
        self.share = 1.0 if comm.rank == 0 or not self.whole else 0.0
        self.fft = SlabFFT(shape, SerialComm() if self.whole else comm, path, real)
        self.slab = np.zeros(self.fft.slab_shape, real)
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
        self._packed = to_slabs[:1] if self.whole else to_slabs         # the same for all where all have the whole mesh
        self._deposit = Messages(comm, [(p.message, p.rank) for p in from_bricks], [((self._packed[0] if self.whole else p).message, p.rank) for p in to_slabs], TAG_DEPOSIT)
        self._collect = None if self.whole else Messages(comm, [(p.message, p.rank) for p in to_slabs], [(p.message, p.rank) for p in from_bricks], TAG_COLLECT)
        piece, brick, fft = self._receives[comm.rank], self.brick, self.fft
        if self.whole:
            self._own = piece.slab_planes, piece.first_y, piece.first_z, piece.rows, piece.columns
        if self.whole and fft.vector:
            self._there = (comm.size == 1, brick.points, piece.brick_planes, brick.ny, brick.nz, *self._own, self.slab, self.slab.reshape(-1), fft.modes, fft.flat)
            self._back = (*fft.plans, fft.factor, fft.work, brick.potential)
            self._trip = None

    def _piece(self, brick, x0, x1, rank):
        """What a brick and the slab [x0, x1) share, or None: see `_Piece`."""
        x = (brick[0] + np.arange(brick[3])) % self.shape[0]
        planes = np.flatnonzero((x >= x0) & (x < x1))
        if not len(planes):
            return None
        return _Piece(rank, planes, x[planes] - x0, np.arange(len(planes)), int(brick[1] % self.shape[1]), int(brick[2] % self.shape[2]), int(brick[4]), int(brick[5]),
                      np.empty(len(planes) * int(brick[4]) * int(brick[5])))

    def send(self):
        """What other ranks need of this rank's brick sets out: the brick stays as it is until `deposit`."""
        if self.comm.size == 1:
            return
        brick = self.brick
        self._deposit.receive()
        for piece in self._packed:
            kernels.pack_planes(brick.points, piece.brick_planes, brick.ny, brick.nz, piece.rows, piece.columns, piece.message)
        self._deposit.send()

    def deposit(self):
        """Collective, after `send`. The slab (own x, ny, nz) with all bricks added, in rank order."""
        self.slab.fill(0.0)
        self._deposit.wait()
        for piece in self._receives:
            if piece is not None:
                kernels.add_planes(*self._source(piece), piece.slab_planes, piece.first_y, piece.first_z, piece.rows, piece.columns, self.slab)
        return self.slab

    def convolve(self, influence, look=None):
        """Collective, after `send`. The brick's potential: `deposit`, the spectrum times `influence` (flat, one for each of its numbers), `collect`. Returns `look(spectrum)`,
        before it is multiplied, where a function is given. One call where this rank transforms the whole mesh."""
        if not (self.whole and self.fft.vector):
            spectrum = self.fft.forward(self.deposit())
            found = look(spectrum) if look else None
            self.collect(self.fft.backward(spectrum, self.slab, influence))
            return found
        if self.comm.size > 1:
            self.deposit()
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

    def collect(self, slab):
        """Collective. Fills the brick with the slabs' points."""
        brick = self.brick
        if self.whole:
            kernels.take_planes(slab, *self._own, *self._target(self._receives[self.comm.rank]))
            return
        self._collect.receive()
        for piece in self._receives:
            if piece is not None:
                kernels.take_planes(slab, piece.slab_planes, piece.first_y, piece.first_z, piece.rows, piece.columns, *self._target(piece))
        self._collect.send()
        self._collect.wait()
        for piece in self._packed:
            kernels.unpack_planes(piece.message, piece.brick_planes, brick.ny, brick.nz, piece.rows, piece.columns, brick.potential)

    def _source(self, piece):
        """(flat array, its planes, its rows and columns per plane) that a piece of this rank's slab is added from: the own brick, or a message."""
        if piece.rank == self.comm.rank:
            return self.brick.points, piece.brick_planes, self.brick.ny, self.brick.nz
        return piece.message, piece.message_planes, piece.rows, piece.columns

    def _target(self, piece):
        """The same that a piece of the slab's potential is copied to."""
        return (self.brick.potential, *self._source(piece)[1:]) if piece.rank == self.comm.rank else self._source(piece)


class _Piece:
    """Planes that a brick and a slab share: `brick_planes`, `slab_planes`, `message_planes` their rows in either and in the message; rows and columns from mesh point (first_y, first_z) on."""
    __slots__ = ("rank", "brick_planes", "slab_planes", "message_planes", "first_y", "first_z", "rows", "columns", "message")

    def __init__(self, *values):
        for name, value in zip(self.__slots__, values):
            setattr(self, name, value)
