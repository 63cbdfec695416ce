"""The sweeps of kernels.whole_step shared out among the threads of a rank, which must be awake (parallel.threads): each has a table of the rows of each thread, see kernels.waiting.
What differs between particles only through their species is worked out once. Sums are those of the parts, added in their order; all else has the bits of one thread."""
from . import njit
from .integrate import FAST, close_step, open_step, settle_kick, take_off
from .step_numbers import closing_numbers, opening_numbers
from .waiting import share_out

OFF, ACCELERATION, STEP, DOING = 0, 1, 4, 5         # of what `close_team` has its threads do: whether an acceleration is taken off, which (3), whether there is a close_step; its length


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def open_rows(largest, n, species, position, velocity, force, inverse_mass, scale, stream, kick, axis, half_step, step, reference, stretch):
    """`open_step` of the rows of a thread; largest (1,) is what it returns."""
    largest[0] = open_step(n, species, position, velocity, force, inverse_mass, scale, stream, kick, axis, half_step, step, reference, stretch)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def close_rows(doing, n, species, velocity, force, mass, half_step, scale, stream, kick, axis):
    """What doing (DOING,) says, of the rows of a thread."""
    if doing[OFF] != 0.0:
        take_off(doing[ACCELERATION], doing[ACCELERATION + 1], doing[ACCELERATION + 2], n, species, mass, half_step, velocity, force)
    if doing[STEP] != 0.0:
        close_step(n, species, velocity, scale, stream, kick, axis)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def open_team(flags, threads, place, largest, scale, kick, step, drive_kind, value, norm, bath, bath_numbers, bath_velocity, bath_mass, on, mass, charge, kinetic, numbers):
    """`open_whole` with the table of `open_rows` at `place`; `largest` (threads, k), of each thread in the first column."""
    opening_numbers(drive_kind, value, norm, bath, bath_numbers, bath_velocity, bath_mass, on, step, mass, charge, kinetic, numbers, scale, kick)
    share_out(flags, threads, place, False)
    found = largest[0, 0]
    for k in range(1, threads):
        found = max(found, largest[k, 0])
    return found


@njit(cache=True, error_model="numpy")
def kick_team(flags, threads, place, parts, sums):
    """`half_kick` with the table of it at `place`; `parts` (threads, at least s, SUMS), of each thread in the first s rows."""
    share_out(flags, threads, place, False)
    for s in range(sums.shape[0]):
        for m in range(sums.shape[1]):
            sums[s, m] = parts[0, s, m]
            for k in range(1, threads):
                sums[s, m] += parts[k, s, m]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def close_team(flags, threads, place, doing, species, velocity, force, total, settle, scale, stream, kick, axis, step, drive_kind, value, norm, bath, bath_numbers, bath_velocity, bath_mass, on,
               mass, charge, count, group, group_mass, group_charge, kinetic, numbers):
    """`close_shared` with the table of `close_rows` at `place`; on one rank, too, where `total` are the sums of that. `doing` (DOING,) is theirs. Returns whether the sums were finite."""
    kinds, whole = mass.shape[0], 0.0
    doing[OFF] = 1.0 if settle and total[kinds, 3] != 0.0 else 0.0
    if doing[OFF] != 0.0:
        for s in range(kinds):
            whole += mass[s] * count[s]
        for k in range(3):
            doing[ACCELERATION + k] = total[kinds, k] / whole
        settle_kick(total, 0, species, mass, count, 0.5 * step, velocity, force)       # the sums
    finite = closing_numbers(total[:-1], drive_kind, value, norm, bath, bath_numbers, bath_velocity, bath_mass, on, step, axis, mass, charge, count, group, group_mass,
                             group_charge, kinetic, stream, numbers, scale, kick)
    doing[STEP] = 1.0 if finite and (bath != 0 or drive_kind != 0) else 0.0
    if doing[OFF] + doing[STEP] != 0.0:
        share_out(flags, threads, place, False)
    return finite
