"""Who works on what: the world is split into groups of ranks; a group runs whole replicas, its ranks share the replica's space."""
import numpy as np

from ..core.errors import InputError


def choose_grid(n_ranks, heights, dimensions=3):
    """The grid (3 ints) of `n_ranks` bricks with the smallest surface, and so with the fewest ghosts; ties: more cuts along x, then y,
    which keeps bricks close to the slabs of the Coulomb mesh. Unused axes get 1. `heights` (3,) between opposite faces of the box. Deterministic."""
    heights = np.asarray(heights, dtype=np.float64)
    best = None
    for nx in _divisors(n_ranks):
        for ny in _divisors(n_ranks // nx):
            grid = (nx, ny, n_ranks // nx // ny)
            if any(count > 1 for count in grid[dimensions:]):
                continue
            edge = (heights / grid)[:dimensions]
            surface = sum(np.prod(np.delete(edge, axis)) for axis in range(dimensions))
            key = (float(f"{surface:.9e}"), -nx, -ny)           # rounded: the last bits must not decide a tie
            if best is None or key < best[0]:
                best = key, grid
    return best[1]


def _divisors(n):
    return [d for d in range(1, n + 1) if n % d == 0]


def choose_ranks_per_replica(n_ranks, replicas):
    """The fewest ranks per replica that leave no group of ranks idle: replicas side by side need no messages."""
    return next(d for d in _divisors(n_ranks) if n_ranks // d <= replicas)


def check_layout(n_ranks, replicas, ranks_per_replica, grid=None, dimensions=3):
    """The problems (list of str, empty where all is well) of a layout; needs no MPI."""
    problems = []
    if replicas < 1:
        problems.append(f"replicas = {replicas}: at least 1 is needed")
    if ranks_per_replica < 1 or n_ranks % ranks_per_replica:
        fitting = [d for d in _divisors(n_ranks) if n_ranks // d <= max(replicas, 1)]
        problems.append(f"parallel.ranks_per_replica = {ranks_per_replica} does not divide the {n_ranks} ranks; "
                        f"use one of {fitting}, or start another number of ranks")
    elif n_ranks // ranks_per_replica > replicas >= 1:
        problems.append(f"{n_ranks} ranks with parallel.ranks_per_replica = {ranks_per_replica} make {n_ranks // ranks_per_replica} groups "
                        f"for {replicas} replicas, some without work; set parallel.ranks_per_replica = "
                        f"{choose_ranks_per_replica(n_ranks, replicas)}, or start fewer ranks")
    if grid is not None:
        grid = tuple(grid)
        if len(grid) != 3 or any(int(count) != count or count < 1 for count in grid):
            problems.append(f"parallel.grid = {list(grid)}: three whole numbers of at least 1 are needed")
        elif int(np.prod(grid)) != ranks_per_replica:
            problems.append(f"parallel.grid = {list(grid)} has {int(np.prod(grid))} domains, but a replica has {ranks_per_replica} ranks; "
                            "make them equal, or leave the grid out")
        elif any(count > 1 for count in grid[dimensions:]):
            problems.append(f"parallel.grid = {list(grid)}: the box has {dimensions} dimensions, the other axes must be 1")
    return problems


class Layout:
    """Collective over `world`. The split of the world into groups of `ranks_per_replica` neighbouring ranks.

    `.world`; `.group`, `.n_groups`; `.replicas`: the indices that this group runs, one after another (round robin over groups);
    `.domain_comm`: the ranks of this group; `.leader_comm`: the first ranks of all groups, None on other ranks; `.grid`: domains of a replica.
    Without a grid the box (if given) chooses it. Raises InputError (the same on all ranks) where the numbers do not fit.
    """

    def __init__(self, world, replicas, ranks_per_replica=None, grid=None, box=None):
        if ranks_per_replica is None:
            ranks_per_replica = choose_ranks_per_replica(world.size, max(1, replicas))
        dimensions = 3 if box is None else box.dimensions
        problems = check_layout(world.size, replicas, ranks_per_replica, grid, dimensions)
        if problems:
            raise InputError(problems)
        heights = np.ones(3) if box is None else box.heights
        self.world = world
        self.n_replicas = replicas
        self.ranks_per_replica = ranks_per_replica
        self.n_groups = world.size // ranks_per_replica
        self.group = world.rank // ranks_per_replica
        self.replicas = list(range(self.group, replicas, self.n_groups))
        self.grid = choose_grid(ranks_per_replica, heights, dimensions) if grid is None else tuple(int(count) for count in grid)
        self.domain_comm = world.Split(self.group, world.rank)
        self.leader_comm = self._split_leaders()

    def _split_leaders(self):
        leads = self.domain_comm.rank == 0
        if self.world.size == 1:
            return self.world.Split(0, 0)
        from mpi4py import MPI
        leaders = self.world.Split(0 if leads else MPI.UNDEFINED, self.world.rank)
        return leaders if leads else None

    def owner_group(self, replica):
        """The group that runs `replica`."""
        return replica % self.n_groups

    def free(self):
        """Collective. Gives the communicators back."""
        self.domain_comm.Free()
        if self.leader_comm is not None:
            self.leader_comm.Free()
