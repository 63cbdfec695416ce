"""A full disk, a size limit, a read-only folder: the run stops with its last good files, all ranks together."""
import os
import resource
import subprocess
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
from mpi4py import MPI

import moving_particles as sample
from hpcnemd.core.errors import InputError, StoppedEarly
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import checkpoint, raw_bytes
from hpcnemd.storage.compare import compare
from hpcnemd.storage.ensemble import EnsembleFile
from hpcnemd.storage.journal import Journal
from hpcnemd.storage.trajectory import Trajectory, TrajectoryWriter
from hpcnemd.storage.writer import NAMES, choose_writer

comm = MPI.COMM_WORLD
COUNT, FRAMES = 1500, 30       # 54 kB a frame


@contextmanager
def file_limit(size):
    """Files of this process end at `size` bytes (Python ignores the signal that comes with it)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def mounted(folder, options):
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def trajectory(over, path, capacity=FRAMES, resume=None):
    return TrajectoryWriter(over, path, choose_writer(over), sample.state(over, 0, COUNT), capacity, resume_frames=resume, burst=5)


def write_until_full(over, path):
    writer = trajectory(over, path)
    with pytest.raises(StoppedEarly, match="start the same command again"):
        for frame in range(FRAMES):
            writer.write(frame, 1.0 * frame, sample.state(over, frame, COUNT))
    return writer


def check_and_go_on(over, path, whole):
    """After there is room again: the frames before are right, and the run's file becomes the uninterrupted one."""
    with Trajectory(path) as read:
        kept = len(read)
        assert 0 < kept < FRAMES and kept % 5 == 0
        assert np.allclose(read.unwrapped(kept - 1), sample.unwrapped(kept - 1, COUNT), atol=1e-12)
    over.Barrier()
    for target, resume in ((path, kept), (whole, None)):
        writer = trajectory(over, target, resume=resume)
        for frame in range(resume or 0, FRAMES):
            writer.write(frame, 1.0 * frame, sample.state(over, frame, COUNT))
        writer.close(finished=True)
    over.Barrier()
    assert compare(path, whole) == []


@pytest.mark.mpi
@pytest.mark.parametrize("name", [name for name in NAMES if name != "collective" or h5py.get_config().mpi])
def test_a_limit_met_in_the_middle_of_a_write_is_no_silent_loss(mpi_tmp_path, monkeypatch, name):
    """The room was reserved, and then the limit came: MPI libraries that count such a write as done are found out."""
    writer = TrajectoryWriter(comm, mpi_tmp_path / "t.h5md", choose_writer(comm, name), sample.state(comm, 0, COUNT), FRAMES, burst=5)
    for frame in range(5):
        writer.write(frame, 1.0 * frame, sample.state(comm, frame, COUNT))
    monkeypatch.setattr(raw_bytes, "reserve", lambda *arguments: None)
    with file_limit(4096), pytest.raises(StoppedEarly, match="the limit on file sizes is reached"):
        for frame in range(5, 10):
            writer.write(frame, 1.0 * frame, sample.state(comm, frame, COUNT))
    monkeypatch.undo()
    comm.Barrier()
    check_and_go_on(comm, mpi_tmp_path / "t.h5md", mpi_tmp_path / "whole.h5md")


@pytest.mark.mpi
def test_file_limit_in_a_trajectory(mpi_tmp_path):
    with file_limit(900_000):
        write_until_full(comm, mpi_tmp_path / "t.h5md")
    check_and_go_on(comm, mpi_tmp_path / "t.h5md", mpi_tmp_path / "whole.h5md")


def test_file_limit_reached_later_than_planned(tmp_path):
    """The limit is lowered while the run lasts: space for a burst is asked for before a byte of it is written."""
    over = SerialComm()
    writer = trajectory(over, tmp_path / "t.h5md")
    for frame in range(10):
        writer.write(frame, 1.0 * frame, sample.state(over, frame, COUNT))
    with file_limit(writer.file.places.end_of(10) + 1000), pytest.raises(StoppedEarly, match="limit on file sizes"):
        for frame in range(10, FRAMES):
            writer.write(frame, 1.0 * frame, sample.state(over, frame, COUNT))
    check_and_go_on(over, tmp_path / "t.h5md", tmp_path / "whole.h5md")


def test_full_disk_in_a_trajectory(tmp_path):
    (tmp_path / "disk").mkdir()
    with mounted(tmp_path / "disk", "size=1m") as disk:
        write_until_full(SerialComm(), disk / "t.h5md")
        with pytest.raises(StoppedEarly, match="disk is full"):
            checkpoint.save(SerialComm(), disk / "c", {}, {"x": np.zeros((40000, 3))}, 1)
        assert os.listdir(disk / "c") == []
        subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
        check_and_go_on(SerialComm(), disk / "t.h5md", disk / "whole.h5md")


@pytest.mark.mpi
def test_file_limit_in_a_checkpoint(mpi_tmp_path):
    def save(step, first=False):
        return checkpoint.save(comm, mpi_tmp_path / "c", {"step": step}, {"x": np.full((3000, 3), 1.0 * step)}, step, first=first)
    with file_limit(20_000), pytest.raises(InputError, match="limit on file sizes"):
        save(0, first=True)
    save(1)
    save(2)
    for step in (3, 4):
        with file_limit(60_000), pytest.raises(StoppedEarly, match="limit on file sizes"):
            save(step)
    comm.Barrier()
    assert sorted(os.listdir(mpi_tmp_path / "c")) == ["a.h5", "b.h5"]
    saved = checkpoint.load_latest(comm, mpi_tmp_path / "c")
    assert saved.step == 2 and (saved.arrays["x"] == 2.0).all()
    save(5)
    assert checkpoint.load_latest(comm, mpi_tmp_path / "c").step == 5


@pytest.mark.mpi
def test_file_limit_at_the_start(mpi_tmp_path):
    with file_limit(30_000):
        with pytest.raises(InputError, match="limit on file sizes"):
            trajectory(comm, mpi_tmp_path / "t.h5md")
        with pytest.raises(InputError, match="limit on file sizes"):
            EnsembleFile.create(mpi_tmp_path / "e.h5", comm, 10, {"x": ((1000,), "<f8", "", "")})
    comm.Barrier()
    assert os.listdir(mpi_tmp_path) == []


def test_read_only_folder(tmp_path):
    (tmp_path / "disk").mkdir()
    with mounted(tmp_path / "disk", "ro") as disk:
        over = SerialComm()
        for work in (lambda: trajectory(over, disk / "t.h5md"), lambda: EnsembleFile.create(disk / "e.h5", over, 1, {}),
                     lambda: checkpoint.save(over, disk / "c", {}, {}, 0, first=True)):
            with pytest.raises(InputError, match="Read-only file system; choose an output folder"):
                work()


def test_a_full_disk_loses_journal_lines_not_the_run(tmp_path):
    journal = Journal(SerialComm(), tmp_path / "journal.jsonl")
    journal.note("started")
    with file_limit(10):
        journal.note("lost")
    journal.note("went on")
    journal.close()
    assert [line.split('"event": "')[1].split('"')[0] for line in (tmp_path / "journal.jsonl").read_text().splitlines()] == ["started", "went on"]
