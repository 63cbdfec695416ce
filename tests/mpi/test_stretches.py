"""Steps made several in one call on several ranks: every bit is that of steps made one by one, and that of messages through MPI."""
import numpy as np
import pytest
from engines import advance, heat_bath, simulation, system_of
from mpi4py import MPI

from hpcnemd.dynamics import simulation as module
from hpcnemd.dynamics import sweeps
from hpcnemd.dynamics.drive import Drive
from hpcnemd.dynamics.observers import Observer, Series
from hpcnemd.dynamics.stretch import Stretch
from hpcnemd.parallel import launch, mesh
from hpcnemd.parallel.serial import SerialComm

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi


def begun(system, drive="none", threads=1):
    """Hot enough for lists to be renewed and made anew, and ions to change ranks."""
    sim = simulation(system, 1500.0, 2.0, threads=threads, comm=comm.Dup() if comm.size > 1 else SerialComm())
    heat_bath(sim, 1500.0, "nose_hoover", {"none": Drive(), "current": Drive("constant_current", 0.02)}[drive])
    sim.start()
    return sim


def numbers_of(sim):
    n, state, shared = sim.state.n_owned, sim.state, sim.shared
    return [getattr(state, name)[:n].copy() for name in ("id", "position", "velocity", "force", "image")] + [
        shared.kinetic.copy(), shared.stream.copy(), shared.numbers.copy(), np.array([shared.potential, sim.step, sim.rebuilds, sim.room])]


@pytest.mark.parametrize("coulomb, precision, small, drive", [("spme", "double", 0, "current"), ("spme", "mixed", 10**9, "none"), ("spme", "mixed", 0, "none"), ("dsf", "double", 0, "none")])
def test_the_same_bits_as_one_by_one_and_through_mpi(coulomb, precision, small, drive, monkeypatch):
    monkeypatch.setattr(module, "FEW", 0)                           # lists are renewed although there are few ions
    monkeypatch.setattr(mesh, "SMALL", small)
    accuracy = {"accuracy": 1e-4} if coulomb == "spme" else {}
    system = system_of("nacl", "nacl_tosi_fumi", (3, 3, 3), coulomb=coulomb, cutoff=6.5, skin=0.8, precision=precision, **accuracy)
    found = []
    for how in ("stretches", "one by one", "MPI", "two nodes"):
        monkeypatch.setenv("HPCNEMD_SHARED_MEMORY", str(int(how != "MPI")))
        if how == "two nodes":                                      # of two ranks each, or of two and one: some messages go through memory, some through MPI
            monkeypatch.setattr(launch, "node_of", lambda comm: comm.Split(comm.rank // 2))
        sim, series = begun(system, drive), Series(10, 7, 15, 2)
        if how == "one by one":
            sim.hurrying = False
        advance(sim, 120, (series,))
        assert isinstance(sim.hurrying, Stretch) == (how == "stretches" or how == "MPI" and comm.size == 1 or how == "two nodes" and comm.size < 3)
        assert sim.rebuilds > 2
        found.append((*numbers_of(sim), *(value for value in series.data.values() if isinstance(value, np.ndarray))))
    for other in found[1:]:
        assert all(np.array_equal(mine, theirs, equal_nan=True) for mine, theirs in zip(found[0], other))


@pytest.mark.skipif(comm.size > 2, reason="more threads than these machines have cores")
@pytest.mark.parametrize("small", [0, 10**9])
def test_ranks_of_two_threads(small, monkeypatch):
    """The forces of one thread but for rounding, whether the mesh is cut or whole, and steps in one call with the bits of steps made one by one, with sweeps that threads share or do not."""
    monkeypatch.setattr(mesh, "SMALL", small)
    monkeypatch.setattr(sweeps, "LEAST", 50 if small else 10**6)
    system = system_of("nacl", "nacl_tosi_fumi", (3, 3, 3), coulomb="spme", accuracy=1e-4, cutoff=6.5, skin=0.8)
    found = []
    for threads, one_by_one in ((1, False), (2, False), (2, True)):
        sim = begun(system, "current", threads)
        if one_by_one:
            sim.hurrying = False
        advance(sim, 40)
        assert isinstance(sim.hurrying, Stretch) != one_by_one and (sim.sweeps is not None) == (threads > 1 and small > 0)
        found.append(numbers_of(sim))
    alone, shared, slow = found
    assert np.array_equal(alone[0], shared[0]) and np.abs(alone[3]).max() > 1.0 and np.abs(shared[3] - alone[3]).max() < 1e-7      # rounding has grown for 40 steps
    assert all(np.array_equal(mine, theirs, equal_nan=True) for mine, theirs in zip(shared, slow))


def test_ranks_stop_together_and_look_together():
    """One rank asks for a stop, another has an observer that the others have not: all make the same steps."""
    system = system_of("nacl", "nacl_tosi_fumi", (3, 3, 3), coulomb="dsf", cutoff=6.5, skin=0.8)
    sim, seen = begun(system), []

    class Look(Observer):
        def observe(self, sim):
            seen.append(sim.step)
    watchers = (Look(5),) if comm.rank == comm.size - 1 else ()
    assert advance(sim, 500, watchers, stop=lambda: comm.rank == 0 and sim.step >= 40)
    assert len(set(comm.allgather(sim.step))) == 1 and 40 < sim.step <= 58
    assert not watchers or seen == list(range(5, sim.step + 1, 5))
