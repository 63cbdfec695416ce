"""Whether an average can be trusted: overlap of forward and reverse work, effective sample size, bias of the exponential average."""
import math
from dataclasses import dataclass

import numpy as np

FEWEST_EFFECTIVE = 50.0         # replicas that must carry an exponential average
LEAST_OVERLAP = 0.03            # of forward and reverse work, below which BAR's error estimate fails (Klimovich et al., 2015)


@dataclass(frozen=True)
class ExponentialDiagnosis:
    """Of <exp(-w)>. `needed`: exp(dissipated work), the least number of samples; `effective`: (sum e^-w)^2 / sum e^-2w, which comes out too large
    where the rare samples that matter have not been met; `expected`: n exp(-2 dissipation), what it is for Gaussian work; `bias`: of -ln <exp(-w)>,
    to first order in 1/n; `half_shift`: how far that estimate moves when only half of the samples are used (mean over the two halves minus all)."""
    samples: int
    dissipation: float
    needed: float
    effective: float
    expected: float
    largest_share: float
    bias: float
    half_shift: float

    @property
    def trusted(self):
        return self.samples >= self.needed and min(self.effective, self.expected) >= FEWEST_EFFECTIVE

    def warning(self, what):
        """A sentence, or None where the average can be trusted."""
        if self.trusted:
            return None
        return (f"the exponential average of {what} cannot be trusted: {self.samples} samples, at least {self.needed:.3g} are needed for a dissipation of "
                f"{self.dissipation:.3g} k_B T, and {min(self.effective, self.expected):.3g} of them carry it ({100 * self.largest_share:.2g} % a single one); use BAR or the slope of the logarithms")

    def as_dict(self):
        return {**self.__dict__, "trusted": self.trusted}


def diagnose(work):
    """ExponentialDiagnosis of works or entropies (n,) in k_B T. The dissipation is the larger of <w> + ln <exp(-w)> and Var(w)/2: the first is too small
    exactly where the average has not converged."""
    w = np.asarray(work, np.float64)

    def free(part):
        top = float((-part).max())
        return -(top + math.log(np.exp(-part - top).mean()))
    weight = np.exp(-(w - w.min()))
    total, squares = float(weight.sum()), float((weight**2).sum())
    effective, half = total**2 / squares, len(w) // 2
    whole = free(w)
    dissipation = max(float(w.mean()) - whole, 0.5 * float(w.var(ddof=1)))
    return ExponentialDiagnosis(len(w), dissipation, math.exp(min(700.0, dissipation)), effective,
                                len(w) * math.exp(-2.0 * dissipation), float(weight.max()) / total,
                                0.5 * (1.0 / effective - 1.0 / len(w)), 0.5 * (free(w[:half]) + free(w[half:])) - whole)


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
