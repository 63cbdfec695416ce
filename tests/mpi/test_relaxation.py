"""Relaxation on every rank count: a disturbed crystal goes back to its energy, and a broken one is named."""
import numpy as np
import pytest
from engines import simulation, system_of
from mpi4py import MPI

from hpcnemd.core.errors import PhysicsError
from hpcnemd.dynamics.relaxation import relax

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi


def test_a_disturbed_crystal_goes_back():
    """Rock salt of 512 ions with normal displacements of 0.15 angstrom: the energy of the perfect crystal to 1e-5 eV per ion, and no motion left."""
    from dataclasses import replace
    system = system_of("nacl", "nacl_tosi_fumi", (4, 4, 4), cutoff=8.0, accuracy=1e-6)
    perfect = simulation(system, 0.0, 1.0, comm=comm)
    perfect.start()
    rough = replace(system, position=system.position + 0.15 * np.random.default_rng(4).standard_normal(system.position.shape))
    sim = simulation(rough, 300.0, 1.0, comm=comm)
    steps, force = relax(sim, 300, 2e-3)
    sim.start()
    assert 10 < steps < 300 and force <= 2e-3
    assert sim.shared.potential == pytest.approx(perfect.shared.potential, abs=512 * 1e-5)
    assert sim.kinetic == 0.0


def test_few_steps_leave_the_rest_of_the_force():
    from dataclasses import replace
    system = system_of("nacl", "nacl_tosi_fumi", (3, 3, 3), cutoff=8.0)
    rough = replace(system, position=system.position + 0.3 * np.random.default_rng(4).standard_normal(system.position.shape))
    first, last = (relax(simulation(rough, 0.0, 1.0, comm=comm), steps, 1e-3) for steps in (0, 12))
    assert first[0] == 0 and last[0] == 12 and 1e-3 < last[1] < first[1]


def test_positions_that_are_not_numbers_end_it():
    system = system_of("nacl", "nacl_tosi_fumi", (3, 3, 3), cutoff=8.0)
    sim = simulation(system, 0.0, 1.0, comm=comm)
    sim.forces.compute = lambda state, observe, *more: state.force.fill(np.nan)
    with pytest.raises(PhysicsError, match="not finite"):
        relax(sim, 5, 1e-3)
