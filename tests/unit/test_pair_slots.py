"""Positions on their way into slots and forces on their way back: vector code against plain code, which is the definition."""
import numpy as np
import pytest

from hpcnemd.kernels import njit, pair_slots, pair_slots_simd
from hpcnemd.kernels.simd import available_paths

pytestmark = pytest.mark.skipif(len(available_paths()) == 1, reason="no vector code runs here")
OWNED, GHOSTS, N = 12, 9, 14                    # slots of either kind; rows of the state


@njit
def plain(position, slot_row, route, shift, owned, slots, rows):
    pair_slots.lay_out_positions(position, slot_row, route, shift, owned, slots, rows)


@njit
def vector(position, slot_row, route, shift, owned, slots, rows):
    pair_slots_simd.lay_out_positions(position, slot_row, route, shift, owned, slots, rows)


@njit
def plain_fractions(per_length, middle, position, slot_row, route, shift, owned, slots, rows):
    pair_slots.lay_out_fractions(per_length, middle, position, slot_row, route, shift, owned, slots, rows)


@njit
def vector_fractions(per_length, middle, position, slot_row, route, shift, owned, slots, rows):
    pair_slots_simd.lay_out_fractions(per_length, middle, position, slot_row, route, shift, owned, slots, rows)


@njit
def plain_back(force_rows, slot_row, slots, receiving, force):
    pair_slots.bring_back(force_rows, slot_row, slots, receiving, force)


@njit
def vector_back(force_rows, slot_row, slots, receiving, force):
    pair_slots_simd.bring_back(force_rows, slot_row, slots, receiving, force)


def arrangement():
    """(positions, slot_row, route, shift): empty slots among the owned ones, ghosts that follow owners and ghosts with rows of their own."""
    rng = np.random.default_rng(3)
    slot_row = np.full(OWNED + GHOSTS, -1, np.int32)
    slot_row[:OWNED] = rng.permutation(OWNED)
    slot_row[[3, 6, 7]] = -1
    slot_row[OWNED:] = rng.integers(0, N, GHOSTS)
    route = np.array([0, -1, 1, 1, 0, 2, -1, -1, 2], np.int32)
    return rng.uniform(-30, 50, (N, 3)), slot_row, route, rng.uniform(-20, 20, (3, 3))


def laid_out(function, kind, *given):
    """(slots + 1, 3) after rows of an unlikely number."""
    rows = np.full(4 * (OWNED + GHOSTS + 2), 77, kind)
    function(*given, OWNED, OWNED + GHOSTS, rows)
    assert np.all(rows[-4:] == 77)
    return rows[:-4].reshape(-1, 4)[:, :3]


def test_positions_go_into_slots():
    assert np.array_equal(laid_out(plain, np.float64, *arrangement()), laid_out(vector, np.float64, *arrangement()))


def test_fractions_go_into_slots():
    position, slot_row, route, shift = arrangement()
    period = np.array([41.0, 37.0, 52.0])
    given = 2.0**32 / period, 2.0**32 * np.array([0.5, 0.3, 0.7]), position, slot_row, route, shift
    found = laid_out(vector_fractions, np.int32, *given)
    assert np.array_equal(laid_out(plain_fractions, np.int32, *given), found)
    exact = position[slot_row[OWNED:]] + np.where(route[:, None] >= 0, shift[route], 0.0)
    difference = (found[OWNED:-1] * (period / 2.0**32) - exact) / period
    assert np.abs(difference - np.rint(difference)).max() < 0.6 / 2**32


def test_whole_fractions_stay_as_they_are():
    """What is a whole number already, as in tilted cells, is one modulo 2^32."""
    _, slot_row, route, _ = arrangement()
    position = np.random.default_rng(4).integers(-2**40, 2**40, (N, 3)).astype(float)
    given = np.ones(3), np.zeros(3), position, slot_row, np.full_like(route, -1), np.zeros((1, 3))
    for function in (plain_fractions, vector_fractions):
        found = laid_out(function, np.int32, *given)[OWNED:-1]
        assert np.array_equal((found - position[slot_row[OWNED:]]) % 2**32, np.zeros_like(found))


@pytest.mark.parametrize("receiving", [0, OWNED])
def test_forces_come_back_once(receiving):
    _, slot_row, _, _ = arrangement()
    rng = np.random.default_rng(5)
    sent, before = rng.normal(size=(OWNED + GHOSTS + 1, 4)), rng.normal(size=(N, 3))
    want = before.copy()
    for row, force in list(zip(slot_row, sent))[receiving:]:
        if row >= 0:
            want[row] += force[:3]
    for function in (plain_back, vector_back):
        rows, force = before.copy(), sent.copy().ravel()
        function(rows, slot_row, OWNED + GHOSTS, receiving, force)
        assert np.array_equal(rows, want)
        assert not force[4 * receiving:].any() and np.array_equal(force[:4 * receiving], sent.ravel()[:4 * receiving])
