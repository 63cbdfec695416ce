"""The strict pre-check before a CALPHAD engine runs: every mistake that engines accept in silence is a named error with its line, value, allowed range
and what to type instead. All problems are reported at once; the exception has the class of the first."""
import difflib
from dataclasses import dataclass, field

from . import tdb
from .errors import (DatabaseSyntax, ImpossibleComposition, MissingCondition, MissingVacancy, PressureSuspicious, TemperatureOutOfRange, ThermoInputError,
                     UndefinedFunction, UnknownComponent, UnknownConstituent, UnknownPhase)
from .units import quantity

PRESSURE_LEAST = 1000.0         # Pa: below, a bare number is more likely bar, atm or kPa
LEFT_OUT = "left out by the user"


@dataclass
class Checked:
    """The accepted question: upper-case `components` (VA among them where a phase needs it), `phases`, `conditions` {"T", "P", "X_<comp>"} in SI."""
    components: tuple
    phases: tuple
    conditions: dict
    temperature_range: tuple
    excluded: dict = field(default_factory=dict)        # phase -> why
    notes: list = field(default_factory=list)

    @property
    def left_out(self):
        """Phases that could form and that the user left out."""
        return [p for p, why in self.excluded.items() if why == LEFT_OUT]


def _near(word, words):
    found = difflib.get_close_matches(word, sorted(words), 1)
    return f"; did you mean {found[0]}?" if found else f"; the file has {', '.join(sorted(words))}"


def check_file(db, components=None):
    """Problems of the data itself, [(class, message, line)]: unknown constituents and phases of parameters, undefined functions, duplicates.

    With `components`, only what concerns them; names that exist nowhere always concern.
    """
    known = set(db.elements) | set(db.species) | {"VA", "/-", "*"}
    wanted = None if components is None else set(components) | {"VA", "*"}
    problems, seen, used = [], {}, set()
    for entry in db.phases.values():
        if not entry.constituents:
            problems.append((DatabaseSyntax, f"{db.path}, line {entry.line}: the phase {entry.name} has no CONSTITUENT command", entry.line))
        for c in {c for s in entry.constituents for c in s} - known:
            problems.append((UnknownConstituent, f"{db.path}, line {entry.line}: the phase {entry.name} has the constituent {c}, which is neither ELEMENT nor SPECIES{_near(c, known)}", entry.line))
    for p in db.parameters:
        names = {c for s in p.constituents for c in s}
        if wanted is not None and names <= known and not names <= wanted:
            continue
        found = _parameter_problems(db, p)
        problems += found
        key = ("G" if p.kind == "L" else p.kind, p.phase, p.of, tuple(tuple(sorted(s)) for s in p.constituents), p.order)
        if key in seen:
            problems.append((DatabaseSyntax, f"{db.path}, line {p.line}: {p} was already given on line {seen[key]}; remove one", p.line))
        seen[key] = p.line
        used |= _reached(db, p.value)
    for name in sorted(used):
        if name not in db.functions:
            users = [p for p in db.parameters if name in p.value.names()] + [f for f in db.functions.values() if name in f.names()]
            where = users[0]
            problems.append((UndefinedFunction, f"{db.path}, line {where.line}: {getattr(where, 'name', where)} uses the function {name}, which is not defined"
                             f"{_near(name, db.functions)}", where.line))
    return problems


def _reached(db, pieces):
    names, stack = set(), list(pieces.names())
    while stack:
        name = stack.pop()
        if name not in names:
            names.add(name)
            if name in db.functions:
                stack += db.functions[name].names()
    return names


def _parameter_problems(db, p):
    if p.phase not in db.phases:
        return [(UnknownConstituent, f"{db.path}, line {p.line}: the parameter {p} names the phase {p.phase}, which does not exist{_near(p.phase, db.phases)}; it would be dropped", p.line)]
    sublattices = db.phases[p.phase].constituents
    if "Y" in db.phases[p.phase].options and len(p.constituents) == 1:
        return []                               # an ionic liquid writes its neutral species alone
    if len(p.constituents) != len(sublattices):
        return [(UnknownConstituent, f"{db.path}, line {p.line}: {p} has {len(p.constituents)} sublattices and the phase {len(sublattices)}; it would be dropped", p.line)]
    out = []
    for k, (given, there) in enumerate(zip(p.constituents, sublattices), start=1):
        for c in given:
            if c not in there and c != "*":
                out.append((UnknownConstituent, f"{db.path}, line {p.line}: {p}: {c} is not a constituent of sublattice {k} of {p.phase}{_near(c, there)}; it would be dropped", p.line))
    return out


def order_notes(db):
    """Odd interaction parameters whose constituents are not in alphabetical order: programs sort them, and the sign turns."""
    return [f"line {p.line}: {p} is not written in alphabetical order; it is read with the sorted order, as other programs do"
            for p in db.parameters if p.order % 2 and any(list(s) != sorted(s) for s in p.constituents)]


def check(db, components, conditions, phases=None):
    """A Checked question, or an exception. `components` names without or with VA; `conditions` {"T": ..., "P": ..., "X": {component: x}}, numbers in SI or
    strings with units; lists of temperatures and pressures are allowed. `phases` None: all of the file that can form.

    Raises UnknownComponent, UnknownPhase, MissingVacancy, MissingCondition, ImpossibleComposition, TemperatureOutOfRange, PressureSuspicious,
    UndefinedFunction, UnknownConstituent, DatabaseSyntax.
    """
    given = tuple(c.upper() for c in components)
    problems = [(UnknownComponent, f"component {c}: not an ELEMENT of {db.path}{_near(c, set(db.elements) - {'/-'})}", None) for c in given if c not in db.elements and c != "VA"]
    wanted = tuple(p.upper() for p in (phases if phases is not None else db.phases))
    problems += [(UnknownPhase, f"phase {p}: not in {db.path}{_near(p, db.phases)}", None) for p in wanted if p not in db.phases]
    if problems:
        raise _joined(problems)
    problems += check_file(db, given)
    chosen, excluded = [], {}
    for name in wanted:
        absent = lacking(db, name, given)
        if absent is None:
            chosen.append(name)
        elif absent == ("VA",):
            problems.append((MissingVacancy, f"components {', '.join(given)}: the phase {name} (line {db.phases[name].line}) needs VA and would be dropped without a word; "
                             f"write components = [{', '.join(repr(c) for c in given + ('VA',))}]", db.phases[name].line))
        elif phases is not None:
            problems.append((UnknownPhase, f"phase {name}: none of the components {', '.join(given)} is on its sublattice {absent[1]}; leave it out, or add a component", None))
        else:
            excluded[name] = f"no component on sublattice {absent[1]}"
    for name in sorted(set(db.phases) - set(wanted)):
        if lacking(db, name, given) is None:
            excluded[name] = LEFT_OUT
    low, high, where_low, where_high = tdb.stable_range(db, given, chosen)
    problems += _condition_problems(db, given, conditions, low, high, where_low, where_high)
    if not chosen and not problems:
        problems.append((UnknownPhase, f"no phase of {db.path} can form from {', '.join(given)}", None))
    if problems:
        raise _joined(problems)
    return Checked(given, tuple(chosen), conditions_si(conditions), (low, high), excluded, order_notes(db))


def lacking(db, phase, components):
    """None where each sublattice has a constituent; ("VA",) where only VA is missing; else (kind, sublattice number)."""
    have = set(components)
    atoms = {s for s, formula in db.species.items() if set(formula) <= have} | have
    for number, sublattice in enumerate(db.phases[phase].constituents, start=1):
        if not atoms & set(sublattice):
            return ("VA",) if "VA" in sublattice and "VA" not in have else ("empty", number)
    return None


def _is_many(value):
    return hasattr(value, "__len__") and not isinstance(value, str)


def _values(value):
    return list(value) if _is_many(value) else [value]


def _number(value, unit, key):
    return quantity(value, unit, key) if isinstance(value, str) else float(value)


def _readable(value, unit, key, problems):
    """The SI numbers of one condition; what cannot be read goes to `problems`."""
    out = []
    for v in _values(value):
        try:
            out.append(_number(v, unit, key))
        except ThermoInputError as refusal:
            problems += [(type(refusal), text, None) for text in refusal.problems]
    return out


def conditions_si(conditions):
    """{"T": number or list, "P": ..., "X": {...}} in SI."""
    def convert(value, unit, key):
        got = [_number(v, unit, key) for v in _values(value)]
        return got if _is_many(value) else got[0]
    return {"T": convert(conditions["T"], "K", "T"), "P": convert(conditions["P"], "Pa", "P"),
            "X": {c.upper(): convert(v, "1", f"X({c})") for c, v in conditions.get("X", {}).items()}}


def _condition_problems(db, components, conditions, low, high, where_low, where_high):
    problems = []
    for key, unit, example in (("T", "K", "600"), ("P", "Pa", '"1 atm"')):
        if key not in conditions:
            problems.append((MissingCondition, f"{key} is not given: write {key} = {example} ({unit}); the equilibrium is not defined without it", None))
    elements = [c for c in components if c != "VA"]
    x = {c.upper(): v for c, v in conditions.get("X", {}).items()}
    for c in sorted(set(x) - set(elements)):
        problems.append((UnknownComponent, f"X({c}): {c} is not among the components {', '.join(elements)}", None))
    need = len(elements) - 1
    if len(x) != need and not set(x) - set(elements):
        free = [c for c in elements if c not in x]
        problems.append((MissingCondition, f"{len(elements)} components need {need} mole fraction{'s' if need != 1 else ''}, and {len(x)} {'is' if len(x) == 1 else 'are'} given "
                         f"({', '.join(x) or 'none'}); {'give X(' + free[0] + ')' if len(x) < need else 'leave one out: it follows from the others'}", None))
    problems += _fraction_problems(x)
    for t in _readable(conditions.get("T", []), "K", "T", problems):
        if not low <= t <= high or t <= 0:
            hint = f"; if {t:g} degrees Celsius is meant, write {t + 273.15:g}" if -273.15 < t < low else ""
            where = where_low if t < low else where_high
            problems.append((TemperatureOutOfRange, f"T = {t:g} K is outside {low:g}-{high:g} K, the range of {where or db.path}{hint}", None))
            break
    written = _values(conditions.get("P", []))
    bare = next((p for p in written if not isinstance(p, str) and p < PRESSURE_LEAST), None)
    if bare is not None:
        problems.append((PressureSuspicious, f'P = {bare:g} Pa is almost a vacuum; write "{bare:g} bar" or "{bare:g} atm" if that is meant, or "{bare:g} Pa" if it really is', None))
    elif min(_readable(written, "Pa", "P", problems), default=1.0) <= 0:
        problems.append((PressureSuspicious, "P must be positive", None))
    return problems


def _fraction_problems(x):
    problems, total = [], 0.0
    for c, value in x.items():
        fractions = _readable(value, "1", f"X({c})", problems)
        for v in fractions:
            if not 0 <= v <= 1:
                hint = f"; if per cent is meant, write {v / 100:g}" if 1 < v <= 100 else ""
                problems.append((ImpossibleComposition, f"X({c}) = {v:g} is not a mole fraction; it must lie between 0 and 1{hint}", None))
                break
        else:
            total += min(fractions, default=0.0)
    if not problems and total > 1:
        problems.append((ImpossibleComposition, f"the mole fractions {', '.join(f'X({c})' for c in x)} sum to {total:g}, above 1", None))
    return problems


def _joined(problems):
    """One exception of the first problem's class with all messages; each is preceded by its class name."""
    kind = problems[0][0]
    assert issubclass(kind, ThermoInputError)
    return kind([f"{k.__name__}: {text}" for k, text, _ in problems], problems[0][2])
