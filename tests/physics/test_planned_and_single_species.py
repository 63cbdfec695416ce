"""Molten NaCl, 216 ions, 1100 K: zero current, single driven species, tiny fields and the planner's word. Decks and seeds are fixed here.

On two cores: bash tests/run.sh -m slow tests/physics/test_planned_and_single_species.py -s (runs are kept as those of the conductivity of salts)"""
import json
import math
import os
import subprocess
import sys

import pytest
from test_conductivity_of_salts_and_crystals import JOBS, MPIRUN, NACL, RUNS, deck_of, estimate, run

pytestmark = pytest.mark.slow
SALT = {"equilibrate": '"20 ps"', "settle": '"2 ps"', "measure": '"60 ps"', "blocks": 30}


def hpcnemd(*words, ranks=2):
    """Standard output of a command on so many ranks; it must end with 0."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PMIX_", "OMPI_COMM_", "OMPI_MCA_orte", "OMPI_MCA_ess"))}
    done = subprocess.run([MPIRUN, "-n", str(ranks), sys.executable, "-m", "hpcnemd", *map(str, words)], env=environment, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    print("\n" + done.stdout)
    return done.stdout


def test_the_field_at_zero_current_knows_the_conductivity():
    """2 x 60 ps: the published value inside 3 standard errors of the resistivity (the chance of a chi-square variable with 90 degrees of freedom to be farther
    off is below 0.6 %), and the equilibrium estimate of the axes across agrees."""
    numbers = run("zero_current", deck_of("nacl_216.toml", ['kind = "zero_current"', 'mobile = "all"'], replicas=2, **SALT), RUNS)
    sigma, across = estimate(numbers), numbers["equilibrium"]["green_kubo"]
    resistance, error = 1 / sigma.value, sigma.relative / sigma.value
    print(f"zero current {sigma.value:.0f} +- {sigma.error:.0f} S/m, across {across['value']:.0f} +- {across['error']:.0f} S/m")
    assert abs(resistance - 1 / NACL[0]) < 3 * error
    assert abs(sigma.value - across["value"]) < 3 * math.hypot(sigma.error, across["error"])


def test_onsager_coefficients_of_two_runs_are_symmetric():
    """Na driven alone, Cl driven alone: L_NaCl = L_ClNa within 3 standard errors; each column obeys the momentum of the salt; the parts add up to the conductivity."""
    found = {}
    for name in ("Na", "Cl"):
        deck = deck_of("nacl_216.toml", ['kind = "constant_field"', 'field = "0.04 V/angstrom"', f'species = "{name}"', 'mobile = "all"'], replicas=1, **SALT)
        found[name] = run(f"driven_{name}", deck, RUNS)["onsager_column"]
    one, other = found["Na"]["coefficients"]["Cl"], found["Cl"]["coefficients"]["Na"]
    print({name: {key: (entry["value"], entry["error"]) for key, entry in column["parts"].items()} for name, column in found.items()})
    assert abs(one["value"] - other["value"]) < 3 * math.hypot(one["error"], other["error"])
    ratio = found["Na"]["coefficients"]["Cl"]["value"] / found["Na"]["coefficients"]["Na"]["value"]
    assert ratio == pytest.approx(-22.98977 / 35.453, rel=1e-3)
    whole = sum(entry["value"] for column in found.values() for entry in column["parts"].values())
    error = math.hypot(*(sum(entry["error"] for entry in column["parts"].values()) for column in found.values()))       # parts of one run go together
    assert abs(whole - NACL[0]) < 3 * math.hypot(error, NACL[1], 0.03 * NACL[0])        # 3 %: nonlinear at this field


def test_a_tiny_field_gives_the_conductivity_that_a_large_one_gives(tmp_path):
    """jobs/nacl_ttcf.toml: both fields alike, the published value within 3 standard errors, and nothing without correlation."""
    text = (JOBS / "nacl_ttcf.toml").read_text().replace("runs/nacl_ttcf", str(RUNS / "nacl_ttcf"))
    (tmp_path / "deck.toml").write_text(text)
    hpcnemd("run", tmp_path / "deck.toml")
    numbers = {one["name"]: one for one in json.loads((RUNS / "nacl_ttcf" / "report" / "numbers.json").read_text())["numbers"]}
    weak, full = (numbers[f"TTCF, {text} V/Å"] for text in ("4e-06", "0.04"))
    assert abs(weak["value"] - NACL[0]) < 3 * weak["error"]
    assert abs(weak["value"] - full["value"]) < max(weak["error"], full["error"])
    assert numbers["direct average, no images, 4e-06 V/Å"]["error"] > 100 * NACL[0]


@pytest.mark.parametrize("name, error", [("nacl_216.toml", "2%"), ("agi_256.toml", "3%"), ("llzo_192_1000K.toml", "3.5%")])
def test_the_planner_keeps_its_word(name, error, tmp_path):
    """A plan and the run that it writes: the error after the measurement that the run took is the predicted one within a factor of 1.3, and so is the length at
    which it stops. These errors need 100 to 300 blocks, so that the error of a run is known to 4 to 7 %, and a pilot of 500 k_B knows the conductivity, to which the
    length is proportional, to 6 %; the looks at which a run stops lie a factor of 1.25 apart. The chance that correct code fails was not measured."""
    folder = RUNS / f"planned_{name.split('.')[0]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    deck, planned = tmp_path / "deck.toml", tmp_path / "planned.toml"
    deck.write_text(deck_of(name) + f'[output]\nfolder = "{folder}"\n')
    hpcnemd("plan", deck, "--error", error, "--write", planned)
    hpcnemd("run", planned)
    plan = json.loads((folder.with_name(folder.name + "_plan") / "plan.json").read_text())
    numbers = json.loads((folder / "report" / "numbers.json").read_text())
    taken, expected = numbers["length"]["time_fs"], plan["costs"]["driven"]["time"]
    sigma = estimate(numbers)
    predicted = plan["expected"] * math.sqrt(expected / taken)
    print(f"{name}: error {100 * sigma.relative:.2f} % against {100 * predicted:.2f} % predicted, {taken / 1e3:g} ps against {expected / 1e3:g} ps")
    assert 1 / 1.3 < sigma.relative / predicted < 1.3
    assert 1 / 1.3 < taken / expected < 1.3
