"""Cluster lists with vector code, 8 candidates j at a time (AVX2 and AVX-512): those of `neighbours.build_plain`, in the same order."""
import numpy as np

from . import njit
from .neighbours import WIDTH, append_groups, build_plain, cluster_bounds, slot_ranges
from .simd import bits, lanes, minimum, ones

load, store, load_one = lanes(8).load, lanes(8).store, lanes(8).load_one
# [8 m : 8 m + 8]: the lanes that the bits of m tell, in rising order, then anything
LANES = np.array([sorted(range(8), key=lambda lane: not m >> lane & 1) for m in range(256)], np.int32).ravel()


@njit(error_model="numpy")
def _squares(X, Y, Z, x, y, z, i):
    """Squared distances of 8 candidates to slot i; no fma, so that they equal the plain code's."""
    dx, dy, dz = X - load_one(x, i), Y - load_one(y, i), Z - load_one(z, i)
    return dx * dx + dy * dy + dz * dz


@njit(cache=True, nogil=True, error_model="numpy")
def build_vector(x, y, z, slot_species, slot_row, foremost, clusters, kinds, full, radius, margin, geometry, shape, bin_start, span, ghosts, multiple, dummy, found, ranges,
                 pointer, neighbour):
    """As neighbours.build_plain; x, y, z must have 8 elements of room behind the last slot."""
    square = np.float32((radius + margin)**2)
    groups = kinds * (1 + full)
    room = found.size // (groups + 1)
    bounds = np.empty(6)
    number = np.zeros(groups, np.int64)
    pointer[foremost * groups] = 0
    used = pointer[foremost * groups]                   # not the literal 0, for which callees would be compiled once more
    for c in range(foremost, clusters):
        count = cluster_bounds(x, y, z, slot_row, c, bounds)
        i0 = WIDTH * c
        i1, i2, i3 = i0 + min(1, count - 1), i0 + min(2, count - 1), i0 + count - 1
        number[:] = 0
        for part in range(2 if ghosts else 1):
            n = slot_ranges(bounds, radius + margin, part, geometry, shape, bin_start, span, (i0 + WIDTH) * (1 - full) * (1 - part), ranges)
            first = kinds * part * full
            # of one species all that is found belongs to one group; of more it is shared out afterwards
            begin = first * room + number[first] if kinds == 1 else groups * room
            at = begin
            for k in range(n):
                end = ranges[k, 1]
                for j in range(ranges[k, 0], end, 8):
                    X, Y, Z = load(x, j), load(y, j), load(z, j)
                    nearest = minimum(minimum(_squares(X, Y, Z, x, y, z, i0), _squares(X, Y, Z, x, y, z, i1)),
                                      minimum(_squares(X, Y, Z, x, y, z, i2), _squares(X, Y, Z, x, y, z, i3)))
                    hits = bits(nearest < square) & (255 >> max(j + 8 - end, 0))
                    if j < i0 + WIDTH and j + 8 > i0:
                        hits &= ~(15 << (i0 - j) if j < i0 else 15 >> (j - i0))
                    store(found, at, load(LANES, 8 * hits) + np.int32(j))
                    at += ones(hits)
            if kinds == 1:
                number[first] += at - begin
            else:
                for k in range(begin, at):
                    t = first + slot_species[found[k]]
                    found[t * room + number[t]] = found[k]
                    number[t] += 1
        used = append_groups(c, groups, found, number, multiple, dummy, pointer, neighbour, used)
        if used < 0:
            return -1
    return used


def builder(path):
    """The list builder of a kernel path."""
    return build_plain if path == "plain" else build_vector
