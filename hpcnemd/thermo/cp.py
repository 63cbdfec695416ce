"""Heat capacity to enthalpy, entropy and Gibbs energy, with transitions. One form carries all published ones: on a temperature segment

    Cp = sum_k c_k T^p_k,   H = h0 + sum_k c_k T^(p_k+1)/(p_k+1),   S = s0 + sum_k c_k T^p_k/p_k     (logarithms at p = -1 and p = 0),

so that Shomate, NASA 7 and 9, SGTE-type Gibbs functions and plain Cp polynomials are constructors, and integrals are exact.
SI: J/mol, J/mol/K, K. A temperature outside the data is refused (`TemperatureOutOfRange`), never extrapolated."""
from dataclasses import dataclass, field

import numpy as np

from .errors import CoefficientScale, TemperatureGap, TemperatureOutOfRange, ThermoInputError
from .units import GAS_CONSTANT

T_REFERENCE = 298.15


@dataclass(frozen=True)
class Segment:
    """Cp on [low, high] K; `powers`, `coefficients` (k,) tuples; `h0` J/mol, `s0` J/mol/K are the constants of integration."""
    low: float
    high: float
    powers: tuple
    coefficients: tuple
    h0: float
    s0: float

    def cp(self, t):
        return sum(c * t ** p for p, c in zip(self.powers, self.coefficients))

    def h(self, t):
        return self.h0 + sum(c * (np.log(t) if p == -1 else t ** (p + 1) / (p + 1)) for p, c in zip(self.powers, self.coefficients))

    def s(self, t):
        return self.s0 + sum(c * (np.log(t) if p == 0 else t ** p / p) for p, c in zip(self.powers, self.coefficients))

    def anchored(self, t, h, s):
        """The same Cp with H(t) = h and S(t) = s."""
        return Segment(self.low, self.high, self.powers, self.coefficients, self.h0 + h - self.h(t), self.s0 + s - self.s(t))


@dataclass(frozen=True)
class Caloric:
    """Cp, H, S and G of one phase of a substance over adjoining segments (SI). `published_h298` J/mol: the enthalpy that a table gives for
    298.15 K beside its coefficients; the formula's own value there may differ by some joules."""
    name: str
    segments: tuple
    published_h298: float | None = None
    notes: tuple = field(default=())

    def __post_init__(self):
        if not self.segments:
            raise ThermoInputError(f"{self.name}: no temperature segment is given")
        for a, b in zip(self.segments, self.segments[1:]):
            if abs(a.high - b.low) > 1e-9 * a.high:
                raise TemperatureGap(f"{self.name}: the ranges {a.low:g}-{a.high:g} K and {b.low:g}-{b.high:g} K do not meet; give the data between, or split the substance")
        for s in self.segments:
            if not 0 < s.low < s.high:
                raise TemperatureOutOfRange(f"{self.name}: the range {s.low:g}-{s.high:g} K is empty or not positive")

    @property
    def low(self):
        return self.segments[0].low

    @property
    def high(self):
        return self.segments[-1].high

    def _evaluate(self, method, t):
        t = np.asarray(t, float)
        if not np.all((t >= self.low * (1 - 1e-12)) & (t <= self.high * (1 + 1e-12))):
            bad = t[~((t >= self.low) & (t <= self.high))].flat[0] if t.ndim else float(t)
            raise TemperatureOutOfRange(f"{self.name}: T = {bad:g} K is outside its data, {self.low:g}-{self.high:g} K; choose T there, or other data")
        edges = [s.high for s in self.segments[:-1]]
        index = np.searchsorted(edges, t, side="left")       # a joint belongs to the segment below, as in other programs
        if t.ndim == 0:
            return float(getattr(self.segments[int(index)], method)(float(t)))
        out = np.empty(t.shape)
        for k, segment in enumerate(self.segments):
            out[index == k] = getattr(segment, method)(t[index == k])
        return out

    def cp(self, t):
        """J/mol/K at t (K), scalar or array."""
        return self._evaluate("cp", t)

    def h(self, t):
        """J/mol"""
        return self._evaluate("h", t)

    def s(self, t):
        """J/mol/K"""
        return self._evaluate("s", t)

    def g(self, t):
        """J/mol: H - T S"""
        return self.h(t) - np.asarray(t, float)[()] * self.s(t)

    def joints(self):
        """[(T, step of H, step of G)] (K, J/mol) where two segments meet: a latent heat, or the rounding of published coefficients; G's should be 0."""
        return [(a.high, b.h(a.high) - a.h(a.high), b.h(a.high) - a.h(a.high) - a.high * (b.s(a.high) - a.s(a.high))) for a, b in zip(self.segments, self.segments[1:])]

    def increment_published(self, t):
        """H(t) - H(298.15) J/mol with the table's own H(298.15) (the WebBook's formula); `increment_integrated` is the integral of Cp."""
        if self.published_h298 is None:
            raise ThermoInputError(f"{self.name}: its data gives no H(298.15) beside the coefficients; use increment_integrated")
        return self.h(t) - self.published_h298

    def increment_integrated(self, t):
        return self.h(t) - self.h(T_REFERENCE)


def shomate(name, low, high, a, b, c, d, e, f, g, h, scale):
    """NIST WebBook coefficients. `scale` must be "t = T/1000" (as printed there) or "SI" (B..E multiplied by 1e-3, 1e-6, 1e-9, 1e6); F and H are in
    kJ/mol, G in J/mol/K either way.

    Raises CoefficientScale where the numbers do not fit the declared scale.
    """
    if scale == "t = T/1000":
        b, c, d, e = b * 1e-3, c * 1e-6, d * 1e-9, e * 1e6
    elif scale != "SI":
        raise CoefficientScale(f'{name}: scale = {scale!r}; it must be said: "t = T/1000" (as the WebBook prints) or "SI"')
    terms = ((0, a), (1, b), (2, c), (3, d), (-2, e))
    # S = A ln t + ...: the logarithm of T/1000
    segment = Segment(low, high, tuple(p for p, _ in terms), tuple(v for _, v in terms), 1e3 * f, g - a * np.log(1e3))
    made = Caloric(name, (segment,), 1e3 * h)
    _check_scale(made, scale)
    return made


def _check_scale(caloric, scale):
    t = np.linspace(caloric.low, caloric.high, 25)
    cp = caloric.cp(t)
    if np.any(cp <= 0) or np.any(cp > 1e4):
        raise CoefficientScale(f"{caloric.name}: Cp is {cp[np.argmax(np.abs(cp))]:.3g} J/mol/K within its range; the coefficients are not in the scale {scale!r}")
    if caloric.published_h298 is not None and caloric.low <= T_REFERENCE <= caloric.high:
        off = caloric.h(T_REFERENCE) - caloric.published_h298
        if abs(off) > 200:
            raise CoefficientScale(f"{caloric.name}: H(298.15) from the coefficients misses the given value by {off:.4g} J/mol; "
                                   f"they are not in the scale {scale!r}, or belong to another temperature range")


def nasa7(name, ranges, coefficients, gas_constant=GAS_CONSTANT):
    """NASA 7-coefficient polynomials: `ranges` (n+1,) K, `coefficients` (n, 7): Cp/R = a1 + a2 T + ... + a5 T^4, a6 and a7 for H and S.
    (Gordon and McBride, NASA RP-1311, 1994, eqs 4.6-4.8 without the negative powers.)"""
    segments = []
    for low, high, a in zip(ranges, ranges[1:], coefficients):
        if len(a) != 7:
            raise CoefficientScale(f"{name}: {len(a)} coefficients for {low:g}-{high:g} K; NASA 7 has 7")
        segments.append(Segment(low, high, (0, 1, 2, 3, 4), tuple(gas_constant * x for x in a[:5]), gas_constant * a[5], gas_constant * a[6]))
    return Caloric(name, tuple(segments))


def nasa9(name, ranges, coefficients, gas_constant=GAS_CONSTANT):
    """NASA 9: Cp/R = a1 T^-2 + a2 T^-1 + a3 + a4 T + ... + a7 T^4, b1 and b2 for H and S (RP-1311, eqs 4.9-4.11)."""
    segments = []
    for low, high, a in zip(ranges, ranges[1:], coefficients):
        if len(a) != 9:
            raise CoefficientScale(f"{name}: {len(a)} coefficients for {low:g}-{high:g} K; NASA 9 has 9")
        segments.append(Segment(low, high, (-2, -1, 0, 1, 2, 3, 4), tuple(gas_constant * x for x in a[:7]), gas_constant * a[7], gas_constant * a[8]))
    return Caloric(name, tuple(segments))


def gibbs_function(name, ranges, functions):
    """SGTE-type G(T) (J/mol): `functions` (n,) dicts {"a": constant, "b": of T, "c": of T ln T, power: coefficient, ...} on `ranges` (n+1,) K."""
    segments = []
    for low, high, terms in zip(ranges, ranges[1:], functions):
        extra = [(p, v) for p, v in terms.items() if p not in ("a", "b", "c")]
        powers, values = [0], [-terms.get("c", 0.0)]
        for p, v in extra:
            powers.append(p - 1)
            values.append(-p * (p - 1) * v)
        segments.append(Segment(low, high, tuple(powers), tuple(values), terms.get("a", 0.0), -terms.get("b", 0.0) - terms.get("c", 0.0)))
    return Caloric(name, tuple(segments))


def from_heat_capacity(name, pieces, t0, h0, s0, transitions=()):
    """H and S by integration of Cp from t0, with latent heats.

    `pieces`: (low, high, {power: coefficient}) in J/mol/K; `transitions`: (T, latent heat J/mol) at joints of pieces; heat is absorbed on heating,
    so that H jumps by it and S by it / T, and G stays continuous. Raises ThermoInputError for a transition that is not at a joint.
    """
    segments = [Segment(low, high, tuple(terms), tuple(terms.values()), 0.0, 0.0) for low, high, terms in pieces]
    joints = [s.high for s in segments[:-1]]
    for t, _ in transitions:
        if not any(abs(t - j) < 1e-9 * t for j in joints):
            raise ThermoInputError(f"{name}: the transition at {t:g} K is not where two Cp ranges meet ({', '.join(f'{j:g}' for j in joints) or 'none'})")
    start = next((k for k, s in enumerate(segments) if s.low <= t0 <= s.high), None)
    if start is None:
        raise TemperatureOutOfRange(f"{name}: the reference temperature {t0:g} K is outside the Cp data; give Cp there")
    segments[start] = segments[start].anchored(t0, h0, s0)

    def jump(t):
        return sum(latent for at, latent in transitions if abs(at - t) < 1e-9 * t)
    for k in range(start + 1, len(segments)):
        t, below = segments[k].low, segments[k - 1]
        segments[k] = segments[k].anchored(t, below.h(t) + jump(t), below.s(t) + jump(t) / t)
    for k in range(start - 1, -1, -1):
        t, above = segments[k].high, segments[k + 1]
        segments[k] = segments[k].anchored(t, above.h(t) - jump(t), above.s(t) - jump(t) / t)
    return Caloric(name, tuple(segments))


def transition(low_phase, high_phase, bracket=None):
    """(T, latent heat J/mol, entropy J/mol/K) where two phases have the same G. Raises TemperatureOutOfRange when there is no crossing."""
    from scipy.optimize import brentq
    low, high = bracket or (max(low_phase.low, high_phase.low), min(low_phase.high, high_phase.high))

    def gap(t):
        return high_phase.g(t) - low_phase.g(t)
    if low >= high or gap(low) * gap(high) > 0:
        raise TemperatureOutOfRange(f"{low_phase.name} and {high_phase.name} do not change places between {low:g} and {high:g} K")
    t = brentq(gap, low, high, xtol=1e-10, rtol=1e-14)
    return t, high_phase.h(t) - low_phase.h(t), high_phase.s(t) - low_phase.s(t)
