"""Trajectories and ensembles are the same, bit for bit, whoever writes them and however many ranks there are."""
import os

import h5py
import numpy as np
import pytest
from mpi4py import MPI

import moving_particles as sample
from hpcnemd.core.errors import InputError
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import ensemble
from hpcnemd.storage.compare import compare
from hpcnemd.storage.ensemble import EnsembleFile
from hpcnemd.storage.trajectory import Trajectory, TrajectoryWriter
from hpcnemd.storage.writer import NAMES, choose_writer

comm = MPI.COMM_WORLD
WRITERS = [name for name in NAMES if name != "collective" or h5py.get_config().mpi]
COUNT, FRAMES = 37, 11


def small_pieces(writer):
    """Rows of a small frame spread over all ranks, as those of a large one would be."""
    if writer.name != "gather":
        bounds = writer.bounds
        writer.bounds = lambda rows: bounds(rows, fewest=1)
    return writer


def write_trajectory(over, path, name, frames=FRAMES, burst=4, capacity=FRAMES):
    writer = TrajectoryWriter(over, path, small_pieces(choose_writer(over, name)), sample.state(over, 0, COUNT), capacity, True, burst=burst)
    for frame in range(frames):
        writer.write(5 * frame, 10.0 * frame, sample.state(over, frame, COUNT, empty_rank=1))
    writer.close(finished=True)
    return writer


SCHEMA = {"current": ((6, 3), "<f8", "e angstrom/fs", "per block"), "count": ((), "<i8", "", "a number"), "heat": ((4,), "<f4", "eV", "")}


def write_ensemble(over, path, name):
    file = EnsembleFile.create(path, over, 5, SCHEMA, name, {"temperature": 300.0})
    for replica in range(over.rank, 5, over.size):
        draw = np.random.default_rng(replica)
        file.set_status(replica, "running")
        file.write_rows(replica, "current", 0, draw.normal(size=(2, 3)))
        file.flush() if over.size == 1 else file.store()
        file.write_rows(replica, "current", 2, draw.normal(size=(replica % 4, 3)))
        file.write_rows(replica, "count", 0, replica**2)
        if replica != 2:
            file.write_rows(replica, "heat", 1, draw.normal(size=3).astype("f4"))
        file.set_status(replica, *(("failed", "NaN at step 7") if replica == 3 else ("complete",)))
    file.flush()


@pytest.mark.mpi
@pytest.mark.parametrize("name", WRITERS)
def test_trajectory_of_any_rank_count_and_writer_is_the_serial_one(mpi_tmp_path, name):
    write_trajectory(comm, mpi_tmp_path / "parallel.h5md", name)
    if comm.rank == 0:
        write_trajectory(SerialComm(), mpi_tmp_path / "serial.h5md", "auto")
        assert compare(mpi_tmp_path / "parallel.h5md", mpi_tmp_path / "serial.h5md") == []


@pytest.mark.mpi
@pytest.mark.parametrize("name", WRITERS)
def test_ensemble_of_any_rank_count_and_writer_is_the_serial_one(mpi_tmp_path, name):
    write_ensemble(comm, mpi_tmp_path / "parallel.h5", name)
    if comm.rank == 0:
        write_ensemble(SerialComm(), mpi_tmp_path / "serial.h5", "auto")
        assert compare(mpi_tmp_path / "parallel.h5", mpi_tmp_path / "serial.h5") == []


@pytest.mark.mpi
def test_h5py_has_mpi_where_the_set_up_built_it():
    wants = os.path.join(os.path.dirname(os.path.dirname(os.sys.executable)), ".made")
    if not os.path.exists(wants) or open(wants).readline().strip() != "system":
        pytest.skip("this environment was set up with wheels, or by hand")
    assert h5py.get_config().mpi
    assert choose_writer(comm).name == ("collective" if comm.size > 1 else "gather")


@pytest.mark.mpi(min_size=2)
def test_writers_are_what_was_asked_for():
    assert [choose_writer(comm, name).name for name in WRITERS] == WRITERS
    with pytest.raises(InputError, match="parallel.writer = 'fast'"):
        choose_writer(comm, "fast")


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize("name", WRITERS)
def test_another_kind_of_number_is_refused_before_any_call(mpi_tmp_path, name):
    writer = choose_writer(comm, name)
    file = EnsembleFile.create(mpi_tmp_path / "e.h5", comm, 2, {"x": ((3,), "<f8", "", "")}, name)
    writer.open(file.path, file.places, ["ensemble/x"])
    with pytest.raises(TypeError, match="convert before writing"):
        writer.write("ensemble/x", (0, 0), np.zeros((1, 3), np.int64))
    writer.close()


@pytest.mark.mpi
@pytest.mark.parametrize("name", WRITERS)
def test_a_burst_touches_no_metadata(mpi_tmp_path, name):
    """The promise behind everything else: beside the data themselves only whole words change, which a reader finds old or new."""
    path = mpi_tmp_path / "t.h5md"
    writer = TrajectoryWriter(comm, path, small_pieces(choose_writer(comm, name)), sample.state(comm, 0, COUNT), 500, True, burst=50)
    places = writer.file.places
    for burst in range(3):
        before = np.fromfile(path, np.uint8) if comm.rank == 0 else None
        comm.Barrier()
        for frame in range(50 * burst, 50 * burst + 50):
            writer.write(frame, 1.0 * frame, sample.state(comm, frame, COUNT))
        comm.Barrier()
        if comm.rank:
            continue
        after = np.fromfile(path, np.uint8)
        allowed = np.zeros(len(after), bool)
        assert len(before) == len(after)
        allowed[places.fixed["parameters/valid_frames"][2]:][:8] = True
        for series, (shape, _, word, _) in places.series.items():
            assert word % 8 == 0
            allowed[word:word + 8] = True
            for offset, size in places.runs(series, (50 * burst,) + (0,) * len(shape), (50, *shape)):
                allowed[offset:offset + size] = True
        changed = np.flatnonzero(after != before)
        assert len(changed) and allowed[changed].all(), changed[~allowed[changed]]


def test_many_small_frames_share_chunks(tmp_path):
    """More frames than the index has chunks for one by one: frames share chunks, chunks are in the order of time."""
    writer = TrajectoryWriter(SerialComm(), tmp_path / "t.h5md", choose_writer(SerialComm()), sample.state(SerialComm(), 0, 300), 5000, burst=64)
    places = writer.file.places
    assert 1 < places.per_group < 100 and np.all(np.diff(places.ends) > 0)
    for frame in range(200):
        writer.write(frame, 1.0 * frame, sample.state(SerialComm(), frame, 300))
    writer.flush()
    used = os.stat(tmp_path / "t.h5md").st_blocks * 512
    assert 200 * 36 * 300 < used < 300 * 36 * 300 < os.path.getsize(tmp_path / "t.h5md") == places.total      # space is taken as it is used
    with Trajectory(tmp_path / "t.h5md") as read:
        for frame in (0, 63, 64, 199):
            assert np.allclose(read.unwrapped(frame), sample.unwrapped(frame, 300), atol=1e-12)


def test_ensemble_read_without_mpi(tmp_path):
    write_ensemble(SerialComm(), tmp_path / "e.h5", "auto")
    found = ensemble.read(tmp_path / "e.h5")
    assert found.status == ["complete", "complete", "complete", "failed", "complete"] and found.causes[3] == "NaN at step 7"
    assert found.valid["current"].tolist() == [2, 3, 4, 5, 2] and found.valid["heat"].tolist() == [4, 4, 0, 4, 4]
    draw = np.random.default_rng(1)
    assert np.array_equal(found.arrays["current"][1, :2], draw.normal(size=(2, 3)))
    assert np.isnan(found.arrays["current"][1, 3:]).all() and np.isnan(found.arrays["heat"][2]).all()
    assert found.arrays["count"].tolist() == [0, 1, 4, 9, 16] and found.units["heat"] == "eV" and found.attributes["temperature"] == 300.0


def test_ensemble_resumed_and_cut_equals_the_uninterrupted_one(tmp_path):
    over = SerialComm()
    for path, cut in ((tmp_path / "a.h5", False), (tmp_path / "b.h5", True)):
        file = EnsembleFile.create(path, over, 2, SCHEMA)
        if cut:
            file.write_rows(1, "current", 0, np.ones((5, 3)))
            file.write_rows(1, "count", 0, 3)
            file.close()
            file = EnsembleFile.resume(path, over, 2, SCHEMA)
            file.truncate(1, "current", 1)
            file.truncate(1, "count", 0)
        file.write_rows(1, "current", 0, np.ones((1, 3)))
        file.write_rows(1, "current", 1, np.zeros((2, 3)))
        file.close()
    assert compare(tmp_path / "a.h5", tmp_path / "b.h5") == []


def test_ensemble_refuses_what_does_not_fit(tmp_path):
    over = SerialComm()
    file = EnsembleFile.create(tmp_path / "e.h5", over, 2, SCHEMA)
    for replica, name, start, values in ((0, "current", 5, np.zeros((2, 3))), (2, "count", 0, 1), (0, "current", 0, np.zeros((2, 4))), (0, "heat", -1, np.zeros(1))):
        with pytest.raises(ValueError, match="does not fit"):
            file.write_rows(replica, name, start, values)
    with pytest.raises(TypeError):
        file.write_rows(0, "count", 0, 1.5)
    with pytest.raises(InputError, match="other settings"):
        EnsembleFile.resume(tmp_path / "e.h5", over, 3, SCHEMA)
    with pytest.raises(InputError, match="other settings"):
        EnsembleFile.resume(tmp_path / "e.h5", over, 2, {"other": ((), "<f8", "", "")})
