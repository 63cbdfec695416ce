"""Colour charges and drift groups: who is driven, who recoils, and which motion is heat.

Mobile ions carry their formal charge; the framework carries the opposite total in proportion to mass, so that it recoils rigidly and
total momentum stays zero. (Choice of Evans and Morriss, Statistical Mechanics of Nonequilibrium Liquids, sec. 6.2 and 6.6; the same
compensation as GPUMD's HNEMDEC.)"""
from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError

AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


def unit_vector(direction, dimensions=3):
    """(3,) unit vector of "x", "y", "z" or of three numbers. Raises InputError."""
    vector = np.array(AXES.get(direction, direction) if isinstance(direction, str) else direction, dtype=object)
    try:
        vector = vector.astype(np.float64)
        norm = np.linalg.norm(vector)
    except (TypeError, ValueError):
        norm = 0.0
    if vector.shape != (3,) or not np.isfinite(norm) or norm == 0 or np.any(vector[dimensions:] != 0):
        raise InputError(f"drive.direction = {direction!r}: write \"x\", \"y\", \"z\" or three numbers, inside the {dimensions} dimensions of the box")
    return vector / norm


@dataclass(frozen=True)
class Colour:
    """By species (s,): `counts`, `mass` (eV fs^2/angstrom^2), `charge` c (e), `group` (index of its drift group), `mobile` (bool).
    `axis` (3,). `norm` = sum c^2/m over all particles. `dimensions` of the box."""
    counts: np.ndarray
    mass: np.ndarray
    charge: np.ndarray
    group: np.ndarray
    mobile: np.ndarray
    axis: np.ndarray
    dimensions: int = 3
    mobile_charge: float = 0.0      # sum of |z| over the driven ions, for a drift velocity v = J / this (one driven species)

    @classmethod
    def of(cls, kinds, counts, mobile, direction="x", dimensions=3, only=None):
        """From `Species`, the number of particles of each (s,) over the replica, and the names of the mobile species
        ("all": every charged species, the molten salt). `only`: the one of them that is driven; its force is balanced on the framework, or on all ions
        where there is none, so that J = z (flux of that species relative to them). Raises InputError with what to write."""
        counts = np.asarray(counts, dtype=np.float64)
        names = [name for name, count in zip(kinds.names, counts) if count]
        if mobile in ("all", ["all"], ("all",)):
            mobile = [name for name, z, count in zip(kinds.names, kinds.formal_charge, counts) if z and count]
        unknown = [name for name in mobile if name not in names]
        if unknown or not mobile:
            raise InputError(f"drive.mobile = {list(mobile)!r}: choose among the species of the structure, {names}, or write [\"all\"]")
        moves = np.array([name in mobile for name in kinds.names])
        neutral = [name for name, move, z in zip(kinds.names, moves, kinds.formal_charge) if move and z == 0]
        if neutral:
            raise InputError(f"drive.mobile: {neutral} carry no formal charge, so nothing drives them; take them out of the list")
        if only is not None and only not in mobile:
            raise InputError(f"drive.species = {only!r}: choose one of the mobile species, {sorted(mobile)}")
        driven = moves if only is None else np.array([name == only for name in kinds.names])
        charge = np.where(driven, kinds.formal_charge, 0.0)
        total = float(np.sum((counts * np.abs(charge))[driven]))
        rest = ~moves & (counts > 0)
        excess = float(np.sum(counts * charge))
        frame = float(np.sum((counts * kinds.mass)[rest]))
        if rest.any():
            charge = np.where(rest, -kinds.mass * excess / frame, charge)
        elif only is not None:
            charge = charge - kinds.mass * excess / float(np.sum(counts * kinds.mass))
        elif abs(excess) > 1e-9:
            raise InputError(f"drive.mobile: all species are mobile, but their formal charges sum to {excess:g} e; the cell must be neutral")
        # each mobile species drifts by itself, the framework as one body
        order = np.cumsum(moves) - 1
        group = np.where(moves, order, order[-1] + 1)
        return cls(counts, kinds.mass, charge, group.astype(np.int64), moves, unit_vector(direction, dimensions), dimensions, total)

    @property
    def n_groups(self):
        return int(len(set(self.group[self.counts > 0])))

    @property
    def norm(self):
        return float(np.sum(self.counts * self.charge**2 / self.mass))

    @property
    def group_mass(self):
        """(s,) total mass of the drift group of each species."""
        return self.by_group(self.counts * self.mass)

    @property
    def group_charge(self):
        """(s,) total colour charge of the drift group of each species."""
        return self.by_group(self.counts * self.charge)

    def by_group(self, values):
        """Sum of (s,) values over each drift group, handed back by species (s,)."""
        sums = np.zeros(int(self.group.max()) + 1)
        np.add.at(sums, self.group, values)
        return sums[self.group]

    def current(self, momentum):
        """J = sum c v along the axis, e angstrom/fs, from the momentum of each species (s, 3)."""
        return float(np.sum(self.charge / self.mass * (momentum @ self.axis)))

    def degrees_of_freedom(self, driven):
        """(s,) degrees of freedom of the peculiar motion: d N - d, and one fewer for each further drift that a drive fixes,
        shared by species in proportion to mass. They sum to d N - d - (n_groups - 1) when driven."""
        total = np.sum(self.counts * self.mass)
        share = self.counts * self.mass / total
        if not driven:
            return self.dimensions * (self.counts - share)
        own = self.counts * self.mass / np.where(self.counts > 0, self.group_mass, 1.0)
        return self.dimensions * self.counts - (self.dimensions - 1) * share - own
