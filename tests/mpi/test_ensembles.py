"""Campaigns of replicas on ranks: the same rows and statistics on any number of them, broken replicas, early stops."""
import json

import numpy as np
import pytest
from mpi4py import MPI

from hpcnemd.core.errors import PhysicsError, StoppedEarly
from hpcnemd.ensembles.campaign import branches, run_campaign
from hpcnemd.ensembles.statistics import Covariance, Moments
from hpcnemd.experiments import work_theorems
from hpcnemd.experiments.irreversibility.launched import ENSEMBLE, open_file
from hpcnemd.experiments.work_theorems.launched import STATISTICS, statistics_of
from hpcnemd.experiments.work_theorems.launched import run as run_with
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.reduce import vote_any
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import ensemble
from hpcnemd.storage.compare import compare
from hpcnemd.storage.ensemble import EnsembleFile

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi

DECKS = {"stiffened": {"stiffened_trap": {"duration": 1.0, "steps": 8}, "run": {"replicas": 1000, "batch": 64, "samples": 4}},
         "pulled": {"pulled_chain": {"duration": 1.0}, "run": {"replicas": 300, "batch": 64, "samples": 4}},
         "chain": {"pulled_chain": {"dynamics": "reversible", "steps": 480, "rest": 1.0}, "run": {"replicas": 50, "batch": 16, "samples": 1}},
         "colour": {"colour_field": {"duration": 0.05, "settle": 0.1, "spacing": 0.1, "daughters": 2}, "run": {"replicas": 40, "batch": 8, "samples": 2}},
         "electrolyte": {"structure": {"build": "nacl"}, "forcefield": {"table": "nacl_tosi_fumi", "cutoff": "5 angstrom", "coulomb": {"method": "dsf"}},
                         "electrolyte": {"temperature": "1100 K", "field": "0.1 V/angstrom", "mobile": "all", "settle": "20 fs", "spacing": "8 fs", "daughters": 2,
                                         "duration": "8 fs"}, "run": {"replicas": 4, "samples": 2}}}


@pytest.fixture
def folder(tmp_path):
    return comm.bcast(tmp_path if comm.rank == 0 else None)


def prepared_of(name):
    return work_theorems.prepare(work_theorems.Deck.model_validate({"experiment": "work_theorems", **DECKS[name]}))


def alone(prepared, folder):
    """The same on one rank, by rank 0."""
    if comm.rank == 0:
        work_theorems.run(prepared, Layout(SerialComm(), prepared.deck.run.replicas, 1), folder)
    comm.Barrier()


def same_on_rank_0(a, b):
    """Collective. Nothing outside provenance differs, and the statistics are the same text: to the last bit."""
    problem = ""
    if comm.rank == 0:
        problem = "; ".join(compare(a / ENSEMBLE, b / ENSEMBLE))
        if (a / STATISTICS).read_text() != (b / STATISTICS).read_text():
            problem += " statistics differ"
    assert comm.bcast(problem) == ""


@pytest.mark.parametrize("name", ["stiffened", "chain", "colour", "electrolyte"])
def test_rows_and_statistics_do_not_depend_on_the_ranks(folder, name):
    prepared = prepared_of(name)
    work_theorems.run(prepared, Layout(comm, prepared.deck.run.replicas, 1), folder / "ranks")
    alone(prepared, folder / "one")
    same_on_rank_0(folder / "ranks", folder / "one")
    if comm.rank == 0:
        assert set(ensemble.read_status(folder / "ranks" / ENSEMBLE)[0]) == {"complete"}


def test_a_broken_replica_is_marked_and_the_others_finish(folder):
    """NaN in the start state of replica 137, which goes through the kernel beside seven others, and a PhysicsError for one whole batch."""
    prepared = prepared_of("pulled")
    model, begin = prepared.model, prepared.model.begin

    def poisoned(branch, ids, centre):
        x, v = begin(branch, ids, centre)
        if branch.name == "forward":
            v.reshape(model.table.beads, -1)[4, ids == 137] = np.nan
        return x, v

    def work(group, branch, ids):
        if branch.name == "reverse" and ids[0] == 192:
            raise PhysicsError("replicas 192 to 255 lost their particle at step 3")
        return model.rows(group, branch, ids)
    model.begin = poisoned
    run_with(prepared, Layout(comm, 300, 1), folder / "broken", work=work)
    model.begin = begin
    alone(prepared, folder / "whole")
    if comm.rank == 0:
        broken, whole = ensemble.read(folder / "broken" / ENSEMBLE), ensemble.read(folder / "whole" / ENSEMBLE)
        bad = [k for k, one in enumerate(broken.status) if one == "failed"]
        assert bad == [137, *range(492, 556)] and set(broken.status) == {"complete", "failed"}
        assert broken.causes[137].endswith("is not finite") and "step 3" in broken.causes[500] and broken.causes[138] == ""
        good = np.ones(600, bool)
        good[bad] = False
        for name, rows in whole.arrays.items():
            np.testing.assert_array_equal(broken.arrays[name][good], rows[good])
        statistics = json.loads((folder / "broken" / STATISTICS).read_text())
        assert statistics["forward"]["work"]["count"] == 299 and statistics["reverse"]["work"]["count"] == 236
        np.testing.assert_allclose(statistics["forward"]["work"]["mean"], whole.arrays["work"][:300][good[:300]].mean(axis=0), rtol=1e-12)
        result = work_theorems.analyse(folder / "broken")
        assert result.replicas["failed"] == 65 and any("64 of 600 trajectories broke" in text for text in result.warnings)


def test_a_stopped_launch_is_completed_to_the_last_bit(folder):
    prepared, calls = prepared_of("stiffened"), []

    def stop():
        calls.append(1)
        return comm.rank == comm.size - 1 and len(calls) > 3
    layout = Layout(comm, 1000, 1)
    file = open_file(prepared, layout, folder / "stopped")
    with pytest.raises(StoppedEarly, match="of 2000 replicas done"):
        run_campaign(layout, file, branches(("forward", "reverse"), 1000), 64, prepared.model.rows, statistics_of(prepared), stop)
    if comm.rank == 0:
        status = ensemble.read_status(folder / "stopped" / ENSEMBLE)[0]
        assert 0 < status.count("complete") <= 3 * 64 * comm.size and status.count("missing") > 0
    comm.Barrier()
    work_theorems.run(prepared, Layout(comm, 1000, 1), folder / "stopped")
    alone(prepared, folder / "whole")
    same_on_rank_0(folder / "stopped", folder / "whole")


def test_more_replicas_extend_the_file_with_broken_ones_kept(folder):
    """300 replicas of which one broke, then 1000: only the new ones are computed; rows, causes and statistics are those of one launch of 1000."""
    done = []
    for where, replicas in (("parts", 300), ("parts", 1000), ("whole", 1000)):
        prepared = work_theorems.prepare(work_theorems.Deck.model_validate({"experiment": "work_theorems", **DECKS["stiffened"],
                                                                            "run": {**DECKS["stiffened"]["run"], "replicas": replicas}}))

        def work(group, branch, ids):
            done.append((where, replicas, branch.name, ids))
            rows = prepared.model.rows(group, branch, ids)
            return rows | {"causes": {int(k): "a test broke it" for k in np.flatnonzero(ids == 7)}}
        run_with(prepared, Layout(comm, replicas, 1), folder / where, work=work)
    assert all((ids >= 300).all() for where, replicas, _, ids in done if (where, replicas) == ("parts", 1000))
    same_on_rank_0(folder / "parts", folder / "whole")
    if comm.rank == 0:
        status, causes = ensemble.read_status(folder / "parts" / ENSEMBLE)
        assert [k for k, one in enumerate(status) if one != "complete"] == [7, 1007] and causes[1007] == "a test broke it"
        assert not list((folder / "parts").glob("*.larger"))


@pytest.mark.mpi(min_size=2)
def test_ranks_share_the_space_of_an_electrolyte(folder):
    """The images of a start point, the reflected one too, move ions between ranks; rows are those of one rank to rounding."""
    prepared = prepared_of("electrolyte")
    work_theorems.run(prepared, Layout(comm, 4, comm.size, box=prepared.system.box), folder / "shared")
    alone(prepared, folder / "one")
    if comm.rank == 0:
        one, shared = (ensemble.read(folder / name / ENSEMBLE).arrays for name in ("one", "shared"))
        for name in ("current", "current_integral", "heat"):
            np.testing.assert_allclose(shared[name], one[name], rtol=1e-7, atol=1e-9)


@pytest.mark.mpi(min_size=2)
def test_ranks_that_share_a_replica_agree_on_its_end(folder):
    """Groups of all ranks (or two): a PhysicsError on one rank is voted inside its group, and the replica is marked; rows come from sums over the group."""
    per = 2 if comm.size % 2 == 0 else comm.size
    layout = Layout(comm, 12, per)
    schema = {"value": ((2,), "<f8", "", "test")}
    file = None
    if layout.leader_comm is not None:
        file = EnsembleFile.create(folder / "shared.h5", layout.leader_comm, 12, schema)

    def work(group, branch, ids):
        assert group.size == per
        broken = int(ids[0]) in (3, 7) and group.rank == group.size - 1
        if vote_any(group, broken) and broken:              # the last rank alone knows why
            raise PhysicsError(f"replica {ids[0]}: a particle left the box")
        total = group.allreduce(float(group.rank + 1)) if int(ids[0]) not in (3, 7) else 0.0
        return {"value": np.array([[ids[0], total]], float)}
    failed, merged = run_campaign(layout, file, branches(("only",), 12), 1, work,
                                  {"moments": lambda rows, good: Moments.of(rows["value"], good), "both": lambda rows, good: Covariance.of(rows["value"], good)})
    assert failed == 2
    expected = [k for k in range(12) if k not in (3, 7)]
    assert merged["only"]["moments"].count == 10 and merged["only"]["moments"].mean[0] == pytest.approx(np.mean(expected))
    if file is not None:
        file.close()
    comm.Barrier()
    found = ensemble.read(folder / "shared.h5")
    assert [k for k, one in enumerate(found.status) if one == "failed"] == [3, 7]
    assert found.causes[3] == "replica 3: a particle left the box"
    assert found.arrays["value"][5].tolist() == [5.0, per * (per + 1) / 2] and np.isnan(found.arrays["value"][3]).all()
