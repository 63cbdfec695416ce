"""kill -9 of one rank of a launch: it ends, and the next start computes exactly the replicas that are not in the file."""
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import killed_ensemble
from hpcnemd.experiments import work_theorems
from hpcnemd.experiments.irreversibility.launched import ENSEMBLE
from hpcnemd.experiments.work_theorems.launched import STATISTICS
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import ensemble
from hpcnemd.storage.compare import compare

MPIRUN = shutil.which("mpirun", path=Path(sys.executable).parent) or shutil.which("mpirun.openmpi") or shutil.which("mpirun")
SCRIPT = Path(__file__).with_name("killed_ensemble.py")
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
                   PRTE_MCA_rmaps_default_mapping_policy=":oversubscribe", PYTHONPATH=str(SCRIPT.parents[2]))


def start(folder, ranks, pause, checkpoint):
    return subprocess.Popen([MPIRUN, "-n", str(ranks), sys.executable, str(SCRIPT), str(folder), str(pause), str(checkpoint)], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ranks_of(launcher, folder):
    """Process ids of the launch's ranks: they have this folder on their command line."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != launcher.pid:
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(folder).encode() in words and b"-n" not in words:
                found.append(int(name))
    return sorted(found)


def computed(folder):
    """Rows that any rank has computed and said so."""
    return np.concatenate([np.loadtxt(path, dtype=np.int64, ndmin=1) for path in sorted(folder.glob("computed_*"))])


def test_a_killed_launch_is_completed_with_exactly_what_is_missing(tmp_path):
    launch = start(tmp_path, 2, 0.1, 1e-3)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and launch.poll() is None:
        if (tmp_path / ENSEMBLE).exists() and ensemble.read_status(tmp_path / ENSEMBLE)[0].count("complete") >= 192:
            break
        time.sleep(0.02)
    ranks = ranks_of(launch, tmp_path)
    assert len(ranks) == 2, (ranks, launch.poll())
    os.kill(ranks[1], signal.SIGKILL)
    output = launch.communicate(timeout=60)[0]
    assert launch.returncode != 0, output
    status = np.array(ensemble.read_status(tmp_path / ENSEMBLE)[0])
    there = np.flatnonzero(status == "complete")
    assert 192 <= len(there) < 2000 and set(status) == {"complete", "missing"}
    for path in tmp_path.glob("computed_*"):
        path.unlink()
    again = start(tmp_path, 1, 0.0, 5.0)
    output = again.communicate(timeout=60)[0]
    assert again.returncode == 0, output
    np.testing.assert_array_equal(np.sort(computed(tmp_path)), np.flatnonzero(status == "missing"))
    whole = tmp_path / "whole"
    prepared = work_theorems.prepare(work_theorems.Deck.model_validate(killed_ensemble.DECK))
    work_theorems.run(prepared, Layout(SerialComm(), 1000, 1), whole)
    assert compare(tmp_path / ENSEMBLE, whole / ENSEMBLE) == []
    assert (tmp_path / STATISTICS).read_text() == (whole / STATISTICS).read_text()
