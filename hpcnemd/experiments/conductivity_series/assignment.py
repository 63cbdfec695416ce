"""Which ranks work on which point: teams of equal size take whole points, the longest first; inside a team the run's own layout shares out replicas and space."""
from ...core.errors import InputError
from ...parallel.layout import check_layout, choose_ranks_per_replica

ALONE, SHARED = 100.0, 0.1      # messages cost each rank of a shared replica as much as so many ions; and this share of the work is not divided (ghosts, mesh)


def team_sizes(ranks):
    """The sizes that split the ranks evenly."""
    return [size for size in range(1, ranks + 1) if ranks % size == 0]


def duration(steps, ions, replicas, team, ranks_per_replica=None):
    """Time of a point, in ion steps of one rank, on a team of ranks; None where the deck's ranks_per_replica does not fit them."""
    per_replica = ranks_per_replica or choose_ranks_per_replica(team, replicas)
    if check_layout(team, replicas, per_replica):
        return None
    rounds = -(-replicas // (team // per_replica))
    return rounds * steps * (ions * (SHARED + 1 / per_replica) + ALONE if per_replica > 1 else ions)


def share_out(costs, teams):
    """(list of indices for each team, time of the slowest): the longest first, each to the team that is free first. Deterministic."""
    busy, shares = [0.0] * teams, [[] for _ in range(teams)]
    for k in sorted(range(len(costs)), key=lambda k: (-costs[k], k)):
        team = min(range(teams), key=lambda t: (busy[t], t))
        busy[team] += costs[k]
        shares[team].append(k)
    return shares, max(busy)


def assign(work, ranks, ranks_per_replica=None, left=None):
    """(ranks of a team, list of indices of `work` for each team) with the shortest time for all. `work`: (steps of a replica, ions, replicas) of each point; `left`: the
    indices that are still to be run, all where None. As long as no team is without a point, the size of the teams is that for the whole series, so that a point
    that goes on finds the ranks that it began with. Raises InputError where the deck's ranks_per_replica fits no split of the ranks."""
    size, shares = _best(work, range(len(work)), ranks, ranks_per_replica)
    if left is None or len(left) == len(work):
        return size, shares
    if len(left) < ranks // size:
        return _best(work, left, ranks, ranks_per_replica)
    return size, _shared(work, left, ranks, size, ranks_per_replica)[0]


def _best(work, left, ranks, ranks_per_replica):
    best = None
    for size in team_sizes(ranks):
        found = _shared(work, left, ranks, size, ranks_per_replica) if ranks // size <= len(left) else None
        if found is not None and (best is None or found[1] < best[0] * (1 - 1e-9)):
            best = found[1], size, found[0]
    if best is None:
        raise InputError(f"parallel.ranks_per_replica = {ranks_per_replica}: no split of {ranks} ranks over {len(left)} points fits it; leave the key out, or "
                         f"start a multiple of {ranks_per_replica} ranks")
    return best[1], best[2]


def _shared(work, left, ranks, size, ranks_per_replica):
    """(indices of each team of `size` ranks, time of the slowest), or None where ranks_per_replica does not fit."""
    costs = [duration(*work[k], size, ranks_per_replica) for k in left]
    if None in costs:
        return None
    shares, time = share_out(costs, ranks // size)
    return [[left[k] for k in share] for share in shares], time
