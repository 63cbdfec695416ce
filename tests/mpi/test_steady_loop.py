"""Steps between two list builds: no arrays of the size of the particles are made (the pair kernel takes 16 kB of fixed size), no message is set up anew, and lists are gone
through as far as the motion of the particles asks for."""
import tracemalloc

import numpy as np
import pytest
from engines import advance, heat_bath, simulation, system_of
from mpi4py import MPI

from hpcnemd.parallel import mesh
from hpcnemd.parallel.serial import SerialComm

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi
LIMIT = 20000           # bytes; one number for each particle is 21952 on one rank


class Watched:
    """A communicator that counts the calls of each name."""

    def __init__(self, comm):
        self._comm, self.calls = comm, {}

    def __getattr__(self, name):
        if not name[0].isupper():
            return getattr(self._comm, name)
        self.calls[name] = self.calls.get(name, 0) + 1
        return getattr(self._comm, name)


@pytest.mark.parametrize("thermostat, small, through", [("nose_hoover", 0, "memory"), ("langevin", 0, "MPI"), ("nose_hoover", 10**9, "MPI"), ("langevin", 10**9, "memory")])
def test_a_step_allocates_no_particle_array_and_sets_up_no_message(thermostat, small, through, monkeypatch):
    monkeypatch.setattr(mesh, "SMALL", small)                       # meshes cut between the ranks, or whole on each
    monkeypatch.setenv("HPCNEMD_SHARED_MEMORY", str(int(through == "memory")))
    system = system_of("nacl", "nacl_tosi_fumi", (7, 7, 7), coulomb="spme", accuracy=1e-3, cutoff=6.0, skin=2.0)
    watched = Watched(comm.Dup()) if comm.size > 1 else SerialComm()        # another communicator, so that it has no channels yet
    sim = simulation(system, 300.0, 0.5, comm=watched)
    heat_bath(sim, 300.0, thermostat)
    sim.start()
    advance(sim, 3)
    rebuilds = sim.rebuilds
    if comm.size > 1:
        watched.calls.clear()
    tracemalloc.start()
    try:
        advance(sim, 4)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        advance(sim, 10)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sim.rebuilds == rebuilds
    assert peak - before < LIMIT
    asked = set(watched.calls) - {"Get_attr", "Iprobe"} if comm.size > 1 else set()      # MPI, for the communicator's channels and while a message is waited for
    sums = {"Allgather"} if thermostat == "langevin" else set()                         # of a bath's heat
    assert asked == (set() if comm.size == 1 else sums if through == "memory" else {"Iallgather"} | sums)


def test_forces_are_told_how_much_of_the_skin_is_spent():
    """Never less than twice the largest displacement on any rank; with it the inner parts of the lists do for the first steps after a build and no longer."""
    system = system_of("nacl", "nacl_tosi_fumi", (4, 4, 4), coulomb="spme", accuracy=1e-3, cutoff=6.0, skin=0.8)
    sim = simulation(system, 900.0, 2.0, comm=comm if comm.size > 1 else SerialComm())
    heat_bath(sim, 900.0, "nose_hoover")
    sim.start()
    sim.hurrying = False                                            # one by one, also on one rank
    compute, told = sim.forces.pair.compute, []

    def watched(state, observe, spent=None, part=(0, 1)):
        n = state.n_owned
        result = compute(state, observe, spent, part)
        if part[0]:
            return result
        told.append((spent, 2.0 * np.sqrt(np.square(state.position[:n] - sim.reference).sum(axis=1).max(initial=0.0)), sim.forces.pair._reach is sim.forces.pair._inner_end))
        return result
    sim.forces.pair.compute = watched
    advance(sim, 60)
    most = np.array([comm.allreduce(moved, op=MPI.MAX) for _, moved, _ in told])
    spent, inner = np.array([spent for spent, *_ in told]), np.array([flag for *_, flag in told])
    assert sim.rebuilds > 1 and np.all(spent >= most * (1 - 1e-12)) and np.all(spent < sim.forces.skin)
    assert np.array_equal(inner, spent <= 0.5 * sim.forces.skin) and 0 < inner.sum() < len(inner)
