"""Displacements from wrapped positions, in cells that may change from frame to frame.

What is added up are differences of scaled coordinates, turned into lengths by the cell of the later frame. An unwrapped place such as x + n L would carry
the fluctuation of L times the n periods travelled, which grows with the distance and looks like diffusion (von Buelow, Bullerjahn and Hummer, J. Chem.
Phys. 153, 021101 (2020)); differences do not, and the breathing of the cell, which moves all particles in proportion, drops out of them.
"""
import numpy as np

from ..core.errors import InputError

FARTHEST = 0.4          # of a period between frames, beyond which the nearest image may be the wrong one


class Unwrapper:
    """`moved` (n, 3) angstrom since the first frame; `farthest`: largest scaled step seen where images were not known."""

    def __init__(self, name="the trajectory"):
        self.name, self.scaled, self.image, self.moved, self.farthest, self.number = name, None, None, None, 0.0, 0

    def add(self, frame):
        """A Frame; returns `moved`. Raises InputError where a particle may have moved half a period since the frame before."""
        scaled = np.linalg.solve(frame.cell.T, frame.place.T).T
        if self.scaled is None:
            self.moved = np.zeros_like(scaled)
        else:
            if scaled.shape != self.scaled.shape:
                raise InputError(f"{self.name}: frame {self.number} has {len(scaled)} particles, the one before {len(self.scaled)}")
            step = scaled - self.scaled
            if frame.image is not None and self.image is not None:
                step = step + (frame.image - self.image)
            elif not frame.unwrapped:
                step = step - np.rint(step)
                self.farthest = max(self.farthest, float(np.abs(step).max()))
                if self.farthest > FARTHEST:
                    raise InputError(f"{self.name}: between frames {self.number - 1} and {self.number} particle {int(np.abs(step).max(axis=1).argmax())} moves "
                                     f"{self.farthest:.2f} of a period, too far to know its image; write frames more often, or store unwrapped places or image counts")
            self.moved = self.moved + step @ frame.cell
        self.scaled, self.image = scaled, frame.image
        self.number += 1
        return self.moved
