"""Many steps of a small system in one call, as long as its lists are safe and nobody wants to look: what Python does between the kernels of a step takes longer than some of them."""
import math

from . import inner, njit
from .frames import RETURNED, invoke

OPEN, SPREAD, CLOSE, FIRST = range(4)                           # rows of frames; from FIRST on those that a program tells in their order
MADE, MOVED, OUTSIDE, NOT_FINITE, FAILED = range(5)             # how a stretch ended: all steps made; in a step, after its opening, charges, closing; or by an exception


@inner
def _run(program, address, place, step):
    """Calls the rows of a program; whether none of them ended by an exception."""
    for row in program:
        if invoke(address[row], place + row * step):
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def run_steps(count, room, begun, spent, address, words, values, place, before, near, far, after, votes, vote, own, meshed, force, rows, net, share, share_flag, skin, inner_skin, kinetic, stream, numbers,
              log):
    """At most `count` steps, the first of which may have `begun`: its lists are settled and `spent` (angstrom) of the skin. With the calls of dynamics.loop: `address` (k,) of their machine code, `words` (k, WIDTH) int64 of their frames, which
    lie at the address `place`, and `values`, the same memory as float64. Programs (rows of frames): `before` the lists are looked at, that of the forces after the charges with the inner parts
    of the lists (`near`) or all of them (`far`), and `after` the forces, before the closing. votes (ranks, 2): of each rank how far (square) one has moved, and vote (2,) what the rank `own`, which this is, sends. Motion may bring two
    particles closer by `room`, of a `skin`; the inner parts of the lists will do up to inner_skin. `force` (flat) is zeroed for
    `rows` rows; share (7,) gets the `net` force (3,) of the mesh and share_flag. `kinetic`, `stream` (s,) and `numbers` after each step go into log (count, ...).
    Returns (steps made, how it ended, square of the largest motion on any rank of the step that was not made)."""
    step = 8 * words.shape[1]
    for k in range(count):
        moved = 0.0
        if k > 0 or not begun:
            if invoke(address[OPEN], place + OPEN * step):
                return k, FAILED, moved
            votes[own, 0] = vote[0] = values[OPEN, RETURNED]
            if not _run(before, address, place, step):
                return k, FAILED, moved
            moved = votes[0, 0]
            for r in range(1, len(votes)):
                if not votes[r, 0] <= moved and moved == moved:     # the largest, and what is not a number rather than any
                    moved = votes[r, 0]
            closer = 2.0 * math.sqrt(moved)
            if not closer < room:
                return k, MOVED, moved
            spent = closer + skin - room
        for m in range(3 * rows):
            force[m] = 0.0
        if meshed:
            if invoke(address[SPREAD], place + SPREAD * step):
                return k, FAILED, moved
            if words[SPREAD, RETURNED] != 0:
                return k, OUTSIDE, moved
        if not _run(near if spent <= inner_skin else far, address, place, step):
            return k, FAILED, moved
        if meshed:
            share[0], share[1], share[2], share[3] = net[0], net[1], net[2], share_flag
        words[CLOSE, RETURNED] = 0
        if not _run(after, address, place, step) or invoke(address[CLOSE], place + CLOSE * step):
            return k, FAILED, moved
        n = 0
        for source in (kinetic, stream, numbers):
            for m in range(len(source)):
                log[k, n] = source[m]
                n += 1
        if words[CLOSE, RETURNED] == 0:
            return k + 1, NOT_FINITE, moved
    return count, MADE, 0.0


@njit(cache=True, error_model="numpy")
def add_parts(parts, mine, own, total):
    """total (flat) = the sum of the rows of parts (ranks, k) in their order; that of the rank `own` is `mine` (flat). As parallel.reduce.Parts.sum."""
    parts[own] = mine
    total[:] = parts[0]
    for r in range(1, len(parts)):
        total += parts[r]
