"""Force fields as TOML tables: species with masses and charges, one row per pair of species, and where each number comes from.

    name = "..."; description = "..."; coulomb = true; cutoff = 10.0; units = "metal"; unlisted_pairs = "none"
    [species.Li]
    mass = 6.94; charge = 1.0; formal_charge = 1; provenance = "source"; reference = "..."
    [[pair]]
    between = ["Li", "O"]; form = "buckingham"; A = 632.1018; rho = 0.2906; C = 0.0; provenance = "source"; reference = "..."

Lengths in angstrom, energies in eV, masses in u ("metal"), or all of them in one reduced system ("reduced"). Without unlisted_pairs = "none"
every pair of species needs its row: a forgotten one is then an error and not a missing force."""
import difflib
import itertools
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..core.state import Species
from ..core.units import MASS
from .potentials import FORMS, POSITIVE, Terms, terms_of

TABLES = Path(__file__).parent / "tables"
PROVENANCE = ("source", "measured", "derived", "unverified")
TOP_KEYS = ("name", "description", "coulomb", "cutoff", "units", "unlisted_pairs", "notes", "species", "pair")
SPECIES_KEYS = ("mass", "charge", "formal_charge", "provenance", "reference")
PAIR_KEYS = ("between", "form", "provenance", "reference")


@dataclass(frozen=True)
class PairRow:
    """One pair of species: names a and b, the form, its parameters, and the provenance mark with its reference."""
    a: str
    b: str
    form: str
    parameters: dict
    provenance: str
    reference: str = ""

    def terms(self):
        return terms_of(self.form, self.parameters)


@dataclass(frozen=True)
class ForceField:
    """`charges` (s,) e as the forces use them, `formal_charges` (s,) e, `masses` (s,) u (or reduced), in the order of `species`."""
    name: str
    description: str
    species: tuple
    charges: np.ndarray
    formal_charges: np.ndarray
    masses: np.ndarray
    pairs: list
    coulomb: bool
    cutoff_default: float
    units: str
    species_provenance: dict
    notes: tuple = ()

    def kinds(self, names=None):
        """core.Species of the given species (default all), in that order. Raises InputError for a species that the table lacks."""
        names = tuple(self.species if names is None else names)
        unknown = [n for n in names if n not in self.species]
        if unknown:
            raise InputError(f"species {', '.join(sorted(set(unknown)))}: the force field {self.name} has {', '.join(self.species)} only; "
                             "take another force field or add their rows to a table of your own")
        rows = [self.species.index(n) for n in names]
        scale = MASS if self.units == "metal" else 1.0
        return Species(names, self.masses[rows] * scale, self.charges[rows], self.formal_charges[rows])

    def terms(self, a, b):
        """Terms of the pair of species names (a, b), in either order; no terms where the table says that there are none."""
        for row in self.pairs:
            if {row.a, row.b} == {a, b}:
                return row.terms()
        return Terms()


def available():
    """Names of the shipped tables."""
    return sorted(path.stem for path in TABLES.glob("*.toml"))


def load_forcefield(name_or_path):
    """The ForceField of a shipped table, or of a TOML file. Raises InputError with every problem of the table at once."""
    text = str(name_or_path)
    shipped = text in available()
    path = TABLES / f"{text}.toml" if shipped else Path(text)
    if not path.is_file():
        raise InputError(f'forcefield "{text}": no shipped table and no file of that name;{_suggest(text, available())} shipped: {", ".join(available())}')
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise InputError(f"forcefield {path}: not a TOML file ({problem})") from None
    field = _validated(raw, path)
    if not shipped:
        field = ForceField(**{**field.__dict__, "notes": field.notes + tuple(near_misses(field))})
    return field


def _suggest(word, words):
    close = difflib.get_close_matches(str(word), list(words), 1, 0.5)
    return f' did you mean "{close[0]}"?' if close else ""


def _number(problems, where, value, positive=False):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or (positive and value <= 0):
        problems.append(f"{where} = {value!r}: a {'positive ' if positive else ''}finite number is needed")
        return 1.0
    return float(value)


def _unknown(problems, where, keys, allowed):
    for key in keys:
        if key not in allowed:
            problems.append(f"{where}: unknown key {key!r};{_suggest(key, allowed)} allowed: {', '.join(allowed)}")


def _mark(problems, where, row):
    mark = row.get("provenance")
    if mark not in PROVENANCE:
        problems.append(f"{where}: provenance = {mark!r}; write one of {', '.join(PROVENANCE)}")
    return str(mark), str(row.get("reference", ""))


def _validated(raw, path):
    problems, at = [], f"forcefield {path.name}"
    _unknown(problems, at, raw, TOP_KEYS)
    units = raw.get("units", "metal")
    if units not in ("metal", "reduced"):
        problems.append(f'{at}: units = {units!r}; write "metal" (angstrom, eV, u, e) or "reduced"')
    species, marks = raw.get("species", {}), {}
    if not isinstance(species, dict) or not species:
        raise InputError(problems + [f"{at}: no species; write a table [species.X] with mass, charge, formal_charge and provenance for each"])
    charges, formal, masses = [], [], []
    for name, row in species.items():
        where = f"{at}: species.{name}"
        _unknown(problems, where, row, SPECIES_KEYS)
        charges.append(_number(problems, f"{where}.charge", row.get("charge", 0.0)))
        formal.append(_number(problems, f"{where}.formal_charge", row.get("formal_charge", row.get("charge", 0.0))))
        masses.append(_number(problems, f"{where}.mass", row.get("mass"), positive=True))
        marks[name] = _mark(problems, where, row)
        if formal[-1] != round(formal[-1]):
            problems.append(f"{where}.formal_charge = {formal[-1]:g}: the current is carried by integer charges; write the formal charge beside the partial one")
    pairs, present = _validated_pairs(problems, at, raw.get("pair", []), tuple(species), path.parent)
    missing = [f"{a}-{b}" for a, b in itertools.combinations_with_replacement(species, 2) if frozenset((a, b)) not in present]
    if missing and raw.get("unlisted_pairs") != "none":
        problems.append(f'{at}: no row for {", ".join(missing)}; add the rows, or write unlisted_pairs = "none" if these pairs have no short-range part')
    cutoff = _number(problems, f"{at}: cutoff", raw.get("cutoff"), positive=True)
    coulomb = raw.get("coulomb", any(charges))
    if not isinstance(coulomb, bool):
        problems.append(f"{at}: coulomb = {coulomb!r}; write true or false")
    if problems:
        raise InputError(problems)
    return ForceField(str(raw.get("name", path.stem)), str(raw.get("description", "")), tuple(species), np.array(charges), np.array(formal), np.array(masses), pairs,
                      coulomb, cutoff, units, marks, tuple(raw.get("notes", ())))


def _validated_pairs(problems, at, rows, names, folder):
    """(PairRows, set of the pairs of names that have a row, right or wrong)."""
    pairs, seen = [], set()
    for number, row in enumerate(rows, 1):
        between, form = row.get("between"), row.get("form")
        where = f"{at}: pair {number}"
        if not (isinstance(between, list) and len(between) == 2 and all(n in names for n in between)):
            problems.append(f"{where}: between = {between!r}; write two of the species {', '.join(names)}")
            continue
        where += f" ({between[0]}-{between[1]})"
        if frozenset(between) in seen:
            problems.append(f"{where}: this pair stands twice; remove one row")
        seen.add(frozenset(between))
        if form not in FORMS:
            problems.append(f"{where}: form = {form!r};{_suggest(form, FORMS)} allowed: {', '.join(FORMS)}")
            continue
        mark, reference = _mark(problems, where, row)
        wanted = FORMS[form][0] if form != "tabulated" else ("file",)
        _unknown(problems, where, row, PAIR_KEYS + wanted)
        lacking = [key for key in wanted if key not in row]
        if lacking:
            problems.append(f"{where}: {form} needs {', '.join(wanted)}; missing: {', '.join(lacking)}")
            continue
        if form == "tabulated":
            parameters = _columns(problems, where, folder / str(row["file"]))
        else:
            parameters = {key: _number(problems, f"{where}.{key}", row[key], key in POSITIVE) for key in wanted}
        if "n" in parameters:
            if not (parameters["n"] == int(parameters["n"]) and 1 <= parameters["n"] <= 20):
                problems.append(f"{where}.n = {parameters['n']:g}: an integer from 1 to 20 is needed")
            parameters["n"] = int(parameters["n"])
        pairs.append(PairRow(between[0], between[1], form, parameters, mark, reference))
    return pairs, seen


def _columns(problems, where, path):
    try:
        columns = np.loadtxt(path, ndmin=2)
        if columns.shape[1] != 3:
            raise ValueError(f"{columns.shape[1]} columns")
        parameters = dict(zip("rUF", columns.T.copy()))
        terms_of("tabulated", parameters)
        return parameters
    except (OSError, ValueError, InputError) as problem:
        problems.append(f"{where}: file = {str(path)!r}: {problem}; three columns of numbers r, U, F = -dU/dr are needed")
        return dict(r=np.arange(1.0, 5.0), U=np.zeros(4), F=np.zeros(4))


def near_misses(field):
    """Remarks on rows of a foreign table whose numbers lie within 10 % of a shipped table's but not within 0.1 %: often a typing error."""
    remarks = []
    for name in available():
        ours = _validated(tomllib.loads((TABLES / f"{name}.toml").read_text(encoding="utf-8")), TABLES / f"{name}.toml")
        for row, other in itertools.product(field.pairs, ours.pairs):
            if {row.a, row.b} != {other.a, other.b} or row.form != other.form or row.form == "tabulated":
                continue
            ratio = {key: row.parameters[key] / value - 1 for key, value in other.parameters.items() if value}
            odd = {key: off for key, off in ratio.items() if abs(off) > 1e-3}
            if odd and all(abs(off) < 0.1 for off in ratio.values()):
                told = ", ".join(f"{key} = {row.parameters[key]:g} ({off:+.1%} of {other.parameters[key]:g})" for key, off in odd.items())
                remarks.append(f"{row.a}-{row.b}: {told} differs a little from the shipped table {name}: a variant or a typing error?")
    return remarks


def describe(field):
    """Rows (list of tuples of text) for printing: what, value, provenance, reference; species first, then pairs."""
    rows = []
    for k, name in enumerate(field.species):
        rows.append((name, f"q = {field.charges[k]:+g} e, formal {field.formal_charges[k]:+g}, mass {field.masses[k]:g}", *field.species_provenance[name]))
    for pair in field.pairs:
        if pair.form == "tabulated":
            told = f"{len(pair.parameters['r'])} rows, r = {pair.parameters['r'][0]:g} to {pair.parameters['r'][-1]:g}"
        else:
            told = ", ".join(f"{key} = {value:.9g}" for key, value in pair.parameters.items())
        rows.append((f"{pair.a}-{pair.b}", f"{pair.form}: {told}", pair.provenance, pair.reference))
    present = {frozenset((p.a, p.b)) for p in field.pairs}
    others = [f"{a}-{b}" for a, b in itertools.combinations_with_replacement(field.species, 2) if frozenset((a, b)) not in present]
    if others:
        rows.append((", ".join(others), "no short-range part", "derived", "declared by the table"))
    return rows
