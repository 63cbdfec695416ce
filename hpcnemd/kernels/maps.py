"""Maps of the unit square and flows of one degree of freedom: images, inverse images, Jacobians, and clouds of points counted in cells.

Kinds: CAT (Arnold; also in uint64 arithmetic, where the torus is 2^64 x 2^64 and both directions are exact), BAKER (parameter a: the left part
[0, a) is stretched by 1/a), ROTOR (kicked rotor, parameter K; a Hamiltonian flow between kicks), INTERMITTENT (area-preserving two-branch map with
neutral fixed points, parameter z: Pikovsky's circle map made invertible), HARMONIC and QUARTIC (flows of p^2/2 + q^2/2 and p^2/2 + q^4/4 on the
square [-parameter, parameter]^2, one time unit a step), HENON and LORENZ (dissipative; Jacobians only)."""
import math

import numpy as np

from . import inner, njit

CAT, BAKER, ROTOR, INTERMITTENT, HARMONIC, QUARTIC, HENON = 0, 1, 2, 3, 4, 5, 6
FLOW_STEPS = 50                             # leapfrog steps of fourth order in one time unit of QUARTIC
_CUBE = 1.0 / (2.0 - 2.0 ** (1.0 / 3.0))    # Yoshida's fourth-order composition


@njit(cache=True, error_model="numpy")
def _inner(u, z):
    """x of the image u in [0, 1) on the expanding outer branch: x = u + (1 - u)^z / (2 z)."""
    return u + (1.0 - u) ** z / (2.0 * z)


@inner
def _solve_inner(x, z):
    """Inverse of `_inner` by Newton's method from above, where it converges monotonically (the function is convex)."""
    u = x
    for _ in range(60):
        slope = 1.0 - 0.5 * (1.0 - u) ** (z - 1.0)
        new = min(max(u - (_inner(u, z) - x) / slope, 0.0), 1.0 - 1e-16)
        if abs(new - u) < 1e-16:
            break
        u = new
    return u


@inner
def _fourth(x, p, direction):
    """One time unit of the quartic oscillator."""
    h = direction / FLOW_STEPS
    for _ in range(FLOW_STEPS):
        for part in range(3):
            w = h * (1.0 - 2.0 * _CUBE if part == 1 else _CUBE)
            x += 0.5 * w * p
            p -= w * x * x * x
            x += 0.5 * w * p
    return x, p


@njit(cache=True, error_model="numpy")
def image(kind, a, x, y):
    """(x', y') of a point of the unit square."""
    if kind == CAT:
        return (x + y) % 1.0, (x + 2.0 * y) % 1.0
    if kind == BAKER:
        if x < a:
            return x / a, a * y
        return (x - a) / (1.0 - a), a + (1.0 - a) * y
    if kind == ROTOR:
        p = (y + a / (2.0 * math.pi) * math.sin(2.0 * math.pi * x)) % 1.0
        return (x + p) % 1.0, p
    if kind == INTERMITTENT:
        s = 2.0 * x - 1.0                                   # the map lives on [-1, 1)
        side = 1.0 if s >= 0.0 else -1.0
        s = abs(s)
        if s < 0.5 / a:                                     # inner branch: the image has the other sign
            v = 1.0 - (2.0 * a * s) ** (1.0 / a)
            weight = 0.5 * (1.0 - v) ** (a - 1.0)
            return 0.5 * (1.0 - side * v), weight * y
        v = _solve_inner(s, a)
        weight = 0.5 * (1.0 - v) ** (a - 1.0)
        return 0.5 * (1.0 + side * v), weight + (1.0 - weight) * y
    p, q = a * (2.0 * y - 1.0), a * (2.0 * x - 1.0)
    if kind == HARMONIC:
        q, p = q * math.cos(1.0) + p * math.sin(1.0), p * math.cos(1.0) - q * math.sin(1.0)
    else:
        q, p = _fourth(q, p, 1.0)
    return 0.5 * (q / a + 1.0), 0.5 * (p / a + 1.0)


@inner
def inverse_image(kind, a, x, y):
    """The point whose image is (x, y)."""
    if kind == CAT:
        return (2.0 * x - y) % 1.0, (y - x) % 1.0
    if kind == BAKER:
        if y < a:
            return a * x, y / a
        return a + (1.0 - a) * x, (y - a) / (1.0 - a)
    if kind == ROTOR:
        q = (x - y) % 1.0
        return q, (y - a / (2.0 * math.pi) * math.sin(2.0 * math.pi * q)) % 1.0
    if kind == INTERMITTENT:
        s = 2.0 * x - 1.0
        side = 1.0 if s >= 0.0 else -1.0
        v = abs(s)
        weight = 0.5 * (1.0 - v) ** (a - 1.0)
        if y < weight:
            return 0.5 * (1.0 - side * (1.0 - v) ** a / (2.0 * a)), y / weight
        return 0.5 * (1.0 + side * _inner(v, a)), (y - weight) / (1.0 - weight)
    p, q = a * (2.0 * y - 1.0), a * (2.0 * x - 1.0)
    if kind == HARMONIC:
        q, p = q * math.cos(1.0) - p * math.sin(1.0), p * math.cos(1.0) + q * math.sin(1.0)
    else:
        q, p = _fourth(q, p, -1.0)
    return 0.5 * (q / a + 1.0), 0.5 * (p / a + 1.0)


@inner
def hashed(seed, point, step):
    """A number in [0, 1) of (seed, point, step): three rounds of splitmix64 (Steele, Lea, Flood, 2014)."""
    h = np.uint64(seed)
    for word in (np.uint64(point), np.uint64(step)):
        h += word * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0xD1B54A32D192ED03)
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        h ^= h >> np.uint64(31)
    return np.float64(h >> np.uint64(11)) * 2.0 ** -53


@njit(cache=True, error_model="numpy")
def fill_cell(cx, cy, grid, seed, first, x, y):
    """Points number `first` and following spread evenly at random over cell (cx, cy) of a grid x grid partition."""
    for i in range(x.shape[0]):
        x[i] = (cx + hashed(seed, first + i, 0)) / grid
        y[i] = (cy + hashed(seed, first + i, 1)) / grid


@njit(cache=True, error_model="numpy")
def scatter_in_cells(grid, seed, first, step, x, y):
    """Each point gets a new random place in the cell where it is: what is known is now the cell, nothing finer."""
    for i in range(x.shape[0]):
        x[i] = (min(int(x[i] * grid), grid - 1) + hashed(seed, first + i, 2 * step)) / grid
        y[i] = (min(int(y[i] * grid), grid - 1) + hashed(seed, first + i, 2 * step + 1)) / grid


@njit(cache=True, error_model="numpy")
def move_points(kind, a, forward, x, y):
    """Every point to its image, or back."""
    for i in range(x.shape[0]):
        x[i], y[i] = image(kind, a, x[i], y[i]) if forward else inverse_image(kind, a, x[i], y[i])


@njit(cache=True, error_model="numpy")
def count_cells(x, y, grid, counts):
    """counts (grid^2,) int64 of points by cell; points outside the unit square go to the nearest cell."""
    counts[:] = 0
    for i in range(x.shape[0]):
        cx = max(0, min(int(x[i] * grid), grid - 1))
        cy = max(0, min(int(y[i] * grid), grid - 1))
        counts[cx + grid * cy] += 1


@njit(cache=True, error_model="numpy")
def move_whole(forward, x, y):
    """The cat map on uint64 coordinates, exactly: (x + y, x + 2 y) modulo 2^64, or back."""
    for i in range(x.shape[0]):
        if forward:
            x[i] += y[i]
            y[i] += x[i]
        else:
            y[i] -= x[i]
            x[i] -= y[i]


@njit(cache=True, error_model="numpy")
def count_whole(x, y, bits, counts):
    """counts (4^bits,) int64 by cell of a 2^bits x 2^bits partition of the uint64 torus."""
    counts[:] = 0
    shift = np.uint64(64 - bits)
    for i in range(x.shape[0]):
        counts[(x[i] >> shift) + ((y[i] >> shift) << np.uint64(bits))] += 1


@inner
def _jacobian(kind, a, b, x, y, j):
    """Jacobian (2, 2) of a map at (x, y)."""
    if kind == CAT:
        j[0, 0], j[0, 1], j[1, 0], j[1, 1] = 1.0, 1.0, 1.0, 2.0
    elif kind == BAKER:
        stretch = a if x < a else 1.0 - a
        j[0, 0], j[0, 1], j[1, 0], j[1, 1] = 1.0 / stretch, 0.0, 0.0, stretch
    elif kind == ROTOR:
        c = a * math.cos(2.0 * math.pi * x)
        j[0, 0], j[0, 1], j[1, 0], j[1, 1] = 1.0 + c, 1.0, c, 1.0
    else:
        j[0, 0], j[0, 1], j[1, 0], j[1, 1] = -2.0 * a * x, 1.0, b, 0.0


@njit(cache=True, error_model="numpy")
def map_growth(kind, a, b, blocks, steps, point, seed, growth):
    """Lyapunov growth of a map: growth (blocks, 2) = sums over `steps` steps of the logarithms of the QR factors. point (2,) in place. The cat and baker
    maps lose their last bits (and with a = 1/2 all of them) in floating point: there each step restores the lowest bits at random, an error of 1e-15."""
    q, j = np.eye(2), np.empty((2, 2))
    for block in range(blocks):
        total0, total1 = 0.0, 0.0
        for s in range(steps):
            x, y = point[0], point[1]
            _jacobian(kind, a, b, x, y, j)
            q = j @ q
            r0 = math.hypot(q[0, 0], q[1, 0])
            det = q[0, 0] * q[1, 1] - q[0, 1] * q[1, 0]
            q[0, 0] /= r0
            q[1, 0] /= r0
            total0 += math.log(r0)
            total1 += math.log(abs(det) / r0)
            q[0, 1], q[1, 1] = -q[1, 0], q[0, 0]
            if kind == HENON:
                point[0], point[1] = 1.0 - a * x * x + y, b * x
            else:
                x, y = image(kind, a, x, y)
                point[0] = (x + 1e-15 * hashed(seed, block, s)) % 1.0
                point[1] = y
        growth[block, 0], growth[block, 1] = total0, total1


@inner
def _lorenz(s, w, sigma, rho, beta, rate, drift):
    x, y, z = s[0], s[1], s[2]
    rate[0], rate[1], rate[2] = sigma * (y - x), x * (rho - z) - y, x * y - beta * z
    for c in range(3):
        drift[0, c] = sigma * (w[1, c] - w[0, c])
        drift[1, c] = (rho - z) * w[0, c] - w[1, c] - x * w[2, c]
        drift[2, c] = y * w[0, c] + x * w[1, c] - beta * w[2, c]


@njit(cache=True, error_model="numpy")
def lorenz_growth(blocks, steps, step, sigma, rho, beta, s, growth):
    """Lorenz-63 by fourth-order Runge-Kutta with its tangent flow; growth (blocks, 3) logarithms of the QR factors; s (3,) in place."""
    w = np.eye(3)
    rate, drift = np.empty(3), np.empty((3, 3))
    for block in range(blocks):
        for n in range(steps):
            s1, w1, ds, dw = s.copy(), w.copy(), np.zeros(3), np.zeros((3, 3))
            for stage in range(4):
                _lorenz(s1, w1, sigma, rho, beta, rate, drift)
                weight = step / 6.0 if stage == 0 or stage == 3 else step / 3.0
                ds += weight * rate
                dw += weight * drift
                node = step if stage == 2 else 0.5 * step
                s1 = s + node * rate
                w1 = w + node * drift
            s += ds
            w += dw
            for c in range(3):
                for b in range(c):
                    dot = w[0, b] * w[0, c] + w[1, b] * w[1, c] + w[2, b] * w[2, c]
                    for r in range(3):
                        w[r, c] -= dot * w[r, b]
                size = math.sqrt(w[0, c] ** 2 + w[1, c] ** 2 + w[2, c] ** 2)
                growth[block, c] += math.log(size)
                for r in range(3):
                    w[r, c] /= size
