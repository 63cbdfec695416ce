"""Clouds of points: the growing arm, and three ways back."""
import numpy as np

from ...analysis.entropy import miller_madow, shannon
from ...core.errors import InputError
from ...core.random import generator
from ...kernels import maps
from ...parallel.reduce import ordered_sum
from ...parallel.serial import SerialComm
from ..irreversibility.launched import PreparedEnsemble

ARMS = ("exact", "once", "always")      # the way back: exact inverse; scattered in the cells at the reversal; at every step, out and back
KINDS = {"cat": maps.CAT, "baker": maps.BAKER, "kicked_rotor": maps.ROTOR, "intermittent": maps.INTERMITTENT, "harmonic": maps.HARMONIC,
         "quartic": maps.QUARTIC}
PARAMETERS = {"baker": "baker", "kicked_rotor": "kick", "intermittent": "intermittency", "harmonic": "span", "quartic": "span"}
ORBIT_BLOCKS = 20


class Cloud:
    """Collective over `comm`. This rank's share of the points of one cloud; the numbers of a point depend on its index alone."""

    def __init__(self, comm, name, table, cell, seed):
        self.comm, self.name, self.cells, self.seed = comm, name, table.cells, seed
        self.parameter = float(getattr(table, PARAMETERS[name])) if name in PARAMETERS else 0.0
        self.whole = name == "cat_whole"
        self.first, last = table.points * comm.rank // comm.size, table.points * (comm.rank + 1) // comm.size
        self.x, self.y = np.empty(last - self.first), np.empty(last - self.first)
        maps.fill_cell(cell[0], cell[1], table.cells, self.seed, self.first, self.x, self.y)
        if self.whole:
            self._enter_whole()
        self.counts = np.empty(table.cells**2, np.int64)

    def _enter_whole(self):
        self.x, self.y = ((one * 2.0**53).astype(np.uint64) << np.uint64(11) for one in (self.x, self.y))

    def move(self, forward):
        if self.whole:
            maps.move_whole(forward, self.x, self.y)
        else:
            maps.move_points(KINDS[self.name], self.parameter, forward, self.x, self.y)

    def blur(self, step):
        """Points lose their places inside their cells."""
        if self.whole:
            self.x, self.y = ((one >> np.uint64(11)).astype(np.float64) * 2.0**-53 for one in (self.x, self.y))
        maps.scatter_in_cells(self.cells, self.seed, self.first, step + 1, self.x, self.y)
        if self.whole:
            self._enter_whole()

    def look(self):
        """Collective. (Shannon entropy corrected for sampling, touched cells)."""
        if self.whole:
            maps.count_whole(self.x, self.y, self.cells.bit_length() - 1, self.counts)
        else:
            maps.count_cells(self.x, self.y, self.cells, self.counts)
        counts = ordered_sum(self.comm, self.counts)
        return float(shannon(counts) + miller_madow(counts)), int((counts > 0).sum())


def start_cell(table, name, seed, replica):
    """(column, row) of the cell in which a cloud starts; for the oscillators between a quarter and half of the way from the centre."""
    random = generator(seed, "structure", replica)
    if name in ("harmonic", "quartic"):
        angle, radius = 2 * np.pi * random.random(), 0.125 + 0.125 * random.random()
        return int((0.5 + radius * np.cos(angle)) * table.cells), int((0.5 + radius * np.sin(angle)) * table.cells)
    return int(random.integers(table.cells)), int(random.integers(table.cells))


class CloudModel:
    """`branch_names`: the systems; `rows(comm, branch, ids)` runs them."""
    attributes = {}

    def __init__(self, deck):
        self.deck, self.branch_names = deck, list(deck.cloud.systems)
        t = deck.cloud
        grown, back = (t.steps + 1,), (len(ARMS), 2 * t.turn + 1)
        self.schema = {"entropy": (grown, "<f8", "k_B", "Shannon entropy of the cells, corrected for sampling"),
                       "touched": (grown, "<i8", "", "touched cells"),
                       "entropy_back": (back, "<f8", "k_B", f"out and back; arms: {', '.join(ARMS)}"),
                       "touched_back": (back, "<i8", "", "touched cells, out and back"),
                       "same": ((), "<i8", "", "1 where the exact way back ends in the start cell alone"),
                       "growth": ((ORBIT_BLOCKS,), "<f8", "", "Lyapunov growth per step of an orbit, by block (kicked_rotor)")}

    def warm_up(self):
        """Compiles everything on this rank alone."""
        small = self.deck.cloud.model_copy(update={"points": 8})
        for name in self.branch_names:
            cloud = Cloud(SerialComm(), name, small, (1, 1), 1)
            cloud.move(True)
            cloud.blur(0)
            cloud.move(False)
            cloud.look()
        maps.map_growth(maps.ROTOR, 1.0, 0.0, 1, 1, np.array([0.1, 0.1]), 1, np.zeros((1, 2)))

    def rows(self, comm, branch, ids):
        """Collective over `comm`. {dataset: (len(ids), ...)} of replicas of one system, on all its ranks."""
        runs = [self._one(comm, self.branch_names[branch.number], int(replica)) for replica in ids]
        return {name: np.array([run[name] for run in runs]) for name in self.schema}

    def _one(self, comm, name, replica):
        t, seed = self.deck.cloud, self.deck.run.seed
        cell = start_cell(t, name, seed, replica)
        point_seed = int(generator(seed, "shuffle", replica).integers(2**62))
        cloud = Cloud(comm, name, t, cell, point_seed)
        looks = [cloud.look()]
        for _ in range(t.steps):
            cloud.move(True)
            looks.append(cloud.look())
        back = [self._arm(Cloud(comm, name, t, cell, point_seed), arm) for arm in ARMS]
        growth = np.zeros((ORBIT_BLOCKS, 2))
        if name == "kicked_rotor" and t.orbit:
            maps.map_growth(maps.ROTOR, t.kick, 0.0, ORBIT_BLOCKS, t.orbit // ORBIT_BLOCKS, generator(seed, "noise", replica).random(2), point_seed, growth)
            growth /= t.orbit // ORBIT_BLOCKS
        return {"entropy": [one[0] for one in looks], "touched": [one[1] for one in looks], "entropy_back": [[one[0] for one in arm] for arm in back],
                "touched_back": [[one[1] for one in arm] for arm in back], "same": int(back[0][-1][1] == 1), "growth": growth[:, 0]}

    def _arm(self, cloud, arm):
        looks = [cloud.look()]
        turn = self.deck.cloud.turn
        for step in range(2 * turn):
            if arm == "always" or arm == "once" and step == turn:
                cloud.blur(step)
            cloud.move(step < turn)
            looks.append(cloud.look())
        return looks


def prepare(deck, base="."):
    """PreparedEnsemble of a Deck; starts no MPI. Raises InputError. `base` is not needed: the deck names no files."""
    t = deck.cloud
    if len(t.systems) != len(set(t.systems)):
        raise InputError("cloud.systems: a system is named twice; name each once")
    return PreparedEnsemble(deck, CloudModel(deck))
