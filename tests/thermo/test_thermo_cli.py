"""`hpcnemd thermo ...` on the shipped decks: exit codes, one clear message, and files with their premises."""
import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from invented_systems import BINARY

from hpcnemd.app import thermo
from hpcnemd.core.errors import HpcnemdError
from hpcnemd.storage.ensemble import read

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


@pytest.mark.parametrize("command", sorted(thermo.SUMMARIES))
def test_every_shipped_deck_runs(command, tmp_path, capsys):
    code, message = call(command, JOBS / f"thermo_{command}.toml", "--output", tmp_path)
    assert (code, message) == (0, "")
    screen = capsys.readouterr().out
    assert "status: ok" in screen and "gas constant" in screen
    records = json.loads((tmp_path / "result.json").read_text())
    assert all(r["status"] == "ok" and r["potential"] for r in records)
    held = read(tmp_path / "result.h5")
    assert held.status == ["complete"] and "record0" in held.attributes
    for record in records:
        assert all(d["gas_constant"] and (d["sha256"] or command == "eos") for d in record["data"])
        assert record["data"] or command in ("clapeyron", "link")
    pictures = {"binary": ("diagram", "gibbs_500K"), "react": ("equilibrium_constants",)}.get(command, ())
    for name in pictures:
        assert (tmp_path / f"{name}.png").stat().st_size > 5000 and (tmp_path / f"{name}.pdf").stat().st_size > 2000


def test_numbers_of_the_shipped_decks(tmp_path, capsys):
    call("clapeyron", JOBS / "thermo_clapeyron.toml", "--output", tmp_path)
    assert read(tmp_path / "result.h5").arrays["record0 dP per dT"][0] == pytest.approx(-13.46e6, rel=1e-3)
    call("eos", JOBS / "thermo_eos.toml", "--output", tmp_path)
    assert len((tmp_path / "saturation.csv").read_text().splitlines()) == 13


def test_water_and_van_der_waals(tmp_path):
    pytest.importorskip("CoolProp")
    deck = tmp_path / "eos.toml"
    deck.write_text('fluid = "water"\nsaturation = ["373.15 K"]\n')
    assert call("eos", deck, "--output", tmp_path)[0] == 0
    assert read(tmp_path / "result.h5").arrays["record0 saturation at T = 373.15"][0][4] == pytest.approx(3619.337, abs=5e-4)
    assert "IAPWS-95" in json.loads((tmp_path / "result.json").read_text())[0]["data"][0]["name"]
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
                                             ("thermo_invented.tdb", "missing.tdb", "cannot be read"), ("BB = 0.4", "BB = 40", "write 0.4"), ("[system]", "[system", "not TOML")])
def test_bad_decks(tmp_path, old, new, words):
    shutil.copy(BINARY, tmp_path)
    deck = tmp_path / "eq.toml"
    deck.write_text((JOBS / "thermo_eq.toml").read_text().replace(old, new))
    code, message = call("eq", deck)
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
    script = ("import argparse, sys\nfrom hpcnemd.app import thermo\nfrom hpcnemd.parallel.launch import run_to_end\np = argparse.ArgumentParser()\n"
              "thermo.add_parser(p.add_subparsers(dest='command'))\nrun_to_end(thermo.parallel_work(p.parse_args(sys.argv[1:])))\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PMIX_", "OMPI_COMM_", "OMPI_MCA_orte_", "OMPI_MCA_ess"))}
    end = subprocess.run([sys.executable, "-c", script, "thermo", "sweep", tmp_path / "s.toml", "-o", tmp_path / "o.h5"], capture_output=True, text=True, timeout=120,
                         env=environment, cwd=Path(__file__).parents[2])
    assert end.returncode == 3 and "1 points, 1 failed" in end.stdout and "TemperatureOutOfRange" in end.stdout, end.stdout + end.stderr
