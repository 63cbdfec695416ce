"""Tilted cells on any number of ranks: every pair once, whatever the tilt and the cuts."""
import pytest
from brute_images import KINDS, particles, tilted_cells
from mpi4py import MPI
from test_domain import assert_like_brute_force, grids, rows, sorted_rows, uneven

from hpcnemd.core.state import State
from hpcnemd.parallel.domain import Domain, halo, scatter

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi


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
