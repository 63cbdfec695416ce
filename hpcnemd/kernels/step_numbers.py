"""The few numbers that all ranks share in a time step: from the sums over particles to the scales and kicks of the next sweep.

The arrays of a `StepNumbers` (dynamics.simulation), all float64 unless said; s species:
    kinetic (s,)   peculiar kinetic energy, eV              stream (s,)   streaming velocity along the drive, angstrom/fs
    numbers (8,)   CURRENT .. OPENING below                 scale, kick (s,)   for the next sweep
    mass, charge, count (s,); group (s,) int64; norm = sum c^2/m; on (s,) bool: species of the thermostat
`drive_kind`: 0 none, 1 constant field, 2 constant current. `bath`: 0 none or Langevin, 1 Gaussian isokinetic, 2 Nose-Hoover chain."""
import math


from . import inner, njit
from .chain_thermostat import chain_half_step

CURRENT, COLOUR_FORCE, IMPULSE, CHARGE_MOVED, WORK, HEAT, MIDDLE, OPENING = range(8)
COUNT = 8


@inner
def _impulse(drive_kind, value, current, norm, half_step):
    """delta (eV fs/angstrom per e) of a half step that begins with J = current: Gauss's principle, or the field's own."""
    if drive_kind == 2:
        return (value - current) / norm
    return value * half_step if drive_kind == 1 else 0.0


@inner
def _bath_half(bath, bath_numbers, bath_velocity, bath_mass, on, half_step, kinetic, numbers, scale):
    """Scale (s,) of the peculiar velocities over a thermostat half step; kinetic energies and heat follow.
    bath_numbers: degrees of freedom, kT (Nose-Hoover); target kinetic energy (Gaussian)."""
    n = kinetic.shape[0]
    for s in range(n):
        scale[s] = 1.0
    if bath == 0:
        return
    total = 0.0
    for s in range(n):
        if on[s]:
            total += kinetic[s]
    factor = 1.0
    if bath == 2:
        factor = chain_half_step(bath_velocity, bath_mass, total, bath_numbers[0], bath_numbers[1], half_step)
    elif total > 0.0:
        factor = math.sqrt(bath_numbers[2] / total)
    numbers[HEAT] += total * (1.0 - factor * factor)
    for s in range(n):
        if on[s]:
            scale[s] = factor
            kinetic[s] *= factor * factor


@inner
def opening_numbers(drive_kind, value, norm, bath, bath_numbers, bath_velocity, bath_mass, on, step, mass, charge, kinetic, numbers, scale, kick):
    """Before the first sweep. J after the half kick is known beforehand: the thermostat leaves it alone, and sum c F/m came with the last reduction."""
    half = 0.5 * step
    _bath_half(bath, bath_numbers, bath_velocity, bath_mass, on, half, kinetic, numbers, scale)
    middle = numbers[CURRENT] + half * numbers[COLOUR_FORCE]
    delta = _impulse(drive_kind, value, middle, norm, half)
    numbers[MIDDLE] = middle + delta * norm
    numbers[OPENING] = delta
    for s in range(mass.shape[0]):
        kick[s] = delta * charge[s] / mass[s]


@njit(cache=True, error_model="numpy")
def take_stock(sums, driven, axis, mass, charge, count, group, group_mass, kinetic, stream, numbers):
    """Peculiar kinetic energies, streaming velocities, J and sum c F/m from the sums (s, 7) of kinetic energy, momentum and force over all ranks."""
    n = mass.shape[0]
    numbers[CURRENT] = 0.0
    numbers[COLOUR_FORCE] = 0.0
    for s in range(n):
        stream[s] = 0.0
    for s in range(n):
        along = sums[s, 1] * axis[0] + sums[s, 2] * axis[1] + sums[s, 3] * axis[2]
        pull = sums[s, 4] * axis[0] + sums[s, 5] * axis[1] + sums[s, 6] * axis[2]
        numbers[CURRENT] += charge[s] / mass[s] * along
        numbers[COLOUR_FORCE] += charge[s] / mass[s] * pull
        if driven:
            for t in range(n):
                if group[t] == group[s] and group_mass[t] > 0.0:
                    stream[t] += along / group_mass[t]
    for s in range(n):
        along = sums[s, 1] * axis[0] + sums[s, 2] * axis[1] + sums[s, 3] * axis[2]
        kinetic[s] = sums[s, 0] - stream[s] * along + 0.5 * count[s] * mass[s] * stream[s] * stream[s]


@inner
def closing_numbers(sums, drive_kind, value, norm, bath, bath_numbers, bath_velocity, bath_mass, on, step, axis, mass, charge, count, group, group_mass,
                    group_charge, kinetic, stream, numbers, scale, kick):
    """After the second half kick and its reduction: projection, thermostat half step, and the ledger of the step.
    Returns whether the sums were finite."""
    take_stock(sums, drive_kind != 0, axis, mass, charge, count, group, group_mass, kinetic, stream, numbers)
    half = 0.5 * step
    delta = _impulse(drive_kind, value, numbers[CURRENT], norm, half)
    numbers[CURRENT] += delta * norm
    finite = numbers[CURRENT]
    for s in range(mass.shape[0]):
        kick[s] = delta * charge[s] / mass[s]
        if delta != 0.0 and group_mass[s] > 0.0:
            stream[s] += delta * group_charge[s] / group_mass[s]
        finite += kinetic[s]
    _bath_half(bath, bath_numbers, bath_velocity, bath_mass, on, half, kinetic, numbers, scale)
    impulse = numbers[OPENING] + delta
    numbers[IMPULSE] += impulse
    # J is MIDDLE all through the drift: this is the field's work on the displacement, exactly
    numbers[WORK] += numbers[MIDDLE] * impulse
    numbers[CHARGE_MOVED] += numbers[MIDDLE] * step
    return math.isfinite(finite)
