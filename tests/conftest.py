"""pytest under mpirun: one report, one agreed outcome per test, and an end with the reason where ranks wait for each other in vain."""
import fcntl
import os
import time

import pytest

if os.environ.pop("PYTEST_XDIST_WORKER", None):     # it inherits the MPI session of the process that started it, and no mpirun starts inside of one
    for name in [name for name in os.environ if name.startswith(("PMIX_", "OMPI_APP_", "OMPI_MCA_ess", "OMPI_MCA_orte", "OMPI_MCA_pmix"))]:
        del os.environ[name]

from mpi4py import MPI
from numba.core.caching import IndexDataCacheFile

VOTE = MPI.COMM_WORLD.Dup()                 # never used by the code under test
RANK, SIZE = VOTE.rank, VOTE.size
LIMIT = float(os.environ.get("HPCNEMD_TEST_LIMIT", 600))    # s that a rank waits for the others after one phase of a test
GRACE = float(os.environ.get("HPCNEMD_TEST_GRACE", 10))     # the same where this rank has failed: the others may be in a collective
ERR = None


def _one_at_a_time(operation, mode):
    """Ranks that compile different signatures of one kernel at once can spoil numba's cache file for good: lock it. (The program itself
    compiles on one rank first; tests call kernels in any order.)"""
    def locked(self, *arguments):
        try:
            os.makedirs(os.path.dirname(self._index_path), exist_ok=True)
            lock = open(self._index_path + ".lock", "w")
        except OSError:                     # a read-only cache needs no lock
            return operation(self, *arguments)
        with lock:
            fcntl.flock(lock, mode)
            return operation(self, *arguments)
    return locked


IndexDataCacheFile.save = _one_at_a_time(IndexDataCacheFile.save, fcntl.LOCK_EX)
IndexDataCacheFile.load = _one_at_a_time(IndexDataCacheFile.load, fcntl.LOCK_SH)


def _agree(mine, text, limit):
    """Collective. Every rank's (mine, text); after `limit` seconds without the others, print `text` and abort."""
    request, start = VOTE.Ibarrier(), time.monotonic()
    while not request.Test():
        waited = time.monotonic() - start
        if waited > limit:
            ERR.write(f"\n[rank {RANK} of {SIZE}] {' '.join(mine)}: the other ranks did not arrive within {limit:g} s\n{text}\n")
            ERR.flush()
            time.sleep(0.5)                 # let mpirun forward the text
            MPI.COMM_WORLD.Abort(1)
        time.sleep(1e-4 if waited < 0.05 else 5e-3)
    return VOTE.allgather((mine, text))


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    global ERR
    ERR = os.fdopen(os.dup(2), "w")         # the real stderr: capturing is suspended here
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if RANK and reporter is not None:
        reporter._tw._file = open(os.devnull, "w")


def pytest_ignore_collect(collection_path, config):
    """Under mpirun, files without a test for ranks are not even imported: on four ranks of two cores that alone took ten seconds."""
    if config.getoption("--only-mpi") and collection_path.name.startswith("test_") and collection_path.suffix == ".py":
        return True if "mark.mpi" not in collection_path.read_text() else None


def pytest_itemcollected(item):
    """pytest makes each folder's name a keyword, and pytest-mpi takes the keyword "mpi" for its mark: here only the mark counts,
    so that tests/mpi can hold tests that start mpirun themselves (these belong to the run without MPI)."""
    for node in item.listchain():
        if isinstance(node, pytest.Directory):
            node.keywords._markers.pop("mpi", None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if SIZE == 1:
        return report
    text = report.longreprtext if report.failed else ""
    every = _agree((report.nodeid, report.when, report.outcome), text, GRACE if report.failed else LIMIT)
    if len({mine[:2] for mine, _ in every}) > 1:
        ERR.write(f"[rank {RANK} of {SIZE}] the ranks run different tests: {[mine[:2] for mine, _ in every]}\n")
        ERR.flush()
        MPI.COMM_WORLD.Abort(2)
    bad = [f"---- rank {r} of {SIZE} ----\n{text}" for r, (mine, text) in enumerate(every) if mine[2] == "failed"]
    if bad:
        report.outcome, report.longrepr = "failed", "\n".join(bad)
        if hasattr(report, "wasxfail"):
            del report.wasxfail
    return report


def pytest_sessionfinish(session):
    """One line "passed failed" for the script that adds up the launches; not from the workers of pytest-xdist, whose tests the process over them counts."""
    if hasattr(session.config, "workerinput"):
        return
    path = os.environ.get("HPCNEMD_TEST_COUNTS")
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    if RANK == 0 and path and reporter is not None:
        passed, failed, error = (len(reporter.stats.get(word, [])) for word in ("passed", "failed", "error"))
        with open(path, "a") as out:
            out.write(f"{passed} {failed + error}\n")
