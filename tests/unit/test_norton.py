"""Zero current and single driven species, on processes whose answers are exact."""
import math

import langevin_ions
import numpy as np
import pytest
from langevin_ions import EXACT, INSIDE, KT, TEMPERATURE, VOLUME

from hpcnemd.analysis import einstein, norton
from hpcnemd.analysis.onsager import PER_JOULE_METRE_SECOND
from hpcnemd.core.errors import InputError
from hpcnemd.core.state import Species
from hpcnemd.core.units import MASS
from hpcnemd.dynamics.colour import Colour
from hpcnemd.experiments.ionic_conductivity.estimate import estimate

SAMPLE = 20.0
NOISE = KT / (INSIDE * VOLUME)              # Var X / 2t


def impulses(rng, steps, replicas, shaking):
    """X(t) of ions that are held at zero current: white noise of the resistance, and `shaking` of a damped vibration of 60 fs (in units of the noise of a sample)."""
    white = rng.normal(0.0, math.sqrt(2 * NOISE * SAMPLE), (replicas, steps + 1)).cumsum(axis=1)
    return list(white + shaking * math.sqrt(2 * NOISE * SAMPLE) * rng.standard_normal((replicas, steps + 1)))


@pytest.mark.parametrize("shaking", [0.0, 5.0])
def test_intervals_hold_the_exact_conductivity(shaking):
    """200 runs: 95 % of intervals, 4 standard deviations; the resistivity is right on average within 4 standard errors."""
    rng = np.random.default_rng(21)
    inside, values, errors = 0, [], []
    for _ in range(200):
        found = norton.resistivity(impulses(rng, 2000, 2, shaking), SAMPLE, 100)
        sigma = norton.conductivity(found, VOLUME, TEMPERATURE)
        inside += sigma.low < EXACT < sigma.high
        values.append(found.value)
        errors.append(found.error)
    assert 0.89 <= inside / 200 <= 0.995
    assert abs(np.mean(values) / NOISE - 1) < 4 * np.std(values) / NOISE / math.sqrt(200)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_no_upper_end_where_the_resistivity_may_be_zero():
    found = norton.resistivity([np.random.default_rng(2).standard_normal(400)], SAMPLE, 20)           # a bounded impulse: no resistance is to be seen
    sigma = norton.conductivity(found, VOLUME, TEMPERATURE)
    assert found.low <= 0 and math.isinf(sigma.high)


def test_the_window_of_shaking_ions_is_found():
    # the bounded part makes neighbouring increments anticorrelated by nearly a half: the window must be far longer than a sample
    window = einstein.choose_window(impulses(np.random.default_rng(22), 20000, 2, 5.0))
    assert window.independent and window.samples >= 16


def test_force_on_one_species_is_balanced_and_drives_its_own_flux():
    kinds = Species(("A", "B", "F"), np.array([10.0, 30.0, 50.0]) * MASS, [1.0, 2.0, -2.0], [1.0, 2.0, -2.0])
    counts = np.array([6, 3, 6])
    for mobile in (["A", "B"], "all"):
        colour = Colour.of(kinds, counts, mobile, only="B")
        assert np.sum(counts * colour.charge) == pytest.approx(0.0, abs=1e-12) and colour.mobile_charge == 6.0
        momentum = np.random.default_rng(1).standard_normal((3, 3))
        momentum -= momentum.sum(axis=0) * (counts * kinds.mass / np.sum(counts * kinds.mass))[:, None]           # of each species, no total
        flux = momentum / kinds.mass[:, None]                                   # sums of velocities
        frame = flux[2] / counts[2] if mobile != "all" else np.zeros(3)
        assert colour.current(momentum) == pytest.approx(2.0 * (flux[1] - counts[1] * frame)[0])
    assert Colour.of(kinds, counts, ["A", "B"], only="B").charge[0] == 0.0       # the other mobile species is left alone where there is a framework
    with pytest.raises(InputError, match="drive.species = 'F'"):
        Colour.of(kinds, counts, ["A", "B"], only="F")


COUPLED = np.array([[3.0, -0.8], [-0.8, 1.5]]) * 2e-2 * INSIDE                   # L, 1/(eV angstrom fs)


def driven_species(rng, which, blocks=400, block=2000.0, sample=200.0):
    """(arrays, attributes) of a run of two mobile species and a framework at rest whose fluxes obey J = V L F + noise of the covariance 2 k_B T V L."""
    arrays, attrs = langevin_ions.ensemble(rng, "constant_field", replicas=1, blocks=blocks, block=block, sample=sample)
    charges, field = np.array([1.0, 2.0]), 0.02
    steps = blocks * round(block / sample)
    force = np.zeros(2)
    force[which] = charges[which] * field
    mean = VOLUME * COUPLED @ force
    path = np.zeros((1, steps + 1, 3, 3))
    path[0, 1:, :2, 0] = (mean * sample + rng.multivariate_normal(np.zeros(2), 2 * KT * VOLUME * COUPLED * sample, steps)).cumsum(axis=0)
    path[0, 1:, :2, 1:] = rng.multivariate_normal(np.zeros(2), 2 * KT * VOLUME * COUPLED * sample, (steps, 2)).transpose(0, 2, 1).cumsum(axis=0)
    current = charges[which] * np.diff(path[:, ::round(block / sample), which, 0], axis=1) / block
    names = ["A", "B", "X"]
    return arrays | {"species_displacement": path, "current": current, "impulse": np.full((1, blocks), field * block), "work": field * block * current,
                     "temperature_species": np.full((1, blocks, 3), TEMPERATURE), "msd": np.zeros((1, 0, 3))}, attrs | {
        "species": names, "counts": [20, 10, 20], "charges": [1.0, 2.0, -2.0], "mass": np.array([10.0, 30.0, 50.0]) * MASS, "mobile": names[:2],
        "driven_species": names[which], "lags": []}


def test_two_runs_give_a_symmetric_matrix():
    """Every coefficient within 4 standard errors of the exact one, and L_AB of one run equal to L_BA of the other within 4."""
    rng = np.random.default_rng(31)
    columns = [estimate(*driven_species(rng, which)).numbers["onsager_column"] for which in (0, 1)]
    made = np.array([[one["coefficients"][name]["value"] for name in "AB"] for one in columns])
    error = np.array([[one["coefficients"][name]["error"] for name in "AB"] for one in columns])
    assert np.all(np.abs(made - PER_JOULE_METRE_SECOND * COUPLED) < 4 * error)
    assert np.all(error < 0.4 * PER_JOULE_METRE_SECOND * np.abs(COUPLED))
    assert abs(made[0, 1] - made[1, 0]) < 4 * math.hypot(error[0, 1], error[1, 0])
    whole = sum(value["value"] for one in columns for value in one["parts"].values())
    exact = 1.602176634e6 * np.array([1.0, 2.0]) @ COUPLED @ np.array([1.0, 2.0])
    assert whole == pytest.approx(exact, rel=0.1)
