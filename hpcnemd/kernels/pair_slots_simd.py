"""The way from rows of the state to slots and back with vector code, one row of three numbers at a time: `pair_slots`, but for ties between two fractions, which go to
the even one. Its work is memory traffic and little else, so a row costs one load, one store and no branch that depends on where particles stand."""
from . import inner
from .pair_slots import FAR, place_apart
from .simd import fma, lanes
from .simd_rows import add_three, load_three, low_words, prefetch_three

load, splat, store = lanes(4).load, lanes(4).splat, lanes(4).store
AHEAD = 32                  # slots: their rows lie scattered over the state, and those of a large system have left the near caches
MAGIC = 1.5 * 2**52         # adding it rounds to an integer, whose lowest 32 bits then are those of the sum


@inner
def _shifted(position, row, shift, r):
    """Row `row` of the positions (n, 3), moved by shift[r] if r >= 0."""
    return fma(load_three(shift, max(r, 0)), 1.0 if r >= 0 else 0.0, load_three(position, row))


@inner
def lay_out_positions(position, slot_row, route, shift, owned_slots, slots, rows):
    """See pair_slots.lay_out_positions."""
    for s in range(owned_slots):
        row = slot_row[s]
        prefetch_three(position, slot_row[min(s + AHEAD, slots - 1)])
        if row >= 0:
            store(rows, 4 * s, load_three(position, row))
        else:
            rows[4 * s], rows[4 * s + 1], rows[4 * s + 2] = FAR * (2.0 + s % 4), FAR, FAR
    for s in range(owned_slots, slots):
        prefetch_three(position, slot_row[min(s + AHEAD, slots - 1)])
        store(rows, 4 * s, _shifted(position, slot_row[s], shift, route[s - owned_slots]))
    store(rows, 4 * slots, splat(-FAR))


@inner
def lay_out_fractions(per_length, middle, position, slot_row, route, shift, owned_slots, slots, rows):
    """See pair_slots.lay_out_fractions; places of less than 2^50 units are right."""
    scale = load_three(per_length, 0)
    for s in range(owned_slots):
        row = slot_row[s]
        prefetch_three(position, slot_row[min(s + AHEAD, slots - 1)])
        if row >= 0:
            store(rows, 4 * s, low_words(load_three(position, row) * scale + MAGIC))
        else:
            place_apart(s, s % 4, middle, rows)
    for s in range(owned_slots, slots):
        prefetch_three(position, slot_row[min(s + AHEAD, slots - 1)])
        store(rows, 4 * s, low_words(_shifted(position, slot_row[s], shift, route[s - owned_slots]) * scale + MAGIC))
    place_apart(slots, -1, middle, rows)


@inner
def bring_back(force_rows, slot_row, slots, receiving, force):
    """See pair_slots.bring_back."""
    for s in range(receiving, slots):
        row = slot_row[s]
        if row >= 0:
            add_three(force_rows, row, load(force, 4 * s))
        store(force, 4 * s, splat(0.0))
    store(force, 4 * slots, splat(0.0))
