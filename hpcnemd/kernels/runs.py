"""Rows of a mesh added to others, or copied to them, some numbers at a time: a row is short, and a loop that the compiler makes of it spends most of its time on the end.

Arrays are flat, of float64 or float32; of two types numbers are added in the wider one and stored in that of the target."""
from numba import types
from numba.extending import intrinsic

from . import inner
from .simd import BYTES, Vec, llvm_vector, load_vector, pointer, store_vector


def _block(n, adds):
    """move(into, at, out, start): out[start : start + n] to into[at : at + n], or added to it."""
    @intrinsic
    def move(typing, into, at, out, start):
        wide = types.float64 if types.float64 in (into.dtype, out.dtype) else types.float32

        def widened(builder, value, kind):
            return value if kind == wide else builder.fpext(value, llvm_vector(Vec(wide, n)))

        def code(context, builder, sig, args):
            place, source = (pointer(context, builder, sig.args[k], args[k], args[k + 1], sig.args[k + 1]) for k in (0, 2))
            value = load_vector(builder, source, llvm_vector(Vec(out.dtype, n)), BYTES[out.dtype])
            if adds:
                present = load_vector(builder, place, llvm_vector(Vec(into.dtype, n)), BYTES[into.dtype])
                value = builder.fadd(widened(builder, present, into.dtype), widened(builder, value, out.dtype))
            else:
                value = widened(builder, value, out.dtype)
            if into.dtype != wide:
                value = builder.fptrunc(value, llvm_vector(Vec(into.dtype, n)))
            store_vector(builder, value, place, BYTES[into.dtype])
            return context.get_dummy_value()
        return types.void(into, at, out, start), code
    return move


_add8, _add4, _add1 = (_block(n, True) for n in (8, 4, 1))
_copy8, _copy4, _copy1 = (_block(n, False) for n in (8, 4, 1))


@inner
def add_run(into, at, out, start, count):
    """into[at : at + count] += out[start : start + count]."""
    done = 0
    while done + 8 <= count:
        _add8(into, at + done, out, start + done)
        done += 8
    if done + 4 <= count:
        _add4(into, at + done, out, start + done)
        done += 4
    while done < count:
        _add1(into, at + done, out, start + done)
        done += 1


@inner
def copy_run(into, at, out, start, count):
    """into[at : at + count] = out[start : start + count], of two arrays; the last numbers of a row may be copied twice."""
    if count >= 8:
        for done in range(0, count - 7, 8):
            _copy8(into, at + done, out, start + done)
        _copy8(into, at + count - 8, out, start + count - 8)
    elif count >= 4:
        _copy4(into, at, out, start)
        _copy4(into, at + count - 4, out, start + count - 4)
    else:
        for done in range(count):
            _copy1(into, at + done, out, start + done)
