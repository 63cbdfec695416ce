"""Cluster lists: every pair within the list radius is there once, on every path, and stays safe while particles move."""
import numpy as np
import pytest
from pair_oracle import half_shell, make_forcefield, random_positions

from hpcnemd.core.box import Box
from hpcnemd.core.state import State
from hpcnemd.forces.pair import PairForces, column_width
from hpcnemd.kernels.neighbours import build_plain
from hpcnemd.kernels.simd import available_paths

PATHS = available_paths()
FIELD = make_forcefield(("A", "B"), [("A", "A", "hertz", dict(stiffness=0.7, contact=2.2)), ("A", "B", "hertz", dict(stiffness=1.1, contact=2.6))])
POWERS = make_forcefield(("A", "B"), [("A", "A", "lennard_jones", dict(epsilon=0.02, sigma=1.8)), ("A", "B", "lennard_jones", dict(epsilon=0.01, sigma=2.0))])


def make(path, box, position, species, cutoff, skin, field=FIELD, builder=None):
    kinds = field.kinds()
    state = State.of(box, kinds, species, position)
    forces = PairForces(field, kinds, box, cutoff, skin, path=path)
    forces._build_list = builder or forces._build_list
    half_shell(state, forces.list_radius)
    forces.build(state)
    return state, forces


def listed(forces):
    """Pairs of rows (i, j) that a kernel looks at: those of the lists and those inside clusters; species groups are checked on the way."""
    kinds, pairs = 2, []
    row = forces._slot_row
    for c in range(forces._clusters):
        own = [s for s in range(4 * c, 4 * c + 4) if row[s] >= 0]
        pairs += [(row[i], row[j]) for i in own for j in own if i < j]
        for t in range(kinds):
            for s in forces._neighbour[forces._pointer[c * kinds + t]:forces._pointer[c * kinds + t + 1]]:
                if s != forces._slots:                       # the dummy that fills groups up
                    assert forces._species[s] == t and row[s] >= 0
                    pairs += [(row[i], row[s]) for i in own]
    return [tuple(sorted(pair)) for pair in pairs]


def close_pairs(state, radius):
    """Pairs of owned-owned and owned-ghost rows nearer than `radius`."""
    n, every = state.n_owned, state.position[:state.n_all]
    r = np.sqrt(((every[:n, None] - every[None]) ** 2).sum(axis=2))
    return {(i, j) for i, j in zip(*np.nonzero(r < radius)) if i < j}


CASES = [(3, (11.0, 9.0, 10.0), 90, 4.0), (3, (3.0, 4.0, 3.5), 5, 6.0), (3, (40.0, 4.0, 4.0), 30, 3.0), (2, (15.0, 13.0, 1.0), 60, 3.0), (1, (60.0, 1.0, 1.0), 25, 5.0), (3, (8.0, 8.0, 8.0), 1, 9.0)]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dimensions, lengths, n, cutoff", CASES)
def test_every_pair_once(path, dimensions, lengths, n, cutoff):
    rng = np.random.default_rng(11)
    box = Box(np.array(lengths), dimensions)
    state, forces = make(path, box, random_positions(rng, box, n, 0.5), rng.integers(0, 2, n).astype(np.int32), cutoff, 0.7)
    pairs = listed(forces)
    assert len(pairs) == len(set(pairs))
    assert close_pairs(state, forces.list_radius) <= set(pairs)


@pytest.mark.parametrize("path", PATHS)
def test_every_pair_once_in_tilted_cells(path):
    """Random cells, edges of 4 to 16 angstrom and any reduced tilt, list radii below and above the cell."""
    rng = np.random.default_rng(21)
    for k in range(12):
        box = Box(rng.uniform(4.0, 16.0, 3), 3, rng.uniform(-0.5, 0.5, 3) if k > 1 else np.array([0.5, -0.5, 0.5]) * (1 - 2 * k))
        n = int(rng.integers(2, 40))
        position = box.placed(rng.random((n, 3)) * box.lengths)
        state, forces = make(path, box, position, rng.integers(0, 2, n).astype(np.int32), float(rng.uniform(2.0, 8.0)), 0.7)
        pairs = listed(forces)
        assert len(pairs) == len(set(pairs))
        assert close_pairs(state, forces.list_radius) <= set(pairs)


@pytest.mark.parametrize("path", PATHS)
def test_crowded_corner(path):
    """All particles in one corner: columns longer than insertion sort takes, many equal heights, most columns empty."""
    rng = np.random.default_rng(2)
    box = Box(np.array([50.0, 50.0, 50.0]))
    position = np.round(rng.random((300, 3)) * [2.0, 2.0, 9.0], 1) + rng.random((300, 3)) * [1e-3, 1e-3, 0]
    state, forces = make(path, box, position, rng.integers(0, 2, 300).astype(np.int32), 3.0, 0.5)
    pairs = listed(forces)
    assert len(pairs) == len(set(pairs)) and close_pairs(state, 3.5) <= set(pairs)


@pytest.mark.parametrize("path", PATHS)
def test_safe_while_nobody_moved_half_a_skin(path):
    """Particles moved by just under skin / 2 in any direction: all pairs within the cutoff are still listed, and `displacement` tells the move."""
    rng = np.random.default_rng(8)
    box = Box(np.array([12.0, 10.0, 11.0]))
    state, forces = make(path, box, random_positions(rng, box, 120, 0.5), rng.integers(0, 2, 120).astype(np.int32), 4.0, 1.0)
    pairs, start = set(listed(forces)), state.position[:state.n_all].copy()
    owner = state.id[:state.n_all]
    for _ in range(20):
        step = rng.normal(size=(120, 3))
        step *= 0.4999 / np.sqrt((step**2).sum(axis=1))[:, None]
        state.position[:state.n_all] = start + step[owner]
        assert close_pairs(state, 4.0) <= pairs
        assert forces.displacement(state) == pytest.approx(0.4999)
    state.position[7] = np.nan
    assert np.isnan(forces.displacement(state))


@pytest.mark.parametrize("field", [FIELD, POWERS], ids=["half", "full"])
@pytest.mark.parametrize("path", PATHS)
def test_inner_parts_do_while_little_of_the_skin_is_spent(path, field):
    """Each pair nearer than the cutoff and the inner skin stands in the inner part of its group, some others do not, and forces of moved particles from the inner parts
    are those from whole lists."""
    rng = np.random.default_rng(15)
    box = Box(np.array([14.0, 13.0, 15.0]))
    state, forces = make(path, box, random_positions(rng, box, 160, 1.0), rng.integers(0, 2, 160).astype(np.int32), 4.0, 1.0, field)
    row, groups, start = forces._slot_row, forces._groups, state.position[:state.n_all].copy()
    inner = set()
    for c in range(forces._clusters):
        own = [row[s] for s in range(4 * c, 4 * c + 4) if row[s] >= 0]
        inner |= {(min(i, j), max(i, j)) for i in own for j in own if i < j}
        for g in range(c * groups, (c + 1) * groups):
            assert forces._pointer[g] <= forces._inner_end[g] <= forces._pointer[g + 1] and (forces._inner_end[g] - forces._pointer[g]) % forces.plan.multiple == 0
            listed = [row[s] for s in forces._neighbour[forces._pointer[g]:forces._inner_end[g]] if s != forces._slots]
            inner |= {(min(i, j), max(i, j)) for i in own for j in listed}
    assert close_pairs(state, 4.0 + forces.inner_skin) <= inner
    assert not close_pairs(state, forces.list_radius) <= inner
    step = rng.normal(size=(160, 3))
    step *= 0.4999 * forces.inner_skin / np.sqrt((step**2).sum(axis=1))[:, None]
    state.position[:state.n_all] = start + step[state.id[:state.n_all]]
    found = []
    for spent in (forces.inner_skin, forces.inner_skin * 1.001, None):
        state.force[:] = 0.0
        forces.compute(state, False, spent)
        found.append((forces._reach is forces._inner_end, state.force[:state.n_all].copy()))
    assert [inner for inner, _ in found] == [True, False, False] and np.array_equal(found[1][1], found[2][1])
    assert np.abs(found[0][1]).max() > 0.01 and np.abs(found[0][1] - found[1][1]).max() < 1e-13 * np.abs(found[1][1]).max() + 1e-15


def test_vector_list_is_the_plain_list():
    rng = np.random.default_rng(4)
    box = Box(np.array([20.0, 18.0, 19.0]))
    position, species = random_positions(rng, box, 400, 0.7), rng.integers(0, 2, 400).astype(np.int32)
    lists = []
    for path in PATHS:
        _, forces = make(path, box, position, species, 5.0, 0.6)
        t = np.concatenate([forces._neighbour[a:b][forces._neighbour[a:b] != forces._slots] for a, b in zip(forces._pointer[:2 * forces._clusters], forces._pointer[1:])])
        lists.append(t)
    assert all(np.array_equal(lists[0], other) for other in lists[1:])


@pytest.mark.parametrize("dimensions, lengths, n, cutoff", CASES)
def test_full_lists(dimensions, lengths, n, cutoff):
    """Pair functions of powers alone: an owned particle is listed at every cluster near it, a ghost once, in groups of their own; plain and vector lists are the same."""
    rng = np.random.default_rng(12)
    box = Box(np.array(lengths), dimensions)
    position, species = random_positions(rng, box, n, 0.5), rng.integers(0, 2, n).astype(np.int32)
    lists = []
    for builder in (None, build_plain):
        state, forces = make(PATHS[-1], box, position, species, cutoff, 0.7, POWERS, builder)
        if not forces.plan.full:
            pytest.skip("plain kernels have half lists")
        row, pairs = forces._slot_row, []
        for c in range(forces._clusters):
            own = [row[s] for s in range(4 * c, 4 * c + 4) if row[s] >= 0]
            pairs += [(i, j) for i in own for j in own if i != j]
            for group in range(4):
                for s in forces._neighbour[forces._pointer[4 * c + group]:forces._pointer[4 * c + group + 1]]:
                    if s != forces._slots:
                        assert forces._species[s] == group % 2 and (row[s] >= n) == (group >= 2)
                        pairs += [(i, row[s]) for i in own]
        assert len(pairs) == len(set(pairs))
        close = close_pairs(state, forces.list_radius)
        assert close | {(j, i) for i, j in close if j < n} <= set(pairs)
        lists.append(forces._neighbour[:forces.list_length])
    assert np.array_equal(*lists)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_far_from_the_origin(axis):
    """float32 distances and columns are taken from the middle of the rows: a box of 3000 angstrom along any axis loses no pair to rounding."""
    rng = np.random.default_rng(6)
    box = Box(np.where(np.arange(3) == axis, 3000.0, 6.0))
    position = rng.random((400, 3)) * box.lengths
    base = position[:200]
    r = rng.normal(size=(200, 3))
    position[200:] = base + r * (2.5 - 1e-7) / np.sqrt((r**2).sum(axis=1))[:, None]       # partners just inside the list radius
    state, forces = make(PATHS[-1], box, position, np.zeros(400, np.int32), 2.0, 0.5)
    assert close_pairs(state, 2.5) <= set(listed(forces))


def test_column_width_of_flat_and_single_systems():
    assert column_width(np.zeros(3), 1, 3.0) == 1.0
    assert column_width(np.array([10.0, 10.0, 0.0]), 100, 12.0) == pytest.approx(2.0)
    assert column_width(np.array([1e5, 0, 0]), 4, 3.0) == 3.0
