"""Reactions: Gibbs energy, equilibrium constant, equilibrium of one reaction, and lines over temperature.

Delta_r G = sum nu_i mu_i = Delta_r G0 + R T ln Q, K = exp(-Delta_r G0 / R T). nu > 0 for products. SI."""
import re
from dataclasses import dataclass, field

import numpy as np

from .cp import Caloric
from .errors import NoEquilibrium, ThermoInputError, UnbalancedReaction, UnknownComponent
from .ledger import DataSet, require_compatible
from .units import GAS_CONSTANT


@dataclass(frozen=True)
class Substance:
    """A substance of one phase: `elements` {symbol: atoms}, `phase` "gas" or the name of a condensed phase, `caloric` its data, `data` its source."""
    name: str
    elements: dict
    phase: str
    caloric: Caloric
    data: DataSet = field(default_factory=lambda: DataSet("not stated"))

    @property
    def is_gas(self):
        return self.phase == "gas"


@dataclass(frozen=True)
class Reaction:
    """`stoichiometry` {substance name: nu}; `substances` {name: Substance}. Element balance and references are checked at construction."""
    stoichiometry: dict
    substances: dict

    def __post_init__(self):
        missing = [n for n in self.stoichiometry if n not in self.substances]
        if missing:
            hint = "; put blanks around each + between substances" if any("+" in n for n in missing) else ""
            raise UnknownComponent(f"the reaction names {', '.join(missing)}; the data has {', '.join(sorted(self.substances))}{hint}")
        off = {e: round(v, 12) for e, v in self._element_totals().items() if abs(v) > 1e-9}
        if off:
            raise UnbalancedReaction(f"the reaction {self} is not balanced: {', '.join(f'{e} {v:+g}' for e, v in off.items())}; correct its coefficients")
        require_compatible([self.substances[n].data for n in self.stoichiometry])

    def _element_totals(self):
        totals = {}
        for name, nu in self.stoichiometry.items():
            for element, atoms in self.substances[name].elements.items():
                totals[element] = totals.get(element, 0.0) + nu * atoms
        return totals

    def imbalance(self):
        """Greatest number of atoms made or destroyed: rounding of the coefficients."""
        return max(abs(v) for v in self._element_totals().values())

    def __str__(self):
        def side(sign):
            return " + ".join(f"{abs(nu):g} {n}" if abs(nu) != 1 else n for n, nu in self.stoichiometry.items() if nu * sign > 0)
        return f"{side(-1)} = {side(1)}"

    def _sum(self, method, t):
        return sum(nu * getattr(self.substances[n].caloric, method)(t) for n, nu in self.stoichiometry.items())

    def delta_h(self, t):
        """J per mole of reaction"""
        return self._sum("h", t)

    def delta_s(self, t):
        return self._sum("s", t)

    def delta_cp(self, t):
        return self._sum("cp", t)

    def delta_g(self, t):
        """Delta_r G0, J per mole of reaction"""
        return self._sum("g", t)

    def ln_k(self, t, gas_constant=GAS_CONSTANT):
        return -self.delta_g(t) / (gas_constant * np.asarray(t, float)[()])

    def gas_moles(self):
        """Sum of nu over the gas"""
        return sum(nu for n, nu in self.stoichiometry.items() if self.substances[n].is_gas)


def parse_reaction(text, substances):
    """`CO + H2O = CO2 + H2` to a Reaction; coefficients before the names, separated by a blank (`2 CO`)."""
    sides = re.split(r"\s*(?:<=>|=>|->|=)\s*", text.strip())
    if len(sides) != 2:
        raise ThermoInputError(f'reaction {text!r}: write it as "CO + H2O = CO2 + H2"')
    nu = {}
    for sign, side in zip((-1, 1), sides):
        for term in re.split(r"\s+\+\s+", side):
            match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)\s+)?(\S+)", term.strip())
            if not match:
                raise ThermoInputError(f"reaction {text!r}: the term {term!r} is not understood; write for example \"2 CO\"")
            nu[match[2]] = nu.get(match[2], 0.0) + sign * float(match[1] or 1)
    return Reaction({n: v for n, v in nu.items() if v}, substances)


def equilibrium_constant(delta_g, temperature, gas_constant=GAS_CONSTANT):
    """K from Delta_r G0 (J/mol) at T (K)."""
    return np.exp(-delta_g / (gas_constant * temperature))


def reaction_gibbs(delta_g0, temperature, quotient, gas_constant=GAS_CONSTANT):
    """Delta_r G (J/mol) at the reaction quotient Q; its negative is the affinity."""
    return delta_g0 + gas_constant * temperature * np.log(quotient)


def shift_reference_pressure(ln_k, gas_moles, old, new):
    """ln K with respect to p0 = `new` (Pa) from ln K with respect to `old`: mu0 changes by R T ln(new/old) per mole of gas."""
    return ln_k - gas_moles * np.log(new / old)


def isomerisation(delta_g0, temperature, interaction=0.0, gas_constant=GAS_CONSTANT):
    """x_B at equilibrium of A = B in a regular solution of interaction L (J/mol), and G's gain over pure A (J/mol).

    Solves Delta G0 + R T ln(x/(1-x)) + L (1-2x) = 0; beyond L = 2 R T there are several roots, and the one of lowest G is given.
    """
    from scipy.optimize import brentq
    rt = gas_constant * temperature

    def slope(y):
        x = 1 / (1 + np.exp(-y))
        return delta_g0 + rt * y + interaction * (1 - 2 * x)

    def g(x):
        return x * delta_g0 + rt * (x * np.log(x) + (1 - x) * np.log1p(-x)) + interaction * x * (1 - x)
    grid = np.linspace(-1, 1, 801) * ((abs(delta_g0) + abs(interaction)) / rt + 1)
    values = slope(grid)
    change = np.flatnonzero(values[:-1] * values[1:] <= 0)
    if not len(change):
        raise NoEquilibrium(f"A = B: no root for Delta G0 = {delta_g0:g} J/mol, L = {interaction:g} J/mol at {temperature:g} K")
    roots = [1 / (1 + np.exp(-brentq(slope, grid[k], grid[k + 1], xtol=1e-14, rtol=1e-15))) for k in change]
    best = min(roots, key=g)
    return float(best), float(g(best))


def gas_extent(reaction, temperature, pressure, feed, reference_pressure, gas_constant=GAS_CONSTANT):
    """Moles at equilibrium of one reaction in an ideal gas with pure condensed phases of activity 1.

    `feed` {name: mol}; returns ({name: mol}, residual |Delta_r G| J/mol). A condensed phase may be used up: the extent then stops there,
    and the residual is the affinity that is left.
    """
    from scipy.optimize import brentq
    nu = reaction.stoichiometry
    low = max((-feed.get(n, 0.0) / v for n, v in nu.items() if v > 0), default=-np.inf)
    high = min((feed.get(n, 0.0) / -v for n, v in nu.items() if v < 0), default=np.inf)
    inert = sum(m for n, m in feed.items() if n not in nu)
    if not low < high:
        raise NoEquilibrium(f"{reaction}: the feed {feed} leaves no room for the reaction; give both sides or all reactants")
    g0, rt = reaction.delta_g(temperature), gas_constant * temperature

    def moles(xi):
        return {n: feed.get(n, 0.0) + v * xi for n, v in nu.items()}

    def affinity(xi):
        n = moles(xi)
        total = inert + sum(max(m, 0.0) for k, m in n.items() if reaction.substances[k].is_gas)
        return g0 + rt * sum(nu[k] * np.log(max(m, 1e-300) / total * pressure / reference_pressure) for k, m in n.items() if reaction.substances[k].is_gas)
    edge = 1e-15 * (high - low)
    a, b = affinity(low + edge), affinity(high - edge)
    if a * b > 0:
        xi = low if a > 0 else high
    else:
        xi = brentq(affinity, low + edge, high - edge, xtol=1e-16, rtol=8.9e-16, maxiter=500)
    return {**feed, **moles(xi)}, abs(affinity(xi))
