"""Sweeps and shared numbers of a time step in one call each, as dynamics.loop wants them: a small replica's step would else be spent on calling kernels."""

from . import njit
from .integrate import FAST, close_step, half_kick, open_step, settle_kick
from .step_numbers import closing_numbers, opening_numbers


@njit(cache=True, error_model="numpy", fastmath=FAST)
def open_whole(n, species, position, velocity, force, inverse_mass, scale, stream, kick, axis, step, drive_kind, value, norm, bath, bath_numbers, bath_velocity, bath_mass,
               on, mass, charge, kinetic, numbers, reference, stretch):
    """`opening_numbers` and `open_step`, and what that returns; arguments as there."""
    opening_numbers(drive_kind, value, norm, bath, bath_numbers, bath_velocity, bath_mass, on, step, mass, charge, kinetic, numbers, scale, kick)
    return open_step(n, species, position, velocity, force, inverse_mass, scale, stream, kick, axis, 0.5 * step, step, reference, stretch)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def close_whole(n, species, velocity, force, inverse_mass, sums, reduced, settle, scale, stream, kick, axis, step, drive_kind, value, norm, bath, bath_numbers, bath_velocity,
                bath_mass, on, mass, charge, count, group, group_mass, group_charge, kinetic, numbers):
    """On one rank, which needs no sum over ranks between them: `half_kick` and what `close_shared` does; `sums` (s, 7) are the rows of `reduced` (s + 1, 7) but the last.
    Returns whether the sums were finite."""
    half_kick(n, species, velocity, force, inverse_mass, 0.5 * step, sums)
    if settle:
        settle_kick(reduced, n, species, mass, count, 0.5 * step, velocity, force)
    finite = closing_numbers(sums, drive_kind, value, norm, bath, bath_numbers, bath_velocity, bath_mass, on, step, axis, mass, charge, count, group, group_mass,
                             group_charge, kinetic, stream, numbers, scale, kick)
    if finite and (bath != 0 or drive_kind != 0):
        close_step(n, species, velocity, scale, stream, kick, axis)
    return finite


@njit(cache=True, error_model="numpy", fastmath=FAST)
def close_shared(n, species, velocity, force, total, settle, scale, stream, kick, axis, step, drive_kind, value, norm, bath, bath_numbers, bath_velocity, bath_mass, on,
                 mass, charge, count, group, group_mass, group_charge, kinetic, numbers):
    """On several ranks, after `half_kick` and the reduction: total (s + 1, 7) are the sums over all ranks, by species and, where `settle` says so, of the mesh's net force,
    which `settle_kick` takes off; then `closing_numbers` and `close_step`. Returns whether the sums were finite."""
    if settle:
        settle_kick(total, n, species, mass, count, 0.5 * step, velocity, force)
    finite = closing_numbers(total[:-1], drive_kind, value, norm, bath, bath_numbers, bath_velocity, bath_mass, on, step, axis, mass, charge, count, group, group_mass,
                             group_charge, kinetic, stream, numbers, scale, kick)
    if finite and (bath != 0 or drive_kind != 0):
        close_step(n, species, velocity, scale, stream, kick, axis)
    return finite
