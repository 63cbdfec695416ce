"""`hpcnemd thermo ...` on the shipped decks: exit codes, one clear message, and files with their premises."""
import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from invented_systems import BINARY, GAS

from hpcnemd.app import thermo
from hpcnemd.core.errors import HpcnemdError
from hpcnemd.storage.ensemble import read
from hpcnemd.thermo import deck_jobs

JOBS = BINARY.parent


def call(*words):
    """(exit code, message) of one command, in this process."""
    parser = argparse.ArgumentParser()
    thermo.add_parser(parser.add_subparsers(dest="command"))
    arguments = parser.parse_args(["thermo", *map(str, words)])
    assert not thermo.needs_mpi(arguments)
    try:
        return thermo.dispatch(arguments), ""
    except HpcnemdError as error:
        return error.exit_code, str(error)


@pytest.mark.parametrize("command, deck", [(c, c) for c in sorted(thermo.SUMMARIES)] + [("react", "ellingham"), ("react", "isomerisation"), ("eos", "state")])
def test_every_shipped_deck_runs(command, deck, tmp_path, capsys):
    code, message = call(command, JOBS / f"thermo_{deck}.toml", "--output", tmp_path)
    assert (code, message) == (0, "")
    screen = capsys.readouterr().out
    assert "status: ok" in screen and "gas constant" in screen
    records = json.loads((tmp_path / "result.json").read_text())
    assert all(r["status"] == "ok" and r["potential"] for r in records)
    held = read(tmp_path / "result.h5")
    assert held.status == ["complete"] and json.loads(held.arrays["record0 premises"][0])["gas_constant"] == records[0]["gas_constant"]
    for record in records:
        assert all(d["gas_constant"] and (d["sha256"] or command == "eos") for d in record["data"])
        assert record["data"] or deck in ("clapeyron", "link", "activity", "isomerisation")
    pictures = {"binary": ("diagram", "gibbs_500K"), "react": ("equilibrium_constants",), "ellingham": ("equilibrium_constants", "standard_lines"), "cp": ("heat_capacity",),
                "eos": ("saturation",), "kinetics": ("kinetics",), "activity": ("activities",), "free_energy": ("free_energy",)}.get(deck, ())
    for name in pictures:
        assert (tmp_path / f"{name}.png").stat().st_size > 5000 and (tmp_path / f"{name}.pdf").stat().st_size > 2000


def test_numbers_of_the_shipped_decks(tmp_path, capsys):
    call("clapeyron", JOBS / "thermo_clapeyron.toml", "--output", tmp_path)
    assert read(tmp_path / "result.h5").arrays["record0 dP per dT"][0] == pytest.approx(-13.46e6, rel=1e-3)
    assert len(deck_jobs.equation_of_state(JOBS / "thermo_eos.toml").tables["saturation"]) == 13
    metal = deck_jobs.heat_capacity(JOBS / "thermo_cp.toml").records[0].values
    assert metal["M(s) = M(l)"][0] == pytest.approx([1100, 12000, 12000 / 1100], rel=1e-4) and metal["transition of M(s) at 700 K"][0] == pytest.approx([700, 900, 900 / 700], rel=1e-9)


def test_reactions_at_another_reference_pressure(tmp_path):
    """Delta G = Delta H - T Delta S in every row at the pressure that was asked for, and ln K shifts by ln(p0'/p0) per mole of gas that is made."""
    rows = {}
    for p0 in ("1 atm", "10 bar"):
        deck = tmp_path / "react.toml"
        deck.write_text(f'data = "{GAS}"\nreactions = ["C(gr) + CO2 = 2 CO"]\ntemperature = ["1000 K", "1300 K"]\nreference_pressure = "{p0}"\n')
        rows[p0] = np.array([[float(v) for v in row[2:]] for row in deck_jobs.react(deck).tables["reactions"][1:]])
        h, s, g, ln_k = rows[p0].T
        assert np.allclose(h - np.array([1000.0, 1300.0]) * s, g, rtol=1e-12) and np.allclose(ln_k, -g / (8.314462618 * np.array([1000.0, 1300.0])), rtol=1e-12)
    assert np.allclose(rows["10 bar"][:, 3] - rows["1 atm"][:, 3], -np.log(1e6 / 101325), rtol=1e-12)


def test_water_and_van_der_waals(tmp_path):
    pytest.importorskip("CoolProp")
    deck = tmp_path / "eos.toml"
    deck.write_text('fluid = "water"\nsaturation = ["373.15 K"]\n')
    record, = deck_jobs.equation_of_state(deck).records
    assert record.values["saturation at T = 373.15"][0][4] == pytest.approx(3619.337, abs=5e-4)
    assert "IAPWS-95" in record.data[0].name and max(record.residuals.values()) < 1e-3
    deck.write_text('fluid = "van_der_waals"\na = "0.3658 Pa*m^6/mol^2"\nb = "4.286e-5 m^3/mol"\nsaturation = ["270 K"]\n')
    assert call("eos", deck) == (0, "")
    deck.write_text('fluid = "van_der_waals"\nsaturation = ["270 K"]\n')
    assert "needs a and b" in call("eos", deck)[1]


def test_strict_is_exit_code_2(tmp_path, capsys):
    shutil.copy(BINARY, tmp_path)
    text = (JOBS / "thermo_eq.toml").read_text()
    deck = tmp_path / "eq.toml"
    deck.write_text(text.replace(', "HCP_A3"]', "]").replace("600 K", "500 K").replace("0.4", "0.97"))
    code, message = call("eq", deck)
    assert code == 0 and "excluded: HCP_A3, driving force" in capsys.readouterr().out
    code, message = call("eq", deck, "--strict")
    assert code == 2 and message.startswith("excluded: HCP_A3, driving force")


@pytest.mark.parametrize("old, new, words", [("pressure = \"1 atm\"", "", "P is not given"), ("\"1 atm\"", "1", "no unit"), ("temperature = ", "temperatur = ", "did you mean temperature"),
                                             ("thermo_invented.tdb", "missing.tdb", "cannot be read"), ("BB = 0.4", "BB = 40", "write 0.4"), ("[system]", "[system", "not TOML"), ('"AA", "BB", "VA"]', '["AA"], 3]', "list of words"),
                                             ("BB = 0.4", 'BB = "0.4 mol"', "a number without a unit")])
def test_bad_decks(tmp_path, old, new, words):
    shutil.copy(BINARY, tmp_path)
    deck = tmp_path / "eq.toml"
    deck.write_text((JOBS / "thermo_eq.toml").read_text().replace(old, new))
    code, message = call("eq", deck)
    assert code == 2 and words in message, message


@pytest.mark.parametrize("job, deck, old, new, words", [
    ("gibbs", "gibbs", "[feed]", "[elements]", "belong into [feed]"), ("gibbs", "gibbs", '"C(gr)"]', '"Xx"]', "Xx: not in the data"), ("react", "react", "CO + H2O = CO2", "CO+H2O = CO2", "put blanks"),
    ("react", "react", "reference_pressure", 'per = "O2"\nreference_pressure', "not in every reaction"), ("kinetics", "kinetics", '"FCC_A1"\n', '"FCC"\n', "a solution phase among"),
    ("kinetics", "kinetics", "right = 0.20", "right = 0.5", "uphill"), ("kinetics", "kinetics", '"lattice model"', '"fixed stoichiometry"', "lattice model")])
def test_bad_decks_of_other_commands(tmp_path, job, deck, old, new, words):
    for data in ("thermo_invented.tdb", "thermo_gas.toml"):
        shutil.copy(JOBS / data, tmp_path)
    text = (JOBS / f"thermo_{deck}.toml").read_text()
    assert old in text
    (tmp_path / "deck.toml").write_text(text.replace(old, new, 1))
    code, message = call(job, tmp_path / "deck.toml")
    assert code == 2 and words in message, message


def test_check_of_a_file_and_of_a_question(tmp_path, capsys):
    assert call("check", BINARY)[0] == 0
    assert "298.15-2000 K" in capsys.readouterr().out
    assert call("check", BINARY, "--components", "AA", "BB", "VA", "-T", "600 K", "-P", "1 atm", "-x", "BB=0.3") == (0, "")
    assert "the question is sound" in capsys.readouterr().out
    code, message = call("check", BINARY, "--components", "AA", "BB", "-T", "600 K", "-P", "1 atm", "-x", "BB=0.3")
    assert code == 2 and "MissingVacancy" in message
    assert call("check", BINARY, "--components", "AA", "BB", "VA", "-T", "600", "-P", "1 atm", "-x", "BB=0.3")[0] == 2
    bad = tmp_path / "bad.tdb"
    bad.write_text(BINARY.read_text().replace("+GHSERBB#+2900", "+GHSERBX#+2900"))
    assert call("check", bad)[0] == 2
    assert "UndefinedFunction" in capsys.readouterr().err


def test_sweep_from_the_command_line(tmp_path):
    """In a process of its own, since it ends MPI; exit code 3 with a failed point, and the reason on the screen."""
    shutil.copy(JOBS / "thermo_gas.toml", tmp_path)
    (tmp_path / "s.toml").write_text('kind = "gibbs"\ndata = "thermo_gas.toml"\ncandidates = ["all"]\n[grid]\ntemperature = ["923 K", "5500 K"]\npressure = "1 atm"\n'
                                     'elements = { C = "1 mol", H = "4 mol", O = "1 mol" }\n')
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PMIX_", "OMPI_COMM_", "OMPI_MCA_orte_", "OMPI_MCA_ess"))}
    end = subprocess.run([sys.executable, "-m", "hpcnemd", "thermo", "sweep", tmp_path / "s.toml", "-o", tmp_path / "o.h5"], capture_output=True, text=True, timeout=120,
                         env=environment, cwd=Path(__file__).parents[2])
    assert end.returncode == 3 and "1 points, 1 failed" in end.stdout and "TemperatureOutOfRange" in end.stdout, end.stdout + end.stderr
