"""Checkpoints: exact, on the same and on another number of ranks; a damaged slot is never used."""
import os

import numpy as np
import pytest
from mpi4py import MPI

from hpcnemd.core.errors import InputError
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import checkpoint
from hpcnemd.storage.writer import NAMES, choose_writer

comm = MPI.COMM_WORLD
TREE = {"thermostat": {"positions": np.array([0.1, np.pi]), "kind": "chain", "length": 3}, "drive": [1.5, None, True, [2, "x"]], "nothing": {},
        "counter": np.int64(2**60), "mean": np.float64(1 / 3), "flags": np.array([[True], [False]]), "empty": np.empty((0, 3)), "single": np.float32(0.1),
        "infinite": [float("inf"), 1e-300, 0.1 + 0.2]}


def rows(rank):
    """What a rank holds; rank 1 holds nothing."""
    count = 0 if rank == 1 else 5 + rank
    draw = np.random.default_rng(rank)
    return {"id": draw.permutation(100)[:count] + 100 * rank, "position": draw.normal(size=(count, 3)), "species": np.full(count, rank, np.int32)}


def same(a, b):
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (np.ndarray, np.generic)):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and a == b


@pytest.mark.mpi
@pytest.mark.parametrize("name", ["auto", *[n for n in NAMES if n != "collective"]])
def test_comes_back_bit_for_bit(mpi_tmp_path, name):
    for step in (10, 20, 30):
        checkpoint.save(comm, mpi_tmp_path / "c", TREE, rows(comm.rank), step, choose_writer(comm, name))
    saved = checkpoint.load_latest(comm, mpi_tmp_path / "c")
    assert saved.step == 30 and saved.ranks == comm.size and saved.own and same(TREE, saved.tree)
    assert same(rows(comm.rank), saved.arrays)
    whole = checkpoint.load_latest(comm, mpi_tmp_path / "c", whole=True)
    every = [rows(rank) for rank in range(comm.size)]
    assert all(np.array_equal(whole.arrays[key], np.concatenate([one[key] for one in every])) for key in every[0])
    assert not whole.own and whole.counts["id"].tolist() == [len(one["id"]) for one in every]
    comm.Barrier()
    assert sorted(os.listdir(mpi_tmp_path / "c")) == ["a.h5", "b.h5"]


@pytest.mark.mpi(min_size=2)
def test_another_number_of_ranks_gets_all_rows(mpi_tmp_path):
    checkpoint.save(comm, mpi_tmp_path / "c", TREE, rows(comm.rank), 5)
    one = checkpoint.load_latest(SerialComm(), mpi_tmp_path / "c")
    assert not one.own and len(one.arrays["id"]) == sum(len(rows(r)["id"]) for r in range(comm.size))


def test_none_before_the_first(tmp_path):
    assert checkpoint.load_latest(SerialComm(), tmp_path / "c") is None


def save_two(folder):
    for step in (1, 2):
        checkpoint.save(SerialComm(), folder, {"value": np.arange(50.0) * step}, {"x": np.full((20, 3), step)}, step)
    return folder / "a.h5", folder / "b.h5"


def test_any_damaged_byte_is_seen(tmp_path):
    older, newer = save_two(tmp_path)
    good = newer.read_bytes()
    draw = np.random.default_rng(4)
    for place in [0, len(good) - 1, len(good) - 50, *draw.integers(0, len(good), 60)]:
        bad = bytearray(good)
        bad[place] ^= 1 << int(draw.integers(8))
        newer.write_bytes(bad)
        assert checkpoint.latest(tmp_path) == str(older), place
        assert checkpoint.load_latest(SerialComm(), tmp_path).tree["value"][1] == 1.0


def test_torn_slots_are_passed_over_then_replaced(tmp_path):
    older, newer = save_two(tmp_path)
    good = newer.read_bytes()
    for size in (0, 10, 60, len(good) // 2, len(good) - 1):
        newer.write_bytes(good[:size])
        assert checkpoint.load_latest(SerialComm(), tmp_path).step == 1
    checkpoint.save(SerialComm(), tmp_path, {"value": np.arange(3.0)}, {}, 3)
    assert checkpoint.load_latest(SerialComm(), tmp_path).step == 3 and checkpoint.is_whole(older)
    for slot in (older, newer):
        slot.write_bytes(b"")
    with pytest.raises(InputError, match="no slot is whole"):
        checkpoint.load_latest(SerialComm(), tmp_path)


def test_what_cannot_be_stored_is_refused_and_leaves_nothing(tmp_path):
    for tree in ({"a": {1: 2}}, {"a/b": 1}, {"a": object()}, {"a": np.array(["x"])}):
        with pytest.raises(TypeError, match="cannot be stored"):
            checkpoint.save(SerialComm(), tmp_path, tree, {}, 1)
    assert list(tmp_path.iterdir()) == []
