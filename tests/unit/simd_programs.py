"""Kernels that use the vector types, for test_simd."""
from numba import njit

from hpcnemd.kernels.simd import absolute, bits, extract, floor, fma, lanes, maximum, minimum, power_of_two, rint, select, sqrt, to_float, to_integer, total, trailing_zeros
from hpcnemd.kernels.simd_places import looked_up, reordered
from hpcnemd.kernels.simd_rows import add_four, add_four_at, add_three, load_four, load_three, low_words, rows

load, store = lanes(8).load, lanes(8).store


@njit(error_model="numpy")
def arithmetic(a, b, out):
    for k in range(0, 16, 8):
        x, y = load(a, k), load(b, k)
        store(out, k, x + y)
        store(out, 16 + k, x - y)
        store(out, 32 + k, x * y)
        store(out, 48 + k, x / y)
        store(out, 64 + k, -x)
        store(out, 80 + k, minimum(x, y))
        store(out, 96 + k, maximum(x, y))
        store(out, 112 + k, select(x < y, x, y))
        store(out, 128 + k, absolute(x))
        store(out, 144 + k, floor(x))
        store(out, 160 + k, rint(x))
        store(out, 176 + k, sqrt(absolute(x)))
    return total(load(a, 0)), bits(load(a, 0) >= load(b, 0))


@njit(error_model="numpy")
def fused(a, b, c, out):
    store(out, 0, fma(load(a, 0), load(b, 0), load(c, 0)))


@njit(error_model="numpy")
def integers(a, out):
    x = load(a, 0)
    store(out, 0, x + 9)
    store(out, 8, x * 3)
    store(out, 16, x & 255)
    store(out, 24, x << 2)
    store(out, 32, x >> 3)


@njit(error_model="numpy")
def places(array, order, out):
    found = looked_up(array, load(order, 0))
    store(out, 0, found)
    store(out, 8, reordered(found, load(order, 8)))


@njit(error_model="numpy")
def unsigned_shift(a, out):
    store(out, 0, load(a, 0) >> 3)


@njit(error_model="numpy")
def bit_walk(mask):
    result, scale = 0, 1
    while mask:
        result += scale * trailing_zeros(mask)
        scale *= 100
        mask &= mask - 1
    return result


@njit(error_model="numpy")
def powers(shifted, out):
    store(out, 0, power_of_two(load(shifted, 0)))


@njit(error_model="numpy")
def conversions(a, out):
    whole = to_integer(load(a, 0))
    store(out, 0, to_float(whole))
    return extract(whole, 5)


def _rows_program(k):
    r = rows(k)
    load_rows, load_i, x_of, y_of, z_of, row_sums, subtract_rows, xs_of, ys_of, zs_of = (
        r.load_rows, r.load_i, r.x_of, r.y_of, r.z_of, r.row_sums, r.subtract_rows, r.xs_of, r.ys_of, r.zs_of)

    @njit(error_model="numpy")
    def program(table, index, i, own, force, own_force, row_force):
        v, x, four = load_rows(table, index, 0), load_i(i, 0), load_four(table, own)
        dx, dy, dz = x - x_of(v), (x - y_of(v)) * 2.0, (x - z_of(v)) * 3.0
        subtract_rows(force, index, 0, row_sums(dx, dy, dz))
        dx, dy, dz = xs_of(four) - x_of(v), ys_of(four) - y_of(v), zs_of(four) - z_of(v)
        add_four(own_force, 1, dx, dy, dz)
        add_four_at(row_force, index, 4, dx, dy, dz)
    return program


store_four = lanes(4).store
ROWS = {k: _rows_program(k) for k in (1, 2, 4)}


@njit(error_model="numpy")
def threes(position, row, out):
    """Row `row` twice: copied into `out`, and added to its own place."""
    v = load_three(position, row)
    store_four(out, 0, v)
    add_three(position, row, v)


@njit(error_model="numpy")
def words(a, out):
    store_four(out, 0, low_words(load_three(a, 0)))
