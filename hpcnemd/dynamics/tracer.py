"""Mean squared displacements of single particles: at short lags with every sampled frame as an origin, and at all lags of the run in bounded memory."""
import numpy as np

from ..parallel.domain import gather_sorted
from .correlator import Tracers
from .observers import Observer


class TracerDisplacements(Observer):
    """Every `every` steps from `first`, `count` frames at most; `lags` multiples of the interval. Displacements are relative to the framework where
    there is one. Positions meet on rank 0 of the domain communicator; `sum` (lags, s, 3) angstrom^2 and `pairs` (lags,) live there,
    and so does `ladder`, the Tracers of all lags."""

    def __init__(self, every, first, count, lags, n_species):
        super().__init__(every)
        self.first, self.count, self.lags, self.taken = first, count, min(lags, max(1, count - 1)), 0
        self.sum = np.zeros((self.lags, n_species, 3))
        self.pairs = np.zeros(self.lags, np.int64)
        self.ring = None
        self.oldest = 0             # number of the first frame that the ring may hold: after a run was lengthened it lacks earlier ones
        self.ladder = Tracers([])

    def due(self, step):
        return step >= self.first and (step - self.first) % self.every == 0 and self.taken < self.count

    def observe(self, sim):
        """Collective."""
        state = sim.state
        parts = gather_sorted(sim.comm, state, ("species", "unwrapped"))
        self.taken += 1
        if sim.comm.rank != 0:
            return
        species, place = parts["species"], parts["unwrapped"]
        rest = ~sim.colour.mobile & (sim.colour.counts > 0)
        mass = sim.colour.mass[species]
        frame = rest[species]
        if frame.any():
            place -= (mass[frame, None] * place[frame]).sum(0) / mass[frame].sum()
        if self.ring is None:
            self.ring = np.zeros((self.lags,) + place.shape)
        members = [np.flatnonzero(species == s) for s in range(len(sim.colour.mass))]
        self.ladder.members = members
        self.ladder.add(place)
        for lag in range(1, min(self.lags, self.taken - 1 - self.oldest) + 1):
            square = (place - self.ring[(self.taken - 1 - lag) % self.lags]) ** 2
            for s, who in enumerate(members):
                if len(who):
                    self.sum[lag - 1, s] += square[who].mean(axis=0)
            self.pairs[lag - 1] += 1
        self.ring[(self.taken - 1) % self.lags] = place

    def averages(self):
        """(lags, s, 3) angstrom^2 on rank 0; nan where no pair of frames was far enough apart."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.sum / self.pairs[:, None, None]

    def tree(self):
        return {"taken": np.int64(self.taken), "lags": np.int64(self.lags), "oldest": np.int64(self.oldest), "ladder": self.ladder.rows()}

    def rows(self):
        """What rank 0 holds; the other ranks have no rows."""
        ring = np.zeros((0, 0, 3)) if self.ring is None else self.ring
        return {"tracer_sum": self.sum, "tracer_pairs": self.pairs, "tracer_ring": ring}

    def restore(self, tree, rows):
        """`rows`: the arrays of `rows()`; on other ranks than the first they are empty."""
        self.taken, self.oldest = int(tree["taken"]), int(tree.get("oldest", 0))
        if len(rows["tracer_pairs"]):
            self.ladder.restore(tree.get("ladder", {}))
            kept = min(self.lags, len(rows["tracer_pairs"]))
            self.sum[:kept], self.pairs[:kept] = rows["tracer_sum"][:kept], rows["tracer_pairs"][:kept]
            ring = rows["tracer_ring"]
            if len(ring) and len(ring) == self.lags:
                self.ring = np.array(ring)
            elif len(ring):                     # a longer run has more lags: the stored frames keep their distance from the present one
                self.ring = np.zeros((self.lags,) + ring.shape[1:])
                self.oldest = max(self.oldest, self.taken - len(ring))
                for lag in range(min(len(ring), self.taken, self.lags)):
                    self.ring[(self.taken - 1 - lag) % self.lags] = ring[(self.taken - 1 - lag) % len(ring)]
