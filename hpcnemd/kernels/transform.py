"""Fourier transforms of a mesh, eight numbers at a time: the lines of one axis stand beside each other in the lanes of a vector, as numbers with real and
imaginary part in turn, and a mixed-radix transform (Stockham's, which needs no reordering) runs down all of them at once.

Real rows go in pairs, one as the real and one as the imaginary part of a complex line. A block of lanes that is not full is filled up with zeros, so
that a line (for real rows: a pair) has the same bits whichever stand beside it. Every length is possible; a prime factor p costs p^2.
Meshes, spectra, twiddles and work space are all float64 or all float32.
Source: Van Loan, Computational Frameworks for the Fast Fourier Transform (1992), sec. 1.7 (Stockham) and 4.3 (real data in pairs)."""
import numpy as np
from numba.extending import intrinsic

from . import inner, njit
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


def _half_of_both(distance, upper):
    """Lanes of a and b whose number has the bit `distance` equal to `upper`, those of a where the result's lane has it not, those of b where it has."""
    order = [(k & ~distance | upper) + (LANES if k & distance else 0) for k in range(LANES)]

    @intrinsic
    def function(typing, a, b):
        return a(a, b), lambda context, builder, sig, args: builder.shuffle_vector(*args, integers(order))
    return function


low1, high1 = _half_of_both(1, 0), _half_of_both(1, 1)
low2, high2 = _half_of_both(2, 0), _half_of_both(2, 2)
low4, high4 = _half_of_both(4, 0), _half_of_both(4, 4)


@inner
def turned(a, b, c, d, e, f, g, h):
    """Rows and columns of eight vectors of eight exchanged."""
    a, b, c, d, e, f, g, h = low1(a, b), high1(a, b), low1(c, d), high1(c, d), low1(e, f), high1(e, f), low1(g, h), high1(g, h)
    a, c, b, d, e, g, f, h = low2(a, c), high2(a, c), low2(b, d), high2(b, d), low2(e, g), high2(e, g), low2(f, h), high2(f, h)
    return low4(a, e), low4(b, f), low4(c, g), low4(d, h), high4(a, e), high4(b, f), high4(c, g), high4(d, h)


@inner
def turned_pairs(a, b, c, d):
    """Rows and columns of four vectors of four complex numbers exchanged."""
    a, b, c, d = low2(a, b), high2(a, b), low2(c, d), high2(c, d)
    return low4(a, c), low4(b, d), high4(a, c), high4(b, d)


@inner
def store_spread(array, at, stride, a, b, c, d):
    store(array, at, a)
    store(array, at + stride, b)
    store(array, at + 2 * stride, c)
    store(array, at + 3 * stride, d)


@inner
def two_rows(work, at, mirror, half):
    """Spectra of the two real rows of each pair at one wave, from their common one there and at the opposite wave."""
    z, y = load(work, at), load(work, mirror)
    both, apart = half * (z + y), half * _swapped(z - y)
    return low1(both, apart), high1(both, -apart)


@inner
def store_common(work, at, mirror, a, b, turn, alone):
    """The way back of `two_rows`. alone: a wave that is its own opposite, whose imaginary parts are left out."""
    real = low1(a, b)
    if alone:
        store(work, at, real)
    else:
        imaginary = high1(b, a) * turn
        store(work, at, real + imaginary)
        store(work, mirror, real - imaginary)


def plan(n, real=np.float64):
    """(factors (k,) int64, twiddles (m,) of type `real`) of a transform of length n >= 1."""
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
    return np.array(factors, np.int64), np.stack((np.cos(angle), np.sin(angle)), axis=1).ravel().astype(real)


@inner
def width_of(n):
    """Numbers beside each other that are transformed at a time: what two buffers of 12 kB hold as doubles, at most 64."""
    return LANES * max(1, min(8, 192 // n))


def workspace(longest, real=np.float64):
    """Work space of lines up to that length: two buffers, the signs of a direction and the pairs of an odd radix, from the beginning of a cache line on."""
    size = LANES * (longest + 1) + max(2 * n * width_of.py_func(n) for n in range(1, longest + 1))
    room = np.zeros(size + 64 // np.dtype(real).itemsize, real)
    first = -room.ctypes.data % 64 // room.itemsize
    return room[first:first + size]


@inner
def store_twisted(work, at, v, turn, twiddle, t):
    store(work, at, fma(v, twiddle[t], _swapped(v) * turn * twiddle[t + 1]))


@inner
def transform(work, n, width, factors, twiddle, direction):
    """The lines of length n in the first buffer of `work`, rows of `width` numbers; returns where in `work` the result begins. Unnormalised;
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
                elif radix == 3:
                    b, c = load(work, i + step), load(work, i + 2 * step)
                    s, d = b + c, _swapped(b - c) * turn
                    store(work, o, a + s)
                    u, w = fma(s, twiddle[circle], a), d * twiddle[circle + 1]
                    store_twisted(work, o + stride, u + w, turn, twiddle, t)
                    store_twisted(work, o + 2 * stride, u - w, turn, twiddle, t + 2)
                elif radix == 5:
                    b, c, d, e = load(work, i + step), load(work, i + 2 * step), load(work, i + 3 * step), load(work, i + 4 * step)
                    s, v, b, c = b + e, c + d, _swapped(b - e) * turn, _swapped(c - d) * turn
                    store(work, o, a + s + v)
                    u, w = fma(v, twiddle[circle + 4], fma(s, twiddle[circle], a)), fma(c, twiddle[circle + 5], b * twiddle[circle + 1])
                    store_twisted(work, o + stride, u + w, turn, twiddle, t)
                    store_twisted(work, o + 4 * stride, u - w, turn, twiddle, t + 6)
                    u, w = fma(v, twiddle[circle + 6], fma(s, twiddle[circle + 2], a)), fma(c, twiddle[circle + 7], b * twiddle[circle + 3])
                    store_twisted(work, o + 2 * stride, u + w, turn, twiddle, t + 2)
                    store_twisted(work, o + 3 * stride, u - w, turn, twiddle, t + 4)
                else:                                   # other odd ones: sums and differences of opposite terms
                    s = a
                    for j in range(1, half + 1):
                        b, c = load(work, i + j * step), load(work, i + (radix - j) * step)
                        s = s + (b + c)
                        store(work, pairs + 2 * LANES * j, b + c)
                        store(work, pairs + 2 * LANES * j + LANES, _swapped(b - c) * turn)
                    store(work, o, s)
                    for k in range(1, half + 1):
                        u, w = a, splat(work.dtype.type(0.0))
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


@inner
def _lines(data, outer, n, inner, begin, end, factors, twiddle, direction, work):
    """As `lines`, for the columns [begin, end) and those who have an entry from Python themselves."""
    most = width_of(n)
    for a in range(outer):
        for first in range(begin, end, most):
            at, count = a * n * inner + first, min(most, end - first)
            whole, width = count // LANES * LANES, (count + LANES - 1) // LANES * LANES
            for k in range(n):
                if whole < width:
                    store(work, width * k + whole, splat(work.dtype.type(0.0)))
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
def lines(data, outer, n, inner, factors, twiddle, direction, work):
    """Transforms the middle axis of the complex numbers data (outer, n, inner / 2), flat, as `inner` numbers a row, in place."""
    _lines(data, outer, n, inner, 0, inner, factors, twiddle, direction, work)


@inner
def _multiply(spectrum, influence):
    """As `multiply`."""
    for k in range(influence.size):
        spectrum[2 * k] *= influence[k]
        spectrum[2 * k + 1] *= influence[k]


@njit(cache=True, error_model="numpy")
def multiply(spectrum, influence):
    """spectrum (2 n,), real and imaginary parts in turn, *= influence (n,), in place."""
    _multiply(spectrum, influence)


@njit(cache=True, nogil=True, error_model="numpy")
def columns(data, influence, n, inner, begin, end, factors, twiddle, direction, work):
    """Transforms the first axis of the complex numbers data (n, inner / 2), flat, as `inner` numbers a row, in the columns [begin, end) of them, times `influence` (n inner / 2,) before where
    that is not empty; in place."""
    if influence.size:
        for k in range(n):
            for q in range(k * inner + begin, k * inner + end, 2):
                data[q] *= influence[q // 2]
                data[q + 1] *= influence[q // 2]
    _lines(data, 1, n, inner, begin, end, factors, twiddle, direction, work)


@inner
def transform_mesh(direction, slab, influence, nx, ny, nz, modes, spectrum, along_x, fx, tx, fy, ty, fz, tz, factor, work):
    """FORWARD: real mesh (nx, ny, nz) to spectrum (nx, ny, modes = nz // 2 + 1) as pairs of numbers, both flat: along z and y, and where along_x is 1 (not 0) along x.

    BACKWARD: the way back, times `factor`, of the spectrum times `influence` (modes of the mesh,) or, where that is empty, of the spectrum itself, which is
    spoiled. Imaginary parts that a real mesh cannot have are left out. One function for both: what it calls is compiled into every caller."""
    rows, most, zero, half = nx * ny, width_of(nz), work.dtype.type(0.0), work.dtype.type(0.5)
    if direction == BACKWARD:
        _multiply(spectrum, influence)
        _lines(spectrum, along_x, nx, 2 * ny * modes, 0, 2 * ny * modes, fx, tx, direction, work)
        _lines(spectrum, nx, ny, 2 * modes, 0, 2 * modes, fy, ty, direction, work)
    for k in range(0, LANES, 2):
        work[k], work[k + 1] = -1.0, 1.0
    turn = load(work, 0)
    for first in range(0, rows, most):
        count = min(most, rows - first)
        width = (count + LANES - 1) // LANES * LANES
        blocks = count // LANES * LANES if nz >= LANES else 0           # lanes of whole blocks; their last columns may overlap those before
        if count < width:
            for z in range(nz):
                store(work, width * (z + 1) - LANES, splat(zero))
        if direction == FORWARD:
            for lane in range(0, blocks, LANES):
                for column in range(0, nz, LANES):
                    z = min(column, nz - LANES)
                    at, to = (first + lane) * nz + z, width * z + lane
                    a, b, c, d, e, f, g, h = turned(load(slab, at), load(slab, at + nz), load(slab, at + 2 * nz), load(slab, at + 3 * nz),
                                                    load(slab, at + 4 * nz), load(slab, at + 5 * nz), load(slab, at + 6 * nz), load(slab, at + 7 * nz))
                    store_spread(work, to, width, a, b, c, d)
                    store_spread(work, to + 4 * width, width, e, f, g, h)
            for lane in range(blocks, count):
                at = (first + lane) * nz
                for z in range(nz):
                    work[width * z + lane] = slab[at + z]
        else:
            for lane in range(0, blocks, LANES):
                for column in range(0, modes, 4):
                    k = min(column, modes - 4)
                    at, mirror, of = width * k + lane, width * (nz - k) + lane, 2 * ((first + lane) * modes + k)
                    a, b, c, d = turned_pairs(load(spectrum, of), load(spectrum, of + 4 * modes), load(spectrum, of + 8 * modes), load(spectrum, of + 12 * modes))
                    of += 2 * modes
                    e, f, g, h = turned_pairs(load(spectrum, of), load(spectrum, of + 4 * modes), load(spectrum, of + 8 * modes), load(spectrum, of + 12 * modes))
                    store_common(work, at, mirror, a, e, turn, k == 0)
                    store_common(work, at + width, mirror - width, b, f, turn, False)
                    store_common(work, at + 2 * width, mirror - 2 * width, c, g, turn, False)
                    store_common(work, at + 3 * width, mirror - 3 * width, d, h, turn, 2 * (k + 3) == nz)
            for lane in range(blocks, count, 2):
                at = 2 * (first + lane) * modes
                other = 2 * modes if lane + 1 < count else 0        # a last row alone is the partner of itself
                for k in range(modes):
                    ar, ai, br, bi = spectrum[at + 2 * k], spectrum[at + 2 * k + 1], spectrum[at + 2 * k + other], spectrum[at + 2 * k + other + 1]
                    if k == 0 or 2 * k == nz:
                        ai, bi = zero, zero
                    else:
                        work[width * (nz - k) + lane], work[width * (nz - k) + lane + 1] = ar + bi, br - ai
                    work[width * k + lane], work[width * k + lane + 1] = ar - bi, br + ai
        o = transform(work, nz, width, fz, tz, direction)
        if direction == FORWARD:
            for lane in range(0, blocks, LANES):
                for column in range(0, modes, 4):
                    k = min(column, modes - 4)
                    at, mirror, to = o + width * k + lane, o + width * (nz - k) + lane, 2 * ((first + lane) * modes + k)
                    a, e = two_rows(work, at, at if k == 0 else mirror, half)
                    b, f = two_rows(work, at + width, mirror - width, half)
                    c, g = two_rows(work, at + 2 * width, mirror - 2 * width, half)
                    d, h = two_rows(work, at + 3 * width, mirror - 3 * width, half)
                    a, b, c, d = turned_pairs(a, b, c, d)
                    e, f, g, h = turned_pairs(e, f, g, h)
                    store_spread(spectrum, to, 4 * modes, a, b, c, d)
                    store_spread(spectrum, to + 2 * modes, 4 * modes, e, f, g, h)
            for lane in range(blocks, count, 2):
                to, mirror = 2 * (first + lane) * modes, o + lane
                other = 2 * modes if lane + 1 < count else 0        # of a last row alone the second writing counts
                for k in range(modes):
                    at = o + width * k + lane
                    zr, zi, yr, yi = work[at], work[at + 1], work[mirror], work[mirror + 1]
                    mirror = o + width * (nz - 1 - k) + lane
                    spectrum[to + other], spectrum[to + other + 1] = half * (zi + yi), half * (yr - zr)
                    spectrum[to], spectrum[to + 1] = half * (zr + yr), half * (zi - yi)
                    to += 2
        else:
            for lane in range(0, blocks, LANES):
                for column in range(0, nz, LANES):
                    z = min(column, nz - LANES)
                    at, to = o + width * z + lane, (first + lane) * nz + z
                    a, b, c, d, e, f, g, h = turned(load(work, at), load(work, at + width), load(work, at + 2 * width), load(work, at + 3 * width),
                                                    load(work, at + 4 * width), load(work, at + 5 * width), load(work, at + 6 * width), load(work, at + 7 * width))
                    store_spread(slab, to, nz, factor * a, factor * b, factor * c, factor * d)
                    store_spread(slab, to + 4 * nz, nz, factor * e, factor * f, factor * g, factor * h)
            for lane in range(blocks, count):
                for z in range(nz):
                    slab[(first + lane) * nz + z] = factor * work[o + width * z + lane]
    if direction == FORWARD:
        _lines(spectrum, nx, ny, 2 * modes, 0, 2 * modes, fy, ty, direction, work)
        _lines(spectrum, along_x, nx, 2 * ny * modes, 0, 2 * ny * modes, fx, tx, direction, work)


@njit(cache=True, nogil=True, error_model="numpy")
def real_mesh(direction, slab, influence, nx, ny, nz, modes, spectrum, along_x, fx, tx, fy, ty, fz, tz, factor, work):
    """As `transform_mesh`."""
    transform_mesh(direction, slab, influence, nx, ny, nz, modes, spectrum, along_x, fx, tx, fy, ty, fz, tz, factor, work)


@njit(cache=True, error_model="numpy")
def pack_rows(half, first, last, block):
    """block (flat): the rows [first, last) of all planes of half (planes, rows, numbers)."""
    at, run = 0, (last - first) * half.shape[2]
    for x in range(half.shape[0]):
        into, out = block[at:at + run], half[x, first:last].reshape(run)
        for k in range(run):
            into[k] = out[k]
        at += run


@njit(cache=True, error_model="numpy")
def unpack_rows(half, first, last, block):
    """The inverse of `pack_rows`."""
    at, run = 0, (last - first) * half.shape[2]
    for x in range(half.shape[0]):
        into, out = half[x, first:last].reshape(run), block[at:at + run]
        for k in range(run):
            into[k] = out[k]
        at += run
