"""Oracle of the particle exchange: all pairs of particle images within a width, straight from the definition, in plain numpy.

The pair function is u(r) = w_i w_j (1 - r^2 / R^2)^3 for r < R: smooth, short, and different for every pair through the weights w = 1 + species + id / 7.
"""
import itertools

import numpy as np

from hpcnemd.core.box import Box
from hpcnemd.core.state import Species, State

KINDS = Species(("A", "B"), [1.0, 2.0], [1.0, -1.0], [1.0, -1.0])


def weights(ids, species):
    return 1.0 + species + ids / 7.0


def shape_and_slope(d2, width):
    """u / (w w) and -(du/dr) / r / (w w); 0 outside."""
    x = np.where(d2 < width * width, 1.0 - d2 / width ** 2, 0.0)
    return x ** 3, 6.0 * x ** 2 / width ** 2


def all_pairs(box, ids, species, position, width):
    """(number of pairs, energy, forces (n, 3)) over every pair of images once, and every particle with its own images."""
    w = weights(ids, species)
    position = position.copy()
    box.wrap(position, np.zeros(position.shape, np.int64))
    reach = [int(np.ceil(width / box.heights[axis])) + 1 if axis < box.dimensions else 0 for axis in range(3)]
    count, energy, force = 0, 0.0, np.zeros_like(position)
    for turn in itertools.product(*(range(-r, r + 1) for r in reach)):
        r = position[:, None] - (position[None] + np.array(turn) @ box.matrix)
        d2 = np.sum(r * r, axis=2)
        if turn == (0, 0, 0):
            np.fill_diagonal(d2, np.inf)
        u, slope = shape_and_slope(d2, width)
        count += int(np.sum(d2 <= width * width))
        energy += 0.5 * float(np.sum(w[:, None] * w[None] * u))
        force += np.einsum("i,j,ij,ijk->ik", w, w, slope, r)
    return count // 2, energy, force


def my_pairs(state, width):
    """(number, energy) of the pairs this rank sees; adds the forces to all rows of state.force, ghosts too."""
    n, m = state.n_owned, state.n_all
    w = weights(state.id[:m], state.species[:m])
    r = state.position[:n, None] - state.position[None, :m]
    d2 = np.sum(r * r, axis=2)
    d2[np.tril_indices(n, 0, m)] = np.inf           # owned pairs once; owned-ghost pairs all
    u, slope = shape_and_slope(d2, width)
    pull = (w[:n, None] * w[None] * slope)[..., None] * r
    state.force[:n] += pull.sum(axis=1)
    state.force[:m] -= pull.sum(axis=0)
    return int(np.sum(d2 <= width * width)), float(np.sum(w[:n, None] * w[None] * u))


def particles(lengths, dimensions, n, seed, clustered=False, skew=(0.0, 0.0, 0.0)):
    """A State that owns n random particles; clustered: all in one corner of the box."""
    rng, box = np.random.default_rng(seed), Box(lengths, dimensions, skew)
    position = rng.uniform(0.0, 1.0, (n, 3)) * box.lengths * (0.3 if clustered else 1.0)
    position[:, dimensions:] = 0.0
    position = box.placed(position)
    velocity = rng.normal(size=(n, 3))
    return State.of(box, KINDS, rng.integers(0, 2, n), position, velocity, ids=rng.permutation(5 * n)[:n])


CASES = [               # lengths, dimensions, n, halo width, clustered
    ([13.17] * 3, 3, 40, 11.0, False),
    ([13.17] * 3, 3, 30, 11.0, True),
    ([6.0, 7.0, 8.0], 3, 12, 9.0, False),
    ([20.0, 5.0, 9.0], 3, 40, 3.0, False),
    ([9.0, 4.0, 1.0], 2, 30, 5.0, False),
    ([12.0, 17.0, 1.0], 2, 30, 2.5, True),
    ([10.0, 1.0, 1.0], 1, 15, 2.0, False),
    ([3.0, 1.0, 1.0], 1, 4, 7.5, False),
    ([15.0, 15.0, 15.0], 3, 1, 16.0, False),
    ([15.0, 15.0, 15.0], 3, 0, 5.0, False),
]


def tilted_cells(count, seed=20):
    """[(lengths, skew, n, halo width)]: random cells, edges of 4 to 16 angstrom and any reduced tilt, halos below and above the cell; the first ones at the largest
    tilts of either sign."""
    rng, cells = np.random.default_rng(seed), []
    for k in range(count):
        skew = rng.uniform(-0.5, 0.5, 3) if k >= 4 else 0.5 * np.array([[1, 1, 1], [-1, -1, -1], [1, -1, 1], [-1, 1, 1]][k])
        cells.append((rng.uniform(4.0, 16.0, 3), skew, int(rng.integers(1, 30)), float(rng.uniform(2.0, 9.0))))
    return cells
