"""Cluster pair lists: clusters of 4 particles i against single particles j, grouped by the species of j.

Particles stand in slots: owned ones in columns along z, then the ghosts in columns of their own. The slots follow one path through the columns, up one and down
the next, and each column lies beside the one before it: so 4 slots in a row are neighbours in space, also where they belong to two columns, and only the
last cluster of all is filled up. A pair enters the list when the j lies within the list radius of any of the four.
Half lists: j after its cluster among the owned, and every ghost (ghosts come as a half shell). Full lists: every owned j outside the cluster, and the ghosts in groups
of their own behind the owned. Pairs inside a cluster are not in the list.
In each group the j within a smaller, inner radius stand first: while particles have moved by no more than a part of the skin, nobody need look at the others. Whether
it is so follows from the positions for which the list was made and from how far particles have moved since, so that a restart does as the run before it.
Distances are taken in float32 with a margin above their rounding: the list may hold a pair too many, never one too few."""
import math

import numpy as np

from . import inner, njit

WIDTH = 4


@njit(cache=True, error_model="numpy")
def extent(position, first, count, lowest, highest):
    """Lowest and highest coordinates of rows [first, first + count) of position (n, 3) into lowest, highest (3,); returns False where one is not finite."""
    x0 = y0 = z0 = np.inf
    x1 = y1 = z1 = -np.inf
    odd = 0.0                               # NaN once there has been a number that is not finite
    for i in range(first, first + count):
        x, y, z = position[i, 0], position[i, 1], position[i, 2]
        x0, y0, z0 = min(x0, x), min(y0, y), min(z0, z)
        x1, y1, z1 = max(x1, x), max(y1, y), max(z1, z)
        odd += (x - x) + (y - y) + (z - z)
    lowest[0], lowest[1], lowest[2] = x0, y0, z0
    highest[0], highest[1], highest[2] = x1, y1, z1
    return odd == 0.0


@inner
def column_number(a, b, ny):
    """Number of column b of row a on a path that turns at the end of each row."""
    return a * ny + (b if a % 2 == 0 else ny - 1 - b)


@njit(cache=True, error_model="numpy")
def sort_columns(position, first, count, origin_x, origin_y, origin_z, width_x, width_y, height, nx, ny, bins, fill, first_slot, slot_row, bin_start):
    """Rows [first, first + count) of position (n, 3) into slots from first_slot on: nx * ny columns, by z in each, downwards where its number is odd (ties keep their order);
    the last one ends at a multiple of `fill`. Writes slot_row (row of each slot, -1 in empty ones); returns the end of the slots.
    Writes bin_start[c * (bins + 1) + b], too: the first slot of column c whose z is in bin b or above (bins of odd columns are counted from the top, and below is
    above); the last one is the end of the column's particles."""
    entries = nx * ny * (bins + 1)
    per_x, per_y, per_z = 1.0 / width_x, 1.0 / width_y, 1.0 / height
    entry = np.empty(count, np.int32)
    for k in range(entries):
        bin_start[k] = 0
    for i in range(count):
        a = min(max(int((position[first + i, 0] - origin_x) * per_x), 0), nx - 1)
        b = min(max(int((position[first + i, 1] - origin_y) * per_y), 0), ny - 1)
        own = min(max(int((position[first + i, 2] - origin_z) * per_z), 0), bins - 1)
        c = column_number(a, b, ny)
        entry[i] = c * (bins + 1) + (own if c % 2 == 0 else bins - 1 - own)
        bin_start[entry[i]] += 1
    end, most = first_slot, np.int32(0)
    for k in range(entries):
        most = max(most, bin_start[k])
        end += bin_start[k]
        bin_start[k] = end
    for i in range(count - 1, -1, -1):      # backwards from the end of each bin, which so becomes its begin
        bin_start[entry[i]] -= 1
        slot_row[bin_start[entry[i]]] = first + i
    while (end - first_slot) % fill:
        slot_row[end] = -1
        end += 1
    for c in range(nx * ny):
        begin = bin_start[c * (bins + 1)]
        _sort_by_height(position, slot_row, begin, bin_start[c * (bins + 1) + bins] - begin, most, 1.0 - 2.0 * (c % 2))
    return end


@inner
def _sort_by_height(position, slot_row, begin, count, most, sign):
    """slot_row[begin : begin + count] by sign times position z, then by row, where none is further than `most` from its place: by insertion, with Shell's gaps where
    that is far."""
    gap = 1
    while 9 * gap < most:
        gap = 3 * gap + 1
    while gap > 0:
        for k in range(gap, count):
            row = slot_row[begin + k]
            z = sign * position[row, 2]
            v = k - gap
            while v >= 0 and (sign * position[slot_row[begin + v], 2] > z or sign * position[slot_row[begin + v], 2] == z and slot_row[begin + v] > row):
                slot_row[begin + v + gap] = slot_row[begin + v]
                v -= gap
            slot_row[begin + v + gap] = row
        gap //= 3


@njit(cache=True, error_model="numpy")
def fill_slots(position, species, slot_row, slots, centre, x, y, z, slot_species):
    """float32 coordinates relative to `centre`, and species, of the slots [0, slots); empty slots get 1e18 and species 0."""
    for s in range(slots):
        row = slot_row[s]
        if row >= 0:
            x[s] = position[row, 0] - centre[0]
            y[s] = position[row, 1] - centre[1]
            z[s] = position[row, 2] - centre[2]
            slot_species[s] = species[row]
        else:
            x[s], y[s], z[s], slot_species[s] = 1e18, 1e18, 1e18, 0


@inner
def cluster_bounds(x, y, z, slot_row, c, bounds):
    """Lowest and highest x, y, z of the particles of cluster c into bounds (6,); returns their number (1 to 4)."""
    b = WIDTH * c
    count = WIDTH
    while count > 1 and slot_row[b + count - 1] < 0:
        count -= 1
    bounds[0] = bounds[1] = x[b]
    bounds[2] = bounds[3] = y[b]
    bounds[4] = bounds[5] = z[b]
    for s in range(b + 1, b + count):
        bounds[0], bounds[1] = min(bounds[0], x[s]), max(bounds[1], x[s])
        bounds[2], bounds[3] = min(bounds[2], y[s]), max(bounds[3], y[s])
        bounds[4], bounds[5] = min(bounds[4], z[s]), max(bounds[5], z[s])
    return count


@inner
def slot_ranges(bounds, radius, part, geometry, shape, bin_start, lowest_slot, ranges):
    """Ranges of slots of the owned (part 0) or the ghosts (1) that may lie within `radius` of the bounds, into `ranges`, their begins in its first half
    and their ends in its second; returns their number.
    geometry (2, 6): origin x, y, z, widths x, y and bin height; shape (2, 4): columns in x, in y, bins; where the part's bins begin in `bin_start`; slots below lowest_slot
    are left out. The parts share their arrays because a choice between arrays costs as much as a column."""
    nx, ny, bins, first_bin = shape[part, 0], shape[part, 1], shape[part, 2], shape[part, 3]
    x0, y0, z0, wx, wy, per_height = geometry[part, 0], geometry[part, 1], geometry[part, 2], geometry[part, 3], geometry[part, 4], 1.0 / geometry[part, 5]
    bottom, top = (bounds[4] - z0) * per_height, (bounds[5] - z0) * per_height
    a0 = min(max(int(math.floor((bounds[0] - radius - x0) / wx)), 0), nx - 1)
    a1 = min(max(int(math.floor((bounds[1] + radius - x0) / wx)), 0), nx - 1)
    front, back, per_width = (bounds[2] - y0) / wy, (bounds[3] - y0) / wy, 1.0 / wy
    count, half = 0, ranges.size // 2
    for a in range(a0, a1 + 1):
        left = x0 + a * wx
        dx = max(0.0, max(left - bounds[1], bounds[0] - left - wx))
        across = radius * radius - dx * dx
        if across <= 0.0:
            continue
        reach = math.sqrt(across) * per_width
        b0, b1 = max(int(math.floor(front - reach)), 0), min(int(math.floor(back + reach)), ny - 1)
        for b in range(b0, b1 + 1):
            c = column_number(a, b, ny)
            dy = max(0.0, max(b - back, front - b - 1.0)) * wy
            reach = math.sqrt(max(across - dy * dy, 0.0)) * per_height
            low, high = min(max(int(math.floor(bottom - reach)), 0), bins), min(max(int(math.floor(top + reach)) + 1, 0), bins)
            if c % 2:
                low, high = bins - high, bins - low
            at = first_bin + c * (bins + 1)
            begin, end = max(bin_start[at + low], lowest_slot), bin_start[at + high]
            if begin < end:
                ranges[count], ranges[half + count] = begin, end
                count += 1
    return count


@inner
def share_out(found, begin, end, slot_species, first, kinds, room, number):
    """The j of found[begin:end] go to the groups of their species, the first of which is `first`, behind the number (groups,) that is there."""
    if kinds == 1:
        at = first * room + number[first]
        into, out = found[at:at + end - begin], found[begin:end]
        for k in range(end - begin):
            into[k] = out[k]
        number[first] += end - begin
        return
    for k in range(begin, end):
        t = first + slot_species[found[k]]
        found[t * room + number[t]] = found[k]
        number[t] += 1


@inner
def append_groups(c, groups, found, room, number, number_inner, multiple, dummy, pointer, inner_end, neighbour, used):
    """The j found for cluster c, number (groups,) in all and number_inner (groups,) within the inner radius, group by group behind neighbour[:used], each group filled up with
    `dummy`; returns the new length or -1 when full. The inner part of a group ends at a whole multiple, too, with a few of the others or dummies."""
    need = used
    for t in range(groups):
        need += (number[t] + multiple - 1) // multiple * multiple
    if need > neighbour.size:
        return -1
    for t in range(groups):
        inner_end[c * groups + t] = used + (number_inner[t] + multiple - 1) // multiple * multiple
        into, out = neighbour[used:used + number[t]], found[t * room:t * room + number[t]]     # slices, since an index that is a sum might be negative
        for k in range(number[t]):
            into[k] = out[k]
        used += number[t]
        while used % multiple:
            neighbour[used] = dummy
            used += 1
        pointer[c * groups + t + 1] = used
    return used


@njit(cache=True, nogil=True, error_model="numpy")
def build_plain(x, y, z, slot_species, slot_row, foremost, clusters, kinds, full, inner_radius, radius, margin, geometry, shape, bin_start, ghosts, multiple, dummy, found,
                ranges, pointer, inner_end, neighbour):
    """The list of the clusters [foremost, clusters) into pointer (clusters * groups + 1,), inner_end (clusters * groups,) and neighbour; returns its length, or -1
    when neighbour is too short. groups: kinds, or twice as many in a `full` list. radius: list radius; margin: bound of the rounding of float32 distances.
    found ((groups + 2) (slots + 16),) and `ranges` (two halves, each with 8 places more than columns near a cluster) are work space."""
    square, inner_square = np.float32((radius + margin)**2), np.float32((inner_radius + margin)**2)
    groups = kinds * (1 + full)
    room, half = found.size // (groups + 2), ranges.size // 2
    bounds = np.empty(6)
    number, number_inner = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    pointer[foremost * groups] = 0
    used = pointer[foremost * groups]                   # not the literal 0, for which callees would be compiled once more
    for c in range(foremost, clusters):
        count = cluster_bounds(x, y, z, slot_row, c, bounds)
        number[:] = 0
        parts = 2 if ghosts else 1
        near, far = groups * room, (groups + 1) * room
        for part in range(parts):
            n = slot_ranges(bounds, radius + margin, part, geometry, shape, bin_start, WIDTH * (c + 1) * (1 - full) * (1 - part), ranges)
            for k in range(n):
                for j in range(ranges[k], ranges[half + k]):
                    if j // WIDTH == c:
                        continue
                    nearest = square
                    for i in range(WIDTH * c, WIDTH * c + count):
                        dx, dy, dz = x[i] - x[j], y[i] - y[j], z[i] - z[j]
                        nearest = min(nearest, dx * dx + dy * dy + dz * dz)
                    if nearest < inner_square:
                        found[near] = j
                        near += 1
                    elif nearest < square:
                        found[far] = j
                        far += 1
            if full or part == parts - 1:
                first = kinds * part * full
                share_out(found, groups * room, near, slot_species, first, kinds, room, number)
                number_inner[first:first + kinds] = number[first:first + kinds]
                share_out(found, (groups + 1) * room, far, slot_species, first, kinds, room, number)
                near, far = groups * room, (groups + 1) * room
        used = append_groups(c, groups, found, room, number, number_inner, multiple, dummy, pointer, inner_end, neighbour, used)
        if used < 0:
            return -1
    return used
