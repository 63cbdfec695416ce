"""Lyapunov spectra from the stretching of orthonormal tangent vectors, and what their structure must be."""
import math
from dataclasses import dataclass

import numpy as np


VANISHING = 0.02        # of the largest exponent


@dataclass(frozen=True)
class Spectrum:
    """`exponents` (k,) in the order of the vectors, `errors` (k,) standard errors from the scatter of blocks; `time` of all blocks."""
    exponents: np.ndarray
    errors: np.ndarray
    sums: tuple
    time: float

    @classmethod
    def of(cls, growth, times):
        """growth (blocks, k) logarithms of stretching factors, times (blocks,) durations; blocks must be longer than the memory of the motion."""
        growth, times = np.asarray(growth, float), np.asarray(times, float)
        mean = growth.sum(axis=0) / times.sum()
        return cls(mean, _error(growth, times), _total(growth, times), float(times.sum()))

    @property
    def largest(self):
        """(value, standard error)."""
        return float(self.exponents[0]), float(self.errors[0])

    @property
    def sum(self):
        """(value, standard error) of all exponents: minus the contraction of phase space."""
        return self.sums

    def kolmogorov_sinai(self, growth, times):
        """(value, standard error) of the sum of positive exponents (Pesin)."""
        positive = self.exponents > 0
        return _total(np.asarray(growth)[:, positive], np.asarray(times))

    def pairing(self, constant=0.0, skip=0):
        """Largest |lambda_i + lambda_(D+1-i) - constant| over lambda_1; `skip` pairs around the middle are left out."""
        half = len(self.exponents) // 2
        pairs = self.exponents[:half] + self.exponents[::-1][:half] - constant
        return float(np.abs(pairs[:half - skip]).max() / self.exponents[0])

    def zeros(self):
        """(number of exponents that vanish, ratio of the smallest other one to the largest of these): the widest gap among the smaller half of |lambda|.
        A growth that is a power of time leaves |lambda| ~ ln(t)/t, so that the gap widens with the length of the run. A time step h
        leaves the pair of flow and energy at about h^0.7: 0.049, 0.032, 0.020, 0.011 for h = 0.004 ... 0.0005 in soft discs with lambda_1 = 2.5. Both count as 0:
        what is smaller than ln(t)/t, or than VANISHING times the largest exponent, counts as that."""
        size = np.sort(np.abs(self.exponents))
        size = np.maximum(size, max(math.log(max(self.time, math.e)) / self.time, VANISHING * size[-1]))
        half = max(2, len(size) // 2)
        ratio = size[1:half + 1] / size[:half]
        k = int(ratio.argmax())
        return k + 1, float(ratio[k])

    def kaplan_yorke(self):
        """Dimension of Kaplan and Yorke: j + (sum of the first j exponents) / |lambda_(j+1)|, j the largest number with a sum that is not negative."""
        ordered = np.sort(self.exponents)[::-1]
        sums = np.cumsum(ordered)
        j = int((sums >= -1e-12 * ordered[0]).sum())
        return float(len(ordered)) if j == len(ordered) else float(j + (sums[j - 1] if j else 0.0) / abs(ordered[j]))


def _error(growth, times):
    """Standard errors (k,) of growth.sum / times.sum: a ratio of sums over blocks."""
    blocks = len(times)
    if blocks < 2:
        return np.full(growth.shape[1], math.nan)
    rest = growth - times[:, None] * (growth.sum(axis=0) / times.sum())
    return np.sqrt((rest**2).sum(axis=0) * blocks / (blocks - 1)) / times.sum()


def _total(growth, times):
    total = growth.sum(axis=1, keepdims=True)
    return float(total.sum() / times.sum()), float(_error(total, times)[0])


def lorentz_gas(density):
    """Kinetic theory of the random Lorentz gas (radius and speed 1): lambda / density = 2 (1 - ln 2 - C - ln density) + O(density ln density);
    coefficients not verified against the original paper."""
    return 2.0 * (1.0 - math.log(2.0) - 0.57721566490153286 - math.log(density))
