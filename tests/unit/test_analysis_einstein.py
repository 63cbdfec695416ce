"""Equilibrium estimators on an exactly integrated Ornstein-Uhlenbeck charge displacement: sigma = n q^2 / (m gamma)."""
import math

import langevin_ions
import numpy as np
import pytest
from langevin_ions import COUNT, EXACT, FRICTION, ION_MASS, KT, TEMPERATURE, VOLUME

from hpcnemd.analysis import blocks, einstein

SAMPLE = 20.0


def displacement(rng, length, replicas=1, count=COUNT):
    """P(t) (replicas, length + 1, 3) in e angstrom."""
    return langevin_ions.displacement(rng, length, SAMPLE, (replicas, 3), count).transpose(0, 2, 1)


def test_intervals_of_both_estimators_hold_the_exact_value():
    # 300 runs. At the same settings and other seeds 94 % and 95.5 % were inside: 89 % is 4 standard deviations lower
    rng = np.random.default_rng(40)
    inside = {"green_kubo": 0, "einstein": 0}
    values, seen = [], 0
    for _ in range(300):
        paths = einstein.paths_of(displacement(rng, 3000))
        window = einstein.choose_window(paths)
        seen += window.independent
        estimate = einstein.green_kubo(paths, SAMPLE, VOLUME, TEMPERATURE, window.samples)
        values.append(estimate.value)
        inside["green_kubo"] += estimate.low < EXACT < estimate.high
        other = einstein.einstein(paths, SAMPLE, VOLUME, TEMPERATURE, einstein.einstein_window(paths, window.samples))
        inside["einstein"] += other.low < EXACT < other.high
    assert seen >= 285                  # 1 % of the runs may look correlated at every window; 5 % have a chance below 1e-6
    assert all(0.89 <= n / 300 <= 0.99 for n in inside.values()), inside
    assert np.mean(values) == pytest.approx(EXACT, rel=0.05)             # 0.7 % standard error, 2 % from the choice of windows


def test_error_of_green_kubo_is_its_scatter_at_a_fixed_window():
    # 400 runs: the scatter is known to 3.5 %; bound 15 %
    rng = np.random.default_rng(41)
    made = [einstein.green_kubo(einstein.paths_of(displacement(rng, 2000)), SAMPLE, VOLUME, TEMPERATURE, 32) for _ in range(400)]
    assert np.std([e.value for e in made]) == pytest.approx(EXACT * math.sqrt(8 / 3 * 32 / 6000), rel=0.15)
    assert np.mean([e.relative for e in made]) == pytest.approx(math.sqrt(8 / 3 * 32 / 6000), rel=0.03)


def test_running_green_kubo_integral_follows_the_exact_exponential():
    # integral to t: sigma (1 - exp(-gamma t)), averaged over one sample; 40 replicas, 3 % at the longest cut, 5 standard errors
    paths = einstein.paths_of(displacement(np.random.default_rng(42), 3000, replicas=40))
    cut, value, error = einstein.green_kubo_curve(paths, SAMPLE, VOLUME, TEMPERATURE, 20, EXACT)
    x, step = FRICTION * cut, FRICTION * SAMPLE
    exact = EXACT * (1 - np.exp(-x) * math.sinh(step / 2) / (step / 2))
    assert np.all(np.abs(value - exact) < 5 * error + 1e-3 * EXACT)
    assert error[-1] < 0.04 * EXACT


def test_mean_square_by_fft_is_the_direct_average():
    path = np.cumsum(np.random.default_rng(1).standard_normal(57)) + 1e3
    direct = [np.mean((path[lag:] - path[:len(path) - lag]) ** 2) for lag in range(30)]
    assert einstein.mean_square(path, 29) == pytest.approx(direct, rel=1e-9, abs=1e-9)


def test_a_path_ends_where_data_end():
    array = np.zeros((2, 10, 3))
    array[1, 6:] = np.nan
    assert [len(path) for path in einstein.paths_of(array, axes=(1, 2))] == [10, 10, 6, 6]


def test_curve_has_the_short_time_bias_that_is_known():
    # einstein at window w is sigma (1 - (1 - exp(-g w))/(g w)): 5 standard errors
    paths = einstein.paths_of(displacement(np.random.default_rng(43), 4000, replicas=20))
    for window, estimate in einstein.einstein_curve(paths, SAMPLE, VOLUME, TEMPERATURE):
        x = FRICTION * window
        assert abs(estimate.value - EXACT * (1 - (1 - math.exp(-x)) / x)) < 5 * estimate.error


def test_free_ions_have_haven_ratio_one():
    # 30 replicas x 3 axes of 56 tracers each: D to 1.5 %, sigma to 3 %; 4 standard errors
    rng = np.random.default_rng(44)
    lags = np.arange(0, 60) * SAMPLE
    msd, collective = [], []
    for _ in range(30):
        tracers = displacement(rng, 1500, replicas=COUNT, count=1)
        collective.append(tracers.sum(axis=0))
        msd += [np.mean([einstein.mean_square(t[:, axis], 59) for t in tracers], axis=0) for axis in range(3)]
    d = einstein.diffusion(np.array(msd), lags, 500.0)
    assert abs(d.value - KT / (ION_MASS * FRICTION)) < 4 * d.error + 1e-3 * d.value and d.relative < 0.03
    uncorrelated = einstein.nernst_einstein([d], [1.0], [COUNT], VOLUME, TEMPERATURE)
    assert uncorrelated.value == pytest.approx(EXACT, rel=4 * uncorrelated.relative)
    paths = einstein.paths_of(np.array(collective))
    sigma = einstein.green_kubo(paths, SAMPLE, VOLUME, TEMPERATURE, einstein.choose_window(paths).samples)
    ratio = einstein.haven(uncorrelated, sigma)
    assert abs(ratio.value - 1) < 4 * ratio.error and ratio.error < 0.12


def test_windows_for_the_plain_estimator_shrink_with_the_data():
    paths = einstein.paths_of(displacement(np.random.default_rng(45), 100))
    assert einstein.einstein_window(paths, 3) == 12
    assert einstein.einstein_window(paths, 40) == 0
    assert blocks.count(blocks.merge(einstein.increments(paths), 12)) == 24


def test_caged_charge_has_no_conductivity_and_an_honest_error():
    # white noise in place of P(t): bounded, so that the conductivity is zero. Neighbouring lags differ by chance alone.
    rng = np.random.default_rng(46)
    inside = 0
    for _ in range(100):
        estimate = einstein.green_kubo(list(rng.standard_normal((3, 400))), SAMPLE, VOLUME, TEMPERATURE, 20)
        inside += estimate.low < 0 < estimate.high
        assert estimate.error > 0
    assert inside >= 95         # the error is that of a diffusing charge with this displacement per window, an upper bound here
