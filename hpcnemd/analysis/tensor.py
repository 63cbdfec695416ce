"""The conductivity tensor from runs driven along different directions, its symmetry, its eigenvalues, and whether it is isotropic.

A run driven along n measures one column: with the field E along n the mean current is J = V sigma n E, all three components of it, whichever of E and the
current along n is held. Its three components share the noise of the run, runs share nothing."""
import math
from dataclasses import dataclass

import numpy as np

from ..core.units import SIEMENS_PER_METRE
from .blocks import choose_level, count, merge
from .distributions import chi2_sf

PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))        # Voigt's order


@dataclass(frozen=True)
class Column:
    """`value` (3,) S/m = sigma n for the direction `direction` (3,); `covariance` (3, 3); `blocks`: independent ones."""
    direction: np.ndarray
    value: np.ndarray
    covariance: np.ndarray
    blocks: int


def column(direction, current, impulse, block, volume, memory=0.0):
    """The Column of one run. `current`: list over replicas of (B, 3) block means of J (e angstrom/fs), `impulse`: list of (B,) field integrals
    (eV fs/(e angstrom)), `block` fs, `volume` angstrom^3. Ratio of means, jackknife covariance over blocks of at least `memory` fs. Raises ValueError for fewer than four."""
    rows = [impulse] + [[one[:, a] for one in current] for a in range(3)]
    moving = [series for series in rows if any(np.ptp(row) > 1e-9 * np.abs(row).max() for row in series)]
    factor = max([choose_level(series, least=memory / block).factor for series in moving], default=1)
    merged = np.stack([np.concatenate(merge(series, factor)) for series in rows])
    n = merged.shape[1]
    if n < 4:
        raise ValueError(f"{n} independent blocks give no covariance of a column of the tensor")
    scale = SIEMENS_PER_METRE / volume * block
    total = np.array([sum(float(row.sum()) for row in series) for series in rows])
    value = scale * total[1:] / total[0]
    means = (merged.sum(axis=1, keepdims=True) - merged) / (n - 1)
    left = scale * means[1:] / means[0]
    left = left - left.mean(axis=1, keepdims=True)
    used = n * factor / count(impulse)
    return Column(np.asarray(direction, np.float64), value, (n - 1) / n * used * left @ left.T, n)


@dataclass(frozen=True)
class Tensor:
    """`raw` (3, 3) S/m with `raw_error`; `symmetric` and `symmetric_error`, its symmetric part; `eigenvalues` (3,) ascending with `eigen_errors` and `axes`
    (columns); `mean`, `mean_error`: a third of the trace; chi-square, degrees of freedom and p of `isotropy` (a multiple of the unit matrix) and of `onsager`
    (no antisymmetric part). Eigenvalues that lie closer than their errors repel each other: trust the isotropy test there."""
    raw: np.ndarray
    raw_error: np.ndarray
    symmetric: np.ndarray
    symmetric_error: np.ndarray
    eigenvalues: np.ndarray
    eigen_errors: np.ndarray
    axes: np.ndarray
    mean: float
    mean_error: float
    isotropy: tuple
    onsager: tuple

    def as_dict(self):
        """What JSON can hold."""
        def test(found):
            return dict(zip(("chi_square", "degrees_of_freedom", "p"), found))
        return {"raw_S_per_m": self.raw.tolist(), "raw_error": self.raw_error.tolist(), "symmetric_S_per_m": self.symmetric.tolist(),
                "symmetric_error": self.symmetric_error.tolist(), "eigenvalues_S_per_m": self.eigenvalues.tolist(), "eigenvalue_errors": self.eigen_errors.tolist(),
                "eigenvectors": self.axes.T.tolist(), "mean_S_per_m": self.mean, "mean_error": self.mean_error, "isotropy": test(self.isotropy),
                "onsager_symmetry": test(self.onsager)}


def assemble(columns):
    """The Tensor of Columns along at least three independent directions (least squares where there are more). Raises ValueError."""
    directions = np.stack([one.direction for one in columns], axis=1)               # (3, K)
    if np.linalg.matrix_rank(directions, tol=1e-6) < 3:
        raise ValueError("a tensor needs runs along three independent directions")
    inverse = np.linalg.pinv(directions)                                            # (K, 3): sigma = columns @ inverse
    raw = np.stack([one.value for one in columns], axis=1) @ inverse
    whole = np.zeros((9, 9))
    for k, one in enumerate(columns):
        spread = np.kron(np.eye(3), inverse[k][:, None])                            # d raw[a, b] / d column[a] = inverse[k, b]
        whole += spread @ one.covariance @ spread.T
    symmetric, error = (raw + raw.T) / 2, np.zeros((3, 3))
    change = np.zeros((6, 9))
    for row, (a, b) in enumerate(PAIRS):
        change[row, 3 * a + b] += 0.5
        change[row, 3 * b + a] += 0.5
    voigt = change @ whole @ change.T
    for row, (a, b) in enumerate(PAIRS):
        error[a, b] = error[b, a] = math.sqrt(voigt[row, row])
    values, axes = np.linalg.eigh(symmetric)
    eigen_errors = [math.sqrt(w @ voigt @ w) for w in
                    (np.array([v[a] * v[b] * (1 if a == b else 2) for a, b in PAIRS]) for v in axes.T)]
    odd = np.zeros((3, 9))
    for row, (a, b) in enumerate(PAIRS[3:]):
        odd[row, 3 * a + b], odd[row, 3 * b + a] = 0.5, -0.5
    trace = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    return Tensor(raw, np.sqrt(np.diag(whole)).reshape(3, 3), symmetric, error, values, np.array(eigen_errors), axes, float(np.trace(raw) / 3),
                  math.sqrt(trace @ voigt @ trace) / 3, _isotropy(change @ raw.ravel(), voigt), _chi_square(odd @ raw.ravel(), odd @ whole @ odd.T))


def _chi_square(values, covariance):
    """(chi-square, degrees of freedom, p) of zero; directions that the covariance does not know are left out."""
    found = float(values @ np.linalg.pinv(covariance, hermitian=True) @ values)
    dof = int(np.linalg.matrix_rank(covariance, hermitian=True))
    return found, dof, float(chi2_sf(found, dof))


def _isotropy(voigt, covariance):
    """(chi-square, 5, p) of s (1, 1, 1, 0, 0, 0) with the best s."""
    weights, unit = np.linalg.inv(covariance), np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    best = unit @ weights @ voigt / (unit @ weights @ unit)
    rest = voigt - best * unit
    found = float(rest @ weights @ rest)
    return found, 5, float(chi2_sf(found, 5))
