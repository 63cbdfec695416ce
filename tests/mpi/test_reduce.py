"""Sums and votes over ranks."""
import time

import numpy as np
import pytest
from mpi4py import MPI

from hpcnemd.core.errors import InputError, PhysicsError, StoppedEarly
from hpcnemd.parallel.launch import agree_on_errors, compile_once
from hpcnemd.parallel.reduce import ordered_sum, vote_any, vote_max, vote_min

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi


def test_the_sum_is_taken_in_the_order_of_ranks():
    parts = np.random.default_rng(4).normal(size=(comm.size, 50)) * 10.0 ** np.random.default_rng(5).integers(-12, 12, (comm.size, 50))
    want = parts[0].copy()
    for part in parts[1:]:
        want = want + part
    got = ordered_sum(comm, parts[comm.rank])
    np.testing.assert_array_equal(got, want)                # to the last bit, on every rank
    np.testing.assert_array_equal(ordered_sum(comm, parts[comm.rank].reshape(5, 10)[:, ::2]), want.reshape(5, 10)[:, ::2])


def test_sums_keep_numbers_and_types():
    assert ordered_sum(comm, comm.rank + 1) == comm.size * (comm.size + 1) // 2
    counts = ordered_sum(comm, np.array([2**60 + comm.rank, 1]))
    assert counts.dtype == np.int64 and counts[1] == comm.size and np.ndim(ordered_sum(comm, 0.5)) == 0
    mine = np.ones(3)
    assert ordered_sum(comm, mine) is not mine


def test_votes_are_the_same_everywhere():
    last = comm.rank == comm.size - 1
    assert vote_any(comm, last) and not vote_any(comm, False)
    assert vote_max(comm, comm.rank) == comm.size - 1
    assert vote_min(comm, comm.rank - 3.5) == -3.5
    assert vote_max(comm, -np.inf) == -np.inf
    np.testing.assert_array_equal(vote_max(comm, [comm.rank, -comm.rank, 2.0]), [comm.size - 1, 0.0, 2.0])


@pytest.mark.parametrize("bad", ["first", "last"])
def test_nan_on_one_rank_is_nan_on_all(bad):
    here = comm.rank == (0 if bad == "first" else comm.size - 1)
    for vote in (vote_max, vote_min):
        result = vote(comm, np.array([np.nan if here else 1e300, 1.0]))
        assert np.isnan(result[0]) and result[1] == 1.0
        assert np.isnan(vote(comm, np.nan if here else 0.0))


def test_errors_are_raised_on_all_ranks_with_all_messages():
    assert agree_on_errors(comm, None) is None and agree_on_errors(comm, []) is None
    with pytest.raises(InputError) as caught:
        agree_on_errors(comm, ["the same"] + [f"rank {comm.rank}"])
    assert caught.value.problems == ["the same"] + [f"rank {rank}" for rank in range(comm.size)]
    last = comm.rank == comm.size - 1
    with pytest.raises(PhysicsError, match="^step 3$"):
        agree_on_errors(comm, PhysicsError("step 3") if last else None)
    with pytest.raises(StoppedEarly):
        agree_on_errors(comm, StoppedEarly("disk full") if comm.rank == 0 else None)


def test_one_rank_of_the_node_compiles_before_the_others():
    times = []
    compile_once(comm, lambda: times.append(time.monotonic()), lambda: times.append(time.monotonic()))
    every = comm.allgather(times)
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    first = comm.allgather(node.rank == 0)
    node.Free()
    assert all(len(one) == 2 for one in every)
    ended = max(one[-1] for one, leads in zip(every, first) if leads)
    assert all(one[0] >= ended for one, leads in zip(every, first) if not leads)
