"""Activation energy, curvature and extrapolation of a conductivity measured at several temperatures.

sigma T = A exp(-E_a / k_B T): the product with T is what is activated (hop model, sigma = n q^2 D / k_B T). The fit is generalised least squares on
ln(sigma T) against 1 / k_B T, with the covariance matrix of ln sigma that the caller gives; errors are propagated from it and not rescaled by chi-square.
A quadratic term tells whether the line is straight.
"""
import math
from dataclasses import dataclass

import numpy as np

from ..core.units import BOLTZMANN
from .blocks import Estimate, student
from .distributions import chi2_sf, t_sf


@dataclass(frozen=True)
class Polynomial:
    """ln(sigma T) = sum_k coefficients[k] * (b - centre)^k with b = 1 / k_B T (1/eV) and sigma T in S K/m. `covariance` of the coefficients;
    `gain` (k, n): their derivatives with respect to the data; `variances`, `dofs` (n,) of the data."""
    centre: float
    coefficients: np.ndarray
    covariance: np.ndarray
    gain: np.ndarray
    variances: np.ndarray
    dofs: np.ndarray
    chi_square: float
    dof: int

    @property
    def p(self):
        """Chance of a larger chi-square if the model holds; None without degrees of freedom."""
        return float(chi2_sf(self.chi_square, self.dof)) if self.dof else None

    def combination(self, weights, unit="", estimator=""):
        """sum_k weights[k] coefficients[k] as an Estimate; its degrees of freedom are those of the data's errors (Welch and Satterthwaite)."""
        weights = np.asarray(weights, np.float64)
        parts = (weights @ self.gain) ** 2 * self.variances
        spread = (parts ** 2 / self.dofs).sum()
        dof = parts.sum() ** 2 / spread if spread else math.inf
        return student(float(weights @ self.coefficients), math.sqrt(weights @ self.covariance @ weights), dof, unit, estimator)

    def log_at(self, temperature):
        """ln(sigma T) at a temperature (K), an Estimate."""
        step = 1 / (BOLTZMANN * temperature) - self.centre
        return self.combination([step ** k for k in range(len(self.coefficients))])

    def at(self, temperature):
        """sigma (S/m) at a temperature (K); the interval is that of the logarithm."""
        log = self.log_at(temperature)
        value = math.exp(log.value) / temperature
        return Estimate(value, value * log.error, log.dof, math.exp(log.low) / temperature, _exp(log.high) / temperature, "S/m",
                        f"extrapolated to {temperature:g} K" if len(self.coefficients) == 2 else f"quadratic fit at {temperature:g} K")


def _exp(x):
    return math.exp(x) if x < 700 else math.inf


def fit(temperatures, sigma, covariance, order=1, dofs=None):
    """The Polynomial of degree `order` through points (K, S/m). `covariance`: (n, n) of sigma, or (n,) standard errors of independent points, S/m;
    `dofs`: degrees of freedom of each error (infinite where None). Raises ValueError where there are too few points or a value is not positive."""
    temperatures, sigma = np.asarray(temperatures, np.float64), np.asarray(sigma, np.float64)
    n = len(sigma)
    if len(set(temperatures.tolist())) <= order:
        raise ValueError(f"{len(set(temperatures.tolist()))} temperatures cannot determine {order + 1} parameters")
    if not np.all(sigma > 0):
        raise ValueError("the conductivities must be positive")
    covariance = np.asarray(covariance, np.float64)
    if covariance.ndim == 1:
        covariance = np.diag(covariance ** 2)
    log_covariance = covariance / np.outer(sigma, sigma)
    beta = 1 / (BOLTZMANN * temperatures)
    weights = np.linalg.inv(log_covariance)
    centre = float(weights.sum(axis=1) @ beta / weights.sum())
    design = np.vander(beta - centre, order + 1, increasing=True)
    y = np.log(sigma * temperatures)
    own = np.linalg.inv(design.T @ weights @ design)
    gain = own @ design.T @ weights
    coefficients = gain @ y
    rest = y - design @ coefficients
    dofs = np.full(n, np.inf) if dofs is None else np.asarray(dofs, np.float64)
    return Polynomial(centre, coefficients, own, gain, np.diag(log_covariance), dofs, float(rest @ weights @ rest), n - order - 1)


@dataclass(frozen=True)
class Arrhenius:
    """`line`: the straight Polynomial; `activation_energy` (eV) and `log_prefactor` (ln of A in S K/m) with `covariance` (2, 2) in this order;
    `curvature`: d^2 ln(sigma T) / d(1/k_B T)^2 (eV^2), with `curvature_p`, the chance of a larger one if the line is straight; both None for two temperatures."""
    line: Polynomial
    activation_energy: Estimate
    log_prefactor: Estimate
    covariance: np.ndarray
    curvature: Estimate | None
    curvature_p: float | None
    bent: Polynomial | None

    def as_dict(self):
        """What JSON can hold."""
        return {"activation_energy": self.activation_energy.as_dict(), "log_prefactor": self.log_prefactor.as_dict(),
                "covariance_of_energy_and_log_prefactor": self.covariance.tolist(), "chi_square": self.line.chi_square, "degrees_of_freedom": self.line.dof,
                "p": self.line.p, "curvature": self.curvature.as_dict() if self.curvature else None, "curvature_p": self.curvature_p}


def arrhenius(temperatures, sigma, covariance, dofs=None):
    """The Arrhenius fit of points as in `fit`, at least two temperatures. Raises ValueError."""
    line = fit(temperatures, sigma, covariance, 1, dofs)
    energy = line.combination([0.0, -1.0], "eV", "slope of ln(sigma T) against 1/k_B T")
    prefactor = line.combination([1.0, -line.centre], "ln(S K/m)", "ln A of sigma T = A exp(-E_a/k_B T)")
    change = np.array([[0.0, -1.0], [1.0, -line.centre]])
    bent, curvature, p = None, None, None
    if len(set(np.asarray(temperatures, float).tolist())) > 2:
        bent = fit(temperatures, sigma, covariance, 2, dofs)
        curvature = bent.combination([0.0, 0.0, 2.0], "eV^2", "second derivative of ln(sigma T) with respect to 1/k_B T")
        p = float(2 * t_sf(abs(curvature.value) / curvature.error, curvature.dof))
    return Arrhenius(line, energy, prefactor, change @ line.covariance @ change.T, curvature, p, bent)
