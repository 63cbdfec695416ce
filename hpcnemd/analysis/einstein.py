"""Equilibrium conductivity: Einstein-Helfand and Green-Kubo from the displacement of charge, Nernst-Einstein from tracers, Haven ratio.

P(t) = sum z_i (r_i - r_framework), unwrapped, in e angstrom; a series here is a list of 1-d arrays P(t) at equal sampling, one for each
replica and axis. The physical mean of dP is zero and is never subtracted: removing a measured mean biases a window estimate.
"""
import math
from dataclasses import dataclass

import numpy as np

from ..core.units import BOLTZMANN, SIEMENS_PER_METRE
from .blocks import Estimate, choose_level, count, merge, student
from .distributions import chi2_ppf

TEST_WINDOWS = 96       # windows (all axes and replicas) below which a window length is not judged
LEAST_WINDOWS = 24      # and below which no Einstein-Helfand estimate is made


def increments(paths):
    """dP per sampling interval for every P(t) with at least two samples."""
    return [np.diff(path) for path in paths if len(path) > 1]


def paths_of(displacement, axes=(0, 1, 2)):
    """P(t) rows from an array (R, T, 3); what follows the first NaN of a replica is left out."""
    paths = []
    for block in np.asarray(displacement, dtype=np.float64):
        bad = ~np.all(np.isfinite(block), axis=1)
        end = int(np.argmax(bad)) if bad.any() else len(block)
        paths += [block[:end, axis] for axis in axes]
    return [path for path in paths if len(path) > 1]


@dataclass(frozen=True)
class Window:
    """`samples`: the lag, in sampling intervals, after which the charge displacement has forgotten; `independent`: the data show
    that it has (p: chance of larger correlations if it has)."""
    samples: int
    independent: bool
    p: float


def choose_window(paths, least=1):
    """The shortest window whose neighbours, and those of all longer windows, move without correlation, doubled; at least `least` samples, because the test
    cannot see a weak and long memory in little data. A Window, not independent where the paths are shorter than eight of such windows.

    alpha is small, because a window that is too short by two still costs `green_kubo` little, while a choice that follows the noise
    favours long windows where the conductivity came out high."""
    level = choose_level(increments(paths), known_mean=0.0, alpha=0.01, fewest=TEST_WINDOWS, safety=1)
    wanted = max(2 * level.factor, least)
    most = max(1, (min(len(path) for path in paths) - 1) // 8)
    return Window(min(wanted, most), level.independent and wanted <= most, level.p)


def einstein(paths, sample, volume, temperature, samples):
    """sigma in S/m from the squared displacement of charge in windows that do not overlap: <dP^2> / (2 w V k_B T) per axis.
    `sample` fs, `samples`: window in sampling intervals. An Estimate; windows and axes count as independent."""
    windows = np.concatenate(merge(increments(paths), samples)) * samples
    scale = SIEMENS_PER_METRE / (2 * samples * sample * volume * BOLTZMANN * temperature)
    n = len(windows)
    value = scale * float((windows ** 2).mean())
    # the displacement is Gaussian with a known mean: n squares have n degrees of freedom, and their scatter is known
    return variance_estimate(value, n, "S/m", f"Einstein-Helfand, {n} windows of {samples * sample / 1000:g} ps")


def variance_estimate(value, dof, unit, estimator):
    """A mean of squares of `dof` Gaussian numbers, with the interval of chi-square."""
    low, high = value * dof / chi2_ppf(0.975, dof), value * dof / chi2_ppf(0.025, dof)
    return Estimate(value, value * math.sqrt(2 / dof), dof, float(low), float(high), unit, estimator)


def einstein_curve(paths, sample, volume, temperature, fewest=8):
    """sigma against the window: list of (window fs, Estimate), windows in steps of about 1.4."""
    steps = increments(paths)
    longest = max(len(row) for row in steps)
    curve = []
    for samples in sorted({round(2 ** (k / 2)) for k in range(2 * longest.bit_length())}):
        if sum(len(row) // samples for row in steps) >= fewest:
            curve.append((samples * sample, einstein(paths, sample, volume, temperature, samples)))
    return curve


def mean_square(path, longest):
    """(longest + 1,) mean squared displacement of one path against the lag, over all origins, by FFT (sums of float64 to round-off).
    Source: Calandrini et al., Collection SFN 12, 201 (2011)."""
    n = len(path)
    x = path - path[0]
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(x, size)
    product = np.fft.irfft(spectrum * spectrum.conj(), size)[:longest + 1]
    squares = np.concatenate([[0.0], np.cumsum(x * x)])
    lag = np.arange(longest + 1)
    both = squares[n - lag] + squares[n] - squares[lag]      # sum over origins of x(o)^2 + x(o + lag)^2
    result = (both - 2 * product) / (n - lag)
    result[0] = 0.0
    return result


def slopes(paths, longest):
    """(longest,) mean over paths of the increase of the mean squared displacement from lag to lag + 1; paths weigh by their length."""
    weights = np.array([len(path) - 1 for path in paths], dtype=np.float64)
    total = sum(w * np.diff(mean_square(path, longest)) for w, path in zip(weights, paths))
    return total / weights.sum(), float(weights.sum())


def slope_spread(samples, steps):
    """Relative variance of `green_kubo` at a window of `samples` in paths of `steps` sampling intervals in all (Priestley, 6.2.4)."""
    half = samples // 2
    return 4 * (half + (samples - half) / 3) / steps


def green_kubo(paths, sample, volume, temperature, samples):
    """sigma in S/m: the Green-Kubo integral averaged over cuts between half a window and a window, which is half the slope of <dP^2>
    between these lags. An Estimate; its error is that of a spectral estimate with this lag window, relative variance
    (8/3) window / time of all axes and replicas (Priestley, Spectral Analysis and Time Series, 6.2.4; Gaussian noise, confirmed
    on known processes in the tests)."""
    half = samples // 2
    rise, steps = slopes(paths, samples)
    value = SIEMENS_PER_METRE / (2 * volume * BOLTZMANN * temperature * sample) * float(rise[half:].mean())
    spread = slope_spread(samples, steps)
    text = f"Green-Kubo, cut {half * sample / 1000:g} to {samples * sample / 1000:g} ps (slope of the Einstein-Helfand line)"
    noise = einstein(paths, sample, volume, temperature, samples).value
    if value > 0.5 * noise:
        return variance_estimate(value, 2 / spread, "S/m", text)
    # in too little data the integral may come out near zero or below: its own value is then no measure of the noise
    return student(value, math.sqrt(spread) * noise, 2 / spread, "S/m", text)


def green_kubo_curve(paths, sample, volume, temperature, longest, noise):
    """The running Green-Kubo integral: (cut fs (L,), sigma S/m (L,), standard error (L,)), the error being sqrt(4 cut / time) of `noise`, the
    conductivity itself (S/m)."""
    rise, steps = slopes(paths, longest)
    values = SIEMENS_PER_METRE / (2 * volume * BOLTZMANN * temperature * sample) * rise
    cut = np.arange(longest) + 0.5
    return cut * sample, values, noise * np.sqrt(4 * cut / steps)


def equivalent_window(window):
    """The window of independent Einstein-Helfand displacements with the same error as `green_kubo` at `window`: 4/3 of it."""
    return 4.0 * window / 3.0


def diffusion(msd, lags, start):
    """Tracer diffusion coefficient (angstrom^2/fs) of one species: half the slope per axis of the mean squared displacement between
    lag `start` and the last lag. `msd` (rows, L): one row per replica and axis, angstrom^2 (about its drift); `lags` (L,) fs.
    An Estimate, the rows as independent samples."""
    lags = np.asarray(lags, dtype=np.float64)
    first = min(int(np.searchsorted(lags, start)), len(lags) - 2)
    x = lags[first:] - lags[first:].mean()
    slopes = (np.asarray(msd)[:, first:] @ x) / float((x * x).sum()) / 2
    n = len(slopes)
    error = float(np.std(slopes, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return student(float(slopes.mean()), error, n - 1, "angstrom^2/fs",
                   f"slope of the tracer displacement, {lags[first] / 1000:g} to {lags[-1] / 1000:g} ps")


def independent_error(coefficient, longest, time, count):
    """The Estimate of a single replica with the error that `count` tracers would have if they moved independently: a lower bound of the
    error. `longest`: last lag, `time`: length of the replica, both fs. The law is that of `green_kubo`, for 3 axes."""
    spread = 8.0 / 9.0 * longest / (time * count)
    return student(coefficient.value, abs(coefficient.value) * math.sqrt(spread), 2 / spread, coefficient.unit,
                   coefficient.estimator + "; one replica: error as if the ions moved independently")


def nernst_einstein(coefficients, charges, counts, volume, temperature):
    """sigma_NE in S/m = sum z^2 N D / (V k_B T) over species; `coefficients`: Estimates of D, `charges` e, `counts`. An Estimate."""
    scale = SIEMENS_PER_METRE / (volume * BOLTZMANN * temperature)
    weights = [scale * z * z * n for z, n in zip(charges, counts)]
    value = sum(w * d.value for w, d in zip(weights, coefficients))
    error = math.sqrt(sum((w * d.error) ** 2 for w, d in zip(weights, coefficients)))
    return student(value, error, min(d.dof for d in coefficients), "S/m", "Nernst-Einstein, tracer diffusion only")


def haven(uncorrelated, sigma):
    """Haven ratio sigma_NE / sigma, errors taken as independent. An Estimate."""
    value = uncorrelated.value / sigma.value
    error = abs(value) * math.hypot(uncorrelated.relative, sigma.relative)
    return student(value, error, min(uncorrelated.dof, sigma.dof), "", "sigma_NE / sigma")


def einstein_window(paths, samples):
    """The window for `einstein`, which has no slope and therefore a bias of order memory / window: four times the one of `green_kubo`
    (`samples`), as far as enough windows remain; 0 where not even `samples` leaves enough."""
    steps = increments(paths)
    for longer in (4 * samples, 2 * samples, samples):
        if count(merge(steps, longer)) >= LEAST_WINDOWS:
            return longer
    return 0
