"""The periodic cell: a along x, b in the plane of x and y (the convention of LAMMPS and of most crystallographic files), tilted or not.

Everything that divides space (bricks, cells, the charge mesh, wave numbers) works in upright coordinates, which are fractional coordinates times `lengths`: there
a tilted cell is a box, and where nothing is tilted they are the positions themselves. Distances are taken between positions, never between upright coordinates."""
from dataclasses import dataclass

import numpy as np

from .errors import InputError

REDUCED = 0.5 + 1e-9        # of the edge before it: what a tilt may be
THINNEST = 0.05             # height over edge below which a cell is degenerate


@dataclass(frozen=True)
class Box:
    """A periodic cell with its origin at 0 and the vectors (lx, 0, 0), (xy, ly, 0), (xz, yz, lz). `lengths`: (3,) lx, ly, lz, angstrom; `skew`: (3,) xy / lx,
    xz / lx, yz / ly, which a strain along x, y and z leaves as they are. `dimensions`: 1, 2 or 3; an axis beyond them has length 1, holds coordinate 0 only, and
    takes part in nothing. Raises InputError for what is no cell, and for tilts of more than half an edge (see `reduced`)."""
    lengths: np.ndarray
    dimensions: int = 3
    skew: np.ndarray = (0.0, 0.0, 0.0)

    def __post_init__(self):
        lengths, skew = np.array(self.lengths, dtype=np.float64), np.array(self.skew, dtype=np.float64)
        if lengths.shape != (3,) or not np.all(np.isfinite(lengths)) or np.any(lengths <= 0):
            raise InputError(f"box lengths {self.lengths!r}: three positive numbers in angstrom are needed")
        if self.dimensions not in (1, 2, 3):
            raise InputError(f"box dimensions {self.dimensions!r}: 1, 2 or 3 are possible")
        lengths[self.dimensions:] = 1.0
        tilted = bool(skew.any())
        if tilted and (self.dimensions != 3 or skew.shape != (3,) or not np.abs(skew).max() <= REDUCED):
            raise InputError(f"tilts of {skew} times the edge before: three numbers of at most 0.5, in a cell of 3 dimensions, are needed; reduce the cell (core.box.reduced)")
        xy, xz, yz = skew * lengths[[0, 0, 1]]
        # x and y per upright y and z, and the length of the gradient of each upright coordinate
        shear = np.array([xy / lengths[1], xz / lengths[2], yz / lengths[2]])
        slant = np.sqrt([1.0 + shear[0]**2 + (shear[0] * shear[2] - shear[1])**2, 1.0 + shear[2]**2, 1.0])
        for name, value in (("lengths", lengths), ("skew", skew), ("tilts", np.array([xy, xz, yz])), ("shear", shear), ("slant", slant), ("heights", lengths / slant)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "tilted", tilted)

    def __reduce__(self):
        """Made anew by who receives it: pickled arrays can be written to, and kernels are compiled for those that can and those that cannot."""
        return type(self), (self.lengths, self.dimensions, self.skew)

    @property
    def matrix(self):
        """(3, 3) rows are the cell vectors, angstrom."""
        matrix = np.diag(self.lengths)
        matrix[[1, 2, 2], [0, 0, 1]] = self.tilts
        return matrix

    @property
    def volume(self):
        """angstrom^d"""
        return float(np.prod(self.lengths[:self.dimensions]))

    @property
    def edges(self):
        """(3,) lengths of the cell vectors, angstrom. `heights` (3,) are the distances between opposite faces, `slant` (3,) is `lengths` / `heights`."""
        return np.linalg.norm(self.matrix, axis=1) if self.tilted else self.lengths

    @property
    def corner_room(self):
        """The largest square of a vector's components along the three face normals, over its own square: 1 where nothing is tilted. What lies within w of a brick
        has gaps g to its faces with sum g^2 <= corner_room w^2."""
        if not self.tilted:
            return 1.0
        p, q, r = self.shear
        normal = np.array([[1.0, -p, p * r - q], [0.0, 1.0, -r], [0.0, 0.0, 1.0]]) / self.slant[:, None]
        return float(np.linalg.eigvalsh(normal @ normal.T)[-1])

    @classmethod
    def from_matrix(cls, matrix, dimensions=3):
        """A box from its cell vectors (rows); raises InputError unless a is along x, b in the plane of x and y, and the tilts are reduced."""
        matrix = np.asarray(matrix, dtype=np.float64)
        above, scale = np.abs(matrix[[0, 0, 1], [1, 2, 2]]).max(), np.abs(matrix).max()
        if above > 1e-8 * scale:
            raise InputError(f"the cell does not have a along x and b in the plane of x and y (off by {above:g} angstrom): turn it with core.box.standard")
        lengths, tilts = np.diag(matrix), matrix[[1, 2, 2], [0, 0, 1]]
        if np.abs(tilts).max() <= 1e-8 * scale:
            return cls(lengths, dimensions)
        with np.errstate(divide="ignore", invalid="ignore"):
            return cls(lengths, dimensions, tilts / lengths[[0, 0, 1]])

    def with_lengths(self, lengths):
        """The cell strained along x, y and z to other `lengths` (3,): its skew stays."""
        return Box(lengths, self.dimensions, self.skew)

    # ---- coordinates --------------------------------------------------------------------------------------------------
    def upright(self, position):
        """(n, 3) upright coordinates of positions (n, 3), angstrom; the array itself where nothing is tilted."""
        if not self.tilted:
            return position
        out = np.empty_like(position)
        p, q, r = self.shear
        out[:, 2] = z = position[:, 2]
        out[:, 1] = y = position[:, 1] - r * z
        out[:, 0] = position[:, 0] - p * y - q * z
        return out

    def placed(self, upright):
        """(n, 3) positions of upright coordinates, angstrom; the array itself where nothing is tilted."""
        if not self.tilted:
            return upright
        out = np.empty_like(upright)
        p, q, r = self.shear
        out[:, 0] = upright[:, 0] + p * upright[:, 1] + q * upright[:, 2]
        out[:, 1] = upright[:, 1] + r * upright[:, 2]
        out[:, 2] = upright[:, 2]
        return out

    def lay_back(self, force):
        """In place: minus the gradients (n, 3) with respect to upright coordinates become forces."""
        if self.tilted:
            p, q, r = self.shear
            force[:, 1] -= p * force[:, 0]
            force[:, 2] -= q * force[:, 0] + r * force[:, 1]

    def translation(self, turns):
        """(n, 3) angstrom of whole turns (n, 3) of the cell."""
        shift = turns * self.lengths
        return self.placed(shift) if self.tilted else shift

    def wrap(self, position, image):
        """In place: positions (n, 3) into the cell, image counts (n, 3) along, so that position + translation(image) does not change. Upright coordinates are in
        [0, lengths), to rounding where the cell is tilted."""
        if self.tilted:
            turns = np.floor(self.upright(position) / self.lengths)
            moved = turns.any(axis=1)
            position[moved] -= self.translation(turns[moved])
            image[moved] += turns[moved].astype(image.dtype)
            return
        for axis in range(self.dimensions):
            length = self.lengths[axis]
            turns = np.floor(position[:, axis] / length)
            moved = turns != 0
            if moved.any():
                position[moved, axis] -= turns[moved] * length
                image[moved, axis] += turns[moved].astype(image.dtype)
                # -1e-17 + L is L: the half-open interval needs one more turn
                edge = position[:, axis] >= length
                position[edge, axis] -= length
                image[edge, axis] += 1

    def images_within(self, position, reach):
        """(rows (m,), places (m, 3)): particles at `position` (n, 3) and all their images within `reach` (angstrom) of the cell, the particles as they stand first."""
        position = np.asarray(position, dtype=np.float64)
        fraction = self.upright(position) / self.lengths
        room = np.where(np.arange(3) < self.dimensions, reach / self.heights, 0.0)
        spans = [range(int(np.floor(-room[k] - fraction[:, k].max())), int(np.ceil(1.0 + room[k] - fraction[:, k].min())) + 1) if k < self.dimensions else range(1)
                 for k in range(3)]
        rows, places = [np.arange(len(position))], [position]
        for turn in np.stack(np.meshgrid(*spans, indexing="ij"), -1).reshape(-1, 3):
            if not turn.any():
                continue
            near = np.flatnonzero(((fraction + turn >= -room) & (fraction + turn <= 1.0 + room)).all(axis=1))
            rows.append(near)
            places.append(position[near] + self.translation(turn[None].astype(np.float64)))
        return np.concatenate(rows), np.concatenate(places)


def standard(matrix):
    """(matrix (3, 3), turn (3, 3)): the cell vectors (rows) with a along x and b in the plane of x and y, and the rotation that brings places there,
    place @ turn. Raises InputError for vectors that span no cell or are left-handed."""
    matrix = np.asarray(matrix, dtype=np.float64)
    edges = np.linalg.norm(matrix, axis=1)
    if not (np.isfinite(edges).all() and edges.all()):
        raise InputError(f"the cell has a vector without length (edges {edges} angstrom): write three cell vectors into the file")
    volume = float(np.linalg.det(matrix))
    faces = np.linalg.norm(np.cross(matrix[[1, 2, 0]], matrix[[2, 0, 1]]), axis=1)
    if abs(volume) < THINNEST * float((edges * faces).min()) or not faces.all():
        raise InputError(f"the cell is degenerate: its vectors lie nearly in one plane (edges {edges} angstrom, volume {abs(volume):.4g} angstrom^3); "
                         "correct the file, or take another cell of the same lattice (for example ase.build.niggli_reduce)")
    if volume < 0:
        raise InputError("the cell vectors are left-handed (their determinant is negative): exchange two of them in the file, and the fractional coordinates along them")
    if np.abs(matrix[[0, 0, 1], [1, 2, 2]]).max() <= 1e-8 * np.abs(matrix).max() and np.diag(matrix).min() > 0:
        return np.tril(matrix), np.eye(3)
    turn, upper = np.linalg.qr(matrix.T)
    signs = np.sign(np.diag(upper))
    return np.tril(upper.T * signs), turn * signs


def reduced(matrix):
    """(matrix (3, 3), change (3, 3) integers): the same lattice with tilts of at most half an edge, `change` @ the rows of a standard cell."""
    matrix, change = np.array(matrix, dtype=np.float64), np.eye(3, dtype=np.int64)
    for row, column in ((2, 1), (2, 0), (1, 0)):
        tilt = matrix[row, column] / matrix[column, column]
        if abs(tilt) > REDUCED:
            matrix[row] -= np.rint(tilt) * matrix[column]
            change[row] -= int(np.rint(tilt)) * change[column]
    return matrix, change
