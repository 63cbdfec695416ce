"""Reading of thermodynamic decks and data files (TOML): every number with its unit, unknown keys refused, all problems reported at once."""
import difflib
import tomllib
from pathlib import Path

import numpy as np

from .cp import from_heat_capacity, gibbs_function, nasa7, nasa9, shomate
from .errors import ThermoInputError
from .ledger import DataSet, file_hash
from .reaction import Substance
from .units import GAS_CONSTANT, quantity


class Table:
    """A TOML table from which keys are taken; `problems` is shared by all tables of a deck."""

    def __init__(self, data, name, problems):
        self.data, self.name, self.problems = dict(data), name, problems
        self.allowed = set()

    def key(self, name):
        return f"{self.name}.{name}" if self.name else name

    def _default(self, name, default, example):
        if default is _REQUIRED:
            self.problems.append(f"{self.key(name)} is missing; write for example {name} = {example}")
            return None
        return default

    def take(self, name, kind=str, default=None, example='"..."', choices=None):
        """A plain value of type `kind`."""
        self.allowed.add(name)
        if name not in self.data:
            return self._default(name, default, example)
        value = self.data.pop(name)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind):
            self.problems.append(f"{self.key(name)} = {value!r} must be of another kind; write for example {name} = {example}")
            return default if default is not _REQUIRED else None
        if choices and value not in choices:
            self.problems.append(f"{self.key(name)} = {value!r}: possible are {', '.join(map(repr, choices))}{_suggest(value, choices)}")
        return value

    def words(self, name, default=None, example='["AA", "BB"]'):
        """A list of strings."""
        value = self.take(name, list, default, example)
        if isinstance(value, list) and not (value and all(isinstance(word, str) for word in value)) and value is not default:
            self.problems.append(f"{self.key(name)} = {value!r}: a list of words is needed; write for example {name} = {example}")
        return value

    def number(self, name, unit, default=None, example=None):
        """One SI number; a string with its unit in the deck (a bare number only where `unit` is "1")."""
        self.allowed.add(name)
        if name not in self.data:
            return self._default(name, default, example or f'"1 {unit}"')
        return self._quantity(self.data.pop(name), unit, self.key(name))

    def numbers(self, name, unit, default=None, example=None):
        """(n,) SI numbers from a list, one value, or {from, to, points}."""
        self.allowed.add(name)
        if name not in self.data:
            return self._default(name, default, example or f'{{ from = "1 {unit}", to = "2 {unit}", points = 11 }}')
        value = self.data.pop(name)
        if isinstance(value, dict):
            extra = set(value) - {"from", "to", "points"}
            if extra or len(value) != 3 or not isinstance(value.get("points"), int) or value["points"] < 1:
                self.problems.append(f"{self.key(name)}: a range needs from, to and points (a whole number of at least 1)")
                return None
            ends = [self._quantity(value[k], unit, f"{self.key(name)}.{k}") for k in ("from", "to")]
            return None if None in ends else np.linspace(*ends, value["points"])
        got = [self._quantity(v, unit, self.key(name)) for v in (value if isinstance(value, list) else [value])]
        return None if None in got else np.array(got)

    def table(self, name, required=True):
        self.allowed.add(name)
        value = self.data.pop(name, None)
        if value is None and required:
            self.problems.append(f"[{self.key(name)}] is missing")
        return Table(value or {}, self.key(name), self.problems)

    def tables(self, name):
        self.allowed.add(name)
        return [Table(one, f"{self.key(name)}[{k}]", self.problems) for k, one in enumerate(self.data.pop(name, []))]

    def _quantity(self, value, unit, key):
        try:
            return quantity(value, unit, key)
        except ThermoInputError as refusal:
            self.problems += [f"{type(refusal).__name__}: {text}" for text in refusal.problems]
            return None

    def end(self):
        """What is left over is unknown."""
        for name in self.data:
            self.problems.append(f"{self.key(name)} is not a key here{_suggest(name, self.allowed)}; possible are {', '.join(sorted(self.allowed))}")


_REQUIRED = object()
REQUIRED = _REQUIRED


def _suggest(word, choices):
    near = difflib.get_close_matches(str(word), [str(c) for c in choices], 1)
    return f"; did you mean {near[0]}?" if near else ""


def open_deck(path):
    """(Table, folder of the deck). Raises ThermoInputError."""
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ThermoInputError(f"{path}: cannot be read ({problem.strerror})") from None
    except tomllib.TOMLDecodeError as problem:
        raise ThermoInputError(f"{path}: not TOML: {problem}") from None
    return Table(data, "", []), path.parent


def finish(table):
    """Raises ThermoInputError with everything that was found, or returns."""
    if table.problems:
        raise ThermoInputError(table.problems)


def read_substances(path):
    """({name: Substance}, DataSet) of a data file. Raises ThermoInputError, CoefficientScale, TemperatureGap.

    [source] name, reference_pressure, reference_state, gas_constant, provenance; [[substance]] name, elements, phase, form and its coefficients.
    """
    deck, _ = open_deck(path)
    source = deck.table("source")
    pressure = source.number("reference_pressure", "Pa", _REQUIRED, '"1 bar"')
    state = source.take("reference_state", str, _REQUIRED, '"elements at 298.15 K"')
    constant = source.number("gas_constant", "J/mol/K", GAS_CONSTANT)
    name, provenance = source.take("name", str, str(path)), source.take("provenance", str, _REQUIRED, '"where the numbers come from"')
    source.end()
    rows, calorics = deck.tables("substance"), []
    for row in rows:
        name_of = row.take("name", str, _REQUIRED, '"CO2"') or row.name
        calorics.append((name_of, row.take("elements", dict, _REQUIRED, "{ C = 1, O = 2 }"),
                         row.take("phase", str, _REQUIRED, '"gas"'), _caloric(row, name_of, constant)))
        row.end()
    deck.end()
    finish(deck)
    if not calorics:
        raise ThermoInputError(f"{path}: no [[substance]] is given")
    low, high = min(c[3].low for c in calorics), max(c[3].high for c in calorics)
    data = DataSet(name, file_hash(path), constant, pressure, state, (low, high), tuple(sorted({e for c in calorics for e in c[1]})), tuple(c[0] for c in calorics), provenance)
    doubles = {c[0] for c in calorics if sum(o[0] == c[0] for o in calorics) > 1}
    if doubles:
        raise ThermoInputError(f"{path}: given twice: {', '.join(sorted(doubles))}; remove one")
    return {n: Substance(n, {e: float(v) for e, v in elements.items()}, phase, caloric, data) for n, elements, phase, caloric in calorics}, data


def _caloric(row, name, constant):
    form = row.take("form", str, _REQUIRED, '"nasa7"', ("shomate", "nasa7", "nasa9", "gibbs", "cp"))
    builder = {"shomate": _shomate, "nasa7": _nasa, "nasa9": _nasa, "gibbs": _gibbs, "cp": _cp}.get(form)
    if builder is None:
        return None
    try:
        return builder(row, name, form, constant)
    except ThermoInputError as refusal:
        row.problems += [f"{type(refusal).__name__}: {text}" for text in refusal.problems]
    except (KeyError, TypeError, ValueError, IndexError) as problem:
        row.problems.append(f"{row.name} ({name}): {form} coefficients cannot be read ({problem})")
    return None


def _list(row, name):
    value = row.take(name, list, _REQUIRED, "[...]")
    if value is None:
        raise ThermoInputError(f"{row.key(name)} is missing")
    return value


def _shomate(row, name, form, constant):
    low, high = _list(row, "range")
    scale = row.take("scale", str, _REQUIRED, '"t = T/1000"')
    return shomate(name, float(low), float(high), *(float(c) for c in _list(row, "coefficients")), scale=scale)


def _nasa(row, name, form, constant):
    return {"nasa7": nasa7, "nasa9": nasa9}[form](name, [float(t) for t in _list(row, "ranges")], [[float(c) for c in part] for part in _list(row, "coefficients")], constant)


def _gibbs(row, name, form, constant):
    """terms = [{ a = ..., b = ..., c = ..., "2" = ..., "-1" = ... }, ...]: a + b T + c T ln T + sum of powers, J/mol"""
    functions = [{(k if k in ("a", "b", "c") else float(k)): float(v) for k, v in part.items()} for part in _list(row, "terms")]
    return gibbs_function(name, [float(t) for t in _list(row, "ranges")], functions)


def _cp(row, name, form, constant):
    """pieces = [{ range = [298.15, 900.0], "0" = 25.1, "1" = 2e-3, "-2" = -1.2e5 }, ...] (J/mol/K, powers of T), transitions = [{ T = "900 K", heat = "10 kJ/mol" }]"""
    pieces = []
    for part in _list(row, "pieces"):
        part = dict(part)
        low, high = part.pop("range")
        pieces.append((float(low), float(high), {float(k): float(v) for k, v in part.items()}))
    transitions = [(quantity(one["T"], "K", f"{name}.T"), quantity(one["heat"], "J/mol", f"{name}.heat")) for one in row.take("transitions", list, [])]
    t0 = row.number("reference_temperature", "K", 298.15)
    return from_heat_capacity(name, pieces, t0, row.number("enthalpy", "J/mol", _REQUIRED), row.number("entropy", "J/mol/K", _REQUIRED), transitions)
