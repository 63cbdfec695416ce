"""Lanes looked up in an array, lanes in another order, and some of them packed together."""
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from . import inner
from .simd import I32, I64, Vec, call, integers, lanes, llvm_vector, ones, pointer, store_vector

load, store = lanes(8).load, lanes(8).store
# [8 m : 8 m + 8]: the lanes that the bits of m tell, in rising order, then the others
ORDER = np.array([sorted(range(8), key=lambda lane: not m >> lane & 1) for m in range(256)], np.int32).ravel()


@intrinsic
def looked_up(typing, array, places):
    """array[places] of a one-dimensional array and int32 lanes, none of them negative."""
    vec = Vec(array.dtype, places.n)

    def code(context, builder, sig, args):
        data, out = context.make_array(sig.args[0])(context, builder, args[0]).data, ir.Constant(llvm_vector(vec), ir.Undefined)
        for lane in range(vec.n):
            place = builder.sext(builder.extract_element(args[1], ir.Constant(I32, lane)), I64)
            out = builder.insert_element(out, builder.load(builder.gep(data, [place])), ir.Constant(I32, lane))
        return out
    return vec(array, places), code


@intrinsic
def reordered(typing, v, order):
    """v[order] for 8 lanes of int32. AVX2."""
    def code(context, builder, sig, args):
        return call(builder, "llvm.x86.avx2.permd", llvm_vector(v), args)
    return v(v, order), code


def _half(first, doc):
    @intrinsic
    def half(typing, v):
        def code(context, builder, sig, args):
            return builder.shuffle_vector(args[0], args[0], integers(range(first, first + 8)))
        return Vec(v.element, 8)(v), code
    half.__doc__ = doc
    return half


first_half, second_half = _half(0, "The first 8 lanes of 16."), _half(8, "The last 8 lanes of 16.")


@intrinsic
def _store_packed(typing, array, index, v, chosen):
    """As `put_packed`, without their number. AVX-512."""
    def code(context, builder, sig, args):
        mask = builder.bitcast(builder.trunc(args[3], ir.IntType(v.n)), ir.VectorType(ir.IntType(1), v.n))
        value = call(builder, f"llvm.x86.avx512.mask.compress.v{v.n}i32", llvm_vector(v), [args[2], ir.Constant(llvm_vector(v), None), mask])
        store_vector(builder, value, pointer(context, builder, sig.args[0], args[0], args[1], sig.args[1]), 4)
        return context.get_dummy_value()
    return types.void(array, index, v, chosen), code


@inner
def put_packed(order, array, index, v, chosen):
    """Those of 16 int32 lanes that the bits of `chosen` (int64) tell, in rising order, into array[index:]; returns their number. Up to 16 elements from `index` on are
    written. order: None with AVX-512, ORDER with AVX2."""
    if order is None:
        _store_packed(array, index, v, chosen)
        return ones(chosen)
    number = ones(chosen & 255)
    store(array, index, reordered(first_half(v), load(order, 8 * (chosen & 255))))
    store(array, index + number, reordered(second_half(v), load(order, 8 * (chosen >> 8))))
    return number + ones(chosen >> 8)
