"""The conductivity, or the error of a mean, from the low frequencies of a power spectrum, by maximum likelihood.

A periodogram I(f_k) of a long stationary series is S(f_k) times chi-square / dof, independently at every f_k (Brillinger, Time Series, 5.2). ln S is a
short series of cosines (Bloomfield, Biometrika 60, 217 (1973)), as in the cepstral analysis of Ercole, Marcolongo and Baroni, Sci. Rep. 7, 15835 (2017),
but fitted to I itself with its gamma likelihood, as STACIE does, which keeps the information that taking logarithms loses. The number of cosines is
averaged over with Akaike's weights, and the error includes the scatter between these models (Burnham and Anderson, Model Selection, 4.3).

The series are differences of a displacement, that is block averages of the current: they hold its zero-frequency noise exactly, and nothing
that is faster than the sampling folds onto it.
"""
import math
from dataclasses import dataclass

import numpy as np

from ..core.units import BOLTZMANN, SIEMENS_PER_METRE
from .blocks import count, mean, merge, student
from .einstein import increments, variance_estimate

BAND = 4.0              # the band ends at this many times 1 / memory
MOST_TERMS = 12         # cosines: these resolve correlations as long as the memory in that band
FEWEST = 8              # frequencies in the band below which no fit is made


@dataclass(frozen=True)
class Spectrum:
    """`frequency` (K,) cycles per time unit, `power` (K,) two-sided density, `dof` (K,) of each value; sorted by frequency."""
    frequency: np.ndarray
    power: np.ndarray
    dof: np.ndarray


def periodogram(rows, step, known_mean=0.0):
    """Spectrum of series `rows` sampled every `step`; series of equal length are averaged. With `known_mean` None the mean of all rows is taken off and the
    frequency zero left out."""
    by_length = {}
    centre = mean(rows) if known_mean is None else known_mean
    for row in rows:
        if len(row) > 1:
            by_length.setdefault(len(row), []).append(np.abs(np.fft.rfft(row - centre)) ** 2 * (step / len(row)))
    parts = []
    for n, powers in by_length.items():
        dof = np.full(n // 2 + 1, 2.0 * len(powers))
        dof[0] = len(powers)
        if n % 2 == 0:
            dof[-1] = len(powers)
        first = 1 if known_mean is None else 0
        parts.append((np.fft.rfftfreq(n, step)[first:], np.mean(powers, axis=0)[first:], dof[first:]))
    if not parts:
        return Spectrum(*(np.empty(0) for _ in range(3)))
    frequency, power, dof = (np.concatenate(column) for column in zip(*parts))
    order = np.argsort(frequency, kind="stable")
    return Spectrum(frequency[order], power[order], dof[order])


@dataclass(frozen=True)
class Fit:
    """`value`: S(0) in the unit of the spectrum; `spread`: variance of its logarithm; `terms`: number of cosines that weigh most; `band`: highest frequency
    used; `frequency`, `curve`: the averaged S(f) for a figure."""
    value: float
    spread: float
    terms: int
    band: float
    frequency: np.ndarray
    curve: np.ndarray


def zero_frequency(spectrum, band):
    """S(0) from the frequencies up to `band`. A Fit, or None where there are fewer than `FEWEST` of them or the series is constant."""
    keep = spectrum.frequency <= band
    frequency, power, dof = spectrum.frequency[keep], spectrum.power[keep], spectrum.dof[keep]
    if len(frequency) < FEWEST or not power.any():
        return None
    most = min(MOST_TERMS, len(frequency) // 4)
    basis = np.cos(np.pi * np.outer(frequency / frequency[-1], np.arange(most)))
    scale = float(np.average(power, weights=dof))
    coefficients, fits = np.zeros(1), []
    for terms in range(1, most + 1):
        coefficients = _likeliest(basis[:, :terms], power / scale, dof, np.resize(np.append(coefficients, 0.0), terms))
        if coefficients is None:
            break
        log = basis[:, :terms] @ coefficients
        information = (basis[:, :terms].T * (dof / 2)) @ basis[:, :terms]
        at_zero = np.ones(terms)
        fits.append((float((dof * (log + power / scale * np.exp(-log))).sum()) + 2 * terms, float(coefficients.sum()),
                     float(at_zero @ np.linalg.solve(information, at_zero)), log))
    criterion, logarithm, spread, curves = (np.array(column) for column in zip(*fits))
    weight = np.exp(-0.5 * (criterion - criterion.min()))
    weight /= weight.sum()
    centre = float(weight @ logarithm)
    total = float(weight @ (spread + (logarithm - centre) ** 2))
    return Fit(scale * math.exp(centre), total, int(np.argmax(weight)) + 1, float(frequency[-1]), frequency, scale * np.exp(weight @ curves))


def _likeliest(basis, power, dof, start):
    """Coefficients of ln S that make the gamma likelihood largest, by Fisher's scoring with halved steps; None where it does not converge."""
    information = (basis.T * dof) @ basis
    coefficients = start[:basis.shape[1]].copy()

    def cost(c):
        log = basis @ c
        return float((dof * (log + power * np.exp(-np.clip(log, -60, 60)))).sum())
    now = cost(coefficients)
    for _ in range(60):
        step = np.linalg.solve(information, basis.T @ (dof * (power * np.exp(-np.clip(basis @ coefficients, -60, 60)) - 1)))
        length = 1.0
        while (then := cost(coefficients + length * step)) > now + 1e-9 * abs(now) and length > 1e-6:
            length /= 2
        coefficients, before, now = coefficients + length * step, now, then
        if abs(before - now) < 1e-8 * abs(now) + 1e-10:
            return coefficients
    return None


def conductivity(paths, sample, volume, temperature, samples):
    """(Estimate of sigma in S/m, Fit) from paths P(t) in e angstrom every `sample` fs, S(0) = 2 sigma V k_B T; `samples`: memory of the charge displacement in
    sampling intervals. (None, None) where the data are too few."""
    spectrum = periodogram([row / sample for row in increments(paths)], sample)
    fit = zero_frequency(spectrum, min(0.5, BAND / samples) / sample)
    if fit is None:
        return None, None
    scale = SIEMENS_PER_METRE / (2 * volume * BOLTZMANN * temperature)
    text = f"low-frequency spectrum, {fit.terms} cosines up to {1000 * fit.band:.3g} THz"
    return variance_estimate(scale * fit.value, 2 / fit.spread, "S/m", text), fit


def mean_error(rows, unit="", factor=1):
    """The mean of a series as an Estimate whose error comes from the spectrum at zero frequency: sqrt(S(0) / length). `factor`: blocks that are merged
    first. None where the data are too few."""
    merged = merge(rows, factor)
    fit = zero_frequency(periodogram(merged, 1.0, None), 0.5)
    if fit is None:
        return None
    return student(mean(rows), math.sqrt(fit.value / count(merged)), 2 / fit.spread, unit, f"spectrum of the response at zero frequency, {fit.terms} cosines")
