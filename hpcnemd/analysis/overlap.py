"""Whether an average can be trusted: overlap of forward and reverse work, effective sample size, bias of the exponential average."""
import math
from dataclasses import dataclass

import numpy as np

FEWEST_EFFECTIVE = 50.0         # replicas that must carry an exponential average
HEAVIEST_TAIL = 0.5             # tail shape of its weights: finite variance
LEAST_OVERLAP = 0.03            # of forward and reverse work, below which BAR's error estimate fails (Klimovich et al., 2015)


@dataclass(frozen=True)
class ExponentialDiagnosis:
    """Of <exp(-w)>. `dissipation`: <w> + ln <exp(-w)>; `needed`: exp(dissipation), the least number of samples; `effective`: (sum e^-w)^2 / sum e^-2w, which
    comes out too large where the rare samples that matter have not been met; `tail`: shape k of the tail of exp(-w), P(> u) ~ u^(-1/k): from 1/2 on the
    variance is infinite, or not met by this number of samples, and the error bar means nothing; `bias`: of -ln <exp(-w)>, to first order in 1/n;
    `half_shift`: how far that estimate moves when only half of the samples are used (mean over the two halves minus all)."""
    samples: int
    dissipation: float
    needed: float
    effective: float
    tail: float
    largest_share: float
    bias: float
    half_shift: float

    @property
    def trusted(self):
        return self.samples >= self.needed and self.effective >= FEWEST_EFFECTIVE and self.tail < HEAVIEST_TAIL

    def warning(self, what):
        """A sentence, or None where the average can be trusted."""
        if self.trusted:
            return None
        return (f"the exponential average of {what} cannot be trusted: {self.samples} samples for a dissipation of {self.dissipation:.3g} k_B T (at least "
                f"{self.needed:.3g}), {self.effective:.3g} of them carry it ({100 * self.largest_share:.2g} % a single one; at least {FEWEST_EFFECTIVE:g} should), tail shape "
                f"{self.tail:.2f} (below {HEAVIEST_TAIL:g}); use BAR or the slope of the logarithms")

    def as_dict(self):
        return {**self.__dict__, "trusted": self.trusted}


def diagnose(work):
    """ExponentialDiagnosis of works or entropies (n,) in k_B T."""
    w = np.asarray(work, np.float64)

    def free(part):
        top = float((-part).max())
        return -(top + math.log(np.exp(-part - top).mean()))
    weight = np.exp(-(w - w.min()))
    total, squares = float(weight.sum()), float((weight**2).sum())
    effective, half = total**2 / squares, len(w) // 2
    whole = free(w)
    dissipation = float(w.mean()) - whole
    return ExponentialDiagnosis(len(w), dissipation, math.exp(min(700.0, dissipation)), effective, tail_shape(weight), float(weight.max()) / total,
                                0.5 * (1.0 / effective - 1.0 / len(w)), 0.5 * (free(w[:half]) + free(w[half:])) - whole)


def tail_shape(weights):
    """Shape k of a generalised Pareto distribution fitted to the largest min(n/5, 3 sqrt n) weights, by the method of Zhang and Stephens (2009) with the weak
    prior of Vehtari et al. (Pareto smoothed importance sampling, arXiv:1507.02646). Bounded weights have k < 0; nan below 25 samples."""
    weights = np.sort(weights)
    size = int(min(len(weights) / 5, 3 * math.sqrt(len(weights))))
    if size < 5:
        return math.nan
    x = weights[-size:] - weights[-size - 1]
    x = x[x > 0]
    n = len(x)
    if n < 5:
        return -math.inf                                    # ties: no tail at all
    grid = 30 + int(math.sqrt(n))
    b = (1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (3 * x[int(n / 4 + 0.5) - 1]) + 1 / x[-1]
    shape = np.log1p(-b[:, None] * x).mean(axis=1)
    likelihood = n * (np.log(-b / shape) - shape - 1)
    posterior = np.exp(likelihood - likelihood.max())
    k = float(np.log1p(-(b * posterior).sum() / posterior.sum() * x).mean())
    return (n * k + 5.0) / (n + 10)


def overlap(forward, reverse, free_energy):
    """Overlap in [0, 1] of P_F(w) and P_R(-w): O_FR + O_RF of the two-state overlap matrix, which is 1 minus its second eigenvalue
    (Klimovich, Shirts, Mobley, J. Comput. Aided Mol. Des. 29, 397 (2015))."""
    nf, nr = len(forward), len(reverse)
    w = np.concatenate([np.asarray(forward, np.float64), -np.asarray(reverse, np.float64)])
    x = np.clip(math.log(nf / nr) + w - free_energy, -700.0, 700.0)
    p = 1.0 / (1.0 + np.exp(-x))
    return float((p * (1 - p)).sum()) * (1.0 / nf + 1.0 / nr)


def overlap_warning(value):
    """A sentence, or None where the overlap is enough."""
    if value >= LEAST_OVERLAP:
        return None
    return (f"forward and reverse work overlap by {100 * value:.2g} %, less than {100 * LEAST_OVERLAP:g} %: the free energy and its error cannot be trusted; "
            "drive more slowly, or run more replicas")
