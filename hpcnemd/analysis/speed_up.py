"""How many times cheaper a driven run is than an equilibrium one of equal error: measured from two runs, and by the law S = entropy(t*) / 3 k_B.

Measured: S = (eps_a^2 t_a) / (eps_b^2 t_b), relative errors and lengths of the two runs. The equilibrium error is taken from the scatter of the squared charge
displacements of windows t* that do not overlap, not from their Gaussian law, so that the comparison with the law tests it too."""
import math
from dataclasses import dataclass

import numpy as np

from .blocks import Estimate, merge
from .distributions import f_ppf
from .einstein import increments


@dataclass(frozen=True)
class Cost:
    """`square`: squared relative error of a run, `dof`: degrees of freedom of that square, `time` fs: its length."""
    square: float
    dof: float
    time: float


def cost_of(estimate, time):
    """The Cost of an Estimate from a run of `time` fs."""
    return Cost(estimate.relative ** 2, float(estimate.dof), float(time))


def window_cost(paths, samples, time):
    """The Cost of an Einstein-Helfand estimate from the windows of `samples` in `paths` (P(t) of axes and replicas) that do not overlap, over `time` fs in all:
    relative variance of the mean of the squares by their own scatter; its degrees of freedom from a jackknife of the logarithm. None for fewer than 12 windows."""
    squares = np.concatenate(merge(increments(paths), samples) or [np.empty(0)]) ** 2
    n = len(squares)
    if n < 12:
        return None
    total, second = squares.sum(), (squares ** 2).sum()

    def log_square(m, s, q):
        mean = s / m
        return np.log((q / m - mean ** 2) / (m - 1) / mean ** 2)
    left = log_square(n - 1, total - squares, second - squares ** 2)
    spread = (n - 1) / n * float(((left - left.mean()) ** 2).sum())
    return Cost(float(np.exp(log_square(n, total, second))), 2 / spread, float(time))


def ratio(dear, cheap):
    """The Estimate of (dear.square dear.time) / (cheap.square cheap.time); interval of F, since both squares are variances."""
    value = dear.square * dear.time / (cheap.square * cheap.time)
    low, high = (value / f_ppf(p, dear.dof, cheap.dof) for p in (0.975, 0.025))
    dof = 1 / (1 / dear.dof + 1 / cheap.dof)
    return Estimate(value, value * math.sqrt(2 / dear.dof + 2 / cheap.dof), dof, float(low), float(high), "", "(error^2 time) of the one over that of the other")


def law(entropy_rate, window):
    """S = entropy produced in `window` (fs) / 3 k_B as an Estimate; `entropy_rate`: Estimate in k_B/fs."""
    scale = window / 3.0
    return Estimate(entropy_rate.value * scale, entropy_rate.error * scale, entropy_rate.dof, entropy_rate.low * scale, entropy_rate.high * scale, "",
                    f"entropy produced in {window / 1000:g} ps / 3 k_B")


def line_crossing(x, logs, errors, level):
    """Where a weighted straight line through (x, logs) reaches `level`: (x there, its error), or None where fewer than two points, or no significant slope."""
    x, logs, weights = np.asarray(x, float), np.asarray(logs, float), 1 / np.asarray(errors, float) ** 2
    if len(set(x.tolist())) < 2:
        return None
    centre = weights @ x / weights.sum()
    mean, square = weights @ logs / weights.sum(), weights @ (x - centre) ** 2
    slope = weights @ ((x - centre) * logs) / square
    if abs(slope) < 2 / math.sqrt(square):
        return None
    distance = (level - mean) / slope
    return float(centre + distance), float(math.sqrt(1 / weights.sum() + distance ** 2 / square) / abs(slope))
