"""Has the run settled? Tests of a block series against drift; small p means that it still drifts."""
import math
from dataclasses import dataclass

import numpy as np

from .blocks import Level, choose_level, count, merge
from .distributions import t_sf


@dataclass(frozen=True)
class Settling:
    """`slope`: change of the series over the run; `slope_error`: one standard error; `p_trend`: chance of a larger slope in a stationary
    series; `p_ends`: the same for the difference of first fifth and last half (Geweke 1992). NaN where there are too few blocks."""
    slope: float
    slope_error: float
    p_trend: float
    p_ends: float

    @property
    def p(self):
        """The smaller p, doubled for two looks (Bonferroni)."""
        known = [p for p in (self.p_trend, self.p_ends) if math.isfinite(p)]
        return min(1.0, len(known) * min(known)) if known else math.nan


def late_level(rows):
    """The block length judged by the second half of every row, because a drift looks like a correlation; no longer than leaves five blocks in a
    row. A Level."""
    level = choose_level([row[len(row) // 2:] for row in rows])
    longest = max(len(row) for row in rows)
    return Level(max(1, min(level.factor, longest // 5)), level.independent, level.p)


def settling(rows, level=None):
    """Tests one series, merged to independent blocks; each replica has its own mean, the slope is common. A Settling."""
    merged = merge(rows, (level or late_level(rows)).factor)
    merged = [row for row in merged if len(row) >= 2]
    n, dof = count(merged), count(merged) - len(merged) - 1
    if dof < 4:
        return Settling(math.nan, math.nan, math.nan, math.nan)
    length = max(len(row) for row in merged)
    times = [(np.arange(len(row)) + 0.5) / length for row in merged]
    times = [x - x.mean() for x in times]
    values = [row - row.mean() for row in merged]
    sxx = sum(float((x * x).sum()) for x in times)
    slope = sum(float((x * y).sum()) for x, y in zip(times, values)) / sxx
    rest = sum(float(((y - slope * x) ** 2).sum()) for x, y in zip(times, values)) / dof
    if rest == 0.0:
        return Settling(slope, 0.0, 1.0 if slope == 0.0 else 0.0, math.nan)
    error = math.sqrt(rest / sxx)
    p_trend = 2 * float(t_sf(abs(slope / error), dof))
    return Settling(slope, error, p_trend, _ends(merged))


def _ends(merged):
    """p of the difference between the first fifth and the last half of all rows (Welch)."""
    from scipy.stats import ttest_ind
    first = np.concatenate([row[:max(1, len(row) // 5)] for row in merged])
    last = np.concatenate([row[len(row) // 2:] for row in merged])
    if len(first) < 3 or len(last) < 3:
        return math.nan
    return float(ttest_ind(first, last, equal_var=False).pvalue)
