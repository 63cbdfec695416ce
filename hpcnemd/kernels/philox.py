"""Counter-based normal numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC11, 2011) and Box-Muller.

A draw is a function of (key, particle id, step) alone, so that it does not depend on who computes it or in which order."""
import math

import numpy as np

from . import njit

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)
_TWO_PI = 2.0 * math.pi
_UNIT = 1.0 / 4294967296.0


@njit(cache=True)
def philox4x32(c0, c1, c2, c3, k0, k1):
    """Ten rounds on four 32-bit counter words with two key words; returns four uint32."""
    for _ in range(10):
        p0 = np.uint64(c0) * _M0
        p1 = np.uint64(c2) * _M1
        n0 = np.uint32(p1 >> _SHIFT) ^ c1 ^ k0
        n2 = np.uint32(p0 >> _SHIFT) ^ c3 ^ k1
        c1 = np.uint32(p1 & _LOW)
        c3 = np.uint32(p0 & _LOW)
        c0, c2 = n0, n2
        k0 = np.uint32(k0 + _W0)
        k1 = np.uint32(k1 + _W1)
    return c0, c1, c2, c3


@njit(cache=True, error_model="numpy")
def normals(key0, key1, ids, step, draw, out):
    """Standard normals out (n, 3) for particle `ids` (n,) int64 at `step`; `draw` tells several draws of one step apart."""
    s0 = np.uint32(np.uint64(step) & _LOW)
    s1 = np.uint32((np.uint64(step) >> _SHIFT) & np.uint64(0xFFFFFF)) | np.uint32(np.uint32(draw) << np.uint32(24))
    for i in range(ids.shape[0]):
        low = np.uint32(np.uint64(ids[i]) & _LOW)
        high = np.uint32(np.uint64(ids[i]) >> _SHIFT)
        a, b, c, d = philox4x32(s0, s1, low, high, key0, key1)
        # (x + 0.5) / 2^32 lies inside (0, 1): the logarithm is finite
        r = math.sqrt(-2.0 * math.log((np.float64(a) + 0.5) * _UNIT))
        t = _TWO_PI * (np.float64(b) + 0.5) * _UNIT
        out[i, 0] = r * math.cos(t)
        out[i, 1] = r * math.sin(t)
        r = math.sqrt(-2.0 * math.log((np.float64(c) + 0.5) * _UNIT))
        out[i, 2] = r * math.cos(_TWO_PI * (np.float64(d) + 0.5) * _UNIT)
