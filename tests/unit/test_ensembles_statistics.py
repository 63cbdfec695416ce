"""Mergeable statistics, protocols, batches, and the random numbers in lanes."""
import math

import numpy as np
import pytest

from hpcnemd.core.random import stream_key
from hpcnemd.ensembles.campaign import Branch, batches, branches, broken_rows, leaf_ranges, padded, tree_merge
from hpcnemd.ensembles.protocol import cycle, protocol
from hpcnemd.ensembles.statistics import Correlator, Covariance, ExponentialAverage, Histogram, Moments
from hpcnemd.kernels.lane_normals import fill_normals
from hpcnemd.kernels.philox import philox4x32

rng = np.random.default_rng(3)
DATA = rng.gamma(2.0, size=(1001, 3)) + 100.0               # a mean far from 0: naive sums of squares would lose digits
GOOD = rng.random(1001) > 0.1
CUTS = [0, 7, 8, 300, 301, 850, 1001]


def pieces(of):
    return [of(slice(a, b)) for a, b in zip(CUTS[:-1], CUTS[1:])]


def test_merged_moments_are_those_of_the_whole():
    whole = DATA[GOOD]
    merged = tree_merge(pieces(lambda s: Moments.of(DATA[s], GOOD[s])))
    d = whole - whole.mean(axis=0)
    assert merged.count == len(whole)
    np.testing.assert_allclose(merged.mean, whole.mean(axis=0), rtol=1e-14)
    for k, power in enumerate((2, 3, 4)):
        np.testing.assert_allclose(merged.sums[k], (d**power).sum(axis=0), rtol=1e-11)
    np.testing.assert_allclose(merged.error, whole.std(axis=0, ddof=1) / math.sqrt(len(whole)), rtol=1e-12)


def test_merged_covariances_histograms_and_correlators_are_those_of_the_whole():
    whole = DATA[GOOD]
    merged = tree_merge(pieces(lambda s: Covariance.of(DATA[s], GOOD[s])))
    np.testing.assert_allclose(merged.covariance, np.cov(whole.T), rtol=1e-10)
    edges = np.linspace(100.5, 104, 9)
    counted = tree_merge(pieces(lambda s: Histogram.of(DATA[s, 0], GOOD[s], edges)))
    np.testing.assert_array_equal(counted.counts, np.histogram(whole[:, 0], edges)[0])
    assert counted.below + counted.above + counted.counts.sum() == len(whole) and counted.below and counted.above
    later = tree_merge(pieces(lambda s: Correlator.of(DATA[s, 0], DATA[s], GOOD[s])))
    np.testing.assert_allclose(later.mean, (whole[:, :1] * whole).mean(axis=0), rtol=1e-13)
    with pytest.raises(ValueError, match="edges"):
        counted.merge(Histogram.of(DATA[:, 0], GOOD, edges + 1))


def test_exponential_averages_do_not_overflow():
    x = np.concatenate([rng.normal(-2000.0, 2.0, 500), rng.normal(900.0, 3.0, 500)])
    good = np.ones(1000, bool)
    merged = tree_merge([ExponentialAverage.of(x[s], good[s]) for s in (slice(0, 500), slice(500, 1000))])
    top = -x.min()
    weight = np.exp(-x - top)
    assert merged.log_mean == pytest.approx(top + math.log(weight.mean()), rel=1e-14)
    assert merged.effective_size == pytest.approx(weight.sum()**2 / (weight**2).sum(), rel=1e-12)


def test_a_leaf_without_good_replicas_changes_nothing():
    none = np.zeros(1001, bool)
    for of in (lambda g: Moments.of(DATA, g), lambda g: Covariance.of(DATA, g), lambda g: ExponentialAverage.of(DATA[:, 0], g)):
        empty, full = of(none), of(GOOD)
        assert empty.merge(full) is full and full.merge(empty) is full and empty.merge(empty).count == 0


def test_a_protocol_read_from_its_end_is_its_reverse():
    plan = protocol(lambda t: (1.5 * t, 1.0 + t**2), 2.0, 5)
    np.testing.assert_allclose(plan.values[1:-1, 0], 1.5 * (np.arange(5) + 0.5) * 0.4)
    back = plan.reversed()
    np.testing.assert_array_equal(back.values, plan.values[::-1])
    np.testing.assert_array_equal(back.reversed().values, plan.values)
    assert plan.duration == 2.0 and not plan.is_symmetric() and protocol(lambda t: t, 0.0, 0).steps == 0


@pytest.mark.parametrize("steps", [4, 5, 40])
def test_cycles_are_their_own_reverse_to_the_last_bit(steps):
    one = cycle(lambda t: (math.cos(2 * math.pi * t / 3.0), 1.0), 3.0, steps)
    assert one.is_symmetric() and one.repeated(3).is_symmetric() and one.repeated(3).steps == 3 * steps
    np.testing.assert_allclose(one.values[1:-1, 0], np.cos(2 * np.pi * (np.arange(steps) + 0.5) / steps), atol=1e-15)
    with pytest.raises(ValueError, match="ends where it starts"):
        protocol(lambda t: t, 1.0, 4).repeated(2)


def test_batches_hold_every_missing_replica_once_and_stay_in_their_ranges():
    there = branches(("forward", "reverse"), 1000)
    done = np.random.default_rng(1).random(2000) < 0.4
    found = batches(there, 64, done)
    rows = np.concatenate([branch.first + ids for branch, ids in found])
    np.testing.assert_array_equal(np.sort(rows), np.flatnonzero(~done))
    assert all(len(ids) <= 64 and len(set(ids // 64)) == 1 for _, ids in found)
    whole = batches(there, 64, np.zeros(2000, bool))
    assert [(ids[0], ids[-1] + 1) for _, ids in whole] == 2 * leaf_ranges(Branch("", 0, 0, 1000), 64)
    np.testing.assert_array_equal(padded(np.array([5, 9]), 8), [5, 9, 9, 9, 9, 9, 9, 9])


def test_broken_replicas_are_named():
    rows = {"a": np.ones((4, 2)), "n": np.zeros(4, np.int64), "b": np.array([0.0, np.nan, np.inf, 1.0])}
    rows["a"][3, 1] = np.nan
    assert broken_rows(rows, 4) == {3: "a is not finite", 1: "b is not finite", 2: "b is not finite"}


def test_lane_normals_are_philox_and_box_muller():
    key = np.array(stream_key(7, "noise"), np.int64)
    ids = np.array([0, 1, 2, 3, 77, 10**6, 2**31, 2**32 - 1], np.int64)
    out = np.empty(16)
    fill_normals(key, ids, 3, 2**31 + 5, 19, out)
    for k, one in enumerate(ids):
        a, b, c, d = (int(x) for x in philox4x32(np.uint32(one), np.uint32(2**31 + 5), np.uint32(19), np.uint32(3), np.uint32(key[0]), np.uint32(key[1])))
        u, v = ((x << 20 | y >> 12) * 2.0**-52 + 2.0**-53 for x, y in ((a, b), (c, d)))
        r = math.sqrt(-2 * math.log(u))
        np.testing.assert_allclose([out[k], out[8 + k]], [r * math.sin(2 * math.pi * v), r * math.cos(2 * math.pi * v)], rtol=0, atol=1e-14)


@pytest.mark.parametrize("n", [8, 16, 40])
def test_a_lane_normal_is_the_same_in_any_company(n):
    """To the last bit: eight at a time, or groups that are worked on side by side and what is left over."""
    key, ids = np.array(stream_key(7, "noise"), np.int64), np.arange(n) * 12345 + 2**31
    together, eight = np.empty(2 * n), np.empty(16)
    fill_normals(key, ids, 3, 2**32 - 1, 19, together)
    for k in range(0, n, 8):
        fill_normals(key, ids[k:k + 8], 3, 2**32 - 1, 19, eight)
        assert np.array_equal(eight.reshape(2, 8), together.reshape(2, n)[:, k:k + 8])


def test_lane_normals_are_normal():
    """Kolmogorov-Smirnov on 2^18 numbers, and the correlation of the two of a pair; fixed seed. Right code fails for 0.2 % of the seeds."""
    from scipy import stats
    key, n = np.array(stream_key(11, "noise"), np.int64), 1 << 17
    out = np.empty(2 * n)
    fill_normals(key, np.arange(n), 0, 1, 0, out)
    assert stats.kstest(out, "norm").pvalue > 1e-3
    assert abs((out[:n] * out[n:]).mean()) < 3.3 / math.sqrt(n)
