"""Particles whose owner, place and velocity at each frame are known everywhere: what the tests of this folder store and expect."""
import numpy as np

from hpcnemd.core.box import Box
from hpcnemd.core.state import Species, State

KINDS = Species(("Li", "O"), [7.0, 16.0], [1.0, -2.0], [1.0, -2.0])
BOX = Box([10.0, 11.0, 12.0])


def unwrapped(frame, count):
    """(count, 3) places of all particles, in the order of ids."""
    return np.random.default_rng([7, frame]).uniform(-30, 40, (count, 3))


def velocity(frame, count):
    return np.random.default_rng([8, frame]).normal(size=(count, 3))


def state(comm, frame, count, empty_rank=None):
    """This rank's particles at a frame: owners change all the time, rows are in no order, `empty_rank` owns nothing."""
    draw = np.random.default_rng([9, frame])
    ranks = [r for r in range(comm.size) if r != empty_rank or comm.size == 1]
    owner = np.array(ranks)[draw.integers(0, 1 << 30, count) % len(ranks)]
    mine = np.flatnonzero(owner == comm.rank)
    mine = mine[np.random.default_rng([frame, comm.rank]).permutation(len(mine))]
    return State.of(BOX, KINDS, mine % 2, unwrapped(frame, count)[mine], velocity(frame, count)[mine], ids=mine)
