"""Soft discs (Weeks, Chandler, Andersen) in a periodic square box: neighbour lists, and kicks in whole numbers or in floating point.

Whole numbers: a coordinate is a uint64 fraction of the box, x = X L / 2^64, so that wrap-around is the periodic image, and the difference read as
int64 is the nearest image; both are exact. The kick of a PAIR is rounded to a whole number before it is added, so that a sum does not depend on
its order: neither on the age of the list nor on the number of ranks. None of the functions has a fast-math option: a fused multiply-add in one
copy of the loop and not in another would round the same pair in two ways. Idea of integer leapfrog: Levesque and Verlet (1993); JANUS of REBOUND."""
import math

import numpy as np

from . import njit

CUTOFF_SQUARED = 2.0 ** (1.0 / 3.0)         # the minimum of the Lennard-Jones potential, sigma = 1
ENERGY_UNIT = 2.0 ** -32                    # of the whole-number sum of pair energies


@njit(cache=True, error_model="numpy")
def build_pairs(n_owned, n_all, position, length, reach, cells, head, after, first, partner):
    """Pairs closer than `reach`: owned-owned once, owned-ghost. CSR: partners of row i are partner[first[i]:first[i + 1]].

    position (>= n_all, 2) float64 in [0, length); `cells` (>= 3) per axis, each at least `reach` wide; head (cells^2,), after (>= n_all,) int64 work
    space; first (n_owned + 1,), partner (capacity,) int32. Returns the number of pairs; where it exceeds the capacity the list is not complete."""
    head[:] = -1
    scale = cells / length
    for i in range(n_all - 1, -1, -1):
        c = min(int(position[i, 0] * scale), cells - 1) + cells * min(int(position[i, 1] * scale), cells - 1)
        after[i] = head[c]
        head[c] = i
    square, half, count = reach * reach, 0.5 * length, 0
    for i in range(n_owned):
        first[i] = count
        cx, cy = min(int(position[i, 0] * scale), cells - 1), min(int(position[i, 1] * scale), cells - 1)
        for ky in range(cy + cells - 1, cy + cells + 2):
            for kx in range(cx + cells - 1, cx + cells + 2):
                j = head[kx % cells + cells * (ky % cells)]
                while j >= 0:
                    if j > i:
                        dx, dy = abs(position[i, 0] - position[j, 0]), abs(position[i, 1] - position[j, 1])
                        dx, dy = min(dx, 2 * half - dx), min(dy, 2 * half - dy)
                        if dx * dx + dy * dy < square:
                            if count < partner.shape[0]:
                                partner[count] = j
                            count += 1
                    j = after[j]
    first[n_owned] = count
    return count


@njit(cache=True, error_model="numpy")
def to_places(n, whole, length, position):
    """position (n, 2) float64 in [0, length) of the uint64 fractions `whole`."""
    unit = length * 2.0 ** -64
    top = math.nextafter(length, 0.0)
    for i in range(n):
        for k in range(2):
            position[i, k] = min(np.float64(whole[i, k]) * unit, top)


@njit(cache=True, error_model="numpy")
def whole_kicks(n_owned, n_all, whole, first, partner, length, scale, kick):
    """kick (n_all, 2) int64 = sum over pairs of rint(force * scale), scale = step^2 2^64 / length: the change of the displacement velocity.
    Ghost rows get their part. Returns the largest component of a pair's kick, which must stay far below 2^63."""
    unit, largest = length * 2.0 ** -64, 0.0
    kick[:n_all] = 0
    for i in range(n_owned):
        for p in range(first[i], first[i + 1]):
            j = partner[p]
            dx = np.float64(np.int64(whole[i, 0] - whole[j, 0])) * unit
            dy = np.float64(np.int64(whole[i, 1] - whole[j, 1])) * unit
            square = dx * dx + dy * dy
            if square < CUTOFF_SQUARED:
                inverse = 1.0 / square
                six = inverse * inverse * inverse
                strength = 24.0 * (2.0 * six * six - six) * inverse * scale
                gx, gy = np.rint(strength * dx), np.rint(strength * dy)
                largest = max(largest, max(abs(gx), abs(gy)))
                kx, ky = np.int64(gx), np.int64(gy)
                kick[i, 0] += kx
                kick[i, 1] += ky
                kick[j, 0] -= kx
                kick[j, 1] -= ky
    return largest


@njit(cache=True, error_model="numpy")
def real_kicks(n_owned, n_all, position, first, partner, numbers, kick):
    """The same in the floating-point type of `position` (n_all, 2). numbers (7,) of that type: length, 1 / length, squared cutoff, time step, 1, 2, 24:
    a literal in the formula would turn single precision into double. kick (n_all, 2) = time step * force. Returns 0."""
    length, inverse_length, cutoff, step, one, two, factor = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6]
    kick[:n_all] = 0
    for i in range(n_owned):
        for p in range(first[i], first[i + 1]):
            j = partner[p]
            dx, dy = position[i, 0] - position[j, 0], position[i, 1] - position[j, 1]
            dx -= length * np.rint(dx * inverse_length)
            dy -= length * np.rint(dy * inverse_length)
            square = dx * dx + dy * dy
            if square < cutoff:
                inverse = one / square
                six = inverse * inverse * inverse
                strength = factor * (two * six * six - six) * inverse * step
                kick[i, 0] += strength * dx
                kick[i, 1] += strength * dy
                kick[j, 0] -= strength * dx
                kick[j, 1] -= strength * dy
    return 0.0


@njit(cache=True, error_model="numpy")
def whole_drift(n, whole, velocity):
    """X += V modulo 2^64. Returns the largest squared displacement in units of the box."""
    largest = 0.0
    for i in range(n):
        whole[i, 0] += np.uint64(velocity[i, 0])
        whole[i, 1] += np.uint64(velocity[i, 1])
        x, y = np.float64(velocity[i, 0]) * 2.0 ** -64, np.float64(velocity[i, 1]) * 2.0 ** -64
        largest = max(largest, x * x + y * y)
    return largest


@njit(cache=True, error_model="numpy")
def real_drift(n, position, velocity, numbers):
    """x += step v, wrapped into [0, length), in the type of `position`. Returns the largest squared displacement in units of the box."""
    length, inverse_length, step = numbers[0], numbers[1], numbers[3]
    largest = 0.0
    for i in range(n):
        square = 0.0
        for k in range(2):
            d = step * velocity[i, k]
            x = position[i, k] + d
            x -= length * np.floor(x * inverse_length)
            position[i, k] = x if x < length else x - length
            square += np.float64(d * inverse_length) ** 2
        largest = max(largest, square)
    return largest


@njit(cache=True, error_model="numpy")
def add_rows(n, velocity, kick):
    """V += kick; int64 sums wrap, they do not saturate."""
    for i in range(n):
        velocity[i, 0] += kick[i, 0]
        velocity[i, 1] += kick[i, 1]


@njit(cache=True, error_model="numpy")
def pair_energy(n_owned, position, first, partner, length):
    """Potential energy of this rank's pairs, epsilon = 1, as a whole number of ENERGY_UNIT: its sum over ranks does not depend on their number.
    position (n_all, 2) float64."""
    total = np.int64(0)
    for i in range(n_owned):
        for p in range(first[i], first[i + 1]):
            j = partner[p]
            dx, dy = position[i, 0] - position[j, 0], position[i, 1] - position[j, 1]
            dx -= length * np.rint(dx / length)
            dy -= length * np.rint(dy / length)
            square = dx * dx + dy * dy
            if square < CUTOFF_SQUARED:
                six = 1.0 / (square * square * square)
                total += np.int64(np.rint((4.0 * (six * six - six) + 1.0) / ENERGY_UNIT))
    return total
