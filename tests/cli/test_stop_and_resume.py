"""The signal of a batch system under mpirun: a checkpoint, exit code 75, back into the queue, and the same result as without the stop."""
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
equilibrate = "0.1 ps"
measure = "{measure}"
blocks = 20
[drive]
kind = "constant_current"
current_density = "1.745e7 A/cm^2"
mobile = "all"
[output]
folder = "{folder}"
trajectory = "0.2 ps"
checkpoint = 100000
"""


def environment(**more):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_COMM", "PMIX", "SLURM_"))}
    return env | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
                  "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"} | more


def start(command, **more):
    return subprocess.Popen(command, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)


def wait_for(path, text, process, limit=90):
    """Until the file holds the text."""
    end = time.monotonic() + limit
    while time.monotonic() < end and process.poll() is None:
        if path.exists() and text in path.read_text():
            return
        time.sleep(0.02)
    process.kill()
    raise AssertionError(f"{path} never said {text!r}: {process.communicate()[0]}")


def hpcnemd(*words):
    return subprocess.run([sys.executable, "-m", "hpcnemd", *map(str, words)], env=environment(), capture_output=True, text=True, timeout=120)


@pytest.fixture
def reference(tmp_path):
    """A run that nothing stops."""
    (tmp_path / "whole.toml").write_text(DECK.format(folder=tmp_path / "whole", measure="1 ps"))
    done = start([MPIRUN, "-n", "2", sys.executable, "-m", "hpcnemd", "run", str(tmp_path / "whole.toml")])
    out, _ = done.communicate(timeout=120)
    assert done.returncode == 0, out
    return tmp_path / "whole"


def test_the_batch_script_puts_a_stopped_run_back_and_the_next_start_ends_it(tmp_path, reference):
    """Slurm's part is played here: it starts jobs/slurm/run.sbatch and sends USR1 to the script's shell; scontrol only notes that it was called."""
    deck, tools, asked = tmp_path / "stopped.toml", tmp_path / "bin", tmp_path / "requeued"
    deck.write_text(DECK.format(folder=tmp_path / "stopped", measure="1 ps"))
    tools.mkdir()
    for name, body in (("scontrol", f'echo "$@" >>{asked}'), ("sleep", "exit 0")):
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    slurm = {"SLURM_SUBMIT_DIR": str(ROOT), "SLURM_JOB_ID": "17", "LAUNCH": f"{MPIRUN} -n 2", "PATH": f"{tools}:{os.environ['PATH']}"}
    job = start(["bash", str(ROOT / "jobs" / "slurm" / "run.sbatch"), str(deck)], **slurm)
    wait_for(tmp_path / "stopped" / "journal.jsonl", '"block": 2,', job)
    job.send_signal(signal.SIGUSR1)
    out, _ = job.communicate(timeout=60)
    assert job.returncode == 75, out
    assert asked.read_text().split() == ["requeue", "17"] and "start the same command again" in out
    assert '"stopped"' in (tmp_path / "stopped" / "journal.jsonl").read_text()
    job = start(["bash", str(ROOT / "jobs" / "slurm" / "run.sbatch"), str(deck)], **slurm)
    out, _ = job.communicate(timeout=120)
    assert job.returncode == 0 and "sigma" in out, out
    assert asked.read_text().split() == ["requeue", "17"]                       # not asked again
    for name in ("ensemble.h5", "trajectory.h5md", "report/numbers.json"):
        same = hpcnemd("diff", tmp_path / "stopped" / name, reference / name)
        assert same.returncode == 0, same.stdout


def test_status_export_and_a_second_start(tmp_path, reference):
    told = hpcnemd("status", reference)
    assert told.returncode == 0 and "replica 0: complete, 20 of 20 blocks" in told.stdout, told
    told = hpcnemd("export", reference, "--format", "extxyz")
    assert told.returncode == 0 and "trajectory.extxyz: 6 frames" in told.stdout, told
    import ase.io
    frames = ase.io.read(reference / "trajectory.extxyz", ":")
    assert len(frames) == 6 and len(frames[0]) == 216 and frames[0].get_chemical_symbols()[0] == "Na"
    page = reference / "report" / "report.html"
    drawn = page.stat().st_mtime_ns
    again = hpcnemd("run", tmp_path / "whole.toml")
    assert again.returncode == 0 and "holds the complete run of this deck" in again.stdout and "sigma" in again.stdout, again
    assert page.stat().st_mtime_ns == drawn                                     # at no cost: nothing was computed or drawn
