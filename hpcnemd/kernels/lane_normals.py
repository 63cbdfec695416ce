"""Normal numbers for eight replicas at a time: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC11, 2011) and Box-Muller in vector lanes.

A draw is a function of (key, replica id, branch, step, draw) alone: whoever computes a replica, in whatever lane and company, gets the same bits.
Logarithm, sine and cosine are polynomials (numba has no vector mathematics library), good to 1e-15 relative."""
import math

import numpy as np
from numpy.polynomial import chebyshev

from . import inner, njit
from .simd import as_bits, as_unsigned, fma, from_bits, lanes, rint, select, sqrt

LANES = 8
_EIGHT = lanes(LANES)
load, store, splat = _EIGHT.load, _EIGHT.store, _EIGHT.splat
_i64 = np.int64
_u64 = np.uint64
_LOW, _HALF = _u64(0xFFFFFFFF), _u64(32)
_M0, _M1, _W0, _W1 = _u64(0xD2511F53), _u64(0xCD9E8D57), _u64(0x9E3779B9), _u64(0xBB67AE85)
_ROUND = 0x4338000000000000             # the bits of 1.5 2^52: a number added to it shows its integer part in the low bits


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


_LOG = _fit(_arctanh_ratio, ((math.sqrt(2) - 1) / (math.sqrt(2) + 1))**2, 7)
_COS = _fit(lambda w: np.cos(np.pi / 2 * np.sqrt(w)), 0.25, 6)
_SIN = _fit(_sine_ratio, 0.25, 6)


@njit(cache=True, error_model="numpy")
def _log(x):
    """Of x in (0, 1]: x = 2^e m with m in [sqrt(1/2), sqrt 2), ln m = 2 artanh((m - 1)/(m + 1))."""
    b = as_bits(x)
    e = ((b - _i64(0x3fe6a09e667f3bcd) + _i64(1 << 62)) >> _i64(52)) - _i64(1024)
    m = from_bits(b - (e << _i64(52)))
    z = (m - 1.0) / (m + 1.0)
    w = z * z
    p = fma(w, _LOG[7], _LOG[6])
    p = fma(p, w, _LOG[5])
    p = fma(p, w, _LOG[4])
    p = fma(p, w, _LOG[3])
    p = fma(p, w, _LOG[2])
    p = fma(p, w, _LOG[1])
    p = fma(p, w, _LOG[0])
    exponent = from_bits(e + _i64(_ROUND)) - 6755399441055744.0
    return fma(exponent, 0.6931471805599453, 2.0 * z * p)


@inner
def _sine_cosine(u):
    """sin and cos of 2 pi u for u in [0, 1)."""
    x = u * 4.0
    n = rint(x)
    f = x - n
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
    q = as_bits(n + 6755399441055744.0)
    odd = (q & _i64(1)) == _i64(1)
    sine, cosine = select(odd, c, s), select(odd, s, c)
    return select((q & _i64(2)) == _i64(2), -sine, sine), select(((q + _i64(1)) & _i64(2)) == _i64(2), -cosine, cosine)


@inner
def philox_lanes(c0, c1, c2, c3, k0, k1):
    """Ten rounds; lanes of uint64 that hold 32-bit words, the key as two scalars. Between rounds the upper halves hold rubbish, which the products
    leave out: masks and shifts with sign are what vector units without 64-bit versions of them are slow at."""
    for _ in range(10):
        p0 = (c0 & _LOW) * _M0
        p1 = (c2 & _LOW) * _M1
        c0 = (p1 >> _HALF) ^ c1 ^ k0
        c2 = (p0 >> _HALF) ^ c3 ^ k1
        c1 = p1
        c3 = p0
        k0 = (k0 + _W0) & _LOW
        k1 = (k1 + _W1) & _LOW
    return c0 & _LOW, c1 & _LOW, c2 & _LOW, c3 & _LOW


@njit(cache=True)
def _unit(high, low):
    """52 bits of two 32-bit words as a number in (0, 1)."""
    word = (high << _u64(20)) | (low >> _u64(12))
    return from_bits(word | _u64(0x3ff0000000000000)) - 0.9999999999999999


@inner
def normal_pair(key, ids, branch, step, draw):
    """Two vectors of standard normals for the replicas `ids` (int64 lanes below 2^32). `key`: int64 (2,) of 32-bit words; `branch` < 256;
    `draw`: tells several draws of one step apart."""
    who = as_unsigned(ids)
    zero = who & _u64(0)
    a, b, c, d = philox_lanes(who & _LOW, zero + _u64(step), zero + _u64(draw), zero + _u64(branch), _u64(key[0]), _u64(key[1]))
    r = sqrt(-2.0 * _log(_unit(a, b)))
    s, c = _sine_cosine(_unit(c, d))
    return r * s, r * c


@njit(cache=True, error_model="numpy")
def fill_normals(key, ids, branch, step, draw, out):
    """out (2 * n): the two normals of each of the n replicas `ids` (int64, n a multiple of 8), first all first ones. For tests and set-up."""
    n = ids.shape[0]
    for k in range(0, n, LANES):
        a, b = normal_pair(key, load(ids, k), branch, step, draw)
        store(out, k, a)
        store(out, n + k, b)
