"""Kernels called from kernels, whatever they are compiled from: their arguments lie in memory as words, and a few instructions take them to the kernel's machine code.

A kernel that calls another by name is compiled together with it, and from the start whenever the other changes. Here a loop gets addresses only: it is compiled once for
all pair kernels, meshes and precisions, and calling them costs nothing, while a call from Python spends microseconds on looking at each array."""
from itertools import compress
from operator import is_not

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic
from numba.np.numpy_support import as_dtype

WIDTH = 320                             # words of a frame; the last two are where the kernel leaves what it returns and its exception
RETURNED, RAISED = WIDTH - 2, WIDTH - 1
_I32, _I64, _BYTES = ir.IntType(32), ir.IntType(64), ir.IntType(8).as_pointer()
_INVOKED = ir.FunctionType(_I32, [_BYTES])
_PASSAGES = {}


@intrinsic
def invoke(typing, address, frame):
    """Call the machine code at `address` (Bound.address) with the frame at the address `frame`; returns 0, or what else numba's convention has for an exception."""
    def code(context, builder, sig, args):
        return builder.call(builder.inttoptr(args[0], _INVOKED.as_pointer()), [builder.inttoptr(args[1], _BYTES)])
    return types.int32(types.int64, types.int64), code


@intrinsic
def word(typing, address):
    """The int64 at an address."""
    def code(context, builder, sig, args):
        return builder.load(builder.inttoptr(args[0], _I64.as_pointer()), typ=_I64)
    return types.int64(types.int64), code


def _word_count(kind):
    return 5 + 2 * kind.ndim if isinstance(kind, types.Array) else 1


@global_compiler_lock
def _passage(result, name):
    """(library, address) of machine code that takes the words of a frame to the function of a CompileResult."""
    context, kinds = result.target_context, result.signature.args
    function = context.call_conv.get_function_type(result.signature.return_type, kinds)
    words = sum(map(_word_count, kinds))
    if len(function.args) != words + 2 or words > RETURNED:
        raise TypeError(f"{name}: only numbers and arrays fit into a frame, and {RETURNED} words of them")
    library = context.codegen().create_library(name)
    module = library.create_ir_module(name)
    passage = ir.Function(module, _INVOKED, name)
    builder = ir.IRBuilder(passage.append_basic_block())

    def at(word, kind):
        return builder.bitcast(builder.gep(passage.args[0], [_I64(8 * word)]), kind)
    values = [builder.load(at(word, kind.as_pointer()), typ=kind) for word, kind in enumerate(function.args[2:])]
    address = _I64(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))
    builder.ret(builder.call(builder.inttoptr(address, function.as_pointer()), [at(RETURNED, function.args[0]), at(RAISED, function.args[1]), *values]))
    library.add_ir_module(module)
    library.finalize()
    return library, library.get_pointer_to_function(name)


def _compiled(kernel, arguments):
    """(result, library, address) of the passage to a kernel for arguments of these types, made once."""
    kinds = tuple(map(numba.typeof, arguments))
    key = kernel, kinds if kernel._can_compile else None            # a kernel of one signature (pair_arguments) cannot be compiled for others
    if key not in _PASSAGES:
        if kernel._can_compile:
            kernel.compile(kinds)
        result = kernel.overloads[kinds] if kernel._can_compile else next(iter(kernel.overloads.values()))
        _PASSAGES[key] = result, *_passage(result, f"passage_{len(_PASSAGES)}")
    return _PASSAGES[key]


class Bound:
    """A kernel (a numba dispatcher) and the frame of its arguments, `words` (WIDTH,) int64: `invoke(address, words.ctypes.data)` calls it with those of the last `bind`.
    Raises TypeError for arguments other than numbers and C-contiguous arrays."""

    def __init__(self, kernel, arguments, words):
        self.kernel, (self._result, self._library, self.address) = kernel, _compiled(kernel, arguments)
        self._kinds = self._result.signature.args
        at = np.concatenate(([0], np.cumsum([_word_count(kind) for kind in self._kinds]))).tolist()
        whose = {types.float64: words.view(np.float64), types.float32: words.view(np.float32)[::2]}
        # of each argument: its first word and, of an array, type and dimensions, of a number the words as such numbers
        self._specs = [(first, as_dtype(kind.dtype), kind.ndim) if isinstance(kind, types.Array) else (first, None, whose.get(kind, words)) for first, kind in zip(at, self._kinds)]
        self.arguments, self._held, self._words = None, [None] * len(self._kinds), memoryview(words)         # quicker than an array, number by number
        self.bind(arguments)

    @property
    def pointers(self):
        """Words that are addresses of arrays: (k,) int64."""
        return np.array([self.word_of(k) for k, (_, dtype, _) in enumerate(self._specs) if dtype is not None], np.int64)

    def word_of(self, k):
        """The word of argument k, of an array that of its address."""
        first, dtype, _ = self._specs[k]
        return first + 4 * (dtype is not None)

    def bind(self, arguments):
        """Take these arguments, of the types of the first ones, from here on; they are kept alive."""
        words, held, self.arguments = self._words, self._held, arguments
        for k, value in compress(enumerate(arguments), map(is_not, arguments, held)):
            at, dtype, more = self._specs[k]
            if dtype is None:
                more[at] = value
            else:
                if value.dtype != dtype or value.ndim != more or not value.flags.c_contiguous:
                    raise TypeError(f"argument {k}: {self._kinds[k]} is what the kernel was compiled for")
                words[at + 2], words[at + 3], words[at + 4] = value.size, value.itemsize, value.__array_interface__["data"][0]        # before them what numba keeps of the object: nothing
                for n, number in enumerate(value.shape + value.strides, at + 5):
                    words[n] = number
            held[k] = value
