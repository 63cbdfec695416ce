"""Entropies of counts and velocities, and the maps: exact integers, exact averages, exact inverses."""
import math

import numpy as np
import pytest

from hpcnemd.analysis import entropy as estimators
from hpcnemd.kernels import maps

MAPS = [(maps.CAT, 0.0), (maps.BAKER, 0.2), (maps.ROTOR, 10.0), (maps.INTERMITTENT, 3.0), (maps.HARMONIC, 3.0), (maps.QUARTIC, 3.0)]


def cloud(cell, cells, points, seed=5):
    x, y = np.empty(points), np.empty(points)
    maps.fill_cell(*cell, cells, seed, 0, x, y)
    return x, y


def whole(x):
    return (x * 2.0**53).astype(np.uint64) << np.uint64(11)


def touched(x, y):
    counts = np.empty(4**8, np.int64)
    maps.count_whole(x, y, 8, counts)
    return int((counts > 0).sum())


def test_the_cat_map_touches_fibonacci_numbers_of_cells_and_comes_back():
    x, y = (whole(one) for one in cloud((100, 37), 256, 400000))
    start = x.copy(), y.copy()
    out = [touched(x, y)]
    for _ in range(6):
        maps.move_whole(True, x, y)
        out.append(touched(x, y))
    assert out == [1, 4, 12, 33, 88, 232, 609] == [estimators.cat_cells(t) for t in range(7)]
    back = []
    for _ in range(6):
        maps.move_whole(False, x, y)
        back.append(touched(x, y))
    assert back == out[-2::-1]
    assert (x == start[0]).all() and (y == start[1]).all()


def test_the_whole_cat_map_is_the_matrix_modulo_two_to_the_64():
    x, y = np.array([2**63 + 5, 17], np.uint64), np.array([2**63 + 9, 2**64 - 3], np.uint64)
    a, b = x.tolist(), y.tolist()
    maps.move_whole(True, x, y)
    assert x.tolist() == [(p + q) % 2**64 for p, q in zip(a, b)]
    assert y.tolist() == [(p + 2 * q) % 2**64 for p, q in zip(a, b)]


@pytest.mark.parametrize(("kind", "parameter"), MAPS)
def test_inverse_and_area(kind, parameter):
    """Forward and back is the identity; the Jacobian's determinant, by differences, is 1."""
    random = np.random.default_rng(2)
    x, y = 0.3 + 0.4 * random.random(300), 0.3 + 0.4 * random.random(300)
    a, b = x.copy(), y.copy()
    maps.move_points(kind, parameter, True, a, b)
    maps.move_points(kind, parameter, False, a, b)
    assert np.abs(a - x).max() < 1e-14 and np.abs(b - y).max() < 1e-14
    h, sides = 1e-6, []
    for dx, dy in ((h, 0), (-h, 0), (0, h), (0, -h)):
        p, q = x + dx, y + dy
        maps.move_points(kind, parameter, True, p, q)
        sides.append((p, q))
    jacobian = [[(sides[2 * k][c] - sides[2 * k + 1][c]) / (2 * h) for k in (0, 1)] for c in (0, 1)]
    determinant = jacobian[0][0] * jacobian[1][1] - jacobian[0][1] * jacobian[1][0]
    smooth = np.abs(np.array(jacobian)).max(axis=(0, 1)) < 1e4         # not across a cut of the square
    assert smooth.mean() > 0.98
    np.testing.assert_allclose(determinant[smooth], 1.0, atol=2e-7 * max(1.0, np.abs(np.array(jacobian)[..., smooth]).max() ** 2))


def test_the_intermittent_map_keeps_the_uniform_measure():
    """Chi squared of 100 cells; the chance that correct code fails is 1e-4."""
    random = np.random.default_rng(3)
    x, y = random.random(200000), random.random(200000)
    for _ in range(3):
        maps.move_points(maps.INTERMITTENT, 4.0, True, x, y)
    counts = np.histogram2d(x, y, 10, [[0, 1], [0, 1]])[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 161.3


def test_rates_that_are_known():
    assert estimators.baker_rate(0.2) == pytest.approx(0.50040, abs=1e-5) and estimators.baker_rate(0.1) == pytest.approx(0.32508, abs=1e-5)
    for length in (1, 5, 10):
        assert estimators.baker_words(0.2, length) == pytest.approx(length * estimators.baker_rate(0.2), rel=1e-12)
    assert estimators.intermittent_rate(2.0) == pytest.approx(0.5, abs=1e-9)        # -int (u/2) ln(u/2) + (1 - u/2) ln(1 - u/2), by hand
    u = (np.arange(200000) + 0.5) / 200000
    w = 0.5 * u**3
    assert estimators.intermittent_rate(4.0) == pytest.approx((-w * np.log(w) - (1 - w) * np.log1p(-w)).mean(), abs=1e-9)


def test_in_its_own_cells_the_baker_map_grows_at_its_rate():
    """Cells are words of the symbols of the next 6 steps: a cloud in one of them spreads over words whose entropy is t h in the mean over start cells. The start is
    uniform on the square here, which is that mean: the entropy of 6 symbols given the 6 before, from the map itself. Error about 1e-3; asked: 1 %."""
    random = np.random.default_rng(4)
    x, y = random.random(300000), random.random(300000)
    word = np.zeros(len(x), np.int64)
    for _ in range(6):
        word = 2 * word + (x >= 0.2)
        maps.move_points(maps.BAKER, 0.2, True, x, y)
    counts = np.bincount(word)
    assert estimators.shannon(counts) + estimators.miller_madow(counts) == pytest.approx(6 * estimators.baker_rate(0.2), rel=0.01)


def test_entropy_of_counts():
    counts = np.array([[1, 3, 0, 4], [5, 0, 0, 0]])
    p = np.array([1, 3, 4]) / 8
    np.testing.assert_allclose(estimators.shannon(counts), [-(p * np.log(p)).sum(), 0.0], atol=1e-15)
    np.testing.assert_allclose(estimators.miller_madow(counts), [2 / 16, 0.0])
    assert estimators.recovery(1.0, 3.0, 1.5) == 0.75
    assert estimators.crossing([1, 2, 3], [1.0, 0.8, 0.2], 0.5) == 2.5 and math.isnan(estimators.crossing([1, 2], [1.0, 0.9], 0.5))


def test_h_of_maxwell_velocities():
    """The mean for finite numbers at constant energy, by simulation: 5000 samples of 100 velocities, 4 standard errors (chance 6e-5), ten times sharper than the
    1/(2n) that constant energy takes from the mean of independent velocities; the limit of large numbers is Maxwell's value."""
    random, edges, samples = np.random.default_rng(6), estimators.energy_edges(1.0), []
    for _ in range(5000):
        velocity = random.normal(size=(100, 2))
        velocity -= velocity.mean(axis=0)
        samples.append(estimators.boltzmann_h(velocity * math.sqrt(2 * 100 * 1.1 / (velocity**2).sum()), edges)[0])
    wanted, error = estimators.expected_h(100, edges, 1.1), np.std(samples) / math.sqrt(5000)
    assert error < 0.1 / (2 * 100) and abs(np.mean(samples) - wanted) < 4 * error
    assert abs(wanted - estimators.maxwell_h(1.1)) > 0.02                               # the bias is larger than the signal
    assert estimators.expected_h(10**6, edges, 1.0) == pytest.approx(estimators.maxwell_h(1.0, edges[1]), abs=5e-5)
    assert estimators.maxwell_h(1.0, 1e-3) == pytest.approx(estimators.maxwell_h(1.0), abs=1e-6)
    speeds = np.column_stack([np.cos(np.arange(500.0)), np.sin(np.arange(500.0))])
    assert estimators.fourth_moment(speeds) == pytest.approx(-0.5)
    assert estimators.boltzmann_h(speeds, edges)[1] == 1
