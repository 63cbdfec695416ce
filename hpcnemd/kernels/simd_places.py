"""Lanes looked up in an array, and lanes in another order."""
from llvmlite import ir
from numba.extending import intrinsic

from .simd import I32, I64, Vec, call, llvm_vector


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
