"""Error methods on processes whose conductivity or mean is known: prefactors, and the coverage of the error bars over independent runs."""
import langevin_ions
import numpy as np
import pytest
from langevin_ions import EXACT, TEMPERATURE, VOLUME

from hpcnemd.analysis import bayesian, blocks, einstein, resampling, spectral
from hpcnemd.analysis.blocks import student
from hpcnemd.experiments.ionic_conductivity import figures, methods, report
from hpcnemd.experiments.ionic_conductivity.estimate import estimate

SAMPLE, WINDOW = 20.0, 16
WHERE = (SAMPLE, VOLUME, TEMPERATURE)


def runs(seed, number, length):
    """Paths of independent runs: lists of three arrays P(t)."""
    rng = np.random.default_rng(seed)
    return [list(langevin_ions.displacement(rng, length, SAMPLE, (3,))) for _ in range(number)]


def reduced(estimates):
    """(mean value / exact, sum of squared deviations over sum of squared errors)."""
    values, errors = np.array([(one.value / EXACT, one.error / EXACT) for one in estimates]).T
    return values.mean(), float(((values - 1) ** 2).sum() / (errors ** 2).sum())


ESTIMATORS = {
    "spectrum": (1500, lambda paths: spectral.conductivity(paths, *WHERE, WINDOW)[0]),
    "line": (1500, lambda paths: bayesian.conductivity(paths, *WHERE, WINDOW)),
    "segments": (3000, lambda paths: resampling.conductivity([np.stack(paths, axis=1)], *WHERE, WINDOW)),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_error_bars_of_the_conductivity_are_calibrated(name):
    """60 runs of an Ornstein-Uhlenbeck current. Over 150 to 200 such runs with other seeds the reduced chi-square was 0.9 to 1.1 and the bias below 2 %;
    its standard error here is 0.19 and that of the mean about 1.3 %: 0.5 to 1.75 and 7 % are left by chance in less than 0.5 % of the seeds."""
    length, method = ESTIMATORS[name]
    found = [method(paths) for paths in runs(21, 60, length)]
    centre, chi_square = reduced(found)
    inside = sum(one.low < EXACT < one.high for one in found)
    assert abs(centre - 1) < 0.07 and 0.5 < chi_square < 1.75 and inside >= 49, (centre, chi_square, inside)


def test_an_oscillating_current_is_no_hindrance():
    """A current that rings (damped oscillation at 2 THz beside the relaxation): the spectrum has a peak far above its value at zero."""
    rng = np.random.default_rng(22)
    found = []
    for _ in range(40):
        paths = [path + 3 * np.real(_ring(rng, 2000)) for path in langevin_ions.displacement(rng, 2000, SAMPLE, (3,))]
        found.append([spectral.conductivity(paths, *WHERE, 64)[0], bayesian.conductivity(paths, *WHERE, 64)])
    for column in zip(*found):              # 40 runs of about 15 %: 2.4 % for the mean, bound 4 of them; chi-square 1 +- 0.22
        centre, chi_square = reduced(column)
        assert abs(centre - 1) < 0.10 and 0.4 < chi_square < 1.9, (centre, chi_square)


def _ring(rng, steps):
    """A bounded displacement: a driven damped rotor, stationary after 200 steps."""
    from scipy.signal import lfilter
    factor = np.exp((-1 / 300.0 + 2j * np.pi * 0.002) * SAMPLE)
    noise = rng.standard_normal((2, steps + 201))
    return lfilter([1.0], [1.0, -factor], noise[0] + 1j * noise[1])[200:]


def test_covariance_of_overlapping_displacements_is_the_direct_sum():
    """Of a Brownian path with 14 steps, all pairs of origins one by one; and exactly the variance of one displacement where there is one origin."""
    steps, lags = 14, np.array([1, 3, 8, 14])
    shape = bayesian.covariance(lags, steps)
    for i, m in enumerate(lags):
        for j, n in enumerate(lags):
            pairs = [max(0, min(a + m, b + n) - max(a, b)) ** 2 for a in range(steps - m + 1) for b in range(steps - n + 1)]
            assert shape[i, j] == pytest.approx(2 * sum(pairs) / ((steps - m + 1) * (steps - n + 1)), rel=1e-14)
    assert shape[3, 3] == 2 * steps ** 2


def test_line_is_the_plain_regression_where_all_lags_are_independent():
    lags = np.array([1.0, 2.0, 4.0, 7.0])
    slope, spread, intercept = bayesian.line(3 * lags + 5, lags, np.eye(4))
    assert (slope, intercept) == pytest.approx((3, 5)) and spread == pytest.approx(1 / ((lags - lags.mean()) ** 2).sum())


def test_periodogram_has_the_variance_and_the_density_of_white_noise():
    rows = [row for row in np.random.default_rng(23).standard_normal((6, 301))] + [np.random.default_rng(24).standard_normal(150)]
    spectrum = spectral.periodogram(rows, 0.5)
    assert np.all(np.diff(spectrum.frequency) >= 0) and spectrum.dof.sum() == 6 * 301 + 150
    # Parseval: the dof-weighted mean of the power is the mean square times the step
    total = sum((row ** 2).sum() for row in rows) * 0.5
    assert float((spectrum.power * spectrum.dof).sum()) == pytest.approx(total, rel=1e-12)
    assert abs(spectral.zero_frequency(spectrum, 1.0).value / 0.5 - 1) < 0.2            # 4 standard errors of a constant spectrum: 4 sqrt(2/1956) = 0.13


def test_error_of_the_mean_of_a_correlated_series_comes_from_its_spectrum():
    """AR(1) with correlation 0.6 in 4 rows of 100: 60 runs; reduced chi-square 1 with a standard error of 0.19."""
    from scipy.signal import lfilter
    rng = np.random.default_rng(25)
    found = []
    for _ in range(60):
        rows = list(lfilter([0.8], [1.0, -0.6], rng.standard_normal((4, 150)))[:, 50:] + 7)
        found.append(spectral.mean_error(rows))
    deviation = np.array([one.value - 7 for one in found])
    chi_square = float((deviation ** 2).sum() / sum(one.error ** 2 for one in found))
    assert 0.5 < chi_square < 1.75, chi_square
    assert abs(np.mean([one.error for one in found]) / (2 / np.sqrt(400)) - 1) < 0.15


def test_bootstrap_of_independent_pieces_is_the_standard_error():
    pieces = np.random.default_rng(26).exponential(size=60)
    found = resampling.bootstrap(pieces, "S/m", "text")
    plain = blocks.mean_estimate([pieces])
    assert found.value == pytest.approx(plain.value) and found.error == pytest.approx(plain.error, rel=0.12)     # 999 draws: 2.2 %
    assert found.high - found.value > found.value - found.low > 0                       # the skewness of the sample is felt
    assert resampling.bootstrap(pieces[:7]) is None and resampling.bootstrap(np.ones(20)) is None
    assert resampling.bootstrap(pieces).low == found.low                                # the same data give the same numbers


def test_too_little_data_give_no_estimate():
    short = [np.arange(20.0)] * 3
    assert spectral.conductivity([np.zeros(5)], *WHERE, 16) == (None, None)
    assert bayesian.conductivity(short, *WHERE, 16) is None
    assert resampling.conductivity([np.stack(short, axis=1)], *WHERE, 16) is None


def test_agreement_compares_values_and_errors():
    one, two = student(10.0, 1.0, 20), student(11.0, 0.5, 20)
    assert methods.agreement([one, two]) == pytest.approx((1.0, 2.0))


@pytest.mark.parametrize("mode", ("none", "constant_current", "constant_field"))
def test_the_report_prints_all_methods_and_whether_they_agree(mode, tmp_path):
    result = estimate(*langevin_ions.ensemble(np.random.default_rng(27), mode, replicas=8, blocks=20))
    found = result.numbers["methods"]["estimates"]
    assert len(found) == (5 if mode == "none" else 4)
    assert result.numbers["methods"]["agree"] and {v.name: v.passed for v in result.verdicts}["error methods"]
    for entry in found.values():
        assert abs(entry["value"] - EXACT) < 4.5 * entry["error"] and entry["interval95"][0] < entry["value"] < entry["interval95"][1]
    pictures = figures.draw(result, tmp_path, formats=("png",), only=("error_methods",))
    assert [picture.name for picture in pictures] == ["error_methods"]
    text = report.write(result, tmp_path).read_text()
    assert "replica bootstrap" in text and "spectrum" in text
