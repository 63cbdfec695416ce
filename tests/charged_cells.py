"""Oracle of the Coulomb sums: cells of ions, and the real-space part of the Ewald sum in plain numpy over every periodic image."""
import itertools
import math

import numpy as np
from scipy.special import erfc

from hpcnemd.core.box import Box
from hpcnemd.core.state import Species, State
from hpcnemd.core.units import COULOMB
from hpcnemd.experiments.structures import kinds_of, named_structure
from hpcnemd.forces.coulomb import choose_coulomb
from hpcnemd.forces.ewald import Ewald
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.parallel.serial import SerialComm


def rock_salt(cells):
    """Perfect NaCl, a = 5.64 angstrom: (box, kinds, species, position)."""
    structure = named_structure("nacl")
    shifts = np.array(list(itertools.product(range(cells), repeat=3))) * 5.64
    position = (structure.positions[None] + shifts[:, None]).reshape(-1, 3)
    kinds, species = kinds_of(structure, load_forcefield("nacl_tosi_fumi"))
    return Box([5.64 * cells] * 3), kinds, np.tile(species, cells**3), position


def garnet(table="llzo_buckingham"):
    """Tetragonal LLZO, 192 ions."""
    structure = named_structure("llzo_tetragonal")
    kinds, species = kinds_of(structure, load_forcefield(table))
    return structure.box, kinds, species, structure.positions


def displaced(cell, size=0.1, seed=11):
    """The same cell with every coordinate moved by a normal deviate of `size` angstrom."""
    box, kinds, species, position = cell
    return box, kinds, species, position + size * np.random.default_rng(seed).standard_normal(position.shape)


def random_ions(n, lengths=(9.0, 11.0, 7.5), seed=5, skew=(0.0, 0.0, 0.0)):
    """n ions of charges 1, 2 and -1 at random places, neutral: short distances and large forces on purpose."""
    kinds = Species(("A", "B", "C"), [1.0, 2.0, 3.0], [1.0, 2.0, -1.0], [1.0, 2.0, -1.0])
    species = np.array([0, 2, 1, 2, 2] * (n // 5))
    rng = np.random.default_rng(seed)
    box = Box(lengths, skew=skew)
    return box, kinds, species, box.placed(rng.uniform(0, 1, (len(species), 3)) * np.asarray(lengths))


def counts_of(cell):
    return np.bincount(cell[2], minlength=len(cell[1].names))


def real_space(box, position, charge, beta, cutoff, erfc=erfc):
    """(energy eV, forces (n, 3) eV/angstrom, virial (3, 3) eV) of k_e q_i q_j erfc(beta r)/r over all pairs of images within the cutoff."""
    energy, force, virial = 0.0, np.zeros_like(position), np.zeros((3, 3))
    reach = [range(-m, m + 1) for m in (math.ceil(cutoff / height) + 1 for height in box.heights)]
    upright = box.upright(position)
    apart = position[:, None] - position[None] - np.round((upright[:, None] - upright[None]) / box.lengths) @ box.matrix
    for turn in itertools.product(*reach):
        shift = np.array(turn) @ box.matrix
        if np.linalg.norm(np.maximum(np.abs(turn) - 0.5, 0.0) * box.heights) > cutoff * math.sqrt(box.corner_room):
            continue
        r = apart + shift
        square = (r * r).sum(2)
        i, j = np.nonzero((square < cutoff * cutoff) & (square > 0))
        r, d = r[i, j], np.sqrt(square[i, j])
        u = COULOMB * charge[i] * charge[j] * erfc(beta * d) / d
        f = (u + COULOMB * charge[i] * charge[j] * 2 * beta / math.sqrt(math.pi) * np.exp(-(beta * d) ** 2)) / d**2
        energy += 0.5 * u.sum()
        pull = f[:, None] * r
        for axis in range(3):
            force[:, axis] += np.bincount(i, pull[:, axis], len(position))
        virial += 0.5 * np.einsum("ia,ib->ab", r, pull)
    return energy, force, virial


class WholeBox:
    """The domain of one rank, as far as the mesh asks."""
    comm = SerialComm()

    def __init__(self, box):
        self.box, self.lower, self.upper = box, np.zeros(3), box.lengths


def reciprocal(maker, settings, cell, **options):
    """(MeshResult, forces) of Ewald or Spme on one rank."""
    box, kinds, species, position = cell
    state = State.of(box, kinds, species, position)
    result = maker(settings, box, kinds, WholeBox(box), **options).compute(state, True)
    return result, state.force[:state.n_owned].copy()


def coulomb(maker, settings, cell, **options):
    """(energy, forces, virial) of the whole Coulomb sum."""
    box, kinds, species, position = cell
    result, force = reciprocal(maker, settings, cell, **options)
    energy, real, virial = real_space(box, position, kinds.charge[species], settings.beta, settings.cutoff)
    return energy + result.energy, force + real, virial + result.virial


def exact(cell, cutoff=10.0):
    """The Coulomb sum by Ewald at 1e-10."""
    return coulomb(Ewald, choose_coulomb("ewald", 1e-10, cutoff, cell[0], cell[1], counts_of(cell)), cell)


def strained(cell, strain):
    """The cell with lengths and positions multiplied by 1 + strain (3,)."""
    box, kinds, species, position = cell
    return Box(box.lengths * (1 + np.asarray(strain))), kinds, species, position * (1 + np.asarray(strain))
