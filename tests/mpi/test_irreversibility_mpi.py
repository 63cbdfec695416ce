"""The experiments on irreversibility give the same rows on any number of ranks, side by side or sharing a case."""
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from hpcnemd.core.errors import InputError, StoppedEarly
from hpcnemd.dynamics.tangent import SoftParticles, orthonormalise, share
from hpcnemd.experiments import coarse_graining, loschmidt, orbital_instability
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import ensemble
from hpcnemd.storage.compare import compare

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi

DECKS = {
    "loschmidt": (loschmidt, {"gas": {"particles": [100]}, "reversal": {"arithmetic": ["int64"], "times": [0.2], "bath": True, "bath_time": 0.1, "samples": 4}}),
    "coarse_graining": (coarse_graining, {"cloud": {"systems": ["cat_whole", "baker"], "cells": 64, "points": 5001, "steps": 4, "turn": 2}}),
}
RESUMED = DECKS | {"orbital_instability": (orbital_instability, {"maps": {"systems": ["cat", "lorenz"], "steps": 1000}, "hard_discs": {
    "particles": 9, "time": 2.0, "equilibrate": 1.0, "exponents": 2}, "blocks": 2})}


def rows(module, tables, name, world, folder, per_replica=None, replicas=2):
    deck = module.Deck.model_validate({"experiment": name, **tables, "run": {"replicas": replicas}})
    module.run(module.prepare(deck), Layout(world, replicas, per_replica), folder)
    return ensemble.read(folder / "ensemble.h5").arrays if world.rank == 0 else None


@pytest.mark.parametrize("name", DECKS)
def test_rows_are_those_of_one_rank(name, tmp_path_factory):
    """All ranks on one case: exact whole-number statistics, so equal bit for bit."""
    folder = comm.bcast(str(tmp_path_factory.mktemp(name)) if comm.rank == 0 else None)
    module, tables = DECKS[name]
    mine = rows(module, tables, name, comm, Path(folder, "many"), per_replica=comm.size)
    if comm.rank == 0:
        alone = rows(module, tables, name, SerialComm(), Path(folder, "one"))
        for key, array in alone.items():
            np.testing.assert_array_equal(mine[key], array, err_msg=key)
        assert module.analyse(Path(folder, "many")).numbers


@pytest.mark.parametrize("name", RESUMED)
def test_a_stopped_run_is_completed_and_then_extended(name, tmp_path_factory):
    """SIGTERM on one rank after the first row; the next start computes the missing rows, one with more replicas only the new ones, and the file is that of
    one launch, bit for bit. Fewer replicas are refused."""
    folder = Path(comm.bcast(str(tmp_path_factory.mktemp(name)) if comm.rank == 0 else None))
    module, tables = RESUMED[name]

    def launch(replicas, where="parts", interrupt=False):
        """Rows that were computed."""
        prepared, computed = module.prepare(module.Deck.model_validate({"experiment": name, **tables, "run": {"replicas": replicas}})), []

        def work(group, branch, ids):
            computed.append((branch.number, int(ids[0])))
            if interrupt and comm.rank == comm.size - 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return prepared.model.rows(group, branch, ids)
        module.run(prepared, Layout(comm, replicas, comm.size), folder / where, work=work)
        return computed
    with pytest.raises(StoppedEarly, match="start the same command again"):
        launch(2, interrupt=True)
    comm.Barrier()                          # the first rank of the group writes
    status = np.array(ensemble.read_status(folder / "parts" / "ensemble.h5")[0])
    assert (status == "complete").sum() == 1 and status[0] == "complete" and set(status) == {"complete", "missing"}
    branches = len(status) // 2
    comm.Barrier()
    assert sorted(launch(2)) == [(k, replica) for k in range(branches) for replica in range(2)][1:]
    assert sorted(launch(3)) == [(k, 2) for k in range(branches)]
    with pytest.raises(InputError, match="write at least 3"):
        launch(1)
    launch(3, "whole")
    assert comm.bcast(compare(folder / "parts" / "ensemble.h5", folder / "whole" / "ensemble.h5") if comm.rank == 0 else None) == []


def test_orthonormalising_over_ranks_is_one_qr():
    whole = np.random.default_rng(8).normal(size=(12, 9))
    first, last = share(9, comm)
    mine = whole[:, first:last].copy()
    logs = orthonormalise(comm, mine)
    frame, corner = np.linalg.qr(whole)
    frame = frame * np.sign(np.diag(corner))
    np.testing.assert_allclose(logs, np.log(np.abs(np.diag(corner))), atol=1e-12)
    np.testing.assert_allclose(mine, frame[:, first:last], atol=1e-12)


def test_shared_tangent_vectors_give_the_spectrum_of_one_rank():
    found = []
    for world in (comm, SerialComm()):
        system, total = SoftParticles(world, 8, 2, 0.4, 1.0, equilibrate=2.0), 0.0
        for _ in range(20):
            total = total + system.grow(0.1)[1]
        found.append(total)
    np.testing.assert_allclose(found[0], found[1], atol=1e-8)
    assert found[0][0] > 1.0


def test_a_short_spectrum_runs_through_the_experiment(tmp_path_factory):
    """Fewer vectors than ranks, replicas on groups of ranks."""
    folder = Path(comm.bcast(str(tmp_path_factory.mktemp("spectrum")) if comm.rank == 0 else None))
    table = {"hard_discs": {"particles": 9, "time": 4.0, "equilibrate": 1.0, "exponents": 1}, "blocks": 2}
    mine = rows(orbital_instability, table, "orbital_instability", comm, folder, per_replica=comm.size)
    if comm.rank == 0:
        assert (mine["growth"][:, :, 0] > 0).all()
