"""Explicit SIMD values in numba: a type `Vec(scalar, lanes)` that LLVM sees as a vector, with operators and the functions below.

The auto-vectoriser leaves cluster loops an order of magnitude slower; here every vector instruction is asked for by name, in pure Python, and numba
caches the result. Element types come from the arguments; functions that make vectors (`load`, `splat`, ...) stand in `lanes(n)`.
No floating-point flag that would reorder or contract is set: the bits depend on the source text only, and fma appears where it is written.
`fma` is llvm.fmuladd: one instruction where the processor has it, a multiplication and an addition elsewhere (llvm.fma would call a library).
Paths: "plain" (ordinary numba code, any processor), "avx2" (x86 with AVX2 and FMA), "avx512" (F, DQ, BW, VL); the last is for `rsqrt14` and `rcp14`."""
import functools
import operator
import os
import types as pytypes

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

FLAGS = ("nsz",)
PATHS = ("plain", "avx2", "avx512")
NEEDS = {"plain": (), "avx2": ("avx2", "fma"), "avx512": ("avx512f", "avx512dq", "avx512bw", "avx512vl", "avx2", "fma")}


@functools.cache
def available_paths():
    """The paths that this processor (or NUMBA_CPU_FEATURES, where set) can run, slowest first."""
    if config.CPU_FEATURES is not None:
        have = {name for name in config.CPU_FEATURES.replace("+", "").split(",")}
    else:
        have = {name for name, on in llvm.get_host_cpu_features().items() if on}
    return [path for path in PATHS if have.issuperset(NEEDS[path])]


def choose_path(path="auto"):
    """`path`, or for "auto" the environment's HPCNEMD_KERNELS, or else the fastest available. Raises ValueError where it cannot run here."""
    wanted = path if path != "auto" else os.environ.get("HPCNEMD_KERNELS", "auto")
    if wanted == "auto":
        return available_paths()[-1]
    if wanted not in available_paths():
        raise ValueError(f'kernel path "{wanted}": this machine runs {", ".join(available_paths())}; set HPCNEMD_KERNELS to one of them or leave it out')
    return wanted


class Vec(types.Type):
    """`n` lanes of a numba scalar type; lanes of types.boolean make a mask."""
    def __init__(self, element, n):
        self.element, self.n = element, n
        super().__init__(name=f"vec<{n} x {element}>")

    @property
    def key(self):
        return self.element, self.n


LLVM = {types.float64: ir.DoubleType(), types.float32: ir.FloatType(), types.int32: ir.IntType(32), types.int64: ir.IntType(64),
        types.uint32: ir.IntType(32), types.uint64: ir.IntType(64), types.boolean: ir.IntType(1)}
BYTES = {types.float64: 8, types.float32: 4, types.int32: 4, types.int64: 8, types.uint32: 4, types.uint64: 8}
I32, I64 = ir.IntType(32), ir.IntType(64)


def llvm_vector(vec):
    return ir.VectorType(LLVM[vec.element], vec.n)


@register_model(Vec)
class _VecModel(models.PrimitiveModel):
    def __init__(self, manager, vec):
        super().__init__(manager, vec, llvm_vector(vec))


def is_float(element):
    return element in (types.float64, types.float32)


def is_unsigned(element):
    return element in (types.uint32, types.uint64)


def integers(values):
    """A constant vector of 32-bit integers: shuffle indices."""
    return ir.Constant(ir.VectorType(I32, len(values)), list(values))


def broadcast(builder, scalar, n):
    one = builder.insert_element(ir.Constant(ir.VectorType(scalar.type, n), ir.Undefined), scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, one, integers([0] * n))


def as_vector(context, builder, value, kind, vec):
    """`value` of numba type `kind` as an LLVM vector of type `vec`; scalars go to all lanes."""
    return value if isinstance(kind, Vec) else broadcast(builder, context.cast(builder, value, kind, vec.element), vec.n)


def pointer(context, builder, kind, array, index, index_kind):
    """Address of flat element `index` of a one-dimensional array."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [context.cast(builder, index, index_kind, types.intp)])


def load_vector(builder, address, kind, size):
    return builder.load(builder.bitcast(address, kind.as_pointer()), align=size, typ=kind)


def store_vector(builder, value, address, size):
    builder.store(value, builder.bitcast(address, value.type.as_pointer()), align=size)


def call(builder, name, result, arguments):
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


# ---- operators -------------------------------------------------------------------------------------------------------------
ARITHMETIC = {operator.add: ("fadd", "add", "add"), operator.sub: ("fsub", "sub", "sub"), operator.mul: ("fmul", "mul", "mul"),
              operator.truediv: ("fdiv", None, None), operator.and_: (None, "and_", "and_"), operator.or_: (None, "or_", "or_"),
              operator.xor: (None, "xor", "xor"), operator.lshift: (None, "shl", "shl"), operator.rshift: (None, "ashr", "lshr")}
COMPARISON = {operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=", operator.eq: "==", operator.ne: "!="}
MIXED = ((Vec, Vec), (Vec, types.Number), (types.Number, Vec))


def _common(arguments):
    """The vector type of a binary operation, or None where none of the two is a vector or they differ."""
    vectors = [a for a in arguments if isinstance(a, Vec)]
    others = [a for a in arguments if not isinstance(a, Vec)]
    if len(arguments) != 2 or not vectors or any(v != vectors[0] for v in vectors) or not all(isinstance(a, types.Number) for a in others):
        return None
    return vectors[0]


def _register_arithmetic(op, names):
    @infer_global(op)
    class Template(AbstractTemplate):
        def generic(self, args, kws):
            vec = _common(args)
            name = vec and names[0 if is_float(vec.element) else 1]
            return signature(vec, *args) if name else None

    def lower(context, builder, sig, args):
        vec = sig.return_type
        a, b = (as_vector(context, builder, v, k, vec) for v, k in zip(args, sig.args))
        if is_float(vec.element):
            return getattr(builder, names[0])(a, b, flags=FLAGS)
        return getattr(builder, names[2 if is_unsigned(vec.element) else 1])(a, b)

    for kinds in MIXED:
        lower_builtin(op, *kinds)(lower)


def _register_comparison(op, symbol):
    @infer_global(op)
    class Template(AbstractTemplate):
        def generic(self, args, kws):
            vec = _common(args)
            return signature(Vec(types.boolean, vec.n), *args) if vec else None

    def lower(context, builder, sig, args):
        vec = _common(sig.args)
        a, b = (as_vector(context, builder, v, k, vec) for v, k in zip(args, sig.args))
        if is_float(vec.element):
            return builder.fcmp_ordered(symbol, a, b)
        return (builder.icmp_unsigned if is_unsigned(vec.element) else builder.icmp_signed)(symbol, a, b)

    for kinds in MIXED:
        lower_builtin(op, *kinds)(lower)


for _op, _names in ARITHMETIC.items():
    _register_arithmetic(_op, _names)
for _op, _symbol in COMPARISON.items():
    _register_comparison(_op, _symbol)


@infer_global(operator.neg)
class _Negation(AbstractTemplate):
    def generic(self, args, kws):
        return signature(args[0], args[0]) if isinstance(args[0], Vec) else None


@lower_builtin(operator.neg, Vec)
def _negate(context, builder, sig, args):
    return builder.fneg(args[0]) if is_float(sig.args[0].element) else builder.neg(args[0])


# ---- functions whose types follow from their arguments -------------------------------------------------------------------------
def _widest(*kinds):
    return next(k for k in kinds if isinstance(k, Vec))


@intrinsic
def fma(typing, a, b, c):
    """a * b + c; scalars among the three go to all lanes."""
    vec = _widest(a, b, c)

    def code(context, builder, sig, args):
        values = [as_vector(context, builder, v, k, vec) for v, k in zip(args, sig.args)]
        return call(builder, f"llvm.fmuladd.v{vec.n}f{8 * BYTES[vec.element]}", llvm_vector(vec), values)
    return vec(a, b, c), code


def _one_to_one(name, doc):
    @intrinsic
    def function(typing, a):
        def code(context, builder, sig, args):
            return call(builder, f"llvm.{name}.v{a.n}f{8 * BYTES[a.element]}", llvm_vector(a), args)
        return a(a), code
    function.__doc__ = doc
    return function


sqrt = _one_to_one("sqrt", "Square root of each lane.")
rint = _one_to_one("rint", "Nearest integer, halves to even.")
floor = _one_to_one("floor", "Largest integer not above each lane.")
absolute = _one_to_one("fabs", "Absolute value.")


@intrinsic
def select(typing, m, a, b):
    """a where the mask is set, b elsewhere."""
    vec = _widest(a, b)

    def code(context, builder, sig, args):
        x, y = (as_vector(context, builder, v, k, vec) for v, k in zip(args[1:], sig.args[1:]))
        return builder.select(args[0], x, y)
    return vec(m, a, b), code


def _extreme(symbol):
    @intrinsic
    def function(typing, a, b):
        vec = _widest(a, b)

        def code(context, builder, sig, args):
            x, y = (as_vector(context, builder, v, k, vec) for v, k in zip(args, sig.args))
            less = builder.fcmp_ordered(symbol, x, y) if is_float(vec.element) else builder.icmp_signed(symbol, x, y)
            return builder.select(less, x, y)
        return vec(a, b), code
    return function


minimum, maximum = _extreme("<"), _extreme(">")


@intrinsic
def total(typing, a):
    """Sum over the lanes, in a fixed tree."""
    def code(context, builder, sig, args):
        value, n = args[0], a.n
        while n > 1:
            n //= 2
            low, high = (builder.shuffle_vector(value, value, integers(range(o, o + n))) for o in (0, n))
            value = builder.fadd(low, high, flags=FLAGS) if is_float(a.element) else builder.add(low, high)
        return builder.extract_element(value, ir.Constant(I32, 0))
    return a.element(a), code


@intrinsic
def bits(typing, m):
    """The mask as an int64, lane k in bit k."""
    def code(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(m.n)), I64)
    return types.int64(m), code


@intrinsic
def extract(typing, v, lane):
    """One lane as a scalar."""
    def code(context, builder, sig, args):
        return builder.extract_element(args[0], context.cast(builder, args[1], sig.args[1], types.int32))
    return v.element(v, lane), code


@intrinsic
def as_bits(typing, v):
    """float64 lanes as int64 lanes of the same bits (float32 as int32)."""
    out = Vec(types.int64 if v.element == types.float64 else types.int32, v.n)
    return out(v), lambda context, builder, sig, args: builder.bitcast(args[0], llvm_vector(out))


@intrinsic
def from_bits(typing, v):
    """64-bit integer lanes as float64 lanes of the same bits (32-bit as float32)."""
    out = Vec(types.float64 if BYTES[v.element] == 8 else types.float32, v.n)
    return out(v), lambda context, builder, sig, args: builder.bitcast(args[0], llvm_vector(out))


@intrinsic
def as_unsigned(typing, v):
    """int64 lanes as uint64 lanes of the same bits (int32 as uint32)."""
    out = Vec(types.uint64 if BYTES[v.element] == 8 else types.uint32, v.n)
    return out(v), lambda context, builder, sig, args: args[0]


@intrinsic
def load_like(typing, array, index, like):
    """array[index : index + n] as a vector of as many lanes as `like`, at any alignment: for functions that do not know their number of lanes."""
    vec = Vec(array.dtype, like.n)

    def code(context, builder, sig, args):
        address = pointer(context, builder, sig.args[0], args[0], args[1], sig.args[1])
        return load_vector(builder, address, llvm_vector(vec), BYTES[vec.element])
    return vec(array, index, like), code


@intrinsic
def to_float(typing, v):
    """Integer lanes as floats of the same size."""
    out = Vec(types.float64 if BYTES[v.element] == 8 else types.float32, v.n)

    def code(context, builder, sig, args):
        return (builder.uitofp if is_unsigned(v.element) else builder.sitofp)(args[0], llvm_vector(out))
    return out(v), code


@intrinsic
def to_integer(typing, v):
    """Float lanes as integers of the same size, towards zero. Slow for float64 on AVX2: add and subtract 1.5 * 2^52 there."""
    out = Vec(types.int64 if v.element == types.float64 else types.int32, v.n)
    return out(v), lambda context, builder, sig, args: builder.fptosi(args[0], llvm_vector(out))


@intrinsic
def power_of_two(typing, shifted):
    """2^k for lanes k + 1.5 * 2^52 (float64; |k| < 1000) or k + 1.5 * 2^23 (float32; |k| < 126): the integer stands in the low bits of the sum and is
    moved to the exponent."""
    def code(context, builder, sig, args):
        scalar, bias, place = (I64, 1023, 52) if BYTES[shifted.element] == 8 else (I32, 127, 23)
        kind = ir.VectorType(scalar, shifted.n)
        k = builder.add(builder.bitcast(args[0], kind), ir.Constant(kind, [bias] * shifted.n))
        return builder.bitcast(builder.shl(k, ir.Constant(kind, [place] * shifted.n)), llvm_vector(shifted))
    return shifted(shifted), code


@intrinsic
def widen(typing, v):
    """float32 lanes as float64 lanes."""
    out = Vec(types.float64, v.n)
    return out(v), lambda context, builder, sig, args: builder.fpext(args[0], llvm_vector(out))


def _to_14_bits(name, doc):
    @intrinsic
    def function(typing, a):
        def code(context, builder, sig, args):
            size, mask = BYTES[a.element], ir.IntType(max(8, a.n))
            which = f"llvm.x86.avx512.{name}.{'pd' if size == 8 else 'ps'}.{8 * size * a.n}"
            return call(builder, which, llvm_vector(a), [args[0], ir.Constant(llvm_vector(a), None), ir.Constant(mask, -1)])
        return a(a), code
    function.__doc__ = doc
    return function


rsqrt14 = _to_14_bits("rsqrt14", "1/sqrt of each lane to 14 bits. AVX-512 only.")
rcp14 = _to_14_bits("rcp14", "1 over each lane to 14 bits. AVX-512 only.")


@intrinsic
def trailing_zeros(typing, a):
    """Number of zero bits below the lowest set bit of an int64 (64 for 0)."""
    def code(context, builder, sig, args):
        value = context.cast(builder, args[0], sig.args[0], types.int64)
        return call(builder, "llvm.cttz.i64", I64, [value, ir.Constant(ir.IntType(1), 0)])
    return types.int64(a), code


@intrinsic
def ones(typing, a):
    """Number of set bits of an int64."""
    def code(context, builder, sig, args):
        return call(builder, "llvm.ctpop.i64", I64, [context.cast(builder, args[0], sig.args[0], types.int64)])
    return types.int64(a), code


@functools.cache
def polynomial(degree, n):
    """A function of (tuple of variables, array) that gives the tuple of sum c_k t^k, k <= degree (at least 2): two Horner chains, in even and odd powers, that run
    side by side, and those of all variables in turn. The array holds every coefficient in all n lanes: an operand in memory, where a register broadcast
    outside a loop would be spilled to an unaligned place of the stack. One function for what would be as many statements as coefficients to compile."""
    even, odd = degree - degree % 2, degree - 1 + degree % 2

    @intrinsic
    def evaluate(typing, variables, array):
        vec = variables.dtype

        def code(context, builder, sig, args):
            def coefficient(k):
                address = pointer(context, builder, sig.args[1], args[1], ir.Constant(I64, n * k), types.intp)
                return load_vector(builder, address, llvm_vector(vec), BYTES[vec.element])

            def fma_each(a, b, c):
                return [call(builder, name, llvm_vector(vec), [p, q, c]) for p, q in zip(a, b)]
            name = f"llvm.fmuladd.v{n}f{8 * BYTES[vec.element]}"
            t = cgutils.unpack_tuple(builder, args[0])
            square = [builder.fmul(v, v, flags=FLAGS) for v in t]
            chains = [[coefficient(top)] * len(t) for top in (even, odd)]
            for k in range(degree - 2, -1, -1):
                chains[k % 2] = fma_each(square, chains[k % 2], coefficient(k))
            values = [call(builder, name, llvm_vector(vec), list(three)) for three in zip(chains[1], t, chains[0])]
            return context.make_tuple(builder, sig.return_type, values)
        return variables(variables, array), code
    return evaluate


# ---- functions that make vectors of n lanes ------------------------------------------------------------------------------------
@functools.cache
def lanes(n):
    """Namespace of `load`, `store`, `load_one`, `splat`, `iota_f64`, `iota_f32`, `iota_i32` for n lanes (bind them to global names before using
    them in a kernel); arrays are one-dimensional and contiguous, indices in elements."""
    @intrinsic
    def load(typing, array, index):
        """array[index : index + n], at any alignment."""
        vec = Vec(array.dtype, n)

        def code(context, builder, sig, args):
            address = pointer(context, builder, sig.args[0], args[0], args[1], sig.args[1])
            return load_vector(builder, address, llvm_vector(vec), BYTES[vec.element])
        return vec(array, index), code

    @intrinsic
    def store(typing, array, index, value):
        """array[index : index + n] = value."""
        def code(context, builder, sig, args):
            store_vector(builder, args[2], pointer(context, builder, sig.args[0], args[0], args[1], sig.args[1]), BYTES[array.dtype])
            return context.get_dummy_value()
        return types.void(array, index, value), code

    @intrinsic
    def load_one(typing, array, index):
        """array[index] in all lanes."""
        def code(context, builder, sig, args):
            return broadcast(builder, builder.load(pointer(context, builder, sig.args[0], args[0], args[1], sig.args[1])), n)
        return Vec(array.dtype, n)(array, index), code

    @intrinsic
    def splat(typing, x):
        """A scalar in all lanes."""
        return Vec(x, n)(x), lambda context, builder, sig, args: broadcast(builder, args[0], n)

    def make_iota(element):
        vec = Vec(element, n)
        values = [float(k) if is_float(element) else k for k in range(n)]

        @intrinsic
        def iota(typing):
            return vec(), lambda context, builder, sig, args: ir.Constant(llvm_vector(vec), values)
        return iota

    return pytypes.SimpleNamespace(load=load, store=store, load_one=load_one, splat=splat, iota_f64=make_iota(types.float64),
                                   iota_f32=make_iota(types.float32), iota_i32=make_iota(types.int32))
