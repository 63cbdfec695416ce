"""Pieces of work that the ranks of a node take from each other: who is through with its own works out pieces of those who are not, so that a slower core keeps the others
waiting for a piece at most. Who does which piece is open; what each has summed is added by its owner in the order of pieces, so that a run repeats bit for bit.

The pieces of a rank lie at its `home`, an address in memory that the others can read (parallel.tail), in words: at TICKET the number of the sequence, whether it wants the whole lists (FAR),
and the next piece that nobody has taken; at DONE + LINE p the last sequence for which another has done piece p; BASE and SIZE of that memory for its owner; at FORCE + p the address of the array
that piece p adds to, at NUMBER + p and BLOCKS + p the number of blocks of slots that it touches there and the address of theirs; from FRAMES on the frames of the pieces (see kernels.frames), near and
far."""
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from . import entry, inner, njit
from .frames import WIDTH, invoke, word
from .shared_memory import announce, arrived, await_number
from .waiting import nanoseconds

PIECES, LINE = 3, 16                    # pieces of a rank; int64 in two cache lines
TICKET, DONE = 0, LINE
BASE = DONE + LINE * PIECES
SIZE, FORCE, NUMBER, BLOCKS = BASE + 1, BASE + LINE, BASE + 2 * LINE, BASE + 3 * LINE
FRAMES = BASE + 4 * LINE
HOME = FRAMES + 2 * PIECES * WIDTH      # words of all that
FAR, SEQUENCE = 16, 32                  # in a ticket
CLOSED = FAR - 1
SHIFT = 4
BLOCK = 1 << SHIFT                      # slots, of 4 numbers each


@intrinsic
def _swapped(typing, address, old, new):
    """Writes `new` to an address where `old` stands; whether it did."""
    def code(context, builder, sig, args):
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.extract_value(builder.cmpxchg(place, args[1], args[2], "acq_rel", "acquire"), 1)
    return types.boolean(types.int64, types.int64, types.int64), code


@intrinsic
def _zero_block(typing, address):
    """The forces of a block of slots are 0."""
    def code(context, builder, sig, args):
        byte, number = ir.IntType(8), ir.IntType(64)
        function = builder.module.declare_intrinsic("llvm.memset", [byte.as_pointer(), number])
        builder.call(function, [builder.inttoptr(args[0], byte.as_pointer()), ir.Constant(byte, 0), ir.Constant(number, 32 * BLOCK), ir.Constant(ir.IntType(1), 0)])
        return context.get_dummy_value()
    return types.void(types.int64), code


@inner
def _taken(home):
    """The ticket of a piece that is this process' from now on, or -1 where there is none."""
    while True:
        ticket = arrived(home)
        if ticket % FAR >= PIECES:
            return -1
        if _swapped(home, ticket, ticket + 1):
            return ticket


@inner
def _begin(home, piece, offset):
    """The array of a piece is 0 where it will be added to. `offset`: from its owner's addresses to those of this process."""
    force, block = word(home + 8 * (FORCE + piece)) + offset, word(home + 8 * (BLOCKS + piece)) + offset
    for k in range(word(home + 8 * (NUMBER + piece))):
        _zero_block(force + 32 * BLOCK * word(block + 8 * k))


@inner
def _frame(home, ticket):
    """Address of the frame of a ticket's piece."""
    return home + 8 * (FRAMES + WIDTH * ((ticket % SEQUENCE // FAR) * PIECES + ticket % FAR))


@inner
def _help(home, mine, address, pointers, local, place):
    """Works out a piece of the rank at `home`, if there is one left: with its numbers and those of its arrays that lie in common memory, and this process' own of the others. Returns 1, or 0
    where there is none, or -1 after an exception."""
    ticket = _taken(home)
    if ticket < 0:
        return 0
    source, base, size = _frame(home, ticket), word(home + 8 * BASE), word(home + 8 * SIZE)
    offset = home - base                # the home is where the memory begins
    for k in range(WIDTH - 2):
        local[k] = word(source + 8 * k)
    for k in pointers:
        if 0 <= local[k] - base < size:
            local[k] += offset
        else:
            local[k] = word(_frame(mine, 0) + 8 * k)
    _begin(home, ticket % FAR, offset)
    failed = invoke(address, place)
    announce(home + 8 * (DONE + LINE * (ticket % FAR)), ticket // SEQUENCE)
    return -1 if failed else 1


@njit(cache=True, nogil=True, error_model="numpy")
def open_pieces(home, far):
    """From now on others can take pieces of the rank at `home`; `far`: 0 or 1."""
    announce(home, (arrived(home) // SEQUENCE + 1) * SEQUENCE + FAR * far)


@njit(cache=True, nogil=True, error_model="numpy")
def work_off(home, others, address, pointers, local, place, waited, force, pieces, number, blocks):
    """The pieces of the rank at `home`, which this is, then what is left of those of `others` (m,), the homes of other ranks; force (flat) gets what all `pieces` (PIECES, n) of this rank have
    summed in their blocks, see `settle`, in their order. `address`: of the kernel's machine code; `pointers` (k,): words of a frame that are addresses of arrays; `local` (WIDTH,) int64, at the address `place`: room for a
    frame; `waited`: address of the ns that this rank has waited, to which is added what it spends on others. Raises MemoryError where a kernel has failed."""
    fine, theirs, sequence = True, 0, arrived(home) // SEQUENCE
    for piece in range(PIECES):
        theirs |= 1 << piece
    ticket = _taken(home)
    while ticket >= 0:
        theirs ^= 1 << (ticket % FAR)
        _begin(home, ticket % FAR, 0)
        if invoke(address, _frame(home, ticket)):
            fine = False
        ticket = _taken(home)
    start, helped = nanoseconds(), 0
    for k in range(len(others)):
        done = _help(others[k], home, address, pointers, local, place)
        while done > 0:
            helped += done
            done = _help(others[k], home, address, pointers, local, place)
        fine = fine and done == 0
    if helped > 0:
        announce(waited, word(waited) + nanoseconds() - start)
    for piece in range(PIECES):
        if theirs >> piece & 1:
            await_number(home + 8 * (DONE + LINE * piece), sequence, -1, waited)
    for piece in range(PIECES):
        for k in range(number[piece]):
            begin = 4 * BLOCK * blocks[piece, k]
            for m in range(begin, begin + 4 * BLOCK):
                force[m] += pieces[piece, m]
    if not fine:
        raise MemoryError("a kernel of a piece ran out of memory")


@inner
def _touched(neighbour, begin, end, receiving, foremost, last, mark, blocks):
    """blocks[:k], the first k of (n,), are those whose slots get forces from the entries [begin, end) of a list, the slots of the clusters [foremost, last) among them; only from the slot
    `receiving` on, and those of clusters only where that is 0. Returns k. `mark` (n,): work space."""
    for b in range(len(mark)):
        mark[b] = 0
    if receiving == 0:
        for b in range(4 * foremost >> SHIFT, (4 * last + BLOCK - 1) >> SHIFT):
            mark[b] = 1
    for k in range(begin, end):
        mark[np.uint32(neighbour[k]) >> np.uint32(SHIFT)] = 1
    found = 0
    for b in range(receiving >> SHIFT, len(mark)):
        if mark[b]:
            blocks[found] = b
            found += 1
    return found


@njit(cache=True, error_model="numpy")
def settle(home, own, cuts, pointer, groups, neighbour, receiving, force, pitch, address, number, blocks):
    """Frames of all pieces from those of the first one in `home` (HOME,), the words of the kernel's clusters and force in them being `own` (3,): piece p, of the clusters [cuts[p], cuts[p + 1]), adds to
    the array at the address force + p pitch. The blocks that it touches there, with `groups` numbers of `pointer` to a cluster, are found: number (PIECES,) of them, and blocks (PIECES, n), which begin
    at `address`."""
    mark = np.empty(blocks.shape[1], np.uint8)
    for p in range(PIECES):
        for first in (FRAMES, FRAMES + PIECES * WIDTH):
            frame = first + p * WIDTH
            for k in range(WIDTH - 2):
                home[frame + k] = home[first + k]
            home[frame + own[0]], home[frame + own[1]], home[frame + own[2]] = cuts[p], cuts[p + 1], force + p * pitch
        number[p] = _touched(neighbour, pointer[groups * cuts[p]], pointer[groups * cuts[p + 1]], receiving, cuts[p], cuts[p + 1], mark, blocks[p])
        home[FORCE + p], home[NUMBER + p], home[BLOCKS + p] = force + p * pitch, number[p], address + 8 * p * blocks.shape[1]


@njit(cache=True, nogil=True, error_model="numpy")
def bring_rows(force_rows, slot_row, slot_force, first, last):
    """Rows of force_rows (n, 3) += those of slot_force (m, 3) in the slots [first, last), which are 0 again."""
    for s in range(first, last):
        row = slot_row[s]
        for k in range(3):
            if row >= 0:
                force_rows[row, k] += slot_force[s, k]
            slot_force[s, k] = 0.0


def warm_up():
    """Compiles these for the arrays of parallel.tail, with nothing to do."""
    words, line, cuts, three, neighbour = np.zeros(HOME, np.int64), np.zeros(4), np.zeros(PIECES + 1, np.int64), np.zeros((1, 3)), np.zeros(1, np.int32)
    number, blocks, place = np.zeros(PIECES, np.int64), np.zeros((PIECES, 1), np.int64), words.ctypes.data
    settle(words, cuts[:3] + 1, cuts, cuts, 1, neighbour, 0, 0, 0, 0, number, blocks)
    entry(open_pieces, place, 0)
    entry(work_off, place, cuts[:0], 0, cuts[:0], words, place, place, line, np.zeros((PIECES, 4)), number, blocks)
    bring_rows(three, neighbour, three, 0, 0)
