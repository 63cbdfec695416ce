"""Cluster lists with vector code, 16 candidates j at a time (AVX2 and AVX-512): those of `neighbours.build_plain`, in the same order.

What takes time here is less the arithmetic than what a processor cannot foresee: where a loop ends, and whether a number is read from a place that was written a moment
ago. So columns without particles near a cluster are left out before anybody loops over them, what is the same for the clusters of a column is worked out once, and
numbers that are packed together by vector code are read back by vector code."""
import functools

import numpy as np

from . import inner, njit
from .neighbours import WIDTH, build_plain, column_number
from .simd import bits, extract, fma, lanes, maximum, minimum, ones, select, sqrt, to_integer
from .simd_places import ORDER, first_half, looked_up, put_packed, reordered

load, store, splat = lanes(8).load, lanes(8).store, lanes(8).splat
load_16, store_16, load_one, splat_16 = lanes(16).load, lanes(16).store, lanes(16).load_one, lanes(16).splat
FAR = np.float32(1e18)
ALL = 0xFFFF
once_a_cluster = functools.partial(inner, forceinline=True)        # a call with arrays counts the references to each: as long as two vectors of candidates take


@inner
def _columns_near(low_x, high_x, low_y, high_y, radius, part, geometry, shape, bin_start, z, lowest_slot, numbers, place, room, at):
    """The columns of a part that have particles in slots from lowest_slot on and lie within `radius` of a rectangle, into the places from `at` on, and
    empty ones up to a multiple of 8; returns their end. numbers (5 * room,): of each its left and front edge, lowest and highest z, and 1 where it runs downwards;
    place (room,): of its first bin, or of the end where it runs downwards."""
    nx, ny, bins, first_bin = shape[part, 0], shape[part, 1], shape[part, 2], shape[part, 3]
    x0, y0, wx, wy = geometry[part, 0], geometry[part, 1], geometry[part, 3], geometry[part, 4]
    a0 = min(max(int((low_x - radius - x0) / wx), 0), nx - 1)
    a1 = min(max(int((high_x + radius - x0) / wx), 0), nx - 1)
    b0 = min(max(int((low_y - radius - y0) / wy), 0), ny - 1)
    b1 = min(max(int((high_y + radius - y0) / wy), 0), ny - 1)
    for a in range(a0, a1 + 1):
        left = x0 + a * wx
        dx = max(0.0, max(left - high_x, low_x - left - wx))
        for b in range(b0, b1 + 1):
            front, c = y0 + b * wy, column_number(a, b, ny)
            dy = max(0.0, max(front - high_y, low_y - front - wy))
            bin, odd = first_bin + c * (bins + 1), c & 1
            first, end = bin_start[bin], bin_start[bin + bins]
            one, other = z[first], z[max(end - 1, 0)]
            numbers[at], numbers[room + at], numbers[4 * room + at] = left, front, odd
            numbers[2 * room + at], numbers[3 * room + at] = min(one, other), max(one, other)
            place[at] = bin + odd * bins
            at += (max(first, lowest_slot) < end) & (dx * dx + dy * dy < radius * radius)
    while at % 8:
        numbers[at], place[at] = FAR, 0
        at += 1
    return at


@once_a_cluster
def _slot_ranges(low_x, high_x, low_y, high_y, low_z, high_z, radius, part, geometry, shape, bin_start, lowest_slot, numbers, place, room, begin, end, ranges):
    """As neighbours.slot_ranges, of the columns [begin, end) of `_columns_near` and with bounds in all lanes; ranges may be empty.
    float32: what it rounds is less than the margin of the distances in `radius`."""
    wx, wy, per_height, last = np.float32(geometry[part, 3]), np.float32(geometry[part, 4]), np.float32(1.0 / geometry[part, 5]), np.float32(shape[part, 2])
    bottom, top = (low_z - np.float32(geometry[part, 2])) * per_height, (high_z - np.float32(geometry[part, 2])) * per_height + np.float32(1.0)
    count, half, none, square = 0, ranges.size // 2, np.float32(0.0), np.float32(radius * radius)
    for k in range(begin, end, 8):
        left, front = load(numbers, k), load(numbers, room + k)
        dx = maximum(maximum(left - high_x, low_x - wx - left), none)
        dy = maximum(maximum(front - high_y, low_y - wy - front), none)
        dz = maximum(maximum(load(numbers, 2 * room + k) - high_z, low_z - load(numbers, 3 * room + k)), none)
        rest = square - fma(dx, dx, dy * dy)
        reach = sqrt(maximum(rest, none)) * per_height
        low, high = to_integer(minimum(maximum(bottom - reach, none), last)), to_integer(minimum(maximum(top + reach, none), last))
        at, down = load(place, k), load(numbers, 4 * room + k) > none
        hits = bits(rest > dz * dz)
        order = load(ORDER, 8 * hits)
        store(ranges, count, reordered(select(down, at - high, at + low), order))
        store(ranges, half + count, reordered(select(down, at - low, at + high), order))
        count += ones(hits)
    store(ranges, count, splat(np.int32(0)))
    store(ranges, half + count, splat(np.int32(0)))
    for k in range(0, count, 8):
        store(ranges, k, maximum(looked_up(bin_start, load(ranges, k)), np.int32(lowest_slot)))
        store(ranges, half + k, looked_up(bin_start, load(ranges, half + k)))
    return count


@once_a_cluster
def _pick(order, found, begin, end, room, species, own, out, at):
    """The slots of a species, less those of the cluster `own`, from the labels found[begin:end] into out[at:]; returns their end."""
    for k in range(begin, end, 16):
        slot = load_16(found, k) - np.int32(species * room)
        hits = bits(slot >= np.int32(0)) & bits(slot < np.int32(room)) & bits((slot >> np.int32(2)) != np.int32(own)) & ALL >> max(k + 16 - end, 0)
        at += put_packed(order, out, at, slot, hits)
    return at


@once_a_cluster
def _build(order, x, y, z, slot_species, slot_row, foremost, clusters, kinds, full, inner_radius, radius, margin, geometry, shape, bin_start, ghosts, multiple, dummy, found,
           ranges, pointer, inner_end, neighbour):
    """Both of the builders below, by the `order` of put_packed. `found` holds first the labels of a cluster's j within the inner radius, then of the others, then those of
    all slots: slot + room * species, below 2^31."""
    radius, square, inner_square = radius + margin, np.float32((radius + margin)**2), np.float32((inner_radius + margin)**2)
    groups, parts, sorts = kinds * (1 + full), 2 if ghosts else 1, 2 if ghosts and full else 1
    half, room = ranges.size // 2, found.size // (groups + 2)
    label = found[2 * room:]
    for s in range(dummy):
        label[s] = s + room * slot_species[s]
    columns = shape[0, 0] * shape[0, 1] + shape[parts - 1, 0] * shape[parts - 1, 1] + 16
    numbers, place, section = np.empty(5 * columns, np.float32), np.empty(columns, np.int32), np.zeros(3, np.int64)
    edges = np.zeros(6, np.int64)                       # of the labels of each part: those within the inner radius, then the others
    x_left, x_right, y_front, y_back = np.float32(1.0), np.float32(-1.0), np.float32(1.0), np.float32(-1.0)         # no cluster lies in it
    ox, oy, wx, wy = geometry[0, 0], geometry[0, 1], geometry[0, 3], geometry[0, 4]
    pointer[foremost * groups] = 0
    used = pointer[foremost * groups]                   # not the literal 0, for which callees would be compiled once more
    for c in range(foremost, clusters):
        i0, lowest_slot = WIDTH * c, WIDTH * (c + 1) * (1 - full)
        i1, i2, i3 = i0 + (slot_row[i0 + 1] >= 0), i0 + 2 * (slot_row[i0 + 2] >= 0), i0 + 3 * (slot_row[i0 + 3] >= 0)
        x0, x1, x2, x3 = load_one(x, i0), load_one(x, i1), load_one(x, i2), load_one(x, i3)
        y0, y1, y2, y3 = load_one(y, i0), load_one(y, i1), load_one(y, i2), load_one(y, i3)
        z0, z1, z2, z3 = load_one(z, i0), load_one(z, i1), load_one(z, i2), load_one(z, i3)
        low_x, high_x = first_half(minimum(minimum(x0, x1), minimum(x2, x3))), first_half(maximum(maximum(x0, x1), maximum(x2, x3)))
        low_y, high_y = first_half(minimum(minimum(y0, y1), minimum(y2, y3))), first_half(maximum(maximum(y0, y1), maximum(y2, y3)))
        low_z, high_z = first_half(minimum(minimum(z0, z1), minimum(z2, z3))), first_half(maximum(maximum(z0, z1), maximum(z2, z3)))
        left, right, front, back = extract(low_x, 0), extract(high_x, 0), extract(low_y, 0), extract(high_y, 0)
        if not (x_left <= left and right <= x_right and y_front <= front and back <= y_back):
            # the columns that the cluster touches: the next ones will be there, too
            x_left, x_right = min(left, np.float32(ox + int((left - ox) / wx) * wx)), max(right, np.float32(ox + int((right - ox) / wx + 1.0) * wx))
            y_front, y_back = min(front, np.float32(oy + int((front - oy) / wy) * wy)), max(back, np.float32(oy + int((back - oy) / wy + 1.0) * wy))
            for part in range(parts):
                section[part + 1] = _columns_near(x_left, x_right, y_front, y_back, radius, part, geometry, shape, bin_start, z, lowest_slot, numbers, place, columns, section[part])
        near, far, between_near, between_far = 0, room, 0, room
        for part in range(parts):
            between_near, between_far = near, far
            n = _slot_ranges(low_x, high_x, low_y, high_y, low_z, high_z, radius, part, geometry, shape, bin_start, lowest_slot, numbers, place, columns,
                             section[part], section[part + 1], ranges)
            for k in range(n):
                j, end = np.int64(ranges[k]), np.int64(ranges[half + k])
                while True:                             # nearly always once or twice: a loop that looks before would be wrong once more
                    X, Y, Z, J = load_16(x, j), load_16(y, j), load_16(z, j), load_16(label, j)
                    dx, dy, dz = X - x0, Y - y0, Z - z0
                    ex, ey, ez = X - x1, Y - y1, Z - z1
                    fx, fy, fz = X - x2, Y - y2, Z - z2
                    gx, gy, gz = X - x3, Y - y3, Z - z3
                    nearest = minimum(minimum(fma(dx, dx, fma(dy, dy, dz * dz)), fma(ex, ex, fma(ey, ey, ez * ez))),
                                      minimum(fma(fx, fx, fma(fy, fy, fz * fz)), fma(gx, gx, fma(gy, gy, gz * gz))))
                    valid = ALL >> min(max(j + 16 - end, 0), 16)
                    hits = bits(nearest < inner_square) & valid
                    near += put_packed(order, found, near, J, hits)
                    far += put_packed(order, found, far, J, bits(nearest < square) & valid ^ hits)
                    j += 16
                    if j >= end:
                        break
        if used + near + far - room + groups * (multiple + 32) > neighbour.size:
            return -1
        edges[1], edges[sorts], edges[3], edges[4], edges[3 + sorts] = between_near, near, room, between_far, far
        for sort in range(sorts):
            for t in range(kinds):
                begin, g = used, c * groups + sort * kinds + t
                for distance in range(2):
                    used = _pick(order, found, edges[3 * distance + sort], edges[3 * distance + sort + 1], room, t, c, neighbour, used)
                    inner_end[g] = begin + (used - begin + multiple - 1) // multiple * multiple if distance == 0 else inner_end[g]
                store_16(neighbour, used, splat_16(np.int32(dummy)))
                used = begin + (used - begin + multiple - 1) // multiple * multiple
                pointer[g + 1] = used
        if full and sorts == 1:
            for g in range(c * groups + kinds, (c + 1) * groups):
                inner_end[g] = pointer[g + 1] = used
    return used


@njit(cache=True, nogil=True, error_model="numpy")
def build_avx512(x, y, z, slot_species, slot_row, foremost, clusters, kinds, full, inner_radius, radius, margin, geometry, shape, bin_start, ghosts, multiple, dummy, found,
                 ranges, pointer, inner_end, neighbour):
    """As neighbours.build_plain; x, y, z must have 16 elements of room behind the last slot, and `multiple` is 16 at most."""
    return _build(None, x, y, z, slot_species, slot_row, foremost, clusters, kinds, full, inner_radius, radius, margin, geometry, shape, bin_start, ghosts, multiple, dummy,
                  found, ranges, pointer, inner_end, neighbour)


@njit(cache=True, nogil=True, error_model="numpy")
def build_avx2(x, y, z, slot_species, slot_row, foremost, clusters, kinds, full, inner_radius, radius, margin, geometry, shape, bin_start, ghosts, multiple, dummy, found,
               ranges, pointer, inner_end, neighbour):
    """The same without AVX-512."""
    return _build(ORDER, x, y, z, slot_species, slot_row, foremost, clusters, kinds, full, inner_radius, radius, margin, geometry, shape, bin_start, ghosts, multiple,
                  dummy, found, ranges, pointer, inner_end, neighbour)


def builder(path):
    """The list builder of a kernel path."""
    return {"plain": build_plain, "avx2": build_avx2, "avx512": build_avx512}[path]
