"""Whole runs for the tests of this folder: a small deck of LLZO, starts under mpirun, signals, and what a run has left."""
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from hpcnemd.experiments.ionic_conductivity import analyse
from hpcnemd.storage import checkpoint, ensemble
from hpcnemd.storage.compare import compare
from hpcnemd.storage.trajectory import Trajectory

MPIRUN = shutil.which("mpirun", path=Path(sys.executable).parent) or shutil.which("mpirun.openmpi") or shutil.which("mpirun")
DYING = Path(__file__).with_name("dying_run.py")
STEPS, FIRST, EVERY, INTERVAL = 240, 40, 5, 20      # of the deck: steps in all, first measured step, steps between frames, between checkpoints
# Equilibration, settling under the drive and a measurement in 10 blocks, with a checkpoint after each block; LLZO, 192 ions.
DECK = """experiment = "ionic_conductivity"
[structure]
build = "llzo_cubic_box"
[forcefield]
table = "llzo_buckingham"
cutoff = "6 angstrom"
coulomb = { method = "spme", accuracy = 1e-3 }
[run]
temperature = "1000 K"
timestep = "2 fs"
equilibrate = "0.04 ps"
settle = "0.04 ps"
measure = "0.4 ps"
block = "0.04 ps"
sample = "2 fs"
[drive]
kind = "constant_current"
drift_velocity = "2 angstrom/ps"
mobile = ["Li"]
[output]
trajectory = "0.01 ps"
checkpoint = 20
"""


def write_deck(path, *changes, more=""):
    """The deck with `changes` (old, new) at `path`; its results go to the folder of the same name. `more`: lines at the end, under [output]."""
    text = DECK
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(f"{text}{more}folder = \"{path.with_suffix('')}\"\n")
    return path


def environment(**more):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_COMM", "PMIX", "SLURM_"))}
    return env | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
                  "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "OMPI_MCA_mpi_yield_when_idle": "1"} | more


def start(ranks, *words, env=None, **options):
    """`python WORDS` on a number of ranks, as a Popen; under mpirun also where there is one rank, so that signals mean the same."""
    return subprocess.Popen([MPIRUN, "-n", str(ranks), sys.executable, *map(str, words)], env=environment(**(env or {})), stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, **options)


def start_deck(deck, ranks, report=False, **options):
    return start(ranks, "-m", "hpcnemd", "run", *([] if report else ["--no-report"]), deck, **options)


def end_of(process, limit=300):
    """(exit code, text) of a process; it is ended after `limit` seconds."""
    try:
        text, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, text


def run_deck(deck, ranks, expected=0, **options):
    """The text of a run that ends with the `expected` code."""
    code, text = end_of(start_deck(deck, ranks, **options))
    assert code == expected, f"exit code {code}, expected {expected}\n{text}"
    return text


def children(process):
    """Process ids of the ranks of an mpirun."""
    found = []
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text().split()]
    return sorted(pid for pid in found if b"hpcnemd" in Path(f"/proc/{pid}/cmdline").read_bytes() or b"dying_run" in Path(f"/proc/{pid}/cmdline").read_bytes())


def wait_for(path, text, process, limit=200):
    """Until a file holds `text`; False where the process ended before."""
    end = time.monotonic() + limit
    while process.poll() is None:
        if path.exists() and text in path.read_text():
            return True
        assert time.monotonic() < end, f"{path} never said {text!r}"
        time.sleep(0.005)
    return False


def stop_by(number, deck, ranks, block, one_rank=False, **more):
    """Starts a deck, sends the signal after `block`, to mpirun or to its last rank alone, and returns (exit code, text). `more`: environment."""
    process = start_deck(deck, ranks, env=more)
    assert wait_for(deck.with_suffix("") / "journal.jsonl", f'"block": {block},', process), end_of(process)
    os.kill(children(process)[-1] if one_rank else process.pid, number)
    return end_of(process)


def saved(folder, replica=0):
    """The newest whole checkpoint of a replica, with all its rows."""
    return checkpoint.read(checkpoint.latest(folder / "checkpoint" / f"replica_{replica:04d}"))


def opens(folder, first=FIRST, every=EVERY):
    """Every file that has a name opens without repair; the frames are those of a run without interruption, as far as it got. Returns their number."""
    frames = 0
    for path in folder.glob("checkpoint/*"):
        if any(path.glob("?.h5")):
            found = checkpoint.read(checkpoint.latest(path))
            assert np.isfinite(found.arrays["position"]).all() and np.array_equal(np.sort(found.arrays["id"]), np.arange(192))
    for path in folder.glob("trajectory*.h5md"):
        with Trajectory(path) as found:
            frames = len(found)
            assert found.step.tolist() == [first + every * k for k in range(frames)]
            for frame in range(frames):
                assert np.isfinite(found.unwrapped(frame)).all()
    if (folder / "ensemble.h5").exists():
        ensemble.read(folder / "ensemble.h5")
    return frames


def assert_same(a, b):
    """Two folders of results are equal bit for bit, and the numbers of their reports."""
    assert compare(a, b) == []
    assert analyse(a).to_json() == analyse(b).to_json()


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
