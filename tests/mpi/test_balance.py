"""Cuts that follow the counted work: an off-centre slab of salt is shared out fairly, with the same forces, and a run goes on over a checkpoint with its cuts."""
import time

import numpy as np
import pytest
from engines import Record, advance, heat_bath, simulation
from mpi4py import MPI

from hpcnemd.core.box import Box
from hpcnemd.dynamics.restart import restore, snapshot
from hpcnemd.experiments.structures import Structure, load_structure
from hpcnemd.experiments.system import prepare_system
from hpcnemd.experiments.tables import StructureTable
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.parallel.balance import ENTRY, EVERY, Balance, fair_cuts
from hpcnemd.parallel.domain import gather_sorted
from hpcnemd.parallel.serial import SerialComm

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi
GRID = (comm.size, 1, 1)


def slab():
    """256 ions of rock salt that fill x = 10 ... 32 of 60 angstrom."""
    salt = load_structure(StructureTable(build="nacl", supercell=(4, 2, 4)))
    noise = np.random.default_rng(5).normal(scale=0.15, size=salt.positions.shape)
    long = Structure(Box(np.array([60.0, *salt.box.lengths[1:]])), salt.names, salt.positions + noise + [10.0, 0.0, 0.0])
    return prepare_system(long, load_forcefield("nacl_tosi_fumi"), coulomb="spme", accuracy=1e-3, cutoff=6.0, skin=0.6)


def started(system, kind, communicator=comm, grid=GRID):
    sim = simulation(system, 600.0, 1.0, comm=communicator, grid=grid)
    sim.balance = Balance(kind, system.coulomb.order) if kind else None
    heat_bath(sim, 600.0)
    sim.start()
    return sim


def imbalance(sim):
    """Largest over mean counted work of the ranks, for the cuts as they are."""
    histogram = np.zeros((3, 8), np.int64)
    work = comm.allgather(sim.forces.pair.add_work(sim.state, ENTRY, Balance("cost", 8).particle, 8 / sim.state.box.lengths, histogram))
    assert np.all(histogram.sum(axis=1) == work[comm.rank])
    return max(work) / np.mean(work)


def test_an_off_centre_slab_is_shared_out_fairly_with_the_same_forces():
    system = slab()
    alone = gather_sorted(SerialComm(), started(system, None, SerialComm(), (1, 1, 1)).state, ["force"])["force"]
    for kind in ("none", "cost"):
        sim = started(system, kind)
        if comm.size == 2 and kind == "none":
            assert imbalance(sim) > 1.6
        if kind == "cost":
            assert imbalance(sim) < 1.15 or comm.size > 3           # of 8 planes of ions
        whole = gather_sorted(comm, sim.state, ["force"])
        if comm.rank == 0:
            np.testing.assert_allclose(whole["force"], alone, rtol=0, atol=1e-9)


@pytest.mark.skipif(comm.size == 1, reason="one rank has nothing to share")
def test_a_run_whose_cuts_move_repeats_and_goes_on_bit_for_bit():
    """Lists are made anew in every step, so that the balance is looked at again before and after the checkpoint."""
    system, ends = slab(), []
    for stop in (None, EVERY + 3):
        sim = started(system, "cost")
        sim.forces.skin = 1e-9                                      # every motion is too far
        if stop:
            advance(sim, stop)
            meta, rows = snapshot(sim)
            sim = simulation(system, 600.0, 1.0, comm=comm, grid=GRID)
            sim.balance = Balance("cost", system.coulomb.order)
            heat_bath(sim, 600.0)
            restore(sim, meta, rows, same_grid=True)
            sim.forces.skin = 1e-9
        record = Record(10)
        advance(sim, 2 * EVERY + 6, [record])
        ends.append((sim.state.id[:sim.state.n_owned].copy(), sim.state.position[:sim.state.n_owned].copy(), sim.rebuilds, np.concatenate(sim.domain.fractions), record.rows[-1]))
    assert not np.allclose(ends[0][3][:comm.size + 1], np.linspace(0, 1, comm.size + 1))
    for one, other in zip(*ends):
        np.testing.assert_array_equal(one, other)


def test_an_even_crystal_keeps_its_cuts():
    system = prepare_system(load_structure(StructureTable(build="nacl", supercell=(4, 2, 2))), load_forcefield("nacl_tosi_fumi"), coulomb="spme",
                            accuracy=1e-3, cutoff=5.0, skin=0.5)
    sim = started(system, "cost")
    assert comm.size == 3 or np.array_equal(sim.domain.cuts[0], np.linspace(0.0, system.box.lengths[0], comm.size + 1))


def test_fair_cuts_part_the_work_evenly():
    work = np.zeros((3, 512), np.int64)
    work[0, 64:128] = 10**6
    work[1:] = 125000
    x, y, z = fair_cuts(work, (4, 1, 2))
    np.testing.assert_allclose(x, [0.0, 5 / 32, 6 / 32, 7 / 32, 1.0], atol=1e-5)
    np.testing.assert_allclose(y, [0.0, 1.0])
    np.testing.assert_allclose(z, [0.0, 0.5, 1.0], atol=1e-12)
    work[0] = 0
    work[0, 500] = 10**6                                            # all in one place: bricks keep a width
    assert np.all(np.diff(fair_cuts(work, (4, 1, 2))[0]) > 0.001)


@pytest.mark.skipif(comm.size == 1, reason="one rank has nothing to share")
def test_cuts_follow_the_pace_that_ranks_are_told_to_have():
    """A rank that takes twice as long for its work as the others gets less of it, and gives it back when it no longer does; forces stay those of one rank."""
    system = slab()
    alone = gather_sorted(SerialComm(), started(system, None, SerialComm(), (1, 1, 1)).state, ["force"])["force"]
    sim = started(system, "time")
    for slow, looks in ((2.0, 6), (1.0, 6)):
        for _ in range(looks):
            counted = sim.forces.pair.add_work(sim.state, ENTRY, sim.balance.particle, 8 / sim.state.box.lengths, np.zeros((3, 8), np.int64))
            sim.balance.nanoseconds, sim.balance.steps = int(10 * counted * (slow if comm.rank == 0 else 1.0)), 3
            if sim.balance.adjust(sim.domain, sim.forces.pair, sim.state, sim.rebuilds):
                sim.forces.place()
            sim.rebuild()
        counted = comm.allgather(sim.forces.pair.add_work(sim.state, ENTRY, sim.balance.particle, 8 / sim.state.box.lengths, np.zeros((3, 8), np.int64)))
        if comm.size == 2:                  # planes of ions go from one rank to the other as a whole
            assert counted[0] / counted[1] == pytest.approx(1.0 / slow, rel=0.25)
        assert slow == 1.0 or counted[0] < min(counted[1:])
    sim.evaluate(observe=True)
    whole = gather_sorted(comm, sim.state, ["force"])
    if comm.rank == 0:
        np.testing.assert_allclose(whole["force"], alone, rtol=0, atol=1e-9)


@pytest.mark.skipif(comm.size == 1, reason="one rank has nothing to share")
def test_what_does_not_last_is_not_followed():
    """Paces that change their sign from one look to the next are followed less and less, those that stay all the way."""
    for sign, least, most in ((-1.0, 0.0, 0.3), (1.0, 0.9, 1.0)):
        balance, found = Balance("time"), []
        for look in range(1, 40):
            late = 1.2 if (comm.rank == 0) == (sign**look > 0) else 1.0
            balance.note(int(1e8 * late), 10)
            found.append(np.log(balance._pace(comm, 10**9, 4 * look)))
            assert balance.steps == 0 and 4 * look < balance._due <= 4 * look + EVERY
        whole = np.log(late / np.mean(comm.allgather(late)))
        assert least - 1e-9 <= found[-1] / whole <= most + 1e-9
    balance.note(0, 0)                                              # no steps: nothing is known
    assert balance._pace(comm, 10**9, 200) == 1.0 and balance._due == 201


@pytest.mark.skipif(comm.size == 1, reason="one rank waits for nobody")
@pytest.mark.parametrize("memory", ["1", "0"])
def test_the_clock_of_work_stands_still_while_a_rank_waits(memory, monkeypatch):
    monkeypatch.setenv("HPCNEMD_SHARED_MEMORY", memory)
    sim = started(slab(), "time", comm.Dup())
    start = sim.worked()
    advance(sim, 1)
    assert sim.balance.steps >= 1 and 0 < sim.balance.nanoseconds <= sim.worked() - start
    comm.Barrier()
    whole, worked = time.perf_counter_ns(), sim.worked()
    if comm.rank == 0:
        time.sleep(0.2)
    sim.vote.send()
    sim.vote.receive()
    whole, worked = time.perf_counter_ns() - whole, sim.worked() - worked
    assert whole > 1.9e8 and (worked < 0.5 * whole) == (comm.rank != 0)
