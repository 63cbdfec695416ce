"""A straight line through a mean squared displacement whose values at different lags share their data.

Overlapping displacements of a diffusing coordinate have a covariance that is known up to the square of the slope (Qian, Sheetz and Elson, Biophys. J. 60,
910 (1991); the idea of weighing the regression with it: kinisi, McCluskey, Squires, Dunn, Coleman, Morgan, J. Chem. Theory Comput. 21, 79 (2025), which
estimates it by a long-time law and samples the posterior). Here it is summed exactly, so that the generalised least-squares slope and its posterior
need no sampling: with nu = 2 / (relative variance) degrees of freedom and a flat prior for the logarithm of the slope, the slope is
inverse-gamma distributed, estimate x nu / chi-square.
"""
import math

import numpy as np

from ..core.units import BOLTZMANN, SIEMENS_PER_METRE
from .blocks import student
from .einstein import mean_square, variance_estimate

LAGS = 12               # of the line, from three quarters of the memory to
LONGEST = 4             # so many times the memory


def covariance(lags, steps):
    """(L, L) covariance of the mean squared displacements at `lags` over all origins of one path of `steps` independent Gaussian steps of variance 1:
    2 sum of overlap^2 over pairs of origins / (their number). Lags in steps, at most `steps`."""
    lags = np.asarray(lags, dtype=np.int64)
    origins = steps - lags + 1
    out = np.empty((len(lags), len(lags)))
    for i, m in enumerate(lags):
        for j, n in enumerate(lags[:i + 1]):
            shift = np.arange(-n + 1, m)
            overlap = np.minimum(m, shift + n) - np.maximum(0, shift)
            pairs = np.minimum(origins[i], origins[j] - shift) - np.maximum(0, -shift)
            out[i, j] = out[j, i] = 2.0 * float((overlap.astype(np.float64) ** 2 * np.maximum(0, pairs)).sum()) / (float(origins[i]) * float(origins[j]))
    return out


def line(values, lags, shape):
    """(slope, relative variance, intercept) of `values` (L,) at `lags` (L,), whose covariance is slope^2 x `shape` (L, L); the intercept is free, because the
    displacement at short times is not diffusive."""
    from scipy.linalg import cho_factor, cho_solve
    columns = np.stack([np.asarray(lags, dtype=np.float64), np.ones(len(lags))], axis=1)
    factor = cho_factor(shape)
    weighted = cho_solve(factor, columns)
    posterior = np.linalg.inv(columns.T @ weighted)
    slope, intercept = posterior @ (weighted.T @ np.asarray(values, dtype=np.float64))
    return float(slope), float(posterior[0, 0]), float(intercept)


def lags_for(samples, shortest):
    """Lags of a line for a memory of `samples`, from three quarters of it on, in paths of `shortest` steps; empty where they are too short."""
    longest = min(LONGEST * samples, shortest // 3)
    first = max(1, 3 * samples // 4)
    return np.unique(np.round(np.geomspace(first, longest, LAGS)).astype(int)) if longest >= 2 * first else np.empty(0, int)


def slope(paths, samples):
    """(slope per step, relative variance) of the mean squared displacement of independent paths; None where they are too short."""
    lags = lags_for(samples, min(len(path) for path in paths) - 1)
    if len(lags) < 3:
        return None
    weight = np.array([len(path) - 1 for path in paths], dtype=np.float64)
    weight /= weight.sum()
    values = sum(w * mean_square(path, int(lags[-1]))[lags] for w, path in zip(weight, paths))
    known = {}
    shape = 0.0
    for w, path in zip(weight, paths):
        steps = len(path) - 1
        if steps not in known:
            known[steps] = covariance(lags, steps)
        shape = shape + w * w * known[steps]
    found, spread, _ = line(values, lags, shape)
    return found, spread


def conductivity(paths, sample, volume, temperature, samples):
    """sigma in S/m from paths P(t) in e angstrom every `sample` fs; `samples`: memory of the charge displacement in sampling intervals. An Estimate; None where
    the paths are too short."""
    found = slope(paths, samples)
    if found is None:
        return None
    value, spread = SIEMENS_PER_METRE / (2 * volume * BOLTZMANN * temperature * sample) * found[0], found[1]
    lags = lags_for(samples, min(len(path) for path in paths) - 1) * sample / 1000
    text = f"Bayesian line with the displacement covariance, {lags[0]:g} to {lags[-1]:g} ps"
    if value > 0:
        return variance_estimate(value, 2 / spread, "S/m", text)
    return student(value, abs(value) * math.sqrt(spread), 2 / spread, "S/m", text)
