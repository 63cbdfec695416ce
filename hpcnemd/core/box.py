"""The periodic cell. Orthorhombic today; `matrix` and the functions below are what triclinic cells will fill in."""
from dataclasses import dataclass

import numpy as np

from .errors import InputError


@dataclass(frozen=True)
class Box:
    """A periodic cell with its origin at 0. `lengths`: (3,) angstrom. `dimensions`: 1, 2 or 3; an axis beyond them
    has length 1, holds coordinate 0 only, and takes part in nothing."""
    lengths: np.ndarray
    dimensions: int = 3

    def __post_init__(self):
        lengths = np.array(self.lengths, dtype=np.float64)
        if lengths.shape != (3,) or not np.all(np.isfinite(lengths)) or np.any(lengths <= 0):
            raise InputError(f"box lengths {self.lengths!r}: three positive numbers in angstrom are needed")
        if self.dimensions not in (1, 2, 3):
            raise InputError(f"box dimensions {self.dimensions!r}: 1, 2 or 3 are possible")
        lengths[self.dimensions:] = 1.0
        lengths.setflags(write=False)
        object.__setattr__(self, "lengths", lengths)

    @property
    def matrix(self):
        """(3, 3) rows are the cell vectors, angstrom."""
        return np.diag(self.lengths)

    @property
    def volume(self):
        """angstrom^d"""
        return float(np.prod(self.lengths[:self.dimensions]))

    @classmethod
    def from_matrix(cls, matrix, dimensions=3):
        """A box from its cell vectors; raises InputError unless they are along x, y and z."""
        matrix = np.asarray(matrix, dtype=np.float64)
        off = np.abs(matrix - np.diag(np.diag(matrix))).max()
        if off > 1e-8 * np.abs(matrix).max():
            raise InputError(f"the cell is not orthorhombic (largest off-diagonal element {off:g} angstrom); "
                             "make an orthorhombic supercell first, for example with ase.build.make_supercell")
        return cls(np.diag(matrix), dimensions)

    def wrap(self, position, image):
        """In place: positions (n, 3) into [0, L), image counts (n, 3) along, so that position + image * L does not change."""
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
