"""Pairs that lists miss and that have come near: against all pairs and images, in upright, tilted and small cells."""
import numpy as np
import pytest

from hpcnemd.core.box import Box
from hpcnemd.kernels.approach import far_rows, newly_near

CELLS = {"large": (Box([22.0, 21.0, 24.0]), 6.0), "smaller than two cutoffs": (Box([7.0, 9.0, 6.5]), 6.0), "smaller than the cutoff": (Box([5.0, 4.0, 9.0]), 6.0),
         "plane": (Box([15.0, 11.0, 1.0], 2), 4.0), "tilted": (Box([17.0, 15.0, 16.0], skew=(0.5, -0.4, 0.3)), 6.0), "tilted and small": (Box([8.0, 7.0, 7.5], skew=(-0.5, 0.45, 0.5)), 6.0)}
SKIN = 0.8


def brute(box, position, before, cutoff):
    """Whether any image of any pair is within the cutoff and was not within cutoff + skin."""
    turns = np.stack(np.meshgrid(*(np.arange(-3, 4) if axis < box.dimensions and box.lengths.max() < 12 else np.arange(-1, 2) if axis < box.dimensions else np.zeros(1) for axis in range(3)), indexing="ij"), -1).reshape(-1, 3)
    shift = turns @ box.matrix
    i, j = np.triu_indices(len(position), 1)
    now = np.linalg.norm((position[i] - position[j])[:, None] + shift, axis=2)
    then = np.linalg.norm((before[i] - before[j])[:, None] + shift, axis=2)
    return bool(((now < cutoff) & (then >= cutoff + SKIN)).any())


@pytest.mark.parametrize("cell", CELLS)
def test_a_pair_that_has_come_near_is_found(cell):
    box, cutoff = CELLS[cell]
    rng, told, n = np.random.default_rng(11), [], 40 if box.lengths.max() < 12 else 80
    for trial in range(30):
        before = box.placed(rng.random((n, 3)) * box.lengths)
        before[:, box.dimensions:] = 0.0
        move = rng.normal(size=(n, 3)) * (np.arange(3) < box.dimensions)
        move *= (rng.uniform(0.0, 0.99 * SKIN, n) ** rng.integers(1, 3) / np.linalg.norm(move, axis=1))[:, None]
        position = before + move
        box.wrap(position, image := np.zeros((n, 3), np.int32))         # what has left the cell comes in again; the lists know the old place
        before = before - box.translation(image.astype(float))
        parts, largest, cuts = np.empty((3, 1 + 6 * n)), np.linalg.norm(move, axis=1).max(), (0, n // 4, n // 2, n)
        for rank in range(3):                                           # which share the particles out among them
            mine = slice(*cuts[rank:rank + 2])
            far_rows(mine.stop - mine.start, position[mine], before[mine], SKIN * (1 - 1e-9) - largest, parts[rank])
        lengths = np.where(np.arange(3) < box.dimensions, box.lengths, 1e300)
        found, wanted = any([newly_near(parts, rank, lengths, box.tilts, cutoff, cutoff + SKIN, 10**6) for rank in range(3)]), brute(box, position, before, cutoff)
        assert found == wanted
        told.append(wanted)
    assert 5 < sum(told) < len(told) - 5                           # both answers were asked for


def test_too_many_are_told_without_a_look():
    parts = np.zeros((1, 1 + 6 * 9))
    parts[0, 0], rows = 9, parts[0, 1:].reshape(9, 6)
    rows[:, :3], rows[:, 3] = np.arange(9.0)[:, None], 0.5
    near = np.full(3, 50.0), np.zeros(3), 6.0, 6.8
    assert not newly_near(parts, 0, *near, 81) and newly_near(parts, 0, *near, 80)
    parts[0, 0] = 10                                                # there was no room for one of them
    assert newly_near(parts, 0, *near, 10**6)
    position, out = np.zeros((5, 3)), np.zeros(1 + 6 * 4)
    for least, count in ((1.7, 5), (1.8, 0)):
        far_rows(5, position + 1.0, position, least, out)
        assert out[0] == count
