"""Entropies of counts: cells in space, Boltzmann's H of velocities, clouds of a map; recovery after a reversal; growth rates.

Entropies are in units of k_B (natural logarithms)."""
import math

import numpy as np

LARGEST_ENERGY, ENERGY_BIN = 12.0, 0.24     # of the bins of H, in units of the temperature; T itself, the energy of equal speeds, is no edge


def shannon(counts):
    """-sum p ln p of counts (..., cells); 0 for no counts."""
    counts = np.asarray(counts, float)
    total = counts.sum(axis=-1)
    safe = np.where(counts > 0, counts, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.maximum(0.0, np.log(total) - (counts * np.log(safe)).sum(axis=-1) / total)     # rounding must not make it negative
    return np.where(total > 0, value, 0.0)[()]


def miller_madow(counts):
    """What sampling takes from `shannon` on average, (occupied cells - 1) / (2 samples) (Miller, 1955); to be added to it."""
    counts = np.asarray(counts)
    return ((counts > 0).sum(axis=-1) - 1) / (2.0 * np.maximum(1, counts.sum(axis=-1)))


def energy_edges(temperature):
    """Edges of the bins of kinetic energy v^2/2; equal widths are equal areas of a plane of velocities."""
    return np.linspace(0.0, LARGEST_ENERGY * temperature, round(LARGEST_ENERGY / ENERGY_BIN) + 1)


def boltzmann_h(velocity, edges):
    """(H, occupied bins): H = sum p ln(p / w) of velocities (n, 2), w = area of the plane of velocities in a bin of energy, 2 pi times its width;
    not corrected for (occupied - 1)/(2 n). Velocities beyond the last edge count in the last bin."""
    energy = 0.5 * (velocity**2).sum(axis=1)
    width = edges[1] - edges[0]
    counts = np.bincount(np.minimum((energy / width).astype(np.int64), len(edges) - 2), minlength=len(edges) - 1)
    p = counts[counts > 0] / len(velocity)
    return float((p * np.log(p / (2 * math.pi * width))).sum()), int(len(p))


def maxwell_h(temperature, width=0.0):
    """H of Maxwell's distribution in a plane, mass 1: -1 - ln(2 pi T), or what is left of it in bins of energy of that width."""
    if not width:
        return -1.0 - math.log(2 * math.pi * temperature)
    z = math.exp(-width / temperature)                      # bin k has the share (1 - z) z^k
    return math.log((1 - z) / (2 * math.pi * width)) - width / temperature * z / (1 - z)


def expected_h(n, edges, temperature):
    """Mean of `boltzmann_h` for n discs in equilibrium at constant energy: velocities uniform on the sphere of kinetic energy n `temperature` and no
    total momentum. Bins and finite n are in it; what is left out is of order 1/n^2.

    v^2/2 = (n - 1) T x with x of the density (n - 2)(1 - x)^(n - 3), exactly, which gives the mean count of each bin. The counts scatter as binomial ones
    times the chance that the energies then add up to n T (a normal density): each disc in a fast bin leaves less energy to the others, which takes
    about 1/(2n) from the mean of H for independent velocities."""
    from scipy.special import gammaln, xlog1py, xlogy
    whole, width = (n - 1) * temperature, edges[1] - edges[0]
    left = np.clip(1 - np.append(edges[:-1], np.inf) / whole, 0.0, 1.0)         # what lies beyond the last edge counts in the last bin
    x = np.append(edges[:-1], whole)
    tail = left**(n - 2)
    p, first = -np.diff(tail), -np.diff(x * tail + temperature * left**(n - 1))                             # shares, integrals of the energy
    total = 0.0
    for share, part in zip(p[p > 0], first[p > 0]):
        spread = 12 * math.sqrt(n * share * (1 - share)) + 30
        k = np.arange(max(0, int(n * share - spread)), min(n, int(n * share + spread)) + 1)
        inside, outside = part / share, (temperature - part) / (1 - share)
        variance = n * (2 * temperature * whole / n - share * inside**2 - (1 - share) * outside**2)         # of the sum of energies at that count
        weight = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + xlogy(k, share) + xlog1py(n - k, -share)
        weight = np.exp(weight - ((k - n * share) * (inside - outside))**2 / (2 * variance))
        for _ in range(3):                                  # the condition must leave the mean count
            average = (weight * k).sum() / weight.sum()
            weight *= np.exp((n * share - average) * (k - n * share) * weight.sum() / (weight * (k - average)**2).sum())
        total += (weight * xlogy(k, k / (n * 2 * math.pi * width))).sum() / (n * weight.sum())
    return float(total)


def fourth_moment(velocity):
    """a2 = <v^4> / (2 <v^2>^2) - 1 in a plane: -1/2 for equal speeds, 0 for Maxwell's distribution."""
    square = (velocity**2).sum(axis=1)
    return float((square**2).mean() / (2 * square.mean()**2) - 1.0)


def recovery(start, highest, end):
    """R = (S_max - S_end) / (S_max - S_start): 1 is a full return."""
    return float((highest - end) / (highest - start))


def crossing(x, y, level):
    """The x at which y first crosses `level`, linear between points sorted by x; nan where it never does."""
    above = np.asarray(y) > level
    for k in range(1, len(x)):
        if above[k] != above[k - 1]:
            return float(x[k - 1] + (level - y[k - 1]) / (y[k] - y[k - 1]) * (x[k] - x[k - 1]))
    return math.nan


def slope(curves, first, last):
    """(mean, standard error) over curves (replicas, steps + 1) of the growth per step between steps `first` and `last`."""
    rates = (curves[:, last] - curves[:, first]) / (last - first)
    return float(rates.mean()), float(rates.std(ddof=1) / math.sqrt(len(rates))) if len(rates) > 1 else math.nan


def cat_cells(t):
    """Cells that the image of one aligned cell touches after t steps of the cat map: F(2t + 3) - 1, Fibonacci numbers."""
    a, b = 1, 1
    for _ in range(2 * t + 1):
        a, b = b, a + b
    return b - 1


def baker_rate(a):
    """Kolmogorov-Sinai entropy of the baker map, -a ln a - (1 - a) ln(1 - a)."""
    return -a * math.log(a) - (1 - a) * math.log(1 - a)


def baker_words(a, length):
    """Mean over start cylinders of the entropy after `length` steps, by enumeration of all words of the symbolic dynamics."""
    p = np.array([1.0])
    for _ in range(length):
        p = np.concatenate([a * p, (1 - a) * p])
    return float(-(p * np.log(p)).sum())


def intermittent_rate(z):
    """Kolmogorov-Sinai entropy of the intermittent map: mean over the uniform measure of the entropy of the two preimages' weights,
    w = (1/2) u^(z - 1) and 1 - w."""
    from scipy.integrate import quad

    def entropy(u):
        w = 0.5 * u**(z - 1)
        return -(w * math.log(w) if w > 0 else 0.0) - (1 - w) * math.log1p(-w)
    return float(quad(entropy, 0, 1, epsabs=1e-12)[0])
