"""The particles of one replica on one rank: a structure of arrays. Rows [0, n_owned) are this rank's own particles,
rows [n_owned, n_owned + n_ghost) are copies of particles, or of their periodic images, owned elsewhere.
Only `parallel.domain` changes the two numbers and the order of rows."""
from dataclasses import dataclass, field

import numpy as np

from .box import Box

OWNED_FIELDS = ("id", "species", "position", "velocity", "image")      # what travels with a particle to another owner


@dataclass(frozen=True)
class Species:
    """What particles of one kind share. `names`: field symbols; `mass` (s,) eV fs^2/angstrom^2; `charge` (s,) e, as the forces use it;
    `formal_charge` (s,) e, the integers that carry the current."""
    names: tuple
    mass: np.ndarray
    charge: np.ndarray
    formal_charge: np.ndarray

    def __post_init__(self):
        for name in ("mass", "charge", "formal_charge"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))


@dataclass
class State:
    """`position` (cap, 3) angstrom, owned rows wrapped at the last migrate only; `velocity` (cap, 3) angstrom/fs; `force` (cap, 3) eV/angstrom;
    `image` (cap, 3) turns of the cell: position + box.translation(image) is the unwrapped place; `id` (cap,) int64, unique over the replica;
    `species` (cap,) int32 row of `kinds`. Ghost rows hold id, species, position (shifted) and force only."""
    box: Box
    kinds: Species
    id: np.ndarray
    species: np.ndarray
    position: np.ndarray
    velocity: np.ndarray
    image: np.ndarray
    force: np.ndarray = field(default=None)
    n_owned: int = 0
    n_ghost: int = 0

    @classmethod
    def empty(cls, box, kinds, capacity=64):
        capacity = max(1, int(capacity))
        return cls(box, kinds, np.zeros(capacity, np.int64), np.zeros(capacity, np.int32), np.zeros((capacity, 3)),
                   np.zeros((capacity, 3)), np.zeros((capacity, 3), np.int32), np.zeros((capacity, 3)))

    @classmethod
    def of(cls, box, kinds, species, position, velocity=None, ids=None, image=None):
        """A state that owns all the given particles; positions (n, 3) are wrapped into the box."""
        n = len(species)
        state = cls.empty(box, kinds, n)
        state.id[:n] = np.arange(n) if ids is None else ids
        state.species[:n] = species
        state.position[:n] = position
        state.image[:n] = 0 if image is None else image
        state.velocity[:n] = 0.0 if velocity is None else velocity
        state.n_owned = n
        box.wrap(state.position[:n], state.image[:n])
        return state

    @property
    def capacity(self):
        return len(self.id)

    @property
    def n_all(self):
        return self.n_owned + self.n_ghost

    @property
    def owned(self):
        return slice(0, self.n_owned)

    def reserve(self, capacity):
        """Room for `capacity` rows; contents of all used rows stay."""
        if capacity <= self.capacity:
            return
        capacity = int(capacity * 1.2) + 16
        for name in OWNED_FIELDS + ("force",):
            old = getattr(self, name)
            new = np.zeros((capacity,) + old.shape[1:], old.dtype)
            new[:self.n_all] = old[:self.n_all]
            setattr(self, name, new)

    def mass(self):
        """(n_owned,) eV fs^2/angstrom^2"""
        return self.kinds.mass[self.species[:self.n_owned]]

    def charge(self):
        """(n_owned,) e"""
        return self.kinds.charge[self.species[:self.n_owned]]

    def unwrapped(self):
        """(n_owned, 3) angstrom"""
        return self.position[:self.n_owned] + self.box.translation(self.image[:self.n_owned])
