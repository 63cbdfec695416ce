"""kill -9 at any moment: every file opens with plain h5py, holds all frames that were published, and a resumed run ends in the same files."""
import mmap
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import h5py
import numpy as np
import pytest

import killed_run
import moving_particles as sample
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import checkpoint, ensemble
from hpcnemd.storage.compare import compare
from hpcnemd.storage.trajectory import Trajectory

CALLS = ("pwrite", "posix_fallocate", "ftruncate", "fsync", "replace", "unlink", "lseek")
TOTAL = 15


def opens_and_is_right(folder):
    """Every file that has a name opens and holds right values; returns the trajectory's frames (0 where there is none)."""
    frames = 0
    if (folder / "t.h5md").exists():
        with h5py.File(folder / "t.h5md", "r") as f:
            f.visititems(lambda name, item: item[()] is None if isinstance(item, h5py.Dataset) else None)
        with Trajectory(folder / "t.h5md") as found:
            frames = len(found)
            assert found.step.tolist() == list(range(frames))
            for frame in range(frames):
                assert np.allclose(found.unwrapped(frame), sample.unwrapped(frame, killed_run.COUNT), rtol=0, atol=1e-12)
                assert np.array_equal(found.read("velocity", frame), sample.velocity(frame, killed_run.COUNT))
    if (folder / "e.h5").exists():
        found = ensemble.read(folder / "e.h5")
        for block in range(found.valid["current"][0]):
            assert np.array_equal(found.arrays["current"][0, block], sample.velocity(block * killed_run.INTERVAL, 1)[0])
    path = checkpoint.latest(folder / "checkpoint")
    if path is not None:
        saved = checkpoint.read(path)
        assert np.array_equal(saved.tree["velocity"], sample.velocity(saved.step, killed_run.COUNT)) and saved.step <= frames
        assert sorted(saved.arrays["id"]) == list(range(killed_run.COUNT))
    return frames


def in_child(work):
    """Exit status of a forked process that calls `work`."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1]


def die_at(number, half):
    """Replaces the system calls that change a file: the process kills itself at call `number`, before it or, in a write, half-way."""
    count = [0]

    def guarded(call, name):
        def replacement(*arguments):
            count[0] += 1
            if count[0] == number:
                if half and name == "pwrite":
                    handle, data, offset = arguments
                    call(handle, memoryview(data).cast("B")[:len(memoryview(data).cast("B")) // 2], offset)
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments)
        return replacement
    for name in CALLS:
        setattr(os, name, guarded(getattr(os, name), name))
    return count


def kill_at_calls(tmp_path, numbers):
    for number in numbers:
        folder = tmp_path / "killed"
        shutil.rmtree(folder, ignore_errors=True)

        def work():
            die_at(number, half=number % 2)
            killed_run.run(SerialComm(), folder, TOTAL, "auto")
        status = in_child(work)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, number
        opens_and_is_right(folder)
        killed_run.run(SerialComm(), folder, TOTAL, "auto")
        assert compare(tmp_path / "whole", folder) == [], number
        assert opens_and_is_right(folder) == TOTAL


def count_calls(tmp_path):
    """File-changing calls of an uninterrupted run, which leaves its files in `whole`."""
    def work():
        count = die_at(0, False)
        killed_run.run(SerialComm(), tmp_path / "whole", TOTAL, "auto")
        (tmp_path / "calls").write_text(str(count[0]))
    assert in_child(work) == 0
    return int((tmp_path / "calls").read_text())


def test_killed_at_chosen_system_calls(tmp_path):
    calls = count_calls(tmp_path)
    assert calls > 200
    kill_at_calls(tmp_path, random.Random(3).sample(range(1, calls + 1), 16))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(12))
def test_killed_at_every_system_call(tmp_path, part):
    kill_at_calls(tmp_path, range(1 + part, count_calls(tmp_path) + 1, 12))


def start(folder, total, name, shared, ranks):
    mpirun = shutil.which("mpirun", path=Path(sys.executable).parent) or shutil.which("mpirun.openmpi") or shutil.which("mpirun")
    if mpirun is None:
        pytest.skip("no mpirun")
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
               PRTE_MCA_rmaps_default_mapping_policy=":oversubscribe")
    return subprocess.Popen([mpirun, "-n", str(ranks), sys.executable, "-m", "mpi4py", killed_run.__file__, str(folder), str(total), name, str(shared)],
                            env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def kill_a_rank(run, words, draw, frame, inside, ranks):
    """Kills a random rank once the run has passed `frame`: inside an open burst, or anywhere. Returns whether it was alive."""
    deadline = time.monotonic() + 60
    while (words[0] < frame or (inside and not words[1])) and run.poll() is None:
        assert time.monotonic() < deadline, "no progress"
        time.sleep(1e-4)
    time.sleep(draw.uniform(0, 0.004))      # a burst takes some milliseconds
    alive = run.poll() is None
    if alive:
        os.kill(int(words[2 + draw.randrange(ranks)]), signal.SIGKILL)
    run.wait(timeout=30)
    return alive


def kill_ranks(tmp_path, name, ranks, kills, total, seed):
    folder, shared = tmp_path / "killed", tmp_path / "shared"
    folder.mkdir()
    shared.write_bytes(bytes(8 * 16))
    with open(shared, "r+b") as f:
        words = np.frombuffer(mmap.mmap(f.fileno(), 8 * 16), np.int64)
    draw, done, frames = random.Random(seed), 0, 0
    while done < kills:
        words[:] = 0
        run = start(folder, total, name, shared, ranks)
        target = min(frames + draw.randrange(1, 2 * total // kills), total - 3)
        done += kill_a_rank(run, words, draw, target, done % 2, ranks)
        frames = opens_and_is_right(folder)
        if frames > total - total // kills:                             # nearly done: begin again
            shutil.rmtree(folder)
            folder.mkdir()
            frames = 0
    run = start(folder, total, name, shared, ranks)
    assert run.wait(timeout=60) == 0
    whole = start(tmp_path / "whole", total, name, shared, ranks)
    assert whole.wait(timeout=60) == 0
    assert opens_and_is_right(folder) == total
    assert compare(tmp_path / "whole", folder) == []


WRITERS = ["offset", "gather"] + (["collective"] if h5py.get_config().mpi else [])


def test_killed_ranks_leave_whole_files(tmp_path):
    kill_ranks(tmp_path, WRITERS[-1], 2, 3, 24, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16))
@pytest.mark.parametrize("name", WRITERS)
def test_hundreds_of_killed_ranks_leave_whole_files(tmp_path, name, seed):
    kill_ranks(tmp_path, name, 2, 6, 40, seed)
