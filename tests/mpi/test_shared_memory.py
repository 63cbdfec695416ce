"""Messages through the memory of a node: what MPI would bring, in its order, whatever fits and whoever is late."""
import os
import time

import numpy as np
import pytest
from mpi4py import MPI

from hpcnemd.parallel import shared_memory
from hpcnemd.parallel.persistent import FOLD, REFRESH, VOTE, Messages
from hpcnemd.parallel.reduce import Parts, gathered, ordered_sum, vote_any, vote_max
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.parallel.shared_memory import channels_of, open_channels

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi
OTHERS = [rank for rank in range(comm.size) if rank != comm.rank]


@pytest.fixture
def opened():
    """A communicator of its own with its Channels."""
    mine = comm.Dup() if comm.size > 1 else SerialComm()
    open_channels(mine)
    yield mine, channels_of(mine)
    mine.Free()


def test_every_rank_of_the_node_is_a_partner_and_no_file_stays(opened):
    mine, channels = opened
    assert channels.partners == OTHERS and channels.everyone(mine)
    open_channels(mine)
    assert channels_of(mine) is channels                            # once
    assert not [name for name in os.listdir(shared_memory.FOLDER) if name.startswith("hpcnemd-channels-")]
    assert mine.size == 1 or channels.size >= 50_000


@pytest.mark.parametrize("where", ["here", "nowhere", "not on the last rank"])
def test_without_memory_to_share_mpi_does_it(where, monkeypatch):
    if where == "here":
        monkeypatch.setenv("HPCNEMD_SHARED_MEMORY", "0")
    elif where == "nowhere" or comm.rank == comm.size - 1:
        monkeypatch.setattr(shared_memory, "FOLDER", "/nowhere")
    mine = comm.Dup()
    open_channels(mine)
    assert channels_of(mine).partners == [] and channels_of(mine).everyone(mine) == (comm.size == 1)
    assert ordered_sum(mine, np.arange(3.0) + comm.rank).tolist() == [sum(k + r for r in range(comm.size)) for k in range(3)]
    mine.Free()


def test_messages_bring_what_was_sent_large_ones_too(opened):
    """Through memory, through MPI where they do not fit, none where they are empty, and two of a kind in turns."""
    mine, channels = opened
    sizes = (7, 0, 1000, channels.size // 8 + 1 if mine.size > 1 else 10)
    pairs = []
    for size in sizes:
        out, into = {r: np.zeros(size) for r in OTHERS}, {r: np.zeros(size) for r in OTHERS}
        pairs.append((out, into, Messages(mine, [(into[r], r) for r in OTHERS], [(out[r], r) for r in OTHERS], FOLD)))
    for turn in range(50):
        for size, (out, into, messages) in zip(sizes, pairs):
            for r in OTHERS:
                out[r][:] = 1000 * comm.rank + 10 * r + turn + np.arange(size)
            messages.start()
            for r in OTHERS:
                out[r][:] = np.nan if messages.starting.calls is not None else out[r]     # what goes through memory has left
            messages.wait()
            for r in OTHERS:
                np.testing.assert_array_equal(into[r], 1000 * r + 10 * comm.rank + turn + np.arange(size))
    if OTHERS:
        assert [messages.starting.calls is None for _, _, messages in pairs] == [False, False, False, True]
        assert pairs[1][2].starting.calls == [] == pairs[1][2].waiting.calls


def test_who_is_late_is_waited_for(opened):
    """A sender does not write over what has not been taken; a receiver takes no message twice."""
    mine, _ = opened
    out, into = np.zeros(5), {r: np.zeros(5) for r in OTHERS}
    messages = Messages(mine, [(into[r], r) for r in OTHERS], [(out, r) for r in OTHERS], REFRESH)
    for turn in range(12):
        if turn % mine.size == mine.rank:
            time.sleep(0.02)                    # the others are through with the next `start` before this rank has taken their last message, or would be
        out[:] = 100 * mine.rank + turn
        messages.start()
        if turn % 3 == mine.rank % 3:
            time.sleep(0.01)
        messages.wait()
        assert [array.tolist() for array in into.values()] == [[100 * r + turn] * 5 for r in OTHERS]


def test_numbers_of_all_ranks(opened):
    mine, _ = opened
    values = np.random.default_rng(comm.rank).normal(size=(3, 5))
    everyone = np.array(comm.allgather(values))
    parts = Parts(mine, values.copy(), VOTE)
    for turn in range(20):
        parts.mine[:] = values * turn
        parts.send()
        total = parts.sum()
        want = everyone[0] * turn
        for part in everyone[1:]:
            want = want + part * turn
        np.testing.assert_array_equal(total, want)
    np.testing.assert_array_equal(ordered_sum(mine, values), sum(everyone[1:], everyone[0].copy()))
    parts.mine.reshape(-1)[0] = np.nan if comm.rank == comm.size - 1 else 1.0
    parts.send()
    assert np.isnan(parts.largest()[0]) and np.isnan(vote_max(mine, np.nan if comm.rank == 0 else 1.0))
    assert vote_any(mine, comm.rank == comm.size - 1) and not vote_any(mine, False)
    if mine.size > 1:
        for array in (np.array([True, comm.rank == 0]), np.array([[comm.rank, 2**40 + comm.rank]]), np.arange(3000.0) + comm.rank):
            np.testing.assert_array_equal(gathered(mine, array), np.array(comm.allgather(array)))
