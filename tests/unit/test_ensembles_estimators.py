"""Estimators of the fluctuation theorems against pymbar, exact numbers and each other."""
import math

import numpy as np
import pytest

from hpcnemd.analysis import fluctuation as theorem
from hpcnemd.analysis.fluctuation_pymbar import bar, mbar
from hpcnemd.analysis.fluctuation_rates import exclusion_asymmetry, exclusion_generator, largest_eigenvalue, walk_generating_function
from hpcnemd.analysis.overlap import diagnose, overlap, overlap_warning, tail_shape


def gaussian(dissipation, n_forward, n_reverse, seed, free_energy=0.7):
    """Works with exact Crooks symmetry: P_F of mean dF + d and variance 2 d."""
    draw, width = np.random.default_rng(seed), math.sqrt(2 * dissipation)
    return draw.normal(free_energy + dissipation, width, n_forward), draw.normal(-free_energy + dissipation, width, n_reverse)


CASES = [(2.0, 5000, 3000, 1), (0.3, 400, 2000, 2), (8.0, 3000, 3000, 3), (1.0, 50, 50, 4)]


@pytest.mark.parametrize("case", CASES)
def test_bar_and_the_logistic_intercept_are_those_of_pymbar(case):
    forward, reverse = gaussian(*case)
    peer, mine, fit = bar(forward, reverse), theorem.bennett(forward, reverse), theorem.logistic_regression(forward, reverse)
    assert abs(mine.value - peer.value) < 1e-9 and abs(fit.intercept.value - peer.value) < 1e-9
    # both errors are asymptotic and differ in 1/n: pymbar takes the moments of each direction by itself
    assert mine.error == pytest.approx(peer.error, rel=1.0 / math.sqrt(min(case[1:3]))) and fit.intercept.error == pytest.approx(mine.error, rel=1e-9)
    import pymbar
    assert overlap(forward, reverse, mine.value) == pytest.approx(pymbar.other_estimators.bar_overlap(forward, reverse), abs=1e-6)


def test_errors_have_the_size_of_the_scatter():
    """400 repetitions: the spread of BAR, of the slope and of Jarzynski against their own error estimates. The ratio's standard error is 3.5 %;
    right code fails for fewer than 0.1 % of the seeds (limit 13 %)."""
    found = np.array([[(fit.intercept.value, fit.intercept.error), (fit.slope.value, fit.slope.error), (ahead.value, ahead.error)]
                      for seed in range(400) for forward, reverse in [gaussian(0.5, 400, 300, 1000 + seed)]
                      for fit in [theorem.logistic_regression(forward, reverse)] for ahead in [theorem.jarzynski(forward)[0]]])
    ratio = found[:, :, 0].std(axis=0, ddof=1) / found[:, :, 1].mean(axis=0)
    assert (abs(ratio - 1) < 0.13).all(), ratio
    assert abs(found[:, 0, 0].mean() - 0.7) < 3.3 * found[:, 0, 0].std() / 20
    assert abs(found[:, 1, 0].mean() - 1.0) < 0.03          # a likelihood's maximum has a bias of order 1/n, here 0.01


def test_the_symmetric_slope_finds_the_slope_of_gaussians():
    """Slope 2 mean/variance; three values, each within 3.3 standard errors (0.3 % of the seeds fail)."""
    draw = np.random.default_rng(5)
    for mean, variance in ((1.0, 2.0), (1.5, 1.5), (0.2, 1.0)):
        found = theorem.symmetric_slope(draw.normal(mean, math.sqrt(variance), 40000))
        assert abs(found.distance(2 * mean / variance)) < 3.3
    groups = np.repeat(np.arange(500), 8)
    copies = np.repeat(draw.normal(1.0, math.sqrt(2.0), 500), 8)
    alone, together = theorem.symmetric_slope(copies[::8]), theorem.symmetric_slope(copies, groups)
    assert together.value == pytest.approx(alone.value, rel=1e-9) and together.error == pytest.approx(alone.error, rel=1e-9)
    assert theorem.symmetric_slope(copies).error < 0.5 * together.error


def test_exponential_averages_that_cannot_be_trusted_are_refused():
    """Too wide, too few, and a weight of infinite variance that looks harmless: exp(1.5 x^2) with Var x = 1/4, P(> u) ~ u^(-4/3), k = 3/4."""
    draw = np.random.default_rng(6)
    wide = diagnose(draw.normal(4.5, 3.0, 20000))
    assert not wide.trusted and "cannot be trusted" in wide.warning("the work") and wide.tail > 0.6
    narrow = diagnose(draw.normal(0.5, 1.0, 20000))
    assert narrow.trusted and narrow.warning("the work") is None and narrow.tail < 0.45
    assert narrow.effective == pytest.approx(20000 * math.exp(-1.0), rel=0.1)
    few = diagnose(draw.normal(3.0, math.sqrt(6.0), 15))
    assert not few.trusted and few.needed > 5 and few.effective < 15
    heavy = diagnose(-1.5 * draw.normal(0.0, 0.5, 200000)**2)
    assert not heavy.trusted and heavy.effective > 1000 and heavy.tail == pytest.approx(0.75, abs=0.2)
    bounded = diagnose(1.5 * draw.normal(0.0, 1.0, 2000)**2)
    assert bounded.trusted and bounded.tail < 0


def test_tail_shapes_of_pareto_samples():
    """Exponents 0.3 and 0.9 from 100 000 samples; the fit's standard error is about (1 + k)/sqrt(948)."""
    draw = np.random.default_rng(7)
    for shape in (0.3, 0.9):
        weights = (1.0 - draw.random(100000))**-shape
        assert abs(tail_shape(weights) - shape) < 4 * (1 + shape) / math.sqrt(948)


def test_the_bias_of_the_exponential_average_is_that_of_small_samples():
    """Mean of the estimate over 1500 samples of 50 works against its first-order bias (VarW = 0.5: 0.5 (e^0.5 - 1)/50 = 0.0065)."""
    draw = np.random.default_rng(8)
    works = draw.normal(0.25, math.sqrt(0.5), (1500, 50))
    values = np.array([theorem.jarzynski(one)[0].value for one in works])
    told = np.mean([diagnose(one).bias for one in works])
    assert abs(values.mean() - told) < 3.3 * values.std() / math.sqrt(1500) + 1e-3 and told == pytest.approx(0.0065, rel=0.15)


def test_works_that_do_not_overlap_are_refused():
    forward, reverse = gaussian(400.0, 200, 200, 9)
    with pytest.raises(ValueError, match="do not overlap"):
        theorem.logistic_regression(forward, reverse)
    assert "drive more slowly" in overlap_warning(0.001) and overlap_warning(0.5) is None


def test_mbar_agrees_with_bar_and_with_the_exact_free_energies():
    """Harmonic traps of stiffness 1, 2, 4: dF = ln(k)/2 within 3.5 standard errors (0.1 % of the seeds fail)."""
    draw, stiffness = np.random.default_rng(10), np.array([1.0, 2.0, 4.0])
    x = np.concatenate([draw.normal(0.0, 1 / math.sqrt(k), 4000) for k in stiffness])
    found = mbar(0.5 * stiffness[:, None] * x**2, np.array([4000] * 3))
    for one, k in zip(found[1:], stiffness[1:]):
        assert abs(one.distance(0.5 * math.log(k))) < 3.5
    two = mbar(0.5 * stiffness[[0, 2], None] * np.concatenate([x[:4000], x[8000:]])**2, np.array([4000] * 2))
    mine = theorem.bennett(1.5 * x[:4000]**2, -1.5 * x[8000:]**2)
    assert two[1].value == pytest.approx(mine.value, abs=1e-6)


def test_counting_statistics_have_the_symmetry_of_gallavotti_and_cohen():
    s = np.linspace(-3, 2, 11)
    right, left = 2.0, 0.7
    assert abs(walk_generating_function(s, right, left) - walk_generating_function(-s - math.log(right / left), right, left)).max() < 1e-12
    assert exclusion_asymmetry(7, 3, right, left, s[::2]) < 1e-10
    # one particle on a ring is the walk: s counts turns, a step is s/sites
    assert largest_eigenvalue(exclusion_generator(1.2, 6, 1, right, left)) == pytest.approx(walk_generating_function(0.2, right, left), abs=1e-12)
    # and the symmetry is not there for another affinity
    g = [largest_eigenvalue(exclusion_generator(one, 6, 2, right, left)) for one in (0.5, -0.5 - 5 * math.log(right / left))]
    assert abs(g[0] - g[1]) > 1e-2


def test_the_transient_correlation_of_an_ornstein_uhlenbeck_velocity():
    """<v(t)> = (E/g)(1 - exp(-g t)) from <Omega(0) v(s)>, Omega = E v; its relative error does not depend on E (m = g = T = 1)."""
    draw, times = np.random.default_rng(12), np.linspace(0, 2, 41)
    n, decay = 4000, math.exp(-0.05)
    for field in (1.0, 1e-3):
        v = np.empty((n, 2, 41))
        v[:, 0, 0] = draw.normal(size=n)
        v[:, 1, 0] = -v[:, 0, 0]
        for k in range(40):
            v[:, :, k + 1] = v[:, :, k] * decay + field * (1 - decay) + math.sqrt(1 - decay**2) * draw.normal(size=(n, 2))
        direct, direct_error, through, through_error = theorem.transient_correlation(times, field * v[:, :, 0], v)
        exact = field * (1 - np.exp(-times))
        assert abs(through[-1] - exact[-1]) < 3.3 * through_error[-1] + 1e-3 * exact[-1]
        assert through_error[-1] / exact[-1] < 0.03
        assert abs(direct[-1] - exact[-1]) < 3.3 * direct_error[-1]
    assert direct_error[-1] > exact[-1]                     # at the small field the direct average is lost
