"""Vectors made of k rows of 4 lanes, for pairs of 4 particles i with k particles j: lane 4 r + l holds the pair (i_l, j_r).
Arrays of rows are flat with 4 elements a particle (x, y, z, unused); a row is one 256-bit load in float64."""
import functools
import types as pytypes

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .simd import BYTES, FLAGS, I32, I64, LLVM, Vec, call, integers, llvm_vector, load_vector, pointer, store_vector


def _row_address(context, builder, sig, args, row):
    """Address of row args[1][args[2] + row] of the flat array args[0]."""
    where = builder.add(context.cast(builder, args[2], sig.args[2], types.intp), ir.Constant(I64, row))
    j = builder.sext(builder.load(pointer(context, builder, sig.args[1], args[1], where, types.intp)), I64)
    return pointer(context, builder, sig.args[0], args[0], builder.shl(j, ir.Constant(I64, 2)), types.intp)


def _joined(builder, parts):
    """One vector of all parts (their number is a power of two)."""
    while len(parts) > 1:
        parts = [builder.shuffle_vector(a, b, integers(range(2 * a.type.count))) for a, b in zip(parts[::2], parts[1::2])]
    return parts[0]


def _row(element):
    return ir.VectorType(LLVM[element], 4)


def _subtract_row(builder, address, value, row, element):
    """The 4 elements (of type `element`) at `address` -= row `row` of value; float32 lanes are widened for float64 elements."""
    part = builder.shuffle_vector(value, value, integers(range(4 * row, 4 * row + 4))) if value.type.count > 4 else value
    if part.type != _row(element):
        part = builder.fpext(part, _row(element))
    size = BYTES[element]
    store_vector(builder, builder.fsub(load_vector(builder, address, part.type, size), part, flags=FLAGS), address, size)


def _four_rows(builder, columns):
    """The sums of the rows of three vectors (x, y, z of the particles i) as four rows of 4 lanes, the last of them zero."""
    x, y, z = (_sum_of_rows(builder, value) for value in columns)
    zero = ir.Constant(x.type, None)
    (a, b), (c, d) = ([builder.shuffle_vector(p, q, integers(pattern)) for pattern in ((0, 4, 2, 6), (1, 5, 3, 7))] for p, q in ((x, y), (z, zero)))
    return [builder.shuffle_vector(p, q, integers(pattern)) for pattern in ((0, 1, 4, 5), (2, 3, 6, 7)) for p, q in ((a, c), (b, d))]


def _sum_of_rows(builder, value):
    while value.type.count > 4:
        half = value.type.count // 2
        low, high = (builder.shuffle_vector(value, value, integers(range(o, o + half))) for o in (0, half))
        value = builder.fadd(low, high, flags=FLAGS)
    return value


def _three(context, builder, kind, array, row):
    """Addresses of the first and of the last number of a row of an (n, 3) array."""
    first = pointer(context, builder, kind, array, builder.mul(row, ir.Constant(I64, 3)), types.intp)
    return first, builder.gep(first, [ir.Constant(I64, 2)])


def _add_three(context, builder, kind, array, row, value):
    """Row `row` of an (n, 3) array += lanes 0, 1, 2 of value, in two and one, so that nothing behind the row is touched."""
    pair, last = _three(context, builder, kind, array, row)
    two = builder.shuffle_vector(value, value, integers((0, 1)))
    store_vector(builder, builder.fadd(load_vector(builder, pair, two.type, 8), two, flags=FLAGS), pair, 8)
    one = builder.extract_element(value, ir.Constant(I32, 2))
    builder.store(builder.fadd(builder.load(last), one, flags=FLAGS), last)


@intrinsic
def load_three(typing, array, row):
    """array[row] of a float64 array (n, 3), or (3,) and row 0, with 0 in the fourth lane; nothing behind the row is read."""
    vec = Vec(array.dtype, 4)

    def code(context, builder, sig, args):
        pair, last = _three(context, builder, sig.args[0], args[0], context.cast(builder, args[1], sig.args[1], types.intp))
        two = load_vector(builder, pair, ir.VectorType(LLVM[array.dtype], 2), BYTES[array.dtype])
        one = builder.insert_element(ir.Constant(two.type, None), builder.load(last), ir.Constant(I32, 0))
        return builder.shuffle_vector(two, one, integers((0, 1, 2, 3)))
    return vec(array, row), code


@intrinsic
def prefetch_three(typing, array, row):
    """Asks the memory for array[row] of an array (n, 3) that is wanted soon; nothing is read, so the row may lie outside the array."""
    def code(context, builder, sig, args):
        address, _ = _three(context, builder, sig.args[0], args[0], context.cast(builder, args[1], sig.args[1], types.intp))
        byte, often, data = ir.IntType(8).as_pointer(), ir.Constant(I32, 3), ir.Constant(I32, 1)
        call(builder, "llvm.prefetch.p0i8", ir.VoidType(), [builder.bitcast(address, byte), ir.Constant(I32, 0), often, data])
        return context.get_dummy_value()
    return types.void(array, row), code


@intrinsic
def add_three(typing, array, row, value):
    """array[row] += lanes 0, 1, 2 of value, for a float64 array (n, 3)."""
    def code(context, builder, sig, args):
        _add_three(context, builder, sig.args[0], args[0], context.cast(builder, args[1], sig.args[1], types.intp), args[2])
        return context.get_dummy_value()
    return types.void(array, row, value), code


@intrinsic
def low_words(typing, v):
    """The lower half of the bits of each float64 lane as int32."""
    vec = Vec(types.int32, v.n)

    def code(context, builder, sig, args):
        words = builder.bitcast(args[0], ir.VectorType(I32, 2 * v.n))
        return builder.shuffle_vector(words, words, integers(range(0, 2 * v.n, 2)))
    return vec(v), code


@intrinsic
def load_four(typing, array, first):
    """Rows first, ..., first + 3 of `array`, the four of a cluster, in one vector of 16 lanes."""
    vec = Vec(array.dtype, 16)

    def code(context, builder, sig, args):
        at = builder.shl(context.cast(builder, args[1], sig.args[1], types.intp), ir.Constant(I64, 2))
        return load_vector(builder, pointer(context, builder, sig.args[0], args[0], at, types.intp), llvm_vector(vec), BYTES[array.dtype])
    return vec(array, first), code


@intrinsic
def add_four(typing, array, first, x, y, z):
    """Rows first, ..., first + 3 of `array` += the sums of the rows of x, y and z."""
    def code(context, builder, sig, args):
        at = builder.shl(context.cast(builder, args[1], sig.args[1], types.intp), ir.Constant(I64, 2))
        for lane, row in enumerate(_four_rows(builder, args[2:])):
            address = pointer(context, builder, sig.args[0], args[0], builder.add(at, ir.Constant(I64, 4 * lane)), types.intp)
            store_vector(builder, builder.fadd(load_vector(builder, address, row.type, 8), row, flags=FLAGS), address, 8)
        return context.get_dummy_value()
    return types.void(array, first, x, y, z), code


@intrinsic
def add_four_at(typing, array, index, first, x, y, z):
    """array[index[first + l]] += the sums over the rows of x, y and z in lane l, for a float64 array (n, 3); where the index is negative, nothing."""
    def code(context, builder, sig, args):
        at = context.cast(builder, args[2], sig.args[2], types.intp)
        for lane, row in enumerate(_four_rows(builder, args[3:])):
            i = builder.load(pointer(context, builder, sig.args[1], args[1], builder.add(at, ir.Constant(I64, lane)), types.intp))
            with builder.if_then(builder.icmp_signed(">=", i, ir.Constant(i.type, 0)), likely=True):
                _add_three(context, builder, sig.args[0], args[0], builder.sext(i, I64), row)
        return context.get_dummy_value()
    return types.void(array, index, first, x, y, z), code


@functools.cache
def rows(k):
    """Namespace of the row functions for k rows (k = 1, 2, 4)."""
    n = 4 * k

    @intrinsic
    def load_rows(typing, array, index, start):
        """Rows index[start], ..., index[start + k - 1] of `array`."""
        vec = Vec(array.dtype, n)

        def code(context, builder, sig, args):
            return _joined(builder, [load_vector(builder, _row_address(context, builder, sig, args, r), _row(array.dtype), BYTES[array.dtype]) for r in range(k)])
        return vec(array, index, start), code

    @intrinsic
    def load_rows_at(typing, array, first):
        """Rows first, ..., first + k - 1 of `array`."""
        vec = Vec(array.dtype, n)

        def code(context, builder, sig, args):
            at = builder.shl(context.cast(builder, args[1], sig.args[1], types.intp), ir.Constant(I64, 2))
            return load_vector(builder, pointer(context, builder, sig.args[0], args[0], at, types.intp), llvm_vector(vec), BYTES[array.dtype])
        return vec(array, first), code

    @intrinsic
    def load_quads(typing, array, offsets):
        """array[o : o + 4] for each of the k offsets (a tuple of integers), one a row."""
        vec = Vec(array.dtype, n)

        def code(context, builder, sig, args):
            parts = []
            for r in range(k):
                address = pointer(context, builder, sig.args[0], args[0], builder.extract_value(args[1], r), offsets.dtype)
                parts.append(load_vector(builder, address, _row(array.dtype), BYTES[array.dtype]))
            return _joined(builder, parts)
        return vec(array, offsets), code

    @intrinsic
    def load_i(typing, array, first):
        """array[first : first + 4] in every row."""
        vec = Vec(array.dtype, n)

        def code(context, builder, sig, args):
            part = load_vector(builder, pointer(context, builder, sig.args[0], args[0], args[1], sig.args[1]), _row(array.dtype), BYTES[array.dtype])
            return builder.shuffle_vector(part, part, integers([lane % 4 for lane in range(n)]))
        return vec(array, first), code

    def make_component(c):
        @intrinsic
        def component(typing, v):
            """Element c of each row in all lanes of the row."""
            def code(context, builder, sig, args):
                return builder.shuffle_vector(args[0], args[0], integers([lane - lane % 4 + c for lane in range(n)]))
            return v(v), code
        return component

    def make_of_four(c):
        @intrinsic
        def component(typing, four):
            """Element c of the four rows in every row."""
            def code(context, builder, sig, args):
                return builder.shuffle_vector(args[0], args[0], integers([4 * (lane % 4) + c for lane in range(n)]))
            return Vec(four.element, n)(four), code
        return component

    @intrinsic
    def row_sums(typing, a, b, c):
        """Row r becomes [sum of a's row r, of b's, of c's, 0], by shuffles inside 128-bit halves and one across them."""
        def code(context, builder, sig, args):
            def pick(x, y, pattern):
                return builder.shuffle_vector(x, y, integers([4 * r + o if o < 4 else n + 4 * r + o - 4 for r in range(k) for o in pattern]))

            def add(x, y):
                return builder.fadd(x, y, flags=FLAGS)
            zero = ir.Constant(args[0].type, None)
            ab = add(pick(args[0], args[1], (0, 4, 2, 6)), pick(args[0], args[1], (1, 5, 3, 7)))
            cz = add(pick(args[2], zero, (0, 4, 2, 6)), pick(args[2], zero, (1, 5, 3, 7)))
            return add(pick(ab, cz, (0, 1, 4, 5)), pick(ab, cz, (2, 3, 6, 7)))
        return a(a, b, c), code

    @intrinsic
    def subtract_rows(typing, array, index, start, value):
        """array row index[start + r] -= row r, one after another, so that equal indices are right."""
        def code(context, builder, sig, args):
            for r in range(k):
                _subtract_row(builder, _row_address(context, builder, sig, args, r), args[3], r, array.dtype)
            return context.get_dummy_value()
        return types.void(array, index, start, value), code

    return pytypes.SimpleNamespace(load_rows=load_rows, load_rows_at=load_rows_at, load_quads=load_quads, load_i=load_i, x_of=make_component(0), y_of=make_component(1),
                                   z_of=make_component(2), xs_of=make_of_four(0), ys_of=make_of_four(1), zs_of=make_of_four(2), row_sums=row_sums, subtract_rows=subtract_rows)
