"""scaling/turns.py: every kind of slice is timed in a round, on all ranks the same, and ratios are what they are called."""
import importlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

comm = MPI.COMM_WORLD
pytestmark = [pytest.mark.mpi, pytest.mark.skipif(comm.size == 1, reason="one rank has nobody to take turns with")]


@pytest.fixture
def turns(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "scaling"))
    yield importlib.import_module("turns")
    for name in ("turns", "bench"):                     # other folders have modules of such names, too
        sys.modules.pop(name, None)


@pytest.mark.parametrize("threads", [False, pytest.param(True, marks=pytest.mark.skipif(comm.size != 2, reason="as many threads as these machines have cores"))])
def test_a_round_has_a_slice_of_each_kind(turns, threads):
    before = os.sched_getaffinity(0)
    all_of_them = turns.Turns(comm, turns.case_of("nacl_216"), 1e-3, "double", threads, 4, sorted(before) * comm.size, threads)
    assert os.sched_getaffinity(0) == before
    start = [sim.step for sim in (all_of_them.shared, all_of_them.own)]
    found = all_of_them.round()
    assert set(found) == {"ranks", "copies", "alone", "slowest_alone"} | ({"threads", "timed"} if threads else set())
    assert all(seconds > 0.0 for seconds in found.values()) and found["alone"] <= found["slowest_alone"]
    assert comm.allgather(found) == [found] * comm.size
    assert [sim.step - first for sim, first in zip((all_of_them.shared, all_of_them.own), start)] == [8, 8]     # each twice: both ends of the round, and alone and side by side
    if threads:
        assert all_of_them.timed.balance.kind == "time" and all_of_them.timed.step == 12 + 16       # each of two slices after one that is not timed
    if threads and comm.rank == 0:
        assert all_of_them.threaded.forces.threads == 2 and all_of_them.threaded.step == 16


def test_ratios_are_medians_with_the_error_of_a_median(turns):
    noise = np.random.default_rng(5).normal(size=400)
    found = turns.ratio(np.exp(0.1 * noise) * 3.0, np.full(400, 2.0))
    assert found["median"] == pytest.approx(1.5, abs=0.03) and found["quartiles"][0] < found["median"] < found["quartiles"][1]
    assert found["error"] == pytest.approx(1.5 * 0.1 * np.sqrt(np.pi / 2 / 400), rel=0.4)           # of the median of a normal distribution
