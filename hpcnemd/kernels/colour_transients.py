"""Soft discs with colour charges in a field, kept at fixed kinetic energy (Gaussian isokinetic thermostat), eight systems in lanes.

dq = p, dp = F + c Fc x - alpha p, alpha = (sum F.p + Fc sum c px) / sum p.p, mass 1, WCA forces (epsilon = sigma = 1) in a periodic square.
States are flat: coordinate a of disc i of lane l at (2 i + a) * 8 + l."""
import math

import numpy as np

from . import inner, njit
from .lane_normals import LANES, load, normal_pair, round_keys, splat, store
from .simd import fma, rint, select, sqrt

CUT2 = 2.0**(1.0 / 3.0)


@inner
def _forces(discs, edge, q, f):
    """WCA forces; minimum image, right while edge > 2 * 2^(1/6)."""
    zero = splat(0.0)
    for k in range(2 * discs):
        store(f, k * LANES, zero)
    for i in range(discs - 1):
        xi, yi = load(q, (2 * i) * LANES), load(q, (2 * i + 1) * LANES)
        fx, fy = load(f, (2 * i) * LANES), load(f, (2 * i + 1) * LANES)
        for j in range(i + 1, discs):
            dx, dy = xi - load(q, (2 * j) * LANES), yi - load(q, (2 * j + 1) * LANES)
            dx = dx - rint(dx * (1.0 / edge)) * edge
            dy = dy - rint(dy * (1.0 / edge)) * edge
            r2 = fma(dx, dx, dy * dy)
            s = 1.0 / r2
            s3 = s * s * s
            push = select(r2 < CUT2, s * s3 * fma(s3, 48.0, splat(-24.0)), zero)
            px, py = push * dx, push * dy
            fx, fy = fx + px, fy + py
            store(f, (2 * j) * LANES, load(f, (2 * j) * LANES) - px)
            store(f, (2 * j + 1) * LANES, load(f, (2 * j + 1) * LANES) - py)
        store(f, (2 * i) * LANES, fx)
        store(f, (2 * i + 1) * LANES, fy)


@njit(cache=True, error_model="numpy")
def _rates(discs, edge, field, q, p, f):
    """f becomes dp/dt; returns (current sum c px, alpha)."""
    _forces(discs, edge, q, f)
    power, square, current = splat(0.0), splat(0.0), splat(0.0)
    for i in range(discs):
        sign = 1.0 if i & 1 else -1.0
        px, py = load(p, (2 * i) * LANES), load(p, (2 * i + 1) * LANES)
        fx = load(f, (2 * i) * LANES) + sign * field
        store(f, (2 * i) * LANES, fx)
        power = fma(fx, px, fma(load(f, (2 * i + 1) * LANES), py, power))
        square = fma(px, px, fma(py, py, square))
        current = current + px * sign
    alpha = power / square
    for k in range(2 * discs):
        store(f, k * LANES, load(f, k * LANES) - alpha * load(p, k * LANES))
    return current, alpha


@inner
def _step(discs, edge, field, h, q, p, q1, p1, f, dq, dp):
    """Fourth-order Runge-Kutta; returns the integrals over the step of the current and of alpha, by the same rule."""
    total_j, total_a = splat(0.0), splat(0.0)
    size = 2 * discs
    for stage in range(4):
        if stage == 0:
            j, a = _rates(discs, edge, field, q, p, f)
        else:
            j, a = _rates(discs, edge, field, q1, p1, f)
        weight = h / 6.0 if stage == 0 or stage == 3 else h / 3.0
        ahead = h if stage == 2 else 0.5 * h
        total_j, total_a = fma(j, weight, total_j), fma(a, weight, total_a)
        for k in range(0, size * LANES, LANES):
            rate_q = load(p, k) if stage == 0 else load(p1, k)
            rate_p = load(f, k)
            if stage == 0:
                store(dq, k, rate_q * weight)
                store(dp, k, rate_p * weight)
            else:
                store(dq, k, fma(rate_q, weight, load(dq, k)))
                store(dp, k, fma(rate_p, weight, load(dp, k)))
            if stage < 3:
                store(q1, k, fma(rate_q, ahead, load(q, k)))
                store(p1, k, fma(rate_p, ahead, load(p, k)))
    for k in range(0, size * LANES, LANES):
        store(q, k, load(q, k) + load(dq, k))
        store(p, k, load(p, k) + load(dp, k))
    return total_j, total_a


@inner
def _rescale(discs, kinetic, p):
    """Total momentum 0 and kinetic energy `kinetic`, to rounding."""
    mx, my, square = splat(0.0), splat(0.0), splat(0.0)
    for i in range(discs):
        mx, my = mx + load(p, 2 * i * LANES), my + load(p, (2 * i + 1) * LANES)
    mx, my = mx * (1.0 / discs), my * (1.0 / discs)
    for i in range(discs):
        px, py = load(p, 2 * i * LANES) - mx, load(p, (2 * i + 1) * LANES) - my
        square = fma(px, px, fma(py, py, square))
        store(p, 2 * i * LANES, px)
        store(p, (2 * i + 1) * LANES, py)
    factor = sqrt(2.0 * kinetic / square)
    for k in range(2 * discs):
        store(p, k * LANES, load(p, k * LANES) * factor)


@njit(cache=True, error_model="numpy")
def transients(key, ids, branch, discs, edge, kinetic, field, mother_field, h, settle, spacing, daughters, mappings, steps, every,
               current, integral, contraction):
    """Each replica is a mother system that settles for `settle` steps in the field `mother_field` and then gives a start point every `spacing`
    steps, `daughters` in all. From each start point, and its `mappings` images (1: none; 2: time reversal; 4: and reflection of x), `steps` steps
    in the field `field`. Disc i has colour charge -1 (even i) or +1. The random numbers are the start momenta.

    current (n, daughters, mappings, samples + 1): sum c px at the start and after every `every` steps; integral, of the current, and contraction,
    of alpha, (n, daughters, mappings, samples): up to there."""
    keys, n = round_keys(key), ids.shape[0]
    size = 2 * discs * LANES
    q, p, q1, p1 = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    f, dq, dp, qd, pd = np.empty(size), np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    lane_j, lane_a, start = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    side = int(math.ceil(math.sqrt(discs)))
    for b in range(0, n, LANES):
        lane = load(ids, b)
        for i in range(discs):
            g, k = normal_pair(keys, lane, branch, 0, i)
            store(p, 2 * i * LANES, g)
            store(p, (2 * i + 1) * LANES, k)
            store(q, 2 * i * LANES, splat((i % side + 0.5) * edge / side))
            store(q, (2 * i + 1) * LANES, splat((i // side + 0.5) * edge / side))
        _rescale(discs, kinetic, p)
        for d in range(daughters):
            for s in range(settle if d == 0 else spacing):
                _step(discs, edge, mother_field, h, q, p, q1, p1, f, dq, dp)
                if s % 20 == 0:
                    _rescale(discs, kinetic, p)
            _rescale(discs, kinetic, p)
            for m in range(mappings):
                for i in range(discs):
                    sx = -1.0 if m == 1 or m == 2 else 1.0      # 1: p -> -p; 2: x and px reflected; 3: both
                    sy = -1.0 if m == 1 or m == 3 else 1.0
                    rx = -1.0 if m >= 2 else 1.0
                    store(qd, 2 * i * LANES, load(q, 2 * i * LANES) * rx)
                    store(qd, (2 * i + 1) * LANES, load(q, (2 * i + 1) * LANES))
                    store(pd, 2 * i * LANES, load(p, 2 * i * LANES) * sx)
                    store(pd, (2 * i + 1) * LANES, load(p, (2 * i + 1) * LANES) * sy)
                j, a = splat(0.0), splat(0.0)
                now, unused = _rates(discs, edge, field, qd, pd, f)
                store(start, 0, now)
                for r in range(LANES):
                    current[b + r, d, m, 0] = start[r]
                for s in range(steps):
                    dj, da = _step(discs, edge, field, h, qd, pd, q1, p1, f, dq, dp)
                    j, a = j + dj, a + da
                    if (s + 1) % every == 0:
                        t = (s + 1) // every
                        now, unused = _rates(discs, edge, field, qd, pd, f)
                        store(start, 0, now)
                        store(lane_j, 0, j)
                        store(lane_a, 0, a)
                        for r in range(LANES):
                            current[b + r, d, m, t] = start[r]
                            integral[b + r, d, m, t - 1] = lane_j[r]
                            contraction[b + r, d, m, t - 1] = lane_a[r]
