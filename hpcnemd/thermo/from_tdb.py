"""Phases of the own unary and binary code from a TDB file: substitutional phases (one mixing sublattice, vacancies elsewhere) and line compounds.

What needs more (magnetism, ordering, several mixing sublattices, three components) is refused with the name of the extra."""
from functools import lru_cache

from . import tdb
from .binary import CompoundPhase, SolutionPhase
from .errors import BeyondBinary
from .units import GAS_CONSTANT

INSTALL = 'install the engine with pip install "hpcnemd[calphad]"'


def binary_phases(db, components, phases, gas_constant=GAS_CONSTANT):
    """Own phase objects for the two `components` (x is the fraction of the second one). Raises BeyondBinary."""
    pair = tuple(c for c in components if c != "VA")
    if len(pair) != 2:
        raise BeyondBinary(f"components {', '.join(pair)}: own code covers one or two; {INSTALL}")
    return [_phase(db, name, pair, gas_constant) for name in phases]


def pure_phases(db, components, phases, gas_constant=GAS_CONSTANT):
    """[CompoundPhase] of the one element among `components`, by phase. Raises BeyondBinary."""
    element, = (c for c in components if c != "VA")
    out = []
    for name in phases:
        entry = db.phases[name]
        _refuse_beyond(db, name)
        present = [tuple(c for c in s if c in (element, "VA")) for s in entry.constituents]
        if any(len(s) != 1 for s in present):
            raise BeyondBinary(f"phase {name} (line {entry.line}): {element} and VA share a sublattice, which is beyond the own code; {INSTALL}")
        out.append(_compound(db, entry, (element, element), present, gas_constant))
    return out


def own_code_covers(db, components, phases):
    """"" when `pure_phases` or `binary_phases` will work, else the reason."""
    unary = sum(c != "VA" for c in components) == 1
    try:
        (pure_phases if unary else binary_phases)(db, components, phases)
    except BeyondBinary as refusal:
        return str(refusal)
    return ""


def _refuse_beyond(db, name):
    why = tdb.needs_engine(db, name)
    if why:
        raise BeyondBinary(f"phase {name} (line {db.phases[name].line}): {why} is beyond the own code; {INSTALL}")


def _phase(db, name, pair, gas_constant):
    entry = db.phases[name]
    _refuse_beyond(db, name)
    present = [tuple(c for c in s if c in pair or c == "VA") for s in entry.constituents]
    mixing = [k for k, s in enumerate(present) if set(pair) <= set(s)]
    if len(mixing) == 1 and present[mixing[0]] == tuple(c for c in present[mixing[0]] if c in pair) and all(s == ("VA",) for k, s in enumerate(present) if k != mixing[0]):
        return _solution(db, entry, pair, present, mixing[0], gas_constant)
    if not mixing and all(len(s) == 1 for s in present):
        return _compound(db, entry, pair, present, gas_constant)
    raise BeyondBinary(f"phase {name} (line {entry.line}): its sublattices ({' : '.join(','.join(s) for s in present)}) are beyond the own code; {INSTALL}")


def _function(db, parameters, atoms, gas_constant):
    """T -> J per mole of atoms, the sum of the given parameters; remembers its last temperatures."""
    @lru_cache(maxsize=64)
    def value(t):
        return sum(db.evaluate(p.value, t, gas_constant) for p in parameters) / atoms
    return value


def _matching(db, name, array):
    """Parameters of the phase whose constituent array is `array` (sets per sublattice; * matches all), by order."""
    found = {}
    for p in db.parameters:
        if p.phase == name and p.kind in ("G", "L") and all(set(s) == want or s == ("*",) and len(want) == 1 for s, want in zip(p.constituents, array)):
            found.setdefault(p.order, []).append(p)
    return found


def _range(db, parameters):
    spans = [db.span(p.value) for p in parameters]
    return max((s[0] for s in spans), default=0.0), min((s[1] for s in spans), default=float("inf"))


def _solution(db, entry, pair, present, k, gas_constant):
    atoms = entry.sites[k]

    def array(constituents):
        return [set(constituents) if j == k else {"VA"} for j in range(len(present))]
    ends = [_matching(db, entry.name, array((c,))).get(0, []) for c in pair]
    mixed = _matching(db, entry.name, array(pair))
    everything = [p for group in ends + list(mixed.values()) for p in group]
    sign = 1 if list(pair) == sorted(pair) else -1          # (x_A - x_B)^m, A and B in alphabetical order
    terms = []
    for m in range(max(mixed, default=-1) + 1):
        f = _function(db, mixed.get(m, []), atoms, gas_constant)
        terms.append(f if sign == 1 or m % 2 == 0 else (lambda t, f=f: -f(t)))
    return SolutionPhase(entry.name, _function(db, ends[0], atoms, gas_constant), _function(db, ends[1], atoms, gas_constant), tuple(terms), _range(db, everything))


def _compound(db, entry, pair, present, gas_constant):
    atoms = sum(n for n, s in zip(entry.sites, present) if s != ("VA",))
    if not atoms:
        raise BeyondBinary(f"phase {entry.name} holds vacancies only; leave it out")
    found = _matching(db, entry.name, [set(s) for s in present]).get(0, [])
    return CompoundPhase(entry.name, sum(n for n, s in zip(entry.sites, present) if s == (pair[1],)) / atoms, _function(db, found, atoms, gas_constant), _range(db, found))
