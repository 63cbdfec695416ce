"""A chain of beads on a line, one end fixed at 0, the other held by a harmonic trap whose centre moves. Links: kappa r^2/2 + beta r^4/4.

Three ways to move it: Langevin dynamics in lanes (`pull`), the same without bath in whole numbers (`pull_exactly`: what it does can be undone to the
last bit), and exact draws of the equilibrium at a fixed trap (`draw_start`)."""
import math

import numpy as np

from . import inner, njit
from .lane_normals import LANES, load, normal_pair, round_keys, splat, store
from .philox import philox4x32
from .simd import fma

MOST_TRIES = 100000
_TWO_PI = 2.0 * math.pi
_UNIT = 2.0**-52


@njit(cache=True, error_model="numpy")
def _pair(key, who, branch, step, draw):
    """Two standard normals and a uniform's 32 bits are not shared: one call of Philox gives the pair."""
    a, b, c, d = philox4x32(np.uint32(who), np.uint32(step), np.uint32(draw), np.uint32(branch), np.uint32(key[0]), np.uint32(key[1]))
    u = (np.float64((np.uint64(a) << np.uint64(20)) | (np.uint64(b) >> np.uint64(12))) + 0.5) * _UNIT
    v = (np.float64((np.uint64(c) << np.uint64(20)) | (np.uint64(d) >> np.uint64(12))) + 0.5) * _UNIT
    r = math.sqrt(-2.0 * math.log(u))
    return r * math.sin(_TWO_PI * v), r * math.cos(_TWO_PI * v), u


@njit(cache=True, error_model="numpy")
def draw_start(key, ids, branch, beads, kappa, beta, trap, mean, temperature, position):
    """Equilibrium positions (beads * n,), bead i of replica r at i * n + r, by rejection: links mean + u, where u is Gaussian with the stiffness
    kappa + beta mean^2 of each link and that of the trap, accepted with exp(-beta/(4 T) sum u^2 (2 mean + u)^2). `mean` solves the force
    balance kappa mean + beta mean^3 = trap (centre - beads mean). NaN where no try was accepted."""
    n = ids.shape[0]
    stiff = kappa + beta * mean * mean
    across, along = math.sqrt(temperature / stiff), math.sqrt(temperature / (stiff + beads * trap))
    g = np.empty(beads + 1)
    for r in range(n):
        found = False
        for attempt in range(MOST_TRIES):
            total = 0.0
            for i in range(0, beads, 2):
                a, b, unused = _pair(key, ids[r], branch, attempt, 16 + i)
                g[i], g[i + 1] = a, b
            for i in range(beads):
                total += g[i]
            total /= beads
            excess = 0.0
            for i in range(beads):
                u = across * (g[i] - total) + along * total
                g[i] = u
                excess += u * u * (2.0 * mean + u) * (2.0 * mean + u)
            unused1, unused2, chance = _pair(key, ids[r], branch, attempt, 15)
            if beta == 0.0 or chance < math.exp(-0.25 * beta * excess / temperature):
                found = True
                break
        x = 0.0 if found else math.nan
        for i in range(beads):
            x += mean + g[i]
            position[i * n + r] = x


@njit(cache=True, error_model="numpy")
def draw_velocities(key, ids, branch, beads, spread, velocity):
    """Maxwell velocities (beads * n,) of standard deviation `spread`."""
    keys, n = round_keys(key), ids.shape[0]
    for b in range(0, n, LANES):
        lane = load(ids, b)
        for i in range(0, beads, 2):
            g, h = normal_pair(keys, lane, branch, 0, 1000 + i)
            store(velocity, i * n + b, g * spread)
            if i + 1 < beads:
                store(velocity, (i + 1) * n + b, h * spread)


@njit(cache=True, error_model="numpy")
def chain_energy(n, beads, kappa, beta, trap, centre, mass, position, velocity, energy):
    """Total energy (n,) with the trap at `centre`."""
    for r in range(n):
        before, e = 0.0, 0.0
        for i in range(beads):
            x = position[i * n + r]
            d = x - before
            e += 0.5 * kappa * d * d + 0.25 * beta * d * d * d * d + 0.5 * mass * velocity[i * n + r] * velocity[i * n + r]
            before = x
        energy[r] = e + 0.5 * trap * (before - centre) * (before - centre)


@njit(cache=True, error_model="numpy")
def pull(key, ids, branch, first_draw, every, centre, trap, beads, kappa, beta, mass, step, c1, c2, position, velocity, end_position, work, heat):
    """Langevin dynamics (BAOAB on every bead) through the protocol `centre` (steps + 2,); position, velocity (beads * n,) are moved on.
    end_position, work, heat (samples * n,). `first_draw` keeps the random numbers of several stages apart (stages * beads < 2^20)."""
    keys, n, steps = round_keys(key), ids.shape[0], centre.shape[0] - 2
    samples = work.shape[0] // n
    half = 0.5 * step
    push = half / mass
    x, v, f = np.empty(beads * LANES), np.empty(beads * LANES), np.empty((beads + 1) * LANES)
    for b in range(0, n, LANES):
        lane = load(ids, b)
        for i in range(beads):
            store(x, i * LANES, load(position, i * n + b))
            store(v, i * LANES, load(velocity, i * n + b))
        w, q = splat(0.0), splat(0.0)
        last = (beads - 1) * LANES
        for j in range(1, steps + 1):
            end = load(x, last)
            y, z = end - centre[j - 1], end - centre[j]
            w = w + (z * z - y * y) * (0.5 * trap)
            before = splat(0.0)
            for i in range(beads):                              # tension of each link, then the trap as the last one
                here = load(x, i * LANES)
                d = here - before
                store(f, i * LANES, d * fma(d * d, beta, splat(kappa)))
                before = here
            store(f, beads * LANES, z * (-trap))
            g, h = z, z
            for i in range(beads):
                pulled = load(f, (i + 1) * LANES) - load(f, i * LANES)
                u = fma(pulled, push, load(v, i * LANES))
                here = fma(u, half, load(x, i * LANES))
                if i & 1:
                    g = h
                else:
                    g, h = normal_pair(keys, lane, branch, j, first_draw + i)
                after = fma(u, c1, g * c2)
                q = q + (u * u - after * after) * (0.5 * mass)
                store(x, i * LANES, fma(after, half, here))
                store(v, i * LANES, after)
            before = splat(0.0)
            for i in range(beads):
                here = load(x, i * LANES)
                d = here - before
                store(f, i * LANES, d * fma(d * d, beta, splat(kappa)))
                before = here
            store(f, beads * LANES, (before - centre[j]) * (-trap))
            for i in range(beads):
                store(v, i * LANES, fma(load(f, (i + 1) * LANES) - load(f, i * LANES), push, load(v, i * LANES)))
            if j % every == 0 and j // every < samples:
                k = (j // every - 1) * n + b
                store(end_position, k, load(x, last))
                store(work, k, w)
                store(heat, k, q)
        end = load(x, last)
        y, z = end - centre[steps], end - centre[steps + 1]
        w = w + (z * z - y * y) * (0.5 * trap)
        k = (samples - 1) * n + b
        store(end_position, k, end)
        store(work, k, w)
        store(heat, k, q)
        for i in range(beads):
            store(position, i * n + b, load(x, i * LANES))
            store(velocity, i * n + b, load(v, i * LANES))


@inner
def _link(d, kappa, beta, unit, scale):
    """Impulse of one link over a step in whole numbers; `d` in grid units: odd in d to the last bit, since every operation is."""
    r = np.float64(d) * unit
    return np.int64(np.rint(r * (kappa + beta * (r * r)) * scale))


@inner
def _jump(x, old, new, trap, unit, energy_unit):
    """Work of moving the trap, in whole energy units: odd under the exchange of `old` and `new`."""
    y, z = np.float64(x - old) * unit, np.float64(x - new) * unit
    return np.int64(np.rint(0.5 * trap * (z * z - y * y) / energy_unit))


@njit(cache=True, error_model="numpy")
def pull_exactly(n, beads, centre, trap, kappa, beta, mass, step, unit, energy_unit, backward, position, velocity, work):
    """Without bath, in whole numbers: int64 positions and displacements per step, (beads * n,), in units `unit`; `centre` (steps + 2,) int64 too;
    work (n,) int64 in `energy_unit`. Each force is rounded before it is added, so that a step is undone by the same numbers.

    A step forward is jump, drift by half a step's displacement rule X += V, then V += impulse (all at the new plateau); `backward` runs the steps of
    the reversed protocol in reversed order (the caller negates the velocities once): the state and the work come back exactly, with opposite sign."""
    steps = centre.shape[0] - 2
    scale = step * step / mass / unit
    for r in range(n):
        w = np.int64(0)
        last = (beads - 1) * n + r
        for j in range(1, steps + 1):
            w += _jump(position[last], centre[j - 1], centre[j], trap, unit, energy_unit)
            if not backward:
                for i in range(beads):
                    position[i * n + r] += velocity[i * n + r]
            before = np.int64(0)
            tension = np.int64(0)
            for i in range(beads):
                pulled = _link(position[i * n + r] - before, kappa, beta, unit, scale)
                if i:
                    velocity[(i - 1) * n + r] += pulled
                velocity[i * n + r] -= pulled
                before = position[i * n + r]
            velocity[last] -= _link(before - centre[j], trap, 0.0, unit, scale)
            if backward:
                for i in range(beads):
                    position[i * n + r] += velocity[i * n + r]
        w += _jump(position[last], centre[steps], centre[steps + 1], trap, unit, energy_unit)
        work[r] = w
