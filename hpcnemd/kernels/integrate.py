"""The particle sweeps of one time step. Everything that differs between particles only through their species is handed in by species:
`inverse_mass`, `colour` (the c_i of the drive) and `stream` (the streaming velocity along the drive that the thermostat leaves alone)."""
import numpy as np

from . import inner, njit

FAST = {"contract", "arcp", "nsz"}
SUMS = 7        # per species: kinetic energy, momentum x y z, force x y z


@inner(fastmath=FAST)
def open_step(n, species, position, velocity, force, inverse_mass, scale, stream, kick, axis, half_step, step, reference, stretch):
    """Thermostat half step (`scale` (s,) of the peculiar velocity), half kick, projection (`kick` (s,): change of the velocity along `axis`), drift.
    position, velocity, force (cap, 3); `axis` (3,) unit vector; times in fs. Returns the `largest_displacement` afterwards."""
    ex, ey, ez = axis[0], axis[1], axis[2]
    tx, ty, tz = stretch[0], stretch[1], stretch[2]
    largest, finite = 0.0, True
    for i in range(n):
        s = species[i]
        a = half_step * inverse_mass[s]
        factor = scale[s]
        # scale (v - u) + u + kick, in one addition along the drive
        along = (1.0 - factor) * stream[s] + kick[s]
        vx = factor * velocity[i, 0] + a * force[i, 0] + along * ex
        vy = factor * velocity[i, 1] + a * force[i, 1] + along * ey
        vz = factor * velocity[i, 2] + a * force[i, 2] + along * ez
        velocity[i, 0] = vx
        velocity[i, 1] = vy
        velocity[i, 2] = vz
        x = position[i, 0] + step * vx
        y = position[i, 1] + step * vy
        z = position[i, 2] + step * vz
        position[i, 0] = x
        position[i, 1] = y
        position[i, 2] = z
        x -= tx * reference[i, 0]
        y -= ty * reference[i, 1]
        z -= tz * reference[i, 2]
        square = x * x + y * y + z * z
        finite &= square < 1e300
        if square > largest:
            largest = square
    return largest if finite else np.inf


@njit(cache=True, error_model="numpy", fastmath=FAST)
def half_kick(n, species, velocity, force, inverse_mass, half_step, sums):
    """Second half kick; `sums` (s, 7) gets, by species, kinetic energy / mass (so far without mass), velocity and force sums of the new state."""
    sums[:] = 0.0
    for i in range(n):
        s = species[i]
        a = half_step * inverse_mass[s]
        vx = velocity[i, 0] + a * force[i, 0]
        vy = velocity[i, 1] + a * force[i, 1]
        vz = velocity[i, 2] + a * force[i, 2]
        velocity[i, 0] = vx
        velocity[i, 1] = vy
        velocity[i, 2] = vz
        sums[s, 0] += vx * vx + vy * vy + vz * vz
        sums[s, 1] += vx
        sums[s, 2] += vy
        sums[s, 3] += vz
        sums[s, 4] += force[i, 0]
        sums[s, 5] += force[i, 1]
        sums[s, 6] += force[i, 2]
    for s in range(sums.shape[0]):
        mass = 1.0 / inverse_mass[s]
        sums[s, 0] *= 0.5 * mass
        sums[s, 1] *= mass
        sums[s, 2] *= mass
        sums[s, 3] *= mass


@njit(cache=True, error_model="numpy", fastmath=FAST)
def take_off(ax, ay, az, n, species, mass, half_step, velocity, force):
    """An acceleration (ax, ay, az) that all particles share is taken off the forces, and what it did in a half kick off the velocities."""
    for i in range(n):
        m = mass[species[i]]
        force[i, 0] -= m * ax
        force[i, 1] -= m * ay
        force[i, 2] -= m * az
        velocity[i, 0] -= half_step * ax
        velocity[i, 1] -= half_step * ay
        velocity[i, 2] -= half_step * az


@inner(fastmath=FAST)
def settle_kick(total, n, species, mass, count, half_step, velocity, force):
    """After the half kick of forces whose sum over all ranks is not zero but total[s, :3]: the mean acceleration is taken off forces, velocities and the sums (s, 7) over
    all ranks that `half_kick` began, where total[s, 3] is not 0; `count` (s,) particles of each species."""
    kinds, whole = mass.shape[0], 0.0
    if total[kinds, 3] == 0.0:
        return
    for s in range(kinds):
        whole += mass[s] * count[s]
    take_off(total[kinds, 0] / whole, total[kinds, 1] / whole, total[kinds, 2] / whole, n, species, mass, half_step, velocity, force)
    for s in range(kinds):
        m = mass[s] * count[s]
        for k in range(3):
            acceleration = total[kinds, k] / whole
            change = half_step * acceleration
            total[s, 0] -= change * total[s, 1 + k] - 0.5 * m * change * change
            total[s, 1 + k] -= m * change
            total[s, 4 + k] -= m * acceleration


@inner(fastmath=FAST)
def close_step(n, species, velocity, scale, stream, kick, axis):
    """Projection, then thermostat half step. `stream` (s,) is the streaming velocity after the projection."""
    ex, ey, ez = axis[0], axis[1], axis[2]
    for i in range(n):
        s = species[i]
        factor = scale[s]
        along = (1.0 - factor) * stream[s] + factor * kick[s]
        velocity[i, 0] = factor * velocity[i, 0] + along * ex
        velocity[i, 1] = factor * velocity[i, 1] + along * ey
        velocity[i, 2] = factor * velocity[i, 2] + along * ez


@njit(cache=True, error_model="numpy", fastmath=FAST)
def langevin_half(n, species, velocity, noise, keep, spread, mass, heat):
    """Ornstein-Uhlenbeck half step v -> keep v + spread xi by species ((s,) each; keep 1 and spread 0 leave a species alone).
    `noise` (n, 3) standard normals; heat (1,) += kinetic energy taken out, eV."""
    before_after = 0.0
    for i in range(n):
        s = species[i]
        if spread[s] == 0.0:
            continue
        for k in range(3):
            old = velocity[i, k]
            new = keep[s] * old + spread[s] * noise[i, k]
            velocity[i, k] = new
            before_after += 0.5 * mass[s] * (old * old - new * new)
    heat[0] += before_after


@njit(cache=True, error_model="numpy", fastmath=FAST)
def kinetic_tensor(n, species, velocity, mass, stream, axis, out):
    """out (3, 3) = sum m (v - u)(v - u), eV (twice the kinetic energy tensor), of the peculiar velocities."""
    out[:] = 0.0
    for i in range(n):
        s = species[i]
        m = mass[s]
        x = velocity[i, 0] - stream[s] * axis[0]
        y = velocity[i, 1] - stream[s] * axis[1]
        z = velocity[i, 2] - stream[s] * axis[2]
        out[0, 0] += m * x * x
        out[0, 1] += m * x * y
        out[0, 2] += m * x * z
        out[1, 1] += m * y * y
        out[1, 2] += m * y * z
        out[2, 2] += m * z * z
    out[1, 0] = out[0, 1]
    out[2, 0] = out[0, 2]
    out[2, 1] = out[1, 2]


@njit(cache=True, error_model="numpy")
def species_positions(n, species, position, image, lengths, out):
    """out (s, 3) = sum over each species of the unwrapped positions, angstrom."""
    out[:] = 0.0
    for i in range(n):
        s = species[i]
        for k in range(3):
            out[s, k] += position[i, k] + image[i, k] * lengths[k]


@njit(cache=True, error_model="numpy")
def largest_displacement(n, position, reference, stretch):
    """Largest squared distance (angstrom^2) between rows of position (cap, 3) and of reference (n, 3) times stretch (3,); infinite where one is not finite."""
    largest = 0.0
    for i in range(n):
        x = position[i, 0] - stretch[0] * reference[i, 0]
        y = position[i, 1] - stretch[1] * reference[i, 1]
        z = position[i, 2] - stretch[2] * reference[i, 2]
        square = x * x + y * y + z * z
        if not square < 1e300:
            return np.inf
        largest = max(largest, square)
    return largest
