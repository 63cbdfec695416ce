"""The acceptance numbers of orbital instability, from the deck to the numbers of the report; slow: full lengths."""
import math

import pytest

from hpcnemd.experiments import orbital_instability
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.serial import SerialComm


def analysed(folder, replicas=1, blocks=20, seed=2026, **tables):
    prepared = orbital_instability.prepare(orbital_instability.Deck.model_validate({"experiment": "orbital_instability", "blocks": blocks, **tables,
                                                                                    "run": {"replicas": replicas, "seed": seed}}))
    orbital_instability.run(prepared, Layout(SerialComm(), replicas), folder)
    return orbital_instability.analyse(folder)


def within(number, sigmas=3.0):
    assert number.target is not None and abs(number.distance) < sigmas, number


def test_maps_and_billiards(tmp_path):
    """Cat to 1e-3 and 3 standard errors, Henon's and Lorenz' sums exactly, the hexagonal billiard to 1 %. Chance to fail below 1 %."""
    result = analysed(tmp_path, maps={"systems": ["cat", "henon", "lorenz"], "steps": 200000}, billiards={"flights": 400000, "kinds": ["hexagonal"]})
    assert result.number("cat: lambda_1").value == pytest.approx(0.9624237, abs=1e-3)
    assert result.number("henon: sum of exponents").value == pytest.approx(math.log(0.3), abs=1e-9)
    assert result.number("lorenz: sum of exponents").value == pytest.approx(-13.6666667, abs=1e-4)
    within(result.number("lorenz: lambda_1"))
    billiard = result.number("Lorentz gas, hexagonal: lambda")
    assert billiard.value == pytest.approx(0.6378, rel=0.01)
    within(billiard)
    assert result.number("Lorentz gas, hexagonal: collision rate").value == pytest.approx(0.27583, rel=0.01)


def test_the_baker_map_to_one_per_mille(tmp_path):
    """The stretching of a step is ln 5 or ln 1.25, with a scatter of 0.2^(1/2) 0.8^(1/2) ln 4 = 0.555: 6 million independent steps have the standard error 2.3e-4, so that
    1e-3 is 4.4 of them (chance to fail 1e-5; 0.7 % with the 3 standard errors of the report, from 20 blocks)."""
    result = analysed(tmp_path, maps={"systems": ["baker"], "steps": 6000000})
    found = result.number("baker: lambda_1")
    assert found.value == pytest.approx(0.5004024, abs=1e-3)
    within(found)
    assert found.error == pytest.approx(math.sqrt(0.16 / 6e6) * math.log(4), rel=0.6)


def test_the_random_lorentz_gas_tends_to_kinetic_theory(tmp_path):
    """Extrapolated ratio 1 within 3 standard errors and 5 %; one bias-free estimator per configuration."""
    result = analysed(tmp_path, replicas=3, billiards={"kinds": ["random"], "flights": 100000})
    ratio = result.number("Lorentz gas, random: lambda / kinetic theory, extrapolated to density 0")
    within(ratio)
    assert ratio.value == pytest.approx(1.0, abs=0.05)


def test_structure_of_spectra_in_and_out_of_equilibrium(tmp_path):
    """Six zeros, pairs, volume; driven: contraction equals entropy production and minus the sum, pairs add to -alpha."""
    result = analysed(tmp_path, soft_particles={"particles": 8, "time": 100.0, "equilibrate": 5.0}, hard_discs={"particles": 9, "time": 100.0, "equilibrate": 5.0},
                      colour_field={"particles": 8, "time": 100.0, "fields": [1.0], "equilibrate": 10.0})
    for name in ("soft particles, 8 wca in 2D, density 0.4", "hard discs, 9 in 2D, density 0.4"):
        assert result.number(f"{name}: exponents that vanish").value == 6
        assert result.number(f"{name}: pairing, largest |sum of a pair| / lambda_1").value < 0.05
        assert abs(result.number(f"{name}: ln of phase volume, largest").value) < 1e-10
    colour = "colour field, 8 discs, field 1: "
    assert abs(result.number(colour + "(sum + contraction) / contraction").value) < 1e-3
    within(result.number(colour + "contraction (D - 1) alpha"))
    assert result.number(colour + "entropy production, beta F J").value > 1.0
    assert result.number(colour + "pairs to -alpha, largest miss / lambda_1").value < 0.05
    assert result.number("colour field, 8 discs, field 1: Kaplan-Yorke dimension").value < 31.5
    assert not result.warnings
    page = orbital_instability.draw(result, tmp_path)
    assert page.stat().st_size > 50000 and orbital_instability.summary(result)


@pytest.mark.slow
def test_pairing_below_one_per_mille(tmp_path):
    result = analysed(tmp_path, soft_particles={"particles": 8, "time": 8000.0})
    assert result.number("soft particles, 8 wca in 2D, density 0.4: pairing, largest |sum of a pair| / lambda_1").value < 1e-3
    assert result.number("soft particles, 8 wca in 2D, density 0.4: exponents that vanish").value == 6


@pytest.mark.slow
def test_three_dimensions_have_eight_zeros(tmp_path):
    result = analysed(tmp_path, soft_particles={"particles": 27, "dimensions": 3, "density": 0.6, "time": 1600.0})
    assert result.number("soft particles, 27 wca in 3D, density 0.6: pairing, largest |sum of a pair| / lambda_1").value < 1e-3
    assert result.number("soft particles, 27 wca in 3D, density 0.6: exponents that vanish").value == 8


@pytest.mark.slow
def test_simple_fluids_beside_two_trajectory_runs(tmp_path):
    """Lennard-Jones and WCA, 108 particles: 3.32(5), 3.94(5); 3 standard errors, and 5 % (different methods, temperatures within 2 %)."""
    for potential, temperature, wanted in (("lennard_jones", 0.68, 3.32), ("wca", 0.75, 3.94)):
        result = analysed(tmp_path / potential, soft_particles={"potential": potential, "dimensions": 3, "particles": 108, "density": 0.8442, "temperature": temperature,
                                                                "time": 60.0, "exponents": 1})
        one = next(one for one in result.numbers if one.name.endswith("lambda_1"))
        within(one)
        assert one.value == pytest.approx(wanted, rel=0.05)


@pytest.mark.slow
def test_billiards_at_full_length(tmp_path):
    result = analysed(tmp_path, replicas=8, blocks=40, billiards={"kinds": ["hexagonal", "random", "thermostatted"], "flights": 2000000, "fields": [0.2], "time": 5000.0})
    within(result.number("Lorentz gas, hexagonal: lambda"))
    within(result.number("Lorentz gas, random: lambda / kinetic theory, extrapolated to density 0"))
    for name in ("(sum + contraction) / contraction", "(sum + J E / T) / (J E / T)"):
        assert abs(result.number(f"Lorentz gas, thermostatted, field 0.2: {name}").value) < 0.01
    made = result.number("Lorentz gas, thermostatted, field 0.2: entropy production, J E / T")
    assert made.value > 5 * made.error
