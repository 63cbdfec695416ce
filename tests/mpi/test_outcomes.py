"""What conftest.py promises. The broken tests live in a file of their own, which pytest gets by name, under mpirun."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mpi4py import MPI

comm = MPI.COMM_WORLD
MPIRUN = shutil.which("mpirun", path=Path(sys.executable).parent) or shutil.which("mpirun.openmpi") or shutil.which("mpirun")


def under_mpi(name, ranks=3, hang=30):
    env = dict(os.environ, HPCNEMD_TEST_GRACE="2", HPCNEMD_TEST_COUNTS="", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
               OMPI_MCA_rmaps_base_oversubscribe="1", PRTE_MCA_rmaps_default_mapping_policy=":oversubscribe")
    command = [MPIRUN, "-n", str(ranks), sys.executable, "-m", "pytest", "--only-mpi", "-q", "--color=no", "-p", "no:cacheprovider",
               "-o", f"faulthandler_timeout={hang}", str(Path(__file__).with_name("broken.py")), "-k", name]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name, said", [
    ("raises_before_a_collective", "boom"),
    pytest.param("fixture_fails_on_one_rank", "no input on rank 2", marks=pytest.mark.slow),
    ("never_sent", "Timeout"),
    ("crash", "Segmentation fault"),
])
def test_a_broken_rank_ends_the_run_with_its_reason(name, said):
    rc, out = under_mpi(name, hang=3 if name == "never_sent" else 30)
    assert rc != 0 and said in out, out


def test_the_tests_after_a_failure_still_run():
    rc, out = under_mpi("assertion_on_one_rank or afterwards")
    assert rc != 0 and "only rank 1 sees this" in out and "1 failed, 1 passed" in out and out.count("1 failed, 1 passed") == 1, out


@pytest.mark.mpi(min_size=2)
def test_ranks_see_each_other():
    assert comm.allreduce(1) == comm.size > 1


@pytest.mark.mpi(min_size=2)
def test_one_folder_for_all(mpi_tmp_path):
    assert len(set(comm.allgather(str(mpi_tmp_path)))) == 1
