"""Coexistence lines: dP/dT = Delta S/Delta V = Delta H/(T Delta V)."""
import numpy as np

from .errors import ThermoInputError
from .units import GAS_CONSTANT


def slope(temperature, latent_heat, delta_v):
    """dP/dT (Pa/K) from the latent heat and the volume change of the same transition, both per mole or both per kilogram; signs as low -> high phase."""
    if delta_v == 0 or temperature <= 0:
        raise ThermoInputError(f"Clapeyron: T = {temperature!r} K, Delta V = {delta_v!r}; T must be positive and Delta V not 0")
    return latent_heat / (temperature * delta_v)


def slope_from_entropy(delta_s, delta_v):
    if delta_v == 0:
        raise ThermoInputError("Clapeyron: Delta V is 0; the coexistence line is vertical")
    return delta_s / delta_v


def vapour_pressure(temperature, t0, p0, latent_heat, gas_constant=GAS_CONSTANT):
    """p(T) by Clausius and Clapeyron: ideal gas, negligible volume of the condensed phase, constant latent heat (J/mol)."""
    return p0 * np.exp(-latent_heat / gas_constant * (1 / np.asarray(temperature, float) - 1 / t0))


def follow(t0, p0, temperatures, latent_heat, delta_v):
    """P at the given temperatures along a coexistence line from (t0, p0): dP/dT integrated with `latent_heat(T, P)` and `delta_v(T, P)`."""
    from scipy.integrate import solve_ivp
    t = np.asarray(temperatures, float)
    out = np.empty(len(t))
    for side in (t >= t0, t < t0):
        if side.any():
            chosen = np.sort(t[side]) if t[side][0] >= t0 else np.sort(t[side])[::-1]
            found = solve_ivp(lambda x, p: [slope(x, latent_heat(x, p[0]), delta_v(x, p[0]))], (t0, chosen[-1]), [p0], t_eval=chosen, method="DOP853", rtol=1e-12, atol=1e-12 * abs(p0))
            out[side] = np.interp(t[side], np.sort(chosen), found.y[0][np.argsort(chosen)])
    return out
