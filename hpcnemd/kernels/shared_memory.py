"""Messages between processes that share memory: copied to where the other can read them, and then a number that says so.

A channel carries one message at a time, from one process to another. Its `flag` lies in the sender's memory and gets the message's number when all of it is there, its `ack` in the
receiver's, and gets the same number when it has been taken. Who waits looks again and again, which takes a fraction of what MPI needs for a message of the same node.
Where the sender makes a message in the channel itself, or the receiver reads it there, nothing is copied: the one waits before (`await_taken`), the other says when it is done (`give_back`).
Time in which a message or its room is waited for is added up, so that the rest of the time is work (parallel.balance).
A row of a table: see the columns; addresses are numbers."""
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from . import inner, njit
from .frames import word
from .waiting import nanoseconds, pause, yield_core

LOCAL, BYTES, DATA, FLAG, ACK, COUNT, WAITED, COLUMNS = range(8)        # own array, its size; room of the channel, its flag and ack; where this process counts its messages, and the ns it has waited
PATIENCE = 1000         # looks, some ten microseconds, before the processor is offered to others: whoever takes it keeps it for milliseconds
_I64, _LONG = ir.IntType(64), ir.IntType(64).as_pointer()


@intrinsic
def arrived(typing, address):
    """The number at `address`; what its writer wrote before can be read after."""
    def code(context, builder, sig, args):
        return builder.load_atomic(builder.inttoptr(args[0], _LONG), "acquire", 8, typ=_I64)
    return types.int64(types.int64), code


@intrinsic
def announce(typing, address, number):
    """Write `number` to `address`, after all that was written before."""
    def code(context, builder, sig, args):
        builder.store_atomic(args[1], builder.inttoptr(args[0], _LONG), "release", 8)
        return context.get_dummy_value()
    return types.void(types.int64, types.int64), code


@intrinsic
def copy_bytes(typing, target, source, count):
    """`count` bytes from one address to another."""
    def code(context, builder, sig, args):
        place = ir.IntType(8).as_pointer()
        function = builder.module.declare_intrinsic("llvm.memcpy", [place, place, _I64])
        builder.call(function, [builder.inttoptr(args[0], place), builder.inttoptr(args[1], place), args[2], ir.Constant(ir.IntType(1), 0)])
        return context.get_dummy_value()
    return types.void(types.int64, types.int64, types.int64), code


@inner
def await_number(address, number, looks, waited):
    """Whether `number` has arrived at `address`; looks that often, or for ever where looks < 0. The time it takes is added at the address `waited`."""
    if arrived(address) == number:
        return True
    seen, start = 0, nanoseconds()
    while seen != looks and arrived(address) != number:
        pause()
        seen += 1
        if seen % PATIENCE == 0:
            yield_core()
    announce(waited, word(waited) + nanoseconds() - start)
    return seen != looks


@njit(cache=True, nogil=True, error_model="numpy")
def post(table):
    """Send the messages of `table` (m, COLUMNS). Waits where a channel's message before has not been taken."""
    for k in range(len(table)):
        last = arrived(table[k, COUNT])
        if table[k, LOCAL] != table[k, DATA]:
            await_number(table[k, ACK], last, -1, table[k, WAITED])
            copy_bytes(table[k, DATA], table[k, LOCAL], table[k, BYTES])
        announce(table[k, FLAG], last + 1)
        announce(table[k, COUNT], last + 1)


@njit(cache=True, nogil=True, error_model="numpy")
def take(table, first, looks):
    """Wait for the messages of `table` (m, COLUMNS), the first `first` of which are here, in their order. Returns how many have come; less than all after so many looks in vain (never where
    looks < 0)."""
    for k in range(first, len(table)):
        number = arrived(table[k, COUNT]) + 1
        if not await_number(table[k, FLAG], number, looks, table[k, WAITED]):
            return k
        if table[k, LOCAL] != table[k, DATA]:
            copy_bytes(table[k, LOCAL], table[k, DATA], table[k, BYTES])
            announce(table[k, ACK], number)
            announce(table[k, COUNT], number)
    return len(table)


@njit(cache=True, nogil=True, error_model="numpy")
def await_taken(table, first, looks):
    """Wait until the channels of `table` (m, COLUMNS), the first `first` of which are free, are so; for those whose messages are made in them. Returns as `take`."""
    for k in range(first, len(table)):
        if table[k, LOCAL] == table[k, DATA] and not await_number(table[k, ACK], arrived(table[k, COUNT]), looks, table[k, WAITED]):
            return k
    return len(table)


@njit(cache=True, nogil=True, error_model="numpy")
def give_back(table):
    """The messages of `table` (m, COLUMNS) that are read where they came have been."""
    for k in range(len(table)):
        if table[k, LOCAL] == table[k, DATA]:
            number = arrived(table[k, COUNT]) + 1
            announce(table[k, ACK], number)
            announce(table[k, COUNT], number)
