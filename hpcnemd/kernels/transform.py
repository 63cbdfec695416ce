"""Fourier transforms of a mesh, eight doubles at a time: the lines of one axis stand beside each other in the lanes of a vector, as numbers with real and
imaginary part in turn, and a mixed-radix transform (Stockham's, which needs no reordering) runs down all of them at once.

Real rows go in pairs, one as the real and one as the imaginary part of a complex line. A block of lanes that is not full is filled up with zeros, so
that a line (for real rows: a pair) has the same bits whichever stand beside it. Every length is possible; a prime factor p costs p^2.
Source: Van Loan, Computational Frameworks for the Fast Fourier Transform (1992), sec. 1.7 (Stockham) and 4.3 (real data in pairs)."""
import numpy as np
from numba.extending import intrinsic

from . import njit
from .simd import fma, integers, lanes

LANES = 8
_EIGHT = lanes(LANES)
load, store, splat = _EIGHT.load, _EIGHT.store, _EIGHT.splat
FORWARD, BACKWARD = -1.0, 1.0


@intrinsic
def _swapped(typing, v):
    """Lanes exchanged in pairs: real parts where imaginary ones were."""
    order = [k ^ 1 for k in range(v.n)]
    return v(v), lambda context, builder, sig, args: builder.shuffle_vector(args[0], args[0], integers(order))


def plan(n):
    """(factors (k,) int64, twiddles (m,) float64) of a transform of length n >= 1."""
    factors, rest, radix = [], n, 4
    while rest > 1:
        if rest % radix == 0:
            factors.append(radix)
            rest //= radix
        else:
            radix = {4: 2, 2: 3}.get(radix, radix + 2)
    table, size = [], n
    for radix in factors:
        size //= radix
        table += [p * k / (size * radix) for p in range(size) for k in range(1, radix)]
        half = (radix - 1) // 2 if radix % 2 else 0
        table += [j * k % radix / radix for j in range(1, half + 1) for k in range(1, half + 1)]
    angle = 2 * np.pi * np.array(table or [0.0])
    return np.array(factors, np.int64), np.stack((np.cos(angle), np.sin(angle)), axis=1).ravel()


@njit(cache=True, error_model="numpy")
def width_of(n):
    """Doubles beside each other that are transformed at a time: what two buffers of 12 kB hold, at most 64."""
    return LANES * max(1, min(8, 192 // n))


def workspace(longest):
    """Work space of lines up to that length: two buffers, the signs of a direction and the pairs of an odd radix, from the beginning of a cache line on."""
    room = np.zeros(LANES * (longest + 2) + max(2 * n * width_of.py_func(n) for n in range(1, longest + 1)))
    first = -(room.ctypes.data // 8) % LANES
    return room[first:len(room) - LANES + first]


@njit(error_model="numpy")
def store_twisted(work, at, v, turn, twiddle, t):
    store(work, at, fma(v, twiddle[t], _swapped(v) * turn * twiddle[t + 1]))


@njit(cache=True, error_model="numpy")
def transform(work, n, width, factors, twiddle, direction):
    """The lines of length n in the first buffer of `work`, rows of `width` doubles; returns where in `work` the result begins. Unnormalised;
    direction: FORWARD or BACKWARD."""
    source, target, size, stride, t = 0, width * n, n, width, 0 * n         # 0 * n: the literal would have callees compiled once more
    signs = 2 * width * n
    pairs = signs - LANES               # of an odd radix; the first one is LANES behind the signs
    for k in range(0, LANES, 2):
        work[signs + k], work[signs + k + 1] = -direction, direction
    turn = load(work, signs)
    for f in range(factors.size):
        radix = factors[f]
        size //= radix
        step, half = stride * size, (radix - 1) // 2
        circle = t + 2 * (radix - 1) * size             # cosines and sines of the radix, after the twiddles of the stage
        for p in range(size):
            for i in range(source + stride * p, source + stride * (p + 1), LANES):
                o = i - source + target + stride * p * (radix - 1)
                a = load(work, i)
                if radix == 4:
                    b, c, d = load(work, i + step), load(work, i + 2 * step), load(work, i + 3 * step)
                    s, u, v, w = a + c, a - c, b + d, _swapped(b - d) * turn
                    store(work, o, s + v)
                    store_twisted(work, o + stride, u + w, turn, twiddle, t)
                    store_twisted(work, o + 2 * stride, s - v, turn, twiddle, t + 2)
                    store_twisted(work, o + 3 * stride, u - w, turn, twiddle, t + 4)
                elif radix == 2:
                    b = load(work, i + step)
                    store(work, o, a + b)
                    store_twisted(work, o + stride, a - b, turn, twiddle, t)
                else:                                   # odd: sums and differences of opposite terms
                    s = a
                    for j in range(1, half + 1):
                        b, c = load(work, i + j * step), load(work, i + (radix - j) * step)
                        s = s + (b + c)
                        store(work, pairs + 2 * LANES * j, b + c)
                        store(work, pairs + 2 * LANES * j + LANES, _swapped(b - c) * turn)
                    store(work, o, s)
                    for k in range(1, half + 1):
                        u, w = a, splat(0.0)
                        for j in range(1, half + 1):
                            at = circle + 2 * ((j - 1) * half + k - 1)
                            u = fma(load(work, pairs + 2 * LANES * j), twiddle[at], u)
                            w = fma(load(work, pairs + 2 * LANES * j + LANES), twiddle[at + 1], w)
                        store_twisted(work, o + k * stride, u + w, turn, twiddle, t + 2 * (k - 1))
                        store_twisted(work, o + (radix - k) * stride, u - w, turn, twiddle, t + 2 * (radix - k - 1))
            t += 2 * (radix - 1)
        t = circle + 2 * half * half if radix % 2 else circle
        source, target = target, source
        stride *= radix
    return source


@njit(cache=True, error_model="numpy")
def lines(data, outer, n, inner, factors, twiddle, direction, work):
    """Transforms the middle axis of the complex numbers data (outer, n, inner / 2), flat, as `inner` doubles a row, in place."""
    most = width_of(n)
    for a in range(outer):
        for first in range(0, inner, most):
            at, count = a * n * inner + first, min(most, inner - first)
            whole, width = count // LANES * LANES, (count + LANES - 1) // LANES * LANES
            for k in range(n):
                if whole < width:
                    store(work, width * k + whole, splat(0.0))
                for q in range(0, whole, LANES):
                    store(work, width * k + q, load(data, at + k * inner + q))
                for q in range(whole, count):
                    work[width * k + q] = data[at + k * inner + q]
            o = transform(work, n, width, factors, twiddle, direction)
            for k in range(n):
                for q in range(0, whole, LANES):
                    store(data, at + k * inner + q, load(work, o + width * k + q))
                for q in range(whole, count):
                    data[at + k * inner + q] = work[o + width * k + q]


@njit(cache=True, error_model="numpy")
def multiply(spectrum, influence):
    """spectrum (2 n,), real and imaginary parts in turn, *= influence (n,), in place."""
    for k in range(influence.size):
        spectrum[2 * k] *= influence[k]
        spectrum[2 * k + 1] *= influence[k]


@njit(cache=True, error_model="numpy")
def forward(slab, nx, ny, nz, modes, spectrum, along_x, fx, tx, fy, ty, fz, tz, work):
    """Real mesh (nx, ny, nz) to spectrum (nx, ny, modes = nz // 2 + 1) as pairs of doubles, both flat: along z and y, and
    where along_x is 1 (not 0) along x."""
    rows, most = nx * ny, width_of(nz)
    for first in range(0, rows, most):
        count = min(most, rows - first)
        width = (count + LANES - 1) // LANES * LANES
        if count < width:
            for z in range(nz):
                store(work, width * (z + 1) - LANES, splat(0.0))
        for lane in range(count):
            at = (first + lane) * nz
            for z in range(nz):
                work[width * z + lane] = slab[at + z]
        o = transform(work, nz, width, fz, tz, FORWARD)
        for lane in range(0, count, 2):
            to, mirror = 2 * (first + lane) * modes, o + lane
            other = 2 * modes if lane + 1 < count else 0        # of a last row alone the second writing counts
            for k in range(modes):
                at = o + width * k + lane
                zr, zi, yr, yi = work[at], work[at + 1], work[mirror], work[mirror + 1]
                mirror = o + width * (nz - 1 - k) + lane
                spectrum[to + other], spectrum[to + other + 1] = 0.5 * (zi + yi), 0.5 * (yr - zr)
                spectrum[to], spectrum[to + 1] = 0.5 * (zr + yr), 0.5 * (zi - yi)
                to += 2
    lines(spectrum, nx, ny, 2 * modes, fy, ty, FORWARD, work)
    lines(spectrum, along_x, nx, 2 * ny * modes, fx, tx, FORWARD, work)


@njit(cache=True, error_model="numpy")
def backward(spectrum, influence, nx, ny, nz, modes, slab, along_x, fx, tx, fy, ty, fz, tz, factor, work):
    """The way back of `forward`, times `factor`, of the spectrum times `influence` (modes of the mesh,) or, where that is empty, of the spectrum itself, which is
    spoiled. Imaginary parts that a real mesh cannot have are left out."""
    multiply(spectrum, influence)
    lines(spectrum, along_x, nx, 2 * ny * modes, fx, tx, BACKWARD, work)
    lines(spectrum, nx, ny, 2 * modes, fy, ty, BACKWARD, work)
    rows, most = nx * ny, width_of(nz)
    for first in range(0, rows, most):
        count = min(most, rows - first)
        width = (count + LANES - 1) // LANES * LANES
        if count < width:
            for z in range(nz):
                store(work, width * (z + 1) - LANES, splat(0.0))
        for lane in range(0, count, 2):
            at = 2 * (first + lane) * modes
            other = 2 * modes if lane + 1 < count else 0        # a last row alone is the partner of itself
            for k in range(modes):
                ar, ai, br, bi = spectrum[at + 2 * k], spectrum[at + 2 * k + 1], spectrum[at + 2 * k + other], spectrum[at + 2 * k + other + 1]
                if k == 0 or 2 * k == nz:
                    ai, bi = 0.0, 0.0
                else:
                    work[width * (nz - k) + lane], work[width * (nz - k) + lane + 1] = ar + bi, br - ai
                work[width * k + lane], work[width * k + lane + 1] = ar - bi, br + ai
        o = transform(work, nz, width, fz, tz, BACKWARD)
        for lane in range(count):
            for z in range(nz):
                slab[(first + lane) * nz + z] = factor * work[o + width * z + lane]
