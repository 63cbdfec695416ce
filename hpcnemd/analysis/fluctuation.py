"""Estimators of work and fluctuation theorems: Jarzynski, Crooks, Bennett, Evans-Searles, and what tells whether they can be trusted.

Work and entropy come in units of k_B T and k_B. The work of a reverse trajectory is the work done on the system along it, so that Crooks' theorem
reads P_F(w)/P_R(-w) = exp(w - dF) (Crooks, Phys. Rev. E 60, 2721 (1999)). Errors are standard errors; `groups` marks samples that are not
independent of each other: one number per group, whose sums are."""
import math
from dataclasses import dataclass

import numpy as np

from .overlap import ExponentialDiagnosis, diagnose


@dataclass(frozen=True)
class Estimate:
    """`value` and its standard `error`."""
    value: float
    error: float

    def distance(self, target):
        """From `target`, in standard errors."""
        return (self.value - target) / self.error if self.error > 0 else math.copysign(math.inf, self.value - target) if self.value != target else 0.0


def mean(samples, groups=None):
    """Estimate of the mean of samples (n,)."""
    samples = _by_group(np.asarray(samples, np.float64), groups)
    return Estimate(float(samples.mean()), float(samples.std(ddof=1) / math.sqrt(len(samples))))


def variance(samples):
    """Estimate of the variance of independent samples; its error from the fourth moment."""
    d = np.asarray(samples, np.float64) - np.mean(samples)
    n, second, fourth = len(d), float((d**2).mean()), float((d**4).mean())
    return Estimate(second * n / (n - 1), math.sqrt(max(0.0, fourth - second**2 * (n - 3) / (n - 1)) / n))


def _by_group(samples, groups):
    """The groups' means, for groups of equal size."""
    if groups is None:
        return samples
    order = np.argsort(groups, kind="stable")
    edges = np.flatnonzero(np.diff(groups[order])) + 1
    return np.array([part.mean() for part in np.split(samples[order], edges)])


def jarzynski(work):
    """(Estimate of dF = -ln <exp(-w)>, its ExponentialDiagnosis). Jarzynski, Phys. Rev. Lett. 78, 2690 (1997)."""
    work = np.asarray(work, np.float64)
    top = float((-work).max())
    weight = np.exp(-work - top)
    value = -(top + math.log(weight.mean()))
    return Estimate(value, float(weight.std(ddof=1) / weight.mean() / math.sqrt(len(work)))), diagnose(work)


def second_cumulant(work):
    """dF = <w> - Var(w)/2, right for Gaussian work only."""
    m, v = mean(work), variance(work)
    d = np.asarray(work) - m.value
    covariance = float((d**3).mean()) / len(d)              # of mean and variance
    return Estimate(m.value - 0.5 * v.value, math.sqrt(max(0.0, m.error**2 + 0.25 * v.error**2 - covariance)))


def integral_theorem(entropy, groups=None):
    """(Estimate of <exp(-s)>, which is 1, and its ExponentialDiagnosis)."""
    weight = np.exp(-np.asarray(entropy, np.float64))
    return mean(weight, groups), diagnose(entropy)


def _posterior(x):
    return np.where(x >= 0, 1.0 / (1.0 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1.0 + np.exp(-np.abs(x))))


def bennett(forward, reverse, tolerance=1e-12):
    """Estimate of dF by Bennett's acceptance ratio: the root of sum_F 1/(1 + exp(M + w - dF)) = sum_R 1/(1 + exp(-M + w - dF))
    with M = ln(n_F/n_R), by bisection and Newton steps (Bennett 1976; Shirts et al., Phys. Rev. Lett. 91, 140601 (2003), eqs. 8 and 12)."""
    forward, reverse = np.asarray(forward, np.float64), np.asarray(reverse, np.float64)
    ratio = math.log(len(forward) / len(reverse))

    def imbalance(f):
        """Rises with f from below to above 0."""
        return float(_posterior(f - ratio - forward).sum() - _posterior(-f + ratio - reverse).sum())
    low, high = min(forward.min(), -reverse.max()) - abs(ratio) - 1.0, max(forward.max(), -reverse.min()) + abs(ratio) + 1.0
    while imbalance(low) > 0:
        low -= high - low
    while imbalance(high) < 0:
        high += high - low
    f = 0.5 * (low + high)
    for _ in range(200):
        g = imbalance(f)
        low, high = (f, high) if g < 0 else (low, f)
        p, r = _posterior(f - ratio - forward), _posterior(-f + ratio - reverse)
        slope = float((p * (1 - p)).sum() + (r * (1 - r)).sum())
        new = f - g / slope if slope > 0 else math.nan
        new = new if low < new < high else 0.5 * (low + high)
        if abs(new - f) <= tolerance * max(1.0, abs(f)):
            f = new
            break
        f = new
    p, r = _posterior(f - ratio - forward), _posterior(-f + ratio - reverse)
    mixed = float((p * (1 - p)).sum() + (r * (1 - r)).sum())        # sum over all samples of P(F|w) P(R|w)
    return Estimate(f, math.sqrt(max(0.0, 1.0 / mixed - 1.0 / len(forward) - 1.0 / len(reverse))) if mixed > 0 else math.inf)


@dataclass(frozen=True)
class Logistic:
    """P(forward | w) = 1/(1 + exp(-(M + slope (w - crossing)))): `slope` is 1 by Crooks' theorem, `crossing` dF; `intercept` dF with the slope held at 1."""
    slope: Estimate
    crossing: Estimate
    intercept: Estimate


def logistic_regression(forward, reverse):
    """Crooks' theorem without bins: the direction of each trajectory against its work (+w forward, -w reverse). With the slope held at 1 the
    likelihood's maximum is Bennett's dF. Covariance from the information matrix. Raises ValueError where the two directions do not overlap."""
    w = np.concatenate([np.asarray(forward, np.float64), -np.asarray(reverse, np.float64)])
    ahead = np.concatenate([np.ones(len(forward)), np.zeros(len(reverse))])
    ratio = math.log(len(forward) / len(reverse))
    shift = _intercept(w, ahead, ratio)
    a, b = 0.0, 1.0                                         # ln odds = M + a + b (w - shift): centred, so that the two are nearly independent
    x = w - shift
    for _ in range(100):
        p = _posterior(ratio + a + b * x)
        g = np.array([(ahead - p).sum(), ((ahead - p) * x).sum()])
        q = p * (1 - p)
        h = np.array([[q.sum(), (q * x).sum()], [(q * x).sum(), (q * x * x).sum()]])
        if not np.isfinite(h).all() or np.linalg.cond(h) > 1e14:
            raise ValueError("forward and reverse work do not overlap: the direction can be told from the work without error")
        move = np.linalg.solve(h, g)
        limit = min(1.0, 1.0 / max(abs(move[0]), abs(move[1]), 1e-300))
        a, b = a + limit * move[0], b + limit * move[1]
        if np.abs(move).max() < 1e-13 * max(1.0, abs(a), abs(b)):
            break
    cov = np.linalg.inv(h)
    slope_error = math.sqrt(cov[1, 1])
    crossing_error = math.sqrt(max(0.0, cov[0, 0] - 2 * a / b * cov[0, 1] + (a / b)**2 * cov[1, 1])) / abs(b)
    p = _posterior(ratio + w - shift)
    mixed = float((p * (1 - p)).sum())
    error = math.sqrt(max(0.0, 1.0 / mixed - 1.0 / len(forward) - 1.0 / len(reverse)))
    return Logistic(Estimate(b, slope_error), Estimate(shift - a / b, crossing_error), Estimate(shift, error))


def _intercept(w, ahead, ratio):
    """Maximum of the likelihood with slope 1: Newton on sum(ahead - P(F|w)) = 0, held inside a bracket."""
    low, high = float(w.min()) - abs(ratio) - 40.0, float(w.max()) + abs(ratio) + 40.0
    f = 0.5 * (low + high)
    for _ in range(300):
        p = _posterior(ratio + w - f)
        g = float((p - ahead).sum())                        # falls with f
        low, high = (f, high) if g > 0 else (low, f)
        slope = float((p * (1 - p)).sum())
        new = f + g / slope if slope > 0 else math.nan
        new = new if low < new < high else 0.5 * (low + high)
        if abs(new - f) <= 1e-14 * max(1.0, abs(f)):
            return new
        f = new
    return f


def crooks_line(forward, reverse, edges):
    """(works, ln P_F(w)/P_R(-w), errors, Estimate of slope, Estimate of dF) from histograms with `edges`; bins with fewer than 5 counts on either side
    are left out."""
    work, y, error = _log_ratio(np.asarray(forward), -np.asarray(reverse), edges)
    y = y - math.log(len(forward) / len(reverse))
    return (work, y, error, *_line(work, y, error))


def _log_ratio(a, b, edges):
    """(places, ln of the ratio of counts, errors) of two samples in bins. The place of a bin is midway between the means of the two samples in it: a steep
    density puts it off the centre, and with the centre a slope would come out too small by width^2/(12 variance)."""
    na, nb = np.histogram(a, edges)[0], np.histogram(b, edges)[0]
    use = (na >= 5) & (nb >= 5)
    sums = [np.histogram(one, edges, weights=one)[0][use] for one in (a, b)]
    na, nb = na[use], nb[use]
    return 0.5 * (sums[0] / na + sums[1] / nb), np.log(na / nb), np.sqrt(1.0 / na + 1.0 / nb)


def _line(x, y, error):
    """Weighted straight line y = slope (x - zero): (slope, zero)."""
    if len(x) < 3:
        return Estimate(math.nan, math.inf), Estimate(math.nan, math.inf)
    weight = 1.0 / error**2
    middle = float((weight * x).sum() / weight.sum())
    spread = float((weight * (x - middle)**2).sum())
    slope, level = float((weight * (x - middle) * y).sum() / spread), float((weight * y).sum() / weight.sum())
    slope_error, level_error = 1.0 / math.sqrt(spread), 1.0 / math.sqrt(weight.sum())
    zero = middle - level / slope
    return Estimate(slope, slope_error), Estimate(zero, math.hypot(level_error, (level / slope) * slope_error) / abs(slope))


def symmetric_slope(entropy, groups=None):
    """Estimate of a in ln P(s)/P(-s) = a s, without bins: given |s|, the sign is + with probability 1/(1 + exp(-a |s|)); the likelihood's maximum
    over a. The error is that of sums over groups (White's sandwich)."""
    s = np.asarray(entropy, np.float64)
    size, up = np.abs(s), (s > 0).astype(np.float64)
    a = 0.0                     # the likelihood is concave in a
    for _ in range(200):
        p = _posterior(a * size)
        score = (up - p) * size
        information = float((p * (1 - p) * size**2).sum())
        if information <= 0:
            return Estimate(math.nan, math.inf)             # no sample of the rarer sign carries weight
        move = float(score.sum()) / information
        a += max(-1.0, min(1.0, move))
        if abs(move) < 1e-13 * max(1.0, abs(a)):
            break
    p = _posterior(a * size)
    score, information = (up - p) * size, float((p * (1 - p) * size**2).sum())
    if groups is not None:
        score = np.bincount(np.unique(groups, return_inverse=True)[1], weights=score)
    return Estimate(a, math.sqrt(float((score**2).sum())) / information)


def asymptotic_slope(times, entropy, blocks=20):
    """(Estimate of a in slope(t) = a + b/t, of b): the limit of `symmetric_slope` for long times, where a boundary term of finite variance leaves a correction
    in 1/t (Gallavotti and Cohen, Phys. Rev. Lett. 74, 2694 (1995)). entropy (groups, n, k) up to `times` (k,); the fit takes times from a quarter of the longest
    on, weighted by their errors; error bars by the jackknife over blocks of groups, since all times share their trajectories."""
    times = np.asarray(times, np.float64)
    use = np.flatnonzero(times >= 0.25 * times[-1])
    slopes = [symmetric_slope(entropy[:, :, k].ravel(), np.repeat(np.arange(len(entropy)), entropy.shape[1])) for k in use]
    weight = 1.0 / np.array([one.error for one in slopes])
    design = np.column_stack([np.ones(len(use)), 1.0 / times[use]]) * weight[:, None]

    def fit(values):
        return np.linalg.lstsq(design, values * weight, rcond=None)[0]
    parts = np.array_split(np.arange(len(entropy)), min(blocks, len(entropy)))
    left_out = np.array([fit(np.array([symmetric_slope(np.delete(entropy[:, :, k], part, axis=0)).value for k in use])) for part in parts])
    whole = fit(np.array([one.value for one in slopes]))
    error = np.sqrt((len(parts) - 1) / len(parts) * ((left_out - left_out.mean(axis=0))**2).sum(axis=0))
    return Estimate(float(whole[0]), float(error[0])), Estimate(float(whole[1]), float(error[1]))


def symmetric_line(entropy, edges):
    """(places, ln P(s)/P(-s), errors) over bins with `edges` > 0 that hold at least 5 of each sign, for figures."""
    s = np.asarray(entropy, np.float64)
    return _log_ratio(s, -s, edges)


def transient_correlation(times, dissipation_start, response):
    """(times, Estimate arrays of the direct average and of the transient time correlation function) of a response B.

    <B(t)> = <B(0)> + int_0^t <Omega(0) B(s)> ds (Evans and Morriss); trapezoidal in the times (k,) given, which start at 0. dissipation_start
    (groups, starts), response (groups, starts, k): errors come from the groups. Returns (direct (k,), error (k,), ttcf (k,), error (k,))."""
    direct = response.mean(axis=1)
    product = (dissipation_start[:, :, None] * response).mean(axis=1)
    integral = np.zeros_like(product)
    integral[:, 1:] = np.cumsum(0.5 * (product[:, 1:] + product[:, :-1]) * np.diff(times), axis=1)
    root = math.sqrt(len(direct))
    through = direct[:, :1] + integral
    return direct.mean(axis=0), direct.std(axis=0, ddof=1) / root, through.mean(axis=0), through.std(axis=0, ddof=1) / root


@dataclass(frozen=True)
class TwoSided:
    """What forward and reverse work say together."""
    forward: Estimate                   # Jarzynski, forward
    backward: Estimate                  # Jarzynski, reverse, as dF of the forward process
    forward_diagnosis: ExponentialDiagnosis
    backward_diagnosis: ExponentialDiagnosis
    bennett: Estimate
    logistic: Logistic
    cumulant: Estimate


def two_sided(forward, reverse):
    """TwoSided of works (n,), (m,) in k_B T. Raises ValueError where they do not overlap."""
    ahead, ahead_diagnosis = jarzynski(forward)
    back, back_diagnosis = jarzynski(reverse)
    return TwoSided(ahead, Estimate(-back.value, back.error), ahead_diagnosis, back_diagnosis, bennett(forward, reverse),
                    logistic_regression(forward, reverse), second_cumulant(forward))
