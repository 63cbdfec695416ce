"""However a rank ends, the run ends within seconds, with its reason and its exit code. Each case is a small program of its own, under mpirun
or without it; so these tests belong to the run without MPI (mpirun refuses to start inside mpirun)."""
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MPIRUN = shutil.which("mpirun", path=Path(sys.executable).parent) or shutil.which("mpirun.openmpi") or shutil.which("mpirun")
HEAD = """
import os, signal, sys, time
from hpcnemd.core.errors import InputError, PhysicsError
from hpcnemd.parallel import launch
launch.GRACE = 1.0
def work(comm):
"""


def program(body):
    return HEAD + "".join(f"    {line}\n" for line in body.strip().split("\n")) + "launch.run_to_end(work)\n"


def start(body, ranks=3):
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
               PRTE_MCA_rmaps_default_mapping_policy=":oversubscribe")
    return subprocess.Popen([MPIRUN, "-n", str(ranks), sys.executable, "-c", program(body)], env=env, text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(body, ranks=3):
    """(exit code, stdout + stderr); the limit is far above what a run that ends by itself needs."""
    process = start(body, ranks)
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, out + err


def test_an_exception_on_one_rank_ends_all():
    rc, out = run("if comm.rank == 1: raise ValueError('boom')\ncomm.Barrier()")
    assert rc == 1 and "[rank 1 of 3] ValueError: boom" in out and out.count("Traceback") == 1, out


def test_a_physics_error_on_one_rank_ends_all_with_its_code():
    rc, out = run("if comm.rank == 2: raise PhysicsError('step 7: particles id 5')\ncomm.Barrier()")
    assert rc == 3 and "[rank 2 of 3] step 7: particles id 5" in out and "Traceback" not in out, out


def test_an_input_error_found_by_rank_0_leaves_quietly():
    rc, out = run("launch.agree_on_errors(comm, ['run.steps = -1', 'no such file'] if comm.rank == 0 else None)\ncomm.Barrier()")
    assert rc == 2 and out.count("run.steps = -1\nno such file\n") == 1 and "Traceback" not in out and "MPI_ABORT" not in out, out


def test_a_rank_that_calls_exit_does_not_leave_the_others_behind():
    rc, out = run("if comm.rank == 0: sys.exit(2)\ncomm.Barrier()")
    assert rc == 2 and "[rank 0 of 3] ended with code 2, the other ranks did not" in out, out


def test_stopped_early_is_a_clean_end():
    rc, out = run("return 75")
    assert rc == 75 and "MPI_ABORT" not in out and "rank 0 of" not in out, out


def test_a_run_that_is_done_returns_0():
    rc, out = run("print('sum', comm.allreduce(comm.rank)) if comm.rank == 0 else comm.allreduce(comm.rank)")
    assert rc == 0 and out == "sum 3\n", out


def test_a_signal_reaches_the_vote_of_all_ranks():
    body = """
stop = launch.StopFlag().install() if comm.rank == 1 else launch.StopFlag()
if comm.rank != 1: signal.signal(signal.SIGUSR1, signal.SIG_IGN)
if comm.allreduce(1) == 3 and comm.rank == 0: print("ready", flush=True)
while not (name := stop.poll(comm)): time.sleep(0.01)
assert name == "SIGUSR1"
return 75
"""
    process = start(body)
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)         # mpirun hands it on; the program takes it on one rank only
        out, err = process.communicate(timeout=60)
    except (subprocess.TimeoutExpired, AssertionError):
        process.kill()
        raise
    assert process.returncode == 75, out + err


@pytest.mark.parametrize("variable", ["PMI_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_ranks_that_do_not_see_each_other_stop(variable):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_COMM", "PMIX_"))}
    done = subprocess.run([sys.executable, "-c", program("print('worked alone')")], env=dict(env, **{variable: "4"}), capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 2 and f"{variable} = 4, but MPI counts 1 rank:" in done.stderr and "worked alone" not in done.stdout, done


def test_without_an_mpi_library_one_process_works_and_many_are_refused():
    body = "print('serial', type(comm).__name__)"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_COMM", "PMIX_"))}
    env["MPI4PY_LIBMPI"] = "/no/such/libmpi.so"
    done = subprocess.run([sys.executable, "-c", program(body)], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout == "serial SerialComm\n", done
    done = subprocess.run([sys.executable, "-c", program(body)], env=dict(env, PMI_SIZE="2"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "no MPI library could be loaded" in done.stderr and done.stdout == "", done


def test_one_process_keeps_pythons_own_traceback():
    done = subprocess.run([sys.executable, "-c", program("raise KeyError('here')")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "KeyError: 'here'" in done.stderr and "[rank" not in done.stderr


def test_the_flag_is_set_and_taken_back():
    from hpcnemd.parallel.launch import StopFlag
    from hpcnemd.parallel.serial import SerialComm
    before = signal.getsignal(signal.SIGTERM)
    stop = StopFlag().install()
    try:
        assert stop.poll(SerialComm()) == ""
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        assert stop.poll(SerialComm()) == "SIGTERM"
    finally:
        stop.restore()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_warning_before_the_loop_is_heeded_and_one_after_it_harms_nothing():
    """Slurm's warning may come while kernels are compiled, or while figures are drawn."""
    program = """import os, signal
from hpcnemd.parallel.launch import StopFlag, hold_warnings
hold_warnings()
os.kill(os.getpid(), signal.SIGUSR1)
flag = StopFlag().install()
first = flag.received
flag.restore()
os.kill(os.getpid(), signal.SIGUSR2)
print(signal.Signals(first).name, "still here")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "SIGUSR1 still here\n" and done.returncode == 0, done.stderr
