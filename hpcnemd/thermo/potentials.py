"""Potentials, natural variables, Legendre transforms, the relations of Maxwell, and the two laws on paths.

Signs: dU = T dS - P dV + mu dN, work is done by the system. Models are `eos.Fluid`s (molar)."""
import numpy as np

from .errors import NoEquilibrium, WrongPotential
from .units import GAS_CONSTANT

# potential -> (its natural variables, the transform that makes it, its differential)
POTENTIALS = {
    "U": (("S", "V", "N"), "U", "T dS - P dV + mu dN"),
    "H": (("S", "P", "N"), "U + P V", "T dS + V dP + mu dN"),
    "F": (("T", "V", "N"), "U - T S", "-S dT - P dV + mu dN"),
    "G": (("T", "P", "N"), "U + P V - T S", "-S dT + V dP + mu dN"),
    "Omega": (("T", "V", "mu"), "U - T S - mu N", "-S dT - P dV - N dmu"),
}


def potential_for(fixed, wanted=None):
    """The potential that is minimal when the variables of `fixed` (such as {"T", "P", "N"}) are held. Raises WrongPotential when `wanted` is another."""
    found = next((name for name, (natural, _, _) in POTENTIALS.items() if set(natural) == set(fixed)), None)
    if found is None:
        listed = "; ".join(f"{name}({', '.join(v)})" for name, (v, _, _) in POTENTIALS.items())
        raise WrongPotential(f"no potential has the natural variables {sorted(fixed)}; possible: {listed}")
    if wanted is not None and wanted != found:
        raise WrongPotential(f"{wanted} is not minimal at fixed {', '.join(sorted(fixed))}: the potential there is {found}; minimise {found}, or fix {', '.join(POTENTIALS[wanted][0])}")
    return found


def minimise_volume(fluid, temperature, volume=None, pressure=None, wanted=None):
    """Equilibrium at (T, V) or (T, P): {"potential", "value", "phases": [(fraction, v)]} per mole.

    At (T, V) it is F that is minimised, over splits into two phases; at (T, P) it is G.
    """
    fixed = {"T", "N", "V" if pressure is None else "P"}
    name = potential_for(fixed, wanted)
    if name == "G":
        v = fluid.volume(temperature, pressure)
        return {"potential": "G", "value": float(fluid.properties(temperature, v)["g"]), "phases": [(1.0, v)]}
    spinodal = fluid.spinodal(temperature)
    if spinodal is not None:
        line = fluid.saturation(temperature)
        vg, vl = 1 / line["rho_gas"], 1 / line["rho_liquid"]
        if vl < volume < vg:
            gas = (volume - vl) / (vg - vl)
            f = sum(w * float(fluid.properties(temperature, v)["f"]) for w, v in ((gas, vg), (1 - gas, vl)))
            return {"potential": "F", "value": f, "phases": [(gas, vg), (1 - gas, vl)]}
    return {"potential": "F", "value": float(fluid.properties(temperature, volume)["f"]), "phases": [(1.0, volume)]}


def convex_conjugate(function, derivative, p, bracket, rtol=8.9e-16):
    """(max_x [p x - function(x)], x): the Legendre transform of a convex function at slope p, from a root of derivative(x) = p in `bracket`.

    Raises NoEquilibrium when the slope is not reached: the transform is then infinite or the bracket too small.
    """
    from scipy.optimize import brentq
    low, high = bracket
    if (derivative(low) - p) * (derivative(high) - p) > 0:
        raise NoEquilibrium(f"the slope {p:g} is not reached on [{low:g}, {high:g}]; widen the bracket")
    x = brentq(lambda x: derivative(x) - p, low, high, xtol=1e-300, rtol=rtol)
    return p * x - function(x), x


def helmholtz_to_gibbs(fluid, temperature, pressure, bracket):
    """G(T, P) = min over v of F + P v, by the numerical conjugate in v; returns (g, v)."""
    value, v = convex_conjugate(lambda v: fluid.helmholtz(temperature, v).v, lambda v: fluid.helmholtz(temperature, v).y, -pressure, bracket)
    return -value, v


def gibbs_to_helmholtz(fluid, temperature, volume, pressures, bracket):
    """F(T, v) = max over P of G - P v, with G itself from `helmholtz_to_gibbs`: the way back of the round trip; returns (f, P)."""
    g = {}

    def gibbs(p):
        g[p] = helmholtz_to_gibbs(fluid, temperature, p, bracket)
        return g[p]
    # G is concave in P: conjugate of -G at slope -v
    value, p = convex_conjugate(lambda p: -gibbs(p)[0], lambda p: -gibbs(p)[1], -volume, pressures)
    return value, p


def difference(function, x, step):
    """d function/dx by central differences with Richardson extrapolation (four levels), for checks of analytic derivatives."""
    table = []
    for k in range(5):
        h = step / 2 ** k
        row = [(function(x + h) - function(x - h)) / (2 * h)]
        for j, previous in enumerate(table[-1] if table else []):
            row.append(row[j] + (row[j] - previous) / (4 ** (j + 1) - 1))
        table.append(row)
    best = min(range(1, 5), key=lambda k: abs(table[k][-1] - table[k - 1][-1]))
    return table[best][-1]


def maxwell_residuals(fluid, t, v):
    """Relative misses of (dS/dV)_T = (dP/dT)_V and (dS/dP)_T = -(dV/dT)_P, each side by its own numerical derivative."""
    at = fluid.properties(t, v)
    left = difference(lambda x: fluid.properties(t, x)["s"], v, 0.02 * v)
    right = difference(lambda x: fluid.properties(x, v)["p"], t, 0.02 * t)
    p = at["p"]
    span = (0.7 * v, 1.4 * v)
    sp = difference(lambda x: fluid.properties(t, helmholtz_to_gibbs(fluid, t, x, span)[1])["s"], p, 0.01 * abs(p))
    vt = difference(lambda x: helmholtz_to_gibbs(fluid, x, p, span)[1], t, 0.004 * t)
    return {"dS/dV=dP/dT": float(abs(left / right - 1)), "dS/dP=-dV/dT": float(abs(sp / -vt - 1))}


def fundamental_relation(fluid, t, v, n=2.0):
    """Relative misses of T = dU/dS, P = -dU/dV, mu = dU/dN and of Euler's U = T S - P V + mu N, with U(S, V, N) as a numerical function of its
    natural variables (T solved from S)."""
    at = fluid.properties(t, v)
    big_s, big_v = n * at["s"], n * v

    def energy(s, volume, number):
        tt, molar = t, volume / number
        for _ in range(60):
            q = fluid.properties(tt, molar)
            step = (q["s"] - s / number) * tt / q["cv"]
            tt = tt - step if step < 0.5 * tt else 0.5 * tt
            if abs(step) < 1e-15 * tt:
                break
        return number * fluid.properties(tt, molar)["u"]
    scale = n * at["cv"]
    tt = difference(lambda s: energy(s, big_v, n), big_s, 0.02 * scale)
    pp = -difference(lambda x: energy(big_s, x, n), big_v, 0.01 * big_v)
    mu = difference(lambda x: energy(big_s, big_v, x), n, 0.01 * n)
    euler = tt * big_s - pp * big_v + mu * n
    size = abs(n * at["u"]) + abs(t * big_s) + abs(at["p"] * big_v)
    return {"T": float(abs(tt / t - 1)), "P": float(abs(pp / at["p"] - 1)), "mu": float(abs(mu - at["g"]) / max(abs(at["g"]), t * fluid.gas_constant)),
            "Euler": float(abs(euler - n * at["u"]) / size)}


def cycle_integrals(fluid, centre, radii, points=256):
    """{"u","s","q","w"}: loop integrals over an ellipse in the (T, rho) plane of dU, dS, heat and work (molar); the trapezium rule on a closed
    smooth path converges faster than any power of the number of points. U and S are state quantities: 0; q = w, and not 0."""
    angle = 2 * np.pi * np.arange(points) / points
    t, rho = centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)
    dt, drho = -radii[0] * np.sin(angle), radii[1] * np.cos(angle)
    v = 1 / rho
    dv = -drho / rho ** 2
    q = fluid.properties(t, v)
    weight = 2 * np.pi / points
    ds = q["cv"] / t * dt + q["dpdt"] * dv
    du = q["cv"] * dt + (t * q["dpdt"] - q["p"]) * dv
    return {name: float(np.sum(x) * weight) for name, x in (("u", du), ("s", ds), ("q", t * ds), ("w", q["p"] * dv))}


def isothermal_expansion(t, v1, v2, gas_constant=GAS_CONSTANT):
    """Reversible isotherm of an ideal gas: {"q","w","ds"} per mole; Q = W = R T ln(V2/V1)."""
    w = gas_constant * t * np.log(v2 / v1)
    return {"q": w, "w": w, "ds": w / t}


def free_expansion(t, v1, v2, gas_constant=GAS_CONSTANT):
    """Into vacuum: Q = W = 0, and the entropy grows by R ln(V2/V1) > Q/T."""
    return {"q": 0.0, "w": 0.0, "ds": gas_constant * np.log(v2 / v1)}


def second_law(ds, heat_over_t, tolerance=1e-12):
    """Entropy made inside, dS - Q/T (J/mol/K). Raises NoEquilibrium when it is negative: the process is impossible."""
    made = ds - heat_over_t
    if made < -tolerance * max(abs(ds), abs(heat_over_t), 1e-300):
        raise NoEquilibrium(f"entropy production {made:g} J/mol/K is negative: dS = {ds:g}, Q/T = {heat_over_t:g}; the process cannot happen")
    return made
