"""The choice of splitting, mesh and order from one number, its error estimates, and what is refused."""
import math

import numpy as np
import pytest
from charged_cells import counts_of, displaced, exact, garnet, random_ions, real_space, reciprocal, rock_salt

from hpcnemd.core.box import Box
from hpcnemd.core.errors import InputError
from hpcnemd.core.state import Species
from hpcnemd.core.units import COULOMB
from hpcnemd.forces import coulomb as module
from hpcnemd.forces.coulomb import (CoulombSettings, charge_strength, choose_coulomb, coulomb_force_scale, dsf_self_energy, ewald_error, mesh_error,
                                    own_strength,                                   real_space_error, smooth_size)
from hpcnemd.forces.ewald import Ewald
from hpcnemd.forces.spme import Spme


def choose(method, accuracy, cell, cutoff=10.0, **more):
    return choose_coulomb(method, accuracy, cutoff, cell[0], cell[1], counts_of(cell), **more)


def random_cell():
    """500 ions at random: the structure that the estimates assume."""
    return random_ions(500, (19.0, 19.0, 19.0), seed=2)


@pytest.mark.parametrize("cell", [rock_salt(4), garnet()], ids=["rock salt", "garnet"])
@pytest.mark.parametrize("method", ["ewald", "spme"])
def test_the_estimate_is_within_the_budget_and_settings_grow_with_it(cell, method):
    last = None
    for accuracy in (1e-3, 1e-4, 1e-5, 1e-6):
        chosen = choose(method, accuracy, cell)
        assert chosen.method == method and accuracy / 3 < chosen.estimated_error <= accuracy
        size = math.prod(chosen.mesh if method == "spme" else chosen.kmax) * (chosen.order or 1)
        assert last is None or (chosen.beta > last[0] and size > last[1])
        last = chosen.beta, size


def test_estimates_hold_for_random_ions():
    """Real space, waves and mesh apart. Their ratio to the measured error is 1 up to the few pairs that dominate: 500 ions stay within 20 %
    (seed fixed; other seeds 0.9 to 1.1)."""
    cell = random_cell()
    box, kinds, species, position = cell
    charge, strength = kinds.charge[species], charge_strength(box, kinds.charge, counts_of(cell))
    beta, cutoff = 0.35, 8.0
    far = real_space(box, position, charge, beta, 5.3 / beta)[1]
    near = real_space(box, position, charge, beta, cutoff)[1]
    assert np.sqrt(((far - near) ** 2).mean()) == pytest.approx(real_space_error(strength, beta, cutoff, "plain"), rel=0.2)

    def settings(**what):
        return CoulombSettings(**{"method": "", "beta": beta, "mesh": None, "order": None, "kmax": None, "estimated_error": 0.0, "cutoff": cutoff,
                                  "accuracy": 1.0, "truncation": "plain", "force_scale": 1.0} | what)
    _, want = reciprocal(Ewald, settings(kmax=(13, 13, 13)), cell)
    _, few = reciprocal(Ewald, settings(kmax=(7, 7, 7)), cell)
    assert np.sqrt(((few - want) ** 2).mean()) == pytest.approx(ewald_error(strength, beta, (7, 7, 7), box), rel=0.2)
    for mesh, order in (((24, 24, 24), 5), ((18, 18, 18), 8)):
        _, force = reciprocal(Spme, settings(mesh=mesh, order=order), cell, remove_net_force=False)
        assert np.sqrt(((force - want) ** 2).mean()) == pytest.approx(mesh_error(strength, own_strength(kinds.charge, counts_of(cell)), beta, mesh, order, box), rel=0.2)


def test_a_sample_of_the_mesh_is_enough(monkeypatch):
    box = Box([60.0, 40.0, 50.0])
    small = mesh_error(1.0, 1.0, 0.35, (48, 32, 40), 7, box)
    monkeypatch.setattr(module, "SAMPLE", 100)
    assert small == pytest.approx(mesh_error(1.0, 1.0, 0.35, (48, 32, 40), 7, box), rel=0.02)


@pytest.mark.parametrize("cutoff", [7.0, 8.5, 12.0])
def test_accuracy_at_other_cutoffs(cutoff):
    """8.5 angstrom is the worst place for rock salt: between two shells."""
    cell = displaced(rock_salt(3))
    box, kinds, species, position = cell
    _, want, _ = exact(cell, 9.0)
    for accuracy in (1e-4, 1e-6):
        chosen = choose("spme", accuracy, cell, cutoff)
        force = reciprocal(Spme, chosen, cell, remove_net_force=False)[1] + real_space(box, position, kinds.charge[species], chosen.beta, cutoff)[1]
        assert np.sqrt(((force - want) ** 2).mean()) <= accuracy


@pytest.mark.parametrize("cell", [rock_salt(3), garnet()], ids=["rock salt", "garnet"])
def test_shift_force_is_in_the_budget(cell):
    """Every pair inside the cutoff loses the force at the cutoff: the splitting must rise for the same accuracy."""
    cell = displaced(cell)
    box, kinds, species, position = cell
    charge, cutoff = kinds.charge[species], 10.0
    chosen, plain = choose("spme", 1e-4, cell, truncation="shift_force"), choose("spme", 1e-4, cell)
    assert chosen.beta > plain.beta and chosen.estimated_error <= 1e-4
    edge = COULOMB * (math.erfc(chosen.beta * cutoff) / cutoff**2 + 2 * chosen.beta / math.sqrt(math.pi) * math.exp(-(chosen.beta * cutoff) ** 2) / cutoff)
    direction = np.zeros_like(position)
    apart = position[:, None] - position[None]
    for turn in np.ndindex(5, 5, 5):
        r = apart + (np.array(turn) - 2) * box.lengths
        d = np.sqrt((r * r).sum(2))
        inside = (d > 0) & (d < cutoff)
        unit = np.where(inside, charge[None] / np.where(inside, d, 1.0), 0.0)
        direction += charge[:, None] * (unit[:, :, None] * r).sum(1)
    force = reciprocal(Spme, chosen, cell, remove_net_force=False)[1] + real_space(box, position, charge, chosen.beta, cutoff)[1] - edge * direction
    assert np.sqrt(((force - exact(cell)[1]) ** 2).mean()) <= 1e-4


def test_settings_depend_on_density_and_composition_only():
    """The same crystal eight times larger has the same splitting, and a mesh of about the same spacing."""
    small, large = (choose("spme", 1e-5, rock_salt(cells)) for cells in (3, 6))
    assert small.beta == pytest.approx(large.beta, rel=1e-6)
    assert 16.92 / small.mesh[0] == pytest.approx(33.84 / large.mesh[0], rel=0.15)


def test_sizes_are_smooth():
    assert [smooth_size(n) for n in (1, 5, 11, 13, 17, 22.5, 33, 65)] == [4, 6, 12, 14, 18, 24, 36, 70]


def test_damped_shifted_force_gives_the_madelung_energy():
    """Its pair sum with its self term, damping 0.25 1/angstrom: within 0.3 % of rock salt's Coulomb energy at a cutoff of 9 angstrom,
    1e-5 at 14."""
    box, kinds, species, position = rock_salt(2)
    charge = kinds.charge[species]
    for cutoff, off in ((9.0, 3e-3), (14.0, 1e-5)):
        settings = choose_coulomb("dsf", None, cutoff, box, kinds, [32, 32])
        assert settings.beta == 0.25 and settings.estimated_error is None
        a = settings.beta
        edge = math.erfc(a * cutoff) / cutoff
        slope = edge / cutoff + 2 * a / math.sqrt(math.pi) * math.exp(-(a * cutoff) ** 2) / cutoff
        pairs, n = real_space(box, position, charge, a, cutoff)[0], 0.0
        apart = position[:1] - position
        for turn in np.ndindex(7, 7, 7):
            d = np.linalg.norm(apart + (np.array(turn) - 3) * box.lengths, axis=1)
            inside = (d > 0) & (d < cutoff)
            n += (charge[0] * charge * np.where(inside, -edge + slope * (d - cutoff), 0.0)).sum()
        energy = pairs + 0.5 * COULOMB * 64 * n + dsf_self_energy(settings, kinds, [32, 32], cutoff)
        assert energy == pytest.approx(-1.747564594633182 * COULOMB / 2.82 * 32, rel=off)


def test_force_scale_is_the_rms_of_the_coulomb_forces():
    cell = displaced(garnet())
    box, kinds, species, position = cell
    rms = np.sqrt((exact(cell)[1] ** 2).mean())
    assert rms > 3.0
    assert coulomb_force_scale(box, kinds, species, position) == pytest.approx(rms, rel=0.05)
    coarse, fine = (choose("spme", 1e-5, cell, force_scale=scale) for scale in (rms, None))
    assert coarse.force_scale == pytest.approx(rms) and fine.force_scale == 1.0 and math.prod(coarse.mesh) < math.prod(fine.mesh)


REFUSED = [
    (("pme", 1e-5, 10.0, Box([20.0] * 3), [10, 10]), 'coulomb method .pme.: one of ewald, spme, dsf, none'),
    (("spme", 1e-5, 10.0, Box([20.0] * 3, 2), [10, 10]), "needs a box of 3 dimensions, this one has 2; .* method = .none."),
    (("dsf", None, 10.0, Box([20.0] * 3, 1), [10, 10]), "3 dimensions"),
    (("ewald", 1e-5, 10.0, Box([20.0] * 3), [10, 9]), "carries the charge 1 e; .*neutral"),
    (("ewald", 1e-5, 10.0, Box([20.0] * 3), [0, 0]), "no particle carries a charge"),
    (("spme", 0.0, 10.0, Box([20.0] * 3), [10, 10]), "accuracy 0.0: a number from 1e-12 to 0.1"),
    (("spme", 1e-5, -1.0, Box([20.0] * 3), [10, 10]), "cutoff -1.0: a positive length"),
    (("spme", 1e-12, 1.5, Box([20.0] * 3), [1000, 1000]), 'out of reach of .spme. at this cutoff; write coulomb'),
]


@pytest.mark.parametrize("arguments, message", REFUSED, ids=range(len(REFUSED)))
def test_refusals_say_what_to_type(arguments, message):
    method, accuracy, cutoff, box, counts = arguments
    kinds = Species(("Na", "Cl"), [1.0, 1.0], [1.0, -1.0], [1, -1])
    with pytest.raises(InputError, match=message):
        choose_coulomb(method, accuracy, cutoff, box, kinds, counts)


def test_without_charges_there_is_nothing_to_choose():
    kinds = Species(("Ar",), [1.0], [0.0], [0])
    assert choose_coulomb("none", None, 10.0, Box([20.0] * 3, 2), kinds, [5]).method == "none"
