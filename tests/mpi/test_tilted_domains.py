"""Tilted cells on any number of ranks: every pair once, whatever the tilt and the cuts; forces and runs of one rank."""
import numpy as np
import pytest
from brute_images import KINDS, particles, tilted_cells
from engines import advance, heat_bath, simulation
from mpi4py import MPI
from test_domain import assert_like_brute_force, grids, rows, sorted_rows, uneven
from tilted_salt import rhombohedral

from hpcnemd.app.energy import evaluate
from hpcnemd.core.state import State
from hpcnemd.dynamics.drive import Drive
from hpcnemd.dynamics.restart import restore, snapshot
from hpcnemd.experiments.system import prepare_system
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.parallel.balance import Balance
from hpcnemd.parallel.domain import Domain, gather_sorted, halo, scatter
from hpcnemd.parallel.serial import SerialComm

comm = MPI.COMM_WORLD
pytestmark = [pytest.mark.mpi, pytest.mark.skipif(comm.size == 3, reason="one, two and four ranks")]


def every_pair_is_seen_once(cells):
    for k, (lengths, skew, n, width) in enumerate(cells):
        full = particles(lengths, 3, n, k, False, skew)
        for grid in grids(3):
            domain = Domain(comm, full.box, grid, width, None if k % 2 else uneven(full.box, grid))
            state = scatter(domain, State.empty(full.box, KINDS), rows(full))
            halo(domain, state)
            assert_like_brute_force(domain, state, sorted_rows(full), width)


def test_every_pair_is_seen_once_in_tilted_cells():
    every_pair_is_seen_once(tilted_cells(8))


@pytest.mark.slow
def test_every_pair_is_seen_once_in_many_tilted_cells():
    every_pair_is_seen_once(tilted_cells(80))


@pytest.mark.parametrize("method", ["spme", "ewald"])
def test_forces_are_those_of_one_rank(method):
    """On every grid: forces to 1e-9 of max(largest force, 1 eV/angstrom), energy and virial likewise."""
    structure, _ = rhombohedral(3)
    system = prepare_system(structure, load_forcefield("nacl_tosi_fumi"), method, 1e-5, 7.0)
    potential, wanted = evaluate(SerialComm(), system)
    scale = max(1.0, np.abs(wanted).max())
    for grid in grids(3):
        sim = simulation(system, 900.0, 1.0, comm=comm, grid=grid)
        sim.forces.mesh.remove_net_force = False
        sim.rebuild()
        sim.evaluate(observe=True)
        found = gather_sorted(comm, sim.state, ("force",))
        assert sim.shared.potential == pytest.approx(potential.potential, rel=1e-10)
        assert np.abs(sim.shared.virial - potential.virial).max() < 1e-9 * np.abs(potential.virial).max()
        if comm.rank == 0:
            assert np.abs(found["force"] - wanted).max() < 1e-9 * scale


def test_a_driven_run_is_that_of_one_rank_and_restarts_bit_for_bit():
    """Under a current, through several lists, with cuts that move: places as on one rank to 1e-9 angstrom; from a snapshot the same bits."""
    structure, _ = rhombohedral(3)
    system = prepare_system(structure, load_forcefield("nacl_tosi_fumi"), "spme", 1e-5, 7.0, skin=0.3)

    def begun(over):
        sim = simulation(system, 900.0, 2.0, comm=over)
        sim.balance = Balance(order=system.coulomb.order)
        sim.colour.axis[:] = (0.0, 0.0, 1.0)
        heat_bath(sim, 900.0, drive=Drive("constant_current", 0.03))
        return sim
    mine, alone = begun(comm), begun(SerialComm())
    for sim in (mine, alone):
        sim.start()
        advance(sim, 20)
    saved = snapshot(mine)
    for sim in (mine, alone):
        advance(sim, 40)
    assert mine.rebuilds > 2
    parts = [gather_sorted(sim.comm, sim.state, ("unwrapped",)) for sim in (mine, alone)]
    if comm.rank == 0:
        assert np.abs(parts[0]["unwrapped"] - parts[1]["unwrapped"]).max() < 1e-9
    again = begun(comm)
    restore(again, *saved, same_grid=True)
    advance(again, 40)
    for name in ("id", "position", "velocity", "force", "image"):
        assert np.array_equal(getattr(again.state, name)[:again.state.n_owned], getattr(mine.state, name)[:mine.state.n_owned]), name
