"""Activity models of solutions: ideal, Redlich-Kister, Wilson, NRTL. mu_i = mu_i0 + R T ln a_i, a_i = gamma_i x_i.

Every model has `excess(x, t)` = G^ex / (R T) of one mole and `ln_gamma(x, t)`; x (n,) mole fractions that sum to 1. UNIQUAC is not offered."""
from dataclasses import dataclass

import numpy as np

from .errors import ImpossibleComposition, ThermoInputError
from .units import GAS_CONSTANT


def check_composition(x, key="x"):
    """x as an array; raises ImpossibleComposition for a fraction outside [0, 1] or a sum that is not 1."""
    x = np.asarray(x, float)
    bad = np.flatnonzero(~((x >= 0) & (x <= 1)))
    if len(bad):
        raise ImpossibleComposition(f"{key}[{bad[0]}] = {x[bad[0]]:g} is not a mole fraction; it must lie between 0 and 1")
    if abs(x.sum() - 1) > 1e-9:
        raise ImpossibleComposition(f"{key} sums to {x.sum():.10g}, not to 1; give all components, or divide by the sum")
    return x


@dataclass(frozen=True)
class Ideal:
    components: int = 2

    def excess(self, x, t):
        return 0.0

    def ln_gamma(self, x, t):
        return np.zeros(len(check_composition(x)))


@dataclass(frozen=True)
class RedlichKister:
    """Binary: G^ex = x1 x2 sum_m L_m(T) (x1 - x2)^m, L_m = a_m + b_m T (J/mol): `terms` ((a, b), ...)."""
    terms: tuple
    gas_constant: float = GAS_CONSTANT

    def coefficients(self, t):
        return np.array([a + b * t for a, b in self.terms])

    def excess(self, x, t):
        x = check_composition(x)
        return float(x[0] * x[1] * np.polyval(self.coefficients(t)[::-1], x[0] - x[1]) / (self.gas_constant * t))

    def ln_gamma(self, x, t):
        x = check_composition(x)
        if len(x) != 2:
            raise ThermoInputError(f"Redlich-Kister here is binary; {len(x)} components were given. Use Wilson or NRTL, or the calphad extra")
        c = self.coefficients(t)[::-1]
        d = x[0] - x[1]
        g = x[0] * x[1] * np.polyval(c, d)
        dg = d * np.polyval(c, d) - 2 * x[0] * x[1] * (np.polyval(np.polyder(c), d) if len(c) > 1 else 0.0)     # by x2, at x1 = 1 - x2
        return np.array([g - x[1] * dg, g + x[0] * dg]) / (self.gas_constant * t)


@dataclass(frozen=True)
class Wilson:
    """`parameters` (n, n) Lambda_ij, diagonal 1 (Wilson, J. Am. Chem. Soc. 86, 127, 1964)."""
    parameters: tuple

    def _matrix(self):
        m = np.asarray(self.parameters, float)
        if m.ndim != 2 or m.shape[0] != m.shape[1] or np.any(m <= 0) or np.any(np.abs(np.diag(m) - 1) > 1e-12):
            raise ThermoInputError(f"Wilson parameters {self.parameters!r}: a square matrix of positive numbers with ones on its diagonal is needed")
        return m

    def excess(self, x, t):
        x = check_composition(x)
        return float(-x @ np.log(self._matrix() @ x))

    def ln_gamma(self, x, t):
        x, m = check_composition(x), self._matrix()
        inner = m @ x
        return 1 - np.log(inner) - m.T @ (x / inner)


@dataclass(frozen=True)
class NRTL:
    """`tau` (n, n) with zero diagonal, `alpha` (n, n) symmetric (Renon and Prausnitz, AIChE J. 14, 135, 1968)."""
    tau: tuple
    alpha: tuple

    def _arrays(self):
        tau, alpha = np.asarray(self.tau, float), np.asarray(self.alpha, float)
        if tau.shape != alpha.shape or tau.ndim != 2 or tau.shape[0] != tau.shape[1] or np.any(np.diag(tau) != 0) or not np.array_equal(alpha, alpha.T):
            raise ThermoInputError("NRTL: tau must be square with a zero diagonal, alpha symmetric of the same size")
        return tau, np.exp(-alpha * tau)

    def excess(self, x, t):
        x = check_composition(x)
        tau, g = self._arrays()
        return float(np.sum(x * ((tau * g).T @ x) / (g.T @ x)))

    def ln_gamma(self, x, t):
        x = check_composition(x)
        tau, g = self._arrays()
        below = g.T @ x
        mean = ((tau * g).T @ x) / below
        return mean + (g * (tau - mean[None, :])) @ (x / below)


def nrtl_binary(tau12, tau21, alpha):
    return NRTL(((0.0, tau12), (tau21, 0.0)), ((0.0, alpha), (alpha, 0.0)))


def wilson_binary(lambda12, lambda21):
    return Wilson(((1.0, lambda12), (lambda21, 1.0)))


def activities(model, x, t):
    """a_i = gamma_i x_i"""
    return np.exp(model.ln_gamma(x, t)) * np.asarray(x, float)


def gibbs_duhem(model, x, t, step=1e-3):
    """max over directions of |sum_i x_i d ln gamma_i|, by Richardson differences of the model's own ln gamma: 0 for a consistent model."""
    from .potentials import difference
    x = check_composition(x)
    worst = 0.0
    for k in range(len(x) - 1):
        direction = np.zeros(len(x))
        direction[k], direction[-1] = 1.0, -1.0
        h = min(step, 0.4 * x[k], 0.4 * x[-1])
        slopes = np.array([difference(lambda e, i=i: model.ln_gamma(x + e * direction, t)[i], 0.0, h) for i in range(len(x))])
        worst = max(worst, abs(float(x @ slopes)))
    return worst
