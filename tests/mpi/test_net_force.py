"""The net force of a coarse mesh comes with the reduction of the step: what is taken off afterwards is what would have been taken off before the half kick."""
import numpy as np
import pytest
from engines import advance, heat_bath, simulation, system_of
from mpi4py import MPI

from hpcnemd.parallel.domain import gather_sorted
from hpcnemd.parallel.serial import SerialComm

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi


def moved(settled):
    """(positions, velocities, forces, kinetic energies by species, net force) after 12 steps; `settled`: each evaluation takes the net force off itself."""
    system = system_of("nacl", "nacl_tosi_fumi", (3, 3, 3), coulomb="spme", accuracy=1e-2, cutoff=6.0, skin=1.0)
    sim = simulation(system, 900.0, 1.0, comm=comm if comm.size > 1 else SerialComm())
    heat_bath(sim, 900.0, "nose_hoover")
    sim.start()
    if settled:
        sim.unsettled = None
    advance(sim, 12)
    rows = gather_sorted(sim.comm, sim.state, ["position", "velocity", "force"])
    rows = comm.bcast({name: rows[name] for name in ("position", "velocity", "force")} if comm.rank == 0 else None)
    mesh = sim.forces.mesh
    return rows["position"], rows["velocity"], rows["force"], sim.shared.kinetic.copy(), np.abs(np.sum(comm.allgather(mesh._net[:3]), axis=0)).max()


def test_the_net_force_is_taken_off_with_the_reduction_as_it_would_be_before():
    """To rounding: the net force itself is millions of times larger than what may differ."""
    one, other = moved(False), moved(True)
    for a, b in zip(one[:4], other[:4]):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * max(1.0, np.abs(b).max()))
    assert one[4] > 1e-4
    np.testing.assert_allclose(one[2].sum(0), 0.0, atol=1e-9)
