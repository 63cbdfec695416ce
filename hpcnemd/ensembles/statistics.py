"""Statistics that are taken up as replicas finish, and merged: moments, covariances, histograms, exponential averages, correlators.

Each is a frozen state with `of(values, good)` (values (n, ...) of n replicas, `good` (n,) bool: the others are left out), `merge(other)` and
`as_dict()`. Formulas of updating: Chan, Golub and LeVeque (1983); Pebay, Sandia report SAND2008-6212, for the third and fourth moments."""
import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Moments:
    """Of each component: count, mean, and central sums of powers 2, 3, 4 (`sums`, (3, ...))."""
    count: int
    mean: np.ndarray
    sums: np.ndarray

    @classmethod
    def of(cls, values, good):
        values = np.asarray(values, np.float64)[good]
        if not len(values):
            return cls(0, np.zeros(values.shape[1:]), np.zeros((3, *values.shape[1:])))
        mean = values.mean(axis=0)
        d = values - mean
        return cls(len(values), mean, np.array([(d**2).sum(axis=0), (d**3).sum(axis=0), (d**4).sum(axis=0)]))

    def merge(self, other):
        if not self.count or not other.count:
            return self if self.count else other
        na, nb = self.count, other.count
        n, d = na + nb, other.mean - self.mean
        a2, a3, a4 = self.sums
        b2, b3, b4 = other.sums
        m2 = a2 + b2 + d**2 * (na * nb / n)
        m3 = a3 + b3 + d**3 * (na * nb * (na - nb) / n**2) + 3 * d * (na * b2 - nb * a2) / n
        m4 = (a4 + b4 + d**4 * (na * nb * (na**2 - na * nb + nb**2) / n**3) + 6 * d**2 * (na**2 * b2 + nb**2 * a2) / n**2
              + 4 * d * (na * b3 - nb * a3) / n)
        return Moments(n, self.mean + d * (nb / n), np.array([m2, m3, m4]))

    @property
    def variance(self):
        """Unbiased."""
        return self.sums[0] / max(1, self.count - 1)

    @property
    def error(self):
        """Standard error of the mean."""
        return np.sqrt(self.variance / max(1, self.count))

    @property
    def variance_error(self):
        """Standard error of the variance, from the fourth moment (no Gaussian is assumed)."""
        n = max(2, self.count)
        fourth, second = self.sums[2] / n, self.sums[0] / n
        return np.sqrt(np.maximum(0.0, (fourth - second**2 * (n - 3) / (n - 1)) / n))

    def as_dict(self):
        return {"count": self.count, "mean": self.mean.tolist(), "variance": self.variance.tolist(), "error": self.error.tolist(),
                "variance_error": self.variance_error.tolist(), "central_sums": self.sums.tolist()}


@dataclass(frozen=True)
class Covariance:
    """Of the k components of values (n, k): count, mean (k,), sum of products of deviations (k, k). With values at k times: a correlator."""
    count: int
    mean: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, values, good):
        values = np.asarray(values, np.float64)[good]
        if not len(values):
            return cls(0, np.zeros(values.shape[1]), np.zeros((values.shape[1],) * 2))
        mean = values.mean(axis=0)
        d = values - mean
        return cls(len(values), mean, np.einsum("na,nb->ab", d, d, optimize=False))     # BLAS may change its order of sums with the machine's load

    def merge(self, other):
        if not self.count or not other.count:
            return self if self.count else other
        n, d = self.count + other.count, other.mean - self.mean
        return Covariance(n, self.mean + d * (other.count / n), self.products + other.products + np.outer(d, d) * (self.count * other.count / n))

    @property
    def covariance(self):
        """(k, k), unbiased."""
        return self.products / max(1, self.count - 1)

    def as_dict(self):
        return {"count": self.count, "mean": self.mean.tolist(), "covariance": self.covariance.tolist()}


@dataclass(frozen=True)
class Histogram:
    """Whole counts between fixed `edges` (bins + 1,); `below` and `above` count the rest."""
    edges: np.ndarray
    counts: np.ndarray
    below: int
    above: int

    @classmethod
    def of(cls, values, good, edges):
        values = np.asarray(values, np.float64)[good]
        counts = np.histogram(values, edges)[0].astype(np.int64)
        return cls(np.asarray(edges), counts, int((values < edges[0]).sum()), int((values > edges[-1]).sum()))

    def merge(self, other):
        if not np.array_equal(self.edges, other.edges):
            raise ValueError("histograms of different edges cannot be merged")
        return Histogram(self.edges, self.counts + other.counts, self.below + other.below, self.above + other.above)

    def as_dict(self):
        return {"edges": self.edges.tolist(), "counts": self.counts.tolist(), "below": self.below, "above": self.above}


@dataclass(frozen=True)
class ExponentialAverage:
    """<exp(-x)>: the largest -x and the sums of exp(-x - largest) and of its square, which never overflow."""
    count: int
    largest: float
    first: float
    second: float

    @classmethod
    def of(cls, values, good):
        values = -np.asarray(values, np.float64)[good]
        if not len(values):
            return cls(0, -math.inf, 0.0, 0.0)
        top = float(values.max())
        weight = np.exp(values - top)
        return cls(len(values), top, float(weight.sum()), float((weight**2).sum()))

    def merge(self, other):
        if not self.count or not other.count:
            return self if self.count else other
        top = max(self.largest, other.largest)
        a, b = math.exp(self.largest - top), math.exp(other.largest - top)
        return ExponentialAverage(self.count + other.count, top, a * self.first + b * other.first, a * a * self.second + b * b * other.second)

    @property
    def log_mean(self):
        """ln <exp(-x)>."""
        return self.largest + math.log(self.first / self.count)

    @property
    def effective_size(self):
        """(sum of weights)^2 / sum of squared weights: how many replicas carry the average."""
        return self.first**2 / self.second if self.second else 0.0

    def as_dict(self):
        return {"count": self.count, "log_mean": self.log_mean if self.count else None, "effective_size": self.effective_size}


@dataclass(frozen=True)
class Correlator:
    """<a(0) b(t_k)> over replicas: count, sum of a(0) (), of b (k,), of a(0) b (k,) and of (a(0) b)^2 (k,)."""
    count: int
    start: float
    later: np.ndarray
    product: np.ndarray
    square: np.ndarray

    @classmethod
    def of(cls, start, later, good):
        start, later = np.asarray(start, np.float64)[good], np.asarray(later, np.float64)[good]
        product = start[:, None] * later
        return cls(len(start), float(start.sum()), later.sum(axis=0), product.sum(axis=0), (product**2).sum(axis=0))

    def merge(self, other):
        return Correlator(self.count + other.count, self.start + other.start, self.later + other.later, self.product + other.product,
                          self.square + other.square)

    @property
    def mean(self):
        """(k,) <a(0) b(t_k)>."""
        return self.product / max(1, self.count)

    @property
    def error(self):
        """(k,) its standard error."""
        return np.sqrt(np.maximum(0.0, self.square / max(1, self.count) - self.mean**2) / max(1, self.count))

    def as_dict(self):
        return {"count": self.count, "mean": self.mean.tolist(), "error": self.error.tolist(), "mean_start": self.start / max(1, self.count),
                "mean_later": (self.later / max(1, self.count)).tolist()}
