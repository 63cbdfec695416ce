"""The split of the world into groups of ranks, on the ranks that there are."""
import pytest
from mpi4py import MPI

from hpcnemd.core.box import Box
from hpcnemd.core.errors import InputError
from hpcnemd.parallel.layout import Layout, choose_grid

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("replicas", [8, 11])
def test_every_replica_is_run_by_one_group(replicas):
    for per_replica in [d for d in range(1, comm.size + 1) if comm.size % d == 0]:
        layout = Layout(comm, replicas, per_replica, box=Box([10.0, 20.0, 10.0]))
        assert layout.domain_comm.size == per_replica and layout.n_groups * per_replica == comm.size
        assert layout.group == comm.rank // per_replica and layout.domain_comm.rank == comm.rank % per_replica
        assert layout.grid == choose_grid(per_replica, [10.0, 20.0, 10.0])
        assert (layout.leader_comm is None) == (layout.domain_comm.rank > 0)
        if layout.leader_comm is not None:
            assert layout.leader_comm.size == layout.n_groups and layout.leader_comm.rank == layout.group
            every = layout.leader_comm.allgather(layout.replicas)
            assert sorted(r for part in every for r in part) == list(range(replicas))
            assert all(layout.owner_group(r) == group for group, part in enumerate(every) for r in part)
        layout.free()


def test_what_does_not_fit_is_refused_on_all_ranks():
    with pytest.raises(InputError, match="does not divide"):
        Layout(comm, 4, comm.size + 1)
    with pytest.raises(InputError, match="domains, but a replica has"):
        Layout(comm, 4, comm.size, grid=(comm.size, 2, 1))
