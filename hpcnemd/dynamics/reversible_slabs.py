"""Slabs of a square box across y for discs in a plane: the four verbs for rows of whole numbers or floats.

Each pair of neighbouring slabs is shared by the lower one: its ghosts are the discs of the slab above that are near their common face."""
import numpy as np

from ..core.errors import InputError, PhysicsError
from ..parallel.launch import agree_on_errors


class Slabs:
    """Collective over `comm`. One slab per rank, of equal heights. `reach`: range of the lists. Raises InputError for more ranks than fit:
    a slab must be twice as high as the reach, else two ranks would see the same pair through both faces."""

    def __init__(self, comm, length, reach):
        fitting = int(length / (2 * reach))
        if comm.size > 1 and comm.size > fitting:
            raise InputError(f"{comm.size} ranks share a box of length {length:.4g}: a slab must be at least {2 * reach:.3g} high; "
                             f"start at most {max(1, fitting)} ranks per replica")
        self.comm, self.length, self.reach = comm, length, reach
        self.above, self.below = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
        self.sent = np.empty(0, np.int64)

    def owner(self, y):
        """Rank of each coordinate y (n,): uint64 fractions of the box or floats in [0, length)."""
        if y.dtype == np.uint64:
            return ((y >> np.uint64(32)) * np.uint64(self.comm.size) >> np.uint64(32)).astype(np.int64)
        return np.minimum((np.asarray(y, np.float64) * (self.comm.size / self.length)).astype(np.int64), self.comm.size - 1)

    def migrate(self, gas, step):
        """Collective. Discs move to their owners; ghosts are dropped. Raises PhysicsError where the count of discs changes."""
        if self.comm.size == 1:
            return
        n = gas.n_owned
        owner = self.owner(gas.position[:n, 1])
        parts = []
        for rank in range(self.comm.size):
            rows = np.flatnonzero(owner == rank)
            parts.append((gas.ids[rows], gas.position[rows], gas.velocity[rows]))
        ids, position, velocity = (np.concatenate(column) for column in zip(*self.comm.alltoall(parts)))
        gas.set_rows(ids, position, velocity)
        total = sum(self.comm.allgather(len(ids)))
        agree_on_errors(self.comm, None if total == gas.particles else PhysicsError(f"step {step}: {gas.particles} discs became {total}"))

    def halo(self, gas):
        """Collective. Ghosts of the slab above; remembers which rows are ghosts below."""
        if self.comm.size == 1:
            return
        y = gas.places()[:gas.n_owned, 1] - self.comm.rank * self.length / self.comm.size
        self.sent = np.flatnonzero(y <= self.reach)
        count = np.empty(1, np.int64)
        self.comm.Sendrecv(np.array([len(self.sent)], np.int64), self.below, 0, count, self.above, 0)
        gas.reserve(gas.n_owned + int(count[0]))
        gas.n_all = gas.n_owned + int(count[0])
        self.refresh(gas)

    def refresh(self, gas):
        """Collective. New positions of the ghosts."""
        if self.comm.size > 1:
            self.comm.Sendrecv(gas.position[self.sent], self.below, 1, gas.position[gas.n_owned:gas.n_all], self.above, 1)

    def fold(self, gas):
        """Collective. Kicks of the ghosts go home. Whole numbers: the order of the sum does not matter."""
        if self.comm.size > 1:
            home = np.empty((len(self.sent), 2), gas.kick.dtype)
            self.comm.Sendrecv(gas.kick[gas.n_owned:gas.n_all], self.above, 2, home, self.below, 2)
            gas.kick[self.sent] += home
