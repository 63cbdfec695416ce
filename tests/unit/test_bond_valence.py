"""Bond-valence site energies against the plain sum, and percolation against landscapes whose passes are known."""
import math

import numpy as np
import pytest
from ase import Atoms
from ase.data import covalent_radii

from hpcnemd.app.bond_valence import bond_valence_map
from hpcnemd.core.errors import InputError
from hpcnemd.experiments.building.crystals import BUILT_IN
from hpcnemd.forces.bond_valence import site_energy
from hpcnemd.kernels.percolation import percolate


def thresholds_of(energy):
    found = np.full(3, np.nan)
    percolate(energy, np.argsort(energy.ravel(), kind="stable"), found)
    return found


@pytest.mark.parametrize("heights", [(0.2, 0.5, 1.1), (1.1, 0.2, 0.5), (0.5, 1.1, 0.2)])
def test_passes_of_a_separable_landscape(heights):
    """A sum of cosines percolates along an axis at the height of that axis' pass; the grid holds the passes."""
    x = [np.arange(n) / n for n in (12, 10, 8)]
    energy = sum(h / 2 * (1 - np.cos(2 * np.pi * np.reshape(u, [-1 if k == axis else 1 for k in range(3)]))) for axis, (u, h) in enumerate(zip(x, heights)))
    assert thresholds_of(energy) == pytest.approx(sorted(heights), abs=1e-12)


def test_a_path_must_come_round_to_its_own_image():
    """A channel along (1, 1, 0), which leaves the cell by two faces and is one dimension; a cage that only touches a face percolates nowhere."""
    channel = np.full((6, 6, 4), 5.0)
    for k in range(6):
        channel[k, k, 1] = 1.0
    assert thresholds_of(channel) == pytest.approx([1.0, 5.0, 5.0])
    cage = np.full((6, 6, 6), 5.0)
    cage[5:, 2:4, 2:4] = cage[:2, 2:4, 2:4] = 0.0
    assert thresholds_of(cage) == pytest.approx([5.0] * 3)
    two = np.full((5, 5, 5), 9.0)                       # separate channels along x and y, which never meet, stay one-dimensional; their join makes it two
    two[:, 0, 0], two[0, :, 2] = 1.0, 2.0
    two[0, 0, 1] = 4.0
    assert thresholds_of(two) == pytest.approx([1.0, 4.0, 9.0])


def test_the_energy_is_the_plain_sum():
    """In a skew cell of few ions, at every point, against a sum over images with scipy's complementary error function."""
    from scipy.special import erfc
    cell = np.array([[4.0, 0, 0], [1.2, 3.8, 0], [0.3, -0.7, 4.4]])
    atoms = Atoms("LiLaO", cell=cell, pbc=True, scaled_positions=[[0, 0, 0], [0.5, 0.4, 0.6], [0.1, 0.7, 0.2]])
    found = site_energy(atoms, "Li", 0.9)
    turns = np.stack(np.meshgrid(*[np.arange(-5, 6)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    place = np.stack(np.meshgrid(*[np.arange(n) / n for n in found.energy.shape], indexing="ij"), axis=-1) @ cell
    expected = np.zeros(found.energy.shape)
    for point in np.ndindex(expected.shape):
        for name, ion in zip("LO", atoms.positions[1:]):
            r = np.linalg.norm(turns + ion - place[point], axis=1)
            r = r[r < 10.0]
            if name == "O":
                expected[point] += 0.5 * np.sum(0.98816 * ((np.exp(1.937984 * (1.940013 - r)) - 1) ** 2 - 1))
            else:
                expected[point] += np.sum(14.4 * 3 / math.sqrt(2 * 6) / r * erfc(r / (0.74 * (covalent_radii[3] + covalent_radii[57]))))
    assert np.abs(found.energy / expected - 1).max() < 1e-10


def test_lithium_in_the_garnet(tmp_path, capsys):
    """Tetragonal LLZO: paths in three dimensions; each Li of the crystal lies near a site. BVlain 0.25 gives 0.44, 0.53 and 0.55 eV on its grid of 0.2 angstrom."""
    assert bond_valence_map("llzo_tetragonal", "Li", 0.4, None, tmp_path / "out") == 0
    text = capsys.readouterr().out
    assert "in 3 dimensions" in text and all((tmp_path / "out" / name).stat().st_size > 1000 for name in ("bvse.cube", "bvse.png", "numbers.json"))
    atoms = BUILT_IN["llzo_tetragonal"]()
    found = site_energy(atoms, "Li", 0.25)
    assert found.barriers == pytest.approx([0.44, 0.53, 0.55], abs=0.02)
    sites = np.array([place for _, place in found.sites(below=1.0)])
    for ion in atoms.get_scaled_positions()[atoms.numbers == 3]:
        apart = sites - ion
        assert np.linalg.norm((apart - np.round(apart)) @ found.cell, axis=1).min() < 0.8


@pytest.mark.parametrize("mobile, resolution, charges, said", [("K", 0.3, None, "has no K"), ("Li", 3.0, None, "between 0.02 and 1"), ("Zr", 0.3, ["O=2"], "no counter-ions"),
                                                              ("Li", 0.3, ["O"], "for example La=3"), ("Li", 0.3, ["La=-3"], "no bond-valence row for Li-La")])
def test_what_is_wrong_is_told(tmp_path, mobile, resolution, charges, said):
    with pytest.raises(InputError, match=said):
        bond_valence_map("llzo_tetragonal", mobile, resolution, charges, tmp_path)
