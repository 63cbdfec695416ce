"""The decomposition without MPI: one rank as its own neighbour; and the geometry of any number of ranks, their messages made by hand."""
import itertools
import subprocess
import sys

import numpy as np
import pytest
from brute_images import CASES, KINDS, all_pairs, my_pairs, particles

from hpcnemd.core.box import Box
from hpcnemd.core.errors import PhysicsError
from hpcnemd.core.state import OWNED_FIELDS, State
from hpcnemd.kernels import packing
from hpcnemd.parallel.bricks import coordinate_of, rank_at, routes_of, routes_to, uniform_cuts
from hpcnemd.parallel.domain import Domain, check_halo, fold, gather_sorted, halo, migrate, refresh, scatter
from hpcnemd.parallel.serial import SerialComm


def start(full, width):
    domain = Domain(SerialComm(), full.box, (1, 1, 1), width)
    state = scatter(domain, State.empty(full.box, KINDS), {name: getattr(full, name)[full.owned] for name in OWNED_FIELDS})
    return domain, state


@pytest.mark.parametrize("case", range(len(CASES)))
def test_one_rank_is_its_own_neighbour(case):
    lengths, dimensions, n, width, clustered = CASES[case]
    full = particles(lengths, dimensions, n, case, clustered)
    domain, state = start(full, width)
    state.position[state.owned] += 0.7 * state.box.lengths * (np.arange(3) < dimensions)        # out of the box, back by migrate
    migrate(domain, state, 1)
    halo(domain, state)
    refresh(domain, state)
    count, energy = my_pairs(state, width)
    fold(domain, state)
    got = gather_sorted(SerialComm(), state, ["id", "species", "position", "force"])
    n_pairs, want, force = all_pairs(full.box, got["id"], got["species"], got["position"], width)
    assert count == n_pairs and energy == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(got["force"], force, rtol=0, atol=1e-12 * max(1.0, np.abs(force).max(initial=0.0)))


def ghosts(rank, box, grid, cuts, width, owned):
    """(m, 4) source particle and place of the ghosts of a rank, chosen in numpy, in the order of routes."""
    rows = [np.zeros((0, 4))]
    for route in routes_to(rank, box, grid, cuts, width):
        ids, place = owned[route.source]
        gap = np.maximum(np.maximum(route.lower - (place + route.shift), place + route.shift - route.upper), 0.0)
        near = np.sum(gap * gap, axis=1) <= width * width
        rows.append(np.column_stack((ids[near], place[near] + route.shift)))
    return np.concatenate(rows)


@pytest.mark.parametrize("n_ranks", range(1, 9))
@pytest.mark.parametrize("lengths, width, dimensions", [([13.17] * 3, 11.0, 3), ([4.0, 9.0, 6.0], 7.0, 3), ([8.0, 5.0, 1.0], 3.0, 2)])
def test_pairs_of_up_to_8_ranks_are_seen_once(n_ranks, lengths, width, dimensions):
    full = particles(lengths, dimensions, 24, n_ranks)
    ids, place, box = full.id[full.owned], full.position[full.owned], full.box
    want = all_pairs(box, ids, full.species[full.owned], place, width)
    species = dict(zip(ids, full.species))
    grids = [g for g in itertools.product(range(1, n_ranks + 1), repeat=3) if np.prod(g) == n_ranks and all(c == 1 for c in g[dimensions:])]
    for number, grid in enumerate(grids):
        cuts = uniform_cuts(box, grid)
        if number % 2:                                                      # every other grid is uneven
            cuts = [length * (edges / length) ** 1.7 for edges, length in zip(cuts, box.lengths)]
        owner = np.zeros(24, np.int64)
        packing.find_owners(place, 24, *cuts, owner)
        owned = [(ids[owner == rank], place[owner == rank]) for rank in range(n_ranks)]
        count, energy = 0, 0.0
        for rank in range(n_ranks):
            mine, seen = owned[rank], ghosts(rank, box, grid, cuts, width, owned)
            state = State.empty(box, KINDS, len(mine[0]) + len(seen))
            state.n_owned, state.n_ghost = len(mine[0]), len(seen)
            state.id[:state.n_all] = np.concatenate((mine[0], seen[:, 0].astype(np.int64)))
            state.species[:state.n_all] = [species[i] for i in state.id[:state.n_all]]
            state.position[:state.n_all] = np.concatenate((mine[1], seen[:, 1:]))
            part = my_pairs(state, width)
            count, energy = count + part[0], energy + part[1]
        assert count == want[0], grid
        assert energy == pytest.approx(want[1], rel=1e-12), grid


@pytest.mark.parametrize("grid", [(1, 1, 1), (2, 1, 1), (3, 2, 1), (2, 2, 2), (1, 1, 5)])
def test_what_one_rank_sends_the_other_expects(grid):
    box, n = Box([7.0, 11.0, 5.0]), int(np.prod(grid))
    routes = [routes_of(rank, box, grid, uniform_cuts(box, grid), 6.0) for rank in range(n)]
    for rank, (incoming, outgoing) in enumerate(routes):
        assert coordinate_of(rank, grid) == tuple(np.unravel_index(rank, grid)) and rank_at(coordinate_of(rank, grid), grid) == rank
        for other in range(n):
            sent = [route.offset for route in outgoing if route.target == other]
            assert sent == [route.offset for route in routes[other][0] if route.source == rank]
        assert all(route.target == rank for route in incoming) and all(route.source == rank for route in outgoing)


def test_wrapping_keeps_places_and_orders_rows_by_cell():
    full = particles([31.0, 17.0, 12.0], 3, 200, 2)
    domain, state = start(full, 3.0)
    before = gather_sorted(SerialComm(), state, ["unwrapped"])["unwrapped"]
    state.position[state.owned] += np.array([31.0 * 3, -17.0 * 2, 5.0])
    migrate(domain, state, 0)
    after = gather_sorted(SerialComm(), state, ["unwrapped", "position"])
    np.testing.assert_allclose(after["unwrapped"] - before, np.tile([93.0, -34.0, 5.0], (200, 1)), atol=1e-12)
    assert np.all(after["position"] >= 0) and np.all(after["position"] < state.box.lengths)
    cell = np.floor(state.position[state.owned] / (state.box.lengths / np.rint(state.box.lengths / 5.0))).astype(int)
    keys = [tuple(c) + (i,) for c, i in zip(cell, state.id[state.owned])]
    assert keys == sorted(keys)


def test_rows_that_came_from_a_checkpoint_are_counted_from_the_first_halo_on():
    full = particles([9.0] * 3, 3, 20, 1)
    domain = Domain(SerialComm(), full.box, (1, 1, 1), 2.0)
    halo(domain, full)
    full.n_owned -= 1
    with pytest.raises(PhysicsError, match=f"step 8: 20 particles became 19: lost id {full.id[19]}$"):
        migrate(domain, full, 8)


def test_broken_input_is_refused():
    full = particles([9.0] * 3, 3, 5, 1)
    domain = Domain(SerialComm(), full.box, (1, 1, 1), 2.0)
    arrays = {"position": np.full((5, 3), 1e300), "species": np.zeros(5, int)}
    with pytest.raises(PhysicsError, match="id 0, 1, 2, 3, 4$"):
        scatter(domain, full, arrays)
    with pytest.raises(PhysicsError, match="id 7 are there more than once"):
        scatter(domain, full, {"position": np.zeros((3, 3)), "species": np.zeros(3, int), "id": [1, 7, 7]})
    domain, state = start(particles([9.0] * 3, 3, 5, 1), 2.0)
    state.velocity[2, 1] = np.inf
    with pytest.raises(PhysicsError, match=f"step 3: .*id {state.id[2]}$"):
        migrate(domain, state, 3)


def test_nothing_moves_in_an_empty_domain():
    full = particles([9.0] * 3, 3, 0, 1)
    domain, state = start(full, 20.0)
    halo(domain, state), refresh(domain, state), fold(domain, state), migrate(domain, state, 1)
    assert state.n_all == 0 and check_halo(domain, state, np.zeros((0, 3)), 0.1)


def test_kernels_against_numpy():
    rng = np.random.default_rng(0)
    position, reference = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    moved = ((position - reference) ** 2).sum(axis=1)
    assert packing.largest_displacement2(position, reference, 40) == pytest.approx(moved.max(), rel=1e-14)
    assert packing.largest_displacement2(position, reference, 0) == 0.0
    for value in (np.nan, np.inf):
        position[39, 2] = value
        assert packing.largest_displacement2(position, reference, 40) == np.inf
    force, index = rng.normal(size=(10, 3)), rng.integers(0, 10, 30)
    addend, want = rng.normal(size=(30, 3)), force.copy()
    np.add.at(want, index[5:25], addend[:20])
    packing.add_rows(force, index, 5, 25, addend)
    np.testing.assert_array_equal(force, want)                             # in the order of the index: the same bits


def test_order_and_wrapping_kernels_against_numpy():
    rng = np.random.default_rng(2)
    key, ids, order = rng.integers(0, 9, 300), rng.permutation(300), np.empty(300, np.int64)
    packing.order_rows(key, ids, 300, np.empty(10, np.int64), order)
    np.testing.assert_array_equal(order, np.lexsort((ids, key)))
    box = Box([3.0, 7.1, 1.0], 2)
    place = rng.normal(size=(300, 3)) * 20.0
    place[:4, 0] = -1e-17, 3.0, -0.0, np.nextafter(3.0, 0.0)
    image = rng.integers(-5, 5, (300, 3)).astype(np.int32)
    want_place, want_image = place.copy(), image.copy()
    box.wrap(want_place[:299], want_image[:299])
    packing.wrap_rows(place, image, 299, box.lengths, 2)
    np.testing.assert_array_equal(place, want_place)
    np.testing.assert_array_equal(image, want_image)
    inside = np.all((place >= -2.0) & (place < [1.0, want_place[5, 1], 9.0]), axis=1)
    assert packing.count_outside(place, 300, np.full(3, -2.0), np.array([1.0, want_place[5, 1], 9.0])) == 300 - inside.sum()
    velocity = np.zeros_like(place)
    assert packing.count_broken(place, velocity, 300, np.full(3, 1e3)) == 0
    place[7, 2], place[8, 1], velocity[9, 0], velocity[7, 0] = 1e3, np.nan, -np.inf, np.nan
    assert packing.count_broken(place, velocity, 300, np.full(3, 1e3)) == 3 and packing.count_broken(place, velocity, 9, np.full(3, 1e3)) == 2


def test_imports_do_not_start_mpi():
    code = ("import sys, hpcnemd.parallel.domain, hpcnemd.parallel.layout, hpcnemd.parallel.launch, hpcnemd.parallel.reduce\n"
            "assert 'mpi4py.MPI' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
