"""Estimate, figures and report of synthetic ensemble arrays whose conductivity is known (free ions in a Langevin bath)."""
import hashlib
import json
import re

import langevin_ions
import numpy as np
import pytest
from langevin_ions import EXACT

from hpcnemd.experiments.ionic_conductivity import figures, report
from hpcnemd.experiments.ionic_conductivity.estimate import estimate

MODES = ("constant_current", "constant_field", "none")


@pytest.fixture(scope="module")
def results():
    return {mode: estimate(*langevin_ions.ensemble(np.random.default_rng(5), mode)) for mode in MODES}


@pytest.mark.parametrize("mode", MODES)
def test_the_estimate_holds_the_exact_conductivity(results, mode):
    # 4 standard errors: 1e-4
    result = results[mode]
    assert abs(result.sigma.value - EXACT) < 4 * result.sigma.error
    assert result.sigma.relative < (0.03 if mode != "none" else 0.12)
    numbers = json.loads(result.to_json())
    assert numbers["conductivity"]["value"] == result.sigma.value and numbers["conductivity"]["unit"] == "S/m"
    # free ions move independently: Nernst-Einstein is the whole conductivity
    ratio = numbers["haven_ratio"]
    assert abs(ratio["value"] - 1) < 4 * ratio["error"] + 0.03
    if mode != "none":
        made = numbers["entropy_production"]
        assert made["from_heat"] == pytest.approx(made["run"]["value"], abs=20)            # energy change / k_B T
        assert numbers["Q_TUR"]["interval95"][0] < 1 < numbers["Q_TUR"]["interval95"][1] * 1.3
        assert numbers["equilibrium"]["axes"] == "yz"
    assert {v.name: v.passed for v in result.verdicts}["energy ledger"]


def test_numbers_do_not_depend_on_anything_but_the_arrays(results):
    again = estimate(*langevin_ions.ensemble(np.random.default_rng(5), "constant_current"))
    assert again.to_json() == results["constant_current"].to_json()


def test_unfinished_blocks_change_nothing():
    arrays, attrs = langevin_ions.ensemble(np.random.default_rng(6), "constant_current")
    whole = estimate(arrays, attrs).numbers
    longer = {name: np.concatenate([a, np.full_like(a[:, :5], np.nan)], axis=1) if np.ndim(a) > 1 and name != "msd" else a for name, a in arrays.items()}
    assert estimate(longer, attrs).numbers == whole


def test_no_finished_block_is_an_error():
    arrays, attrs = langevin_ions.ensemble(np.random.default_rng(6), "none", blocks=4)
    with pytest.raises(ValueError, match="no block"):
        estimate(arrays | {"blocks_done": np.zeros(2, int)}, attrs)


def test_attributes_may_come_as_bytes_and_arrays(results):
    arrays, attrs = langevin_ions.ensemble(np.random.default_rng(5), "constant_field")
    stored = attrs | {"mode": b"constant_field", "species": np.array([b"Li", b"X"]), "mobile": np.array(["Li"], dtype=object),
                      "counts": np.array(attrs["counts"]), "temperature": np.float64(1000.0)}
    assert estimate(arrays, stored).to_json() == results["constant_field"].to_json()


def test_a_small_current_is_refused_with_what_to_take_instead():
    # 0.4 k_B in the run; 2.5 % of such runs would pass: this seed does not
    arrays, attrs = langevin_ions.ensemble(np.random.default_rng(7), "constant_current", entropy=0.005)
    result = estimate(arrays, attrs)
    assert result.sigma is None and result.refusals
    told = result.numbers["suggestion"]
    again = langevin_ions.ensemble(np.random.default_rng(8), "constant_current", entropy=told["current_e_angstrom_per_fs"] ** 2 * 2000.0
                                   / (langevin_ions.INSIDE * langevin_ions.VOLUME * langevin_ions.KT))
    assert estimate(*again).sigma is not None
    text = "\n".join(report.summary_lines(result))
    assert "not reported" in text and "angstrom/ps" in text and "sigma =" not in text
    assert json.loads(result.to_json())["conductivity"] is None


def test_an_equilibrium_run_that_is_too_short_is_refused():
    # ions that rattle in cages: bounded charge displacement, no diffusion
    arrays, attrs = langevin_ions.ensemble(np.random.default_rng(7), "none", blocks=10)
    rattle = np.random.default_rng(1).standard_normal(arrays["displacement_current"].shape)
    result = estimate(arrays | {"displacement_current": rattle}, attrs)
    assert result.sigma is None and "too short" in result.refusals[0]


def test_a_heated_species_a_drift_and_an_open_ledger_are_named():
    arrays, attrs = langevin_ions.ensemble(np.random.default_rng(9), "constant_field")
    arrays["temperature_species"][:, :, 0] += 80.0
    arrays["potential"] += 6.0 * np.exp(-np.arange(40) / 4.0)
    arrays["ledger_error"] += 0.5
    verdicts = {v.name: v for v in estimate(arrays, attrs).verdicts}
    assert verdicts["temperatures"].passed is False and "Li 10" in verdicts["temperatures"].text
    assert verdicts["settled"].passed is False and "potential energy" in verdicts["settled"].text
    assert verdicts["energy ledger"].passed is False


def test_zero_current_gives_the_equilibrium_conductivity_from_the_noise():
    # 4 standard errors. The field of real ions shakes too: its impulse then holds a bounded part, here ten times the noise of one sample
    arrays, attrs = langevin_ions.ensemble(np.random.default_rng(10), "zero_current")
    shaking = 10 * np.diff(arrays["impulse_series"]).std() * np.random.default_rng(11).standard_normal(arrays["impulse_series"].shape)
    for series in (arrays["impulse_series"], arrays["impulse_series"] + shaking):
        result = estimate(arrays | {"impulse_series": series}, attrs)
        assert abs(result.sigma.value - EXACT) < 4 * result.sigma.error and "zero current" in result.sigma.estimator
        assert result.sigma.low < EXACT < result.sigma.high and result.numbers["equilibrium"]["axes"] == "yz"
        assert "drive" not in result.numbers and "conductivity: sigma" in "\n".join(report.summary_lines(result))


def test_too_short_a_run_at_zero_current_is_refused():
    arrays, attrs = langevin_ions.ensemble(np.random.default_rng(13), "zero_current", replicas=1, blocks=2, block=100.0)
    result = estimate(arrays, attrs)
    assert result.sigma is None and "too few times" in result.refusals[0]


def test_an_oblique_drive_uses_the_plane_across_it():
    # the same data turned by 45 degrees about z: every number of the equilibrium part stays, to round-off
    arrays, attrs = langevin_ions.ensemble(np.random.default_rng(12), "constant_field")
    c = 0.5 ** 0.5
    turn = np.array([[c, c, 0], [-c, c, 0], [0, 0, 1]])
    turned = arrays | {"displacement_current": arrays["displacement_current"] @ turn}
    straight, oblique = estimate(arrays, attrs).numbers, estimate(turned, attrs | {"axis": np.array([1.0, 0, 0]) @ turn}).numbers
    assert oblique["settings"]["direction"] == "[0.7071, 0.7071, 0]" and oblique["equilibrium"]["axes"] == "across"
    assert oblique["equilibrium"]["green_kubo"]["value"] == pytest.approx(straight["equilibrium"]["green_kubo"]["value"], rel=1e-9)


def test_lags_that_a_replica_has_not_reached_are_left_out():
    arrays, attrs = langevin_ions.ensemble(np.random.default_rng(13), "none")
    arrays["msd"][1, 30:] = np.nan
    shorter = arrays | {"msd": arrays["msd"][:, :30]}
    assert estimate(arrays, attrs).numbers["diffusion"] == estimate(shorter, attrs | {"lags": attrs["lags"][:30]}).numbers["diffusion"]


def test_one_replica_gives_a_bound_on_the_error_of_diffusion():
    arrays, attrs = langevin_ions.ensemble(np.random.default_rng(11), "none", replicas=1)
    entry = estimate(arrays, attrs).numbers["nernst_einstein"]
    assert 0 < entry["error"] < 0.1 * entry["value"]
    # three axes of one replica are three samples
    per_axis = arrays | {"msd": arrays["msd"][..., None] / 3 * np.array([0.97, 1.0, 1.03])}
    assert estimate(per_axis, attrs).numbers["nernst_einstein"]["degrees_of_freedom"] == 2


@pytest.mark.parametrize("value, error, unit, text", [
    (349.123, 1.34, "S/m", "349.1 ± 1.3 S/m"), (1248.06, 28.6, "S/m", "1248 ± 29 S/m"), (2.3e-5, 1.2e-6, "cm²/s", "(2.30 ± 0.12)e-05 cm²/s"),
    (0.0123, 0.0004, "", "0.01230 ± 0.00040"), (1248.0, 286.0, "S/m", "1250 ± 290 S/m"), (3.0, None, "K", "3 K"), (None, None, "K", "not known"),
    (0.0, 2.5e-7, "x", "(0.0 ± 2.5)e-07 x"), (12345678.0, 23456.0, "", "(1.2346 ± 0.0023)e+07")])
def test_numbers_are_rounded_by_their_error(value, error, unit, text):
    assert report.number(value, error, unit) == text


@pytest.mark.parametrize("grid, parallel, said", [([1, 2, 1, 1], 'balance = "time"', True), ([2, 1, 1, 1], 'balance = "time"', False), ([1, 2, 2, 1], 'balance = "cost"', False), ([1, 2, 1, 1], "", False)])
def test_a_run_that_does_not_repeat_says_so_on_its_page(results, tmp_path, grid, parallel, said):
    record = {"grid": np.array(grid), "deck": f"[parallel]\n{parallel}\n"}
    page = report.write(results["constant_current"], tmp_path, provenance=report.repeatability(record)).read_text()
    assert ("followed measured times" in page) == said


def test_figures_and_page(results, tmp_path):
    rng = np.random.default_rng(0)
    frame = (rng.random((84, 3)) * 17.1, np.repeat([0, 1], [56, 28]), 17.1 * np.eye(3))
    result = results["constant_current"]
    pictures = figures.draw(result, tmp_path / "a", frame, formats=("png",))
    assert {p.name for p in pictures} == {"running_estimate", "block_length", "driving_force", "quality", "temperatures", "energy_ledger", "green_kubo",
                                          "displacement", "error_methods", "snapshot"}
    for picture in pictures:
        assert picture.png.read_bytes()[:4] == b"\x89PNG"
        assert "1000 K" in picture.caption or picture.name == "snapshot"
    page = report.write(result, tmp_path / "a", pictures, deck='[run]\ntemperature = "1000 K" # <&>', provenance={"seed": 1, "versions": {"numpy": "2"}})
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 10 and "&lt;&amp;&gt;" in text and "versions.numpy" in text
    assert not re.search(r"(src|href)=\"(?!data:)", text)                   # nothing is loaded from elsewhere
    assert report.shown(result.sigma.as_dict()) in text
    assert (tmp_path / "a" / "numbers.json").read_text() == result.to_json()


def test_figures_are_the_same_bytes_each_time(results, tmp_path):
    digests = []
    for name in ("a", "b"):
        pictures = figures.draw(results["none"], tmp_path / name, only=("displacement",))
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for p in pictures for path in (p.png, p.pdf)])
    assert digests[0] == digests[1] and len(digests[0]) == 2
    assert pictures[0].pdf.read_bytes()[:4] == b"%PDF"


def test_a_refused_or_tiny_run_still_draws(tmp_path):
    for entropy, blocks in ((0.005, 12), (50.0, 1)):
        arrays, attrs = langevin_ions.ensemble(np.random.default_rng(3), "constant_current", replicas=1, blocks=blocks, entropy=entropy)
        result = estimate(arrays, attrs)
        pictures = figures.draw(result, tmp_path / f"{entropy}-{blocks}", formats=("png",))
        page = report.write(result, tmp_path / f"{entropy}-{blocks}", pictures)
        assert "temperatures" in {p.name for p in pictures} and page.stat().st_size > 1e4
        assert report.summary_lines(result)
