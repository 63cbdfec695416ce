"""Particle-mesh loops: spread charges, gather forces, fold bricks into slabs, energy and virial of a spectrum.

A brick is a flat array of (nx, ny, nz) mesh points with z rows padded so that eight points can always be written from any first point.
Every sum runs in the order of the rows: the same bits for the same order of particles."""
import math

import numpy as np

from . import inner, njit
from .runs import add_run, copy_run

FAST = {"contract", "arcp", "nsz"}


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def spread(position, species, species_charge, n, scale, low, period, first, last, order, table, planes, rows, charge, brick):
    """The flat `brick` becomes the sum of charge * weight of particles [0, n); returns how many lay outside it (they are left out).

    position (n, 3) angstrom; species (n,), species_charge (s,): of which charge (n,) is made; scale (3,) mesh points per angstrom; low, period (3,) in mesh units: coordinates are brought into [low, low + period);
    first, last (3,) int64: lowest and highest floor(u) of the brick; planes, rows int64: where in the brick the mesh's planes and rows begin, from
    first - (order - 1) on."""
    outside = 0
    wx, wy, wz = np.empty(8), np.empty(8), np.empty(8)
    brick[:] = 0.0
    for i in range(n):
        charge[i] = species_charge[species[i]]
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
        for k in range(8):
            wx[k] = table[order - 1, k]
            wy[k] = table[order - 1, k]
            wz[k] = table[order - 1, k]
        for m in range(order - 2, -1, -1):
            for k in range(8):
                wx[k] = wx[k] * fx + table[m, k]
                wy[k] = wy[k] * fy + table[m, k]
                wz[k] = wz[k] * fz + table[m, k]
        z0, z1, z2, z3, z4, z5, z6, z7 = wz[0], wz[1], wz[2], wz[3], wz[4], wz[5], wz[6], wz[7]
        for jx in range(order):
            vx = wx[jx] * charge[i]
            plane = planes[ix + jx] + iz
            for jy in range(order):
                v = vx * wy[jy]
                row = plane + rows[iy + jy]
                b = brick[row:row + 8]
                b[0] += v * z0
                b[1] += v * z1
                b[2] += v * z2
                b[3] += v * z3
                b[4] += v * z4
                b[5] += v * z5
                b[6] += v * z6
                b[7] += v * z7
    return outside


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def gather(position, charge, n, scale, low, period, first, last, order, table, slope, planes, rows, brick, out, net):
    """out[i] += minus charge times the gradient of the potential in `brick` (eV/e at mesh points), eV/angstrom, shape (n, 3); net (3,) = sum of what was added;
    other arguments as in `spread`."""
    wx, wy, wz = np.empty(8), np.empty(8), np.empty(8)
    dx, dy, dz = np.empty(8), np.empty(8), np.empty(8)
    s1, s2, sx, sy, sz = np.empty(8), np.empty(8), np.empty(8), np.empty(8), np.empty(8)
    net[:] = 0.0
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
        for k in range(8):
            wx[k] = table[order - 1, k]
            wy[k] = table[order - 1, k]
            wz[k] = table[order - 1, k]
            dx[k] = slope[order - 1, k]
            dy[k] = slope[order - 1, k]
            dz[k] = slope[order - 1, k]
            sx[k], sy[k], sz[k] = 0.0, 0.0, 0.0
        for m in range(order - 2, -1, -1):
            for k in range(8):
                wx[k] = wx[k] * fx + table[m, k]
                wy[k] = wy[k] * fy + table[m, k]
                wz[k] = wz[k] * fz + table[m, k]
                dx[k] = dx[k] * fx + slope[m, k]
                dy[k] = dy[k] * fy + slope[m, k]
                dz[k] = dz[k] * fz + slope[m, k]
        for jx in range(order):
            plane = planes[ix + jx] + iz
            for k in range(8):
                s1[k], s2[k] = 0.0, 0.0
            for jy in range(order):
                row = plane + rows[iy + jy]
                b = brick[row:row + 8]
                v, d = wy[jy], dy[jy]
                for k in range(8):
                    s1[k] += b[k] * v
                    s2[k] += b[k] * d
            for k in range(8):
                sx[k] += s1[k] * dx[jx]
                sy[k] += s2[k] * wx[jx]
                sz[k] += s1[k] * wx[jx]
        ax, ay, az = 0.0, 0.0, 0.0
        for k in range(8):
            ax += sx[k] * wz[k]
            ay += sy[k] * wz[k]
            az += sz[k] * dz[k]
        ax, ay, az = -charge[i] * scale[0] * ax, -charge[i] * scale[1] * ay, -charge[i] * scale[2] * az
        out[i, 0] += ax
        out[i, 1] += ay
        out[i, 2] += az
        net[0] += ax
        net[1] += ay
        net[2] += az
    return 0


@njit(cache=True, error_model="numpy", fastmath=FAST)
def pack_planes(brick, planes, ny, nz, rows, columns, message):
    """message (len(planes), rows, columns), flat: the used part of the brick's planes."""
    at = 0
    for a in range(planes.size):
        for y in range(rows):
            copy_run(message, at, brick, (planes[a] * ny + y) * nz, columns)
            at += columns


@njit(cache=True, error_model="numpy", fastmath=FAST)
def unpack_planes(message, planes, ny, nz, rows, columns, brick):
    """The inverse of `pack_planes`."""
    at = 0
    for a in range(planes.size):
        for y in range(rows):
            copy_run(brick, (planes[a] * ny + y) * nz, message, at, columns)
            at += columns


@njit(cache=True, nogil=True, error_model="numpy")
def clear(points):
    """All of a flat mesh is 0."""
    points[:] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def add_points(points, others):
    """A flat mesh += another of the same size."""
    for k in range(points.size):
        points[k] += others[k]


@njit(cache=True, error_model="numpy")
def add_rows(rows, total):
    """total (k,) = the sum of rows (m, k), in their order."""
    for k in range(total.size):
        total[k] = rows[0, k]
        for m in range(1, len(rows)):
            total[k] += rows[m, k]


@inner(fastmath=FAST)
def lay_planes(source, source_planes, source_ny, source_nz, planes, first_y, first_z, rows, columns, slab):
    """Adds planes of a flat source (a brick, or a message) to planes of a slab (nx, ny, nz), rows and columns wrapped round the mesh as often as needed.
    source_planes, planes: which plane of the source goes to which of the slab; first_y, first_z: mesh point of row and column 0, in [0, ny) and [0, nz)."""
    ny, nz, flat = slab.shape[1], slab.shape[2], slab.reshape(slab.size)
    for a in range(planes.size):
        y = first_y
        for r in range(rows):
            at = (source_planes[a] * source_ny + r) * source_nz
            row = (planes[a] * ny + y) * nz
            z, done = first_z, 0
            while done < columns:
                run = min(nz - z, columns - done)
                add_run(flat, row + z, source, at + done, run)
                done += run
                z = 0
            y = y + 1 if y + 1 < ny else 0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def add_planes(source, source_planes, source_ny, source_nz, planes, first_y, first_z, rows, columns, slab):
    """As `lay_planes`."""
    lay_planes(source, source_planes, source_ny, source_nz, planes, first_y, first_z, rows, columns, slab)


@inner(fastmath=FAST)
def lift_planes(slab, planes, first_y, first_z, rows, columns, target, target_planes, target_ny, target_nz):
    """The way back of `lay_planes`: copies the slab's points to the planes of a flat target."""
    ny, nz, flat = slab.shape[1], slab.shape[2], slab.reshape(slab.size)
    for a in range(planes.size):
        y = first_y
        for r in range(rows):
            at = (target_planes[a] * target_ny + r) * target_nz
            row = (planes[a] * ny + y) * nz
            z, done = first_z, 0
            while done < columns:
                run = min(nz - z, columns - done)
                copy_run(target, at + done, flat, row + z, run)
                done += run
                z = 0
            y = y + 1 if y + 1 < ny else 0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def take_planes(slab, planes, first_y, first_z, rows, columns, target, target_planes, target_ny, target_nz):
    """As `lift_planes`."""
    lift_planes(slab, planes, first_y, first_z, rows, columns, target, target_planes, target_ny, target_nz)


def influence_function(sx, sy, sz, out):
    """out (nx, ny, nz) = 4 pi A / (B C) from the alias sums of `splines.axis_sums` of each axis; not finite, or 0, where k = 0.

    The influence function of least rms force error for analytic differentiation: Ballenegger, Cerda, Holm, J. Chem. Theory Comput. 8, 936 (2012), eq. 30.
    Not compiled: it is called once a box, and compiling it would take a cold start longer than a million mesh points."""
    def plane(a, b):
        return (sx[a][:, None] * sy[b])[:, :, None]
    b = plane(0, 0) * sz[0]
    c = (plane(2, 0) + plane(0, 2)) * sz[0] + plane(0, 0) * sz[2]
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(4.0 * math.pi * plane(3, 3) * sz[3], b * c, out=out)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def energy_virial(spectrum, influence, sx, sy, sz, beta, nz_full, total):
    """total (7,) = sum over modes of w = influence |spectrum|^2 and of w times minus d ln(influence) / d strain (xx, yy, zz, xy, xz, yz).
    The half spectrum's z index stands for two modes unless it is 0 or nz_full / 2."""
    half = 0.5 / (beta * beta)
    total[:] = 0.0
    for x in range(spectrum.shape[0]):
        for y in range(spectrum.shape[1]):
            bxy = sx[0, x] * sy[0, y]
            for z in range(spectrum.shape[2]):
                g = influence[x, y, z]
                if g == 0.0:
                    continue
                value = spectrum[x, y, z]
                w = g * (value.real * value.real + value.imag * value.imag)
                if z > 0 and 2 * z != nz_full:
                    w *= 2.0
                cxx, cyy, czz = sx[2, x] * sy[0, y] * sz[0, z], sx[0, x] * sy[2, y] * sz[0, z], bxy * sz[2, z]
                inverse_c = 2.0 / (cxx + cyy + czz)
                total[0] += w
                total[1] -= w * (half * sx[5, x] + cxx * inverse_c)
                total[2] -= w * (half * sy[5, y] + cyy * inverse_c)
                total[3] -= w * (half * sz[5, z] + czz * inverse_c)
                total[4] -= w * (half * sx[4, x] * sy[4, y] + sx[1, x] * sy[1, y] * sz[0, z] * inverse_c)
                total[5] -= w * (half * sx[4, x] * sz[4, z] + sx[1, x] * sy[0, y] * sz[1, z] * inverse_c)
                total[6] -= w * (half * sy[4, y] * sz[4, z] + sx[0, x] * sy[1, y] * sz[1, z] * inverse_c)
