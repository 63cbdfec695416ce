"""A small neural-network potential as an ASE calculator: what a user's own model beside a deck looks like. Its weights are drawn from a seed.

Atomic energies e_i = net(G_i), with radial symmetry functions G_i,k = sum_j exp(-eta (r_ij - r_k)^2) f_c(r_ij) for each kind of neighbour (Behler and Parrinello,
Phys. Rev. Lett. 98, 146401 (2007)), and a repulsion that keeps atoms apart. Forces are exact derivatives."""
import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list

KINDS = (11, 17)            # Na, Cl
ETA, CENTRES = 4.0, np.linspace(1.5, 4.0, 6)


class NetworkPotential(Calculator):
    implemented_properties = ["energy", "energies", "forces", "stress"]

    def __init__(self, cutoff=4.5, seed=7, depth=0.3, **more):
        super().__init__(**more)
        draw = np.random.default_rng(seed)
        self.cutoff, inputs = cutoff, len(KINDS) * len(CENTRES)
        self.first = draw.normal(size=(len(KINDS), 8, inputs)) / np.sqrt(inputs)
        self.last = depth * draw.normal(size=(len(KINDS), 8)) / np.sqrt(8)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        n = len(self.atoms)
        i, j, r, d = neighbor_list("ijdD", self.atoms, self.cutoff)
        order = np.lexsort((d[:, 2], d[:, 1], d[:, 0], j, i))           # the order of sums depends on places alone
        i, j, r, d = i[order], j[order], r[order], d[order]
        kind = np.searchsorted(KINDS, self.atoms.numbers)
        fade, slope = 0.5 * (1 + np.cos(np.pi * r / self.cutoff)), -0.5 * np.pi / self.cutoff * np.sin(np.pi * r / self.cutoff)
        bump = np.exp(-ETA * (r[:, None] - CENTRES) ** 2)
        value = bump * fade[:, None]
        change = bump * (slope[:, None] - 2 * ETA * (r[:, None] - CENTRES) * fade[:, None])
        column = kind[j, None] * len(CENTRES) + np.arange(len(CENTRES))
        features = np.zeros((n, len(KINDS) * len(CENTRES)))
        np.add.at(features, (i[:, None], column), value)
        hidden = np.tanh(np.einsum("nhf,nf->nh", self.first[kind], features))
        per_feature = np.einsum("nh,nhf->nf", self.last[kind] * (1 - hidden**2), self.first[kind])
        wall, push = 0.5 * 4e3 * np.exp(-r / 0.25) * fade, 0.5 * 4e3 * np.exp(-r / 0.25) * (slope - fade / 0.25)
        energies = np.einsum("nh,nh->n", self.last[kind], hidden)
        np.add.at(energies, i, wall)
        along = (np.take_along_axis(per_feature[i], column, axis=1) * change).sum(axis=1) + push          # d e_i / d r_ij
        pull = along[:, None] * d / r[:, None]
        forces = np.zeros((n, 3))
        np.add.at(forces, i, pull)
        np.add.at(forces, j, -pull)
        self.results = {"energies": energies, "energy": float(energies.sum()), "forces": forces}
        if self.atoms.cell.rank == 3:
            self.results["stress"] = (np.einsum("na,nb->ab", pull, d) / self.atoms.get_volume())[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def make(**options):
    return NetworkPotential(**options)
