"""Load balance: the cuts between bricks move until all ranks have the same work.

Work is counted, not timed: entries of the pair lists, mesh points that particles touch, particles, each with a weight in hundredths of a nanosecond. Whole
numbers add up to the same sum in any order, so that a run repeats bit for bit, and cuts do not depend on how busy a machine is. With `kind` "time" each rank
takes the measured time of its list entries for the first weight instead: such a run is not reproducible.

Cuts are planes through the whole box: along each axis they stand where the work to their left, summed over the other axes, is the fair share."""
import numpy as np

KINDS = ("cost", "time", "none")
# Weights of a list entry, of a mesh point touched and of a particle: fitted by `scaling/weights.py --repeats 5` (double precision, AVX2; the fitted times are met
# within 7 %) and rounded; only their ratios count.
ENTRY, POINT, PARTICLE = 1790, 36, 13100
BINS = 512
EVERY = 20              # list builds between two looks at the balance
ROUNDS = 4              # at the start: moved cuts change which rank lists a pair
TOLERATED = 1.08        # largest over mean work that is left alone
NARROWEST = 0.02        # of a fair brick


class Balance:
    """What moves the cuts of one replica. `order` of the mesh's splines, 0 where there is no mesh."""

    def __init__(self, kind="cost", order=0):
        self.kind, self.particle = kind, PARTICLE + POINT * int(order) ** 3
        self.seconds, self.entries = 0.0, 0         # of the pair part since the last look, where time counts
        self.imbalance = 1.0                        # largest over mean work, as last seen

    def due(self, domain, rebuilds):
        return self.kind != "none" and domain.size > 1 and rebuilds > 0 and rebuilds % EVERY == 0

    def note(self, seconds, entries):
        """Time of one pass through a list of `entries`."""
        self.seconds += seconds
        self.entries += entries

    def entry_weight(self):
        """Weight of a list entry on this rank."""
        if self.kind != "time" or not self.entries:
            return ENTRY
        return max(1, round(1e11 * self.seconds / self.entries))

    def adjust(self, domain, pair, state):
        """Collective over domain.comm. Moves the cuts of `domain` where the work of the lists of `pair` is out of balance; True where they moved."""
        histogram = np.zeros((3, BINS), np.int64)
        mine = pair.add_work(state, self.entry_weight(), self.particle, BINS / domain.box.lengths, histogram)
        self.seconds, self.entries = 0.0, 0
        local = np.concatenate((histogram.ravel(), np.zeros(domain.size, np.int64)))
        local[histogram.size + domain.rank] = mine
        total = np.empty_like(local)
        domain.comm.Allreduce(local, total)
        work = total[histogram.size:]
        self.imbalance = float(work.max() / work.mean()) if work.any() else 1.0
        if self.imbalance <= TOLERATED:
            return False
        fractions = fair_cuts(total[:histogram.size].reshape(3, BINS), domain.grid)
        if all(np.array_equal(new, old) for new, old in zip(fractions, domain.fractions)):
            return False
        domain.move(fractions)
        return True


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
