"""Loops of the particle exchange: which rows go where, packing, adding forces back, the largest displacement.

All arrays are C-contiguous (each kernel is used with one signature): positions and forces (n, 3) float64, row numbers int64, ids int64, species int32. A route is one copy of a brick of
particles for one target at one lattice offset; a segment of the index array holds its rows: [start[r], start[r + 1]).
"""
import math

import numpy as np

from . import njit

LEAVER = 9                                  # numbers of the record of a particle that changes its owner: position, velocity, id (int64), image counts and species (int32)
FAST = {"contract", "arcp", "nsz"}          # no reassoc: the order of sums is part of the result
OPTIONS = {"cache": True, "error_model": "numpy", "fastmath": FAST}


@njit(**OPTIONS)
def select_rows(position, n, shift, lower, upper, face, width2, start, index):
    """For each route r the rows i < n whose shifted position has no gap above `face` to the brick [lower[r], upper[r]], and a sum of squared gaps of at most width2.

    Fills `start` (routes + 1) and, as far as it has room, `index`; returns the room that is needed.
    """
    room, count = index.shape[0], 0
    widest = math.sqrt(width2) * (1.0 + 1e-12)
    # rows in a slice across each axis: the few slices of the neighbours in a half shell serve all of its routes
    slices, rows, edges, window = np.empty((3, n), np.int32), np.empty(3, np.int64), np.empty((3, 2)), np.empty((3, 2))
    for axis in range(3):
        rows[axis] = n + 1
    for r in range(shift.shape[0]):
        start[r] = count
        thin, fewest = -1, n + 1
        for axis in range(3):
            a, b = lower[r, axis] - shift[r, axis] - widest, upper[r, axis] - shift[r, axis] + widest
            margin = 1e-12 * (abs(a) + abs(b))
            window[axis, 0], window[axis, 1] = a - margin, b + margin
            if 4 * rows[axis] <= n and edges[axis, 0] == window[axis, 0] and edges[axis, 1] == window[axis, 1]:
                thin = axis
        if thin < 0:
            for axis in range(3):           # the axis across which the window is thinnest, as a few of the rows tell
                met = 0
                for i in range(0, n, n // 32 + 1):
                    met += (position[i, axis] >= window[axis, 0]) & (position[i, axis] <= window[axis, 1])
                if met < fewest:
                    fewest, thin = met, axis
            edges[thin, 0], edges[thin, 1] = window[thin, 0], window[thin, 1]
            m = 0
            for i in range(n):
                slices[thin, m] = i
                m += (position[i, thin] >= edges[thin, 0]) & (position[i, thin] <= edges[thin, 1])
            rows[thin] = m
        for k in range(rows[thin]):
            i = slices[thin, k]
            distance2, largest = 0.0, 0.0
            for axis in range(3):
                x = position[i, axis] + shift[r, axis]
                gap = max(max(lower[r, axis] - x, x - upper[r, axis]), 0.0)
                distance2 += gap * gap
                largest = max(largest, gap)
            if distance2 <= width2 and largest <= face:
                if count < room:
                    index[count] = i
                count += 1
    start[shift.shape[0]] = count
    return count


@njit(**OPTIONS)
def pack_positions(position, index, first, last, start, shift, out):
    """Shifted positions of the routes [first, last), one after another, into the rows of `out` from 0 on."""
    base = start[first]
    for r in range(first, last):
        sx, sy, sz = shift[r, 0], shift[r, 1], shift[r, 2]
        for k in range(start[r], start[r + 1]):
            i = index[k]
            out[k - base, 0] = position[i, 0] + sx
            out[k - base, 1] = position[i, 1] + sy
            out[k - base, 2] = position[i, 2] + sz


@njit(**OPTIONS)
def pack_ghosts(position, ids, species, index, start, shift, out, out_bits):
    """Records (x, y, z, id, species) of all routes; `out_bits` is the int64 view of `out` (rows, 5)."""
    for r in range(shift.shape[0]):
        for k in range(start[r], start[r + 1]):
            i = index[k]
            for axis in range(3):
                out[k, axis] = position[i, axis] + shift[r, axis]
            out_bits[k, 3] = ids[i]
            out_bits[k, 4] = species[i]


@njit(**OPTIONS)
def unpack_ghosts(record, record_bits, row, position, ids, species):
    """Records into the rows [row, row + len(record))."""
    for k in range(record.shape[0]):
        for axis in range(3):
            position[row + k, axis] = record[k, axis]
        ids[row + k] = record_bits[k, 3]
        species[row + k] = record_bits[k, 4]


@njit(**OPTIONS)
def add_rows(force, index, first, last, addend):
    """force[index[k]] += addend[k - first] for first <= k < last, in this order."""
    for k in range(first, last):
        i = index[k]
        force[i, 0] += addend[k - first, 0]
        force[i, 1] += addend[k - first, 1]
        force[i, 2] += addend[k - first, 2]


@njit(**OPTIONS)
def largest_displacement2(position, reference, n):
    """The largest squared displacement of the first n rows; infinity where one is not finite."""
    largest = 0.0
    for i in range(n):
        dx = position[i, 0] - reference[i, 0]
        dy = position[i, 1] - reference[i, 1]
        dz = position[i, 2] - reference[i, 2]
        d2 = dx * dx + dy * dy + dz * dz
        if not d2 <= largest:               # NaN lands here too
            if not d2 < np.inf:
                return np.inf
            largest = d2
    return largest


@njit(**OPTIONS)
def find_owners(position, n, cuts_x, cuts_y, cuts_z, owner):
    """The rank (x slowest) whose brick holds each of the first n positions, which lie in the box."""
    ny, nz = cuts_y.shape[0] - 1, cuts_z.shape[0] - 1
    for i in range(n):
        cx, cy, cz = 0, 0, 0                # a search by halves would take longer to compile than it saves
        while cx + 2 < cuts_x.shape[0] and cuts_x[cx + 1] <= position[i, 0]:
            cx += 1
        while cy + 1 < ny and cuts_y[cy + 1] <= position[i, 1]:
            cy += 1
        while cz + 1 < nz and cuts_z[cz + 1] <= position[i, 2]:
            cz += 1
        owner[i] = (cx * ny + cy) * nz + cz


@njit(**OPTIONS)
def cell_keys(position, n, lower, per_length, counts, key):
    """The number of the cell (x slowest) of each of the first n positions; places outside the cells go to the nearest one."""
    for i in range(n):
        number = 0
        for axis in range(3):
            c = int((position[i, axis] - lower[axis]) * per_length[axis])
            number = number * counts[axis] + min(max(c, 0), counts[axis] - 1)
        key[i] = number


@njit(**OPTIONS)
def order_rows(key, ids, n, start, order):
    """The rows ordered by key, then by id: a counting sort over cells, then insertion inside each, which is short because rows were in order before.

    `start` (cells + 1) is work space; fills `order` (n)."""
    start[:] = 0
    for i in range(n):
        start[key[i] + 1] += 1
    for cell in range(start.shape[0] - 1):
        start[cell + 1] += start[cell]
    for i in range(n):
        order[start[key[i]]] = i
        start[key[i]] += 1                  # becomes the end of its cell
    first = 0
    for cell in range(start.shape[0] - 1):
        for k in range(first + 1, start[cell]):
            row = order[k]
            j = k
            while j > first and ids[order[j - 1]] > ids[row]:
                order[j] = order[j - 1]
                j -= 1
            order[j] = row
        first = start[cell]


@njit(**OPTIONS)
def take_rows(order, n, ids, species, position, velocity, image):
    """The first n rows of all fields in another order: row k becomes what row order[k] was."""
    old_ids, old_species, old_image = ids[:n].copy(), species[:n].copy(), image[:n].copy()
    old_position, old_velocity = position[:n].copy(), velocity[:n].copy()
    for k in range(n):
        i = order[k]
        ids[k], species[k] = old_ids[i], old_species[i]
        for axis in range(3):
            position[k, axis], velocity[k, axis], image[k, axis] = old_position[i, axis], old_velocity[i, axis], old_image[i, axis]


@njit(**OPTIONS)
def count_leavers(owner, own, sent):
    """sent (ranks,) = how many rows have each rank as owner, 0 for the rank `own`; returns their sum."""
    sent[:] = 0
    for i in range(owner.shape[0]):
        sent[owner[i]] += 1
    sent[own] = 0
    return sent.sum()


@njit(**OPTIONS)
def pack_leavers(owner, own, sent, ids, species, position, velocity, image, hole, record, bits, halves):
    """Rows that leave, hole (k,), and their records (k, LEAVER) by owner, then by row; `bits` and `halves` are its int64 and int32 views."""
    start, k = np.cumsum(sent) - sent, 0
    for i in range(owner.shape[0]):
        if owner[i] != own:
            hole[k] = i
            k += 1
            m = start[owner[i]]
            start[owner[i]] += 1
            for axis in range(3):
                record[m, axis], record[m, 3 + axis], halves[m, 14 + axis] = position[i, axis], velocity[i, axis], image[i, axis]
            bits[m, 6], halves[m, 17] = ids[i], species[i]


@njit(**OPTIONS)
def settle_arrivals(n, hole, record, bits, halves, ids, species, position, velocity, image):
    """Records that have come take the rows `hole` that others have left, then those from n on; rows that are still empty are filled with the last ones."""
    holes, come = hole.shape[0], record.shape[0]
    for m in range(come):
        i = hole[m] if m < holes else n + m - holes
        for axis in range(3):
            position[i, axis], velocity[i, axis], image[i, axis] = record[m, axis], record[m, 3 + axis], halves[m, 14 + axis]
        ids[i], species[i] = bits[m, 6], halves[m, 17]
    last = n - 1
    for h in range(holes - 1, come - 1, -1):
        i = hole[h]
        if i < last:
            ids[i], species[i] = ids[last], species[last]
            for axis in range(3):
                position[i, axis], velocity[i, axis], image[i, axis] = position[last, axis], velocity[last, axis], image[last, axis]
        last -= 1


@njit(**OPTIONS)
def id_sums(ids, n, out):
    """out (3,) int64 = number, sum and sum of squares (which may wrap around: still a checksum) of the first n ids."""
    total, squares = np.int64(0), np.int64(0)
    for i in range(n):
        total += ids[i]
        squares += ids[i] * ids[i]
    out[0], out[1], out[2] = n, total, squares


@njit(**OPTIONS)
def count_broken(position, velocity, n, limit):
    """How many of the first n rows have a coordinate that is not within (-limit, limit), or a velocity that is not finite."""
    broken = 0
    for i in range(n):
        good = True
        for axis in range(3):
            good &= abs(position[i, axis]) < limit[axis] and abs(velocity[i, axis]) < np.inf
        broken += not good
    return broken


@njit(**OPTIONS)
def count_outside(position, n, lower, upper):
    """How many of the first n positions are not in [lower, upper); NaN is outside."""
    outside = 0
    for i in range(n):
        inside = True
        for axis in range(3):
            inside &= position[i, axis] >= lower[axis] and position[i, axis] < upper[axis]
        outside += not inside
    return outside


@njit(cache=True, error_model="numpy")      # no contraction: as Box.wrap, to the last bit
def wrap_rows(position, image, n, lengths, dimensions):
    """The first n positions into [0, length) along the first axes, image counts along."""
    for i in range(n):
        for axis in range(dimensions):
            if position[i, axis] < 0.0 or position[i, axis] >= lengths[axis]:
                turns = np.floor(position[i, axis] / lengths[axis])
                position[i, axis] -= turns * lengths[axis]
                image[i, axis] += int(turns)
                if position[i, axis] >= lengths[axis]:          # -1e-17 + L is L
                    position[i, axis] -= lengths[axis]
                    image[i, axis] += 1


def warm_up_leavers():
    """Compiles what only ranks that share particles call."""
    rows, image, ids, species, index, counts = np.zeros((1, 3)), np.zeros((1, 3), np.int32), np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros(1, np.int64), np.ones(1, np.int64)
    leaver = np.zeros((1, LEAVER))
    leavers = leaver, leaver.view(np.int64), leaver.view(np.int32)
    count_leavers(index, 0, counts)
    pack_leavers(index, 0, counts, ids, species, rows, rows, image, index, *leavers)
    settle_arrivals(1, index, *leavers, ids, species, rows, rows, image)
