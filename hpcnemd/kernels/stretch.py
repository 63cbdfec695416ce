"""Many steps of a small replica in one call, as long as its lists are safe and nobody wants to look: what Python does between the kernels of a step takes longer than some of them."""
import math

from . import njit
from .frames import RETURNED, invoke

OPEN, SPREAD, NEAR, FAR, MESH, GATHER, CLOSE = range(7)         # rows of frames; NEAR and FAR: the pair part with the inner or the whole lists
CALLS = 7
MADE, MOVED, OUTSIDE, NOT_FINITE, FAILED = range(5)             # how a stretch ended: all steps made; in a step, after its opening, charges, closing; or by an exception


@njit(cache=True, error_model="numpy")
def run_steps(count, room, address, words, values, place, meshed, force, rows, net, share, share_flag, skin, inner_skin, kinetic, stream, numbers, log):
    """At most `count` steps of one rank with the calls of dynamics.loop: `address` (CALLS,) of their machine code, `words` (CALLS, WIDTH) int64 of their frames, which
    lie at the address `place`, and `values`, the same memory as float64. Motion may bring two particles closer by `room`, of a `skin`; the inner parts of the lists will do up to inner_skin. `force` (flat) is zeroed for
    `rows` rows; share (7,) gets the `net` force (3,) of the mesh and share_flag. `kinetic`, `stream` (s,) and `numbers` after each step go into log (count, ...).
    Returns (steps made, how it ended, square of the largest motion of the step that was not made)."""
    step = 8 * words.shape[1]
    for k in range(count):
        if invoke(address[OPEN], place + OPEN * step):
            return k, FAILED, 0.0
        moved = values[OPEN, RETURNED]
        closer = 2.0 * math.sqrt(moved)
        if not closer < room:
            return k, MOVED, moved
        for m in range(3 * rows):
            force[m] = 0.0
        if meshed:
            if invoke(address[SPREAD], place + SPREAD * step):
                return k, FAILED, moved
            if words[SPREAD, RETURNED] != 0:
                return k, OUTSIDE, moved
        pairs = NEAR if closer + skin - room <= inner_skin else FAR
        if invoke(address[pairs], place + pairs * step):
            return k, FAILED, moved
        if meshed:
            if invoke(address[MESH], place + MESH * step) or invoke(address[GATHER], place + GATHER * step):
                return k, FAILED, moved
            share[0], share[1], share[2], share[3] = net[0], net[1], net[2], share_flag
        words[CLOSE, RETURNED] = 0
        if invoke(address[CLOSE], place + CLOSE * step):
            return k, FAILED, moved
        n = 0
        for source in (kinetic, stream, numbers):
            for m in range(len(source)):
                log[k, n] = source[m]
                n += 1
        if words[CLOSE, RETURNED] == 0:
            return k + 1, NOT_FINITE, moved
    return count, MADE, 0.0
