"""Binary phase equilibrium: stability, spinodal, common tangent, lever rule, and the equilibrium at (T, x) with its certificate.

x is the mole fraction of the second component, g the Gibbs energy per mole of atoms (J/mol). Inside, compositions are held as y = ln(x/(1-x)), so
that both dilute ends keep their digits. The lower convex hull of all phases on a grid gives the topology, Newton's method the numbers, and the
smallest distance of every phase to the common tangent is the certificate (a missed phase is added and the hull taken again)."""
import math
from dataclasses import dataclass

import numpy as np

from .errors import BeyondBinary, ImpossibleComposition, NegativeFraction, NoEquilibrium, TemperatureOutOfRange
from .units import GAS_CONSTANT

_Y = np.unique(np.concatenate([np.linspace(-36, 36, 97), np.log(np.linspace(0.01, 0.99, 99) / (1 - np.linspace(0.01, 0.99, 99)))]))

_NARROW = 2e-3       # log-odds: a gap this narrow (1 - T/Tc below 3e-7) has a depth near rounding; its ends follow from the spinodal
_XW = 1 / (1 + np.exp(-_Y)), 1 / (1 + np.exp(_Y))


@dataclass(frozen=True)
class SolutionPhase:
    """One mixing sublattice. `end_a`, `end_b`: T -> J/mol of atoms of the pure ends; `terms`: functions T -> L_m (Redlich-Kister, J/mol of atoms)."""
    name: str
    end_a: object
    end_b: object
    terms: tuple = ()
    temperature_range: tuple = (0.0, np.inf)

    def at(self, t, gas_constant=GAS_CONSTANT):
        check_range(self, t)
        return _Solution(self.name, float(self.end_a(t)), float(self.end_b(t)), np.array([float(f(t)) for f in self.terms]), gas_constant * t)


@dataclass(frozen=True)
class CompoundPhase:
    """A line compound at composition `x`; `gibbs`: T -> J per mole of atoms."""
    name: str
    x: float
    gibbs: object
    temperature_range: tuple = (0.0, np.inf)

    def at(self, t, gas_constant=GAS_CONSTANT):
        check_range(self, t)
        return _Compound(self.name, self.x, float(self.gibbs(t)))


def check_range(phase, t):
    low, high = phase.temperature_range
    if not (t > 0 and low * (1 - 1e-12) <= t <= high * (1 + 1e-12)):
        hint = f"; if {t:g} degrees Celsius is meant, write {t + 273.15:g} K" if 0 <= t < low else ""
        raise TemperatureOutOfRange(f"{phase.name}: T = {t:g} K is outside its data, {low:g}-{high:g} K{hint}")


def _horner(coefficients, d):
    """A polynomial, highest power first, at a number or an array."""
    total = coefficients[0]
    for c in coefficients[1:]:
        total = total * d + c
    return total


def _pairs(roots):
    return list(zip(roots[::2], roots[1::2]))


def _derivative(coefficients):
    n = len(coefficients) - 1
    return [c * (n - k) for k, c in enumerate(coefficients[:-1])] or [0.0]


class _Compound:
    fixed, roots, narrow = True, (), ()

    def __init__(self, name, x, value):
        self.name, self.x, self.value = name, x, value

    def driving(self, mu):
        """Depth below the plane of mu (positive: it would form), and where."""
        return (1 - self.x) * mu[0] + self.x * mu[1] - self.value, self.x


class _Solution:
    """A solution phase at one temperature; all functions of y, vectorised."""
    fixed = False

    def __init__(self, name, a, b, terms, rt):
        self.name, self.a, self.b, self.rt, self._grid = name, a, b, rt, None
        self.poly = [float(c) for c in terms[::-1]] or [0.0]
        self.slope = _derivative(self.poly)
        self.curve = _derivative(self.slope)
        pairs = _pairs(_spinodal(self))
        self.roots = [y for pair in pairs if pair[1] - pair[0] > _NARROW for y in pair]     # log-odds of the spinodal, ascending
        self.narrow = [pair for pair in pairs if pair[1] - pair[0] <= _NARROW]

    def g(self, y):
        """J/mol of atoms"""
        if isinstance(y, float):
            a, b = self.mu(y)
            x, w = phase_split(y)
            return w * a + x * b
        x, w = phase_split(y)
        return w * self.a + x * self.b + self.rt * (-x * np.log1p(np.exp(-y)) - w * np.log1p(np.exp(y))) + x * w * _horner(self.poly, w - x)

    def mu(self, y):
        """(mu_A, mu_B) J/mol"""
        x, w = phase_split(y)
        if isinstance(y, float):                # one number: the math module is ten times faster than numpy here
            soft = math.log1p(math.exp(-abs(y)))
            minus_ln_w, minus_ln_x = soft + max(y, 0.0), soft + max(-y, 0.0)
        else:
            minus_ln_w, minus_ln_x = np.log1p(np.exp(y)), np.log1p(np.exp(-y))
        d = w - x
        p, q = _horner(self.poly, d), _horner(self.slope, d)
        # G^ex = x w P(d): mu_A^ex = x^2 (P + 2 w P'), mu_B^ex = w^2 (P - 2 x P')
        return self.a - self.rt * minus_ln_w + x * x * (p + 2 * w * q), self.b - self.rt * minus_ln_x + w * w * (p - 2 * x * q)

    def stiffness(self, y):
        """x (1-x) d2g/dx2, J/mol: positive where stable, R T in an ideal solution"""
        x, w = phase_split(y)
        d = w - x
        return self.rt + x * w * (-2 * _horner(self.poly, d) - 4 * d * _horner(self.slope, d) + 4 * x * w * _horner(self.curve, d))

    def on_grid(self):
        """g on the common grid, kept"""
        if self._grid is None:
            self._grid = self.g(_Y)
        return self._grid

    def driving(self, mu):
        """Greatest depth below the plane of mu over compositions (positive: it would form), and its x.

        From every local maximum on the grid by Newton on mu_B - mu_A = const.
        """
        depth = _XW[1] * mu[0] + _XW[0] * mu[1] - self.on_grid()
        inner = np.flatnonzero((depth[1:-1] >= depth[:-2]) & (depth[1:-1] >= depth[2:])) + 1
        best, place = -np.inf, 0.5
        for k in set(inner) | {int(np.argmax(depth))}:
            y = float(_Y[k])
            for _ in range(40):
                a, b = self.mu(y)
                stiff = self.stiffness(y)
                if stiff <= 0:
                    break
                step = ((b - a) - (mu[1] - mu[0])) / stiff
                y = min(max(y - max(-0.5, min(0.5, step)), _Y[0] - 700), _Y[-1] + 700)
                if abs(step) < 1e-14 * max(1, abs(y)):
                    break
            x, w = phase_split(y)
            found = w * mu[0] + x * mu[1] - float(self.g(y))
            if found > best:
                best, place = found, float(x)
        return float(best), place


@dataclass(frozen=True)
class TieLine:
    """Two phases in equilibrium: names, compositions x (2,), log-odds y (2,), mu (2,) J/mol, residual max |mu_alpha - mu_beta| J/mol."""
    phases: tuple
    x: tuple
    y: tuple
    mu: tuple
    residual: float


def spinodal(phase, t, gas_constant=GAS_CONSTANT):
    """Compositions where d2g/dx2 = 0, ascending; empty where the phase is stable everywhere."""
    f = phase.at(t, gas_constant)
    return [float(phase_split(y)[0]) for y in sorted([*f.roots, *(y for pair in f.narrow for y in pair)])]


def phase_split(y):
    """(x, 1-x) from log-odds, both to full relative precision"""
    if isinstance(y, float):
        y = float(y)                            # a numpy scalar would make everything after it slow
        e = math.exp(-abs(y))
        return (1 / (1 + e), e / (1 + e)) if y > 0 else (e / (1 + e), 1 / (1 + e))
    return 1 / (1 + np.exp(-y)), 1 / (1 + np.exp(y))


def _spinodal(f):
    from scipy.optimize import brentq, minimize_scalar
    if not any(f.poly):
        return []
    s = f.stiffness(_Y)
    if s.min() > 0.1 * f.rt:            # nowhere near a spinodal: between grid points s cannot fall that far
        return []
    grid = list(_Y)
    # a shallow minimum between grid points: the window just below a critical temperature
    for k in np.flatnonzero((s[1:-1] <= s[:-2]) & (s[1:-1] <= s[2:]) & (s[1:-1] > 0)) + 1:
        least = minimize_scalar(f.stiffness, bounds=(_Y[k - 1], _Y[k + 1]), method="bounded", options={"xatol": 1e-9})
        if least.fun < 0:
            grid.append(float(least.x))
    grid = np.sort(grid)
    s = f.stiffness(grid)
    change = np.flatnonzero((s[:-1] < 0) != (s[1:] < 0))          # a grid point may be a root itself
    return [brentq(f.stiffness, grid[k], grid[k + 1], xtol=1e-15, rtol=8.9e-16) for k in change]


def _points(frozen):
    """Grid points (x, g, phase index, y) of all phases, sorted by x; spinodal windows get points of their own."""
    rows = []
    for k, f in enumerate(frozen):
        if f.fixed:
            rows.append(np.array([[f.x, f.value, k, np.nan]]))
            continue
        for a, b in zip(f.roots[::2], f.roots[1::2]):
            y = 0.5 * (a + b) + 0.5 * (b - a) * np.linspace(-6, 6, 61)
            rows.append(np.column_stack([phase_split(y)[0], f.g(y), np.full(len(y), k), y]))
    solutions = [k for k, f in enumerate(frozen) if not f.fixed]
    if solutions:                               # on the common grid only the lowest phase can touch the hull
        every = np.array([frozen[k].on_grid() for k in solutions])
        lowest = np.argmin(every, axis=0)
        rows.append(np.column_stack([_XW[0], every[lowest, np.arange(len(_Y))], np.array(solutions)[lowest], _Y]))
    rows = np.concatenate(rows + _close_passes(frozen))
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def _close_passes(frozen):
    """Extra points where one solution phase comes nearest to another between grid points: a congruent point would be stepped over."""
    rows = []
    solutions = [(k, f) for k, f in enumerate(frozen) if not f.fixed]
    for n, (k, f) in enumerate(solutions):
        for j, other in solutions[n + 1:]:
            for first, second in ((f, other), (other, f)):
                gap = second.on_grid() - first.on_grid()
                near = (gap[1:-1] <= gap[:-2]) & (gap[1:-1] < gap[2:]) & (gap[1:-1] > 0) & (gap[1:-1] < 1e-3 * f.rt)
                for i in np.flatnonzero(near) + 1:
                    y = float(_Y[i])
                    for _ in range(20):
                        (a1, b1), (a2, b2) = first.mu(y), second.mu(y)
                        bend = second.stiffness(y) - first.stiffness(y)
                        if bend <= 0:
                            break
                        y -= max(-0.1, min(0.1, ((b2 - a2) - (b1 - a1)) / bend))
                    rows.append(np.array([[phase_split(y)[0], g.g(y), m, y] for m, g in ((k, f), (j, other))]))
    return rows


def _hull(points):
    """Indices of the lower convex hull (Andrew's monotone chain), of points sorted by x then g."""
    x, g = points[:, 0].tolist(), points[:, 1]
    slope = (g[-1] - g[0]) / (x[-1] - x[0]) if x[-1] > x[0] else 0.0
    g = (g - g[0] - slope * (points[:, 0] - x[0])).tolist()
    chain = []
    for k in range(len(x)):
        if chain and x[k] == x[chain[-1]]:
            continue
        while len(chain) > 1:
            i, j = chain[-2], chain[-1]
            if (x[j] - x[i]) * (g[k] - g[i]) - (x[k] - x[i]) * (g[j] - g[i]) > 0:
                break
            chain.pop()
        chain.append(k)
    return chain


def _tangent(f1, y1, f2, y2):
    """Common tangent by damped Newton in (y1, y2); returns a TieLine or None."""
    if f1.fixed and f2.fixed:
        slope = (f2.value - f1.value) / (f2.x - f1.x)
        a = f1.value - slope * f1.x
        return TieLine((f1.name, f2.name), (f1.x, f2.x), (np.nan, np.nan), (a, a + slope), 0.0)
    if f1.fixed or f2.fixed:
        return _tangent_compound(f1, y1, f2, y2)
    best, idle = (np.inf, y1, y2), 0
    for _ in range(120):
        a1, b1 = f1.mu(y1)
        a2, b2 = f2.mu(y2)
        ra, rb = a1 - a2, b1 - b2
        size = max(abs(ra), abs(rb))
        idle = 0 if size < 0.5 * best[0] else idle + 1
        if size < best[0]:
            best = (size, y1, y2)
        if idle > 2 and best[0] < 1e-11 * max(f1.rt, f2.rt):    # rounding has the last word
            break
        # d mu_A/dy = -x s, d mu_B/dy = (1-x) s, s = x (1-x) d2g/dx2
        s1, s2 = f1.stiffness(y1), f2.stiffness(y2)
        (x1, w1), (x2, w2) = phase_split(y1), phase_split(y2)
        det = s1 * s2 * (x1 * w2 - w1 * x2)
        if det == 0:
            break
        d1 = (ra * (-w2 * s2) - rb * x2 * s2) / det
        d2 = (-x1 * s1 * rb - w1 * s1 * ra) / det
        top = max(abs(d1), abs(d2))
        damp = min(1.0, 0.5 * max(abs(y1 - y2), 1e-12) / top, 2.0 / top) if top > 0 else 1.0
        y1, y2 = y1 - damp * d1, y2 - damp * d2
        if top < 1e-15 * max(1.0, abs(y1), abs(y2)):
            break
    size, y1, y2 = best
    if not np.isfinite(size) or y1 >= y2 or f1.stiffness(y1) < 0 or f2.stiffness(y2) < 0:
        return None
    mu1, mu2 = f1.mu(y1), f2.mu(y2)
    return TieLine((f1.name, f2.name), (float(phase_split(y1)[0]), float(phase_split(y2)[0])), (float(y1), float(y2)),
                   (float(0.5 * (mu1[0] + mu2[0])), float(0.5 * (mu1[1] + mu2[1]))), float(size))


def _tangent_compound(f1, y1, f2, y2):
    compound, solution = (f1, f2) if f1.fixed else (f2, f1)
    y, xc, wc = (y2 if f1.fixed else y1), compound.x, 1 - compound.x
    miss = np.inf
    for _ in range(120):
        a, b = solution.mu(y)
        miss = wc * a + xc * b - compound.value
        x, w = phase_split(y)
        slope = solution.stiffness(y) * (xc * w - wc * x)
        if slope == 0:
            return None
        step = miss / slope
        y -= max(-1.0, min(1.0, step))
        if abs(step) < 1e-15 * max(1.0, abs(y)):
            break
    a, b = solution.mu(y)
    x = float(phase_split(y)[0])
    if abs(miss) > 1e-6 or (x < xc) != (solution is f1):
        return None
    pair = ((xc, x), (np.nan, float(y))) if f1.fixed else ((x, xc), (float(y), np.nan))
    return TieLine((f1.name, f2.name), pair[0], pair[1], (float(a), float(b)), float(abs(miss)))


def tie_lines(phases, t, gas_constant=GAS_CONSTANT, tolerance=1e-9):
    """All stable two-phase fields at T (K), by ascending x, each certified: no phase lies more than `tolerance` x R T below its tangent.

    Raises NoEquilibrium when Newton or the certificate fails.
    """
    return _fields([p.at(t, gas_constant) for p in phases], t, tolerance * gas_constant * t)


def _fields(frozen, t, limit, seeds=()):
    """`tie_lines` of phases at one temperature; `seeds` [(phase index, x)] are points that the hull must see."""
    points = _with_seeds(frozen, _points(frozen), seeds)
    for _ in range(12):
        chain = _hull(points)
        lines, found = [], []
        kind, place = points[:, 2].astype(int).tolist(), points[:, 3].tolist()
        for i, j in zip(chain, chain[1:]):
            if kind[i] == kind[j] and not any(place[i] < root < place[j] for root in frozen[kind[i]].roots):
                continue                        # neighbours in one phase, no spinodal between
            line = _line_between(frozen, points, i, j)
            if line is None:
                continue
            for k, f in enumerate(frozen):
                depth, x = f.driving(line.mu)
                if depth > limit and min(abs(x - line.x[0]), abs(x - line.x[1])) > 1e-12:
                    found.append((k, x))
            lines.append(line)
        if not found:
            return sorted(lines + _critical_lines(frozen, limit), key=lambda line: line.x[0])
        # with the contact points on the grid the next hull is right to second order, which decides close to an invariant
        names = [f.name for f in frozen]
        found += [(names.index(name), x) for line in lines for name, x in zip(line.phases, line.x)]
        points = _with_seeds(frozen, points, found)
    raise NoEquilibrium(f"binary equilibrium at T = {t:g} K: the certificate is not reached ({len(found)} phases below a tangent); report the data")


def _with_seeds(frozen, points, seeds):
    rows = []
    for k, x in seeds:
        f = frozen[k]
        y = np.nan if f.fixed else math.log(x / (1 - x))
        rows.append([x, f.value if f.fixed else f.g(y), k, y])
    if not rows:
        return points
    points = np.concatenate([points, np.array(rows)])
    return points[np.lexsort((points[:, 1], points[:, 0]))]


def _line_between(frozen, points, i, j):
    """The tie line of two neighbouring hull points, or None where they are one phase."""
    ki, kj = int(points[i, 2]), int(points[j, 2])
    f1, f2 = frozen[ki], frozen[kj]
    if points[i, 0] == points[j, 0]:
        return None
    line = _tangent(f1, points[i, 3], f2, points[j, 3])
    if line is None:
        # neighbours on a hull whose true curves cross inside one grid step at an end: both phases pure
        if points[i, 0] < 1e-14 and points[j, 0] < 1e-14 or points[i, 0] > 1 - 1e-14:
            return None
        raise NoEquilibrium(f"common tangent of {f1.name} and {f2.name} near x = {points[i, 0]:.6g}, {points[j, 0]:.6g} was not found")
    return line


def _critical_lines(frozen, limit):
    """Tie lines of the narrow windows that are stable: to leading order the binodal is sqrt(3) times as wide as the spinodal."""
    found = []
    for f in frozen:
        for low, high in f.narrow:
            centre, half = 0.5 * (low + high), 0.5 * np.sqrt(3) * (high - low)
            y = centre - half, centre + half
            a, b = f.mu(y[0]), f.mu(y[1])
            mu = (float(0.5 * (a[0] + b[0])), float(0.5 * (a[1] + b[1])))
            if all(other.driving(mu)[0] <= limit for other in frozen):
                found.append(TieLine((f.name, f.name), tuple(float(phase_split(v)[0]) for v in y), tuple(float(v) for v in y), mu,
                                     float(max(abs(a[0] - b[0]), abs(a[1] - b[1])))))
    return found


def lever(x_alpha, x_beta, x):
    """Fractions (f_alpha, f_beta) of the two ends of a tie line. Raises NegativeFraction when x lies outside."""
    if not min(x_alpha, x_beta) <= x <= max(x_alpha, x_beta) or x_alpha == x_beta:
        raise NegativeFraction(f"x = {x:g} is outside the tie line {x_alpha:g} to {x_beta:g}: a phase fraction would be negative; the alloy is one phase there")
    f = (x_beta - x) / (x_beta - x_alpha)
    return f, 1.0 - f


def equilibrium(phases, t, x, gas_constant=GAS_CONSTANT, memory=None):
    """{"phases": [(name, fraction, x)], "mu": (2,), "g", "residual", "driving": {name: J/mol}} at (T, x).

    Raises ImpossibleComposition, TemperatureOutOfRange, NoEquilibrium. `driving`: depth of each phase below the plane (0: it takes part).
    `memory`: a dict that keeps the fields of the last temperature between calls with the same phases.
    """
    if not 0 < x < 1:
        raise ImpossibleComposition(f"x = {x:g} is not the composition of a binary mixture; it must lie between 0 and 1, ends excluded")
    if not phases:
        raise BeyondBinary("no phase is given; name at least one")
    limit, seeds = 1e-9 * gas_constant * t, []
    memory = {} if memory is None else memory
    if memory.get("t") != t:
        frozen = [p.at(t, gas_constant) for p in phases]
        memory.update(t=t, frozen=frozen, lines=_fields(frozen, t, limit))
    frozen, lines = memory["frozen"], memory["lines"]
    for _ in range(6):
        found, mu, residual = _at_composition(frozen, lines, x)
        depths = [f.driving(mu) for f in frozen]
        missed = [(k, at) for k, (depth, at) in enumerate(depths) if depth > limit and min(abs(at - p[2]) for p in found) > 1e-9]
        if not missed:
            return {"phases": found, "mu": mu, "g": (1 - x) * mu[0] + x * mu[1], "residual": residual, "driving": {f.name: d for f, (d, _) in zip(frozen, depths)}}
        seeds += missed
        lines = _fields(frozen, t, limit, seeds)
    raise NoEquilibrium(f"binary equilibrium at T = {t:g} K, x = {x:g}: {frozen[missed[0][0]].name} stays below the plane; report the data")


def _at_composition(frozen, lines, x):
    """([(name, fraction, x)], mu, residual) from the fields at one temperature."""
    for line in lines:
        if line.x[0] <= x <= line.x[1]:
            return [(n, f, xi) for n, f, xi in zip(line.phases, lever(*line.x, x), line.x)], line.mu, line.residual
    y = math.log(x / (1 - x))
    solutions = [f for f in frozen if not f.fixed]
    if not solutions:
        raise NoEquilibrium(f"no mixture of {', '.join(f.name for f in frozen)} has x = {x:g}: they are line compounds; add a phase that holds this composition")
    best = min(solutions, key=lambda f: f.g(y))
    return [(best.name, 1.0, x)], best.mu(y), 0.0


def critical_temperature(interaction, gas_constant=GAS_CONSTANT):
    """Top of the gap of a regular solution, L/(2R)."""
    return interaction / (2 * gas_constant)
