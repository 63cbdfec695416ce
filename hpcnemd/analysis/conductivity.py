"""Conductivity of driven runs, its entropy production, and what the two say about each other.

Currents J in e angstrom/fs (sum of c_i v_i along the drive), fields E in eV/(e angstrom), impulses (time integral of the field) in
eV fs/(e angstrom), conductivities in S/m, entropies in k_B. sigma = J / (V E), whichever of the two is held.

The noise at zero frequency is 2 k_B T sigma V for the current at constant field, and 2 k_B T / (sigma V) for the field at constant current
(Johnson and Nyquist). Both give the same law: (relative error)^2 = 2 k_B / (entropy produced), so that
Q = (relative error)^2 * entropy / 2 k_B is near 1 in linear response.
"""
import math
from dataclasses import dataclass

from ..core.units import BOLTZMANN, SIEMENS_PER_METRE
from .blocks import Estimate, choose_level, count, jackknife, mean, mean_estimate, merge, student, variance
from .distributions import chi2_ppf, chi2_sf

LEAST_ENTROPY = 2.0         # k_B per run; below it the relative error is 1 or more
LINEAR_LIMIT = 0.55         # q E a / 2 k_B T; sinh(x)/x is 5 % above 1 there
ESTIMATORS = {
    "constant_current": "sigma = J0 / (V <lambda>), constant current",
    "constant_field": "sigma = <J> / (V E), constant field",
}


@dataclass(frozen=True)
class Driven:
    """`sigma` S/m; `response`: the fluctuating partner of the drive, the mean field (constant current, eV/(e angstrom)) or the mean
    current (constant field, e angstrom/fs); `level`: the block length at which its blocks are independent."""
    sigma: Estimate
    response: Estimate
    level: object


def response_rows(mode, impulse, current, block):
    """The series that fluctuates: field per block at constant current, current per block at constant field. `block` fs.

    Replicas may hold different currents: their fields are then brought to the root mean square current with the common slope
    sum(J field)/sum(J^2), the maximum-likelihood resistance for equal noise; with one current nothing changes."""
    if mode == "constant_field":
        return current
    fields = [row / block for row in impulse]
    squares = mean([j * j for j in current])
    if squares == 0.0 or max(float(abs(j - current[0][0]).max()) for j in current) <= 1e-9 * math.sqrt(squares):
        return fields
    slope = mean([j * e for j, e in zip(current, fields)]) / squares
    rest = [e - slope * j for j, e in zip(current, fields)]
    level = slope * _held(current) - mean(rest)
    return [row + level for row in rest]


def _held(current):
    """The held current: root mean square over blocks, with the sign of the mean."""
    return math.copysign(math.sqrt(mean([j * j for j in current])), mean(current))


def driven(mode, impulse, current, block, volume, memory=0.0):
    """Conductivity as a ratio of means over all blocks of all replicas, jackknife error. `volume` angstrom^3, `block` fs; blocks shorter than
    `memory` fs are merged in any case. A Driven."""
    response = response_rows(mode, impulse, current, block)
    level = choose_level(response, least=memory / block)
    unit = "eV/(e angstrom)" if mode == "constant_current" else "e angstrom/fs"
    partner = mean_estimate(response, unit, level, "block average")
    scale = SIEMENS_PER_METRE / volume
    if mode == "constant_field":
        field = mean(impulse) / block
        return Driven(student(scale * partner.value / field, abs(scale / field) * partner.error, partner.dof, "S/m", ESTIMATORS[mode]), partner, level)

    def ratio(squares, products):
        return scale * block * squares / products if products else math.inf
    value, error, dof = jackknife(ratio, [[j * j for j in current], [j * i for j, i in zip(current, impulse)]], level)
    # the field is what has Gaussian errors: its interval is turned over (Fieller); through zero there is no upper bound
    held = _held(current)
    ends = sorted(math.copysign(1.0, held) * end for end in (partner.low, partner.high))
    high = scale * abs(held) / ends[0] if ends[0] > 0 else math.inf
    low = scale * abs(held) / ends[1] if ends[1] > 0 else -math.inf
    return Driven(Estimate(value, error, dof, low, high, "S/m", ESTIMATORS[mode]), partner, level)


def entropy_production(work, temperature, level=None):
    """Total entropy production in k_B from the work series (eV per block) of a steady state at the bath temperature (K):
    (Estimate of the whole run over all replicas, Estimate per block)."""
    rows = [row / (BOLTZMANN * temperature) for row in work]
    per_block = mean_estimate(rows, "k_B", level, "work of the drive / T, per block")
    n = count(rows)
    whole = student(per_block.value * n, per_block.error * n, per_block.dof, "k_B", "work of the drive / T")
    return whole, per_block


def quality(response, work, temperature, factor):
    """Q_TUR at the block length `factor` (blocks merged): relative variance of one block x entropy produced in it / 2 k_B. An Estimate whose
    interval is that of a variance (chi-square), widened by the error of the mean. NaN where the mean is zero or there are too few blocks."""
    merged = merge(response, factor)
    n, centre = count(merged), mean(merged)
    spread, dof = variance(merged)
    if dof < 2 or spread > n * centre ** 2:         # too few blocks, or a mean that its error swallows
        return Estimate(math.nan, math.nan, 0, -math.inf, math.inf, "", "relative variance per block x entropy per block / 2 k_B")
    entropy = mean(work) * factor / (BOLTZMANN * temperature)
    value = spread / centre ** 2 * entropy / 2
    relative = 2.0 / dof + spread / n / centre ** 2
    effective = 2.0 / relative
    low, high = value * effective / chi2_ppf(0.975, effective), value * effective / chi2_ppf(0.025, effective)
    return Estimate(value, abs(value) * math.sqrt(relative), effective, min(low, high), max(low, high), "",
                    "relative variance per block x entropy per block / 2 k_B")


def from_noise(mode, response, block, volume, temperature, level=None):
    """Conductivity in S/m from the fluctuations of the response alone (Green-Kubo and its dual): it needs no current at all, and is the
    equilibrium estimator where J0 = 0. An Estimate with the interval of a variance."""
    factor = (level or choose_level(response)).factor
    spread, dof = variance(merge(response, factor))
    noise = spread * block * factor / (2 * BOLTZMANN * temperature)
    if dof < 2 or noise <= 0.0:
        return Estimate(math.nan, math.nan, 0, -math.inf, math.inf, "S/m", "noise")
    ends = sorted(noise * dof / chi2_ppf(p, dof) for p in (0.025, 0.975))
    if mode == "constant_current":
        value, ends = 1 / (noise * volume), [1 / (ends[1] * volume), 1 / (ends[0] * volume)]
        text = "sigma = 2 k_B T / (V S), S = zero-frequency noise of lambda"
    else:
        value, ends = noise / volume, [ends[0] / volume, ends[1] / volume]
        text = "sigma = S / (2 k_B T V), S = zero-frequency noise of J"
    scale = SIEMENS_PER_METRE
    return Estimate(value * scale, value * scale * math.sqrt(2 / dof), dof, ends[0] * scale, ends[1] * scale, "S/m", text)


def linearity(field, charge, hop_length, temperature):
    """x = q E a / 2 k_B T of the hop model, whose response is sinh(x)/x; field in eV/(e angstrom), charge e, hop length angstrom."""
    return abs(charge * field) * hop_length / (2 * BOLTZMANN * temperature)


def speed_up(entropy_rate, window):
    """How many times longer an equilibrium run would need for the same error (Einstein-Helfand with independent windows of `window` fs,
    three axes): entropy produced in one window / 3 k_B. `entropy_rate` in k_B/fs."""
    return entropy_rate * window / 3.0


@dataclass(frozen=True)
class Suggestion:
    """A drive that reaches `target` (relative error) in `time` fs of all replicas together, for a conductivity of about `sigma` S/m.
    `current` e angstrom/fs, `field` eV/(e angstrom), `entropy` k_B, `x`: linearity there; `linear_time` fs: the time needed at the largest
    linear drive where x is too large, otherwise `time`."""
    target: float
    time: float
    sigma: float
    entropy: float
    current: float
    field: float
    x: float
    linear_time: float


def suggest(sigma, volume, temperature, time, target, charge, hop_length):
    """The drive with entropy 2 / target^2 (in k_B) within `time`. A Suggestion."""
    entropy = 2.0 / target ** 2
    inside = sigma / SIEMENS_PER_METRE
    field = math.sqrt(entropy * BOLTZMANN * temperature / (inside * volume * time))
    x = linearity(field, charge, hop_length, temperature)
    return Suggestion(target, time, sigma, entropy, inside * field * volume, field, x, time * max(1.0, (x / LINEAR_LIMIT) ** 2))


def refusals(result, entropy):
    """Why no conductivity may be reported: list of sentences, empty where it may. `result`: a Driven, `entropy`: Estimate of the run."""
    reasons = []
    if entropy.value < LEAST_ENTROPY:
        reasons.append(f"the run produced {entropy.value:.3g} k_B of entropy; below {LEAST_ENTROPY:g} k_B the relative error is 1 or more")
    if math.isfinite(result.response.error) and not (result.response.low > 0 or result.response.high < 0):
        reasons.append(f"the response ({result.response.value:.3g} +- {result.response.error:.2g} {result.response.unit}) "
                       "cannot be told from zero at 95 %")
    elif not math.isfinite(result.response.error):
        reasons.append("one block gives no error: more blocks are needed")
    return reasons


def agreement(estimates):
    """Are independent estimates of one quantity equal? (weighted mean, its error, chi-square, degrees of freedom, p)."""
    weights = [1 / e.error ** 2 for e in estimates]
    centre = sum(w * e.value for w, e in zip(weights, estimates)) / sum(weights)
    total = sum(w * (e.value - centre) ** 2 for w, e in zip(weights, estimates))
    dof = len(estimates) - 1
    return centre, 1 / math.sqrt(sum(weights)), total, dof, float(chi2_sf(total, dof)) if dof else 1.0
