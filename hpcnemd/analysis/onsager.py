"""Onsager matrix of ionic transport: L_ab = lim d/dt <dR_a . dR_b> / (6 V k_B T), R_a = sum of the positions of the ions of species a
relative to a reference, so that sigma = e^2 sum z_a z_b L_ab (Fong, Bergstrom, McCloskey, Mandadapu, AIChE J. 66, e17091 (2020)).

The estimator is that of `einstein.green_kubo`, which it equals exactly when it is summed over species. Matrices inside in 1/(eV angstrom fs).
Errors: at zero frequency the species currents are jointly Gaussian, so the estimate is a Wishart matrix with the degrees of freedom nu of the
scalar estimator (Brillinger, Time Series: Data Analysis and Theory, 7.3): cov(L_ab, L_cd) = (L_ac L_bd + L_ad L_bc) / nu.
"""
import math
from dataclasses import dataclass

import numpy as np

from ..core.units import BOLTZMANN, ELEMENTARY_CHARGE, SIEMENS_PER_METRE
from .blocks import student
from .einstein import slope_spread, slopes

PER_JOULE_METRE_SECOND = SIEMENS_PER_METRE / ELEMENTARY_CHARGE ** 2     # of 1/(eV angstrom fs)


def referenced(displacement, counts, masses, reference):
    """(..., s, 3) sums of displacements of each species relative to the centre of mass of the species where `reference` (s,) is true.

    `displacement` (..., s, 3) angstrom, sums over the ions of each species; `counts`, `masses` (s,). Raises ValueError where the reference
    has no ion."""
    counts, masses = np.asarray(counts, dtype=np.float64), np.asarray(masses, dtype=np.float64)
    weight = np.where(reference, masses, 0.0)
    total = float((weight * counts).sum())
    if not total > 0:
        raise ValueError("the reference of the displacements holds no ion")
    frame = np.einsum("s,...sk->...k", weight, displacement) / total
    return displacement - counts[:, None] * frame[..., None, :]


def paths_of(displacement, basis=None):
    """List of (T, s) arrays, one for each replica and direction, from (R, T, s, 3); what follows the first NaN of a replica is left out.
    `basis` (k, 3): directions, the three axes where None."""
    paths = []
    for block in np.asarray(displacement, dtype=np.float64):
        bad = ~np.isfinite(block).all(axis=(1, 2))
        end = int(np.argmax(bad)) if bad.any() else len(block)
        if end > 1:
            paths += [block[:end] @ direction for direction in (np.eye(3) if basis is None else basis)]
    return paths


@dataclass(frozen=True)
class Onsager:
    """`matrix` (s, s) 1/(eV angstrom fs), symmetric; `dof`: degrees of freedom of its Wishart distribution; `names`, `charges` (s,) e."""
    matrix: np.ndarray
    dof: float
    names: tuple
    charges: np.ndarray

    def error(self, a, b):
        """Standard error of L_ab, in its unit."""
        m = self.matrix
        return math.sqrt(max(0.0, m[a, b] ** 2 + m[a, a] * m[b, b]) / self.dof)

    def entry(self, a, b):
        """L_ab as an Estimate in 1/(J m s)."""
        scale = PER_JOULE_METRE_SECOND
        return student(scale * self.matrix[a, b], scale * self.error(a, b), self.dof, "1/(J m s)", f"Onsager coefficient {self.names[a]}-{self.names[b]}")

    def part(self, a, b):
        """e^2 z_a z_b L_ab as an Estimate in S/m; all parts, both orders of a and b, sum to the conductivity."""
        scale = SIEMENS_PER_METRE * self.charges[a] * self.charges[b]
        return student(scale * self.matrix[a, b], abs(scale) * self.error(a, b), self.dof, "S/m", f"e^2 z z L, {self.names[a]}-{self.names[b]}")

    def conductivity(self):
        """sigma = e^2 sum z_a z_b L_ab as an Estimate in S/m."""
        value = SIEMENS_PER_METRE * float(self.charges @ self.matrix @ self.charges)
        return student(value, abs(value) * math.sqrt(2 / self.dof), self.dof, "S/m", "e^2 sum z z L")

    def transference(self, a):
        """t_a = z_a sum_b z_b L_ab / sum z z L as an Estimate: the share of species a in the current that a field drives."""
        q, m = self.charges, self.matrix
        whole = float(q @ m @ q)
        value = float(q[a] * (m @ q)[a] / whole) if whole else math.nan
        spread = (q[a] ** 2 * m[a, a] / whole - value ** 2) / self.dof if whole else math.nan      # of the ratio, by the Wishart covariance
        return student(value, math.sqrt(max(0.0, spread)), self.dof, "", f"transference number, {self.names[a]}")


def onsager(paths, sample, volume, temperature, samples, names, charges):
    """The matrix at the window of `samples` sampling intervals of `sample` fs, from paths (T, s) of R_a in angstrom. An Onsager."""
    size = paths[0].shape[1]
    half = samples // 2
    scale = 1.0 / (2 * volume * BOLTZMANN * temperature * sample)

    def slope(rows):
        return float(slopes(rows, samples)[0][half:].mean())
    matrix = np.zeros((size, size))
    for a in range(size):
        matrix[a, a] = scale * slope([path[:, a] for path in paths])
        for b in range(a):                              # <dR_a dR_b> from the squares of sum and difference
            matrix[a, b] = matrix[b, a] = scale / 4 * (slope([path[:, a] + path[:, b] for path in paths]) - slope([path[:, a] - path[:, b] for path in paths]))
    steps = sum(len(path) - 1 for path in paths)
    return Onsager(matrix, 2 / slope_spread(samples, steps), tuple(names), np.asarray(charges, dtype=np.float64))


def self_part(coefficient, charge, count, volume, temperature):
    """The part of e^2 z^2 L_aa that the motion of single ions makes, z^2 N D / (V k_B T), in S/m; `coefficient`: Estimate of D, angstrom^2/fs."""
    scale = SIEMENS_PER_METRE * charge ** 2 * count / (volume * BOLTZMANN * temperature)
    return student(scale * coefficient.value, scale * coefficient.error, coefficient.dof, "S/m", "self part, z^2 N D / (V k_B T)")


def distinct_part(whole, own):
    """What pairs of different ions of one species add: the part e^2 z^2 L_aa less its self part, errors taken as independent (that of the
    self part is small). An Estimate in S/m."""
    error = math.hypot(whole.error, own.error if math.isfinite(own.error) else 0.0)
    return student(whole.value - own.value, error, whole.dof, "S/m", "distinct part")
