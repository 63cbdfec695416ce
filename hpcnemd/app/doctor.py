"""`hpcnemd doctor`: is this machine set up right? Every line is ok, note or FAIL with what to do. Under mpirun it tests that launch."""
import os
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

import numpy as np


class Findings:
    """Counts failures on all ranks, prints on rank 0 as the lines come."""

    def __init__(self, comm):
        self.comm, self.failed = comm, 0

    def say(self, mark, text):
        self.failed += mark == "FAIL"
        if self.comm.rank == 0:
            print(f"{mark:<5} {text}", flush=True)


def examine(comm, folder=".", time_limit=30.0):
    """Collective. Prints the findings; returns 0, or 2 where something does not work."""
    findings = Findings(comm)
    _versions(findings)
    _ranks(comm, findings)
    _messages(comm, findings)
    _kernels(comm, findings)
    if _disk(comm, findings, folder):
        _writers(comm, findings, folder, time_limit)
    return 2 if findings.failed else 0


def _versions(findings):
    from ..storage.provenance import versions
    found = versions()
    findings.say("ok", ", ".join(f"{name} {version}" for name, version in found.items() if name != "h5py_has_mpi"))
    if found["h5py_has_mpi"] == "True":
        findings.say("ok", "h5py was built with MPI: files are written collectively")
    else:
        findings.say("note", "h5py was built without MPI: files are written by offset (MPI-IO); bash jobs/setup.sh builds it with MPI")


def _ranks(comm, findings):
    """The world's size against the launcher's was compared when MPI started; here: where the ranks are, and on how many cores."""
    from ..parallel.launch import launcher_count
    from ..parallel.mpi_io import library_version
    count, name = launcher_count()
    findings.say("ok", f"MPI: {library_version()}; {comm.size} rank{'s' * (comm.size > 1)}" + (f" = {name}" if count else ", no launcher"))
    places = comm.allgather((socket.gethostname(), sorted(os.sched_getaffinity(0))))
    for host in dict.fromkeys(place for place, _ in places):
        cores = [set(mine) for place, mine in places if place == host]
        usable = len(set().union(*cores))
        shared = len(cores) > usable
        findings.say("note" if shared else "ok", f"{host}: {len(cores)} rank{'s' * (len(cores) > 1)} on {usable} usable core{'s' * (usable > 1)}"
                     + (": more ranks than cores, so it will be slow" if shared else ""))
    room = usable_threads(comm)
    findings.say("ok", f"threads of a rank: 1, or what a deck writes as parallel.threads, here up to {room}")
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if comm.size > 1 and threads != "1":
        findings.say("note", f"OMP_NUM_THREADS = {threads}: ranks with several threads each fight for the cores; export OMP_NUM_THREADS=1")


def usable_threads(comm):
    """Collective. Threads per rank for which every rank has cores of its own."""
    places = comm.allgather((socket.gethostname(), sorted(os.sched_getaffinity(0))))
    rooms = []
    for host, mine in places:
        beside = [set(cores) for other, cores in places if other == host]
        rooms.append(min(len(mine), max(1, len(set().union(*beside)) // len(beside))))
    return min(rooms)


def _messages(comm, findings):
    """Whether ranks of a node share memory, and the time of a small agreement between all ranks: microseconds where all is well, milliseconds where ranks wait by spinning on shared cores."""
    if comm.size == 1:
        return
    from ..parallel.launch import node_of
    from ..parallel.reduce import vote_any, vote_max
    from ..parallel.shared_memory import ARENA, FOLDER, channels_of, open_channels
    open_channels(comm)
    node = node_of(comm)
    apart = vote_any(comm, len(channels_of(comm).partners) < node.size - 1)
    node.Free()
    findings.say("note" if apart else "ok", "ranks of a node send " + (f"through MPI, not through memory: {FOLDER} has no room for {ARENA >> 20} MB there, or HPCNEMD_SHARED_MEMORY is 0"
                                                                       if apart else "through memory that they share"))
    vote_max(comm, 0.0)
    times = []
    for _ in range(200):
        start = time.perf_counter()
        vote_max(comm, 1.0)
        times.append(time.perf_counter() - start)
    median = vote_max(comm, float(np.median(times)))
    findings.say("ok" if median < 1e-3 else "note", f"a vote of all ranks takes {median * 1e6:.0f} microseconds"
                 + ("" if median < 1e-3 else ": slow; more ranks than cores, or an MPI library that spins (MPICH)?"))


def _kernels(comm, findings):
    from numba.core import config

    from ..kernels.simd import available_paths, choose_path
    try:
        findings.say("ok", f"kernel paths of this processor ({_cpu_name()}): {', '.join(available_paths())}; "
                     f"chosen: {choose_path()}")
    except ValueError as problem:
        findings.say("FAIL", str(problem))
    cache = Path(config.CACHE_DIR)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            kept = sum(1 for _ in cache.rglob("*.nbc"))
        findings.say("ok", f"compiled kernels are kept in {cache} ({kept} so far)")
    except OSError as problem:
        findings.say("FAIL", f"compiled kernels cannot be kept in {cache} ({problem.strerror}): every start compiles; set NUMBA_CACHE_DIR to a folder that can be written")


def _cpu_name():
    import llvmlite.binding
    return llvmlite.binding.get_host_cpu_name()


def _disk(comm, findings, folder):
    """Collective. Whether test files can be written into `folder`."""
    from .target import folder_problems
    problems, free = None, 0
    if comm.rank == 0:
        problems = folder_problems(folder, 1 << 20) if Path(folder).is_dir() else [f"folder {folder}: there is no such folder; make it first"]
        free = shutil.disk_usage(folder).free if not problems else 0
    problems, free = comm.bcast((problems, free))
    for problem in problems:
        findings.say("FAIL", problem.replace("output.folder", "folder"))
    if not problems:
        findings.say("ok" if free > 1 << 30 else "note", f"{Path(folder).resolve()}: {free / 2**30:.1f} GiB free")
    return not problems


def _writers(comm, findings, folder, time_limit):
    """Writes a small file with each writer. The one that could hang comes last, so that the others' verdict is on the screen by then."""
    from ..core.errors import HpcnemdError
    from ..storage.writer import NAMES, choose_writer
    works = []
    for name in reversed(NAMES):
        try:
            usable = choose_writer(comm, name).name == name
        except HpcnemdError:
            usable = False
        if not usable:
            continue
        start, watchdog = time.perf_counter(), _watchdog(comm, name, works, time_limit)
        problem = _try_writer(comm, name, folder)
        watchdog.cancel()
        if problem:
            findings.say("FAIL", f"writer \"{name}\": {problem}")
        else:
            works.append(name)
            findings.say("ok", f"writer \"{name}\": written and read back in {time.perf_counter() - start:.2f} s")
    chosen = choose_writer(comm, "auto").name
    if works and chosen not in works:
        findings.say("FAIL", f"the default writer \"{chosen}\" does not work here; write parallel.writer = \"{works[0]}\" in the deck")


def _watchdog(comm, name, works, time_limit):
    def give_up():
        advice = f"write parallel.writer = \"{works[0]}\" in the deck" if works else "no other writer was tried"
        if comm.rank == 0:
            print(f"FAIL  writer \"{name}\" hangs (over {time_limit:g} s): {advice}, or try OMPI_MCA_io=romio321 or OMPI_MCA_io=^ompio", flush=True)
        time.sleep(0.5)                     # mpirun must forward the line
        os._exit(2)
    timer = threading.Timer(time_limit, give_up)
    timer.daemon = True
    timer.start()
    return timer


def _try_writer(comm, name, folder):
    """Collective. Each rank writes its rows of a small ensemble file; what is wrong, or None."""
    from ..core.errors import HpcnemdError
    from ..storage.ensemble import EnsembleFile, read
    scratch = comm.bcast(tempfile.mkdtemp(prefix="hpcnemd-doctor-", dir=folder) if comm.rank == 0 else None)
    path, rows = Path(scratch) / "test.h5", np.arange(1000.0)
    try:
        file = EnsembleFile.create(path, comm, comm.size, {"rows": ((1000, 3), "f8", "eV", "test")}, writer=name)
        file.write_rows(comm.rank, "rows", 0, np.stack([rows + comm.rank] * 3, axis=1))
        file.flush()
        file.close()
        good = comm.rank != 0 or all(np.array_equal(read(path).arrays["rows"][r, :, 1], rows + r) for r in range(comm.size))
        problem = None if comm.bcast(good) else "the file read back is not what was written"
    except HpcnemdError as error:           # the same on all ranks
        problem = str(error)
    if comm.rank == 0:
        shutil.rmtree(scratch, ignore_errors=True)
    return problem
