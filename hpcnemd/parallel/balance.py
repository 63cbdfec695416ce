"""Load balance: the cuts between bricks move until all ranks have the same work.

Work is counted, not timed: entries of the pair lists, mesh points that particles touch, particles, each with a weight in hundredths of a nanosecond. Whole
numbers add up to the same sum in any order, so that a run repeats bit for bit, and cuts do not depend on how busy a machine is. With `kind` "time" the counted work of a
rank is scaled to the time that its steps have taken, without their waits for messages, and looked at several times a second: for cores of unequal speed, also where that comes and goes
with the other users of a machine. Such a run is not reproducible.

Cuts are planes through the whole box: along each axis they stand where the work to their left, summed over the other axes, is the fair share."""
import numpy as np

from .reduce import gathered

KINDS = ("cost", "time", "none")
# Weights of a list entry, of a mesh point touched and of a particle: fitted by `scaling/weights.py --repeats 5` (double precision, AVX2; the fitted times are met
# within 7 %) and rounded; only their ratios count.
ENTRY, POINT, PARTICLE = 1790, 36, 13100
BINS = 512
EVERY = 20              # list builds between two looks at the balance, at most where time is measured:
SECONDS = 0.1           # of work between them, since what others do on a machine comes and goes within a second
ROUNDS = 4              # at the start: moved cuts change which rank lists a pair
TOLERATED = {"cost": 1.08, "time": 1.05}        # largest over mean work that is left alone: to move cuts takes as long as a step or two of 1500 ions
UNEQUAL = 2.0           # times the mean, within which a rank's time for its work is believed
FOLLOW, REMEMBER = (0.014, 0.02), 0.95          # how much of a difference of pace will be there still: regression of paces on those of the look before, what it begins with, and by how much it forgets in a look
NARROWEST = 0.02        # of a fair brick


class Balance:
    """What moves the cuts of one replica. `order` of the mesh's splines, 0 where there is no mesh."""

    def __init__(self, kind="cost", order=0):
        self.kind, self.particle = kind, PARTICLE + POINT * int(order) ** 3
        self.nanoseconds, self.steps = 0, 0         # of work since the last look, and the steps that were made
        self._looked = self._due = 0                # rebuilds at the last look and at the next, where time is measured
        self._last, self._follow = None, np.array(FOLLOW)       # log of the paces (ranks,) of the last look; sums of their products with those before, and of squares
        self.imbalance = 1.0                        # largest over mean work, as last seen

    def due(self, domain, rebuilds):
        if self.kind == "none" or domain.size == 1 or rebuilds == 0:
            return False
        return rebuilds % EVERY == 0 if self.kind == "cost" else rebuilds >= self._due

    def note(self, nanoseconds, steps):
        """So many steps have taken so long, without their waits."""
        self.nanoseconds += nanoseconds
        self.steps += steps

    def adjust(self, domain, pair, state, rebuilds=0):
        """Collective over domain.comm. Moves the cuts of `domain` where the work of the lists of `pair` is out of balance; True where they moved. `rebuilds` made so far."""
        histogram = np.zeros((3, BINS), np.int64)
        mine = pair.add_work(state, ENTRY, self.particle, BINS / domain.box.lengths, histogram)
        local = np.concatenate((histogram.ravel(), np.zeros(domain.size, np.int64)))
        local[histogram.size + domain.rank] = mine
        if self.kind == "time":
            local = np.rint(local * self._pace(domain.comm, mine, rebuilds)).astype(np.int64)
        total = np.empty_like(local)
        domain.comm.Allreduce(local, total)
        work = total[histogram.size:]
        self.imbalance = float(work.max() / work.mean()) if work.any() else 1.0
        if self.imbalance <= TOLERATED[self.kind]:
            return False
        fractions = fair_cuts(total[:histogram.size].reshape(3, BINS), domain.grid)
        if all(np.array_equal(new, old) for new, old in zip(fractions, domain.fractions)):
            return False
        domain.move(fractions)
        return True

    def _pace(self, comm, mine, rebuilds):
        """Collective. The time that this rank is expected to take for its work, which counts `mine`, over what the mean of all ranks is: what it has taken, as far as such differences have stayed
        from one look to the next; 1 where one has made no steps. Says when the next look is due."""
        spent, steps, counted = gathered(comm, np.array([self.nanoseconds, self.steps, mine], np.int64)).T
        self.nanoseconds, self.steps = 0, 0
        past, self._looked = max(rebuilds - self._looked, 1), rebuilds
        self._due = rebuilds + 1
        if not (steps.all() and counted.all()):
            return 1.0
        self._due = rebuilds + min(max(round(1e9 * SECONDS * past / spent.max()), 1), EVERY)
        pace = spent / steps / counted
        pace = np.log(np.clip(pace / pace.mean(), 1.0 / UNEQUAL, UNEQUAL))
        if self._last is not None:
            self._follow = REMEMBER * self._follow + [pace @ self._last, self._last @ self._last]
        self._last, (along, squares) = pace, self._follow
        return float(np.exp(min(max(along / squares, 0.0), 1.0) * pace[comm.rank]))


def fair_cuts(histogram, grid):
    """Cuts (3 arrays of grid + 1 edges, as fractions of the box) that part the work of `histogram` (3, bins) evenly along each axis, no brick narrower than
    NARROWEST."""
    cuts = []
    for work, parts in zip(histogram, grid):
        heights = np.concatenate(([0], np.cumsum(work + 1)))       # rises everywhere, also where nothing is
        edges = np.interp(np.arange(parts + 1) * (heights[-1] / parts), heights, np.linspace(0.0, 1.0, len(heights)))
        least = NARROWEST / parts
        for k in range(1, parts):
            edges[k] = min(max(edges[k], edges[k - 1] + least), 1.0 - (parts - k) * least)
        edges[0], edges[-1] = 0.0, 1.0
        cuts.append(edges)
    return cuts
