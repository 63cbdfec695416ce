"""Numba loops over a periodic grid of energies: bond-valence sums at its points, and the energies at which it percolates."""
import math

import numpy as np

from . import inner, njit


@njit(cache=True, error_model="numpy")
def add_site_energy(origin, steps, shape, ions, kind, cutoff, morse, screened, out):
    """out (nx, ny, nz) += energies of a test ion at origin + i steps[0] + j steps[1] + k steps[2] with `ions` (n, 3) within `cutoff`. `morse` (kinds, 3):
    D0, r_min, alpha (D0 = 0: none); `screened` (kinds, 2): prefactor eV angstrom and screening length angstrom of the repulsion (0: none)."""
    limit = cutoff * cutoff
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(shape[2]):
                x = origin[0] + i * steps[0, 0] + j * steps[1, 0] + k * steps[2, 0]
                y = origin[1] + i * steps[0, 1] + j * steps[1, 1] + k * steps[2, 1]
                z = origin[2] + i * steps[0, 2] + j * steps[1, 2] + k * steps[2, 2]
                total = 0.0
                for n in range(len(ions)):
                    r2 = (ions[n, 0] - x) ** 2 + (ions[n, 1] - y) ** 2 + (ions[n, 2] - z) ** 2
                    if r2 < limit:
                        r, t = np.sqrt(r2), kind[n]
                        if morse[t, 0] != 0.0:
                            total += morse[t, 0] * ((np.exp(morse[t, 2] * (morse[t, 1] - r)) - 1.0) ** 2 - 1.0)
                        if screened[t, 0] != 0.0:
                            total += screened[t, 0] / max(r, 1e-3) * math.erfc(r / screened[t, 1])
                out[i, j, k] += total


@njit(cache=True)
def _find(parent, offset, a, walk):
    """Root of voxel `a`; walk (3,) becomes its lattice offset from the root. Paths are shortened on the way."""
    root = a
    walk[:] = 0
    while parent[root] != root:
        for d in range(3):
            walk[d] += offset[root, d]
        root = parent[root]
    rest = walk.copy()
    while parent[a] != root and a != root:
        up = parent[a]
        for d in range(3):
            step = offset[a, d]
            offset[a, d] = rest[d]
            rest[d] -= step
        parent[a] = root
        a = up
    return root


@inner
def _rank_with(basis, rank, vector):
    """Adds an integer vector to the rows basis[:rank] if it is independent of them; the new rank."""
    if rank == 0:
        if vector[0] == 0 and vector[1] == 0 and vector[2] == 0:
            return 0
    elif rank == 1:
        b = basis[0]
        if b[1] * vector[2] == b[2] * vector[1] and b[2] * vector[0] == b[0] * vector[2] and b[0] * vector[1] == b[1] * vector[0]:
            return 1
    elif rank == 2:
        a, b = basis[0], basis[1]
        volume = (vector[0] * (a[1] * b[2] - a[2] * b[1]) + vector[1] * (a[2] * b[0] - a[0] * b[2]) + vector[2] * (a[0] * b[1] - a[1] * b[0]))
        if volume == 0:
            return 2
    else:
        return 3
    basis[rank] = vector
    return rank + 1


@njit(cache=True)
def percolate(energy, order, thresholds):
    """Voxels of `energy` (nx, ny, nz, periodic) are opened in the `order` of rising energy (flat indices); neighbours share a face, an edge or a corner.
    thresholds (3,) become the energies at which one cluster first connects to its own images along 1, 2 and 3 independent lattice vectors; those that are
    not reached stay as they are. Union-find with lattice offsets: a link inside a cluster whose offset is not zero winds around the cell."""
    nx, ny, nz = energy.shape
    flat = energy.ravel()
    size = flat.size
    parent, offset = np.full(size, -1, np.int64), np.zeros((size, 3), np.int32)
    rank, basis = np.zeros(size, np.int8), np.zeros((size, 3, 3), np.int32)
    here, there, link = np.zeros(3, np.int32), np.zeros(3, np.int32), np.zeros(3, np.int32)
    reached = 0
    for a in order:
        parent[a] = a
        i, j, k = a // (ny * nz), a // nz % ny, a % nz
        for di in range(-1, 2):
            for dj in range(-1, 2):
                for dk in range(-1, 2):
                    if di == 0 and dj == 0 and dk == 0:
                        continue
                    p, q, s = i + di, j + dj, k + dk
                    link[0], link[1], link[2] = p // nx, q // ny, s // nz
                    b = ((p % nx) * ny + q % ny) * nz + s % nz
                    if parent[b] < 0:
                        continue
                    first, second = _find(parent, offset, a, here), _find(parent, offset, b, there)
                    # place of b's root as seen from a's root: (offset of a) + link - (offset of b)
                    for d in range(3):
                        link[d] += here[d] - there[d]
                    if first == second:
                        rank[first] = _rank_with(basis[first], rank[first], link)
                    else:
                        parent[second] = first
                        offset[second] = link
                        for n in range(rank[second]):
                            rank[first] = _rank_with(basis[first], rank[first], basis[second, n])
                    while reached < rank[first]:
                        thresholds[reached] = flat[a]
                        reached += 1
        if reached == 3:
            return
