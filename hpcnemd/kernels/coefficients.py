"""Polynomials that stand in for erf and exp in the vector kernels: no vector mathematics library comes with numba's wheels.

The real-space Ewald functions are written with smooth functions of x = (beta r)^2 (the form GROMACS uses for its PME correction):
    erfc(beta r)/r                      = 1/r   - beta   energy_correction(x),   energy_correction = erf(z)/z,  z = sqrt(x)
    -(1/r) d/dr [erfc(beta r)/r]        = 1/r^3 + beta^3 force_correction(x),    force_correction  = 2 exp(-x)/(sqrt(pi) x) - erf(z)/z^3."""
import math

import numpy as np
from numpy.polynomial import chebyshev

# By precision of the pair arithmetic. Few degrees, so that few kernels are compiled; the Ewald functions are of order 1, and float32 rounds by 6e-8.
DEGREES = {"double": (12, 16, 18, 20, 24, 28, 32, 40), "mixed": (8, 10, 12, 14, 16, 20, 24, 32)}
TOLERANCE = {"double": 1e-12, "mixed": 1e-8}
EXP2_DEGREE = {"double": 8, "mixed": 5}         # 2^f on [-1/2, 1/2] to 1.1e-12 and 8e-8
SERIES_BELOW = 0.5


def force_correction(x):
    """2 exp(-x)/(sqrt(pi) x) - erf(sqrt x)/x^1.5 for x >= 0, by its series where the difference would cancel."""
    x = np.asarray(x, dtype=np.float64)
    z = np.sqrt(np.maximum(x, SERIES_BELOW))
    direct = 2 / math.sqrt(math.pi) * np.exp(-z * z) / z**2 - np.array([math.erf(v) for v in z.ravel()]).reshape(z.shape) / z**3
    series, small, factorial = np.zeros_like(x), np.minimum(x, SERIES_BELOW), 1.0
    for k in range(1, 18):
        factorial *= k
        series += (-1)**k * 2 * k / (factorial * (2 * k + 1)) * small**(k - 1)
    return np.where(x < SERIES_BELOW, 2 / math.sqrt(math.pi) * series, direct)


def energy_correction(x):
    """erf(sqrt x)/sqrt x for x >= 0."""
    z = np.sqrt(np.maximum(np.asarray(x, dtype=np.float64), 1e-16))
    return np.array([math.erf(v) for v in z.ravel()]).reshape(z.shape) / z


def fit(function, low, high, degree):
    """(coefficients, largest error): monomials in t = (2 x - low - high)/(high - low), from the Chebyshev interpolant of that degree."""
    def on_interval(t):
        return function(0.5 * (high + low) + 0.5 * (high - low) * t)
    coefficients = chebyshev.cheb2poly(chebyshev.chebinterpolate(on_interval, degree))
    t = np.linspace(-1, 1, 1501)
    return coefficients, float(np.abs(np.polynomial.polynomial.polyval(t, coefficients) - on_interval(t)).max())


def ewald_polynomials(beta, cutoff, precision="double"):
    """(force coefficients, energy coefficients) as tuples for r in [0, cutoff], scaled by beta^3 and beta, in t = 2 r^2/cutoff^2 - 1.
    The lowest degree of DEGREES whose errors are below TOLERANCE, or the highest."""
    top = (beta * cutoff)**2
    for degree in DEGREES[precision]:
        force, e1 = fit(force_correction, 0.0, top, degree)
        energy, e2 = fit(energy_correction, 0.0, top, degree)
        if max(e1, e2) < TOLERANCE[precision]:
            break
    return tuple((force * beta**3).tolist()), tuple((energy * beta).tolist())


def exp2_polynomial(precision="double"):
    """Coefficients (tuple) of 2^f in powers of f on [-1/2, 1/2], of degree EXP2_DEGREE."""
    degree = EXP2_DEGREE[precision]
    coefficients, _ = fit(lambda f: 2.0**f, -0.5, 0.5, degree)
    return tuple((coefficients * 2.0**np.arange(degree + 1)).tolist())
