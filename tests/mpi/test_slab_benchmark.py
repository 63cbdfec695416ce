"""The benchmark of load balance runs and says what it is for; how long ranks take is left to the benchmark itself."""
import sys
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi(min_size=2)
SCALING = Path(__file__).resolve().parents[2] / "scaling"


def test_cuts_by_counted_work_share_out_the_lists_of_a_slab(monkeypatch):
    """Entries of the lists, largest rank over mean: above 1.6 with cuts at equal distances, below 1.15 with those that follow the work."""
    monkeypatch.syspath_prepend(str(SCALING))
    import slab
    case = slab.case_of("nacl_1728")
    system = slab.slab(case)
    even, shared = (slab.measured(system, comm, kind, case.temperature, 2) for kind in ("none", "cost"))
    assert max(even["entries"]) > 1.6 * np.mean(even["entries"])
    assert max(shared["entries"]) < 1.15 * np.mean(shared["entries"])
    assert even["cuts"] != shared["cuts"] and sum(shared["particles"]) == sum(even["particles"]) == 1728
    assert min(shared["seconds"]) > 0.0
