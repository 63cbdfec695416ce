"""The signal of a batch system under mpirun: a checkpoint, exit code 75, back into the queue, and the same result as without the stop."""
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpcnemd.app.results import export_trajectory, show_status
from hpcnemd.storage import journal, provenance
from hpcnemd.storage.compare import compare

ROOT = Path(__file__).resolve().parents[2]
MPIRUN = shutil.which("mpirun", path=Path(sys.executable).parent) or shutil.which("mpirun.openmpi") or shutil.which("mpirun")
DECK = """experiment = "ionic_conductivity"
[structure]
build = "nacl_melt"
[forcefield]
table = "nacl_tosi_fumi"
cutoff = "6 angstrom"
coulomb = {{ method = "dsf", damping = "0.25 1/angstrom" }}
[run]
temperature = "1100 K"
timestep = "2 fs"
equilibrate = "0.05 ps"
measure = "2 ps"
blocks = 20
[drive]
kind = "constant_current"
current_density = "1.745e7 A/cm^2"
mobile = "all"
[output]
folder = "{folder}"
trajectory = "0.4 ps"
checkpoint = 100000
"""


def environment(**more):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_COMM", "PMIX", "SLURM_"))}
    return env | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
                  "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"} | more


def start(command, **more):
    return subprocess.Popen(command, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)


def wait_for(path, text, process, limit=200):
    """Until the file holds the text."""
    end = time.monotonic() + limit
    while time.monotonic() < end and process.poll() is None:
        if path.exists() and text in path.read_text():
            return
        time.sleep(0.005)
    process.kill()
    raise AssertionError(f"{path} never said {text!r}: {process.communicate()[0]}")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same deck twice: `whole`, which nothing stops, and `stopped`, a job that Slurm stops and starts again. Slurm's part is played here: it starts
    jobs/slurm/run.sbatch and sends USR1 to the script's shell; scontrol only notes what it was asked. Returns (folder, what the job said in each start)."""
    home = tmp_path_factory.mktemp("runs")
    for name in ("whole", "stopped"):
        (home / f"{name}.toml").write_text(DECK.format(folder=home / name))
    reference = start([MPIRUN, "-n", "2", sys.executable, "-m", "hpcnemd", "run", "--no-report", str(home / "whole.toml")])
    out, _ = reference.communicate(timeout=300)
    assert reference.returncode == 0, out
    tools = home / "bin"
    tools.mkdir()
    for name, body in (("scontrol", f'echo "$@" >>{home}/asked'), ("sleep", "exit 0")):
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    slurm = {"SLURM_SUBMIT_DIR": str(ROOT), "SLURM_JOB_ID": "17", "LAUNCH": f"{MPIRUN} -n 2", "PATH": f"{tools}:{os.environ['PATH']}"}
    starts = []
    for interrupted in (True, False):
        job = start(["bash", str(ROOT / "jobs" / "slurm" / "run.sbatch"), str(home / "stopped.toml")], **slurm)
        if interrupted:
            wait_for(home / "stopped" / "journal.jsonl", '"block": 0,', job)
            job.send_signal(signal.SIGUSR1)
        out, _ = job.communicate(timeout=300)
        starts.append((job.returncode, out, (home / "asked").read_text().split()))
    return home, starts


def test_the_batch_script_puts_a_stopped_run_back_and_the_next_start_ends_it(runs):
    home, [first, second] = runs
    code, out, asked = first
    assert code == 75 and asked == ["requeue", "17"] and "start the same command again" in out, out
    code, out, asked = second
    assert code == 0 and "sigma" in out and asked == ["requeue", "17"], out     # not asked again
    events = [event["event"] for event in journal.read(home / "stopped" / "journal.jsonl")]
    assert events.count("stopped") == events.count("resumed") == events.count("finished") == 1
    record = provenance.read(home / "stopped" / "trajectory.h5md")
    assert record["restart_count"] == 1 and " ranks 2 " in record["restarts"][0] and record["ended"]
    assert provenance.read(home / "whole" / "trajectory.h5md")["restart_count"] == 0 and provenance.read(home / "whole" / "ensemble.h5")["ended"]


def test_the_stop_changed_no_bit(runs):
    home, _ = runs
    for name in ("ensemble.h5", "trajectory.h5md"):
        assert compare(home / "stopped" / name, home / "whole" / name) == []


def test_status_and_export(runs, capsys):
    import ase.io
    folder = runs[0] / "stopped"
    assert show_status(folder) == 0 and "replica 0: complete, 20 of 20 blocks" in capsys.readouterr().out
    assert export_trajectory(folder, "extxyz") == 0
    frames = ase.io.read(folder / "trajectory.extxyz", ":")
    assert len(frames) == 6 and len(frames[0]) == 216 and frames[0].get_chemical_symbols()[0] == "Na"


def test_a_second_start_costs_nothing(runs):
    home, _ = runs
    files = {path: path.stat().st_mtime_ns for path in (home / "stopped").rglob("*") if path.is_file()}
    again = start([sys.executable, "-m", "hpcnemd", "run", str(home / "stopped.toml")])
    out, _ = again.communicate(timeout=120)
    assert again.returncode == 0 and "holds the complete run of this deck" in out and "sigma" in out, out
    assert files == {path: path.stat().st_mtime_ns for path in (home / "stopped").rglob("*") if path.is_file()}
