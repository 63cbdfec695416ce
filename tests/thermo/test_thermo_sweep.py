"""Sweeps over ranks: the same file for any number of ranks, failed points with their reason, continuing what exists, refusing what changed."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from invented_systems import BINARY, GAS, TERNARY

from hpcnemd.core.errors import InputError
from hpcnemd.ensembles import thermo_sweep
from hpcnemd.ensembles.thermo_sweep import run_sweep
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage.compare import compare
from hpcnemd.storage.ensemble import read
from hpcnemd.thermo import binary, calphad, from_tdb, sweep_grid, tdb
from hpcnemd.thermo.errors import ImpossibleComposition, MissingVacancy, TemperatureOutOfRange, ThermoInputError

CALPHAD = """kind = "calphad"
block = 3
[system]
file = "data.tdb"
components = ["AA", "BB", "VA"]
engine = "own"
[grid]
temperature = ["520 K", "640 K", "700 K"]
pressure = "1 atm"
X = { BB = { from = 0.1, to = 0.9, points = 5 } }
"""
GIBBS = """kind = "gibbs"
block = 2
data = "gas.toml"
candidates = ["all"]
[grid]
mode = "zip"
temperature = ["923 K", "1500 K", "5500 K"]
pressure = "1 atm"
elements = { C = "1 mol", H = "4 mol", O = ["1 mol", "2 mol", "1 mol"] }
"""
ENGINE = """kind = "calphad"
block = 2
[system]
file = "ternary.tdb"
components = ["AA", "BB", "CC", "VA"]
[grid]
mode = "zip"
temperature = { from = "520 K", to = "940 K", points = 7 }
pressure = "1 atm"
X = { BB = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], CC = [0.5, 0.1, 0.3, 0.4, 0.2, 0.1, 0.1] }
"""


def place(folder, text=CALPHAD):
    (folder / "data.tdb").write_bytes(BINARY.read_bytes())
    (folder / "ternary.tdb").write_text(TERNARY)
    (folder / "gas.toml").write_bytes(GAS.read_bytes())
    (folder / "sweep.toml").write_text(text)
    return str(folder / "sweep.toml"), str(folder / "out.h5")


@pytest.fixture
def shared(mpi_tmp_path):
    return mpi_tmp_path


def test_values_are_those_of_the_single_points(tmp_path):
    deck, out = place(tmp_path)
    assert run_sweep(SerialComm(), deck, out) == (15, 0, {})
    held = read(out)
    phases = from_tdb.binary_phases(tdb.read(BINARY), ("AA", "BB"), ("LIQUID", "FCC_A1", "HCP_A3"))
    names = held.attributes["phases"].split(",")
    points = held.arrays["conditions"].reshape(-1, 3)[:15]
    assert held.attributes["data_sha256"] == tdb.read(BINARY).sha256 and held.attributes["gas_constant"] == 8.314462618
    for k, (t, p, x) in enumerate(points):
        found = binary.equilibrium(phases, t, x)
        assert p == 101325.0 and held.arrays["G"].ravel()[k] == found["g"]
        stored = held.arrays["phase"].reshape(-1, 4)[k]
        assert [names[i] for i in stored if i >= 0] == [n for n, _, _ in found["phases"]]
        assert held.arrays["fraction"].reshape(-1, 4)[k, :len(found["phases"])].tolist() == [f for _, f, _ in found["phases"]]
        assert held.arrays["driving_force"].reshape(-1, 3)[k].tolist() == [found["driving"][n] for n in held.attributes["driving_force_of"].split(",")]


def test_driving_forces_of_what_was_left_out(tmp_path):
    """HCP_A3 is no candidate: at each point its driving force is stored, as `thermo eq` gives it; likewise graphite of a gas mixture."""
    deck, out = place(tmp_path, CALPHAD.replace('engine = "own"', 'phases = ["LIQUID", "FCC_A1"]').replace('"640 K", "700 K"', '"530 K"'))
    assert run_sweep(SerialComm(), deck, out)[:2] == (10, 0)
    held, system = read(out), calphad.System(tmp_path / "data.tdb", ["AA", "BB", "VA"], ["LIQUID", "FCC_A1"])
    assert held.attributes["driving_force_of"] == "LIQUID,FCC_A1,HCP_A3" and "left out" in held.attributes["excluded"]
    forces = held.arrays["driving_force"].reshape(-1, 3)[:10, 2]
    record = system.equilibrium({"T": 530.0, "P": "1 atm", "X": {"BB": 0.9}})
    assert forces[9] == record.candidates[-1].driving_force > 0
    deck, out = place(tmp_path, GIBBS.replace('candidates = ["all"]', 'candidates = ["CO", "CO2", "H2", "H2O", "CH4", "O2"]\nexcluded = ["O2"]'))
    (tmp_path / "out.h5").unlink()
    run_sweep(SerialComm(), deck, out)
    held = read(out)
    names = held.attributes["driving_force_of"].split(",")
    assert set(held.attributes["substances"].split(",")) == {"CO", "CO2", "H2", "H2O", "CH4"} and {"O2", "C(gr)"} <= set(names)
    assert held.arrays["driving_force"].reshape(-1, len(names))[0, names.index("C(gr)")] > 0


def test_a_ternary_sweep_is_the_engine_alone(tmp_path):
    """Pre-check, adapter and sweep change no bit of pycalphad's G, potentials, amounts and compositions (one process: one order of hashes)."""
    pytest.importorskip("pycalphad")
    from pycalphad import Database, equilibrium, variables as v
    deck, _ = place(tmp_path, ENGINE)
    sweep, db = sweep_grid.Sweep(deck), Database(str(tmp_path / "ternary.tdb"))
    for k, (t, p, b, c) in enumerate(sweep.points.tolist()):
        eq = equilibrium(db, ["AA", "BB", "CC", "VA"], ["SOL", "LIQ", "ORD"], {v.T: t, v.P: p, v.N: 1, v.X("BB"): b, v.X("CC"): c})
        row = sweep.answer(k).row
        n = int((row["phase"] >= 0).sum())
        assert row["G"] == eq.GM.values.ravel()[0] and row["mu"].tolist() == eq.MU.values.ravel().tolist()
        assert row["fraction"][:n].tolist() == eq.NP.values.ravel()[:n].tolist() and row["x"][:n].tolist() == eq.X.values.reshape(-1, 3)[:n].tolist()


def test_failed_points_are_kept_with_their_reason(tmp_path):
    deck, out = place(tmp_path, GIBBS)
    ok, failed, reasons = run_sweep(SerialComm(), deck, out)
    assert (ok, failed) == (2, 1) and "TemperatureOutOfRange" in reasons[2] and "5500" in reasons[2]
    held = read(out)
    assert held.arrays["point_status"].ravel().tolist() == [1, 1, 2, 0] and held.status == ["complete", "failed"]
    assert held.arrays["element_balance"].ravel()[:2].max() < 1e-12 and np.isnan(held.arrays["G"].ravel()[2])


def test_a_sweep_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Killed after two blocks by an exception that is no failure of a point; the rest is done later, and the file is the uninterrupted one."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    whole.mkdir(), part.mkdir()
    deck, complete = place(whole)
    run_sweep(SerialComm(), deck, complete)
    deck, out = place(part)
    answer, asked = sweep_grid.Sweep.answer, []
    monkeypatch.setattr(thermo_sweep, "FLUSH_SECONDS", 0.0)

    def stops(self, k):
        if k >= 6:
            raise KeyboardInterrupt
        return answer(self, k)

    def counts(self, k):
        asked.append(k)
        return answer(self, k)
    monkeypatch.setattr(sweep_grid.Sweep, "answer", stops)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(SerialComm(), deck, out)
    monkeypatch.setattr(sweep_grid.Sweep, "answer", counts)
    assert run_sweep(SerialComm(), deck, out)[:2] == (15, 0) and asked == list(range(6, 15))
    assert not compare(complete, out)


def test_topic_20_a_changed_file_is_refused_on_restart(tmp_path):
    deck, out = place(tmp_path)
    run_sweep(SerialComm(), deck, out)
    data = tmp_path / "data.tdb"
    data.write_text(data.read_text().replace("+18500-9*T", "+18500-8*T"))
    with pytest.raises(InputError, match="data_sha256"):
        run_sweep(SerialComm(), deck, out)
    place(tmp_path, CALPHAD.replace("0.9", "0.8"))
    with pytest.raises(InputError, match="deck_sha256"):
        run_sweep(SerialComm(), deck, out)
    (tmp_path / "not_hdf5.h5").write_text("text")
    with pytest.raises(InputError, match="not a sweep file"):
        run_sweep(SerialComm(), deck, str(tmp_path / "not_hdf5.h5"))


@pytest.mark.parametrize("old, new, kind", [('"AA", "BB", "VA"', '"AA", "BB"', MissingVacancy), ('"520 K"', '"25 K"', TemperatureOutOfRange), ("to = 0.9", "to = 1.9", ImpossibleComposition),
                                            ('pressure = "1 atm"', "pressure = 1", ThermoInputError), ("block = 3", "blok = 3", ThermoInputError)])
def test_bad_decks_are_refused_before_any_file(tmp_path, old, new, kind):
    deck, out = place(tmp_path, CALPHAD.replace(old, new))
    with pytest.raises(kind):
        run_sweep(SerialComm(), deck, out)
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.mpi
@pytest.mark.parametrize("text, size", [(CALPHAD, 15), (GIBBS, 3), pytest.param(ENGINE, 7, marks=pytest.mark.slow)], ids=("calphad", "gibbs", "pycalphad"))
def test_topic_23_the_same_file_for_any_number_of_ranks(shared, tmp_path, text, size):
    """Every dataset outside /provenance, bit for bit: all ranks together, and rank 0 alone."""
    from mpi4py import MPI
    comm = MPI.COMM_WORLD
    if text is ENGINE:
        pytest.importorskip("pycalphad")
        if sys.flags.hash_randomization:
            place(tmp_path, text)
            with pytest.raises(InputError, match="PYTHONHASHSEED=0"):
                run_sweep(comm, str(tmp_path / "sweep.toml"), str(tmp_path / "out.h5"))
            return
    if comm.rank == 0:
        place(shared, text)
    comm.Barrier()
    deck, out = str(shared / "sweep.toml"), str(shared / "out.h5")
    ok, failed, _ = run_sweep(comm, deck, out)
    assert ok + failed == size
    differences = None
    if comm.rank == 0:
        alone = str(shared / "alone.h5")
        run_sweep(SerialComm(), deck, alone)
        differences = compare(out, alone)
    assert comm.bcast(differences) == []


@pytest.mark.slow
def test_topic_23_ternaries_of_pycalphad_from_the_command_line(tmp_path):
    """pycalphad's last digits follow the order of string hashes, which is random in each process: the command fixes it. 1, 2 and 4 ranks, the same bits."""
    pytest.importorskip("pycalphad")
    mpirun = shutil.which("mpirun", path=Path(sys.executable).parent) or shutil.which("mpirun.openmpi") or shutil.which("mpirun")
    if not mpirun:
        pytest.skip("no mpirun here")
    deck, _ = place(tmp_path, ENGINE)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PMIX_", "OMPI_COMM_", "OMPI_MCA_orte_", "OMPI_MCA_ess")) and k != "PYTHONHASHSEED"}
    clean |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1", "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}
    outputs = []
    for ranks in (1, 2, 4):
        outputs.append(str(tmp_path / f"out{ranks}.h5"))
        launch = [] if ranks == 1 else [mpirun, "-n", str(ranks)]
        end = subprocess.run([*launch, sys.executable, "-m", "hpcnemd", "thermo", "sweep", deck, "-o", outputs[-1]], capture_output=True, text=True, timeout=300, env=clean, cwd=Path(__file__).parents[2])
        assert end.returncode == 0 and "7 points, 0 failed" in end.stdout, end.stdout + end.stderr
    assert not compare(outputs[0], outputs[1]) and not compare(outputs[0], outputs[2])
