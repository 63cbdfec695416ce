"""Block statistics against processes whose answer is known. Seeds are fixed; the chance that correct code fails is given with each bound."""
import math

import numpy as np
import pytest
from scipy import stats

from hpcnemd.analysis import blocks, stationarity


def autoregressive(rng, correlation, replicas, length, mean=0.0):
    """x[t] = correlation x[t-1] + noise, stationary, unit variance: the variance of its mean is (1+c)/(1-c)/n."""
    x = np.empty((replicas, length))
    x[:, 0] = rng.standard_normal(replicas)
    noise = rng.standard_normal((replicas, length)) * math.sqrt(1 - correlation ** 2)
    for t in range(1, length):
        x[:, t] = correlation * x[:, t - 1] + noise[:, t]
    return list(x + mean)


def test_unfinished_blocks_are_left_out_and_holes_are_refused():
    array = np.array([[1.0, 2.0, np.nan], [3.0, np.nan, np.nan], [np.nan] * 3])
    rows = blocks.rows_of(array, [2, 1, 0])
    assert [list(row) for row in rows] == [[1.0, 2.0], [3.0]]
    assert blocks.mean(rows) == 2.0
    with pytest.raises(ValueError):
        blocks.rows_of(array, [3, 1, 0])


def test_merging_drops_the_front_and_never_crosses_replicas():
    assert [list(row) for row in blocks.merge([np.arange(5.0), np.arange(3.0)], 2)] == [[1.5, 3.5], [1.5]]


@pytest.mark.parametrize("correlation, least", [(0.0, 0.92), (0.4, 0.88), (-0.4, 0.92)])
def test_intervals_hold_the_mean_as_often_as_they_say(correlation, least):
    # 400 runs of 2 x 60 blocks; the bound is 3 standard deviations (0.011) below what was seen at other seeds (0.95, 0.92, 0.96): < 0.2 %
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(400):
        estimate = blocks.mean_estimate(autoregressive(rng, correlation, 2, 60, mean=5.0))
        hits += estimate.low < 5.0 < estimate.high
    assert least <= hits / 400 <= 0.99


def test_error_of_a_correlated_series_and_its_integrated_time():
    # 8 x 4000 blocks with c = 0.8: both the error and tau are known to about 4 %; 20 % is 5 standard deviations
    rows = autoregressive(np.random.default_rng(5), 0.8, 8, 4000)
    exact = math.sqrt((1.8 / 0.2) / 32000)
    assert blocks.mean_estimate(rows).error == pytest.approx(exact, rel=0.2)
    tau, error = blocks.integrated_time(rows)
    assert tau == pytest.approx(4.5, abs=5 * error) and error < 0.5
    table = blocks.reblock(rows)
    assert table[0][2] == pytest.approx(1 / math.sqrt(32000), rel=0.03)          # the naive error, three times too small
    factor, n, error, own = next(row for row in table if row[0] >= 64)
    assert abs(error - exact) < 5 * own + 0.05 * exact


def test_replicas_that_differ_widen_the_error():
    # blocks that repeat within a replica carry no information: the lag-1 correlation is 1 and no length passes
    rows = [np.full(32, value) + 1e-3 * np.sin(np.arange(32)) for value in (1.0, 2.0, 3.0, 4.0)]
    level = blocks.choose_level(rows)
    assert not level.independent and level.factor == 8
    assert blocks.mean_estimate(rows, level=level).error > 0.25


def test_blocks_shorter_than_a_known_memory_are_merged():
    rows = list(np.random.default_rng(6).standard_normal((2, 40)))
    assert blocks.choose_level(rows, alpha=0.0).factor == 1
    assert blocks.choose_level(rows, alpha=0.0, least=3.5).factor >= 4
    assert not blocks.choose_level(rows, least=50.0).independent


def test_jackknife_of_a_ratio_matches_error_propagation():
    rng = np.random.default_rng(2)
    up, down = [4 + 0.1 * rng.standard_normal(200)], [2 + 0.1 * rng.standard_normal(200)]
    level = blocks.Level(1, True, 1.0)
    value, error, dof = blocks.jackknife(lambda a, b: a / b, [up, down], level)
    assert value == up[0].mean() / down[0].mean() and dof == 199
    by_hand = value * math.sqrt((up[0].var(ddof=1) / 16 + down[0].var(ddof=1) / 4 - 2 * np.cov(up[0], down[0])[0, 1] / 8) / 200)
    assert error == pytest.approx(by_hand, rel=0.01)


def test_running_mean_ends_at_the_estimate():
    rows = autoregressive(np.random.default_rng(8), 0.0, 3, 50, 1.0) + [np.ones(20)]
    level = blocks.choose_level(rows)
    number, value, error = blocks.running(rows, level)
    whole = blocks.mean_estimate(rows, level=level)
    assert len(number) == 50 and value[-1] == pytest.approx(whole.value, rel=1e-13) and error[-1] == pytest.approx(whole.error, rel=1e-13)
    assert value[0] == pytest.approx(np.mean([row[0] for row in rows]))


def test_infinite_bounds_become_null_in_json():
    estimate = blocks.Estimate(1.0, math.nan, 0, 0.5, math.inf, "S/m", "x")
    assert estimate.as_dict()["interval95"] == [0.5, None] and estimate.as_dict()["error"] is None


def test_settling_is_silent_on_settled_runs_and_finds_a_drift():
    # 300 settled runs: p < 0.01 should come in 1 % of them (3); 12 or more has a chance of 1e-4
    rng = np.random.default_rng(21)
    p = np.array([stationarity.settling(autoregressive(rng, 0.0, 2, 40)).p for _ in range(300)])
    assert (p < 0.01).sum() < 12
    # a relaxation of five standard deviations over the first tenth: the power of either test is > 0.999
    rows = [row + 5 * np.exp(-np.arange(80) / 8) for row in autoregressive(rng, 0.0, 2, 80)]
    assert stationarity.settling(rows, blocks.Level(1, True, 1.0)).p < 1e-3
    trend = [row + np.linspace(0, 3, 80) for row in autoregressive(rng, 0.0, 2, 80)]
    found = stationarity.settling(trend, blocks.Level(1, True, 1.0))
    assert found.p_trend < 1e-6 and found.slope == pytest.approx(3.04, abs=5 * found.slope_error)


def test_settling_of_too_few_blocks_or_a_constant():
    assert math.isnan(stationarity.settling([np.array([1.0, 2.0, 3.0])]).p)
    assert stationarity.settling([np.ones(20)]).p_trend == 1.0


def test_neighbour_correlation_is_standard_normal_for_white_noise():
    # Kolmogorov-Smirnov at 0.1 % over 400 series of 3 x 40
    rng = np.random.default_rng(4)
    z = [blocks.neighbour_correlation(list(rng.standard_normal((3, 40))))[1] for _ in range(400)]
    assert stats.kstest(z, "norm").pvalue > 1e-3
