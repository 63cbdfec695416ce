"""A liquid and a gas under a temperature difference, by the minimum of the total free energy at fixed global temperature (the idea of Nakagawa and Sasa,
PRL 119, 260602, 2017, and J. Stat. Phys. 177, 825, 2019).

What follows is our own algebra from that principle: it was not compared with the papers' equations, and its numbers are no quotation of them.
Minimised is N_L mu_L(T_L, p) + N_G mu_G(T_G, p) at fixed T~ with T_L = T~ - (N_G/N) Xi/2, T_G = T~ + (N_L/N) Xi/2, Xi = T_2 - T_1."""
import numpy as np

from .errors import NoEquilibrium


def layer_temperatures(t_global, xi, liquid_fraction):
    """(T_L, T_G), mean temperatures of the two layers."""
    return t_global - (1 - liquid_fraction) * xi / 2, t_global + liquid_fraction * xi / 2


def total_free_energy(fluid, t_global, xi, pressure, liquid_fraction):
    """g per particle (reduced units) of the two layers at this division."""
    tl, tg = layer_temperatures(t_global, xi, liquid_fraction)
    liquid = fluid.properties(tl, fluid.volume(tl, pressure, "liquid"))["g"]
    gas = fluid.properties(tg, fluid.volume(tg, pressure, "gas"))["g"]
    return float(liquid_fraction * liquid + (1 - liquid_fraction) * gas)


def first_order(xi, liquid_fraction):
    """T~ - T_c(p) = (Xi/2) (N_G - N_L)/N to first order in Xi (own derivation)."""
    return 0.5 * xi * (1 - 2 * liquid_fraction)


def global_temperature(fluid, t_coexistence, xi, liquid_fraction, step=2e-3):
    """(T~, curvature) at which the given division is stationary, at the saturation pressure of `t_coexistence`; curvature d2g/dn_L^2 > 0 marks a minimum.

    Raises NoEquilibrium when there is none near the coexistence temperature.
    """
    from scipy.optimize import brentq
    p = fluid.saturation(t_coexistence)["p"]

    def slope(t):
        return (total_free_energy(fluid, t, xi, p, liquid_fraction + step) - total_free_energy(fluid, t, xi, p, liquid_fraction - step)) / (2 * step)
    guess = t_coexistence + first_order(xi, liquid_fraction)
    reach = 0.5 * abs(xi) + 1e-4
    if slope(guess - reach) * slope(guess + reach) > 0:
        raise NoEquilibrium(f"no stationary division near T~ = {guess:g} for Xi = {xi:g}")
    t = brentq(slope, guess - reach, guess + reach, xtol=1e-12)
    values = [total_free_energy(fluid, t, xi, p, liquid_fraction + k * step) for k in (-1, 0, 1)]
    return t, float(np.dot(values, (1, -2, 1)) / step ** 2)
