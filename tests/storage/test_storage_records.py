"""Journal, provenance and the comparison of results."""
import json
import shutil

import h5py
import numpy as np
import pytest
from mpi4py import MPI

from hpcnemd.core.errors import InputError
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import checkpoint, ensemble, journal, provenance
from hpcnemd.storage.compare import compare
from hpcnemd.storage.ensemble import EnsembleFile

comm = MPI.COMM_WORLD


def test_a_torn_journal_line_is_left_out_and_the_next_one_is_whole(tmp_path):
    path = tmp_path / "journal.jsonl"
    log = journal.Journal(SerialComm(), path)
    log.note("block", value=np.float64(1.5), series=np.arange(2))
    log.close()
    with open(path, "a") as f:
        f.write('{"event": "to')
    log = journal.Journal(SerialComm(), path)
    log.note("resumed", step=3)
    log.close()
    found = journal.read(path)
    assert [line["event"] for line in found] == ["block", "resumed"] and found[0]["series"] == [0, 1] and found[0]["value"] == 1.5
    assert journal.read(tmp_path / "absent") == []


@pytest.mark.mpi
def test_provenance_is_read_as_collected(mpi_tmp_path):
    deck = "x = 1\n" * 20000                # longer than an HDF5 attribute may be
    record = provenance.collect(comm, deck, 7, (2, 1, 1), "avx2", "gather")
    file = EnsembleFile.create(mpi_tmp_path / "e.h5", comm, 1, {}, "auto", provenance=record)
    for step in range(70):                  # more restarts than there are lines for
        if step > 2 and step < 65:
            continue
        provenance.stamp_restart(file, step)
    assert provenance.read(file.path)["ended"] == ""
    comm.Barrier()                          # a rank may still be reading
    provenance.stamp_end(file)
    comm.Barrier()
    found = provenance.read(file.path)
    assert found["deck"] == deck and found["seed"] == 7 and found["grid"].tolist() == [2, 1, 1] and found["ranks"] == comm.size
    assert found["versions"]["numpy"] == np.__version__ and found["versions"]["hdf5"] == h5py.version.hdf5_version
    assert found["restart_count"] == 8 and "step 69" in found["restarts"][-1] and found["ended"] >= found["started"]
    assert found["mpi_library"] == "none" or found["mpi_library"].isprintable()


def base(path):
    with h5py.File(path, "w") as f:
        f["a/x"] = np.array([1.0, np.nan, 0.0])
        f["a/n"] = np.arange(6, dtype="i4").reshape(2, 3)
        f["a/s"] = np.array([b"x", b"y"])
        f["a"].attrs["unit"] = "eV"
        f.create_group("provenance")["host"] = "here"


@pytest.mark.parametrize("change, said", [
    (lambda f: f["a/x"].__setitem__(0, 1 + 2**-52), "/a/x: 1 of 3 values differ, the first at (0,): "),
    (lambda f: f["a/x"].__setitem__(2, -0.0), "/a/x: 1 of 3 values differ, the first at (2,)"),
    (lambda f: f["a/n"].__setitem__((1, 2), 9), "/a/n: 1 of 6 values differ, the first at (1, 2)"),
    (lambda f: f["a/s"].__setitem__(1, b"z"), "/a/s: 1 of 2"),
    (lambda f: f["a"].attrs.__setitem__("unit", "J"), "/a@unit: differs"),
    (lambda f: f["a"].attrs.__delitem__("unit"), "/a@unit: only in the first"),
    (lambda f: f.__setitem__("b", 1), "/b: only in the second"),
    (lambda f: (f.__delitem__("a/n"), f.__setitem__("a/n", np.arange(6, dtype="i8").reshape(2, 3))), "/a/n: (2, 3) int32 and (2, 3) int64"),
    (lambda f: (f.__delitem__("a/n"), f.__setitem__("a/n", np.arange(6, dtype="i4").reshape(3, 2))), "/a/n: (2, 3) int32 and (3, 2) int32"),
    (lambda f: (f.__delitem__("a/n"), f.create_group("a/n")), "/a/n: a group in one"),
])
def test_every_kind_of_difference_is_found(tmp_path, change, said):
    base(tmp_path / "a.h5")
    base(tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5", "r+") as f:
        change(f)
    found = compare(tmp_path / "a.h5", tmp_path / "b.h5")
    assert len(found) == 1 and found[0].startswith(said), found


def test_equal_files_are_equal_whatever_their_provenance(tmp_path):
    base(tmp_path / "a.h5")
    base(tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5", "r+") as f:
        f["provenance/host"][()] = "there"
        f["provenance"].attrs["job"] = "1"
    assert compare(tmp_path / "a.h5", tmp_path / "b.h5") == []


def test_a_tolerance_is_relative_to_the_larger_value(tmp_path):
    base(tmp_path / "a.h5")
    base(tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5", "r+") as f:
        f["a/x"][0] = 1.001
    assert compare(tmp_path / "a.h5", tmp_path / "b.h5", 1.1e-3) == [] and len(compare(tmp_path / "a.h5", tmp_path / "b.h5", 0.9e-3)) == 1


def test_folders(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "report").mkdir(parents=True)
        base(tmp_path / name / "e.h5")
        (tmp_path / name / "report" / "numbers.json").write_text(json.dumps({"sigma": [1.0, None], "unit": "S/m"}))
        for step in (1, 2) if name == "a" else (0, 1, 2):               # the newest is in another slot
            for folder in ("checkpoint", "checkpoint/replica_0000"):
                checkpoint.save(SerialComm(), tmp_path / name / folder, {"step": step}, {"x": np.zeros(step)}, step)
    assert compare(tmp_path / "a", tmp_path / "b") == []
    (tmp_path / "b" / "report" / "numbers.json").write_text(json.dumps({"sigma": [1.5, None], "unit": "S/m"}))
    checkpoint.save(SerialComm(), tmp_path / "b" / "checkpoint" / "replica_0000", {"step": 2}, {"x": np.ones(2)}, 2)
    shutil.copy(tmp_path / "a" / "e.h5", tmp_path / "a" / "more.h5md")
    found = compare(tmp_path / "a", tmp_path / "b")
    assert len(found) == 3 and "more.h5md: only in" in found[0] and "replica_0000/(newest): /ranks/x: 2 of 2 values differ" in found[1] and "/sigma/0: 1.0 and 1.5" in found[2]


def test_what_cannot_be_compared_is_said(tmp_path):
    base(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_text("no HDF5")
    for a, b, said in (("a.h5", "c.h5", "no such file"), ("a.h5", ".", "two files or two folders"), ("a.h5", "b.h5", "not two HDF5")):
        with pytest.raises(InputError, match=said):
            compare(tmp_path / a, tmp_path / b)


def test_attributes_that_are_too_large_for_hdf5(tmp_path):
    """One number for each of 20 000 particles comes back as an attribute; HDF5 ends one at 64 KiB."""
    kind = np.arange(20000, dtype=np.int32) % 3
    file = EnsembleFile.create(tmp_path / "e.h5", SerialComm(), 2, {"x": ((3,), "<f8", "", "")}, "gather", {"kind": kind, "few": np.arange(3)})
    file.write_rows(1, "x", 0, np.arange(3.0))
    file.close()
    for found in (ensemble.read(tmp_path / "e.h5").attributes, ensemble.read_attributes(tmp_path / "e.h5")):
        assert np.array_equal(found["kind"], kind) and found["few"].tolist() == [0, 1, 2]
    assert ensemble.read(tmp_path / "e.h5").arrays["x"][1].tolist() == [0, 1, 2]
