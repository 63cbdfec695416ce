"""Cluster lists with vector code, 8 candidates j at a time (AVX2 and AVX-512): those of `neighbours.build_plain`, in the same order."""
import numpy as np

from . import inner, njit
from .neighbours import WIDTH, append_groups, build_plain, cluster_bounds, column_number, share_out
from .simd import bits, floor, fma, lanes, maximum, minimum, ones, select, sqrt, to_integer
from .simd_places import looked_up, reordered

load, store, load_one = lanes(8).load, lanes(8).store, lanes(8).load_one
# [8 m : 8 m + 8]: the lanes that the bits of m tell, in rising order, then anything
COLUMNS = np.concatenate((np.arange(8), np.arange(8) % 2, (np.arange(8) + 1) % 2)).astype(np.float32)      # their numbers; which are odd, from an even one on, from an odd one on
LANES = np.array([sorted(range(8), key=lambda lane: not m >> lane & 1) for m in range(256)], np.int32).ravel()


@inner
def _squares(X, Y, Z, x, y, z, i):
    """Squared distances of 8 candidates to slot i, which may differ from the plain code's in the last bit."""
    dx, dy, dz = X - load_one(x, i), Y - load_one(y, i), Z - load_one(z, i)
    return fma(dx, dx, fma(dy, dy, dz * dz))


@inner
def _slot_ranges(bounds, radius, part, geometry, shape, bin_start, lowest_slot, ranges):
    """As neighbours.slot_ranges, 8 columns at a time and with no branch that depends on where particles stand, since nobody can guess those.
    float32: what it rounds is less than the margin of the distances in `radius`."""
    nx, ny, bins, first_bin = shape[part, 0], shape[part, 1], shape[part, 2], shape[part, 3]
    x0, y0, z0, wx, wy, per_height = geometry[part, 0], geometry[part, 1], geometry[part, 2], geometry[part, 3], geometry[part, 4], 1.0 / geometry[part, 5]
    bottom, top, last = np.float32((bounds[4] - z0) * per_height), np.float32((bounds[5] - z0) * per_height + 1.0), np.float32(bins)
    a0 = min(max(int((bounds[0] - radius - x0) / wx), 0), nx - 1)
    a1 = min(max(int((bounds[1] + radius - x0) / wx), 0), nx - 1)
    b0 = min(max(int((bounds[2] - radius - y0) / wy), 0), ny - 1)
    b1 = min(max(int((bounds[3] + radius - y0) / wy), 0), ny - 1)
    count, half, none, number = 0, ranges.size // 2, np.float32(0.0), load(COLUMNS, 0)
    for a in range(a0, a1 + 1):
        left = x0 + a * wx
        dx = max(0.0, max(left - bounds[1], bounds[0] - left - wx))
        step = (bins + 1) * (1 - 2 * (a % 2))
        for b in range(b0, b1 + 1, 8):
            c = column_number(a, b, ny)
            inside = minimum(number, np.float32(b1 - b))
            front = inside * np.float32(wy) + np.float32(y0 + b * wy)
            dy = maximum(maximum(front - np.float32(bounds[3]), np.float32(bounds[2] - wy) - front), none)
            room = select(number > inside, none, np.float32(radius * radius - dx * dx) - dy * dy)
            reach = sqrt(maximum(room, none)) * np.float32(per_height)
            low, high = minimum(maximum(floor(bottom - reach), none), last), minimum(maximum(floor(top + reach), none), last)
            low, high = select(room > none, low, last), select(room > none, high, none)
            down = load(COLUMNS, 8 + 8 * (c & 1)) > none
            column = to_integer(inside) * np.int32(step) + np.int32(first_bin + c * (bins + 1))
            begin = maximum(looked_up(bin_start, column + to_integer(select(down, last - high, low))), np.int32(lowest_slot))
            end = looked_up(bin_start, column + to_integer(select(down, last - low, high)))
            hits = bits(begin < end)
            order = load(LANES, 8 * hits)
            store(ranges, count, reordered(begin, order))
            store(ranges, half + count, reordered(end, order))
            count += ones(hits)
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def build_vector(x, y, z, slot_species, slot_row, foremost, clusters, kinds, full, inner_radius, radius, margin, geometry, shape, bin_start, ghosts, multiple, dummy, found,
                 ranges, pointer, inner_end, neighbour):
    """As neighbours.build_plain; x, y, z must have 8 elements of room behind the last slot."""
    square, inner_square = np.float32((radius + margin)**2), np.float32((inner_radius + margin)**2)
    groups = kinds * (1 + full)
    room, half = found.size // (groups + 2), ranges.size // 2
    bounds = np.empty(6)
    number, number_inner = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    pointer[foremost * groups] = 0
    used = pointer[foremost * groups]                   # not the literal 0, for which callees would be compiled once more
    for c in range(foremost, clusters):
        count = cluster_bounds(x, y, z, slot_row, c, bounds)
        i0 = WIDTH * c
        i1, i2, i3 = i0 + min(1, count - 1), i0 + min(2, count - 1), i0 + count - 1
        number[:] = 0
        parts = 2 if ghosts else 1
        near, far = groups * room, (groups + 1) * room
        for part in range(parts):
            n = _slot_ranges(bounds, radius + margin, part, geometry, shape, bin_start, (i0 + WIDTH) * (1 - full) * (1 - part), ranges)
            first = kinds * part * full
            if kinds == 1 and (part == 0 or full):      # of one species the inner ones need not be shared out
                near = first * room
            for k in range(n):
                end = ranges[half + k]
                for j in range(ranges[k], end, 8):
                    X, Y, Z = load(x, j), load(y, j), load(z, j)
                    nearest = minimum(minimum(_squares(X, Y, Z, x, y, z, i0), _squares(X, Y, Z, x, y, z, i1)),
                                      minimum(_squares(X, Y, Z, x, y, z, i2), _squares(X, Y, Z, x, y, z, i3)))
                    others = 255 >> max(j + 8 - end, 0)
                    if j < i0 + WIDTH and j + 8 > i0:
                        others &= ~(15 << (i0 - j) if j < i0 else 15 >> (j - i0))
                    hits = bits(nearest < inner_square) & others
                    store(found, near, load(LANES, 8 * hits) + np.int32(j))
                    near += ones(hits)
                    hits ^= bits(nearest < square) & others
                    store(found, far, load(LANES, 8 * hits) + np.int32(j))
                    far += ones(hits)
            if full or part == parts - 1:
                if kinds == 1:
                    number[first] = near - first * room
                else:
                    share_out(found, groups * room, near, slot_species, first, kinds, room, number)
                for t in range(first, first + kinds):
                    number_inner[t] = number[t]
                share_out(found, (groups + 1) * room, far, slot_species, first, kinds, room, number)
                near, far = groups * room, (groups + 1) * room
        used = append_groups(c, groups, found, room, number, number_inner, multiple, dummy, pointer, inner_end, neighbour, used)
        if used < 0:
            return -1
    return used


def builder(path):
    """The list builder of a kernel path."""
    return build_plain if path == "plain" else build_vector
