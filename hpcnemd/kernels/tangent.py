"""Tangent dynamics of soft particles: Lennard-Jones and its repulsive part, every pair, periodic square or cube, sigma = epsilon = mass = 1.

Tangent vectors are columns: dq, dp (n, dimensions, k), k of them side by side so that the inner loops run over them."""
import numpy as np

from . import inner, njit

FAST = {"contract", "arcp", "nsz"}          # no reassociation: sums repeat bit for bit


@njit(cache=True, error_model="numpy", fastmath=FAST)
def forces(position, length, cutoff_squared, dq, force, df, along):
    """force (n, d) and its derivative along each column, df (n, d, k) = sum over pairs of the Hessian times dq; `along` (k,) is work space.

    Of the pair energy u: A = u'/r, B = (u'' - u'/r)/r^2, change of the force -(A dr + B (r . dr) r). Returns the sum of pair energies,
    which vanish at the cutoff."""
    n, d, k = dq.shape
    force[:] = 0.0
    df[:] = 0.0
    r = np.empty(3)
    energy, far = 0.0, 1.0 / (cutoff_squared * cutoff_squared * cutoff_squared)
    shift = 4.0 * (far * far - far)
    for i in range(n - 1):
        for j in range(i + 1, n):
            square = 0.0
            for a in range(d):
                x = position[i, a] - position[j, a]
                x -= length * np.rint(x / length)
                r[a] = x
                square += x * x
            if square >= cutoff_squared:
                continue
            inverse = 1.0 / square
            six = inverse * inverse * inverse
            strength = 24.0 * (2.0 * six * six - six) * inverse
            bend = 96.0 * (7.0 * six * six - 2.0 * six) * inverse * inverse
            energy += 4.0 * (six * six - six) - shift
            along[:] = 0.0
            for a in range(d):
                force[i, a] += strength * r[a]
                force[j, a] -= strength * r[a]
                for c in range(k):
                    along[c] += r[a] * (dq[i, a, c] - dq[j, a, c])
            for a in range(d):
                for c in range(k):
                    change = strength * (dq[i, a, c] - dq[j, a, c]) - bend * r[a] * along[c]
                    df[i, a, c] += change
                    df[j, a, c] -= change
    return energy


@njit(cache=True, error_model="numpy", fastmath=FAST)
def leapfrog(steps, step, length, cutoff_squared, q, p, dq, dp, force, df, along):
    """Steps of half drift, kick, half drift, and their exact linearisation, which is symplectic as they are. q, p (n, d) in place.
    Returns (mean kinetic energy, mean potential energy) over the steps, at the times of the kicks (kinetic: mean of before and after)."""
    h, kinetic, potential = 0.5 * step, 0.0, 0.0
    q += h * p
    dq += h * dp
    for s in range(steps):
        potential += forces(q, length, cutoff_squared, dq, force, df, along)
        kinetic += 0.25 * np.sum(p * p)
        p += step * force
        dp += step * df
        kinetic += 0.25 * np.sum(p * p)
        last = h if s == steps - 1 else step            # two half drifts between kicks are one
        q += last * p
        dq += last * dp
    return kinetic / steps, potential / steps


@inner(fastmath=FAST)
def _isokinetic(length, cutoff_squared, colour, field, q, p, dq, dp, rate_p, rate_dp, along):
    """Rates of change of p and dp; returns (multiplier alpha, current sum c p_x)."""
    n, d, k = dq.shape
    forces(q, length, cutoff_squared, dq, rate_p, rate_dp, along)
    work, square, current = 0.0, 0.0, 0.0
    for i in range(n):
        rate_p[i, 0] += colour[i] * field
        current += colour[i] * p[i, 0]
        for a in range(d):
            work += rate_p[i, a] * p[i, a]
            square += p[i, a] * p[i, a]
    alpha = work / square
    along[:] = 0.0
    for i in range(n):
        for a in range(d):
            for c in range(k):
                along[c] += rate_dp[i, a, c] * p[i, a] + (rate_p[i, a] - 2.0 * alpha * p[i, a]) * dp[i, a, c]
    for i in range(n):
        for a in range(d):
            for c in range(k):
                rate_dp[i, a, c] -= along[c] / square * p[i, a] + alpha * dp[i, a, c]
            rate_p[i, a] -= alpha * p[i, a]
    return alpha, current


@njit(cache=True, error_model="numpy", fastmath=FAST)
def isokinetic(steps, step, length, cutoff_squared, colour, field, q, p, dq, dp):
    """Runge-Kutta steps (fourth order) of q' = p, p' = F + c field x - alpha p with fixed kinetic energy, and of its tangent vectors.
    colour (n,). Returns the time integrals of alpha and of the current sum c p_x over the steps, by the same rule."""
    n, d, k = dq.shape
    alphas, currents = 0.0, 0.0
    along = np.empty(k)
    kp, kdp = np.empty((n, d)), np.empty((n, d, k))
    weights, nodes = (1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0), (0.0, 0.5, 0.5, 1.0)
    for _ in range(steps):
        q1, p1, dq1, dp1 = q.copy(), p.copy(), dq.copy(), dp.copy()
        sq, sp, sdq, sdp = np.zeros((n, d)), np.zeros((n, d)), np.zeros((n, d, k)), np.zeros((n, d, k))
        for stage in range(4):
            alpha, current = _isokinetic(length, cutoff_squared, colour, field, q1, p1, dq1, dp1, kp, kdp, along)
            w = weights[stage]
            alphas += step * w * alpha
            currents += step * w * current
            sq += w * p1
            sp += w * kp
            sdq += w * dp1
            sdp += w * kdp
            if stage < 3:
                h = step * nodes[stage + 1]
                q1 = q + h * p1
                dq1 = dq + h * dp1
                p1 = p + h * kp
                dp1 = dp + h * kdp
        q += step * sq
        p += step * sp
        dq += step * sdq
        dp += step * sdp
    return alphas, currents
