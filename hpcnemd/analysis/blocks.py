"""Means, and errors of means, of block series: several replicas, correlated in time, of unequal length.

A *series* is a list of 1-d arrays, one per replica (or per replica and axis); blocks are merged inside a row, never across rows.
Sources: Flyvbjerg and Petersen, J. Chem. Phys. 91, 461 (1989) for re-blocking and the error of the error; Jonsson, Phys. Rev. E 98,
043304 (2018) for the choice of the block length by the lag-1 correlations of all longer blocks together.
"""
import math
from dataclasses import dataclass

import numpy as np

from .distributions import chi2_sf, t_ppf

FEWEST = 10             # blocks below which correlations are not used to judge a block length
SAFETY = 2              # blocks that were found correlated are made this much longer than the test asks: it is blind to weak correlations


@dataclass(frozen=True)
class Estimate:
    """A number with its error. `error`: one standard error; `dof`: degrees of freedom of that error (Student t); `low`, `high`: 95 % interval,
    not symmetric where the estimator is a reciprocal; infinite where the data give no bound."""
    value: float
    error: float
    dof: float
    low: float
    high: float
    unit: str = ""
    estimator: str = ""

    @property
    def relative(self):
        return self.error / abs(self.value) if self.value else math.inf

    def as_dict(self):
        """What JSON can hold: a number that is not finite becomes None."""
        def finite(x):
            return float(x) if math.isfinite(x) else None
        return {"value": finite(self.value), "error": finite(self.error), "degrees_of_freedom": finite(self.dof),
                "interval95": [finite(self.low), finite(self.high)], "unit": self.unit, "estimator": self.estimator}


def student(value, error, dof, unit="", estimator=""):
    """An Estimate with the symmetric 95 % interval of Student's t; no interval where dof < 1."""
    half = t_ppf(0.975, dof) * error if dof >= 1 else math.inf
    return Estimate(float(value), float(error), float(dof), float(value - half), float(value + half), unit, estimator)


def rows_of(array, done):
    """The finished blocks as a series: array (R, B), done (R,) blocks that count; replicas without any are left out.

    Raises ValueError where a block that should be finished is not finite."""
    rows = [np.asarray(row[:int(n)], dtype=np.float64) for row, n in zip(array, done) if n > 0]
    for row in rows:
        if not np.all(np.isfinite(row)):
            raise ValueError("a block that is marked as finished holds a value that is not finite")
    return rows


def count(rows):
    """Number of blocks in all rows."""
    return sum(len(row) for row in rows)


def mean(rows):
    """The mean over all blocks of all rows."""
    return float(sum(float(row.sum()) for row in rows) / count(rows))


def merge(rows, factor):
    """Means of `factor` neighbouring blocks; a remainder is dropped at the front, where the memory of the start is longest."""
    merged = []
    for row in rows:
        n = len(row) // factor
        if n:
            merged.append(row[len(row) - n * factor:].reshape(n, factor).mean(axis=1))
    return merged


def variance(rows, known_mean=None):
    """(variance of one block, degrees of freedom) about the mean of all rows, so that differences between replicas count;
    about `known_mean` where symmetry gives it."""
    n = count(rows)
    centre = mean(rows) if known_mean is None else known_mean
    dof = n - 1 if known_mean is None else n
    if dof < 1:
        return math.nan, 0
    return float(sum(float(((row - centre) ** 2).sum()) for row in rows)) / dof, dof


def neighbour_correlation(rows, known_mean=None):
    """(lag-1 correlation, z): z is standard normal for independent blocks. The -1/n bias of a mean taken from the data is removed."""
    n = count(rows)
    centre = mean(rows) if known_mean is None else known_mean
    pairs = sum(max(len(row) - 1, 0) for row in rows)
    scatter = sum(float(((row - centre) ** 2).sum()) for row in rows) / n
    if pairs == 0 or scatter == 0.0:
        return 0.0, 0.0
    products = sum(float(((row[1:] - centre) * (row[:-1] - centre)).sum()) for row in rows) / scatter
    if known_mean is None:
        products += pairs / n
    return products / pairs, products / math.sqrt(pairs)


def factors(rows, fewest=FEWEST, powers_of_two=True):
    """The merge factors that leave at least `fewest` blocks in all; 1 always."""
    longest = max(len(row) for row in rows)
    if powers_of_two:
        steps = [2 ** k for k in range(longest.bit_length())]
    else:
        steps = sorted({max(1, round(longest ** (k / 24))) for k in range(25)})
    return [f for f in steps if f == 1 or sum(len(row) // f for row in rows) >= fewest]


@dataclass(frozen=True)
class Level:
    """The block length at which blocks count as independent. `factor`: how many written blocks make one; `independent`: False
    where no block length passed and the longest was taken; `p`: chance of larger correlations in independent blocks."""
    factor: int
    independent: bool
    p: float


def choose_level(rows, known_mean=None, alpha=0.03, fewest=FEWEST, safety=SAFETY, least=1):
    """The shortest block length from which on the lag-1 correlations of all longer blocks together are those of independent blocks
    (Jonsson 2018; both signs count); made `safety` times longer where it is not the written one. At least `least` written blocks, where the
    process is known to remember that long; not independent where there are too few blocks for that. A Level.

    alpha: at 10 %, false alarms made the error of 200 independent blocks uncertain by 10 % instead of 7, and covered no better where neighbours
    correlate by 0.3 (AR(1) series; 93 % of 95 either way)."""
    steps = factors(rows, fewest)
    squares = [neighbour_correlation(merge(rows, f), known_mean)[1] ** 2 for f in steps]
    p = 0.0
    for k, factor in enumerate(steps):
        p = float(chi2_sf(sum(squares[k:]), len(steps) - k))
        if p > alpha and factor >= least:
            longer = factor * safety
            return Level(longer if k and count(merge(rows, longer)) >= fewest else factor, True, p)
    return Level(steps[-1], False, p)


def mean_estimate(rows, unit="", level=None, estimator="block average"):
    """The mean of a series as an Estimate, at the block length `level` (chosen here when None)."""
    level = level or choose_level(rows)
    spread, dof = variance(merge(rows, level.factor))
    error = math.sqrt(spread * level.factor / count(rows)) if dof else math.nan
    return student(mean(rows), error, dof, unit, estimator)


def reblock(rows, fewest=6):
    """The standard error of the mean against the block length: list of (factor, blocks, error, error of the error)."""
    table = []
    for factor in factors(rows, fewest, powers_of_two=False):
        merged = merge(rows, factor)
        spread, dof = variance(merged)
        if dof:
            error = math.sqrt(spread * factor / count(rows))
            table.append((factor, count(merged), error, error / math.sqrt(2 * dof)))
    return table


def integrated_time(rows, window=5.0):
    """(tau, its error) in blocks: 1/2 + sum of correlations, cut where the lag exceeds `window` times tau (Sokal's rule, with the
    error of Wolff, Comput. Phys. Commun. 156, 143 (2004)). 1/2 for independent blocks."""
    n, centre = count(rows), mean(rows)
    scatter = sum(float(((row - centre) ** 2).sum()) for row in rows) / n
    if scatter == 0.0:
        return 0.5, 0.0
    tau, lag = 0.5, 0
    for lag in range(1, max(len(row) for row in rows)):
        pairs = sum(max(len(row) - lag, 0) for row in rows)
        product = sum(float(((row[lag:] - centre) * (row[:-lag] - centre)).sum()) for row in rows if len(row) > lag)
        tau += product / pairs / scatter + 1.0 / n          # 1/n: bias of the mean taken from the data
        if lag >= window * max(tau, 0.5):
            break
    return tau, abs(tau) * math.sqrt(max(0.0, (4 * lag + 2 - 4 * tau) / n))


def jackknife(function, series, level):
    """function(means) of several series' means, with the delete-one-block error: (value, error, dof).

    `series`: list of series with the same rows; `function` takes as many floats. Blocks are merged by level.factor first."""
    merged = [np.concatenate(merge(rows, level.factor)) for rows in series]
    n = len(merged[0])
    value = function(*[mean(rows) for rows in series])
    if n < 2:
        return value, math.nan, 0
    left_out = np.array([function(*[(x.sum() - x[k]) / (n - 1) for x in merged]) for k in range(n)])
    used = n * level.factor / count(series[0])              # < 1 where a remainder was dropped
    return value, math.sqrt((n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum()) * used), n - 1


def running(rows, level):
    """Mean over all blocks up to each time, and its standard error from the final variance per block: three arrays (blocks used per
    replica (B,), mean (B,), error (B,))."""
    longest = max(len(row) for row in rows)
    total, used = np.zeros(longest), np.zeros(longest)
    for row in rows:
        total[:len(row)] += row
        used[:len(row)] += 1
    used = used.cumsum()
    spread, dof = variance(merge(rows, level.factor))
    error = np.sqrt(spread * level.factor / used) if dof else np.full(longest, np.nan)
    return np.arange(1, longest + 1), total.cumsum() / used, error
