"""What driving forces do: rates of reactions, precipitation, decomposition, diffusion and interfaces, each from the same Gibbs energies as the equilibrium.

SI; g per mole of atoms, molar volume constant. Energies of inhomogeneous states are g + (kappa/2)(dx/dz)^2 per mole, kappa in J m^2/mol (J. W. Cahn and
J. E. Hilliard, J. Chem. Phys. 28, 258, 1958, whose coefficient is kappa/2)."""
import numpy as np

from .errors import ThermoInputError
from .units import GAS_CONSTANT

AVOGADRO = 6.02214076e23


def affinity_rate(affinity, forward_rate, temperature, gas_constant=GAS_CONSTANT):
    """Net rate of an elementary step from its forward rate and the affinity A = -Delta_r G (J/mol): r+ (1 - exp(-A/RT)), detailed balance (De Donder)."""
    return forward_rate * -np.expm1(-np.asarray(affinity, float) / (gas_constant * temperature))


def entropy_production(flux, affinity, temperature):
    """J/K per unit time: rate (mol/s) x affinity / T; never negative where rate and affinity belong together."""
    return flux * affinity / temperature


def precipitation(parent, phases, temperature, x, gas_constant=GAS_CONSTANT):
    """{name: (driving force J/mol of atoms, composition of the nucleus)} of each of `phases` from a `parent` solution phase of composition x: the greatest
    depth below the parent's tangent (parallel tangents). Of the parent itself it is positive where it is metastable or unstable."""
    mu = parent.at(temperature, gas_constant).mu(float(np.log(x / (1 - x))))
    return {p.name: p.at(temperature, gas_constant).driving(mu) for p in phases}


def nucleation_barrier(surface_energy, driving_force):
    """(radius m, barrier J) of the critical sphere, 2 gamma/g and 16 pi gamma^3/(3 g^2), from gamma in J/m^2 and the driving force g in J/m^3."""
    if not driving_force > 0:
        raise ThermoInputError(f"driving force {driving_force:g} J/m^3: nothing nucleates from a stable state")
    return 2 * surface_energy / driving_force, 16 * np.pi * surface_energy ** 3 / (3 * driving_force ** 2)


def fastest_wave(phase, temperature, x, gradient, collective, gas_constant=GAS_CONSTANT):
    """(wavelength m, growth rate 1/s) of the composition wave that grows fastest in a solution inside its spinodal: k^2 = -g''/(2 kappa), rate -D_chem k^2/2
    (J. W. Cahn, Acta Metall. 9, 795, 1961). `collective` D_sigma m^2/s. Raises ThermoInputError outside the spinodal."""
    stiffness = float(phase.at(temperature, gas_constant).stiffness(float(np.log(x / (1 - x)))))
    if stiffness >= 0:
        raise ThermoInputError(f"x = {x:g} is not inside the spinodal of {phase.name} at {temperature:g} K: no wave grows; use precipitation and nucleation_barrier")
    square = -stiffness / (x * (1 - x)) / (2 * gradient)
    return 2 * np.pi / np.sqrt(square), -stiffness / (gas_constant * temperature) * collective * square / 2


def diffuse(x, spacing, diffusion, time, tolerance=3e-5):
    """Composition profile after `time`: dx/dt = d/dz [D(x) dx/dz], closed ends.

    `x` (n,) fractions, `spacing` m, `diffusion` function x -> D_chem (m^2/s), positive; `tolerance`: of x in one step before its
    extrapolation, which gives the length of the step. Steps are implicit and conservative: no new extreme comes up, and the amount stays. Raises ThermoInputError where D is negative between the extremes
    (inside the spinodal: the profile decomposes, and this equation has no solution).
    """
    x = np.array(x, float)
    start = diffusion(np.linspace(x.min(), x.max(), 400))
    if not np.min(start) >= 0:
        raise ThermoInputError("D_chem is negative at a composition of the profile: inside the spinodal uphill diffusion decomposes it")
    done, dt = 0.0, min(time, 1e-3 * spacing ** 2 / np.max(start))
    while done < time:
        dt = min(dt, time - done)
        whole = _implicit_step(x, dt / spacing ** 2, diffusion)
        halves = _implicit_step(_implicit_step(x, 0.5 * dt / spacing ** 2, diffusion), 0.5 * dt / spacing ** 2, diffusion)
        error = float(np.max(np.abs(whole - halves)))
        if error <= tolerance:
            better = 2 * halves - whole         # extrapolated to second order, where that makes no new extreme
            x = better if x.min() <= better.min() and better.max() <= x.max() else halves
            done = done + dt if dt < time - done else time
        dt *= min(4.0, max(0.2, 0.9 * np.sqrt(tolerance / max(error, 1e-300))))
    return x


def _implicit_step(x, step, diffusion):
    """One step of Euler's implicit method; D follows the new profile by three passes. `step` dt/dz^2."""
    from scipy.linalg import solve_banded
    new, bands = x, np.zeros((3, len(x)))
    for _ in range(3):
        d = step * diffusion(0.5 * (new[1:] + new[:-1]))
        bands[0, 1:], bands[2, :-1] = -d, -d
        bands[1] = 1.0
        bands[1, :-1] += d
        bands[1, 1:] += d
        new = solve_banded((1, 1), bands, x)
    return new


def interface(phase, line, temperature, gradient, gas_constant=GAS_CONSTANT, points=4001):
    """{"energy", "width", "x", "z"} of a flat interface between the two ends of a miscibility gap: the minimum of the integral of Delta g + (kappa/2)(dx/dz)^2
    over z is the integral of sqrt(2 kappa Delta g) dx, Delta g being the height over the common tangent (Cahn and Hilliard 1958).

    `line` a binary.TieLine of one phase; `gradient` kappa, J m^2/mol. The energy is in J m/mol: divided by the molar volume it is J/m^2. The width (m) is
    that of the middle 80 % of the change of x; `x`, `z` (points,) the profile, z = 0 in its middle.
    """
    f = phase.at(temperature, gas_constant)
    if line.phases[0] != line.phases[1]:
        raise ThermoInputError(f"interface between {line.phases[0]} and {line.phases[1]}: only the two sides of one phase's gap share a gradient energy")
    a, b = line.x
    # x = a + (b-a) (1 - cos t)/2 takes away the ends' linear approach to zero
    angle = np.pi * (np.arange(points) + 0.5) / points
    x = a + (b - a) * 0.5 * (1 - np.cos(angle))
    above = np.maximum(f.g(np.log(x / (1 - x))) - (1 - x) * line.mu[0] - x * line.mu[1], 0.0)
    above = np.maximum(above, 1e-10 * above.max())              # rounding: both ends touch the tangent, which they reach at infinite z
    weight = (b - a) * 0.5 * np.sin(angle) * np.pi / points
    dz = np.sqrt(gradient / (2 * above)) * weight
    z = np.cumsum(dz) - 0.5 * dz
    low, middle, high = np.interp([a + share * (b - a) for share in (0.1, 0.5, 0.9)], x, z)
    return {"energy": float(np.sum(np.sqrt(2 * gradient * above) * weight)), "width": float(high - low), "x": x, "z": z - middle}
