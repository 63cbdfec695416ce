"""Ghosts: `halo` builds them, `refresh` follows their owners, `fold` brings the forces on them home.

One message per neighbour and verb, none to the rank itself: its own periodic images are copied by index. Ghost rows are ordered by source rank,
lattice offset and source row; forces are added in the order own images, then neighbours by rank: the same bits in every run on the same grid.
"""
import numpy as np

from ..core.errors import PhysicsError
from ..kernels.packing import add_rows, count_outside, pack_ghosts, pack_positions, select_rows, unpack_ghosts
from .launch import agree_on_errors
from .migration import count_particles, name_ids

HALO_TAG, REFRESH_TAG, FOLD_TAG = 11, 12, 13


class HaloPlan:
    """What this rank sends and receives. Fixed: routes and neighbours; filled by `halo`: rows and counts.

    `start` (routes + 1): segments of `index`, the source rows of all outgoing routes in order of target; `targets`: [(rank, first route, last
    route + 1)]; `sources`: ranks in order; `ghost_start` {source: (first ghost, end)} counted from the first ghost row.
    """

    def __init__(self, rank, incoming, outgoing):
        self.shift = np.array([route.shift for route in outgoing], dtype=np.float64).reshape(-1, 3)
        self.lower = np.array([route.lower for route in outgoing], dtype=np.float64).reshape(-1, 3)
        self.upper = np.array([route.upper for route in outgoing], dtype=np.float64).reshape(-1, 3)
        self.sources = sorted({route.source for route in incoming})
        self.targets = []
        for r, route in enumerate(outgoing):
            if not self.targets or self.targets[-1][0] != route.target:
                self.targets.append((route.target, r, r))
            self.targets[-1] = (route.target, self.targets[-1][1], r + 1)
        self.own = next((entry for entry in self.targets if entry[0] == rank), None)
        self.others = [entry for entry in self.targets if entry[0] != rank]
        self.start = np.zeros(len(outgoing) + 1, np.int64)
        self.index = np.zeros(64, np.int64)
        self.ghost_start = {source: (0, 0) for source in self.sources}
        self.buffer = np.zeros((64, 3))     # packed positions out, forces in
        self.record = np.zeros((64, 5))

    def rows(self, entry):
        """(first, end) of the segment of `index` that goes to one target."""
        return int(self.start[entry[1]]), int(self.start[entry[2]])

    def _grow(self, name, rows):
        old = getattr(self, name)
        if len(old) < rows:
            setattr(self, name, np.zeros((int(1.2 * rows) + 64,) + old.shape[1:], old.dtype))


def halo(domain, state):
    """Collective over domain.comm. Builds the ghost rows of `state` from owned particles that lie in their owners' bricks (call `migrate` before).

    Half shell: every pair of particle images within domain.halo_width is, over all ranks, exactly once a pair of owned rows or a pair of an
    owned and a ghost row. Raises PhysicsError on all ranks where a particle lies outside its owner's brick: its pairs would be missed.
    """
    if not domain.routed:
        domain.reroute()
    plan = domain.plan
    if domain.expected is None:             # rows that came from a checkpoint, not from scatter or migrate
        count_particles(domain, state)
    n, width2 = state.n_owned, domain.halo_width ** 2
    state.n_ghost = 0
    agree_on_errors(domain.comm, _misplaced(domain, state))
    needed = select_rows(state.position, n, plan.shift, plan.lower, plan.upper, width2, plan.start, plan.index)
    if needed > len(plan.index):
        plan._grow("index", needed)
        select_rows(state.position, n, plan.shift, plan.lower, plan.upper, width2, plan.start, plan.index)
    plan._grow("record", needed)
    plan._grow("buffer", needed)
    pack_ghosts(state.position, state.id, state.species, plan.index, plan.start, plan.shift, plan.record, plan.record.view(np.int64))
    received = _exchange_records(domain, plan)
    total = sum(len(record) for record in received.values())
    state.reserve(n + total)
    row = n
    for source in plan.sources:
        record = received[source]
        unpack_ghosts(record, record.view(np.int64), row, state.position, state.id, state.species)
        plan.ghost_start[source] = (row - n, row - n + len(record))
        row += len(record)
    state.n_ghost = total
    state.force[n:row] = 0.0


def _misplaced(domain, state):
    """A PhysicsError that names owned particles outside the brick, or None."""
    n = state.n_owned
    if not count_outside(state.position, n, domain.lower, domain.upper):
        return None
    inside = np.all((state.position[:n] >= domain.lower) & (state.position[:n] < domain.upper), axis=1)
    return PhysicsError(f"particles {name_ids(state.id[:n][~inside])} lie outside the brick {domain.lower} to {domain.upper} angstrom of rank "
                        f"{domain.rank}: they must migrate before ghosts are built")


def _exchange_records(domain, plan):
    """{source: records (n, 5)}; how many come is read off the message, so counts need no message of their own."""
    received = {}
    if plan.own is not None:
        first, end = plan.rows(plan.own)
        received[domain.rank] = plan.record[first:end]
    if domain.size == 1:
        return received
    from mpi4py import MPI
    sends = []
    for entry in plan.others:
        first, end = plan.rows(entry)
        sends.append(domain.comm.Isend(plan.record[first:end], entry[0], HALO_TAG))
    status = MPI.Status()
    for source in plan.sources:
        if source != domain.rank:
            message = domain.comm.Mprobe(source, HALO_TAG, status)
            received[source] = np.empty((status.Get_count(MPI.DOUBLE) // 5, 5))
            message.Recv(received[source])
    MPI.Request.Waitall(sends)
    return received


def refresh(domain, state):
    """Collective over domain.comm. Ghost rows get the present positions of their owners, by the plan of the last `halo`."""
    plan, n, position = domain.plan, state.n_owned, state.position
    requests = []
    if domain.size > 1:
        for source in plan.sources:
            first, end = plan.ghost_start[source]
            if source != domain.rank and end > first:
                requests.append(domain.comm.Irecv(position[n + first:n + end], source, REFRESH_TAG))
        for entry in plan.others:
            first, end = plan.rows(entry)
            if end > first:
                pack_positions(position, plan.index, entry[1], entry[2], plan.start, plan.shift, plan.buffer[first:end])
                requests.append(domain.comm.Isend(plan.buffer[first:end], entry[0], REFRESH_TAG))
    if plan.own is not None:
        first, end = plan.ghost_start[domain.rank]
        pack_positions(position, plan.index, plan.own[1], plan.own[2], plan.start, plan.shift, position[n + first:n + end])
    if requests:
        from mpi4py import MPI
        MPI.Request.Waitall(requests)


def fold(domain, state):
    """Collective over domain.comm. Forces on ghost rows are added to the rows of their owners, in fixed order, and the ghost rows set to 0."""
    plan, n, force = domain.plan, state.n_owned, state.force
    requests = []
    if domain.size > 1:
        for entry in plan.others:
            first, end = plan.rows(entry)
            if end > first:
                requests.append(domain.comm.Irecv(plan.buffer[first:end], entry[0], FOLD_TAG))
        for source in plan.sources:
            first, end = plan.ghost_start[source]
            if source != domain.rank and end > first:
                requests.append(domain.comm.Isend(force[n + first:n + end], source, FOLD_TAG))
    if plan.own is not None:
        first, end = plan.ghost_start[domain.rank]
        add_rows(force, plan.index, *plan.rows(plan.own), force[n + first:n + end])
    if requests:
        from mpi4py import MPI
        MPI.Request.Waitall(requests)
        for entry in plan.others:
            first, end = plan.rows(entry)
            add_rows(force, plan.index, first, end, plan.buffer[first:end])
    force[n:n + state.n_ghost] = 0.0
