"""Correlations at all lags of a run while it goes on, in bounded memory: no trajectory is needed.

Level l sees every 2^l-th sample of a displacement, keeps the last few, and pairs each new one with them (the multiple-tau correlator of Ramirez, Sukumaran,
Vorselaars and Likhtman, J. Chem. Phys. 133, 154103 (2010), in the order-n form of Frenkel and Smit, Understanding Molecular Simulation, 4.4.2). Its
differences are averages of the current over 2^l samples, so that zero-frequency noise is kept exactly at every level. A level begins when the one
below it has filled its ring, from which it takes its first entries: lags need not be planned, and nothing depends on the length of the run.
"""
import numpy as np

POINTS = 16             # lags of a level; those below half of it repeat what the level below knows better
TRACER_POINTS = 8       # the ring of tracers holds all particles


class Levels:
    """`levels`: list of dictionaries with `ring` (points + 1, *shape), `taken`, and the sums of the subclass, all arrays."""

    def __init__(self, points):
        self.points, self.levels = points, []

    def add(self, value, level=0):
        """One sample: an array, the same shape each time."""
        points = self.points
        if level == len(self.levels):
            self.levels.append({"ring": np.zeros((points + 1,) + value.shape), "taken": np.zeros(1, np.int64), **self._sums(value)})
        here = self.levels[level]
        index = int(here["taken"][0])
        ring = here["ring"]
        ring[index % (points + 1)] = value
        here["taken"][0] += 1
        reach = min(index, points)
        if reach:
            self._pair(here, ring[(index - np.arange(reach + 1)) % (points + 1)])
        if index == points:
            for k in range(0, points + 1, 2):
                self.add(ring[k].copy(), level + 1)
        elif index > points and index % 2 == 0:
            self.add(value, level + 1)

    def _sums(self, value):
        raise NotImplementedError

    def _pair(self, here, latest):
        """`latest` (reach + 1, *shape): the new sample and those before it."""
        raise NotImplementedError

    def rows(self):
        """{name: array} of everything, for a checkpoint."""
        return {f"{name}_{k}": array for k, level in enumerate(self.levels) for name, array in level.items()}

    def restore(self, rows):
        """From `rows()`, bit for bit."""
        self.levels = []
        names = dict.fromkeys(name.rpartition("_")[0] for name in rows)         # in their order: a checkpoint must not depend on that of a set
        while f"taken_{len(self.levels)}" in rows and len(rows[f"taken_{len(self.levels)}"]):
            k = len(self.levels)
            self.levels.append({name: np.array(rows[f"{name}_{k}"]) for name in names})

    def table(self, name, count, first=1):
        """(rows, *shape) mean of the sums `name` over its pairs at the lags `lags(points, count, first)`; nan where no pair was far enough apart."""
        shape = self.levels[0][name].shape[1:] if self.levels else ()
        out = np.full((len(lags(self.points, count, first)),) + shape, np.nan)
        row = 0
        for level, chosen in enumerate(_chosen(self.points, count, first)):
            if level < len(self.levels):
                here = self.levels[level]
                for k in chosen:
                    pairs = here["taken"][0] - k - (1 - first)
                    if pairs > 0:
                        out[row + k - chosen[0]] = here[name][k - first] / pairs
            row += len(chosen)
        return out


def _chosen(points, count, first):
    """Ranges of the lags that each level contributes, for `count` samples."""
    level, chosen = 0, []
    while level == 0 or (count - 1) >> level > points // 2:
        chosen.append(range(first if level == 0 else points // 2 + first, points + first))
        level += 1
    return chosen


def lags(points, count, first=1):
    """(rows,) lags in samples of a table over `count` samples: from 1 for displacements, from 0 (`first`) for products of differences."""
    return np.array([k << level for level, chosen in enumerate(_chosen(points, count, first)) for k in chosen], np.int64)


def strides(points, count, first=1):
    """(rows,) samples between two neighbours of the level of each row of `lags`."""
    return np.array([1 << level for level, chosen in enumerate(_chosen(points, count, first)) for _ in chosen], np.int64)


class Displacements(Levels):
    """Of a vector (n,): `spread` (points, n, n) sums of dx dx at lags 1 to points, `correlation` (points, n, n) sums of the products of a difference with
    one that lies 0 to points - 1 earlier."""

    def __init__(self, points=POINTS):
        super().__init__(points)

    def _sums(self, value):
        shape = (self.points, len(value), len(value))
        return {"spread": np.zeros(shape), "correlation": np.zeros(shape)}

    def _pair(self, here, latest):
        moved = latest[0] - latest[1:]
        here["spread"][:len(moved)] += moved[:, :, None] * moved[:, None, :]
        steps = latest[:-1] - latest[1:]
        here["correlation"][:len(steps)] += steps[0][None, :, None] * steps[:, None, :]


class Tracers(Levels):
    """Of positions (N, 3) with `members` (list of index arrays, one for each species): `square` (points, s, 3), mean squared displacements."""

    def __init__(self, members, points=TRACER_POINTS):
        super().__init__(points)
        self.members = members

    def _sums(self, value):
        return {"square": np.zeros((self.points, len(self.members), 3))}

    def _pair(self, here, latest):
        for k in range(1, len(latest)):
            square = (latest[0] - latest[k]) ** 2
            for s, who in enumerate(self.members):
                if len(who):
                    here["square"][k - 1, s] += square[who].mean(axis=0)
