"""A chain of unit masses between two heat baths at its ends; replicas in vector lanes.

H = sum_i p_i^2/2 + k2 q_i^2/2 + k4 q_i^4/4 + sum_l kappa r_l^2/2 + beta r_l^4/4, links r_l = q_{l+1} - q_l, l = 0..sites, walls q_0 = q_{sites+1} = 0: harmonic,
FPUT-beta (k2 = k4 = 0) and phi^4 chains. A step is BAOAB (Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34): half kick, half drift, exact
Ornstein-Uhlenbeck map of the momenta of sites 1 and `sites`, half drift, half kick; symmetric, of second order, symplectic away from the baths. The kicks that
meet between two steps are one kick, so that a site costs one force a step; nothing but the two end sites knows of the baths.

What is carried along is the state in the middle of that kick: positions q(t) and leaps, step times the momenta before the kick (those of a step earlier, after
its bath). Leaps, not momenta, because a run cut anywhere must go on to the last bit. `leaps_of` makes them from momenta, `momenta_of` gives momenta at t.

A replica's numbers depend on its id alone: each lane goes through the same instructions, and the last block is filled up with copies of the last replica.
Random numbers: one Philox call for both ends, a function of (key, replica id, branch, step). k_B = 1; heat is positive into the chain."""
import math

import numpy as np

from . import inner, njit
from .lane_normals import LANES, WIDE, load, normals_of_steps, round_keys, store
from .simd import choose_path, fma, lanes, load_like

_splat4, _splat8 = lanes(4).splat, lanes(8).splat
_LINE = 8                                   # float64s of a cache line
CHUNK = 32                                  # steps whose random numbers wait in the first cache together
LEDGER = ("heat_left", "heat_right", "entropy_left", "entropy_right")
SUMS = ("kinetic", "site_energy", "current")


def _forces(position, links, pinning):
    r = np.diff(position, axis=0, prepend=0.0, append=0.0)
    force = np.diff(r * (links[0] + links[1] * r * r), axis=0)
    return force if pinning is None else force - position * (pinning[0] + pinning[1] * position * position)


def leaps_of(position, momentum, step, links, pinning=None):
    """Leaps (sites, n) of momenta (sites, n) at the time of `position`. links: (kappa, beta); pinning: (k2, k4) or None."""
    return step * (momentum - 0.5 * step * _forces(position, links, pinning))


def momenta_of(position, leap, step, links, pinning=None):
    """Momenta (sites, n) at the time of `position`: those before the kick, and half of it."""
    return leap / step + 0.5 * step * _forces(position, links, pinning)


def heat_chains(key, ids, branch, first, every, samples, step, links, pinning, friction, temperature, position, leap, ledger, sums, path="auto"):
    """Moves n replicas by samples * every steps. Returns energy (samples, n), the total energy, and heat (samples, 2, n), the ledger's first two rows, of each sample.

    key (2,) 32-bit words; ids (n,) below 2^32; branch below 256. Steps are counted on from `first`, which is what the random numbers see. links (kappa, beta);
    pinning (k2, k4) or None (for no pinning, and for harmonic links with pinning, there is faster code); friction (left, right); temperature: those of the baths,
    (2,), or (2, samples * every) where they change.

    Moved on or added to in place, so that a run may come in parts, which change no bit: position, leap (sites, n), at least 2 sites; ledger (4, n), rows LEDGER: kinetic
    energy that the Ornstein-Uhlenbeck map gave to site 1, to the last site, and the same with each step's divided by its temperature (nothing where that is 0).
    sums (3, sites, n), contiguous, sums of SUMS over the samples (one costs about five steps). kinetic: squares of momenta, mean of those half a step before and
    after; their mean is exactly the temperature in a harmonic chain in equilibrium. site_energy: half of each link to either site, links at the walls to one.
    current from site i to i + 1 in row i (the last row is not used): -(p_i + p_{i+1}) F_i/2 with the tension F_i; its mean is the same along a stationary chain,
    and that of the heats, up to the square of the step.

    path: of `simd.available_paths`; it sets the width of vectors and not a bit of the result. Raises ValueError for arrays whose shapes do not fit."""
    sites, n = position.shape
    temperature = np.asarray(temperature, float).reshape(2, -1)
    fits = leap.shape == (sites, n) and ledger.shape == (4, n) and sums.shape == (3, sites, n) and sums.flags.c_contiguous and len(ids) == n
    if not fits or sites < 2 or n < 1 or temperature.shape[1] not in (1, samples * every):
        raise ValueError(f"{n} chains of {sites} sites: leap {leap.shape}, ledger {ledger.shape}, sums {sums.shape}, {len(ids)} ids, temperature {temperature.shape}")
    width = 8 if choose_path(path) == "avx512" else 4
    square, blocks = step * step, -(-n // LANES)
    x, u = _blocks(position, width, 1), _blocks(leap, width, 1)
    books, totals = _blocks(ledger, LANES), _blocks(sums.reshape(3 * sites, n), LANES)
    energy, heat = np.empty((samples, blocks * LANES)), np.empty((samples, 2, blocks * LANES))
    decay = np.exp(-step * np.asarray(friction, float))
    (_heat8 if width == 8 else _heat4)(np.array(key, np.int64), _filled(np.asarray(ids, np.int64)), branch, first, every, sites, n, step, (links[0] * square, links[1] * square),
                                       links[1] * square if pinning is None or links[1] else None, None if pinning is None else (pinning[0] * square, pinning[1] * square),
                                       decay, temperature[0], temperature[1], x, u, books, totals, energy.ravel(), heat.ravel(), 1 if pinning is None else None)
    _unblock(x, width, position, 1)
    _unblock(u, width, leap, 1)
    _unblock(books, LANES, ledger)
    _unblock(totals, LANES, sums.reshape(3 * sites, n))
    return energy[:, :n], heat[:, :, :n]


def _filled(rows):
    """(..., n) made a multiple of LANES long, with copies of the last one."""
    more = -rows.shape[-1] % LANES
    return np.concatenate([rows, np.repeat(rows[..., -1:], more, axis=-1)], axis=-1) if more else rows


def _blocks(rows, width, walls=0):
    """rows (m, n) as one array (blocks, m + 2 walls, width), flat, with rows of zeros for walls. It begins on a cache line: a vector across two lines costs two loads."""
    rows = _filled(rows)
    m, n = rows.shape
    whole = np.zeros((m + 2 * walls) * n + _LINE)
    first = -(whole.ctypes.data // whole.itemsize) % _LINE
    flat = whole[first:first + (m + 2 * walls) * n]
    flat.reshape(-1, m + 2 * walls, width)[:, walls:m + walls] = rows.reshape(m, -1, width).transpose(1, 0, 2)
    return flat


def _unblock(flat, width, rows, walls=0):
    """Rows (m, n) from what `_blocks` made of them."""
    m, n = rows.shape
    blocks = flat.reshape(-1, m + 2 * walls, width)[:, walls:m + walls].transpose(1, 0, 2)
    if n % LANES == 0 and rows.flags.c_contiguous:
        rows.reshape(m, -1, width)[:] = blocks
    else:
        rows[:] = blocks.reshape(m, -1)[:, :n]


@inner(forceinline=True)
def _link(x, u, xn, un, links, hard):
    """Kick of one link on its two sites. `hard` is None for harmonic links, else links[1]."""
    r = xn - x
    if hard is None:
        return fma(r, links[0], u), fma(-r, links[0], un)
    k = fma(r * r, hard, links[0])
    return fma(r, k, u), fma(-r, k, un)


@inner(forceinline=True)
def _bulk(x, u, xn, un, links, hard, pinning):
    """The link behind a site, and the drift of that site: (its position and leap after the step, leap of the next site)."""
    v, un = _link(x, u, xn, un, links, hard)
    if pinning is not None:
        v = fma(-x, fma(x * x, pinning[1], pinning[0]), v)
    return x + v, v, un


@inner(forceinline=True)
def _end(x, u, xn, un, links, hard, pinning, decay, noise, at, scale, inverse, books, row):
    """The same for a site with a bath, whose heat and entropy flow go into the books."""
    o, v, un = _bulk(x, u, xn, un, links, hard, pinning)
    w = fma(v, decay, load_like(noise, at, v))
    given = (w * w - v * v) * scale
    store(books, row, load_like(books, row, v) + given)
    store(books, row + 2 * LANES, fma(given, inverse, load_like(books, row + 2 * LANES, v)))
    return fma(w - v, 0.5, o), w, un


@inner
def _single(zero, width, sites, first, last, x, u, half, links, hard, pinning, decay, noise, scale, inverse, books):
    """Steps first to last - 1 of a chunk, for one vector of replicas."""
    for s in range(first, last):
        at, left, right = 2 * LANES * s + half, half, LANES + half
        x0 = load_like(x, width, zero)
        unused, u0 = _link(zero, zero, x0, load_like(u, width, zero), links, hard)
        xn, un = load_like(x, 2 * width, zero), load_like(u, 2 * width, zero)
        o, v, un = _end(x0, u0, xn, un, links, hard, pinning, decay[0], noise, at, scale, inverse[2 * s], books, left)
        store(x, width, o)
        store(u, width, v)
        for i in range(2, sites):
            x0, u0, xn, un = xn, un, load_like(x, width * (i + 1), zero), load_like(u, width * (i + 1), zero)
            o, v, un = _bulk(x0, u0, xn, un, links, hard, pinning)
            store(x, width * i, o)
            store(u, width * i, v)
        o, v, un = _end(xn, un, zero, zero, links, hard, pinning, decay[1], noise, at + LANES, scale, inverse[2 * s + 1], books, right)
        store(x, width * sites, o)
        store(u, width * sites, v)


@inner
def _paired(zero, width, sites, last, x, u, half, links, hard, pinning, decay, noise, scale, inverse, books):
    """Steps 0 to last - 1, an even number, of a chunk, two in one sweep; at least 3 sites. The second (y, w) follows one site behind the first (x, u), while a site is
    still in registers."""
    for s in range(0, last, 2):
        at, left, right = 2 * LANES * s + half, half, LANES + half
        then = at + 2 * LANES
        x0 = load_like(x, width, zero)
        unused, u0 = _link(zero, zero, x0, load_like(u, width, zero), links, hard)
        xn, un = load_like(x, 2 * width, zero), load_like(u, 2 * width, zero)
        y0, w0, un = _end(x0, u0, xn, un, links, hard, pinning, decay[0], noise, at, scale, inverse[2 * s], books, left)
        unused, w0 = _link(zero, zero, y0, w0, links, hard)
        x0, u0, xn, un = xn, un, load_like(x, 3 * width, zero), load_like(u, 3 * width, zero)
        yn, wn, un = _bulk(x0, u0, xn, un, links, hard, pinning)
        o, v, wn = _end(y0, w0, yn, wn, links, hard, pinning, decay[0], noise, then, scale, inverse[2 * s + 2], books, left)
        store(x, width, o)
        store(u, width, v)
        for i in range(3, sites):
            x0, u0, xn, un = xn, un, load_like(x, width * (i + 1), zero), load_like(u, width * (i + 1), zero)
            y0, w0 = yn, wn
            yn, wn, un = _bulk(x0, u0, xn, un, links, hard, pinning)
            o, v, wn = _bulk(y0, w0, yn, wn, links, hard, pinning)
            store(x, width * (i - 1), o)
            store(u, width * (i - 1), v)
        y0, w0 = yn, wn
        yn, wn, un = _end(xn, un, zero, zero, links, hard, pinning, decay[1], noise, at + LANES, scale, inverse[2 * s + 1], books, right)
        o, v, wn = _bulk(y0, w0, yn, wn, links, hard, pinning)
        store(x, width * (sites - 1), o)
        store(u, width * (sites - 1), v)
        o, v, wn = _end(yn, wn, zero, zero, links, hard, pinning, decay[1], noise, then + LANES, scale, inverse[2 * s + 3], books, right)
        store(x, width * sites, o)
        store(u, width * sites, v)


@njit(inline="always")
def _steps(zero, width, sites, m, x, u, half, links, hard, pinning, decay, noise, scale, inverse, books, pairs):
    """m steps, two at a time; `pairs` is None for one at a time: with pinning that is work enough for the loads and stores of a sweep."""
    done = 0
    if pairs is not None:
        done = m // 2 * 2 if sites > 2 else 0
        _paired(zero, width, sites, done, x, u, half, links, hard, pinning, decay, noise, scale, inverse, books)
    _single(zero, width, sites, done, m, x, u, half, links, hard, pinning, decay, noise, scale, inverse, books)


@inner
def _sample(zero, width, sites, x, u, half, links, pinning, scale, flow, sums):
    """Total energy of one block, whose profiles are added to the sums; the state stays as it is. Coefficients are those of leaps: `scale` = 1/(2 step^2) makes energies
    of their squares, `flow` = 1/(2 step^3) currents."""
    xn, pn, energy = load_like(x, width, zero), zero, zero
    w = xn * xn
    ahead, after = w * fma(w, 0.5 * links[1], links[0]), xn * fma(w, links[1], links[0])
    back = ahead                                # all of the wall's link; of the others a half
    for i in range(1, sites + 1):
        x0, p0, before, xn = xn, pn, after, load_like(x, width * (i + 1), zero)
        r = xn - x0
        w = r * r
        after = r * fma(w, links[1], links[0])
        ahead = w * fma(w, 0.5 * links[1], links[0]) * (0.5 if i < sites else 1.0)
        kick, e = after - before, back + ahead
        if pinning is not None:
            w = x0 * x0
            kick = fma(-x0, fma(w, pinning[1], pinning[0]), kick)
            e = fma(w, fma(w, 0.5 * pinning[1], pinning[0]), e)
        pn = fma(kick, 0.5, load_like(u, width * i, zero))
        e = fma(pn, pn, e) * scale
        energy, back = energy + e, ahead
        k = (i - 1) * LANES + half
        store(sums, k, fma(fma(kick * 0.25, kick, pn * pn), 2.0 * scale, load_like(sums, k, zero)))
        k += sites * LANES
        store(sums, k, load_like(sums, k, zero) + e)
        if i > 1:
            k += (sites - 1) * LANES
            store(sums, k, load_like(sums, k, zero) - (p0 + pn) * before * flow)
    return energy


@inner
def _noise(keys, who, branch, first, m, spread_left, spread_right, hot, cold, normals, noise, inverse):
    """What the baths give in m steps from `first` on: random parts of the leaps, 2 LANES a step, and 1/temperature, 2 a step. hot, cold: those of the steps, or one each.
    `normals`: as large as `noise`, to work in."""
    size = -(-m * LANES // WIDE) * WIDE
    normals_of_steps(keys, who, branch, first, normals[:2 * size])
    for j in range(m):
        left, right = hot[min(j, hot.shape[0] - 1)], cold[min(j, cold.shape[0] - 1)]
        store(noise, 2 * LANES * j, load(normals, LANES * j) * (spread_left * math.sqrt(left)))
        store(noise, 2 * LANES * j + LANES, load(normals, size + LANES * j) * (spread_right * math.sqrt(right)))
        inverse[2 * j], inverse[2 * j + 1] = 1.0 / left if left > 0.0 else 0.0, 1.0 / right if right > 0.0 else 0.0


@njit(inline="always")
def _run(zero, width, key, ids, branch, first, every, sites, n, step, links, hard, pinning, decay, hot, cold, position, leap, ledger, sums, energy, heat, pairs):
    size, lanes_in_all = (sites + 2) * width, ids.shape[0]
    samples, constant = energy.shape[0] // lanes_in_all, hot.shape[0] == 1
    scale, flow = 0.5 / (step * step), 0.5 / (step * step * step)
    spread_left, spread_right = step * math.sqrt(1.0 - decay[0] * decay[0]), step * math.sqrt(1.0 - decay[1] * decay[1])
    keys, normals, noise, inverse = round_keys(key), np.empty(2 * LANES * CHUNK), np.empty(2 * LANES * CHUNK), np.empty(2 * CHUNK)
    for b in range(0, n, LANES):
        who, books, totals = load(ids, b), ledger[4 * b:], sums[3 * sites * b:]
        done, begin, end = 0, 0, 0                  # steps; those whose random numbers wait
        for sample in range(samples):
            while done < (sample + 1) * every:
                if done == end:
                    begin, end = end, min(end + CHUNK, samples * every)
                    now = 0 if constant else begin
                    _noise(keys, who, branch, first + begin, end - begin, spread_left, spread_right, hot[now:], cold[now:], normals, noise, inverse)
                m, o = min(end, (sample + 1) * every) - done, done - begin
                for half in range(0, min(LANES, n - b), width):
                    at = (b + half) // width * size
                    _steps(zero, width, sites, m, position[at:], leap[at:], half, links, hard, pinning, decay, noise[2 * LANES * o:], scale, inverse[2 * o:], books, pairs)
                done += m
            for half in range(0, min(LANES, n - b), width):
                at, k = (b + half) // width * size, sample * lanes_in_all + b + half
                store(energy, k, _sample(zero, width, sites, position[at:], leap[at:], half, links, pinning, scale, flow, totals))
                store(heat, k + sample * lanes_in_all, load_like(books, half, zero))
                store(heat, k + (sample + 1) * lanes_in_all, load_like(books, LANES + half, zero))


@njit(cache=True, error_model="numpy")
def _heat4(key, ids, branch, first, every, sites, n, step, links, hard, pinning, decay, hot, cold, position, leap, ledger, sums, energy, heat, pairs):
    _run(_splat4(0.0), 4, key, ids, branch, first, every, sites, n, step, links, hard, pinning, decay, hot, cold, position, leap, ledger, sums, energy, heat, pairs)


@njit(cache=True, error_model="numpy")
def _heat8(key, ids, branch, first, every, sites, n, step, links, hard, pinning, decay, hot, cold, position, leap, ledger, sums, energy, heat, pairs):
    _run(_splat8(0.0), 8, key, ids, branch, first, every, sites, n, step, links, hard, pinning, decay, hot, cold, position, leap, ledger, sums, energy, heat, pairs)
