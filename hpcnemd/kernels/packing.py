"""Loops of the particle exchange: which rows go where, packing, adding forces back, the largest displacement.

All arrays are C-contiguous: positions and forces (n, 3) float64, row numbers int64, ids int64, species int32. A route is one copy of a brick of
particles for one target at one lattice offset; a segment of the index array holds its rows: [start[r], start[r + 1]).
"""
import numpy as np
from numba import njit

FAST = {"contract", "arcp", "nsz"}          # no reassoc: the order of sums is part of the result
OPTIONS = {"cache": True, "error_model": "numpy", "fastmath": FAST}


@njit(**OPTIONS)
def select_rows(position, n, shift, lower, upper, width2, start, index):
    """For each route r the rows i < n whose shifted position lies within sqrt(width2) of the brick [lower[r], upper[r]].

    Fills `start` (routes + 1) and, as far as it has room, `index`; returns the room that is needed.
    """
    room, count = index.shape[0], 0
    for r in range(shift.shape[0]):
        start[r] = count
        for i in range(n):
            distance2 = 0.0
            for axis in range(3):
                x = position[i, axis] + shift[r, axis]
                gap = max(lower[r, axis] - x, x - upper[r, axis])
                if gap > 0.0:
                    distance2 += gap * gap
            if distance2 <= width2:
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
        cx = np.searchsorted(cuts_x[1:-1], position[i, 0], side="right")
        cy = np.searchsorted(cuts_y[1:-1], position[i, 1], side="right")
        cz = np.searchsorted(cuts_z[1:-1], position[i, 2], side="right")
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


def warm_up():
    """Compiles every kernel here for the one signature that the program uses."""
    rows, ids, species = np.zeros((1, 3)), np.zeros(1, np.int64), np.zeros(1, np.int32)
    index, start, record = np.zeros(1, np.int64), np.zeros(2, np.int64), np.zeros((1, 5))
    bits, counts = record.view(np.int64), np.ones(3, np.int64)
    select_rows(rows, 1, rows, rows, rows, 1.0, start, index)
    pack_positions(rows, index, 0, 1, start, rows, rows.copy())
    pack_ghosts(rows, ids, species, index, start, rows, record, bits)
    unpack_ghosts(record, bits, 0, rows, ids, species)
    add_rows(rows, index, 0, 1, rows.copy())
    largest_displacement2(rows, rows, 1)
    find_owners(rows, 1, np.zeros(2), np.zeros(2), np.zeros(2), index)
    cell_keys(rows, 1, rows[0], rows[0], counts, index)
