"""Trajectories: what other programs read, what a resume keeps, how a file grows beyond its plan."""
import os
import warnings

import h5py
import numpy as np
import pytest
from mpi4py import MPI

import moving_particles as sample
from hpcnemd.core.box import Box
from hpcnemd.core.errors import InputError, PhysicsError
from hpcnemd.core.state import State
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import foreign, provenance
from hpcnemd.storage.compare import compare
from hpcnemd.storage.export import export
from hpcnemd.storage.trajectory import Trajectory, TrajectoryWriter
from hpcnemd.storage.writer import choose_writer

comm = MPI.COMM_WORLD
COUNT = 26


def write(over, path, frames, capacity, resume=None, burst=3, close=True, name="auto", velocities=True):
    writer = TrajectoryWriter(over, path, choose_writer(over, name), sample.state(over, 0, COUNT), capacity, velocities, resume, burst)
    for frame in range(resume or 0, frames):
        writer.write(10 * frame, 20.0 * frame, sample.state(over, frame, COUNT))
    writer.close() if close else writer.flush()
    return writer


def test_mdanalysis_opens_it(tmp_path):
    MDAnalysis = pytest.importorskip("MDAnalysis")
    write(SerialComm(), tmp_path / "t.h5md", 5, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = MDAnalysis.Universe(str(tmp_path / "t.h5md"))
    assert universe.trajectory.n_frames == 5 and len(universe.atoms) == COUNT
    with Trajectory(tmp_path / "t.h5md") as read:
        for frame, now in enumerate(universe.trajectory):
            assert now.time == pytest.approx(20e-3 * frame) and now.data["step"] == 10 * frame         # ps
            assert np.allclose(now.dimensions, [10, 11, 12, 90, 90, 90])
            assert np.allclose(now.positions, read.read("position", frame), atol=1e-5)
            assert np.allclose(now.velocities, sample.velocity(frame, COUNT) * 1e3, rtol=1e-6)          # angstrom/ps


def test_a_tilted_cell_is_a_matrix(tmp_path):
    """Edges as H5MD wants them; MDAnalysis, extxyz and LAMMPS dump tell the same cell and places; unwrapped places are those of the run."""
    box, wanted = Box([10.0, 11.0, 12.0], skew=(0.5, -0.3, 0.2)), [sample.unwrapped(frame, COUNT) for frame in range(3)]

    def state(frame):
        return State.of(box.with_lengths(box.lengths * (1 + 0.01 * frame)), sample.KINDS, np.arange(COUNT) % 2, wanted[frame])
    writer = TrajectoryWriter(SerialComm(), tmp_path / "t.h5md", choose_writer(SerialComm(), "auto"), state(0), 3)
    for frame in range(3):
        writer.write(frame, 20.0 * frame, state(frame))
    writer.close()
    with Trajectory(tmp_path / "t.h5md") as read:
        assert read.edges.shape == (3, 3, 3) and np.allclose(read.cell(2), 1.02 * box.matrix)
        for frame in range(3):
            assert np.allclose(read.unwrapped(frame), wanted[frame], atol=1e-12)
            fraction = np.linalg.solve(read.cell(frame).T, read.read("position", frame).T)
            assert (fraction > -1e-12).all() and (fraction < 1 + 1e-12).all()
    for kind, name in (("extxyz", "t.xyz"), ("lammps", "t.dump")):
        export(tmp_path / "t.h5md", tmp_path / name, kind)
    for name, kind in (("t.h5md", "h5md"), ("t.xyz", "ase"), ("t.dump", "lammps")):
        for frame, found in enumerate(foreign.open_frames(tmp_path / name, kind).frames):
            assert np.allclose(found.cell, (1 + 0.01 * frame) * box.matrix)
            turns = np.linalg.solve(found.cell.T, (found.place - wanted[frame]).T)
            assert np.allclose(turns, np.rint(turns), atol=1e-9)
    MDAnalysis = pytest.importorskip("MDAnalysis")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = MDAnalysis.Universe(str(tmp_path / "t.h5md"))
    for frame, now in enumerate(universe.trajectory):
        assert np.allclose(now.triclinic_dimensions, (1 + 0.01 * frame) * box.matrix, atol=1e-4)


def test_positions_are_in_the_box_and_unwrap_to_the_run(tmp_path):
    write(SerialComm(), tmp_path / "t.h5md", 4, 4)
    with Trajectory(tmp_path / "t.h5md") as read:
        assert read.id.tolist() == list(range(COUNT)) and read.names == ("Li", "O")
        assert np.array_equal(read.charge, np.where(np.arange(COUNT) % 2, -2.0, 1.0)) and np.array_equal(read.mass, np.where(np.arange(COUNT) % 2, 16.0, 7.0))
        for frame in range(4):
            position = read.read("position", frame)
            assert (position >= 0).all() and (position < sample.BOX.lengths).all()
            assert np.allclose(read.unwrapped(frame), sample.unwrapped(frame, COUNT), atol=1e-12)
        with pytest.raises(IndexError):
            read.read("position", 4)


def test_particles_that_left_the_box_since_the_last_migrate_are_wrapped_in_the_file_only(tmp_path):
    over = SerialComm()
    state = State.of(Box([5.0, 5.0, 5.0]), sample.KINDS, [0, 1], [[1.0, 1, 1], [2.0, 2, 2]])
    state.position[0, 0] = -0.25
    writer = TrajectoryWriter(over, tmp_path / "t.h5md", choose_writer(over), state, 1)
    writer.write(0, 0.0, state)
    writer.close()
    assert state.position[0, 0] == -0.25 and state.image[0, 0] == 0
    with Trajectory(tmp_path / "t.h5md") as read:
        assert read.read("position", 0)[0, 0] == 4.75 and read.read("image", 0)[0].tolist() == [-1, 0, 0]


@pytest.mark.mpi
@pytest.mark.parametrize("name", ["auto", "offset"])
def test_a_resume_cuts_and_goes_on(mpi_tmp_path, name):
    """Frames after the checkpoint are written again: none is doubled, none missing."""
    write(comm, mpi_tmp_path / "whole.h5md", 12, 12, name=name)
    write(comm, mpi_tmp_path / "cut.h5md", 10, 12, name=name)
    writer = write(comm, mpi_tmp_path / "cut.h5md", 12, 12, resume=7, name=name)
    provenance.stamp_restart(writer.file, 70)
    provenance.stamp_end(writer.file)
    comm.Barrier()
    if comm.rank == 0:
        assert compare(mpi_tmp_path / "whole.h5md", mpi_tmp_path / "cut.h5md") == []
        found = provenance.read(mpi_tmp_path / "cut.h5md")
        assert found["restart_count"] == 1 and "step 70" in found["restarts"][0] and found["ended"]


@pytest.mark.mpi
def test_a_run_made_longer_grows_its_file(mpi_tmp_path):
    write(comm, mpi_tmp_path / "whole.h5md", 40, 40, burst=10)
    write(comm, mpi_tmp_path / "grown.h5md", 10, 10)
    writer = write(comm, mpi_tmp_path / "grown.h5md", 40, 10, resume=10, burst=10)
    if comm.rank == 0:
        assert writer.file.places.capacity >= 40
        assert compare(mpi_tmp_path / "whole.h5md", mpi_tmp_path / "grown.h5md") == []
        with h5py.File(mpi_tmp_path / "grown.h5md") as f:
            group = f["particles/trajectory"]
            assert group["position/step"] == group["velocity/step"] == group["box/edges/step"]         # one dataset under several names


def copies(path, to):
    """Other tools process every chunk that the index names, used or not."""
    with h5py.File(path) as f, h5py.File(to, "w") as g:
        f.copy("particles", g)
        assert np.array_equal(g["particles/trajectory/position/value"][:], f["particles/trajectory/position/value"][:])
        return f["particles/trajectory/position/value"].shape


def test_a_file_of_a_run_that_is_not_done_is_an_ordinary_file_and_one_that_ended_early_has_no_unused_parts(tmp_path):
    writer = write(SerialComm(), tmp_path / "t.h5md", 5, 5000, close=False)
    assert copies(tmp_path / "t.h5md", tmp_path / "copy.h5") == (5, COUNT, 3)
    planned = os.path.getsize(tmp_path / "t.h5md")
    writer.close(finished=True)
    assert os.path.getsize(tmp_path / "t.h5md") < planned / 5
    assert copies(tmp_path / "t.h5md", tmp_path / "again.h5") == (5, COUNT, 3)


def test_a_file_of_other_settings_is_refused(tmp_path):
    write(SerialComm(), tmp_path / "t.h5md", 5, 9, velocities=False)
    with pytest.raises(InputError, match="other settings"):
        write(SerialComm(), tmp_path / "t.h5md", 9, 9, resume=4)
    with pytest.raises(InputError, match="holds 5 frames, the checkpoint is from frame 6"):
        write(SerialComm(), tmp_path / "t.h5md", 9, 9, resume=6, velocities=False)
    with pytest.raises(InputError, match="has frames"):
        TrajectoryWriter(SerialComm(), tmp_path / "t.h5md", choose_writer(SerialComm()), sample.state(SerialComm(), 0, COUNT + 1), 9, False, 4)


@pytest.mark.mpi(min_size=2)
def test_a_missing_particle_is_named_on_all_ranks(mpi_tmp_path):
    writer = TrajectoryWriter(comm, mpi_tmp_path / "t.h5md", choose_writer(comm), sample.state(comm, 0, COUNT), 9)
    state = sample.state(comm, 1, COUNT)
    keep = state.id[:state.n_owned] != 11
    state.id[:keep.sum()] = state.id[:state.n_owned][keep]
    state.n_owned = int(keep.sum())
    writer.write(1, 1.0, state)
    with pytest.raises(PhysicsError, match=r"ids \[11\]"):
        writer.flush()


@pytest.mark.parametrize("unwrap", [False, True])
def test_exports_read_back(tmp_path, unwrap):
    ase_io = pytest.importorskip("ase.io")
    write(SerialComm(), tmp_path / "t.h5md", 6, 6)
    assert export(tmp_path / "t.h5md", tmp_path / "t.xyz", "extxyz", 1, None, 2, unwrap) == 3
    assert export(tmp_path / "t.h5md", tmp_path / "t.dump", "lammps", 1, None, 2, unwrap) == 3
    pictures = ase_io.read(tmp_path / "t.xyz", ":", format="extxyz")
    dumps = ase_io.read(tmp_path / "t.dump", ":", format="lammps-dump-text")
    with Trajectory(tmp_path / "t.h5md") as read:
        for frame, atoms, dump in zip((1, 3, 5), pictures, dumps):
            place = read.unwrapped(frame) if unwrap else read.read("position", frame)
            assert np.array_equal(atoms.positions, place) and atoms.get_chemical_symbols()[:2] == ["Li", "O"]
            assert np.array_equal(atoms.arrays["velo"], sample.velocity(frame, COUNT)) and atoms.info["time"] == 20.0 * frame
            assert np.array_equal(atoms.arrays["id"], np.arange(COUNT)) and np.allclose(atoms.cell.lengths(), sample.BOX.lengths)
            assert np.allclose(dump.positions, place) and np.allclose(dump.cell.lengths(), sample.BOX.lengths)
    text = (tmp_path / "t.dump").read_text().splitlines()
    header = text[8].split()[2:]
    row = dict(zip(header, text[9].split()))
    assert row["element"] == "Li" and float(row["vx"]) == sample.velocity(1, COUNT)[0, 0] * 1e3


def test_export_of_nothing_leaves_nothing(tmp_path):
    with pytest.raises(InputError):
        export(tmp_path / "absent.h5md", tmp_path / "t.xyz", "extxyz")
    with pytest.raises(InputError, match="extxyz, lammps"):
        export(tmp_path / "absent.h5md", tmp_path / "t.xyz", "pdb")
    assert list(tmp_path.iterdir()) == []
