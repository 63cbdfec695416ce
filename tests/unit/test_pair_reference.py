"""Short-range energies of crystals against LAMMPS (20250722, cutoff 10 angstrom, no shift), and what truncation must not change."""
import numpy as np
import pytest
from pair_oracle import folded, half_shell

from hpcnemd.core.box import Box
from hpcnemd.core.state import State
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.forces.pair import PairForces
from hpcnemd.kernels.simd import available_paths

LLZO = {"Li": [(0.0805155, 0.1624655, 0.9308565), (0.181211, 0.181211, 0.75), (0, 0, 0)], "La": [(0.12737, 0.25, 0.375), (0, 0, 0.25)], "Zr": [(0, 0.25, 0.125)],
        "O": [(0.034616, 0.694517, 0.471296), (0.054963, 0.102443, 0.090667), (0.150823, 0.223227, 0.571236)]}


def rock_salt():
    """NaCl, a = 5.64 angstrom, 512 ions."""
    grid = np.array(list(np.ndindex(8, 8, 8)))
    return ("Na", "Cl"), (grid.sum(axis=1) % 2).astype(np.int32), grid * 2.82, np.full(3, 4 * 5.64)


def tetragonal_llzo():
    from ase.spacegroup import crystal
    sites = [(name, place) for name, places in LLZO.items() for place in places]
    cell = (13.23607, 13.23607, 12.701706, 90, 90, 90)
    atoms = crystal([name for name, _ in sites], [place for _, place in sites], spacegroup=142, setting=1, cellpar=cell)
    assert len(atoms) == 192
    names = ("Li", "La", "Zr", "O")
    return names, np.array([names.index(s) for s in atoms.get_chemical_symbols()], np.int32), atoms.get_scaled_positions() * cell[:3], np.array(cell[:3])


def short_range(structure, table, truncation, path):
    names, species, position, lengths = structure
    field = load_forcefield(table)
    kinds, box = field.kinds(names), Box(lengths)
    state = State.of(box, kinds, species, position)
    forces = PairForces(field, kinds, box, 10.0, 0.5, truncation, path=path)
    owner = half_shell(state, forces.list_radius)
    forces.build(state)
    result = forces.compute(state, True)
    return result, folded(state, owner), state


@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("make, table, energy", [(rock_salt, "nacl_tosi_fumi", 256 * 0.867562018), (tetragonal_llzo, "llzo_buckingham", 682.242799),
                                                 (tetragonal_llzo, "oxides_du_teter", 55.204991)])
def test_short_range_energies(path, make, table, energy):
    """NaCl to the rounding of the table's constants (1e-8 of A) and of the printed energy. The reference gives the places of the LLZO cell with 6
    decimals of an angstrom, rounded alike at equivalent sites: half a unit of the last digit times the sum of all forces (below 1e-6 of the total energy)."""
    result, forces, _ = short_range(make(), table, "plain", path)
    rounding = 0.5e-6 * np.abs(forces).sum()
    assert result.energy_short == pytest.approx(energy, abs=256 * 5e-9 if table == "nacl_tosi_fumi" else rounding)
    assert rounding < 1e-6 * 1683 and np.abs(forces.sum(axis=0)).max() < 1e-10 * max(np.abs(forces).sum(), 1e-2)


@pytest.mark.parametrize("path", available_paths())
def test_virial_is_the_strain_derivative(path):
    """dE/d(strain) = -W for each axis, central differences of the shifted-force energy (error of order h^2: 1e-5 of the largest element)."""
    names, species, position, lengths = tetragonal_llzo()
    rng = np.random.default_rng(5)
    position = position + 0.05 * rng.normal(size=position.shape)
    result, _, _ = short_range((names, species, position, lengths), "llzo_buckingham", "shift_force", path)
    h = 1e-4
    for axis in range(3):
        energies = []
        for sign in (1, -1):
            stretch = np.ones(3)
            stretch[axis] += sign * h
            energies.append(short_range((names, species, position * stretch, lengths * stretch), "llzo_buckingham", "shift_force", path)[0].energy_short)
        assert (energies[0] - energies[1]) / (2 * h) == pytest.approx(-result.virial[axis, axis], abs=1e-5 * np.abs(result.virial).max())
