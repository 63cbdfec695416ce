"""The conductivity from an ensemble in which no current flows: the field that holds J = 0 fluctuates, and its noise at zero frequency is that of the resistance.

With X(t) = integral of lambda dt:  Var X(t) / 2t -> k_B T / (sigma V), the dual of the Einstein-Helfand line (Johnson and Nyquist; Norton ensemble of Evans and
Morriss, Statistical Mechanics of Nonequilibrium Liquids, 6.6). X in eV fs/(angstrom e), times in fs. The mean of lambda is zero by symmetry and is not subtracted.
"""
import math

import numpy as np

from ..core.units import BOLTZMANN, SIEMENS_PER_METRE
from .blocks import Estimate, student
from .einstein import einstein, slope_spread, slopes, variance_estimate


def impulse_paths(series):
    """X(t) of each replica, as a list of 1-d arrays, from (R, T); what follows the first NaN is left out."""
    rows = [row[:int(np.argmax(np.isnan(row)))] if np.isnan(row).any() else row for row in np.asarray(series, dtype=np.float64)]
    return [row for row in rows if len(row) > 1]


def resistivity(paths, sample, samples):
    """Half the slope of <dX^2> between half a window and a window of `samples` intervals of `sample` fs, which is k_B T / (sigma V) in
    eV^2 fs/(angstrom e)^2. An Estimate, its error as that of `einstein.green_kubo`: the same estimator of another noise."""
    half = samples // 2
    rise, steps = slopes(paths, samples)
    value, spread = float(rise[half:].mean()) / (2 * sample), slope_spread(samples, steps)
    unit = "eV^2 fs/(angstrom e)^2"
    text = f"field held at zero current, window {half * sample / 1000:g} to {samples * sample / 1000:g} ps"
    windows = einstein(paths, sample, 1.0, 1.0, samples).value / SIEMENS_PER_METRE * BOLTZMANN
    if value > 0.5 * windows:
        return variance_estimate(value, 2 / spread, unit, text)
    return student(value, math.sqrt(spread) * windows, 2 / spread, unit, text)      # too little data: the value itself is no measure of the noise


def conductivity(found, volume, temperature):
    """sigma in S/m from a `resistivity`: an Estimate with the ends of its interval turned over; no upper end where the resistivity may be zero."""
    scale = SIEMENS_PER_METRE * BOLTZMANN * temperature / volume
    value = scale / found.value if found.value else math.inf
    high = scale / found.low if found.low > 0 else math.inf
    low = scale / found.high if found.high > 0 else -math.inf
    return Estimate(value, abs(value) * found.relative, found.dof, low, high, "S/m", found.estimator + ": sigma = k_B T / (V Var X / 2t)")


def running(paths, sample, volume, temperature, longest, noise):
    """(window fs (L,), sigma S/m (L,), standard error (L,)) against the lag at which the slope of <dX^2> is taken; `noise` S/m: of the result."""
    rise, steps = slopes(paths, longest)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = SIEMENS_PER_METRE * BOLTZMANN * temperature / volume * (2 * sample) / rise
    lag = np.arange(longest) + 0.5
    return lag * sample, np.where(rise > 0, values, np.nan), noise * np.sqrt(4 * lag / steps)
