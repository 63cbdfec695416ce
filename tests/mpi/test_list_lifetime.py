"""Lists that stay beyond half a skin of motion: forces are those of new lists, and a run that was cut off there goes on as if it had not been."""
import numpy as np
import pytest
from engines import advance, heat_bath, simulation, system_of
from mpi4py import MPI

from hpcnemd.dynamics import simulation as module
from hpcnemd.dynamics.restart import restore, snapshot
from hpcnemd.parallel.domain import gather_sorted
from hpcnemd.parallel.serial import SerialComm

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi


@pytest.fixture(autouse=True)
def also_of_few_particles(monkeypatch):
    monkeypatch.setattr(module, "FEW", 0)


def hot_salt(precision="double"):
    system = system_of("nacl", "nacl_tosi_fumi", (3, 3, 3), coulomb="spme", accuracy=1e-4, cutoff=6.5, skin=0.8, precision=precision)
    sim = simulation(system, 1500.0, 2.0, comm=comm if comm.size > 1 else SerialComm())
    heat_bath(sim, 1500.0)
    return sim


def renewed(sim, most=400):
    """Steps until the lists have been found good for another while."""
    for _ in range(most):
        if sim.room < sim.forces.skin:
            return True
        advance(sim, sim.step + 1)
    return False


def test_renewed_lists_miss_no_pair():
    sim = hot_salt()
    sim.start()
    gained = 0
    for _ in range(6):
        assert renewed(sim)
        while sim.room < sim.forces.skin:               # every step until the lists are made anew
            sim.evaluate(observe=True)
            old, built = sim.shared.potential, sim.rebuilds
            before = gather_sorted(sim.comm, sim.state, ("force",))
            meta, rows = snapshot(sim)
            sim.rebuild()
            sim.evaluate(observe=True)
            after = gather_sorted(sim.comm, sim.state, ("force",))
            assert sim.shared.potential == pytest.approx(old, rel=1e-12)
            if sim.comm.rank == 0:
                assert np.abs(after["force"] - before["force"]).max() < 1e-10 * np.abs(after["force"]).max()
            restore(sim, meta, rows, same_grid=True)
            assert sim.rebuilds == built and sim.room < sim.forces.skin
            advance(sim, sim.step + 1)
            gained += 1
    assert gained > 12


def test_a_run_goes_on_from_renewed_lists_bit_for_bit():
    sim = hot_salt()
    sim.start()
    advance(sim, 5)
    assert renewed(sim)
    meta, rows = snapshot(sim)
    advance(sim, sim.step + 60)
    other = hot_salt()
    restore(other, meta, rows, same_grid=True)
    assert other.room == float(meta["room"]) < other.forces.skin
    advance(other, sim.step)
    n = sim.state.n_owned
    assert other.rebuilds == sim.rebuilds and np.array_equal(other.state.position[:n], sim.state.position[:n]) and np.array_equal(other.state.velocity[:n], sim.state.velocity[:n])
