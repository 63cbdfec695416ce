"""Fits over a series of runs, on synthetic data with a known answer: Arrhenius line and curvature, sigma without drive, the tensor, the speed-up.

Coverage tests use one fixed seed; for independent standard normal distances z of N trials the mean of z^2 is within 4.5 sqrt(2/N) of 1 except with chance 1e-5 or less."""
import math

import numpy as np
import pytest

from hpcnemd.analysis import arrhenius, linearity, speed_up, tensor
from hpcnemd.analysis.blocks import student
from hpcnemd.core.units import BOLTZMANN, SIEMENS_PER_METRE

T = np.array([400.0, 500, 600, 700, 850, 1000])
ENERGY, LOG_A, BEND = 0.28, 15.0, 0.012           # eV, ln(S K/m), eV^2


def sigma_of(temperature, bend=0.0):
    b = 1 / (BOLTZMANN * np.asarray(temperature))
    return np.exp(LOG_A - ENERGY * b + bend / 2 * (b - 1 / (BOLTZMANN * 700)) ** 2) / temperature


def correlated(n, relative, share):
    """Covariance of logarithms: own errors and one error that all points share."""
    return relative ** 2 * (np.eye(n) + share * np.ones((n, n)))


# ---- Arrhenius -------------------------------------------------------------------------------------------------------
def test_exact_points_give_energy_prefactor_and_any_temperature():
    exact = sigma_of(T)
    found = arrhenius.arrhenius(T, exact, 0.05 * exact)
    assert found.activation_energy.value == pytest.approx(ENERGY, abs=1e-12) and found.log_prefactor.value == pytest.approx(LOG_A, abs=1e-10)
    assert found.line.at(300.0).value == pytest.approx(sigma_of(300.0), rel=1e-10) and found.curvature.value == pytest.approx(0, abs=1e-9)
    bent = arrhenius.arrhenius(T, sigma_of(T, BEND), 0.001 * exact)
    assert bent.curvature.value == pytest.approx(BEND, rel=1e-9) and bent.curvature_p < 1e-6 and bent.line.p < 1e-6
    assert bent.bent.at(300.0).value == pytest.approx(sigma_of(300.0, BEND), rel=1e-9)


def test_independent_errors_are_numpys_weighted_fit():
    """numpy.polyfit with unscaled covariance is the same estimator where points are independent."""
    rng = np.random.default_rng(1)
    errors = sigma_of(T) * rng.uniform(0.02, 0.1, len(T))
    sigma = sigma_of(T) + errors * rng.standard_normal(len(T))
    found = arrhenius.arrhenius(T, sigma, errors)
    slope, cov = np.polyfit(1 / (BOLTZMANN * T), np.log(sigma * T), 1, w=sigma / errors, cov="unscaled")
    np.testing.assert_allclose([found.activation_energy.value, found.log_prefactor.value], [-slope[0], slope[1]], rtol=1e-9)
    np.testing.assert_allclose(found.covariance, cov * np.array([[1, -1], [-1, 1]]), rtol=1e-7)


@pytest.mark.parametrize("bend", (0.0, BEND))
def test_errors_of_energy_curvature_and_extrapolation_cover(bend):
    """300 series with correlated errors of 6 %: mean z^2 of energy, curvature and ln sigma(300 K), and the rate at which curvature is found significant (5 % where
    there is none: 15 +- 3.8 of 300, limits 4.5 standard deviations; nearly always where there is)."""
    rng = np.random.default_rng(2)
    covariance = correlated(len(T), 0.06, 0.5)
    root, exact = np.linalg.cholesky(covariance), sigma_of(T, bend)
    z, significant = [], 0
    for _ in range(300):
        sigma = exact * np.exp(root @ rng.standard_normal(len(T)))
        found = arrhenius.arrhenius(T, sigma, covariance * np.outer(sigma, sigma))
        best = found.bent if bend else found.line
        log = best.log_at(300.0)
        z.append(((found.curvature.value - bend) / found.curvature.error, (log.value - math.log(300 * sigma_of(300.0, bend))) / log.error,
                  (found.activation_energy.value - ENERGY) / found.activation_energy.error))
        significant += found.curvature_p < 0.05
    squares = (np.array(z) ** 2).mean(axis=0)
    assert np.all(np.abs(squares[:2] - 1) < 4.5 * math.sqrt(2 / 300)), squares
    if not bend:
        assert abs(squares[2] - 1) < 4.5 * math.sqrt(2 / 300) and abs(significant - 15) < 17, (squares, significant)
    else:
        assert significant > 280


def test_points_that_determine_nothing_are_refused():
    with pytest.raises(ValueError, match="1 temperatures cannot"):
        arrhenius.arrhenius([500.0, 500.0], [1.0, 1.1], [0.1, 0.1])
    with pytest.raises(ValueError, match="positive"):
        arrhenius.arrhenius([500.0, 600.0], [1.0, -1.1], [0.1, 0.1])
    two = arrhenius.arrhenius([500.0, 600.0], [1.0, 2.0], [0.1, 0.1])
    assert two.curvature is None and two.line.p is None


# ---- several drives ----------------------------------------------------------------------------------------------------
DRIVES = np.array([1.0, 2.0, 3.0, 4.0])


def at_drives(rng, bend, reciprocal, relative=0.05, n=30):
    """Estimates of sigma = 350 (1 + bend u), u the relative square of the drive, as n blocks with Gaussian noise in the response would give them."""
    exact = 350 * (1 + bend * (DRIVES / DRIVES.max()) ** 2)
    y = 1 / exact if reciprocal else exact
    out = []
    for centre in y:
        sample = centre * (1 + relative * math.sqrt(n) * rng.standard_normal(n))
        value, error = sample.mean(), sample.std(ddof=1) / math.sqrt(n)
        out.append(student(1 / value, error / value ** 2, n - 1) if reciprocal else student(value, error, n - 1))
    return out


@pytest.mark.parametrize("reciprocal", (True, False))
@pytest.mark.parametrize("bend", (0.0, 0.3))
def test_sigma_without_drive_is_covered_and_nonlinearity_is_seen(reciprocal, bend):
    """200 trials: the 95 % interval holds the truth in 190 +- 3.1 of them; linear response is called nonlinear in at most 10 % (two tests of 5 %); limits 4.5
    standard deviations."""
    rng = np.random.default_rng(3)
    held = called = 0
    for _ in range(200):
        found = linearity.extrapolate(DRIVES, at_drives(rng, bend, reciprocal), reciprocal)
        held += found.value.low <= 350 <= found.value.high
        called += found.linear is False
    assert abs(held - 190) < 14, held
    assert called < 20 + 19 if bend == 0 else called > 100, called


def test_exact_answers_and_one_or_two_drives():
    sure = [student(350 * (1 + 0.1 * (d / 4) ** 2), 1e-6, 99) for d in DRIVES]
    found = linearity.extrapolate(DRIVES, sure, False)
    assert found.value.value == pytest.approx(350) and found.change.value == pytest.approx(0.1) and found.linear is False and found.p > 0.5
    turned = linearity.extrapolate(-DRIVES, [student(1 / (0.01 - 0.002 * (d / 4) ** 2), 1e-6, 99) for d in DRIVES], True)
    assert turned.value.value == pytest.approx(100) and turned.change.value == pytest.approx(0.25)
    assert linearity.extrapolate([2.0], sure[:1], True).value.value == pytest.approx(sure[0].value)
    two = linearity.extrapolate(DRIVES[:2], sure[:2], True)
    assert two.linear is None and "three" in two.text and two.p is None
    assert linearity.extrapolate([2.0, 2.0], sure[:2], True).linear is None
    with pytest.raises(ValueError, match="positive"):
        linearity.extrapolate([1.0, 2.0], [student(-1, 1, 9), student(1, 1, 9)], True)


# ---- tensor ---------------------------------------------------------------------------------------------------------------
def run_along(rng, sigma, direction, noise, blocks=40, block=100.0, volume=5000.0, held=True):
    """(current rows, impulse rows) of a run at constant current along `direction` (or constant field), white noise in what fluctuates."""
    field = 0.01
    mean = sigma @ direction * volume * field / SIEMENS_PER_METRE
    current = mean + noise * np.linalg.norm(mean) * rng.standard_normal((blocks, 3))
    impulse = np.full(blocks, field * block)
    if held:
        along = mean @ direction
        current += np.outer(along - current @ direction, direction)
        impulse *= 1 + noise * rng.standard_normal(blocks)
    return [current], [impulse]


def measured(rng, sigma, directions, noise=0.2, held=True):
    columns = [tensor.column(n, *run_along(rng, sigma, np.asarray(n), noise, held=held), 100.0, 5000.0) for n in directions]
    return tensor.assemble(columns)


ANISOTROPIC = np.array([[300.0, 40, 0], [40, 200, -20], [0, -20, 100]])


def test_a_tensor_without_noise_is_exact_for_oblique_directions():
    s = 1 / math.sqrt(2)
    found = measured(np.random.default_rng(4), ANISOTROPIC, ([1.0, 0, 0], [s, s, 0], [0, s, s], [0, 0, 1.0]), noise=1e-9)
    np.testing.assert_allclose(found.raw, ANISOTROPIC, atol=1e-5)
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(ANISOTROPIC), rtol=1e-6)
    np.testing.assert_allclose(found.symmetric @ found.axes, found.axes * found.eigenvalues, atol=1e-4)
    with pytest.raises(ValueError, match="three independent"):
        measured(np.random.default_rng(4), ANISOTROPIC, np.eye(3)[:2])


@pytest.mark.parametrize("held", (True, False))
def test_errors_of_the_tensor_cover_and_the_tests_have_their_size(held):
    """150 isotropic tensors from 40 blocks a column: z^2 of the elements and the trace, and 5 % rejections of isotropy and symmetry: 7.5 + 4.5 standard deviations
    = 20 of 150 for exact covariances; those from 40 blocks widen chi-square a little, 24 are allowed."""
    rng = np.random.default_rng(5)
    z, isotropy, onsager = [], 0, 0
    for _ in range(150):
        found = measured(rng, 300.0 * np.eye(3), np.eye(3), 0.3, held)
        z.append([(found.raw[0, 0] - 300) / found.raw_error[0, 0], found.raw[1, 0] / found.raw_error[1, 0],
                  found.symmetric[0, 2] / found.symmetric_error[0, 2], (found.mean - 300) / found.mean_error])
        isotropy += found.isotropy[2] < 0.05
        onsager += found.onsager[2] < 0.05
    squares = (np.array(z) ** 2).mean(axis=0)
    assert np.all(np.abs(squares - 1) < 0.06 + 4.5 * math.sqrt(2 / 150)), squares     # 0.06: t of 39 degrees of freedom has variance 1.054
    assert isotropy < 24 and onsager < 24
    assert measured(rng, ANISOTROPIC, np.eye(3), 0.3, held).isotropy[2] < 1e-6


def test_a_column_needs_blocks():
    with pytest.raises(ValueError, match="3 independent blocks"):
        tensor.column([1.0, 0, 0], [np.ones((3, 3))], [np.ones(3)], 100.0, 5000.0)


# ---- speed-up ----------------------------------------------------------------------------------------------------------------
def test_the_speed_up_of_brownian_charge_is_covered():
    """600 pairs: dP of random walks, 96 windows, against blocks of Gaussian response. The truth is (2/n t) / (eps^2 t'), and the 95 % interval, which takes its
    width from a jackknife, holds it in 570 of 600; a skewed variance of a variance costs some of it: limits 540 to 592 (a normal count: 5.6 and 4.1 standard deviations)."""
    rng = np.random.default_rng(6)
    held, ratios, truth = 0, [], (2 / 96 * 1e5) / (0.05 ** 2 * 4e4)
    for _ in range(600):
        paths = [np.concatenate([[0.0], rng.standard_normal(320).cumsum()]) for _ in range(3)]
        dear = speed_up.window_cost(paths, 10, 1e5)
        sample = 1 + 0.05 * math.sqrt(40) * rng.standard_normal(40)
        cheap = speed_up.cost_of(student(1.0, sample.std(ddof=1) / math.sqrt(40), 39), 4e4)
        found = speed_up.ratio(dear, cheap)
        held += found.low <= truth <= found.high
        ratios.append(found.value)
    assert 540 <= held <= 592, held
    assert np.median(ratios) == pytest.approx(truth, rel=0.06)
    assert speed_up.window_cost(paths, 90, 1e5) is None


def test_law_and_crossing():
    assert speed_up.law(student(0.02, 0.001, 30), 3000.0).value == pytest.approx(20.0)
    x = np.array([1.0, 2.0, 3.0])
    where, error = speed_up.line_crossing(x, 1.5 * x + 0.2, 0.1 * np.ones(3), math.log(100))
    assert where == pytest.approx((math.log(100) - 0.2) / 1.5) and 0.03 < error < 0.2
    assert speed_up.line_crossing(x, np.array([1.0, 1.01, 0.99]), 0.1 * np.ones(3), 5.0) is None
    assert speed_up.line_crossing(x[:1], x[:1], x[:1], 5.0) is None
