"""Has a pair come within the cutoff that the lists do not hold? Asked of the few particles that have moved far enough since the lists were made."""
import numpy as np

from . import inner, njit

ROUNDING = 1e-9         # of a length: room for the rounding of distances
ENOUGH = 512            # pairs that are worked on at once


@njit(cache=True, error_model="numpy")
def far_rows(n, position, reference, least, out):
    """out (1 + 6 room,): number of the rows [0, n) of position (cap, 3) that are `least` (angstrom) or more away from reference (n, 3), and position and displacement of each of them, of the
    first where there is no room for all."""
    square, k, room = least * least, 0, (len(out) - 1) // 6
    for i in range(n):
        x, y, z = position[i, 0] - reference[i, 0], position[i, 1] - reference[i, 1], position[i, 2] - reference[i, 2]
        if x * x + y * y + z * z >= square:
            if k < room:
                row = out[1 + 6 * k:7 + 6 * k]
                row[0], row[1], row[2], row[3], row[4], row[5] = position[i, 0], position[i, 1], position[i, 2], x, y, z
            k += 1
    out[0] = k


@inner
def _turns_within(lengths, tilts, cutoff):
    """(3, n) angstrom: all translations that can bring the image that `_folded` finds to within the cutoff."""
    mz = int(cutoff / lengths[2] + 0.5)
    my = int(cutoff / lengths[1] + 0.5 + mz * abs(tilts[2]) / lengths[1])
    mx = int(cutoff / lengths[0] + 0.5 + mz * abs(tilts[1]) / lengths[0] + my * abs(tilts[0]) / lengths[0])
    out, k = np.empty((3, (2 * mx + 1) * (2 * my + 1) * (2 * mz + 1))), 0
    for c in range(-mz, mz + 1):
        for b in range(-my, my + 1):
            for a in range(-mx, mx + 1):
                out[0, k], out[1, k], out[2, k] = a * lengths[0] + b * tilts[0] + c * tilts[1], b * lengths[1] + c * tilts[2], c * lengths[2]
                k += 1
    return out


@inner
def _fold(x, y, z, n, lengths, tilts):
    """In place: the images of n differences whose z, then y, then x are at most half a length."""
    lx, ly, lz, px, py, pz = lengths[0], lengths[1], lengths[2], 1.0 / lengths[0], 1.0 / lengths[1], 1.0 / lengths[2]
    xy, xz, yz = tilts[0], tilts[1], tilts[2]
    for h in range(n):
        turn = np.floor(z[h] * pz + 0.5)
        around = np.floor((y[h] - turn * yz) * py + 0.5)
        along = x[h] - turn * xz - around * xy
        x[h] = along - np.floor(along * px + 0.5) * lx
        y[h] = y[h] - turn * yz - around * ly
        z[h] -= turn * lz


@inner
def _met(x, y, z, u, v, w, n, turns, near, far):
    """Whether any image of the n differences x, y, z has a square below `near`, and had one of at least `far` before the motion u, v, w."""
    met = 0
    for m in range(turns.shape[1]):
        tx, ty, tz = turns[0, m], turns[1, m], turns[2, m]
        for h in range(n):              # counted, for the compiler makes vectors of that
            a, b, c = x[h] + tx, y[h] + ty, z[h] + tz
            p, q, r = a - u[h], b - v[h], c - w[h]
            met += (a * a + b * b + c * c < near) & (p * p + q * q + r * r >= far)
    return met > 0


@njit(cache=True, error_model="numpy")
def newly_near(parts, own, lengths, tilts, cutoff, radius, pairs):
    """Whether two of the rows that `far_rows` left in parts (ranks, 1 + 6 room), the faster of them in parts[own], have an image within the `cutoff` now that was not within `radius`
    before they moved; also True where there was no room for all, or where more than `pairs` would have to be looked at. `lengths` (3,) of the cell, very large along axes without images;
    `tilts` (3,) xy, xz, yz; angstrom. Two that come so much closer have moved by the skin, radius - cutoff, against each other, and one of them by half of it."""
    k, begin = 0, 0
    for rank in range(len(parts)):
        if parts[rank, 0] > (parts.shape[1] - 1) // 6:
            return True
        begin = k if rank == own else begin
        k += int(parts[rank, 0])
    least, end = ((radius - cutoff) * (1.0 - ROUNDING))**2, begin + int(parts[own, 0])
    place, motion, pair, fast, second, number, n = np.empty((k, 3)), np.empty((3, k)), np.empty((6, ENOUGH + k)), np.empty(k, np.int64), np.empty(k + 1, np.int64), 0, 0
    u, v, w = motion[0], motion[1], motion[2]
    x, y, z, p, q, r = pair[0], pair[1], pair[2], pair[3], pair[4], pair[5]
    i = 0
    for rank in range(len(parts)):
        for m in range(int(parts[rank, 0])):
            row = parts[rank, 1 + 6 * m:7 + 6 * m]
            place[i, 0], place[i, 1], place[i, 2], u[i], v[i], w[i] = row[0], row[1], row[2], row[3], row[4], row[5]
            if begin <= i < end and u[i] * u[i] + v[i] * v[i] + w[i] * w[i] >= 0.25 * least:
                fast[number] = i
                number += 1
            i += 1
    if number * k > pairs:
        return True
    turns, near, far = _turns_within(lengths, tilts, cutoff), cutoff * cutoff, (radius * (1.0 - ROUNDING))**2
    for one in range(number):
        i = fast[one]
        some, a, b, c = 0, u[i], v[i], w[i]
        for j in range(k):              # counted, for the compiler makes vectors of that
            some += (a - u[j]) * (a - u[j]) + (b - v[j]) * (b - v[j]) + (c - w[j]) * (c - w[j]) >= least
        if some:
            some = 0
            for j in range(k):
                second[some] = j
                some += (a - u[j]) * (a - u[j]) + (b - v[j]) * (b - v[j]) + (c - w[j]) * (c - w[j]) >= least
            for j in second[:some]:
                x[n], y[n], z[n] = place[i, 0] - place[j, 0], place[i, 1] - place[j, 1], place[i, 2] - place[j, 2]
                p[n], q[n], r[n] = a - u[j], b - v[j], c - w[j]
                n += 1
        if n >= ENOUGH or one == number - 1:
            _fold(x, y, z, n, lengths, tilts)
            if _met(x, y, z, p, q, r, n, turns, near, far):
                return True
            n = 0
    return False
