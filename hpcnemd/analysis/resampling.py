"""Bootstrap errors: of segments of time, and of whole replicas. They assume nothing about the noise, and need many pieces in return."""
import math

import numpy as np

from ..core.units import BOLTZMANN, SIEMENS_PER_METRE
from .blocks import Estimate
from .einstein import slopes

SEGMENT = 8             # memories of the charge displacement in a segment of time
FEWEST = 8              # pieces below which no bootstrap is made
DRAWS = 999


def bootstrap(pieces, unit="", estimator="", seed=1):
    """The mean of independent `pieces` (n,) with its bootstrap error and bias-corrected 95 % interval (Efron, J. Am. Stat. Assoc. 82, 171 (1987)). An
    Estimate with n - 1 degrees of freedom; None where there are fewer than `FEWEST` pieces or all are equal."""
    from scipy.stats import bootstrap as resample
    pieces = np.asarray(pieces, dtype=np.float64)
    n = len(pieces)
    if n < FEWEST or np.ptp(pieces) == 0:
        return None
    found = resample((pieces,), np.mean, vectorized=True, n_resamples=DRAWS, batch=DRAWS, method="BCa", rng=np.random.default_rng(seed))
    value = float(pieces.mean())
    wider = math.sqrt(n / (n - 1))                          # a resample scatters about the sample's mean: 1/n of the variance is missing
    low, high = (value + wider * (float(end) - value) for end in found.confidence_interval)
    return Estimate(value, float(found.standard_error) * wider, n - 1, low, high, unit, estimator)


def segments(paths, samples):
    """List of lists of paths: every group of paths of one replica cut into equal pieces of at least `SEGMENT` times `samples` steps. `paths`: list of (T, k)
    arrays, one for each replica, with the axes side by side, which are not independent pieces."""
    pieces = []
    for path in paths:
        number = (len(path) - 1) // (SEGMENT * samples)
        length = (len(path) - 1) // max(1, number)
        pieces += [[path[k * length:(k + 1) * length + 1, axis] for axis in range(path.shape[1])] for k in range(number)]
    return pieces


def conductivity(paths, sample, volume, temperature, samples, kind="segments"):
    """sigma in S/m as the mean of Green-Kubo values of pieces with their bootstrap error. `paths`: list of (T, k) arrays of P(t) in e angstrom, one for each
    replica; `samples`: window; `kind`: "segments" of time, or "replicas". An Estimate, or None where there are too few pieces."""
    if kind == "segments":
        pieces = segments(paths, samples)
        text = f"bootstrap of {len(pieces)} segments of time, {SEGMENT * samples * sample / 1000:g} ps or longer"
    else:
        pieces = [[path[:, axis] for axis in range(path.shape[1])] for path in paths if len(path) > 2 * samples]
        text = f"bootstrap of {len(pieces)} replicas"
    if len(pieces) < FEWEST:
        return None
    scale = SIEMENS_PER_METRE / (2 * volume * BOLTZMANN * temperature * sample)
    values = [scale * float(slopes(piece, samples)[0][samples // 2:].mean()) for piece in pieces]
    return bootstrap(values, "S/m", text)
