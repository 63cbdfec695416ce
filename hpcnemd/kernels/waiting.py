"""Waiting of one thread for another, without Python's lock and without sleep: a look at a shared number takes a few ns, waking a thread that sleeps up to 300 us.

`flags` (8 * threads,) int64, a cache line for each thread: flags[0] is the number of the last work given out, flags[8 k] that of the last which thread k has done."""
import platform

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import njit

LINE = 8                    # int64 in a cache line
TURN = 64                   # looks between two offers of the core to whoever else wants it
PAUSE = "llvm.x86.sse2.pause" if platform.machine() in ("x86_64", "AMD64") else None


@intrinsic
def _load(typing, flags, index):
    """flags[index], as another thread wrote it last; what that one wrote before is seen, too."""
    def code(context, builder, sig, args):
        data = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0]).data
        return builder.load_atomic(builder.gep(data, [args[1]]), "acquire", 8)
    return types.int64(flags, types.int64), code


@intrinsic
def _store(typing, flags, index, value):
    """flags[index] = value, after all that was written before."""
    def code(context, builder, sig, args):
        data = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0]).data
        builder.store_atomic(args[2], builder.gep(data, [args[1]]), "release", 8)
        return context.get_dummy_value()
    return types.void(flags, types.int64, types.int64), code


@intrinsic
def pause(typing):
    """Tells an x86 processor that this is a waiting loop."""
    def code(context, builder, sig, args):
        if PAUSE:
            builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), []), PAUSE), [])
        return context.get_dummy_value()
    return types.void(), code


@intrinsic
def yield_core(typing):
    """Offers the core to whoever else wants it."""
    def code(context, builder, sig, args):
        builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield"), [])
        return context.get_dummy_value()
    return types.void(), code


@intrinsic
def _sleep(typing, microseconds):
    def code(context, builder, sig, args):
        builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), [ir.IntType(32)]), "usleep"), args)
        return context.get_dummy_value()
    return types.void(types.uint32), code


@njit(cache=True, nogil=True, error_model="numpy")
def await_work(flags, thread, number, patience, delay):
    """Says that `thread` has done work `number`, then looks at most `patience` times whether there is more, and returns that. `delay`: further looks before it returns,
    in which the thread that gave the work out gets to its own part of it (and lets go of Python's lock)."""
    _store(flags, LINE * thread, number)
    for look in range(1, patience + 1):
        if _load(flags, 0) > number:
            for _ in range(delay):
                pause()
            return True
        pause()
        if look % TURN == 0:
            yield_core()
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def await_threads(flags, threads, number, patience):
    """Returns when the threads 1 ... threads - 1 have done work `number`; after `patience` looks it sleeps between them, so that a thread which has no core gets this one."""
    look = 0
    for thread in range(1, threads):
        while _load(flags, LINE * thread) < number:
            look += 1
            pause()
            if look > patience:
                _sleep(50)
            elif look % TURN == 0:
                yield_core()
