"""`spread` and `gather` of kernels.mesh with explicit SIMD: the eight z points of a row are one vector, and the loops over x and y are unrolled.

One pair of functions per spline order, made on first use and kept in numba's cache like any other. Arguments as in kernels.mesh, `table` and
`slope` flat. A gather whose `brick`, `table` and `slope` are float32 has weights and sums of float32: vectors of half the size."""
import functools
import math

import numpy as np

from . import njit
from .simd import fma, lanes, total

_EIGHT = lanes(8)
load, store, splat = _EIGHT.load, _EIGHT.store, _EIGHT.splat


def _of_order(function, order):
    """The kernel, under a name of its own: numba numbers functions of one name in the order in which a process compiles them, so that machine code of two orders which two processes
    have put into the cache may be called the same, and a lookup by that name (kernels.frames) finds either."""
    function.__qualname__ = f"{function.__qualname__}_{order}"
    return njit(cache=True, nogil=True, error_model="numpy")(function)


@functools.cache
def make_spread(order):
    def spread(position, species, species_charge, n, scale, low, period, first, last, table, planes, rows, charge, brick):
        outside = 0
        bx, by = np.empty(8), np.empty(8)
        for k in range(brick.size):
            brick[k] = 0.0
        for i in range(n):
            q = species_charge[species[i]]
            charge[i] = q
            ux, uy, uz = position[i, 0] * scale[0], position[i, 1] * scale[1], position[i, 2] * scale[2]
            ux -= math.floor((ux - low[0]) / period[0]) * period[0]
            uy -= math.floor((uy - low[1]) / period[1]) * period[1]
            uz -= math.floor((uz - low[2]) / period[2]) * period[2]
            gx, gy, gz = math.floor(ux), math.floor(uy), math.floor(uz)
            ix, iy, iz = int(gx) - first[0], int(gy) - first[1], int(gz) - first[2]
            if not (0 <= ix <= last[0] - first[0] and 0 <= iy <= last[1] - first[1] and 0 <= iz <= last[2] - first[2]):
                outside += 1
                continue
            fx, fy, fz = ux - gx, uy - gy, uz - gz
            wx = load(table, 8 * (order - 1))
            wy = wx
            wz = wx
            for m in range(order - 2, -1, -1):
                row = load(table, 8 * m)
                wx = fma(wx, fx, row)
                wy = fma(wy, fy, row)
                wz = fma(wz, fz, row)
            store(bx, 0, wx * q)
            store(by, 0, wy)
            for jx in range(order):
                v = wz * bx[jx]
                base = planes[ix + jx] + iz
                for jy in range(order):
                    at = base + rows[iy + jy]
                    store(brick, at, fma(v, by[jy], load(brick, at)))
        return outside
    return _of_order(spread, order)


@functools.cache
def make_gather(order):
    def gather(position, charge, n, scale, low, period, first, last, table, slope, planes, rows, brick, out, net):
        bx, by, cx, cy = np.empty(8, brick.dtype), np.empty(8, brick.dtype), np.empty(8, brick.dtype), np.empty(8, brick.dtype)
        zero = splat(brick.dtype.type(0.0))
        sx, sy, sz = 0.0, 0.0, 0.0
        for i in range(n):
            ux, uy, uz = position[i, 0] * scale[0], position[i, 1] * scale[1], position[i, 2] * scale[2]
            ux -= math.floor((ux - low[0]) / period[0]) * period[0]
            uy -= math.floor((uy - low[1]) / period[1]) * period[1]
            uz -= math.floor((uz - low[2]) / period[2]) * period[2]
            gx, gy, gz = math.floor(ux), math.floor(uy), math.floor(uz)
            ix, iy, iz = int(gx) - first[0], int(gy) - first[1], int(gz) - first[2]
            if not (0 <= ix <= last[0] - first[0] and 0 <= iy <= last[1] - first[1] and 0 <= iz <= last[2] - first[2]):
                continue
            fx, fy, fz = ux - gx, uy - gy, uz - gz
            wx = load(table, 8 * (order - 1))
            wy = wx
            wz = wx
            dx = load(slope, 8 * (order - 2))
            dy = dx
            dz = dx
            for m in range(order - 2, -1, -1):
                row = load(table, 8 * m)
                wx = fma(wx, fx, row)
                wy = fma(wy, fy, row)
                wz = fma(wz, fz, row)
            for m in range(order - 3, -1, -1):
                row = load(slope, 8 * m)
                dx = fma(dx, fx, row)
                dy = fma(dy, fy, row)
                dz = fma(dz, fz, row)
            store(bx, 0, wx)
            store(by, 0, wy)
            store(cx, 0, dx)
            store(cy, 0, dy)
            ax, ay, az = zero, zero, zero
            for jx in range(order):
                base = planes[ix + jx] + iz
                value, along = zero, zero
                for jy in range(order):
                    row = load(brick, base + rows[iy + jy])
                    value = fma(row, by[jy], value)
                    along = fma(row, cy[jy], along)
                ax = fma(value, cx[jx], ax)
                ay = fma(along, bx[jx], ay)
                az = fma(value, bx[jx], az)
            x, y, z = -charge[i] * scale[0] * total(ax * wz), -charge[i] * scale[1] * total(ay * wz), -charge[i] * scale[2] * total(az * dz)
            out[i, 0] += x
            out[i, 1] += y
            out[i, 2] += z
            sx += x
            sy += y
            sz += z
        net[0], net[1], net[2] = sx, sy, sz
    return _of_order(gather, order)
