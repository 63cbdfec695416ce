"""The reciprocal part of the Ewald sum by structure factors: the reference, and the choice for small cells.

Every rank adds up its own particles; the structure factors are summed over ranks in rank order. Boundary: the surrounding medium conducts."""
import numpy as np

from ..core.units import COULOMB
from ..kernels.ewald import reciprocal_forces, structure_factors
from ..parallel.reduce import ordered_sum
from ..parallel.serial import SerialComm
from .coulomb import MeshResult, self_energy


def half_space(kmax, box=None):
    """Rows of integer k-vectors (see kernels.ewald) inside the ellipsoid with half axes `kmax` (3 ints), one of each pair k, -k; in a tilted `box` inside the
    largest sphere |k| <= 2 pi kmax / edge."""
    kmax = np.maximum(np.asarray(kmax, dtype=np.int64), 1)
    x, y = np.meshgrid(np.arange(kmax[0] + 1), np.arange(-kmax[1], kmax[1] + 1), indexing="ij")
    if box is not None and box.tilted:
        return _half_sphere(kmax, x.ravel(), y.ravel(), box)
    left = 1.0 - (x / kmax[0]) ** 2 - (y / kmax[1]) ** 2
    keep = (left > -1e-12) & ((x > 0) | (y >= 0))
    x, y = x[keep], y[keep]
    reach = np.floor(kmax[2] * np.sqrt(np.maximum(left[keep], 0.0)) + 1e-9).astype(np.int64)
    low = np.where((x == 0) & (y == 0), 1, -reach)
    high = reach + 1
    start = np.concatenate(([0], np.cumsum(high - low)))
    return x.astype(np.int64), y.astype(np.int64), low, high, start[:-1].copy(), int(start[-1]), kmax


def _half_sphere(kmax, x, y, box):
    metric = np.linalg.inv(box.matrix @ box.matrix.T) / (kmax / box.edges).min() ** 2
    middle = -(metric[0, 2] * x + metric[1, 2] * y) / metric[2, 2]
    left = (1.0 - metric[0, 0] * x**2 - metric[1, 1] * y**2 - 2.0 * metric[0, 1] * x * y) / metric[2, 2] + middle**2
    reach = np.sqrt(np.maximum(left, 0.0)) + 1e-9
    low = np.where((x == 0) & (y == 0), 1, np.ceil(middle - reach)).astype(np.int64)
    high = np.floor(middle + reach).astype(np.int64) + 1
    keep = (left > -1e-9) & (high > low) & ((x > 0) | (y >= 0))
    x, y, low, high = x[keep], y[keep], low[keep], high[keep]
    start = np.concatenate(([0], np.cumsum(high - low)))
    return x.astype(np.int64), y.astype(np.int64), low, high, start[:-1].copy(), int(start[-1]), kmax


class Ewald:
    """Reciprocal Ewald sum over all k-vectors inside the ellipsoid `settings.kmax`, at splitting `settings.beta`.

    `box` in three dimensions, `kinds` a Species, `domain` an object with `.comm`, or None on one rank.
    `remove_net_force` is there for the interface: the exact sum has none beyond round-off."""

    def __init__(self, settings, box, kinds, domain=None, remove_net_force=True):
        self.settings, self.box, self.kinds = settings, box, kinds
        self.comm = SerialComm() if domain is None else domain.comm
        self._choose()
        self.rescale(box)

    def _choose(self):
        """The k-vectors of the box as it is."""
        x, y, low, high, start, count, size = half_space(self.settings.kmax, self.box)
        self.rows, self.size, self.count = (x, y, low, high, start), size, count
        length = high - low
        row = np.repeat(np.arange(len(x)), length)
        z = np.arange(count) - start[row] + low[row]
        self._index = np.stack([x[row], y[row], z], axis=1)
        self.local = np.empty((2, count))

    def rescale(self, box):
        """Take another box, with the same k-vectors in units of its own (in a tilted one: those of its sphere, which a change of shape can move)."""
        settings, self.box = self.settings, box
        if box.tilted:
            self._choose()
        self.k = 2 * np.pi * (self._index @ np.linalg.inv(box.matrix).T if box.tilted else self._index / box.lengths)
        square = (self.k ** 2).sum(1)
        # eV per squared charge sum: E = sum over half of the k-vectors of weight |S|^2
        self.weight = COULOMB * 4 * np.pi / box.volume * np.exp(-square / (4 * settings.beta ** 2)) / square
        self.stretch = 2.0 * (1.0 / square + 0.25 / settings.beta ** 2)

    def start(self, state):
        """Nothing sets out beforehand."""

    def compute(self, state, observe=True):
        """Collective. Adds the reciprocal forces to state.force[:n_owned]; returns a MeshResult (its net force is 0 to round-off and not removed)."""
        result = self.finish(state, observe)
        return MeshResult(result.energy, result.virial, self.settle(state))

    def settle(self, state, share=None):
        """Collective. The net force over all ranks, (3,); with `share` (7,) nothing is asked of other ranks."""
        if share is not None:
            share[:] = 0.0
            return None
        return ordered_sum(self.comm, self.net)

    def finish(self, state, observe=True):
        """Collective. `compute` but for the sum of the net force over ranks."""
        n, local = state.n_owned, self.local
        charge, place = state.charge(), self.box.upright(state.position[:n])
        structure_factors(place, charge, n, self.box.lengths, self.size, *self.rows, local[0], local[1])
        total = ordered_sum(self.comm, local)
        weighted = 2.0 * self.weight * total
        force = np.zeros((n, 3))
        reciprocal_forces(place, charge, n, self.box.lengths, self.size, *self.rows, weighted[0], weighted[1], force)
        self.box.lay_back(force)
        state.force[:n] += force
        self.net = net = force.sum(0)
        if not observe:
            return MeshResult(None, None, net)
        modes = self.weight * (local * total).sum(0)
        energy = float(modes.sum())
        virial = energy * np.eye(3) - np.einsum("k,ka,kb->ab", modes * self.stretch, self.k, self.k)
        return MeshResult(energy + self_energy(self.settings.beta, charge), virial, net)
