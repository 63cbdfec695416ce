"""Starting points of disc gases for tests, and the slow twin of the whole-number kicks."""
import numpy as np

from hpcnemd.dynamics.reversible import DiscGas


def half_box(n, density=0.3, seed=1):
    """(length, positions, velocities): a lattice in the left half, Maxwell velocities at T = 1 without total momentum."""
    length = np.sqrt(n / density)
    rows = int(np.ceil(np.sqrt(2 * n)))
    columns = -(-n // rows)
    k = np.arange(n)
    position = np.column_stack([(k // rows + 0.5) * length / 2 / columns, (k % rows + 0.5) * length / rows])
    velocity = np.random.default_rng(seed).normal(size=(n, 2))
    return length, position, velocity - velocity.mean(axis=0)


def disc_gas(comm, n, arithmetic="int64", timestep=0.004, seed=1, density=0.3):
    length, position, velocity = half_box(n, density, seed)
    gas = DiscGas(comm, length, timestep, arithmetic)
    gas.load(position, velocity)
    return gas


def there_and_back(gas, steps):
    """(mismatching discs, rms position error, hash before, hash after) on rank 0; the hashes on all ranks."""
    before, start = gas.sha256(), gas.gather()
    gas.advance(steps)
    gas.reverse()
    gas.advance(steps)
    gas.reverse()
    after, end = gas.sha256(), gas.gather()
    if start is None:
        return None, None, before, after
    apart = gas.coordinates(end[0]) - gas.coordinates(start[0])
    apart -= gas.length * np.rint(apart / gas.length)
    different = ((start[0] != end[0]) | (start[1] != end[1])).any(axis=1).sum()
    return int(different), float(np.sqrt((apart**2).sum(axis=1).mean())), before, after


def twin_kicks(position, length, timestep):
    """Whole-number kicks (N, 2) over all pairs, in plain numpy and Python integers; `position` uint64 (N, 2)."""
    n, scale = len(position), 2.0**64 * timestep**2 / length
    kick = np.zeros((n, 2), np.int64)
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            with np.errstate(over="ignore"):
                d = (position[i] - position[j]).astype(np.int64).astype(np.float64) * (length * 2.0**-64)
            r2 = d[0] * d[0] + d[1] * d[1]
            if r2 < 2.0 ** (1 / 3):
                inverse = 1.0 / r2
                six = inverse * inverse * inverse
                strength = 24.0 * (2.0 * six * six - six) * inverse * scale
                kick[i] += np.rint(strength * d).astype(np.int64)
    return kick
