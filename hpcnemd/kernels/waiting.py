"""Waiting of one thread for another, without Python's lock and without sleep: a look at a shared number takes a few ns, waking a thread that sleeps up to 300 us.

`flags` (8 * threads,) int64, a cache line for each thread: flags[0] is the number of the last work given out, flags[8 k] that of the last which thread k has done. Work is Python's, or where
flags[1] is not 0 a table at that address, kernels to be called: (threads + 1,) int64, in which row those of each thread begin, and of each row the address of the kernel's machine code and that of
its frame (see kernels.frames). flags[2]: whether nobody may fall asleep; flags[8 k + 1]: whether a kernel of thread k has failed."""
import platform
import time

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import inner, njit
from .frames import RETURNED, invoke, word

LINE = 8                    # int64 in a cache line
TURN = 64                   # looks between two offers of the core to whoever else wants it
TABLE, STAY, FAILED = 1, 2, 1       # places in a line, see above
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
def nanoseconds(typing):
    """Of time.perf_counter_ns: a clock that no one sets."""
    def code(context, builder, sig, args):
        number, found = ir.IntType(64), cgutils.alloca_once(builder, ir.ArrayType(ir.IntType(64), 2))
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), [ir.IntType(32), found.type]), "clock_gettime")
        builder.call(function, [ir.Constant(ir.IntType(32), time.CLOCK_MONOTONIC), found])
        seconds, rest = (builder.load(builder.gep(found, [ir.Constant(ir.IntType(32), 0), ir.Constant(ir.IntType(32), k)])) for k in (0, 1))
        return builder.add(builder.mul(seconds, ir.Constant(number, 10**9)), rest)
    return types.int64(), code


@intrinsic
def _sleep(typing, microseconds):
    def code(context, builder, sig, args):
        builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), [ir.IntType(32)]), "usleep"), args)
        return context.get_dummy_value()
    return types.void(types.uint32), code


@inner
def _run_table(place, threads, thread):
    """Calls the kernels of a thread; whether none of them ended by an exception."""
    rows = place + 8 * (threads + 1)
    for r in range(word(place + 8 * thread), word(place + 8 * (thread + 1))):
        if invoke(word(rows + 16 * r), word(rows + 16 * r + 8)):
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def await_work(flags, threads, thread, number, patience, delay):
    """Says that `thread` has done work `number`, then looks at most `patience` times whether there is more, does what is in tables, and returns whether there is some for Python, and the number
    of the last work done. `delay`: further looks before it returns, in which the thread that gave the work out gets to its own part of it (and lets go of Python's lock)."""
    _store(flags, LINE * thread, number)
    look = 0
    while look < patience or _load(flags, STAY) != 0:
        look += 1
        if _load(flags, 0) > number:
            place = _load(flags, TABLE)
            if place == 0:
                for _ in range(delay):
                    pause()
                return True, number
            if not _run_table(place, threads, thread):
                _store(flags, LINE * thread + FAILED, 1)
            number += 1
            _store(flags, LINE * thread, number)
            look = 0
        pause()
        if look % TURN == 0:
            yield_core()
    return False, number


@njit(cache=True, nogil=True, error_model="numpy")
def share_out(flags, threads, place, counted):
    """Has the kernels of the table at `place` called, each list on its thread, the first on this one. Returns the sum of what they returned where `counted` (all of them int64), else 0.
    All others must be awake: see parallel.threads.Team.awake. Raises MemoryError where one has failed."""
    number = _load(flags, 0) + 1
    _store(flags, TABLE, place)
    _store(flags, 0, number)
    fine = _run_table(place, threads, 0)
    for thread in range(1, threads):
        look = 0
        while _load(flags, LINE * thread) < number:
            look += 1
            pause()
            if look % TURN == 0:
                yield_core()
        if _load(flags, LINE * thread + FAILED) != 0:
            _store(flags, LINE * thread + FAILED, 0)
            fine = False
    _store(flags, TABLE, 0)
    if not fine:
        raise MemoryError("a kernel of a thread ran out of memory")
    total, rows = 0, place + 8 * (threads + 1)
    if counted:
        for r in range(word(place + 8 * threads)):
            total += word(word(rows + 16 * r + 8) + 8 * RETURNED)
    return total


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
