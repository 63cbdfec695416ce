"""The smallest supercell of a lattice whose edges are at right angles, within a strain that the user allows."""
import itertools

import numpy as np

REACH = 7               # lattice coordinates that are looked at, of the reduced cell
FEWEST = 24             # lattice vectors kept beside each pair: the third edge is among the shortest along their normal


def is_orthorhombic(cell):
    """Whether the rows of `cell` (3, 3) lie along x, y and z."""
    cell = np.asarray(cell, dtype=np.float64)
    return bool(np.abs(cell - np.diag(np.diag(cell))).max() <= 1e-8 * np.abs(cell).max())


def orthorhombic_matrix(cell, strain, largest=200):
    """(P (3, 3) integers, edges (3,), strain) with P @ cell orthorhombic after a strain of at most `strain`, and the fewest cells (at most `largest`);
    None where there is none. `edges`: of the strained box, of the same volume. The strain is the largest absolute eigenvalue of the Green-Lagrange
    tensor of P @ cell -> diag(edges)."""
    from ase.build.niggli import niggli_reduce_cell
    cell = np.asarray(cell, dtype=np.float64)
    reduced, change = niggli_reduce_cell(cell)
    reduced, change = np.asarray(reduced), np.round(np.asarray(change)).astype(int).T
    if np.abs(_lengths(change @ cell) - _lengths(reduced)).max() > 1e-6 * np.abs(cell).max():
        reduced, change = cell, np.eye(3, dtype=int)
    index = np.stack(np.meshgrid(*[np.arange(-REACH, REACH + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    index = index[np.lexsort(index.T)][len(index) // 2 + 1:]                # one of each pair v, -v
    vector = index @ reduced
    length = _lengths(vector)
    order = np.argsort(length, kind="stable")
    index, vector, length = index[order], vector[order], length[order]
    unit = vector / length[:, None]
    slant = 2.5 * strain + 1e-9                                             # cosine of the angle that a strain can close, with a margin
    cosine = np.abs(unit @ unit.T)
    best, volume = None, abs(np.linalg.det(reduced))
    for i in range(len(index)):
        if best is not None and length[i] ** 3 > best[0] * volume * (1 + 6 * strain) + 1e-9:
            break                                                           # i is the shortest edge: nothing smaller is left
        beside = np.flatnonzero(cosine[i] <= slant)
        beside = beside[beside > i]
        for a, j in enumerate(beside):
            if best is not None and length[i] * length[j] ** 2 > best[0] * volume * (1 + 6 * strain) + 1e-9:
                break
            thirds = beside[a + 1:][cosine[j, beside[a + 1:]] <= slant][:FEWEST]
            for k in thirds:
                matrix = index[[i, j, k]]
                cells = int(round(np.linalg.det(matrix)))
                if cells == 0 or abs(cells) > largest or best is not None and abs(cells) > best[0]:
                    continue
                if cells < 0:
                    matrix = -matrix
                off, edges = _strain(matrix @ reduced)
                if off <= strain + 1e-9 and (best is None or (abs(cells), round(off, 9)) < (best[0], round(best[1], 9))):
                    best = abs(cells), off, matrix, edges
    if best is None:
        return None
    return (*_along_axes(best[2] @ change, cell, best[3]), best[1])


def _along_axes(matrix, cell, edges):
    """The rows in the order and with the signs that lie nearest to x, y, z of the given cell, right-handed."""
    unit = matrix @ cell / _lengths(matrix @ cell)[:, None]
    order = max(itertools.permutations(range(3)), key=lambda rows: round(float(sum(abs(unit[row, axis]) for axis, row in enumerate(rows))), 9))
    matrix, unit, edges = matrix[list(order)], unit[list(order)], edges[list(order)]
    signs = np.where(np.diag(unit) < -1e-9, -1, 1)
    if np.linalg.det(unit) * np.prod(signs) < 0:
        signs[int(np.argmin(np.abs(np.diag(unit))))] *= -1
    return matrix * signs[:, None], edges


def _lengths(vectors):
    return np.linalg.norm(vectors, axis=-1)


def _strain(cell):
    """(largest strain, edges) of the way from `cell` to the box of its edge lengths, scaled to the same volume."""
    edges = _lengths(cell)
    edges = edges * (abs(np.linalg.det(cell)) / np.prod(edges)) ** (1 / 3)
    gradient = np.linalg.inv(cell) @ np.diag(edges)
    return float(np.abs(np.linalg.eigvalsh(0.5 * (gradient @ gradient.T - np.eye(3)))).max()), edges


def orthorhombic_supercell(atoms, strain):
    """(Atoms in an orthorhombic box with its edges along x, y, z, P, strain), or None. Arrays and info of the Atoms are kept."""
    from ase.build import make_supercell
    found = orthorhombic_matrix(atoms.cell.array, strain)
    if found is None:
        return None
    matrix, edges, off = found
    whole = make_supercell(atoms, matrix)
    whole.info.update(atoms.info)
    whole.set_cell(np.diag(edges), scale_atoms=True)
    return whole, matrix, off
