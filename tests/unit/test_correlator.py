"""The multiple-tau correlators against direct sums and FFTs over the whole stored series."""
import numpy as np
import pytest

from hpcnemd.analysis.einstein import mean_square
from hpcnemd.dynamics import correlator
from hpcnemd.dynamics.correlator import Displacements, Tracers


def filled(path, points=correlator.POINTS):
    made = Displacements(points)
    for value in path:
        made.add(value)
    return made


@pytest.mark.parametrize("samples", (2, 16, 17, 18, 200, 1001))
def test_spread_is_the_mean_square_of_the_stored_series(samples):
    """Every lag of every level: the FFT over the series thinned to that level's samples, for all products of components, to round-off."""
    path = np.random.default_rng(1).standard_normal((samples, 3)).cumsum(axis=0)
    found = filled(path).table("spread", samples)
    lag, stride = correlator.lags(correlator.POINTS, samples), correlator.strides(correlator.POINTS, samples)
    assert len(found) == len(lag) and len(set(lag)) == len(lag) and np.all(np.diff(lag) > 0)
    scale = np.abs(path).max() ** 2
    for row, (k, step) in enumerate(zip(lag // stride, stride)):
        thin = path[::step]
        if k >= len(thin):
            assert np.isnan(found[row]).all()
            continue
        for a in range(3):
            for b in range(3):
                both, apart = (mean_square(thin[:, a] + sign * thin[:, b], int(k))[k] for sign in (1, -1))
                assert found[row, a, b] == pytest.approx((both - apart) / 4, abs=1e-12 * scale)


def test_correlation_is_that_of_the_currents_of_the_stored_series():
    """By numpy's full correlation of the differences at each level; the order of the species counts: V_a is the later one."""
    path = np.random.default_rng(2).standard_normal((333, 2)).cumsum(axis=0)
    found = filled(path).table("correlation", 333, first=0)
    lag, stride = (f(correlator.POINTS, 333, 0) for f in (correlator.lags, correlator.strides))
    assert lag[0] == 0 and lag[-1] > 333 / 2
    reached = 0
    for row, (k, step) in enumerate(zip(lag // stride, stride)):
        current = np.diff(path[::step], axis=0)
        n = len(current)
        if k >= n:
            assert np.isnan(found[row]).all()
            continue
        for a in range(2):
            for b in range(2):
                whole = np.correlate(current[:, a], current[:, b], "full")[n - 1 + k]
                assert found[row, a, b] == pytest.approx(whole / (n - k), abs=1e-11)
        reached += 1
    assert reached > 40


def test_tracers_are_the_mean_over_particles_and_origins():
    place = np.random.default_rng(3).standard_normal((75, 5, 3)).cumsum(axis=0)
    members = [np.array([0, 2, 3]), np.array([], int), np.array([1, 4])]
    made = Tracers(members)
    for frame in place:
        made.add(frame)
    found = made.table("square", 75)
    for row, (lag, step) in enumerate(zip(correlator.lags(correlator.TRACER_POINTS, 75), correlator.strides(correlator.TRACER_POINTS, 75))):
        thin = place[::step]
        moved = (thin[lag // step:] - thin[:len(thin) - lag // step]) ** 2
        assert found[row, 0] == pytest.approx(moved[:, members[0]].mean(axis=(0, 1)), rel=1e-12)
        assert found[row, 2] == pytest.approx(moved[:, members[2]].mean(axis=(0, 1)), rel=1e-12)
        assert not found[row, 1].any()


def test_a_restored_correlator_goes_on_bit_for_bit():
    path = np.random.default_rng(4).standard_normal((260, 4)).cumsum(axis=0)
    whole = filled(path).rows()
    for stop in (0, 1, 16, 17, 100, 259):
        half, rest = filled(path[:stop]), Displacements()
        rest.restore({name: array.copy() for name, array in half.rows().items()})
        for value in path[stop:]:
            rest.add(value)
        again = rest.rows()
        assert list(again) == list(whole) and all(np.array_equal(again[name], whole[name]) for name in whole)


def test_memory_grows_with_the_logarithm_of_the_run():
    assert len(filled(np.zeros((4096, 1))).levels) == 9
    assert len(filled(np.zeros((4097, 1))).levels) == 10                   # level k + 1 begins with sample 16 x 2^k
    assert len(correlator.lags(correlator.POINTS, 4097)) == 16 + 8 * 8
