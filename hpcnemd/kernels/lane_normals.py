"""Normal numbers for eight replicas at a time: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC11, 2011) and Box-Muller in vector lanes.

A draw is a function of (key, replica id, branch, step, draw) alone: whoever computes a replica, in whatever lane and company, gets the same bits.
Logarithm, sine and cosine are polynomials (numba has no vector mathematics library), good to 1e-15 relative."""
import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.polynomial import chebyshev

from . import inner, njit
from .simd import Vec, as_bits, as_unsigned, fma, from_bits, integers, lanes, llvm_vector, select, sqrt

LANES = 8
WIDE = 2 * LANES                        # of loops over many: chains of dependent instructions (Philox: 10 rounds of 7 cycles) run side by side. No bit depends on it.
_EIGHT, _WIDE = lanes(LANES), lanes(WIDE)
load, store, splat = _EIGHT.load, _EIGHT.store, _EIGHT.splat
_load_wide, _store_wide = _WIDE.load, _WIDE.store
_i64 = np.int64
_u64 = np.uint64
_LOW, _HALF = _u64(0xFFFFFFFF), _u64(32)
_M0, _M1, _W0, _W1 = _u64(0xD2511F53), _u64(0xCD9E8D57), _u64(0x9E3779B9), _u64(0xBB67AE85)
_EXPONENT, _ONE, _SIGN = _u64(0xFFF00000), _u64(0x3FF0000000000000), _u64(1 << 63)


def _fit(function, high, degree):
    """Coefficients in powers of x of a polynomial that interpolates `function` on [0, high]."""
    inner = chebyshev.chebinterpolate(lambda t: function(0.5 * high * (t + 1.0)), degree)
    line, power, total = np.array([-1.0, 2.0 / high]), np.array([1.0]), np.zeros(1)
    for c in chebyshev.cheb2poly(inner):
        total = np.polynomial.polynomial.polyadd(total, c * power)
        power = np.polynomial.polynomial.polymul(power, line)
    return tuple(total.tolist())


def _arctanh_ratio(w):
    z = np.sqrt(np.maximum(w, 1e-8))
    return np.where(w > 1e-8, np.arctanh(z) / z, 1.0 + w / 3.0 + w * w / 5.0)


def _sine_ratio(w):
    x = np.sqrt(np.maximum(w, 1e-8))
    small = np.pi / 2 - (np.pi / 2)**3 * w / 6.0
    return np.where(w > 1e-8, np.sin(np.pi / 2 * x) / x, small)


_LOG = tuple(-4.0 * c for c in _fit(_arctanh_ratio, ((math.sqrt(2) - 1) / (math.sqrt(2) + 1))**2, 7))
_COS = _fit(lambda w: np.cos(np.pi / 2 * np.sqrt(w)), 0.25, 6)
_SIN = _fit(_sine_ratio, 0.25, 6)


@intrinsic
def _repeat(typing, v):
    """A vector of LANES, as often as it goes into WIDE lanes."""
    return Vec(v.element, WIDE)(v), lambda context, builder, sig, args: builder.shuffle_vector(args[0], args[0], integers([k % LANES for k in range(WIDE)]))


@intrinsic
def _later(typing):
    """int64 lanes: 0 in the first LANES of WIDE, then 1."""
    vec = Vec(types.int64, WIDE)
    return vec(), lambda context, builder, sig, args: ir.Constant(llvm_vector(vec), [k // LANES for k in range(WIDE)])


@inner
def round_keys(key):
    """The keys of the ten rounds, uint64 (20,), of `key`, int64 (2,) of 32-bit words. A kernel makes them once: they are operands in memory then, where
    scalars would have to be spread over a vector before each use."""
    keys = np.empty(20, np.uint64)
    k0, k1 = _u64(key[0]), _u64(key[1])
    for k in range(10):
        keys[2 * k], keys[2 * k + 1] = k0 & _LOW, k1 & _LOW
        k0 += _W0
        k1 += _W1
    return keys


@inner(forceinline=True)
def _words(keys, ids, branch, step, draw):
    """Two vectors of 64 random bits: first and second word of Philox, third and fourth, the former of either above. `step`, `draw`: scalars, or uint64 lanes
    (of `step` the lower halves count). What does not depend on lanes stays scalar for two rounds.

    Between rounds the upper halves hold rubbish, which the products leave out: masks and shifts with sign are what vector units without 64-bit versions
    of them are slow at. The last round does not move the upper halves of the products down and up again."""
    c0 = as_unsigned(ids)
    zero = c0 & _u64(0)
    c1, c2, c3 = zero + step, zero + draw, zero + _u64(branch)
    for k in range(9):
        p0 = (c0 & _LOW) * _M0
        p1 = (c2 & _LOW) * _M1
        c0 = (p1 >> _HALF) ^ c1 ^ keys[2 * k]
        c2 = (p0 >> _HALF) ^ c3 ^ keys[2 * k + 1]
        c1 = p1
        c3 = p0
    p0 = (c0 & _LOW) * _M0
    p1 = (c2 & _LOW) * _M1
    return p1 ^ ((c1 ^ keys[18]) << _HALF), p0 ^ ((c3 ^ keys[19]) << _HALF)


@inner(forceinline=True)
def _ratio(word):
    """What `_radius` makes -2 ln u of, u the upper 52 bits of the word as a number in (0, 1): u = 2^e m with m in [sqrt(1/2), sqrt 2),
    ln m = 2 artanh((m - 1)/(m + 1)). Returns that ratio and 2^52 + 2^20 (e + 1024): e where a shift by a half, which the rounds have too, leaves it."""
    u = as_bits(from_bits((word >> _u64(12)) | _ONE) - 0.9999999999999999)
    t = u + _i64((1 << 62) - 0x3fe6a09e667f3bcd)
    m = from_bits(u - (t & _i64(-1 << 52)) + _i64(1 << 62))
    return (m - 1.0) / (m + 1.0), from_bits((as_unsigned(t) >> _HALF) & _EXPONENT | _u64(0x4330000000000000))


@inner(forceinline=True)
def _radius(z, exponent):
    """sqrt(-2 ln u) from what `_ratio` returns. Its powers of two are in the coefficients."""
    w = z * z
    p = fma(w, _LOG[7], _LOG[6])
    p = fma(p, w, _LOG[5])
    p = fma(p, w, _LOG[4])
    p = fma(p, w, _LOG[3])
    p = fma(p, w, _LOG[2])
    p = fma(p, w, _LOG[1])
    p = fma(p, w, _LOG[0])
    return sqrt(fma(exponent - (2.0**52 + 2.0**30), -2.0**-19 * 0.6931471805599453, z * p))


@inner(forceinline=True)
def _sine_cosine(word):
    """sin and cos of 2 pi u, u as in `_ratio`. 4 u is an integer, whose last two bits are the top ones of t, and f in [-1/2, 1/2]."""
    t = word + _u64(1 << 61)
    f = from_bits((t >> _u64(10)) & _u64((1 << 52) - 4) | _ONE) - (1.5 - 2.0**-51)
    w = f * f
    c = fma(w, _COS[6], _COS[5])
    s = fma(w, _SIN[6], _SIN[5])
    c = fma(c, w, _COS[4])
    s = fma(s, w, _SIN[4])
    c = fma(c, w, _COS[3])
    s = fma(s, w, _SIN[3])
    c = fma(c, w, _COS[2])
    s = fma(s, w, _SIN[2])
    c = fma(c, w, _COS[1])
    s = fma(s, w, _SIN[1])
    c = fma(c, w, _COS[0])
    s = fma(s, w, _SIN[0]) * f
    even = (t & _u64(1 << 62)) == _u64(0)
    sine, cosine = as_unsigned(as_bits(select(even, s, c))), as_unsigned(as_bits(select(even, c, s)))
    return from_bits(sine ^ (t & _SIGN)), from_bits(cosine ^ ((t + _u64(1 << 62)) & _SIGN))


@inner
def normal_pair(keys, ids, branch, step, draw):
    """Two vectors of standard normals for the replicas `ids` (int64 lanes below 2^32). `keys`: of `round_keys`; `branch` < 256; `draw`: tells several draws of
    one step apart."""
    a, b = _words(keys, ids, branch, _u64(step), _u64(draw))
    z, exponent = _ratio(a)
    s, c = _sine_cosine(b)
    r = _radius(z, exponent)
    return r * s, r * c


# The two loops below make the next group's random bits, which wait for nothing, while the division of one group is under way, and say so in the order of their
# statements: a processor looks about a hundred waiting instructions ahead, less than one turn has.
@njit(cache=True, error_model="numpy")
def fill_normals(key, ids, branch, step, draw, out):
    """out (2 * n): the two normals of each of the n replicas `ids` (int64, n a multiple of 8), first all first ones. For tests and set-up."""
    keys, n = round_keys(key), ids.shape[0]
    whole = n // WIDE * WIDE
    if whole > 0:
        a, b = _words(keys, _load_wide(ids, 0), branch, _u64(step), _u64(draw))
    for k in range(0, whole, WIDE):
        z, exponent = _ratio(a)
        a, then = _words(keys, _load_wide(ids, min(k + WIDE, whole - WIDE)), branch, _u64(step), _u64(draw))
        r = _radius(z, exponent)
        s, c = _sine_cosine(b)
        b = then
        _store_wide(out, k, r * s)
        _store_wide(out, n + k, r * c)
    for k in range(whole, n, LANES):
        g, h = normal_pair(keys, load(ids, k), branch, step, draw)
        store(out, k, g)
        store(out, n + k, h)


@inner
def normals_of_steps(keys, ids, branch, first, out):
    """out (2 m LANES), m a multiple of WIDE / LANES: the normals of 8 replicas (`ids`, int64 lanes) in the steps from `first` on, m LANES first ones, then the second
    ones. Step s has those of `step` s mod 2^32 and `draw` s / 2^32."""
    n = out.shape[0] // 2
    who, steps = _repeat(ids), as_unsigned(_later() + first)
    a, b = _words(keys, who, branch, steps, steps >> _HALF)
    for k in range(0, n, WIDE):
        z, exponent = _ratio(a)
        steps = steps + _u64(WIDE // LANES)
        a, then = _words(keys, who, branch, steps, steps >> _HALF)
        r = _radius(z, exponent)
        s, c = _sine_cosine(b)
        b = then
        _store_wide(out, k, r * s)
        _store_wide(out, n + k, r * c)
