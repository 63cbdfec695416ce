"""Cluster lists with vector code, 8 candidates j at a time (AVX2 and AVX-512): those of `neighbours.build_plain`, in the same order."""
import numpy as np
from numba import njit

from .neighbours import WIDTH, append_groups, build_plain, cluster_bounds, slot_ranges
from .simd import bits, lanes, minimum, trailing_zeros

load, load_one = lanes(8).load, lanes(8).load_one


@njit(error_model="numpy")
def _squares(X, Y, Z, x, y, z, i):
    """Squared distances of 8 candidates to slot i; no fma, so that they equal the plain code's."""
    dx, dy, dz = X - load_one(x, i), Y - load_one(y, i), Z - load_one(z, i)
    return dx * dx + dy * dy + dz * dz


@njit(cache=True, nogil=True, error_model="numpy")
def build_vector(x, y, z, slot_species, slot_row, foremost, clusters, kinds, radius, margin, owned_geometry, owned_shape, owned_bins, ghost_geometry, ghost_shape, ghost_bins,
                 ghosts, multiple, dummy, found, ranges, pointer, neighbour):
    """As neighbours.build_plain; x, y, z must have 8 elements of room behind the last slot."""
    square = np.float32((radius + margin)**2)
    bounds = np.empty(6)
    number = np.zeros(kinds, np.int64)
    pointer[foremost * kinds] = 0
    used = pointer[foremost * kinds]                   # not the literal 0, for which callees would be compiled once more
    for c in range(foremost, clusters):
        count = cluster_bounds(x, y, z, slot_row, c, bounds)
        i0 = WIDTH * c
        i1, i2, i3 = i0 + min(1, count - 1), i0 + min(2, count - 1), i0 + count - 1
        number[:] = 0
        for part in range(2 if ghosts else 1):
            geometry, shape, bins, lowest = (owned_geometry, owned_shape, owned_bins, i0 + WIDTH) if part == 0 else (ghost_geometry, ghost_shape, ghost_bins, 0 * c)
            n = slot_ranges(bounds, radius + margin, geometry, shape, bins, lowest, ranges)
            for k in range(n):
                end = ranges[k, 1]
                for j in range(ranges[k, 0], end, 8):
                    X, Y, Z = load(x, j), load(y, j), load(z, j)
                    nearest = minimum(minimum(_squares(X, Y, Z, x, y, z, i0), _squares(X, Y, Z, x, y, z, i1)),
                                      minimum(_squares(X, Y, Z, x, y, z, i2), _squares(X, Y, Z, x, y, z, i3)))
                    hits = bits(nearest < square)
                    if end - j < 8:
                        hits &= (1 << (end - j)) - 1
                    while hits:
                        s = j + trailing_zeros(hits)
                        t = slot_species[s]
                        found[t, number[t]] = s
                        number[t] += 1
                        hits &= hits - 1
        used = append_groups(c, kinds, found, number, multiple, dummy, pointer, neighbour, used)
        if used < 0:
            return -1
    return used


def builder(path):
    """The list builder of a kernel path."""
    return build_plain if path == "plain" else build_vector
