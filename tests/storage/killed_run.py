"""A run that writes a trajectory, an ensemble and checkpoints, and goes on from its last checkpoint: `run(comm, folder, total, writer, note)`.

As a script it is started by mpirun and killed by test_storage_kills.py: it tells its progress in a shared file of 8-byte words
(frame, inside a burst, process ids).
"""
import mmap
import os
import sys
from pathlib import Path

import numpy as np

import moving_particles as sample
from hpcnemd.storage import checkpoint, provenance
from hpcnemd.storage.ensemble import EnsembleFile
from hpcnemd.storage.trajectory import TrajectoryWriter
from hpcnemd.storage.writer import choose_writer

COUNT, BURST, INTERVAL = 23, 2, 6           # particles; frames of a burst; frames between checkpoints
SCHEMA = {"current": ((4000, 3), "<f8", "", "")}


def run(comm, folder, total, name, note=lambda word, value: None):
    """Collective. From the last checkpoint, or the start, to frame `total`."""
    folder, writer = Path(folder), choose_writer(comm, name)
    saved = checkpoint.load_latest(comm, folder / "checkpoint")
    first = saved.step if saved else 0
    assert saved is None or np.array_equal(saved.tree["velocity"], sample.velocity(first, COUNT))
    there = comm.bcast((folder / "t.h5md").exists() and (folder / "e.h5").exists() and saved is not None)
    state = sample.state(comm, first, COUNT)
    trajectory = TrajectoryWriter(comm, folder / "t.h5md", writer, state, total, True, first if there else None, BURST)
    if there:
        ensemble = EnsembleFile.resume(folder / "e.h5", comm, 1, SCHEMA, name)
        if comm.rank == 0:
            ensemble.truncate(0, "current", first // INTERVAL)
    else:
        ensemble = EnsembleFile.create(folder / "e.h5", comm, 1, SCHEMA, name)
    ensemble.flush()
    if there:
        provenance.stamp_restart(trajectory.file, first)
    for frame in range(first, total):
        if frame % INTERVAL == 0:
            note(1, 1)
            _save(comm, folder, writer, trajectory, ensemble, frame)
        note(1, frame % BURST == BURST - 1)
        trajectory.write(frame, 0.5 * frame, sample.state(comm, frame, COUNT))
        note(1, 0)
        note(0, frame)
    trajectory.close(finished=True)
    ensemble.close()


def _save(comm, folder, writer, trajectory, ensemble, frame):
    if comm.rank == 0:
        ensemble.write_rows(0, "current", frame // INTERVAL, sample.velocity(frame, 1))
    trajectory.flush()
    ensemble.flush()
    state = sample.state(comm, frame, COUNT)
    tree = {"velocity": sample.velocity(frame, COUNT), "frame": frame}
    checkpoint.save(comm, folder / "checkpoint", tree, {"id": state.id[:state.n_owned], "position": state.position[:state.n_owned]}, frame, writer)


def main():
    from mpi4py import MPI
    comm, (folder, total, name, shared) = MPI.COMM_WORLD, sys.argv[1:]
    with open(shared, "r+b") as f:
        words = np.frombuffer(mmap.mmap(f.fileno(), 8 * 16), np.int64)
    words[2 + comm.rank] = os.getpid()

    def note(word, value):
        if comm.rank == 0:
            words[word] = value
    run(comm, folder, int(total), name, note)


if __name__ == "__main__":
    main()
