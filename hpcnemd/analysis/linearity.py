"""From conductivities at several drives to the one without a drive, and whether the response was linear.

The response is even in the drive, so that the conductivity is a + b J^2 to leading order. What has Gaussian errors is fitted: the resistivity at constant
current (the field fluctuates), the conductivity at constant field (the current does)."""
import math
from dataclasses import dataclass

import numpy as np

from .blocks import Estimate
from .distributions import chi2_sf, t_ppf, t_sf

SIGNIFICANT = 0.05      # a slope in the square of the drive counts as seen below this p


@dataclass(frozen=True)
class Extrapolation:
    """`value`: sigma without drive (S/m); `common`: the weighted mean over drives, which is right where the response is linear; `change`: relative change
    of sigma at the largest drive against none; `slope_p`: chance of a larger slope if there is none; `chi_square`, `dof`, `p` of the straight line in the
    square of the drive; `flat_chi_square`, `flat_dof`, `flat_p` of one value for all drives; `covariance` (2, 2) of (intercept, slope) of the fitted
    quantity in its own unit, with the drive in units of its largest; `linear`: True, False, or None where the data cannot say; `text`: the verdict."""
    value: Estimate
    common: Estimate
    change: Estimate | None
    slope_p: float | None
    chi_square: float
    dof: int
    p: float | None
    flat_chi_square: float
    flat_dof: int
    flat_p: float | None
    covariance: np.ndarray | None
    linear: bool | None
    text: str

    def as_dict(self):
        """What JSON can hold."""
        return {"without_drive": self.value.as_dict(), "common": self.common.as_dict(), "change_at_largest_drive": self.change.as_dict() if self.change else None,
                "slope_p": self.slope_p, "chi_square": self.chi_square, "degrees_of_freedom": self.dof, "p": self.p, "flat_chi_square": self.flat_chi_square,
                "flat_degrees_of_freedom": self.flat_dof, "flat_p": self.flat_p,
                "covariance_of_intercept_and_slope": None if self.covariance is None else self.covariance.tolist(), "linear": self.linear, "verdict": self.text}


def extrapolate(drives, estimates, reciprocal):
    """The Extrapolation of `estimates` (of sigma, S/m) at `drives` (any unit, all of one sign). `reciprocal`: fit 1/sigma (constant current) instead of sigma.
    One estimate, or several at one drive: their mean, without a verdict. Raises ValueError where a value is not positive."""
    drives = np.abs(np.asarray(drives, np.float64))
    sigma, errors = np.array([e.value for e in estimates]), np.array([e.error for e in estimates])
    dofs = np.array([e.dof for e in estimates])
    if not (np.all(sigma > 0) and np.all(errors > 0)):
        raise ValueError("conductivities and their errors must be positive")
    y, spread = (1 / sigma, errors / sigma ** 2) if reciprocal else (sigma, errors)
    weights = 1 / spread ** 2
    mean = float(weights @ y / weights.sum())
    flat = float(weights @ (y - mean) ** 2)
    n = len(y)
    flat_p = float(chi2_sf(flat, n - 1)) if n > 1 else None
    common = _conductivity(mean, 1 / math.sqrt(weights.sum()), _welch(weights / weights.sum(), spread, dofs), reciprocal, "weighted mean over drives")
    if len(set(drives.tolist())) < 2:
        return Extrapolation(common, common, None, None, 0.0, 0, None, flat, n - 1, flat_p, None, None, "one drive: linearity was not tested")
    u = (drives / drives.max()) ** 2
    design = np.stack([np.ones(n), u], axis=1)
    covariance = np.linalg.inv(design.T * weights @ design)
    gain = covariance @ (design.T * weights)
    a, b = gain @ y
    rest = float(weights @ (y - a - b * u) ** 2)
    dof = n - 2
    value = _conductivity(a, math.sqrt(covariance[0, 0]), _welch(gain[0], spread, dofs), reciprocal, f"{n} drives, extrapolated in the square of the drive")
    slope_dof = _welch(gain[1], spread, dofs)
    slope_p = float(2 * t_sf(abs(b) / math.sqrt(covariance[1, 1]), slope_dof))
    change = _change(a, b, covariance, slope_dof, reciprocal)
    linear, text = _verdict(n, change, slope_p, float(chi2_sf(rest, dof)) if dof else None)
    return Extrapolation(value, common, change, slope_p, rest, dof, float(chi2_sf(rest, dof)) if dof else None, flat, n - 1, flat_p, covariance, linear, text)


def _welch(gain, spread, dofs):
    """Degrees of freedom of the error of sum gain y (Welch and Satterthwaite)."""
    parts = (np.asarray(gain) * spread) ** 2
    return float(parts.sum() ** 2 / (parts ** 2 / dofs).sum())


def _conductivity(y, error, dof, reciprocal, estimator):
    """An Estimate of sigma from the fitted quantity; of a reciprocal the interval is turned over (Fieller)."""
    half = t_ppf(0.975, dof) * error
    if not reciprocal:
        return Estimate(float(y), error, dof, float(y - half), float(y + half), "S/m", estimator)
    low = 1 / (y + half) if y + half > 0 else -math.inf
    high = 1 / (y - half) if y - half > 0 else math.inf
    return Estimate(float(1 / y), error / y ** 2, dof, low, high, "S/m", estimator)


def _change(a, b, covariance, dof, reciprocal):
    """sigma(largest drive) / sigma(no drive) - 1, an Estimate by the delta method."""
    if reciprocal:
        value, gradient = a / (a + b) - 1, np.array([b, -a]) / (a + b) ** 2
    else:
        value, gradient = b / a, np.array([-b / a ** 2, 1 / a])
    error = math.sqrt(gradient @ covariance @ gradient)
    half = t_ppf(0.975, dof) * error
    return Estimate(float(value), error, dof, float(value - half), float(value + half), "", "sigma at the largest drive over sigma without, minus 1")


def _verdict(n, change, slope_p, p):
    found = f"sigma changes by {100 * change.value:+.1f} +- {100 * change.error:.1f} % up to the largest drive (p of no change {slope_p:.2g})"
    if n < 3:
        return None, f"{found}; two drives cannot test the law: take three"
    if p < SIGNIFICANT:
        return False, f"not a straight line in the square of the drive (p = {p:.2g}): leave the largest drive out; {found}"
    if slope_p < SIGNIFICANT:
        return False, f"nonlinear: {found}; take the extrapolated value"
    return True, f"linear within the errors: {found}"
