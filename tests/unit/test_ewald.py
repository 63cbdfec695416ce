"""The Ewald sum: against its definition in numpy, its own derivatives, the Madelung constant and LAMMPS."""
import numpy as np
import pytest
from charged_cells import WholeBox, coulomb, counts_of, displaced, exact, garnet, random_ions, real_space, reciprocal, rock_salt, strained

from hpcnemd.core.state import State
from hpcnemd.core.units import COULOMB, in_unit
from hpcnemd.forces.coulomb import CoulombSettings, choose_coulomb
from hpcnemd.forces.evaluator import Forces
from hpcnemd.forces.ewald import Ewald, half_space
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.parallel.domain import Domain, halo
from hpcnemd.parallel.serial import SerialComm


def settings(beta, kmax, cutoff=10.0):
    return CoulombSettings("ewald", beta, None, None, kmax, 0.0, cutoff, 1e-10, "plain", 1.0)


def test_half_space_holds_one_of_each_pair():
    x, y, low, high, start, count, size = half_space((3, 2, 4))
    found = {(x[r], y[r], z) for r in range(len(x)) for z in range(low[r], high[r])}
    assert len(found) == count == start[-1] + high[-1] - low[-1]
    inside = {(a, b, c) for a in range(-3, 4) for b in range(-2, 3) for c in range(-4, 5)
              if 0 < (a / 3) ** 2 + (b / 2) ** 2 + (c / 4) ** 2 <= 1 + 1e-12}
    assert found | {(-a, -b, -c) for a, b, c in found} == inside and 2 * count == len(inside)


def test_reciprocal_sum_against_its_definition():
    cell = random_ions(15)
    box, kinds, species, position = cell
    beta, kmax = 0.4, (4, 5, 3)
    result, force = reciprocal(Ewald, settings(beta, kmax), cell)
    q = kinds.charge[species]
    n = np.array([(a, b, c) for a in range(-4, 5) for b in range(-5, 6) for c in range(-3, 4)
                  if 0 < (a / 4) ** 2 + (b / 5) ** 2 + (c / 3) ** 2 <= 1 + 1e-12])
    k = 2 * np.pi * n / box.lengths
    square = (k**2).sum(1)
    wave = np.exp(1j * position @ k.T)
    s = q @ wave
    weight = COULOMB * 2 * np.pi / box.volume * np.exp(-square / (4 * beta**2)) / square
    energy = (weight * abs(s) ** 2).sum() - COULOMB * beta / np.sqrt(np.pi) * (q**2).sum()
    want = 2 * q[:, None] * (np.imag(wave * s.conj()) * weight) @ k
    virial = (weight * abs(s) ** 2).sum() * np.eye(3) - np.einsum("k,ka,kb->ab", weight * abs(s) ** 2 * 2 * (1 / square + 0.25 / beta**2), k, k)
    assert result.energy == pytest.approx(energy, rel=1e-12)
    np.testing.assert_allclose(force, want, rtol=0, atol=1e-12 * np.abs(want).max())
    np.testing.assert_allclose(result.virial, virial, rtol=0, atol=1e-12 * np.abs(virial).max())


def test_splitting_does_not_matter():
    cell = random_ions(20)
    wide = coulomb(Ewald, settings(0.45, (17, 20, 14), 11.5), cell)
    tight = coulomb(Ewald, settings(0.6, (22, 26, 18), 9.0), cell)
    for a, b in zip(wide, tight):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-9 * np.abs(b).max())


def test_madelung_constant_of_rock_salt():
    energy, force, virial = exact(rock_salt(2))
    assert -energy / 32 * 2.82 / COULOMB == pytest.approx(1.747564594633182, abs=1e-9)      # 32 pairs
    assert np.abs(force).max() < 1e-11
    np.testing.assert_allclose(virial, energy / 3 * np.eye(3), rtol=0, atol=1e-7)           # a sum of 1/r: trace = energy


def test_force_is_minus_the_derivative_of_the_energy():
    cell = displaced(rock_salt(1), 0.3)
    box, kinds, species, position = cell
    chosen = settings(0.5, (6, 6, 6))
    _, force = reciprocal(Ewald, chosen, cell)
    for i, axis in ((0, 0), (3, 1), (7, 2)):
        energies = []
        for step in (1e-4, -1e-4):
            moved = position.copy()
            moved[i, axis] += step
            energies.append(reciprocal(Ewald, chosen, (box, kinds, species, moved))[0].energy)
        assert (energies[1] - energies[0]) / 2e-4 == pytest.approx(force[i, axis], abs=1e-7)


def test_virial_is_minus_the_derivative_with_strain():
    cell = displaced(garnet(), 0.2)
    chosen = settings(0.35, (6, 6, 6))
    virial = reciprocal(Ewald, chosen, cell)[0].virial
    for axis in range(3):
        strain = 1e-4 * np.eye(3)[axis]
        energy = [reciprocal(Ewald, chosen, strained(cell, s))[0].energy for s in (strain, -strain)]
        assert (energy[1] - energy[0]) / 2e-4 == pytest.approx(virial[axis, axis], rel=1e-6)
    np.testing.assert_allclose(virial, virial.T, rtol=0, atol=1e-10 * np.abs(virial).max())


def test_nothing_owned_gives_nothing():
    box, kinds, _, _ = random_ions(5)
    state = State.empty(box, kinds)
    result = Ewald(settings(0.4, (3, 3, 3)), box, kinds, WholeBox(box)).compute(state)
    assert result.energy == 0.0 and not result.virial.any() and not result.net_force.any()


# Measured with LAMMPS 20250722: kspace_style ewald 1e-10, pair_modify table 0, cutoff 10 angstrom, no shift. Energies in eV, stresses in bar.
SINGLE_POINTS = {
    "nacl": (rock_salt, 4, "nacl_tosi_fumi", -8.055948877 * 256, (-2927.07, -2927.07, -2927.07), []),
    "llzo": (garnet, "llzo_buckingham", "llzo_buckingham", -4148.150082, (-102575.18, -102575.18, -84064.51),
             [((1.065709, 2.150405, 11.823466), (0.43621, 0.219981, -0.639373)), ((1.685878, 3.309018, 4.76314), (0.566563, 0, 0)),
              ((0.45818, 9.192676, 5.986263), (-1.510869, 0.601378, 2.88177))]),
    "llzo_partial": (garnet, "oxides_du_teter", "oxides_du_teter", -1683.736595, (-40980.60, -40980.60, -36608.12),
                     [((1.065709, 2.150405, 11.823466), (0.069921, 0.281745, -0.214487)), ((1.685878, 3.309018, 4.76314), (-0.030721, 0, 0)),
                      ((0.45818, 9.192676, 5.986263), (-0.189657, 0.181913, 0.948737))]),
}


def rational_erfc(x):
    """The erfc inside LAMMPS' coul/long pair styles: Abramowitz and Stegun 7.1.26, good to 1.5e-7."""
    t = 1 / (1 + 0.3275911 * x)
    return t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * np.exp(-x * x)


def lammps_splitting(box, charge, cutoff=10.0, accuracy=1e-10):
    """1/angstrom: what its kspace_style ewald takes (accuracy relative to the force of two unit charges at 1 angstrom)."""
    ratio = accuracy * COULOMB * np.sqrt(len(charge) * cutoff * box.volume) / (2 * COULOMB * (charge**2).sum())
    return np.sqrt(-np.log(ratio)) / cutoff


@pytest.mark.parametrize("name", SINGLE_POINTS)
def test_single_points_of_lammps(name):
    """Straight, energies agree to 1e-6; with the error of LAMMPS' erfc taken into account (0.04 bar in rock salt, where that is 1.2e-5 of the
    pressure), stresses agree to 1e-5 of the largest."""
    make, argument, table, energy, stress, forces = SINGLE_POINTS[name]
    cell = make(argument)
    box, kinds, species, position = cell
    chosen = choose_coulomb("ewald", 1e-10, 10.0, box, kinds, counts_of(cell))
    domain = Domain(SerialComm(), box, (1, 1, 1), 10.5)
    engine = Forces(load_forcefield(table), kinds, box, domain, 10.0, 0.5, truncation="plain", settings=chosen, counts=counts_of(cell))
    state = State.of(box, kinds, species, position)
    halo(domain, state)
    engine.rebuild(state)
    found = engine.compute(state, True)
    charge = kinds.charge[species]
    beta = lammps_splitting(box, charge)
    theirs, true = (real_space(box, position, charge, beta, 10.0, **how) for how in ({"erfc": rational_erfc}, {}))
    assert found.potential == pytest.approx(energy, rel=1e-6)
    assert found.potential + theirs[0] - true[0] == pytest.approx(energy, rel=1e-7)     # the short-range parts of LLZO differ by 5e-8
    pressure = in_unit((found.virial + theirs[2] - true[2]) / box.volume, "bar")
    np.testing.assert_allclose(pressure, np.diag(stress), rtol=0, atol=1e-5 * max(np.abs(stress)))
    for where, force in forces:
        apart = state.position[:len(species)] - where
        i = np.argmin(((apart - np.round(apart / box.lengths) * box.lengths) ** 2).sum(1))
        np.testing.assert_allclose(state.force[i] + theirs[1][i] - true[1][i], force, rtol=0, atol=1e-5)
