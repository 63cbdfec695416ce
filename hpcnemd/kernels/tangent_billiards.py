"""A point particle of unit speed among fixed discs of radius 1 (Lorentz gas): Lyapunov exponents of the triangular lattice, of random places, and
with a field and a Gaussian thermostat.

Without a field the curvature of a front of neighbouring trajectories is enough (Sinai): kappa -> kappa / (1 + kappa t) in flight,
kappa -> kappa + 2 / cos(angle of incidence) at a disc; the exponent is the mean of ln(1 + kappa t) per time."""
import math

import numpy as np

from . import inner, njit


@inner
def _leave_cell(x, y, vx, vy, spacing):
    """(time to the wall of the hexagon around (0, 0), lattice vector beyond that wall)."""
    best, bx, by = np.inf, 0.0, 0.0
    for side in range(6):
        nx, ny = math.cos(side * math.pi / 3), math.sin(side * math.pi / 3)
        speed = vx * nx + vy * ny
        if speed > 1e-14:
            t = (0.5 * spacing - x * nx - y * ny) / speed
            if t < best:
                best, bx, by = t, spacing * nx, spacing * ny
    return max(best, 0.0), bx, by


@inner
def _reach_disc(x, y, vx, vy):
    """Time until |(x, y)| = 1 from outside, infinite where it is missed."""
    b = x * vx + y * vy
    if b >= 0.0:
        return np.inf
    root = b * b - (x * x + y * y - 1.0)
    return np.inf if root < 0.0 else max(0.0, -b - math.sqrt(root))


@njit(cache=True, error_model="numpy")
def lattice_flights(blocks, flights, spacing, state, kappa, times, growth):
    """Triangular lattice. state (4,): x, y relative to a disc's centre, vx, vy; kappa: curvature just after the last collision. times, growth (blocks,):
    duration and sum of ln(1 + kappa t) of `flights` flights each. Returns the curvature."""
    x, y, vx, vy = state[0], state[1], state[2], state[3]
    for block in range(blocks):
        total, grown = 0.0, 0.0
        for _ in range(flights):
            time = 0.0
            while True:
                hit = _reach_disc(x, y, vx, vy)
                wall, bx, by = _leave_cell(x, y, vx, vy, spacing)
                if hit <= wall:
                    break
                x += vx * wall - bx
                y += vy * wall - by
                time += wall
            time += hit
            x += vx * hit
            y += vy * hit
            r = math.hypot(x, y)
            x /= r
            y /= r
            speed = vx * x + vy * y
            vx -= 2.0 * speed * x
            vy -= 2.0 * speed * y
            grown += math.log1p(kappa * time)
            kappa = kappa / (1.0 + kappa * time) - 2.0 / speed
            total += time
        times[block], growth[block] = total, grown
    state[0], state[1], state[2], state[3] = x, y, vx, vy
    return kappa


@njit(cache=True, error_model="numpy")
def random_flights(flights, skip, centres, cells, side, first, inside, start, out):
    """Overlapping discs at `centres` (m, 2) of a periodic square of cells x cells cells of edge `side`; inside[first[c]:first[c + 1]]: discs that touch
    cell c. start (4,): x, y, vx, vy. After `skip` flights, out (2,) = time and sum of ln(1 + kappa t) of `flights` flights."""
    x, y, vx, vy = start[0], start[1], start[2], start[3]
    length = cells * side
    kappa, total, grown = 0.0, 0.0, 0.0
    last = -1
    for flight in range(-skip, flights):
        time = 0.0
        cx, cy = min(int(x / side), cells - 1), min(int(y / side), cells - 1)
        while True:
            tx = ((cx + (1 if vx > 0 else 0)) * side - x) / vx if vx != 0.0 else np.inf
            ty = ((cy + (1 if vy > 0 else 0)) * side - y) / vy if vy != 0.0 else np.inf
            leave = max(0.0, min(tx, ty))
            hit, which = np.inf, -1
            for k in range(first[cx + cells * cy], first[cx + cells * cy + 1]):
                m = inside[k]
                if m == last:                               # the disc just left; its image elsewhere is found after a wall
                    continue
                dx, dy = x - centres[m, 0], y - centres[m, 1]
                dx -= length * np.rint(dx / length)
                dy -= length * np.rint(dy / length)
                t = _reach_disc(dx, dy, vx, vy)
                if t < hit:
                    hit, which = t, m
            if hit <= leave:
                break
            x += vx * leave
            y += vy * leave
            time += leave
            last = -1
            if tx <= ty:
                cx += 1 if vx > 0 else -1
                if cx < 0 or cx >= cells:
                    x -= math.copysign(length, vx)
                    cx = cx % cells
            else:
                cy += 1 if vy > 0 else -1
                if cy < 0 or cy >= cells:
                    y -= math.copysign(length, vy)
                    cy = cy % cells
        time += hit
        x += vx * hit
        y += vy * hit
        nx, ny = x - centres[which, 0], y - centres[which, 1]
        nx -= length * np.rint(nx / length)
        ny -= length * np.rint(ny / length)
        r = math.hypot(nx, ny)                              # not quite 1, and the error would feed on itself
        nx /= r
        ny /= r
        speed = vx * nx + vy * ny
        vx -= 2.0 * speed * nx
        vy -= 2.0 * speed * ny
        x, y = x % length, y % length
        last = which
        if flight >= 0:
            grown += math.log1p(kappa * time)
            total += time
        kappa = kappa / (1.0 + kappa * time) - 2.0 / speed
    out[0], out[1] = total, grown


@njit(cache=True, error_model="numpy")
def _take(s, w, out, dw):
    """s (3,), w (3, 3) = out, dw. Element by element: the compiler spends seconds on every assignment of whole arrays."""
    for a in range(s.shape[0]):
        s[a] = out[a]
        for c in range(w.shape[1]):
            w[a, c] = dw[a, c]


@njit(cache=True, error_model="numpy")
def _drive(h, field, s, w, out, dw):
    """One Runge-Kutta step of x' = cos(theta), y' = sin(theta), theta' = -field sin(theta) and of three tangent columns w (3, 3).
    Returns the integral of alpha = field cos(theta)."""
    alpha = 0.0
    x, y, theta = 0.0, 0.0, 0.0
    ky, kt = 0.0, 0.0
    kx = 0.0
    stage_w, k = np.empty((3, 3)), np.zeros((3, 3))
    for a in range(3):
        for c in range(3):
            dw[a, c] = w[a, c]
    for stage in range(4):
        node = 0.0 if stage == 0 else (1.0 if stage == 3 else 0.5)
        weight = h / 6.0 if stage == 0 or stage == 3 else h / 3.0
        t = s[2] + node * h * kt
        for c in range(3):
            for a in range(3):
                stage_w[a, c] = w[a, c] + node * h * k[a, c]
        kx, ky, kt = math.cos(t), math.sin(t), -field * math.sin(t)
        x += weight * kx
        y += weight * ky
        theta += weight * kt
        alpha += weight * field * kx
        for c in range(3):
            k[0, c], k[1, c], k[2, c] = -ky * stage_w[2, c], kx * stage_w[2, c], -field * kx * stage_w[2, c]
            for a in range(3):
                dw[a, c] += weight * k[a, c]
    out[0], out[1], out[2] = s[0] + x, s[1] + y, s[2] + theta
    return alpha


@inner
def _bounce(field, s, w):
    """Reflection at the disc |(x, y)| = 1 and its linearisation: delay, tilt of the normal, and the flow before and after."""
    r = math.hypot(s[0], s[1])
    nx, ny = s[0] / r, s[1] / r
    s[0], s[1] = nx, ny
    vx, vy, turn = math.cos(s[2]), math.sin(s[2]), -field * math.sin(s[2])
    speed = vx * nx + vy * ny
    s[2] = 2.0 * math.atan2(ny, nx) - s[2] + math.pi
    s[2] -= 2.0 * math.pi * np.rint(s[2] / (2.0 * math.pi))
    ux, uy, turned = math.cos(s[2]), math.sin(s[2]), -field * math.sin(s[2])
    for c in range(3):
        delay = -(w[0, c] * nx + w[1, c] * ny) / speed
        x, y, theta = w[0, c] + vx * delay, w[1, c] + vy * delay, w[2, c] + turn * delay
        tilt = -x * ny + y * nx
        w[0, c], w[1, c], w[2, c] = x - ux * delay, y - uy * delay, 2.0 * tilt - theta - turned * delay


@njit(cache=True, error_model="numpy")
def thermostatted(steps, step, field, spacing, s, w, growth):
    """Triangular lattice, field along x, momentum of length 1 kept by alpha = field cos(theta). s (3,): x, y from a disc's centre, theta; w (3, 3) tangent
    columns, orthonormal at the end; growth (3,) += logarithms of their stretching. Returns (integral of alpha, time, collisions, displacement along x)."""
    alpha, time, count = 0.0, 0.0, 0
    moved = -s[0]
    out, dw, other, trial = np.empty(3), np.empty((3, 3)), np.empty(3), np.empty((3, 3))
    for n in range(steps):
        left = step
        while left > 0.0:
            gain = _drive(left, field, s, w, out, dw)
            if out[0] * out[0] + out[1] * out[1] >= 1.0 or s[0] * math.cos(s[2]) + s[1] * math.sin(s[2]) >= 0.0:
                alpha += gain
                time += left
                _take(s, w, out, dw)
                break
            low, high = 0.0, left
            while high - low > 1e-15 + 1e-14 * left:
                middle = 0.5 * (low + high)
                _drive(middle, field, s, w, other, trial)
                if other[0] * other[0] + other[1] * other[1] >= 1.0:
                    low = middle
                else:
                    high = middle
                if middle == low == high:
                    break
            alpha += _drive(low, field, s, w, other, trial)
            time += low
            left -= low
            _take(s, w, other, trial)
            _bounce(field, s, w)
            count += 1
        for side in range(6):
            nx, ny = math.cos(side * math.pi / 3), math.sin(side * math.pi / 3)
            if s[0] * nx + s[1] * ny > 0.5 * spacing:
                s[0] -= spacing * nx
                s[1] -= spacing * ny
                moved += spacing * nx
        if n % 10 == 9 or n == steps - 1:
            for c in range(3):
                for b in range(c):
                    dot = w[0, b] * w[0, c] + w[1, b] * w[1, c] + w[2, b] * w[2, c]
                    for a in range(3):
                        w[a, c] -= dot * w[a, b]
                size = math.sqrt(w[0, c] ** 2 + w[1, c] ** 2 + w[2, c] ** 2)
                growth[c] += math.log(size)
                for a in range(3):
                    w[a, c] /= size
    return alpha, time, count, moved + s[0]
