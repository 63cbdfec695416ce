"""Grids and layouts: arithmetic without MPI."""
import itertools

import numpy as np
import pytest

from hpcnemd.core.errors import InputError
from hpcnemd.parallel.layout import Layout, check_layout, choose_grid, choose_ranks_per_replica
from hpcnemd.parallel.serial import SerialComm


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4, 6, 7, 8, 12, 24])
@pytest.mark.parametrize("lengths, dimensions", [([1, 1, 1], 3), ([1, 5, 2], 3), ([30, 30, 3], 3), ([2, 3, 1], 2), ([5, 1, 1], 1)])
def test_the_grid_has_the_smallest_surface(n_ranks, lengths, dimensions):
    def surface(grid):
        edge = [length / count for length, count in zip(lengths[:dimensions], grid)]
        return sum(np.prod([e for other, e in enumerate(edge) if other != axis]) for axis in range(dimensions))

    grid = choose_grid(n_ranks, lengths, dimensions)
    assert np.prod(grid) == n_ranks and all(count == 1 for count in grid[dimensions:])
    others = [g for g in itertools.product(range(1, n_ranks + 1), repeat=3) if np.prod(g) == n_ranks and all(c == 1 for c in g[dimensions:])]
    assert surface(grid) <= min(surface(other) for other in others) * (1 + 1e-8)


@pytest.mark.parametrize("n_ranks, grid", [(1, (1, 1, 1)), (2, (2, 1, 1)), (3, (3, 1, 1)), (4, (2, 2, 1)), (6, (3, 2, 1)), (8, (2, 2, 2))])
def test_a_cube_is_cut_along_x_first(n_ranks, grid):
    for edge in (13.17, 13.17 * (1 + 1e-15), 1 / 3):                # the last bits do not decide
        assert choose_grid(n_ranks, [edge, 13.17 if edge > 13 else edge, edge]) == grid


@pytest.mark.parametrize("n_ranks, replicas, ranks", [(1, 4, 1), (4, 4, 1), (4, 2, 2), (4, 1, 4), (6, 4, 2), (7, 3, 7), (8, 100, 1)])
def test_ranks_go_to_replicas_first(n_ranks, replicas, ranks):
    assert choose_ranks_per_replica(n_ranks, replicas) == ranks
    assert check_layout(n_ranks, replicas, ranks) == []


@pytest.mark.parametrize("arguments, words", [
    ((4, 4, 3), ["ranks_per_replica = 3", "[1, 2, 4]"]),
    ((4, 2, 1), ["4 groups for 2 replicas", "ranks_per_replica = 2"]),
    ((4, 1, 4, (2, 1, 1)), ["grid = [2, 1, 1] has 2 domains", "4 ranks"]),
    ((4, 1, 4, (0, 2, 2)), ["whole numbers"]),
    ((4, 1, 4, (1, 2, 2), 2), ["2 dimensions"]),
    ((4, 0, 4), ["replicas = 0"]),
])
def test_problems_say_what_to_set(arguments, words):
    problems = check_layout(*arguments)
    assert len(problems) == 1 and all(word in problems[0] for word in words)


def test_one_rank_runs_all_replicas_itself():
    layout = Layout(SerialComm(), 3)
    assert (layout.replicas, layout.grid, layout.n_groups, layout.group) == ([0, 1, 2], (1, 1, 1), 1, 0)
    assert layout.domain_comm.size == layout.leader_comm.size == 1
    with pytest.raises(InputError, match="2 domains"):
        Layout(SerialComm(), 3, 1, grid=(2, 1, 1))


def test_the_communicator_of_one_rank_copies_buffers():
    comm, send, receive = SerialComm(), np.arange(6.0), np.zeros((1, 2, 3))
    for call in (comm.Allgather, comm.Gather, comm.Allreduce, comm.Alltoall):
        receive[:] = 0.0
        call(send, receive)
        np.testing.assert_array_equal(receive.ravel(), send)
    assert comm.allgather("a") == ["a"] and comm.bcast(3) == 3 and comm.alltoall([5]) == [5] and comm.scatter([7]) == 7
    assert comm.Split(3, 1).size == comm.Dup().size == 1
