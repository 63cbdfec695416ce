"""Between rows of the state and slots of the cluster lists: positions in, forces out, parameters of the pairs beside the clusters. For kernels without vector code;
those with it have the same in `pair_slots_simd`."""
import math

import numpy as np

from . import inner, njit

FAR = 1.0e6         # where empty slots stand: beyond every cutoff from all particles, from each other, and from the dummy at -FAR


@njit(cache=True, error_model="numpy")
def follow_owners(slot_row, begin, slots, base, index, first, start, first_route, last_route, route):
    """Ghosts that are images of this rank's own particles take part through their owners: slot_row of the slots [begin, slots) becomes the owner's row and
    route (slots - begin,) the route that shifts it, -1 for other ghosts. Such ghosts have the rows from `base` on, in the order of index[first:], the rows of
    the routes [first_route, last_route), which begin at start[route] in `index`."""
    count = start[last_route] - first
    of = np.empty(count, np.int32)
    for r in range(first_route, last_route):
        for k in range(start[r], start[r + 1]):
            of[k - first] = r
    for s in range(begin, slots):
        k = slot_row[s] - base
        route[s - begin] = -1
        if 0 <= k < count:
            slot_row[s] = index[first + k]
            route[s - begin] = of[k]


@inner
def lay_out_positions(position, slot_row, route, shift, owned_slots, slots, rows):
    """Coordinates of all slots into rows (flat, 4 a slot). Ghosts are shifted by their route, see `follow_owners`. Slot `slots` is the dummy that fills lists up."""
    for s in range(owned_slots):
        row = slot_row[s]
        if row >= 0:
            a, b, c = position[row, 0], position[row, 1], position[row, 2]
        else:
            a, b, c = FAR * (2.0 + s % 4), FAR, FAR
        rows[4 * s], rows[4 * s + 1], rows[4 * s + 2] = a, b, c
    for s in range(owned_slots, slots):
        row, r = slot_row[s], route[s - owned_slots]
        a, b, c = position[row, 0], position[row, 1], position[row, 2]
        if r >= 0:
            a, b, c = a + shift[r, 0], b + shift[r, 1], c + shift[r, 2]
        rows[4 * s], rows[4 * s + 1], rows[4 * s + 2] = a, b, c
    rows[4 * slots], rows[4 * slots + 1], rows[4 * slots + 2] = -FAR, -FAR, -FAR


def fraction_periods(lengths, span, cutoff):
    """(3,) periods of the fixed-point positions: the least doubling of each length in which no difference of positions is mistaken for a shorter one.

    `span` (3,): over what the slots of a rank reach; the free rest of the period must hold an empty slot or the dummy further than the cutoff from all of them,
    on both sides."""
    need = span + 2.5 * cutoff
    return np.asarray(lengths) * 2.0**np.ceil(np.log2(need / lengths))


def whole_units(upright, per_length, lengths, tilts):
    """(n, 3) whole numbers, as float64, for `lay_out_fractions` with a per_length of 1: positions in a tilted cell, from upright coordinates (n, 3). Images differ
    by the same numbers wherever they stand: lengths and `tilts` (xy, xz, yz) are whole numbers of units, too."""
    out = np.floor(upright * per_length + 0.5)
    y, z = out[:, 1].copy(), out[:, 2].copy()
    for column, row, units, tilt in ((0, y, lengths[1] * per_length[1], tilts[0] * per_length[0]), (0, z, lengths[2] * per_length[2], tilts[1] * per_length[0]),
                                     (1, z, lengths[2] * per_length[2], tilts[2] * per_length[1])):
        turns, tilt = np.floor(row / units), np.rint(tilt)
        out[:, column] += turns * tilt + np.floor((row - turns * units) * (tilt / units) + 0.5)
    return out


@inner
def place_apart(s, lane, middle, rows):
    """Row s of the fractions: half a period from `middle` in the axis `lane` - 1 (in none for lane 0, in all three for lane -1)."""
    for k in range(3):
        rows[4 * s + k] = np.int32(np.int64(math.floor(middle[k] + 2147483648.0 * (lane == k + 1 or lane < 0) + 0.5)))


@inner
def lay_out_fractions(per_length, middle, position, slot_row, route, shift, owned_slots, slots, rows):
    """As lay_out_positions with int32 coordinates: position times per_length (3,) = 2^32 / period, to the nearest integer modulo 2^32.
    Around middle (3,), the middle of the box in these units, stand the particles. Half a period from it in one axis (empty slots, another axis for each
    lane) or in all three (the dummy) there is nothing within the cutoff."""
    for s in range(slots):
        row = slot_row[s]
        if row < 0:
            place_apart(s, s % 4, middle, rows)
            continue
        a, b, c = position[row, 0], position[row, 1], position[row, 2]
        if s >= owned_slots:
            r = route[s - owned_slots]
            if r >= 0:
                a, b, c = a + shift[r, 0], b + shift[r, 1], c + shift[r, 2]
        a, b, c = a * per_length[0], b * per_length[1], c * per_length[2]
        u, v, w = np.int32(np.int64(math.floor(a + 0.5))), np.int32(np.int64(math.floor(b + 0.5))), np.int32(np.int64(math.floor(c + 0.5)))
        rows[4 * s], rows[4 * s + 1], rows[4 * s + 2] = u, v, w
    place_apart(slots, -1, middle, rows)


@inner
def bring_back(force_rows, slot_row, slots, receiving, force):
    """force_rows (n, 3) += force (flat, 4 a slot) of the slots from `receiving` on. These and the dummy's become zero for the next time: a pass of its own would
    have to fetch them once more."""
    for s in range(receiving, slots):
        row = slot_row[s]
        if row >= 0:
            for k in range(3):
                force_rows[row, k] += force[4 * s + k]
    for k in range(4 * receiving, 4 * slots + 4):
        force[k] = 0.0


@njit(cache=True, error_model="numpy")
def spread_parameters(slot_species, clusters, table, parameters):
    """parameters[((c * kinds + t) * p + k) * 4 + l] = table[species of lane l of cluster c, t, k] for table (kinds, kinds, p)."""
    kinds, number = table.shape[1], table.shape[2]
    for c in range(clusters):
        one, two, three, four = slot_species[4 * c], slot_species[4 * c + 1], slot_species[4 * c + 2], slot_species[4 * c + 3]
        for t in range(kinds):
            at = (c * kinds + t) * number * 4
            for k in range(number):
                parameters[at + 4 * k], parameters[at + 4 * k + 1] = table[one, t, k], table[two, t, k]
                parameters[at + 4 * k + 2], parameters[at + 4 * k + 3] = table[three, t, k], table[four, t, k]


@njit(cache=True, error_model="numpy")
def largest_move(position, reference, count):
    """Largest distance between rows [0, count) of position and reference (n, 3); NaN where a position is NaN."""
    largest = 0.0
    for i in range(count):
        d2 = (position[i, 0] - reference[i, 0])**2 + (position[i, 1] - reference[i, 1])**2 + (position[i, 2] - reference[i, 2])**2
        if not d2 <= largest:       # also taken for NaN
            largest = d2
            if d2 != d2:
                return d2
    return largest**0.5
