"""Hard discs or spheres, event by event, with tangent vectors (Dellago, Posch and Hoover, 1996). Diameter and mass 1, periodic square or cube."""
import math

import numpy as np

from . import inner, njit


@inner
def _meeting(i, j, q, p, length, reach):
    """(time from now until i meets an image of j or until that must be asked again, whether they meet). Images of the neighbouring boxes are enough
    for as long as the two move less than `reach` = 1.5 length - 1 relative to each other."""
    d = q.shape[1]
    v2 = 0.0
    for a in range(d):
        v2 += (p[j, a] - p[i, a]) ** 2
    if v2 == 0.0:
        return np.inf, False
    best, meets = reach / math.sqrt(v2), False
    for image in range(9 if d == 2 else 27):
        b, r2 = 0.0, 0.0
        code = image
        for a in range(d):
            x = q[j, a] - q[i, a]
            x += length * (code % 3 - 1 - np.rint(x / length))
            code //= 3
            r2 += x * x
            b += x * (p[j, a] - p[i, a])
        if b >= 0.0:
            continue
        root = b * b - v2 * (r2 - 1.0)
        if root < 0.0:
            continue
        t = max(0.0, (r2 - 1.0) / (-b + math.sqrt(root)))       # the form without cancellation; just after a touch rounding may say -1e-16
        if t < best:
            best, meets = t, True
    return best, meets


@inner
def _next_of(i, now, q, p, length, reach, when, partner):
    when[i], partner[i] = np.inf, -1
    for j in range(q.shape[0]):
        if j != i:
            t, meets = _meeting(i, j, q, p, length, reach)
            if now + t < when[i]:
                when[i], partner[i] = now + t, j if meets else -1


@inner
def _touch(i, j, q, p, dq, dp, length):
    """Elastic collision of i and j at contact, and its linearisation at the shifted time of the neighbouring trajectory."""
    d, k = q.shape[1], dq.shape[2]
    n, v = np.empty(3), np.empty(3)
    r, approach = 0.0, 0.0
    for a in range(d):
        x = q[j, a] - q[i, a]
        n[a] = x - length * np.rint(x / length)
        v[a] = p[j, a] - p[i, a]
        r += n[a] * n[a]
    r = math.sqrt(r)
    for a in range(d):
        n[a] /= r
        approach += v[a] * n[a]
    for c in range(k):
        apart, closing, turn = 0.0, 0.0, 0.0
        for a in range(d):
            apart += (dq[j, a, c] - dq[i, a, c]) * n[a]
            closing += (dp[j, a, c] - dp[i, a, c]) * n[a]
        delay = -apart / approach
        for a in range(d):
            turn += v[a] * (dq[j, a, c] - dq[i, a, c] + v[a] * delay)
        for a in range(d):
            tilt = dq[j, a, c] - dq[i, a, c] + v[a] * delay
            change = (closing + turn) * n[a] + approach * tilt
            dp[i, a, c] += change
            dp[j, a, c] -= change
        for a in range(d):
            dq[i, a, c] += apart * n[a]
            dq[j, a, c] -= apart * n[a]
    for a in range(d):
        p[i, a] += approach * n[a]
        p[j, a] -= approach * n[a]


@njit(cache=True, error_model="numpy")
def _stream(t, q, p, dq, dp, length):
    q += t * p
    q -= length * np.floor(q / length)
    dq += t * dp


@njit(cache=True, error_model="numpy")
def collide(duration, q, p, dq, dp, length, when, partner):
    """Exactly `duration` of motion; q, p (n, d), dq, dp (n, d, k) in place; when (n,), partner (n,) work space.
    Returns (collisions, smallest squared distance of two centres at the end, which must not be below 1 by more than rounding)."""
    n, now, count = q.shape[0], 0.0, 0
    reach = 1.5 * length - 1.0
    for i in range(n):
        _next_of(i, now, q, p, length, reach, when, partner)
    while True:
        i = int(np.argmin(when))
        t = when[i]
        if t >= duration:
            break
        _stream(t - now, q, p, dq, dp, length)
        now = t
        j = partner[i]
        if j < 0:
            _next_of(i, now, q, p, length, reach, when, partner)
            continue
        _touch(i, j, q, p, dq, dp, length)
        count += 1
        for m in range(n):
            if m == i or m == j or partner[m] == i or partner[m] == j:
                _next_of(m, now, q, p, length, reach, when, partner)
        for m in range(n):
            if m != i and m != j:
                for other in (i, j):
                    t, meets = _meeting(m, other, q, p, length, reach)
                    if now + t < when[m]:
                        when[m], partner[m] = now + t, other if meets else -1
    _stream(duration - now, q, p, dq, dp, length)
    closest = np.inf
    for i in range(n - 1):
        for j in range(i + 1, n):
            square = 0.0
            for a in range(q.shape[1]):
                x = q[j, a] - q[i, a]
                square += (x - length * np.rint(x / length)) ** 2
            closest = min(closest, square)
    return count, closest
