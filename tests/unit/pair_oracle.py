"""Slow twins for the tests of pair forces: every pair of every periodic image in numpy, formulas written down once more, and a half shell of ghosts for one rank."""
import itertools
import math

import numpy as np
from scipy.special import erfc

from hpcnemd.core.units import COULOMB
from hpcnemd.forces.forcefield import ForceField, PairRow


def make_forcefield(names, rows, charges=None, coulomb=False, cutoff=5.0):
    """A ForceField from rows (a, b, form, parameters)."""
    n = len(names)
    charges = np.zeros(n) if charges is None else np.array(charges, float)
    pairs = [PairRow(a, b, form, parameters, "derived", "test") for a, b, form, parameters in rows]
    return ForceField("test", "", tuple(names), charges, np.round(charges), np.ones(n), pairs, coulomb, cutoff, "metal", {name: ("derived", "") for name in names})


def short_energy(form, p, r):
    """U(r) of one form, from its definition."""
    if form == "buckingham":
        return p["A"] * np.exp(-r / p["rho"]) - p["C"] / r**6
    if form == "born_mayer_huggins":
        return p["A"] * np.exp((p["sigma"] - r) / p["rho"]) - p["C"] / r**6 - p["D"] / r**8
    if form == "lennard_jones":
        return 4 * p["epsilon"] * ((p["sigma"] / r)**12 - (p["sigma"] / r)**6)
    if form == "morse":
        return p["D0"] * ((np.exp(p["alpha"] * (p["r0"] - r)) - 1)**2 - 1)
    if form == "nm46":
        return p["H"] / r**p["n"] - p["P"] / r**4 - p["W"] / r**6
    if form == "hertz":
        return p["stiffness"] * np.where(np.real(r) < p["contact"], p["contact"] - r, 0)**2.5
    raise KeyError(form)


def derivative(function, r, h=1e-9):
    """dU/dr by a complex step: no difference, so no cancellation and no trouble where a higher derivative jumps."""
    return np.imag(function(r + 1j * h)) / h


def pair_function(field, names, a, b, cutoff, truncation, coulomb):
    """(short U, Coulomb U) as functions of r, truncated, for names[a] and names[b]; independent of the product's tables."""
    row = next((p for p in field.pairs if {p.a, p.b} == {names[a], names[b]}), None)
    product = COULOMB * field.charges[field.species.index(names[a])] * field.charges[field.species.index(names[b])]

    def bare_short(r):
        return short_energy(row.form, row.parameters, r) if row is not None else np.zeros_like(r)

    def bare_far(r):
        return product * erfc(coulomb.beta * r) / r if coulomb is not None else np.zeros_like(r)

    def truncated(bare, kind):
        c = np.array([float(cutoff)])
        if kind == "shift":
            return lambda r: bare(r) - bare(c)
        if kind == "shift_force":
            return lambda r: bare(r) - bare(c) - derivative(bare, c) * (r - c)
        if kind == "switch":
            def smooth(r):
                x = np.where(np.real(r) > 0.9 * cutoff, (r - 0.9 * cutoff) / (0.1 * cutoff), 0)
                return bare(r) * (1 - 10 * x**3 + 15 * x**4 - 6 * x**5)
            return smooth
        return bare
    far = "shift_force" if coulomb is not None and coulomb.kind == "dsf" else ("plain" if truncation == "switch" else truncation)
    return truncated(bare_short, truncation), truncated(bare_far, far)


def brute_force(box, species, position, names, field, cutoff, truncation, coulomb):
    """(short energy, Coulomb energy, virial (3, 3), forces (n, 3)) over all pairs of all images within the cutoff, each image pair once."""
    n, d = len(species), box.dimensions
    reach = [int(math.ceil(cutoff / box.heights[axis])) + 1 if axis < d else 0 for axis in range(3)]
    forces, virial, energies = np.zeros((n, 3)), np.zeros((3, 3)), np.zeros(2)
    functions = {(a, b): pair_function(field, names, a, b, cutoff, truncation, coulomb) for a in range(len(names)) for b in range(len(names))}
    for shift in itertools.product(*[range(-m, m + 1) for m in reach]):
        vector = position[:, None, :] - position[None, :, :] - np.array(shift) @ box.matrix
        r = np.sqrt((vector**2).sum(axis=2))
        close = r < cutoff
        if not any(shift):
            np.fill_diagonal(close, False)
        for (a, b), (short, far) in functions.items():
            i, j = np.nonzero(close & (species[:, None] == a) & (species[None, :] == b))
            if len(i) == 0:
                continue
            d1 = r[i, j]
            energies += 0.5 * np.array([short(d1).sum(), far(d1).sum()])
            f = -derivative(lambda s: short(s) + far(s), d1)[:, None] * vector[i, j] / d1[:, None]
            np.add.at(forces, i, f)
            virial += 0.5 * vector[i, j].T @ f
    return energies[0], energies[1], virial, forces


def half_shell(state, width):
    """Ghosts of one rank that owns everything: images whose lattice offset is positive in (z, y, x) order and whose distance to the box is at most
    `width` (in tilted cells, whose gaps to the faces may be those of such a distance). Returns the owned row of each ghost."""
    n, box = state.n_owned, state.box
    reach = [int(math.ceil(width / box.heights[axis])) if axis < box.dimensions else 0 for axis in range(3)]
    place = state.position[:n].copy()
    owners, images = [], []
    for shift in itertools.product(*[range(-m, m + 1) for m in reach]):
        if shift[::-1] <= (0, 0, 0):
            continue
        image = place + np.array(shift) @ box.matrix
        gap = box.upright(image) / box.slant
        outside = np.maximum(np.maximum(-gap, gap - box.heights), 0.0)
        outside[:, box.dimensions:] = 0.0
        rows = np.flatnonzero((outside**2).sum(axis=1) <= box.corner_room * width**2)
        owners.append(rows)
        images.append(image[rows])
    owner = np.concatenate(owners) if owners else np.zeros(0, int)
    ghosts = len(owner)
    state.reserve(n + ghosts)
    state.n_ghost = ghosts
    if ghosts:
        state.position[n:n + ghosts] = np.concatenate(images)
        state.species[n:n + ghosts] = state.species[owner]
        state.id[n:n + ghosts] = state.id[owner]
    return owner


def folded(state, owner):
    """(n_owned, 3) forces with those of the ghosts added to their owners'."""
    n = state.n_owned
    forces = state.force[:n].copy()
    np.add.at(forces, owner, state.force[n:n + len(owner)])
    return forces


def random_positions(rng, box, n, closest):
    """n points at least `closest` apart, periodic images included."""
    points, turns = np.zeros((0, 3)), np.array(list(itertools.product((-1, 0, 1), repeat=3))) if box.tilted else np.zeros((1, 3))
    while len(points) < n:
        new = rng.random(3) * box.lengths * (np.arange(3) < box.dimensions)
        gap = points - new
        gap -= np.round(gap / box.lengths) * box.lengths
        gap = box.placed((gap[:, None] + turns * box.lengths).reshape(-1, 3))
        if len(points) == 0 or (gap**2).sum(axis=1).min() > closest**2:
            points = np.vstack([points, new])
    return box.placed(points)
