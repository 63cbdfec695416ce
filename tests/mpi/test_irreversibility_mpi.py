"""The experiments on irreversibility give the same rows on any number of ranks, side by side or sharing a case."""
import numpy as np
import pytest
from mpi4py import MPI

from hpcnemd.dynamics.tangent import SoftParticles, orthonormalise, share
from hpcnemd.experiments import coarse_graining, loschmidt, orbital_instability
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import ensemble

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi

DECKS = {
    "loschmidt": (loschmidt, {"gas": {"particles": [100]}, "reversal": {"arithmetic": ["int64"], "times": [0.2], "bath": True, "bath_time": 0.1, "samples": 4}}),
    "coarse_graining": (coarse_graining, {"cloud": {"systems": ["cat_whole", "baker"], "cells": 64, "points": 5001, "steps": 4, "turn": 2}}),
}


def rows(module, tables, name, world, folder, per_replica=None, replicas=2):
    deck = module.Deck.model_validate({"experiment": name, **tables, "run": {"replicas": replicas}})
    module.run(module.prepare(deck), Layout(world, replicas, per_replica), folder)
    return ensemble.read(folder / "ensemble.h5").arrays if world.rank == 0 else None


@pytest.mark.parametrize("name", DECKS)
def test_rows_are_those_of_one_rank(name, tmp_path_factory):
    """All ranks on one case: exact whole-number statistics, so equal bit for bit."""
    folder = comm.bcast(str(tmp_path_factory.mktemp(name)) if comm.rank == 0 else None)
    module, tables = DECKS[name]
    from pathlib import Path
    mine = rows(module, tables, name, comm, Path(folder, "many"), per_replica=comm.size)
    if comm.rank == 0:
        alone = rows(module, tables, name, SerialComm(), Path(folder, "one"))
        for key, array in alone.items():
            np.testing.assert_array_equal(mine[key], array, err_msg=key)
        assert module.analyse(Path(folder, "many")).numbers


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
    from pathlib import Path
    folder = Path(comm.bcast(str(tmp_path_factory.mktemp("spectrum")) if comm.rank == 0 else None))
    table = {"hard_discs": {"particles": 9, "time": 4.0, "equilibrate": 1.0, "exponents": 1}, "blocks": 2}
    mine = rows(orbital_instability, table, "orbital_instability", comm, folder, per_replica=comm.size)
    if comm.rank == 0:
        assert (mine["growth"][:, :, 0] > 0).all()
