"""Forms of pair potentials, each brought to the same few terms, which the kernels are built from:

    U(r) = a1 e + a2 e^2 + sum_n c_n / r^n + stiffness (contact - r)^(5/2) + table(r),   e = exp(-decay r).

A new form is one entry of FORMS: its parameters and the function that turns them into `Terms`."""
import math
from dataclasses import dataclass, field

import numpy as np

from ..core.errors import InputError


@dataclass(frozen=True)
class Table:
    """Cubic Hermite pieces on a uniform grid: energies (n,) eV and forces -dU/dr (n,) eV/angstrom at start + k * spacing.
    Below the first point the potential goes on as a straight line, beyond the last one it is zero."""
    start: float
    spacing: float
    energy: np.ndarray
    force: np.ndarray

    def coefficients(self):
        """(n - 1, 4): U = c0 + c1 w + c2 w^2 + c3 w^3 for w = (r - start) / spacing - k in [0, 1)."""
        u, slope = self.energy, -self.force * self.spacing
        rise = u[1:] - u[:-1]
        return np.stack([u[:-1], slope[:-1], 3 * rise - 2 * slope[:-1] - slope[1:], slope[:-1] + slope[1:] - 2 * rise], axis=1)


@dataclass(frozen=True)
class Terms:
    """The short-range part of one pair of species (units eV, angstrom; `powers` maps n to c_n)."""
    decay: float = 0.0
    a1: float = 0.0
    a2: float = 0.0
    powers: dict = field(default_factory=dict)
    stiffness: float = 0.0
    contact: float = 0.0
    table: Table | None = None

    def energy(self, r):
        """U (eV) at distances r (angstrom), without any truncation."""
        return self._evaluate(r)[0]

    def force(self, r):
        """-dU/dr (eV/angstrom) at distances r (angstrom), without any truncation."""
        return self._evaluate(r)[1]

    def _evaluate(self, r):
        r = np.asarray(r, dtype=np.float64)
        e = np.exp(-self.decay * r)
        energy = e * (self.a1 + self.a2 * e)
        force = self.decay * e * (self.a1 + 2 * self.a2 * e)
        for n, c in self.powers.items():
            energy = energy + c / r**n
            force = force + n * c / r**(n + 1)
        overlap = np.maximum(self.contact - r, 0.0)
        energy = energy + self.stiffness * overlap**2.5
        force = force + 2.5 * self.stiffness * overlap**1.5
        if self.table is not None:
            pieces = self.table.coefficients()
            x = (r - self.table.start) / self.table.spacing
            k = np.clip(np.floor(x).astype(int), 0, len(pieces) - 1)
            w = x - k
            c = np.moveaxis(pieces[k], -1, 0)
            inside = np.where(x < 0, c[0] + c[1] * w, c[0] + w * (c[1] + w * (c[2] + w * c[3])))
            slope = np.where(x < 0, c[1], c[1] + w * (2 * c[2] + 3 * w * c[3])) / self.table.spacing
            energy = energy + np.where(x < len(pieces), inside, 0.0)
            force = force - np.where(x < len(pieces), slope, 0.0)
        return energy, force


def _buckingham(A, rho, C):
    return Terms(decay=1 / rho, a1=A, powers={6: -C})


def _born_mayer_huggins(A, sigma, rho, C, D):
    return Terms(decay=1 / rho, a1=A * math.exp(sigma / rho), powers={6: -C, 8: -D})


def _lennard_jones(epsilon, sigma):
    return Terms(powers={12: 4 * epsilon * sigma**12, 6: -4 * epsilon * sigma**6})


def _morse(D0, alpha, r0):
    return Terms(decay=alpha, a1=-2 * D0 * math.exp(alpha * r0), a2=D0 * math.exp(2 * alpha * r0))


def _nm46(n, H, P, W):
    powers = {4: -P, 6: -W}
    powers[n] = powers.get(n, 0.0) + H
    return Terms(powers=powers)


def _hertz(stiffness, contact):
    return Terms(stiffness=stiffness, contact=contact)


def _tabulated(r, U, F):
    return Terms(table=resample(np.asarray(r, float), np.asarray(U, float), np.asarray(F, float)))


def resample(r, energy, force):
    """A Table through columns r, U and F = -dU/dr; a column r that is not uniform is resampled four times finer than its smallest step
    (at most 20,000 points). Raises InputError where F contradicts U."""
    if len(r) < 4 or np.any(np.diff(r) <= 0) or r[0] <= 0 or not np.all(np.isfinite([r, energy, force])):
        raise InputError("a tabulated potential needs at least 4 rows of finite r, U, F with r > 0 increasing")
    step = np.diff(r)
    # over one step the trapezium of F must give the fall of U, up to the curvature that the neighbours show
    miss = np.abs(energy[:-1] - energy[1:] - 0.5 * step * (force[:-1] + force[1:]))
    scale = step * np.maximum(np.abs(np.diff(force)), 1e-3 * (np.abs(force).max() + 1e-30))
    if np.any(miss > scale):
        k = int(np.argmax(miss / scale))
        raise InputError(f"tabulated potential: U and F disagree between r = {r[k]:g} and {r[k + 1]:g} (F must be -dU/dr); check the sign and the units of F")
    if np.ptp(step) <= 1e-6 * step.mean():
        return Table(float(r[0]), float((r[-1] - r[0]) / (len(r) - 1)), energy, force)
    n = int(min(20000, math.ceil((r[-1] - r[0]) / step.min()) * 4 + 1))
    grid = np.linspace(r[0], r[-1], n)
    k = np.clip(np.searchsorted(r, grid, side="right") - 1, 0, len(r) - 2)
    w, h = (grid - r[k]) / step[k], step[k]
    rise, s0, s1 = energy[k + 1] - energy[k], -force[k] * h, -force[k + 1] * h
    c2, c3 = 3 * rise - 2 * s0 - s1, s0 + s1 - 2 * rise
    return Table(float(r[0]), float(grid[1] - grid[0]), energy[k] + w * (s0 + w * (c2 + w * c3)), -(s0 + w * (2 * c2 + 3 * w * c3)) / h)


# form -> (parameters in the order of its function, the function, formula for `check`)
FORMS = {
    "buckingham": (("A", "rho", "C"), _buckingham, "A exp(-r/rho) - C/r^6"),
    "born_mayer_huggins": (("A", "sigma", "rho", "C", "D"), _born_mayer_huggins, "A exp((sigma-r)/rho) - C/r^6 - D/r^8"),
    "lennard_jones": (("epsilon", "sigma"), _lennard_jones, "4 epsilon ((sigma/r)^12 - (sigma/r)^6)"),
    "morse": (("D0", "alpha", "r0"), _morse, "D0 ((exp(alpha(r0-r)) - 1)^2 - 1)"),
    "nm46": (("n", "H", "P", "W"), _nm46, "H/r^n - P/r^4 - W/r^6"),
    "hertz": (("stiffness", "contact"), _hertz, "stiffness max(0, contact-r)^(5/2)"),
    "tabulated": (("r", "U", "F"), _tabulated, "cubic through columns r, U, F"),
}
POSITIVE = {"rho", "sigma", "alpha", "r0", "contact"}


def terms_of(form, parameters):
    """The Terms of one row of a force field; parameters as the loader validated them."""
    return FORMS[form][1](**parameters)
