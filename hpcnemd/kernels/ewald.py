"""The Ewald sum's reciprocal loops. Half of the k-vectors, ordered in rows of constant (nx, ny) with nz running: the inner loop is over nz.

row_x, row_y (r,): nx >= 0 and ny of each row; low, high (r,): nz of its first and one past its last entry; start (r,): place of the first entry
in the flat arrays over k-vectors. size (3,): largest |n| of each axis."""
import math

import numpy as np

from . import inner, njit

FAST = {"contract", "arcp", "nsz"}
# The force sum over nz is a reduction that stays scalar unless it may be reassociated. The order is fixed when the kernel is compiled,
# hence the same bits from one kernel path and version of the libraries, which is what restarts promise.
SUMS = FAST | {"reassoc"}


@inner(fastmath=FAST)
def _waves(angle, size, cosine, sine):
    """cosine[size + n] = cos(n angle) and sine for n = -size ... size."""
    c, s = math.cos(angle), math.sin(angle)
    cosine[size], sine[size] = 1.0, 0.0
    for n in range(1, size + 1):
        a, b = cosine[size + n - 1], sine[size + n - 1]
        cosine[size + n], sine[size + n] = a * c - b * s, a * s + b * c
    for n in range(1, size + 1):
        cosine[size - n], sine[size - n] = cosine[size + n], -sine[size + n]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def structure_factors(position, charge, n, lengths, size, row_x, row_y, low, high, start, real, imag):
    """real, imag (number of k) = sum over particles [0, n) of charge cos(k r) and charge sin(k r)."""
    real[:] = 0.0
    imag[:] = 0.0
    cx, sx = np.empty(2 * size[0] + 1), np.empty(2 * size[0] + 1)
    cy, sy = np.empty(2 * size[1] + 1), np.empty(2 * size[1] + 1)
    cz, sz = np.empty(2 * size[2] + 1), np.empty(2 * size[2] + 1)
    for i in range(n):
        _waves(2.0 * math.pi * position[i, 0] / lengths[0], size[0], cx, sx)
        _waves(2.0 * math.pi * position[i, 1] / lengths[1], size[1], cy, sy)
        _waves(2.0 * math.pi * position[i, 2] / lengths[2], size[2], cz, sz)
        for r in range(row_x.size):
            x, y = row_x[r] + size[0], row_y[r] + size[1]
            c = charge[i] * (cx[x] * cy[y] - sx[x] * sy[y])
            s = charge[i] * (sx[x] * cy[y] + cx[x] * sy[y])
            z, at = low[r] + size[2], start[r]
            for k in range(high[r] - low[r]):
                real[at + k] += c * cz[z + k] - s * sz[z + k]
                imag[at + k] += s * cz[z + k] + c * sz[z + k]


@njit(cache=True, error_model="numpy", fastmath=SUMS)
def reciprocal_forces(position, charge, n, lengths, size, row_x, row_y, low, high, start, real, imag, force):
    """force[i] += charge sum_k k (real sin(k r) - imag cos(k r)), real and imag already weighted; force (n, 3)."""
    cx, sx = np.empty(2 * size[0] + 1), np.empty(2 * size[0] + 1)
    cy, sy = np.empty(2 * size[1] + 1), np.empty(2 * size[1] + 1)
    cz, sz = np.empty(2 * size[2] + 1), np.empty(2 * size[2] + 1)
    two_pi = 2.0 * math.pi
    for i in range(n):
        _waves(two_pi * position[i, 0] / lengths[0], size[0], cx, sx)
        _waves(two_pi * position[i, 1] / lengths[1], size[1], cy, sy)
        _waves(two_pi * position[i, 2] / lengths[2], size[2], cz, sz)
        fx, fy, fz = 0.0, 0.0, 0.0
        for r in range(row_x.size):
            x, y = row_x[r] + size[0], row_y[r] + size[1]
            c = cx[x] * cy[y] - sx[x] * sy[y]
            s = sx[x] * cy[y] + cx[x] * sy[y]
            z, at = low[r] + size[2], start[r]
            across, along = 0.0, 0.0
            for k in range(high[r] - low[r]):
                t = real[at + k] * (s * cz[z + k] + c * sz[z + k]) - imag[at + k] * (c * cz[z + k] - s * sz[z + k])
                across += t
                along += t * (low[r] + k)
            fx += row_x[r] * across
            fy += row_y[r] * across
            fz += along
        force[i, 0] += charge[i] * fx * two_pi / lengths[0]
        force[i, 1] += charge[i] * fy * two_pi / lengths[1]
        force[i, 2] += charge[i] * fz * two_pi / lengths[2]
