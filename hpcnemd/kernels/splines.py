"""Cardinal B-splines M_p as polynomials of the fraction f in [0, 1) between two mesh points, all p weights in one padded row.

A particle at mesh coordinate u touches the points floor(u)-(p-1) ... floor(u); point k of them (k = 0 ... p-1) has weight M_p(f + p-1-k).
Eight lanes for every order: the weights of one axis are then one SIMD vector, and lanes beyond p are exactly 0.
Source: Essmann et al., J. Chem. Phys. 103, 8577 (1995), eqs. 4.1-4.2."""
import functools

import numpy as np

LANES = 8
ORDERS = (4, 5, 6, 7, 8)


def spline_table(order):
    """Two (order, 8) arrays c, d: weight of point k is sum_m c[m, k] f^m, and its derivative with respect to u is sum_m d[m, k] f^m.
    Raises ValueError for an order outside 4 ... 8."""
    if order not in ORDERS:
        raise ValueError(f"B-spline order {order!r}: one of {ORDERS}")
    return tuple(table.copy() for table in _tables(order))


@functools.cache
def _tables(order):
    pieces = [np.array([1.0])]                                  # M_1 on [0, 1), coefficients in rising powers of f
    for n in range(2, order + 1):
        wider = []
        for j in range(n):                                      # M_n(f + j) = (f+j)/(n-1) M_{n-1}(f+j) + (n-j-f)/(n-1) M_{n-1}(f+j-1)
            piece = np.zeros(n)
            if j < n - 1:
                piece += np.convolve(pieces[j], [j, 1.0]) / (n - 1)
            if j > 0:
                piece += np.convolve(pieces[j - 1], [n - j, -1.0]) / (n - 1)
            wider.append(piece)
        pieces = wider
    weight, slope = np.zeros((order, LANES)), np.zeros((order, LANES))
    for k in range(order):
        weight[:, k] = pieces[order - 1 - k]
    slope[:-1] = weight[1:] * np.arange(1, order)[:, None]
    return weight, slope


def axis_sums(points, order, length, beta, indices, images=8):
    """Sums over the aliases k_m = 2 pi (j + m points) / length of one mesh axis, for the optimal influence function: (7, len(indices)) rows
    sum U^2, sum U^2 k, sum U^2 k^2, a = sum U^2 e, sum U^2 k e / a, sum U^2 k^2 e / a, sum U_m U_m+1,
    with U = sinc^order(k h / 2) and e = exp(-k^2 / 4 beta^2)."""
    index = np.asarray(indices, dtype=np.int64)
    index = np.where(index > points // 2, index - points, index)
    alias = index[:, None] + points * np.arange(-images, images + 1)[None, :]
    k = 2.0 * np.pi * alias / length
    transform = np.sinc(alias / points) ** order                # np.sinc(x) = sin(pi x) / (pi x)
    window = transform * transform
    damp = np.exp(-(k / (2.0 * beta)) ** 2)
    rows = np.array([(window * w).sum(1) for w in (np.ones_like(k), k, k * k, damp, k * damp, k * k * damp)] + [(transform[:, 1:] * transform[:, :-1]).sum(1)])
    rows[4:6] = np.where(rows[3] > 0, rows[4:6] / np.where(rows[3] > 0, rows[3], 1.0), 0.0)
    rows[1:5:3, 2 * index == points] = 0.0                      # k and -k are aliases there: odd sums vanish (the finite range of m leaves 1e-8)
    return rows
