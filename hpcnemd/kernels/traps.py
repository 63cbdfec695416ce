"""One particle in a harmonic trap and a heat bath, eight replicas in lanes. Energies in units of the deck, k_B = 1.

Arrays of results are flat: sample s of replica r at s * n + r, n the (padded) number of replicas. A replica's numbers depend on its id alone:
every lane goes through the same instructions. Heat is what the bath received."""

from . import njit
from .lane_normals import LANES, load, normal_pair, round_keys, splat, store
from .simd import fma


@njit(cache=True, error_model="numpy")
def dragged_overdamped(key, ids, branch, steps, every, c, start, position0, position, work):
    """Overdamped particle in a trap that moves at constant speed, y = x - v t: exact joint steps of y and of the integral of y.

    c (7,): y' = c0 y + c1 + c2 g1; integral = c3 y + c4 + c5 g1 + c6 g2, where the work is that integral (c3 to c6 hold the factor -k v).
    start (2,): mean and standard deviation of y at the start. position0 (n,); position, work (steps // every * n,)."""
    keys, n = round_keys(key), ids.shape[0]
    for b in range(0, n, LANES):
        lane = load(ids, b)
        g, unused = normal_pair(keys, lane, branch, 0, 1)
        y = fma(g, start[1], splat(start[0]))
        store(position0, b, y)
        w = splat(0.0)
        for j in range(steps):
            g, h = normal_pair(keys, lane, branch, j, 0)
            w = w + fma(y, c[3], fma(g, c[5], fma(h, c[6], splat(c[4]))))
            y = fma(y, c[0], fma(g, c[2], splat(c[1])))
            if (j + 1) % every == 0:
                k = ((j + 1) // every - 1) * n + b
                store(position, k, y)
                store(work, k, w)


@njit(cache=True, error_model="numpy")
def overdamped(key, ids, branch, every, centre, stiffness, decay, spread, start, position0, position, work, heat):
    """Overdamped particle, stepwise protocol: jumps of `centre`, `stiffness` (steps + 2,), between them the exact Ornstein-Uhlenbeck step
    x' = centre + (x - centre) decay + spread g; `decay`, `spread` (steps + 2,). The last sample is taken after the last jump."""
    keys, n, steps = round_keys(key), ids.shape[0], centre.shape[0] - 2
    samples = position.shape[0] // n
    for b in range(0, n, LANES):
        lane = load(ids, b)
        g, unused = normal_pair(keys, lane, branch, 0, 1)
        h = g
        x = fma(g, start[1], splat(start[0]))
        store(position0, b, x)
        w, q = splat(0.0), splat(0.0)
        for j in range(1, steps + 1):
            y, z = x - centre[j - 1], x - centre[j]
            before = z * z * (0.5 * stiffness[j])
            w = w + (before - y * y * (0.5 * stiffness[j - 1]))
            if j & 1:
                g, h = normal_pair(keys, lane, branch, j, 0)
                z = fma(z, decay[j], g * spread[j])
            else:
                z = fma(z, decay[j], h * spread[j])
            q = q + (before - z * z * (0.5 * stiffness[j]))
            x = z + centre[j]
            if j % every == 0 and j // every < samples:
                k = (j // every - 1) * n + b
                store(position, k, x)
                store(work, k, w)
                store(heat, k, q)
        y, z = x - centre[steps], x - centre[steps + 1]
        w = w + (z * z * (0.5 * stiffness[steps + 1]) - y * y * (0.5 * stiffness[steps]))
        k = (samples - 1) * n + b
        store(position, k, x)
        store(work, k, w)
        store(heat, k, q)


@njit(cache=True, error_model="numpy")
def underdamped(key, ids, branch, every, centre, stiffness, mass, step, c1, c2, start, position0, velocity0, position, velocity, work, heat):
    """The same with inertia: BAOAB (Leimkuhler and Matthews, 2013), v' = c1 v + c2 g in its middle. start (3,): mean and standard deviation of x,
    standard deviation of v. Heat is the change of kinetic energy in the O step; energy change - work + heat is the integrator's shadow work."""
    keys, n, steps = round_keys(key), ids.shape[0], centre.shape[0] - 2
    samples = position.shape[0] // n
    half = 0.5 * step
    for b in range(0, n, LANES):
        lane = load(ids, b)
        g, h = normal_pair(keys, lane, branch, 0, 1)
        x = fma(g, start[1], splat(start[0]))
        v = h * start[2]
        store(position0, b, x)
        store(velocity0, b, v)
        w, q = splat(0.0), splat(0.0)
        for j in range(1, steps + 1):
            y, z = x - centre[j - 1], x - centre[j]
            w = w + (z * z * (0.5 * stiffness[j]) - y * y * (0.5 * stiffness[j - 1]))
            a = -half * stiffness[j] / mass
            v = fma(z, a, v)
            x = fma(v, half, x)
            if j & 1:
                g, h = normal_pair(keys, lane, branch, j, 0)
                u = fma(v, c1, g * c2)
            else:
                u = fma(v, c1, h * c2)
            q = q + (v * v - u * u) * (0.5 * mass)
            x = fma(u, half, x)
            v = fma(x - centre[j], a, u)
            if j % every == 0 and j // every < samples:
                k = (j // every - 1) * n + b
                store(position, k, x)
                store(velocity, k, v)
                store(work, k, w)
                store(heat, k, q)
        y, z = x - centre[steps], x - centre[steps + 1]
        w = w + (z * z * (0.5 * stiffness[steps + 1]) - y * y * (0.5 * stiffness[steps]))
        k = (samples - 1) * n + b
        store(position, k, x)
        store(velocity, k, v)
        store(work, k, w)
        store(heat, k, q)
