"""Systems with their tangent vectors, for Lyapunov exponents: soft particles, hard discs, colour-driven discs with an isokinetic thermostat.

Every rank follows the same trajectory; the tangent vectors are shared out: rank r holds columns [first, last) of the k leading ones.
Units: sigma = epsilon = mass = k_B = 1; the norm of a tangent vector is that of (q, p)."""
import math

import numpy as np

from ..core.errors import InputError, PhysicsError
from ..core.random import generator
from ..kernels import tangent as soft_kernels
from ..kernels import tangent_discs as disc_kernels
from ..parallel.reduce import ordered_sum

MELTING = 3.0           # times the temperature during the first third of equilibration: the lattice of the start must not survive as a crystal
CUTOFFS = {"wca": 2.0 ** (1.0 / 6.0), "lennard_jones": 2.5}


def share(columns, comm):
    """[first, last) of the columns of this rank; leading ones on the lowest rank."""
    return columns * comm.rank // comm.size, columns * (comm.rank + 1) // comm.size


def start_frame(rows, columns, kind, seed):
    """Orthonormal (rows, columns), the same on all ranks. kind "random"; or "conjugate": unit vectors q1 ... qm, pm ... p1, for which the growth factors
    of a symplectic map pair exactly at every time (its QR factors are symplectic too)."""
    if kind == "conjugate":
        half = rows // 2
        order = list(range(half)) + list(range(rows - 1, half - 1, -1))
        return np.eye(rows)[:, order[:columns]]
    frame, corner = np.linalg.qr(generator(seed, "noise").normal(size=(rows, columns)))
    return frame * np.sign(np.diag(corner))


def orthonormalise(comm, mine):
    """Collective. Gram and Schmidt over all columns, those of lower ranks first. `mine` (rows, columns here) becomes orthonormal in place.
    Returns the logarithms of the stretching factors of all columns, on all ranks. Each block is projected twice against what stands before it:
    once as that arrives, once more at its own turn."""
    logs, before = [], []
    for rank in range(comm.size):
        block = np.empty((len(mine), 0))
        if comm.rank == rank and mine.shape[1]:
            for other in before:
                mine -= other @ (other.T @ mine)
            block, corner = np.linalg.qr(mine)
            diagonal = np.diag(corner)
            block = block * np.sign(diagonal)
            mine[:] = block
            logs = np.log(np.abs(diagonal))
        block = comm.bcast(block, root=rank) if comm.size > 1 else block
        if comm.rank > rank and block.shape[1]:
            mine -= block @ (block.T @ mine)
            before.append(block)
    return np.concatenate([np.asarray(part, float) for part in comm.allgather(logs)])


class TangentSystem:
    """What the systems share: phase point q, p (n, d), tangent columns dq, dp (n, d, k here), orthonormal after every `grow`."""

    def __init__(self, comm, q, p, columns, frame="random", seed=1):
        self.comm, self.q, self.p = comm, q, p
        n, d = q.shape
        rows = 2 * n * d
        self.columns = rows if columns is None else columns
        if not 1 <= self.columns <= rows:
            raise InputError(f"exponents = {self.columns}: {n} particles have {rows}; write a number between 1 and {rows}")
        first, last = share(self.columns, comm)
        self.frame = np.ascontiguousarray(start_frame(rows, self.columns, frame, seed)[:, first:last])

    def grow(self, duration):
        """Collective. Moves on and orthonormalises. Returns (time, stretching logarithms (columns,), integral of -divergence of the flow).
        Raises PhysicsError where numbers are not finite."""
        n, d = self.q.shape
        dq = np.ascontiguousarray(self.frame[:n * d].reshape(n, d, -1))
        dp = np.ascontiguousarray(self.frame[n * d:].reshape(n, d, -1))
        time, contraction = self._move(duration, dq, dp)
        self.frame[:n * d], self.frame[n * d:] = dq.reshape(n * d, -1), dp.reshape(n * d, -1)
        bad = ordered_sum(self.comm, np.array([0 if np.isfinite(self.frame).all() and np.isfinite(self.q).all() else 1], np.int64))[0]
        if bad:
            raise PhysicsError(f"{type(self).__name__}: numbers are not finite; take a shorter time step")
        return time, orthonormalise(self.comm, self.frame), contraction


def lattice(n, dimensions, length, closest=0.0):
    """(n, dimensions) places in a periodic box: face-centred cubic where n = 4 m^3, else the first n of a square or cubic lattice.
    Raises InputError where neighbours are nearer than `closest`."""
    m = round((n / 4) ** (1 / 3))
    if dimensions == 3 and 4 * m**3 == n:
        corner = np.array([[0, 0, 0], [0, .5, .5], [.5, 0, .5], [.5, .5, 0]])
        cells = np.stack(np.meshgrid(*[np.arange(m)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
        return np.ascontiguousarray(((cells + corner).reshape(-1, 3) + 0.25) * (length / m))
    side = math.ceil(n ** (1 / dimensions) - 1e-9)
    if length / side < closest:
        raise InputError(f"{n} discs do not fit on a lattice in a box of edge {length:.4g}; take a lower density or a square number of discs")
    grid = np.stack(np.meshgrid(*[np.arange(side)] * dimensions, indexing="ij"), axis=-1).reshape(-1, dimensions)
    return np.ascontiguousarray((grid[:n] + 0.5) * (length / side))


def maxwell(n, dimensions, temperature, seed, replica=0):
    """(n, dimensions) velocities without total momentum, kinetic energy exactly (n - 1) dimensions T / 2."""
    v = generator(seed, "velocities", replica).normal(size=(n, dimensions))
    v -= v.mean(axis=0)
    return v * math.sqrt((n - 1) * dimensions * temperature / (v**2).sum())


class SoftParticles(TangentSystem):
    """Collective over `comm`. Lennard-Jones particles (cut at 2.5) or their repulsive part (wca), at constant energy."""

    def __init__(self, comm, n, dimensions, density, temperature, potential="wca", timestep=0.002, equilibrate=10.0, columns=None, frame="random",
                 seed=1, replica=0):
        self.length = (n / density) ** (1 / dimensions)
        self.cutoff, self.timestep = CUTOFFS[potential], timestep
        if 2 * self.cutoff > self.length:
            raise InputError(f"{n} particles at density {density:g} make a box of edge {self.length:.4g}, less than twice the cutoff {self.cutoff:.4g}; "
                             "take more particles")
        self.kinetic = self.potential = 0.0
        super().__init__(comm, lattice(n, dimensions, self.length), maxwell(n, dimensions, temperature, seed, replica), columns, frame, seed)
        none = np.zeros((n, dimensions, 0))
        stretches = int(equilibrate / timestep / 50)
        for k in range(stretches):
            self._steps(50, none, none.copy())
            self.p -= self.p.mean(axis=0)
            hot = MELTING if k < stretches // 3 else 1.0
            self.p *= math.sqrt((n - 1) * dimensions * hot * temperature / (self.p**2).sum())

    @property
    def temperature(self):
        """Of the last stretch."""
        n, d = self.q.shape
        return 2 * self.kinetic / (d * (n - 1))

    def _steps(self, steps, dq, dp):
        n, d, k = dq.shape
        self.kinetic, self.potential = soft_kernels.leapfrog(steps, self.timestep, self.length, self.cutoff**2, self.q, self.p, dq, dp,
                                                             np.empty((n, d)), np.empty((n, d, k)), np.empty(k))

    def _move(self, duration, dq, dp):
        steps = max(1, round(duration / self.timestep))
        self._steps(steps, dq, dp)
        return steps * self.timestep, 0.0


class HardDiscs(TangentSystem):
    """Collective over `comm`. Hard discs or spheres of diameter 1."""

    def __init__(self, comm, n, dimensions, density, temperature=1.0, equilibrate=10.0, columns=None, frame="random", seed=1, replica=0):
        self.length = (n / density) ** (1 / dimensions)
        if self.length < 2.0:
            raise InputError(f"{n} discs at density {density:g} make a box of edge {self.length:.4g}; it must be at least 2: take more discs")
        self.collisions = 0
        super().__init__(comm, lattice(n, dimensions, self.length, 1.0), maxwell(n, dimensions, temperature, seed, replica), columns, frame, seed)
        none = np.zeros((n, dimensions, 0))
        self._move(equilibrate, none, none.copy())
        self.collisions = 0

    def _move(self, duration, dq, dp):
        n = len(self.q)
        count, closest = disc_kernels.collide(duration, self.q, self.p, dq, dp, self.length, np.empty(n), np.empty(n, np.int64))
        if closest < 1.0 - 1e-9:
            raise PhysicsError(f"two hard discs overlap: squared distance {closest:.12g}")
        self.collisions += count
        return duration, 0.0


class ColourDiscs(TangentSystem):
    """Collective over `comm`. Soft discs (wca), half of them driven to the right and half to the left by a field, kinetic energy held by Gauss's
    principle (isokinetic). The flow contracts phase space at (d n - 1) alpha."""

    def __init__(self, comm, n, density, temperature, field, timestep=0.005, equilibrate=10.0, columns=None, frame="random", seed=1, replica=0):
        if n % 2:
            raise InputError(f"particles = {n}: as many are driven to the right as to the left; write an even number")
        self.length = (n / density) ** 0.5
        self.cutoff, self.timestep, self.field = CUTOFFS["wca"], timestep, field
        if 2 * self.cutoff > self.length:
            raise InputError(f"{n} discs at density {density:g} make a box of edge {self.length:.4g}, less than twice the range {self.cutoff:.4g}; take more discs")
        self.colour = np.where(np.arange(n) % 2, 1.0, -1.0)
        self.alpha = self.current = self.time = 0.0
        super().__init__(comm, lattice(n, 2, self.length), maxwell(n, 2, temperature, seed, replica), columns, frame, seed)
        none = np.zeros((n, 2, 0))
        self._move(equilibrate, none, none.copy())
        self.alpha = self.current = self.time = 0.0

    def _move(self, duration, dq, dp):
        n, d = self.q.shape
        steps = max(1, round(duration / self.timestep))
        alpha, current = soft_kernels.isokinetic(steps, self.timestep, self.length, self.cutoff**2, self.colour, self.field, self.q, self.p, dq, dp)
        self.alpha += alpha
        self.current += current
        self.time += steps * self.timestep
        return steps * self.timestep, (n * d - 1) * alpha
