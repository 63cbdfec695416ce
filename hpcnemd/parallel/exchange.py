"""Ghosts: `halo` builds them, `refresh` follows their owners, `fold` brings the forces on them home.

One message per neighbour and verb, none to the rank itself: its own periodic images are copied by index. Ghost rows are ordered by source rank,
lattice offset and source row; forces are added in the order own images, then neighbours by rank: the same bits in every run on the same grid.
Between two calls of `halo` the messages of refresh and fold are the same: their requests are persistent, set up by the first of them.
"""
import numpy as np

from ..core.errors import PhysicsError
from ..kernels.mesh import clear
from ..kernels.packing import add_rows, count_outside, pack_ghosts, pack_positions, select_rows, unpack_ghosts
from .launch import agree_on_errors
from .migration import count_particles, name_ids
from .persistent import FOLD, REFRESH, Messages
from .shared_memory import channels_of

HALO_TAG = 11
ROUNDING = 1e-9                             # of an edge of a tilted cell


class HaloPlan:
    """What this rank sends and receives. Fixed: routes and neighbours; filled by `halo`: rows and counts.

    `start` (routes + 1): segments of `index`, the source rows of all outgoing routes in order of target; `targets`: [(rank, first route, last
    route + 1)]; `sources`: ranks in order; `ghost_start` {source: (first ghost, end)} counted from the first ghost row.
    """

    def __init__(self, rank, incoming, outgoing):
        self.shift = np.array([route.shift for route in outgoing], dtype=np.float64).reshape(-1, 3)
        self.turns = np.array([route.turns for route in outgoing], dtype=np.float64).reshape(-1, 3)
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
        self.record = np.zeros((64, 5))
        self.links = None                   # Links of the last halo, once refresh or fold has asked for them

    def rows(self, entry):
        """(first, end) of the segment of `index` that goes to one target."""
        return int(self.start[entry[1]]), int(self.start[entry[2]])

    def _grow(self, name, rows):
        old = getattr(self, name)
        if len(old) < rows:
            setattr(self, name, np.zeros((int(1.2 * rows) + 64,) + old.shape[1:], old.dtype))


def halo(domain, state, placed=False):
    """Collective over domain.comm. Builds the ghost rows of `state` from owned particles that lie in their owners' bricks (call `migrate` before; `placed`: nothing has moved since).

    Half shell: every pair of particle images within domain.halo_width is, over all ranks, exactly once a pair of owned rows or a pair of an
    owned and a ghost row. Raises PhysicsError on all ranks where a particle lies outside its owner's brick: its pairs would be missed.
    """
    if not domain.routed:
        domain.reroute()
    plan = domain.plan
    if domain.expected is None:             # rows that came from a checkpoint, not from scatter or migrate
        count_particles(domain, state)
    n, box = state.n_owned, domain.box
    state.n_ghost = 0
    if plan.links is not None:
        plan.links.rows = None              # other arrays from here on
    if not placed:
        agree_on_errors(domain.comm, _misplaced(domain, state))
    near = (state.position, n, plan.shift, plan.lower, plan.upper, np.inf, domain.halo_width**2)
    if box.tilted:                          # distances from faces; a little wider, since a wrapped particle is in its brick to rounding only
        width = domain.halo_width + ROUNDING * float(box.lengths.max())
        near = (box.upright(state.position[:n]) / box.slant, n, plan.turns * box.heights, plan.lower, plan.upper, width, box.corner_room * width**2)
    needed = select_rows(*near, plan.start, plan.index)
    if needed > len(plan.index):
        plan._grow("index", needed)
        select_rows(*near, plan.start, plan.index)
    plan._grow("record", needed)
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
    n, box = state.n_owned, domain.box
    place, room = box.upright(state.position[:n]), ROUNDING * box.lengths if box.tilted else 0.0
    lower, upper = domain.lower - room, domain.upper + room
    if not count_outside(place, n, lower, upper):
        return None
    inside = np.all((place >= lower) & (place < upper), axis=1)
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


class Links:
    """What refresh and fold need of one halo and the arrays of one state: views of the rows that travel, and the messages; those of the Links `before` where they can be told of other arrays."""

    def __init__(self, domain, state, before=None):
        plan, n = domain.plan, state.n_owned
        self.position, self.force, self.rows = state.position, state.force, (n, state.n_ghost)
        ghosts = {source: slice(n + first, n + end) for source, (first, end) in plan.ghost_start.items()}
        others = [source for source in plan.sources if source != domain.rank]
        self.segments, packed, come, channels = [], [], [], channels_of(domain.comm)
        for target, first_route, last_route in plan.others:
            first, end = plan.rows((target, first_route, last_route))
            outbox, inbox = channels.room((end - first, 3), float, target, REFRESH, True), channels.room((end - first, 3), float, target, FOLD, False)
            self.segments.append((first_route, last_route, first, end, outbox, inbox))
            packed.append((outbox, target))
            come.append((inbox, target))
        positions, forces = ([(rows[ghosts[s]], s) for s in others] for rows in (self.position, self.force))
        if before is not None and before.refresh.again(positions, packed) and before.fold.again(come, forces):
            self.refresh, self.fold = before.refresh, before.fold
        else:
            self.refresh, self.fold = Messages(domain.comm, positions, packed, REFRESH), Messages(domain.comm, come, forces, FOLD)
        self.own = None if plan.own is None else (plan.own[1], plan.own[2], *plan.rows(plan.own), self.position[ghosts[domain.rank]], self.force[ghosts[domain.rank]])
        self.ghost_force = self.force[n:n + state.n_ghost]

def links_of(domain, state):
    """The Links of the last halo of `domain` and `state`."""
    links = domain.plan.links
    if links is None or links.position is not state.position or links.force is not state.force or links.rows != (state.n_owned, state.n_ghost):
        links = domain.plan.links = Links(domain, state, domain.plan.links)
    return links


def own_images(domain):
    """Of the last halo, how the ghosts that are images of this rank's own particles are made: (their first row counted from the first ghost, shift (routes, 3), which
    follows the box, index, first, start, first route, last route + 1) as kernels.pair_slots.follow_owners wants them; None where there are none."""
    plan = domain.plan
    if plan.own is None:
        return None
    return plan.ghost_start[domain.rank][0], plan.shift, plan.index, plan.rows(plan.own)[0], plan.start, plan.own[1], plan.own[2]


def refresh(domain, state, images=True):
    """Collective over domain.comm. Ghost rows get the present positions of their owners, by the plan of the last `halo`; those of this rank's own particles only
    with `images`: who asks for none follows the owners himself (`own_images`)."""
    if not images and domain.size == 1:
        return
    plan, links = domain.plan, links_of(domain, state)
    if domain.size == 1:
        if links.own is not None:
            pack_positions(state.position, plan.index, links.own[0], links.own[1], plan.start, plan.shift, links.own[4])
        return
    links.refresh.receive()
    links.refresh.ready()
    for first_route, last_route, _, _, rows, _ in links.segments:
        pack_positions(state.position, plan.index, first_route, last_route, plan.start, plan.shift, rows)
    links.refresh.send()
    if images and links.own is not None:
        pack_positions(state.position, plan.index, links.own[0], links.own[1], plan.start, plan.shift, links.own[4])
    links.refresh.wait()


def send_forces(domain, state, images=True):
    """Forces on ghost rows set out for their owners, and those on own images are added (with `images`). Ghost rows stay as they are until `add_forces`."""
    if not images and domain.size == 1:
        return
    links = links_of(domain, state)
    links.fold.receive()
    links.fold.send()
    if images and links.own is not None:
        add_rows(state.force, domain.plan.index, links.own[2], links.own[3], links.own[5])


def add_forces(domain, state, images=True):
    """Collective, after `send_forces`. What came is added to the rows of the owners, in fixed order, and the ghost rows set to 0."""
    if not images and domain.size == 1:
        return
    links = links_of(domain, state)
    links.fold.wait()
    for _, _, first, end, _, rows in links.segments:
        add_rows(state.force, domain.plan.index, first, end, rows)
    links.fold.done()
    links.ghost_force.fill(0.0)


def fold(domain, state):
    """Collective over domain.comm. Forces on ghost rows are added to the rows of their owners, in fixed order, and the ghost rows set to 0."""
    send_forces(domain, state)
    add_forces(domain, state)


def ghost_calls(domain, state):
    """Lists of (kernel, arguments) that send positions out and wait for them (`refresh`), and that are `send_forces` and `add_forces`, all without images of this rank's own particles; None
    where more than kernels is called."""
    if domain.size == 1:
        return [], [], [], []
    plan, links = domain.plan, links_of(domain, state)
    found = [way.calls for messages in (links.refresh, links.fold) for way in (messages.starting, messages.waiting)]
    if None in found:
        return None
    packed = [(pack_positions, (state.position, plan.index, first, last, plan.start, plan.shift, rows)) for first, last, _, _, rows, _ in links.segments]
    added = [(add_rows, (state.force, plan.index, first, end, rows)) for _, _, first, end, _, rows in links.segments]
    return ([*links.refresh.clearing.calls, *packed, *found[0]], found[1], found[2],
            [*found[3], *added, *links.fold.returning.calls, (clear, (links.ghost_force.reshape(-1),))])
