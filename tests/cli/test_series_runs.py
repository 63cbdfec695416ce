"""A small series as a user runs it: on any number of ranks, stopped and started again, point by point as a Slurm array; then status, report, diff."""
import json
import os
import shutil
import signal
import sys
from dataclasses import replace

import pytest

from test_stop_and_resume import MPIRUN, ROOT, start, wait_for
from whole_runs import children
from hpcnemd.app.deck import load_deck
from hpcnemd.app.results import show_status, write_report
from hpcnemd.app.run import point_number, run_deck
from hpcnemd.core.errors import InputError, StoppedEarly
from hpcnemd.experiments import conductivity_series, ionic_conductivity
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import ensemble, journal
from hpcnemd.storage.compare import compare

DECK = """experiment = "conductivity_series"
[structure]
build = "nacl"
supercell = [2, 2, 2]
[forcefield]
table = "nacl_tosi_fumi"
cutoff = "6 angstrom"
coulomb = {{ method = "dsf", damping = "0.25 1/angstrom" }}
[run]
timestep = "2 fs"
equilibrate = "0.2 ps"
measure = "1.6 ps"
blocks = 8
seed = 5
[drive]
mobile = "all"
[series]
temperatures = ["1500 K", "1700 K"]
lattices = ["6.5 angstrom", "6.6 angstrom"]
drives = ["none", "constant_current"]
strengths = [1.5]
expected = {{ conductivity = "350 S/m", temperature = "1500 K" }}
[output]
folder = "{folder}"
checkpoint = 400
"""
NAMES = ["1500K_2x2x2_equilibrium", "1500K_2x2x2_current_x_s1.5", "1700K_2x2x2_equilibrium", "1700K_2x2x2_current_x_s1.5"]


def written(home, name):
    path = home / f"{name}.toml"
    path.write_text(DECK.format(folder=home / name))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The series, run through without MPI."""
    home = tmp_path_factory.mktemp("series")
    loaded = load_deck(written(home, "whole"))
    prepared = loaded.experiment.prepare(loaded.deck, home)
    assert conductivity_series.launch(prepared, SerialComm(), loaded.folder, loaded.text) == 4
    return loaded, prepared


def launched(ranks, deck):
    launch = start([MPIRUN, "-n", str(ranks), sys.executable, "-m", "hpcnemd", "run", "--no-report", str(deck)])
    out, _ = launch.communicate(timeout=300)
    assert launch.returncode == 0, out


def same_results(a, b):
    return [text for name in NAMES for text in compare(a / name / "ensemble.h5", b / name / "ensemble.h5")]


@pytest.mark.slow
def test_a_job_of_an_array_is_stopped_and_three_ranks_run_the_rest(whole, tmp_path, capsys):
    """Slurm's part is played here: it starts the array script with a task number, and sends USR1 to its shell before the time is over."""
    deck, folder, tools = written(tmp_path, "stopped"), tmp_path / "stopped", tmp_path / "bin"
    tools.mkdir()
    for name, body in (("scontrol", f'echo "$@" >>{tmp_path}/asked'), ("sleep", "exit 0")):
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    slurm = {"SLURM_SUBMIT_DIR": str(ROOT), "SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "1", "LAUNCH": f"{MPIRUN} -n 1", "PATH": f"{tools}:{os.environ['PATH']}"}
    job = start(["bash", str(ROOT / "jobs" / "slurm" / "series.sbatch"), str(deck)], **slurm)
    wait_for(folder / NAMES[1] / "journal.jsonl", '"block": 0,', job)
    job.send_signal(signal.SIGUSR1)
    out, _ = job.communicate(timeout=300)
    assert job.returncode == 75 and (tmp_path / "asked").read_text().split() == ["requeue", "17_1"], out
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [NAMES[1]]
    launched(3, deck)
    shared = [event for event in journal.read(folder / "journal.jsonl") if event["event"] == "shared out"][-1]
    assert shared["ranks_per_team"] == 1 and sorted(sum(shared["points"], [])) == sorted(NAMES) and len(shared["points"]) == 3
    events = [event["event"] for event in journal.read(folder / NAMES[1] / "journal.jsonl")]
    assert events.count("stopped") == events.count("resumed") == 1
    assert same_results(folder, whole[0].folder) == []
    assert show_status(folder) == 0
    told = capsys.readouterr().out
    assert all(f"  {k}  {name}: replica 0: complete, 8 of 8 blocks" in told for k, name in enumerate(NAMES))


def test_the_wall_time_ends_a_launch_and_the_next_goes_on(whole, tmp_path):
    """The wall time is over before the first point is: it makes its first steps, and the others none."""
    loaded = load_deck(written(tmp_path, "late"))
    prepared = loaded.experiment.prepare(loaded.deck, tmp_path)
    hurried = replace(prepared, deck=loaded.deck.model_copy(update={"output": loaded.deck.output.model_copy(update={"walltime": 1e-3})}))
    with pytest.raises(StoppedEarly, match="start the same command again"):
        conductivity_series.launch(hurried, SerialComm(), loaded.folder, loaded.text)
    assert [path.name for path in loaded.folder.iterdir() if path.is_dir()] == [NAMES[0]]
    assert conductivity_series.launch(prepared, SerialComm(), loaded.folder, loaded.text) == 4
    assert same_results(loaded.folder, whole[0].folder) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", (signal.SIGUSR1, signal.SIGKILL))
def test_a_launch_that_ends_early_is_completed_by_the_next(whole, tmp_path, number):
    """A signal asks both ranks for checkpoints (75); SIGKILL of a rank leaves what was on disk. The next start gives the same bits."""
    deck, folder = written(tmp_path, "ended"), tmp_path / "ended"
    launch = start([MPIRUN, "-n", "2", sys.executable, "-m", "hpcnemd", "run", "--no-report", str(deck)])
    wait_for(folder / "journal.jsonl", '"point finished"', launch)
    if number == signal.SIGKILL:
        os.kill(children(launch)[-1], number)
    else:
        launch.send_signal(number)
    out, _ = launch.communicate(timeout=300)
    assert launch.returncode == 75 and "start the same command again" in out if number != signal.SIGKILL else launch.returncode not in (0, 75), out
    assert not all((folder / name / "ensemble.h5").exists() and ensemble.read(folder / name / "ensemble.h5").status == ["complete"] for name in NAMES)
    launched(2, deck)
    assert same_results(folder, whole[0].folder) == []


def test_the_report_draws_what_is_there_and_names_what_is_missing(whole, tmp_path, capsys):
    part = tmp_path / "part"
    shutil.copytree(whole[0].folder, part)
    shutil.rmtree(part / NAMES[3])
    assert write_report(part) == 0
    told = capsys.readouterr().out
    assert f"WARN no result yet: {NAMES[3]}" in told and "report: " in told
    numbers = json.loads((part / "report" / "numbers.json").read_text())
    assert [numbers["points"][name]["state"] for name in NAMES] == ["complete"] * 3 + ["missing"]
    page = (part / "report" / "report.html").read_text()
    assert "3 of 4 points complete" in page and NAMES[3] in page and "No experimental points are shown" in page
    assert (part / "report" / "arrhenius.png").stat().st_size > 10000
    shutil.rmtree(part / NAMES[0])
    shutil.rmtree(part / NAMES[1])
    shutil.rmtree(part / NAMES[2])
    with pytest.raises(InputError, match="no ensemble.h5 yet"):
        write_report(part)


def test_a_point_is_a_run_of_its_own(whole, capsys):
    loaded, _ = whole
    here = loaded.folder / NAMES[1]
    alone = load_deck(here / "deck.toml")
    assert alone.folder == here and alone.deck.experiment == "ionic_conductivity"
    assert run_deck(SerialComm(), here / "deck.toml", report=False) == 0 and "holds the complete run of this deck" in capsys.readouterr().out


def test_what_cannot_be_run_is_told_before_any_work(whole, tmp_path, monkeypatch):
    loaded, prepared = whole
    with pytest.raises(InputError, match=r"--point 4: the series has 4 points, 0 to 3"):
        conductivity_series.launch(prepared, SerialComm(), loaded.folder, loaded.text, point=4)
    assert conductivity_series.launch(prepared, SerialComm(), loaded.folder, loaded.text, point=2) == 0
    other = load_deck(written(tmp_path, "other"))
    changed = other.experiment.prepare(other.deck.model_copy(update={"run": other.deck.run.model_copy(update={"timestep": 1.0})}), tmp_path)
    with pytest.raises(InputError, match="holds a run with other settings .*run.timestep"):
        conductivity_series.launch(changed, SerialComm(), loaded.folder, loaded.text)
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    for point, text in (("x", "--point x: a number of a point is needed"), ("task", "SLURM_ARRAY_TASK_ID is not set")):
        with pytest.raises(InputError, match=text):
            point_number(conductivity_series, point)
    with pytest.raises(InputError, match="one run, not a series"):
        point_number(ionic_conductivity, "1")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert point_number(conductivity_series, "task") == 3 and point_number(ionic_conductivity, None) is None


def test_every_point_finds_its_own_cell(tmp_path):
    """With run.npt a point begins at constant pressure and goes on in its mean cell; the report tells it beside the conductivities."""
    text = DECK.format(folder=tmp_path / "cells").replace('equilibrate = "0.2 ps"', 'npt = "0.8 ps"').replace('"none", ', "").replace("measure = \"1.6 ps\"", 'measure = "0.4 ps"')
    (tmp_path / "cells.toml").write_text(text)
    loaded = load_deck(tmp_path / "cells.toml")
    prepared = loaded.experiment.prepare(loaded.deck, tmp_path)
    assert conductivity_series.launch(prepared, SerialComm(), loaded.folder, loaded.text) == 2
    numbers = json.loads(conductivity_series.analyse(loaded.folder).to_json())
    for (name, point), start in zip(numbers["points"].items(), (6.5, 6.6)):
        edge = point["cell"]["edges"][0]["value"]
        assert abs(edge - 2 * start) > 1e-3
        stored = ensemble.read(loaded.folder / name / "ensemble.h5")
        assert float(stored.attributes["volume"]) == pytest.approx(edge**3, rel=1e-6)
