"""A gas of soft discs that can be turned back: leapfrog in float32, float64 or bit-reversible whole numbers (int64), on any number of ranks.

One step forward           X += V; V += kick(X)
All velocities inverted    V -> -V, once
One step backward          V += kick(X); X += V
In exact arithmetic the way back ends at the start. In whole numbers arithmetic is exact.
Units: sigma = epsilon = mass = k_B = 1."""
import hashlib
import math

import numpy as np

from ..core.errors import InputError, PhysicsError
from ..core.random import stream_key
from ..kernels import reversible as kernels
from ..kernels.philox import normals
from ..parallel.reduce import ordered_sum, vote_max
from .reversible_slabs import Slabs

ARITHMETIC = ("float32", "float64", "int64")
SKIN = 0.4
GRID = 2.0 ** 64
LARGEST_KICK = 2.0 ** 60        # of one pair; beyond it sums could leave int64


class DiscGas:
    """Collective over `comm`. `particles` discs in a periodic square of edge `length`; rows [0, n_owned) are this rank's, then come ghosts.

    position: uint64 fractions of the box, or float coordinates in [0, length); velocity: int64 displacement of one step in units of length/2^64,
    or float velocity. It is the velocity half a step after the position while going forward. Raises InputError for a box that is too small."""

    def __init__(self, comm, length, timestep, arithmetic="int64", skin=SKIN):
        if arithmetic not in ARITHMETIC:
            raise InputError(f"arithmetic = {arithmetic!r}: one of {', '.join(ARITHMETIC)}")
        self.comm, self.length, self.timestep, self.arithmetic = comm, float(length), float(timestep), arithmetic
        self.reach = math.sqrt(kernels.CUTOFF_SQUARED) + skin
        self.skin = skin
        self.cells = int(self.length / self.reach)
        if self.cells < 3:
            raise InputError(f"a box of length {length:.4g} is too small; it must be at least {3 * self.reach:.4g} long: take more discs or a lower density")
        self.slabs = Slabs(comm, self.length, self.reach)
        self.whole = arithmetic == "int64"
        kind = np.int64 if self.whole else np.dtype(arithmetic)
        self.kind, self.position_kind = kind, np.uint64 if self.whole else kind
        self.numbers = np.array([length, 1.0 / length, kernels.CUTOFF_SQUARED, timestep, 1, 2, 24], np.float64 if self.whole else kind)
        self.velocity_unit = GRID * self.timestep / self.length if self.whole else 1.0
        self.kick_scale = GRID * self.timestep ** 2 / self.length
        self.partner = np.empty(1024, np.int32)
        self.particles = self.n_owned = self.n_all = 0
        self.backward, self.step, self.moved, self.rebuilds = False, 0, np.inf, 0
        self.set_rows(np.empty(0, np.int64), np.empty((0, 2), self.position_kind), np.empty((0, 2), kind))

    # ---- rows -------------------------------------------------------------------------------------------------------
    def set_rows(self, ids, position, velocity):
        """These rows and no ghosts."""
        self.ids, self.velocity, self.n_owned, self.n_all = ids, np.ascontiguousarray(velocity), len(ids), len(ids)
        self.position = np.ascontiguousarray(position)
        self.kick = np.zeros((len(ids), 2), self.kind)
        self._places = np.empty((len(ids), 2))

    def reserve(self, rows):
        """Room for `rows` rows with ghosts."""
        if rows > len(self.position):
            for name in ("position", "kick", "_places"):
                old = getattr(self, name)
                new = np.zeros((rows + 64, 2), old.dtype)
                new[:self.n_owned] = old[:self.n_owned]
                setattr(self, name, new)

    def places(self):
        """float64 coordinates (rows, 2) of all rows in [0, length)."""
        if self.whole:
            kernels.to_places(self.n_all, self.position, self.length, self._places)
            return self._places
        if self.arithmetic == "float64":
            return self.position
        self._places[:self.n_all] = self.position[:self.n_all]
        return self._places

    def load(self, position, velocity):
        """Collective. Starts at time 0 from full arrays (N, 2) in reduced units, the same on all ranks; row number = id."""
        position, velocity = np.asarray(position, np.float64), np.asarray(velocity, np.float64)
        fastest = np.abs(velocity).max() * self.timestep
        if not fastest < 0.125 * self.skin:
            raise InputError(f"the fastest disc moves {fastest:.3g} in one step; take a shorter time step")
        self.particles = len(position)
        fraction = np.mod(position / self.length, 1.0)
        rows = (np.rint(fraction * 2.0 ** 53).astype(np.uint64) << np.uint64(11)) if self.whole else (fraction * self.length).astype(self.kind)
        if not self.whole:
            rows[rows >= self.length] = 0
        mine = np.flatnonzero(self.slabs.owner(rows[:, 1]) == self.comm.rank)
        self.set_rows(mine.astype(np.int64), rows[mine], self._counted(velocity[mine] * self.velocity_unit))
        self.backward, self.step, self.moved = False, 0, np.inf
        self.evaluate()
        self.velocity += self.kick[:self.n_owned] // 2 if self.whole else self.kick[:self.n_owned] * self.kind.type(0.5)

    def _counted(self, numbers):
        return np.rint(numbers).astype(np.int64) if self.whole else numbers.astype(self.kind)

    # ---- motion -----------------------------------------------------------------------------------------------------
    def evaluate(self):
        """Collective. Kicks of the present positions, in self.kick[:n_owned]; new lists where discs have moved half the skin."""
        if vote_max(self.comm, self.moved) >= 0.5 * self.skin:
            self._rebuild()
        else:
            self.slabs.refresh(self)
        if self.whole:
            largest = kernels.whole_kicks(self.n_owned, self.n_all, self.position, self.first, self.partner, self.length, self.kick_scale, self.kick)
            if not largest < LARGEST_KICK:
                raise PhysicsError(f"step {self.step}: two discs overlap so far that their force does not fit into a whole number; take a shorter time step")
        else:
            kernels.real_kicks(self.n_owned, self.n_all, self.position, self.first, self.partner, self.numbers, self.kick)
        self.slabs.fold(self)

    def _rebuild(self):
        self.slabs.migrate(self, self.step)
        self.slabs.halo(self)
        places = self.places()
        head, after = np.empty(self.cells ** 2, np.int64), np.empty(self.n_all, np.int64)
        self.first = np.empty(self.n_owned + 1, np.int64)
        while True:
            count = kernels.build_pairs(self.n_owned, self.n_all, places, self.length, self.reach, self.cells, head, after, self.first, self.partner)
            if count <= len(self.partner):
                break
            self.partner = np.empty(count + count // 4, np.int32)
        self.moved = 0.0
        self.rebuilds += 1

    def advance(self, steps):
        """Collective. So many steps in the present direction."""
        for _ in range(steps):
            if self.backward:
                self.evaluate()
                kernels.add_rows(self.n_owned, self.velocity, self.kick)
                self._drift()
            else:
                self._drift()
                self.evaluate()
                kernels.add_rows(self.n_owned, self.velocity, self.kick)
            self.step += 1

    def _drift(self):
        if self.whole:
            square = kernels.whole_drift(self.n_owned, self.position, self.velocity)
        else:
            square = kernels.real_drift(self.n_owned, self.position, self.velocity, self.numbers)
        if not square < 0.25:
            raise PhysicsError(f"step {self.step}: a disc moved {math.sqrt(square) * self.length:.3g} in one step; take a shorter time step")
        self.moved += math.sqrt(square) * self.length           # an upper bound of every disc's displacement since the lists were built

    def reverse(self):
        """All velocities change sign, and the order of a step turns round. Twice is nothing."""
        np.negative(self.velocity, out=self.velocity)
        self.backward = not self.backward

    def add_noise(self, size, seed, replica=0):
        """v += size * normal numbers, of each disc's own."""
        noise = np.empty((self.n_owned, 3))
        normals(*stream_key(seed, "noise", replica), self.ids, self.step, 0, noise)
        self.velocity += self._counted(noise[:, :2] * (size * self.velocity_unit))

    def bathe(self, steps, temperature, friction, seed, replica=0):
        """Collective. Forward steps with a heat bath: after each one v -> keep v + spread * normal (Ornstein-Uhlenbeck)."""
        key = stream_key(seed, "langevin", replica)
        keep = math.exp(-friction * self.timestep)
        spread = math.sqrt(temperature * (1 - keep * keep)) * self.velocity_unit
        for _ in range(steps):
            self.advance(1)
            noise = np.empty((self.n_owned, 3))
            normals(*key, self.ids, self.step, 0, noise)
            self.velocity[:] = self._counted(keep * self.velocity + spread * noise[:, :2])

    # ---- what it is like --------------------------------------------------------------------------------------------
    def gather(self):
        """Collective. (positions (N, 2), velocities (N, 2), kicks of the present positions (N, 2)) as stored, by id; None on ranks other than 0."""
        self.evaluate()
        n = self.n_owned
        parts = self.comm.gather((self.ids, self.position[:n].copy(), self.velocity, self.kick[:n].copy()))
        if parts is None:
            return None
        ids, *columns = (np.concatenate(column) for column in zip(*parts))
        order = np.argsort(ids)
        return tuple(column[order] for column in columns)

    def centred_velocities(self, velocity, kick):
        """(N, 2) float64 at the time of the positions, from what `gather` returns: the mean of the two half-step velocities."""
        sign = 1.0 if self.backward else -1.0
        return (velocity.astype(np.float64) + sign * 0.5 * kick) / self.velocity_unit

    def coordinates(self, position):
        """(N, 2) float64 in [0, length) of positions as stored."""
        if not self.whole:
            return position.astype(np.float64)
        out = np.empty((len(position), 2))
        kernels.to_places(len(position), np.ascontiguousarray(position), self.length, out)
        return out

    def potential_energy(self):
        """Collective. The same number on all ranks, and for any number of them where the positions are."""
        self.slabs.refresh(self)
        mine = kernels.pair_energy(self.n_owned, self.places(), self.first, self.partner, self.length)
        return float(ordered_sum(self.comm, np.array([mine], np.int64))[0] * kernels.ENERGY_UNIT)

    def sha256(self):
        """Collective. Hexadecimal SHA-256 of positions, then velocities, by id, little endian: the same text on every rank."""
        state = self.gather()
        text = None
        if state is not None:
            digest = hashlib.sha256()
            for array in state[:2]:
                digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
            text = digest.hexdigest()
        return self.comm.bcast(text)
