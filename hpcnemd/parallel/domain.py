"""A rank's brick of the box, and the four verbs that carry all particle traffic: `migrate`, `halo`, `refresh`, `fold`.

Owned particles move to the owner of their place (migrate); copies of those near another brick are sent to it (halo), and followed (refresh)
until the lists are built anew; the forces on the copies are sent home and added (fold). On one rank the same code makes the periodic images.
"""
import numpy as np

from ..core.errors import InputError
from .bricks import coordinate_of, rank_at, routes_of, uniform_cuts
from .displacement import check_halo, lists_hold, report_runaways
from .distribution import gather_sorted, scatter
from .exchange import HaloPlan, add_forces, fold, ghost_calls, halo, own_images, refresh, send_forces
from .migration import migrate

__all__ = ["Domain", "add_forces", "check_halo", "fold", "gather_sorted", "ghost_calls", "halo", "lists_hold", "migrate", "own_images", "refresh", "report_runaways", "scatter", "send_forces"]


class Domain:
    """The brick of this rank of `comm`, on a grid of bricks (3 ints, x slowest in rank order) that fills the box.

    `halo_width` (angstrom): ghosts are the images within it, on the half of the surroundings that makes every pair once, or on the `whole` of them (for forces of
    more than pairs); it may exceed bricks and box. `cuts`: 3 arrays of grid + 1 edges from 0 to the box
    length (default: equal bricks), in upright coordinates as `lower` and `upper`; the same on all ranks. Raises InputError where grid, ranks, box or cuts do not fit together.
    """

    def __init__(self, comm, box, grid, halo_width, cuts=None, whole=False):
        self.comm, self.box = comm, box
        self.rank, self.size = comm.rank, comm.size
        self.grid = tuple(int(count) for count in grid)
        self.halo_width = float(halo_width)
        self._whole = whole
        self.cuts = uniform_cuts(box, self.grid) if cuts is None else [np.array(edges, dtype=np.float64) for edges in cuts]
        self.fractions = [edges / length for edges, length in zip(self.cuts, box.lengths)]
        self._settle()
        self.known_ids = None               # (n,) ids owned after the last migrate: what must still be there at the next
        self.sight = None                   # parallel.reduce.Parts of `lists_hold`
        self.expected = None                # (count, sum of ids) over all ranks

    def _settle(self):
        """All that follows from the cuts."""
        self._check()
        self.coordinate = coordinate_of(self.rank, self.grid)
        self._find_edges()
        self.reroute()

    def _find_edges(self):
        self.lower = np.array([self.cuts[axis][self.coordinate[axis]] for axis in range(3)])
        self.upper = np.array([self.cuts[axis][self.coordinate[axis] + 1] for axis in range(3)])

    def move(self, fractions):
        """Other cuts from here on, the same on all ranks, as `fractions` (3 arrays, from 0 to 1) of the box: particles must migrate and ghosts be built anew
        before anything else is done with them."""
        self.fractions = [np.array(edges, dtype=np.float64) for edges in fractions]
        self.cuts = [edges * length for edges, length in zip(self.fractions, self.box.lengths)]
        self._settle()

    def reroute(self):
        """Who owes which copies to whom in the box as it is; `halo` calls it after the box has changed."""
        self.incoming, self.outgoing = routes_of(self.rank, self.box, self.grid, self.cuts, self.halo_width, self._whole)
        self.plan = HaloPlan(self.rank, self.incoming, self.outgoing)
        self.routed = True

    def rescale(self, box):
        """Take another box: the bricks keep their fractions of it. Ghosts that are there stay the same copies, `refresh` moves them along."""
        self.box, self.routed = box, False
        self.cuts = [edges * length for edges, length in zip(self.fractions, box.lengths)]
        self._find_edges()
        self.plan.shift[:] = box.translation(self.plan.turns)

    def _check(self):
        problems = []
        if int(np.prod(self.grid)) != self.size or min(self.grid) < 1:
            problems.append(f"grid {list(self.grid)} has {int(np.prod(self.grid))} domains for {self.size} ranks")
        if any(count != 1 for count in self.grid[self.box.dimensions:]):
            problems.append(f"grid {list(self.grid)}: the box has {self.box.dimensions} dimensions, the other axes must be 1")
        if not 0 <= self.halo_width < np.inf:
            problems.append(f"halo width {self.halo_width} angstrom: a finite number of at least 0 is needed")
        for axis, edges in enumerate(self.cuts):
            if len(edges) != self.grid[axis] + 1 or edges[0] != 0 or edges[-1] != self.box.lengths[axis] or np.any(np.diff(edges) <= 0):
                problems.append(f"cuts along {'xyz'[axis]}: {self.grid[axis] + 1} rising edges from 0 to {self.box.lengths[axis]} are needed")
        if problems:
            raise InputError(problems)

    def rank_at(self, coordinate):
        """The rank at an unwrapped grid coordinate."""
        return rank_at([c % n for c, n in zip(coordinate, self.grid)], self.grid)
