"""The points of a series: an ordinary ionic-conductivity deck for each, its name, and what it costs."""
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ...core.errors import InputError
from ...core.units import BOLTZMANN, in_unit
from ..deck_text import resolved_text
from ..ionic_conductivity.deck import Deck as RunDeck
from ..tables import problems_of
from .deck import LEVELS

ROUTES = {"constant_current": "current", "constant_field": "field", "none": "equilibrium"}
CHANGES = ("anneal", "equilibrate", "settle", "measure", "blocks", "block", "replicas")


@dataclass(frozen=True)
class Level:
    """How strong a drive is: `key`, one of LEVELS or "" for what [drive] itself says, and its `value` in inside units ("auto" for a pilot's choice)."""
    key: str
    value: object

    @property
    def label(self):
        """A short name, stable when others are added."""
        units = {"strengths": ("s", None), "drift_velocities": ("v", "angstrom/ps"), "currents": ("j", "A/cm^2"), "fields": ("f", "V/angstrom")}
        if not self.key:
            return "given"
        letter, unit = units[self.key]
        if self.value == "auto":
            return f"{letter}auto"
        return f"{letter}{self.value if unit is None else in_unit(self.value, unit):.6g}"


@dataclass(frozen=True)
class Point:
    """One run of the series. `direction` and `level` are None at equilibrium; `changes`: the tables [[series.point]] that apply, merged."""
    temperature: float
    supercell: tuple
    kind: str
    direction: object
    level: Level | None
    lattice: tuple | None
    changes: dict

    @property
    def name(self):
        """Of its folder: says all that tells it from others, so that it stays when the series grows."""
        words = [f"{self.temperature:g}K", "x".join(map(str, self.supercell)), ROUTES[self.kind]]
        if self.kind != "none":
            words += [self.direction if isinstance(self.direction, str) else "_".join(f"{x:g}" for x in self.direction), self.level.label]
        return "_".join(words)


def points_of(deck):
    """The Points of a Deck, in the order of the deck: sizes, temperatures, drives, directions, levels. Raises InputError where none is left, or a table
    [[series.point]] concerns none."""
    series = deck.series
    temperatures = series.temperatures or (deck.run.temperature,)
    lattices = dict(zip(temperatures, series.lattices)) if series.lattices else {}
    found, used = [], set()
    for supercell in series.supercells or (deck.structure.supercell,):
        for temperature in temperatures:
            for kind in deck.kinds():
                for direction in (series.directions or (deck.drive.direction,)) if kind != "none" else (None,):
                    where = {"temperature": temperature, "supercell": supercell, "drive": kind, "direction": direction}
                    tables = [k for k, one in enumerate(series.point) if _concerns(one, where)]
                    used.update(tables)
                    changes = {}
                    for k in tables:
                        changes |= {key: value for key, value in series.point[k] if value not in (None, False) and key not in where}
                    if not changes.pop("leave_out", False):
                        lattice = changes.pop("lattice", lattices.get(temperature))
                        found += [Point(temperature, supercell, kind, direction, level, lattice, changes) for level in _levels(deck, kind, changes)]
    problems = [f"series.point.{k}: no point of the series agrees with it ({_selector(one)}); its temperature, supercell, drive and direction must be there"
                for k, one in enumerate(series.point) if k not in used]
    if not found and not problems:
        problems = ["series: all points are left out; remove a leave_out"]
    if problems:
        raise InputError(problems)
    return found


def _concerns(table, where):
    return all(getattr(table, key) is None or value in getattr(table, key) for key, value in where.items())


def _selector(table):
    given = {key: getattr(table, key) for key in ("temperature", "supercell", "drive", "direction") if getattr(table, key) is not None}
    return ", ".join(f"{key} {' or '.join(map(str, values))}" for key, values in given.items()) or "it names none"


def _levels(deck, kind, changes):
    if kind == "none":
        return [None]
    for table in (changes, {key: getattr(deck.series, key) for key in LEVELS[kind]}):
        for key in LEVELS[kind]:
            if table.get(key) is not None:
                return [Level(key, value) for value in table[key]]
    if deck.drive.kind == kind:
        return [Level("", None)]
    raise InputError(f"series: nothing says how strong the {kind} is everywhere; write {' or '.join(LEVELS[kind])} under [series]")


def run_deck_of(deck, point, system=None, colour=None):
    """The Deck of the ordinary run behind a point. `system` and `colour` turn a strength into a field or a current; without them a strength leaves the
    drive out (for the structure alone)."""
    tables = deck.model_dump(mode="json", exclude={"series"}, exclude_none=True) | {"experiment": "ionic_conductivity"}
    run, structure, drive = tables["run"], tables["structure"], tables["drive"]
    run["temperature"] = f"{point.temperature!r} K"
    run["seed"] = (deck.run.seed + zlib.crc32(point.name.encode())) % 2 ** 63     # points at one temperature must not share a trajectory
    for key in CHANGES:
        if key in point.changes:
            run[key] = point.changes[key] if key in ("blocks", "replicas") else f"{in_unit(point.changes[key], 'ps'):.12g} ps"
            if key in ("blocks", "block"):
                run.pop("block" if key == "blocks" else "blocks", None)
    structure["supercell"] = list(point.supercell)
    if point.lattice is not None:
        structure.pop("density", None)
        structure["lattice"] = [f"{edge!r} angstrom" for edge in point.lattice]
    for key in ("drift_velocity", "current_density", "field"):
        if point.level is None or point.level.key:
            drive.pop(key, None)
    drive["kind"] = point.kind
    if point.kind == "none":
        drive.pop("species", None)
    else:
        drive["direction"] = point.direction
        _set_level(drive, deck, point, system, colour)
    tables["output"].pop("walltime", None)
    try:
        return RunDeck.model_validate(tables)
    except ValidationError as error:
        raise InputError(problems_of(error, RunDeck)) from None


def placed(deck, base, folder):
    """A point's Deck for the folder of its results: files that were named from `base` on are named from there on."""
    def moved(name):
        here = Path(base, name)
        return os.path.relpath(here, folder) if not Path(name).is_absolute() and here.is_file() else name
    structure, field = deck.structure, deck.forcefield
    phases = tuple(one.model_copy(update={"file": moved(one.file)}) if one.file else one for one in structure.phases)
    structure = structure.model_copy(update={"phases": phases} | ({"file": moved(structure.file)} if structure.file else {}))
    return deck.model_copy(update={"structure": structure, "forcefield": field.model_copy(update={"table": moved(field.table)}),
                                   "output": deck.output.model_copy(update={"folder": str(folder)})})


def _set_level(drive, deck, point, system, colour):
    key, value = point.level.key, point.level.value
    if key == "strengths" and system is None:
        drive["kind"] = "none"
        drive.pop("species", None)
    elif key == "strengths":
        charge = max(abs(system.kinds.formal_charge[colour.mobile & (colour.counts > 0)]))
        field = 2 * value * BOLTZMANN * point.temperature / (charge * deck.series.hop_length)
        if point.kind == "constant_field":
            drive["field"] = f"{field:.6g} V/angstrom"
        else:
            drive["current_density"] = f"{in_unit(deck.series.expected.at(point.temperature) * field, 'A/cm^2'):.6g} A/cm^2"
    elif key:
        unit = {"drift_velocities": "angstrom/ps", "currents": "A/cm^2", "fields": "V/angstrom"}[key]
        name = {"drift_velocities": "drift_velocity", "currents": "current_density", "fields": "field"}[key]
        drive[name] = value if value == "auto" else f"{in_unit(value, unit):.12g} {unit}"


def text_of(deck):
    """What a point's deck.toml holds: the same whenever and wherever the series is started."""
    return "# a point of a series; it can be run, reported and compared on its own\n" + resolved_text(deck)

