"""The four verbs on any number of ranks, against the brute-force sum over all periodic images."""
import itertools

import numpy as np
import pytest
from brute_images import CASES, KINDS, all_pairs, my_pairs, particles
from mpi4py import MPI

from hpcnemd.core.errors import InputError, PhysicsError
from hpcnemd.core.state import OWNED_FIELDS, State
from hpcnemd.parallel.domain import Domain, check_halo, fold, gather_sorted, halo, migrate, refresh, scatter
from hpcnemd.parallel.layout import choose_grid

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi


def grids(dimensions):
    """Every grid of comm.size domains."""
    return [grid for grid in itertools.product(range(1, comm.size + 1), repeat=3)
            if np.prod(grid) == comm.size and all(count == 1 for count in grid[dimensions:])]


def uneven(box, grid, seed=3):
    rng = np.random.default_rng(seed)
    return [np.concatenate(([0.0], np.sort(rng.uniform(0.05, 0.95, n - 1)) * length, [length])) for n, length in zip(grid, box.lengths)]


def assert_like_brute_force(domain, state, full_rows, width):
    """Energy, number of pairs and folded forces of all ranks against the definition; full_rows: (ids, species, position) sorted by id."""
    state.force[:state.n_all] = 0.0
    mine = my_pairs(state, width)
    fold(domain, state)
    assert not state.force[state.n_owned:state.n_all].any()
    count, energy = (sum(parts) for parts in zip(*comm.allgather(mine)))
    whole = gather_sorted(comm, state, ["id", "force"])
    if comm.rank == 0:
        n_pairs, want, force = all_pairs(state.box, *full_rows, width)
        np.testing.assert_array_equal(whole["id"], full_rows[0])
        assert count == n_pairs
        assert energy == pytest.approx(want, rel=1e-12)
        np.testing.assert_allclose(whole["force"], force, rtol=0, atol=1e-12 * max(1.0, np.abs(force).max(initial=0.0)))


def rows(full):
    """What scatter gets: every particle, on every rank."""
    return {name: getattr(full, name)[full.owned] for name in OWNED_FIELDS}


def sorted_rows(full):
    order = np.argsort(full.id[:full.n_owned])
    return full.id[order], full.species[order], full.position[order]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_every_pair_is_seen_once_on_every_grid(case):
    lengths, dimensions, n, width, clustered = CASES[case]
    full = particles(lengths, dimensions, n, case, clustered)
    for grid in grids(dimensions):
        for cuts in (None, uneven(full.box, grid)):
            domain = Domain(comm, full.box, grid, width, cuts)
            state = scatter(domain, State.empty(full.box, KINDS), rows(full))
            assert np.all(state.position[state.owned] >= domain.lower) and np.all(state.position[state.owned] < domain.upper)
            halo(domain, state)
            assert_like_brute_force(domain, state, sorted_rows(full), width)


@pytest.mark.parametrize("case", [0, 2, 4, 6])
def test_refresh_follows_the_owners(case):
    lengths, dimensions, n, width, _ = CASES[case]
    full = particles(lengths, dimensions, n, case)
    domain = Domain(comm, full.box, choose_grid(comm.size, full.box.lengths, dimensions), width)
    state = scatter(domain, State.empty(full.box, KINDS), rows(full))
    halo(domain, state)
    step = np.random.default_rng(7).uniform(-0.1, 0.1, (5 * n, 3))          # by id, so that every rank moves the same way
    step[:, dimensions:] = 0.0
    for _ in range(2):
        state.position[state.owned] += step[state.id[state.owned]]
        full.position[full.owned] += step[full.id[full.owned]]
        refresh(domain, state)
    assert_like_brute_force(domain, state, sorted_rows(full), width - 0.8)  # a pair this near was within the width before


@pytest.mark.parametrize("grid_number", range(3))
def test_migrate_keeps_particles_and_unwrapped_places(grid_number):
    full = particles([13.17, 9.0, 11.0], 3, 60, 5)
    choices = grids(3)
    domain = Domain(comm, full.box, choices[grid_number % len(choices)], 4.0)
    state = scatter(domain, State.empty(full.box, KINDS), rows(full))
    hop = np.random.default_rng(8).uniform(-30.0, 30.0, (300, 3))           # across several domains and box lengths
    want = gather_sorted(comm, state, ["id", "species", "velocity", "unwrapped"])
    for turn in range(3):
        state.position[state.owned] += hop[state.id[state.owned]]
        migrate(domain, state, turn)
        assert state.n_ghost == 0
        place = state.position[state.owned]
        assert np.all(place >= domain.lower) and np.all(place < domain.upper)
        halo(domain, state)
    got = gather_sorted(comm, state, ["id", "species", "velocity", "unwrapped"])
    if comm.rank == 0:
        for name in ("id", "species", "velocity"):
            np.testing.assert_array_equal(got[name], want[name])
        np.testing.assert_allclose(got["unwrapped"], want["unwrapped"] + 3 * hop[want["id"]], rtol=0, atol=1e-12 * 200)
    full.position[full.owned] += 3 * hop[full.id[full.owned]]
    assert_like_brute_force(domain, state, sorted_rows(full), 4.0)


def test_the_order_of_rows_depends_on_the_places_only():
    full = particles([21.0, 15.0, 11.0], 3, 80, 6)
    domain = Domain(comm, full.box, choose_grid(comm.size, full.box.lengths), 3.0)
    state = scatter(domain, State.empty(full.box, KINDS), rows(full))
    shuffled = State.empty(full.box, KINDS, 200)
    part = np.random.default_rng(1).permutation(80)[comm.rank::comm.size]  # another start: rows anywhere, in any order
    for name in ("id", "species", "position", "velocity", "image"):
        getattr(shuffled, name)[:len(part)] = getattr(full, name)[part]
    shuffled.n_owned = len(part)
    domain.expected = None
    migrate(domain, shuffled, 0)
    halo(domain, state)
    halo(domain, shuffled)
    assert (state.n_owned, state.n_ghost) == (shuffled.n_owned, shuffled.n_ghost)
    for name in ("id", "species", "position"):
        np.testing.assert_array_equal(getattr(state, name)[:state.n_all], getattr(shuffled, name)[:state.n_all])


def test_scatter_from_rank_0_alone():
    full = particles([9.0] * 3, 3, 20, 9)
    domain = Domain(comm, full.box, choose_grid(comm.size, full.box.lengths), 3.0)
    state = scatter(domain, State.empty(full.box, KINDS), rows(full) if comm.rank == 0 else None)
    got = gather_sorted(comm, state)
    if comm.rank == 0:
        np.testing.assert_array_equal(got["position"], sorted_rows(full)[2])


def test_a_particle_without_a_place_ends_all_ranks_with_its_id():
    full = particles([9.0] * 3, 3, 20, 9)
    domain = Domain(comm, full.box, choose_grid(comm.size, full.box.lengths), 3.0)
    for value in (np.nan, np.inf):
        state = scatter(domain, State.empty(full.box, KINDS), rows(full))
        victim = int(sorted_rows(full)[0][7])
        state.position[state.owned][state.id[state.owned] == victim, 1] = value
        with pytest.raises(PhysicsError, match=f"step 41: .* id {victim}$"):
            migrate(domain, state, 41)


def test_lost_and_doubled_particles_are_named_on_all_ranks():
    full = particles([9.0] * 3, 3, 20, 9)
    ids = sorted_rows(full)[0]
    domain = Domain(comm, full.box, choose_grid(comm.size, full.box.lengths), 3.0)
    state = scatter(domain, State.empty(full.box, KINDS), rows(full))
    if state.n_owned and ids[3] in state.id[state.owned]:
        state.id[np.flatnonzero(state.id[state.owned] == ids[3])] = ids[4]
    with pytest.raises(PhysicsError, match=rf"step 5: 20 particles became 20: lost id {ids[3]}; more than once id {ids[4]}$"):
        migrate(domain, state, 5)
    state = scatter(domain, State.empty(full.box, KINDS), rows(full))
    last = comm.allgather(state.n_owned)
    victim = int(np.flatnonzero(last)[-1])
    name = comm.bcast(int(state.id[state.n_owned - 1]) if comm.rank == victim else None, victim)
    state.n_owned -= comm.rank == victim
    with pytest.raises(PhysicsError, match=rf"step 6: 20 particles became 19: lost id {name}$"):
        migrate(domain, state, 6)


def test_ghosts_are_not_built_from_particles_in_the_wrong_place():
    full = particles([9.0] * 3, 3, 20, 9)
    domain = Domain(comm, full.box, choose_grid(comm.size, full.box.lengths), 3.0)
    state = scatter(domain, State.empty(full.box, KINDS), rows(full))
    victim = sorted_rows(full)[0][11]
    state.position[np.flatnonzero(state.id[state.owned] == victim), 2] = 9.0          # the far edge of the box belongs to the next image
    with pytest.raises(PhysicsError, match=f"id {victim} lie outside the brick"):
        halo(domain, state)
    migrate(domain, state, 1)
    halo(domain, state)


def test_lists_are_safe_until_half_the_skin():
    full = particles([9.0] * 3, 3, 20, 9)
    domain = Domain(comm, full.box, choose_grid(comm.size, full.box.lengths), 3.0)
    state = scatter(domain, State.empty(full.box, KINDS), rows(full))
    before = state.position[state.owned].copy()
    victim = sorted_rows(full)[0][11]
    row = np.flatnonzero(state.id[state.owned] == victim)
    assert check_halo(domain, state, before, 0.5, 1)
    state.position[row, 2] += 0.2499
    assert check_halo(domain, state, before, 0.5, 1)
    state.position[row, 2] += 0.0002
    assert not check_halo(domain, state, before, 0.5, 2)
    state.position[row, 2] += 3.0
    with pytest.raises(PhysicsError, match=f"step 3: particles id {victim} moved further than the halo width of 3 angstrom"):
        check_halo(domain, state, before, 0.5, 3)
    state.position[row, 2] = np.nan
    with pytest.raises(PhysicsError, match=f"step 4: particles id {victim} .*not finite"):
        check_halo(domain, state, before, 0.5, 4)


def test_what_does_not_fit_is_refused_on_all_ranks():
    full = particles([9.0] * 3, 3, 4, 9)
    with pytest.raises(InputError, match="domains for"):
        Domain(comm, full.box, (comm.size + 1, 1, 1), 3.0)
    with pytest.raises(InputError, match="halo width"):
        Domain(comm, full.box, (comm.size, 1, 1), np.inf)
    with pytest.raises(InputError, match="cuts along y"):
        Domain(comm, full.box, (comm.size, 1, 1), 3.0, [np.linspace(0, 9, comm.size + 1), np.array([0.0, 8.0]), np.array([0.0, 9.0])])
