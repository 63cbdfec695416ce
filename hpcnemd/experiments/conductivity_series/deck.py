"""The deck of a series: that of an ionic conductivity, and a table that says over what it is repeated."""
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field as Key, model_validator

from ..ionic_conductivity.deck import Deck as RunDeck
from ..quantities import CurrentDensity, Direction, Duration, Field, Lattice, Length, Temperature, ThreeCounts, Time, Velocity, quantity
from ..tables import Table

Conductivity = quantity("S/m", above=0)
Energy = quantity("eV", at_least=0)
LEVELS = {"constant_current": ("strengths", "drift_velocities", "currents"), "constant_field": ("strengths", "fields"), "none": ()}
Kind = Literal["constant_current", "constant_field", "none"]


def _several(value):
    """One value, or a list of them; three numbers are one value (a size, a direction)."""
    one = not isinstance(value, (list, tuple)) or value and all(isinstance(x, (int, float)) for x in value)
    return (value,) if one else value


Temperatures, Sizes = Annotated[tuple[Temperature, ...], BeforeValidator(_several)], Annotated[tuple[ThreeCounts, ...], BeforeValidator(_several)]
Kinds, Directions = Annotated[tuple[Kind, ...], BeforeValidator(_several)], Annotated[tuple[Direction, ...], BeforeValidator(_several)]


class ExpectedTable(Table):
    """About what conductivity is expected: turns a strength into a current. It need not be right, the results say how strong the drive was."""
    conductivity: Conductivity = Key(description="at this temperature:")
    temperature: Temperature = Key(description="and with")
    activation_energy: Energy = Key(0.0, description="of conductivity times temperature at others")

    def at(self, temperature):
        """e^2/(eV angstrom fs), the unit inside, at a temperature (K)."""
        import math

        from ...core.units import BOLTZMANN
        return self.conductivity * self.temperature / temperature * math.exp(-self.activation_energy / BOLTZMANN * (1 / temperature - 1 / self.temperature))


class PointTable(Table):
    """Changes for some of the points: those that agree with all of `temperature`, `supercell`, `drive` and `direction` that are given."""
    temperature: Temperatures | None = Key(None, description="the points at this temperature, or these: [\"300 K\", \"400 K\"]")
    supercell: Sizes | None = Key(None, description="and of this size, or these")
    drive: Kinds | None = Key(None, description="and with this drive, or these")
    direction: Directions | None = Key(None, description="and this direction, or these")
    leave_out: bool = Key(False, description="do not run them")
    lattice: Lattice | None = Key(None, description="edges of the cell")
    anneal: Duration | None = Key(None, description="time of an annealing at run.anneal_temperature and down from there")
    equilibrate: Duration | None = Key(None, description="time at the temperature before the drive is switched on")
    settle: Duration | None = Key(None, description="time under the drive before the measurement")
    measure: Time | None = Key(None, description="time of the measurement")
    blocks: int | None = Key(None, ge=2, description="number of blocks")
    block: Time | None = Key(None, description="or the length of one block")
    replicas: int | None = Key(None, ge=1, description="independent runs")
    strengths: tuple[float, ...] | None = Key(None, min_length=1, description="drives, as in the series")
    drift_velocities: tuple[Velocity, ...] | None = Key(None, min_length=1)
    currents: tuple[CurrentDensity, ...] | None = Key(None, min_length=1)
    fields: tuple[Field, ...] | None = Key(None, min_length=1)

    @model_validator(mode="after")
    def _checks(self):
        given = [name for name in ("strengths", "drift_velocities", "currents", "fields") if getattr(self, name) is not None]
        if given and self.drive is None:
            raise ValueError(f"{given[0]} needs the drive that it belongs to; write for example drive = \"constant_current\"")
        for kind in self.drive or ():
            if given and (len(given) > 1 or given[0] not in LEVELS[kind]):
                raise ValueError(f"{', '.join(given)}: a point with drive = \"{kind}\" takes one of: {', '.join(LEVELS[kind]) or 'none of them'}")
        if self.blocks is not None and self.block is not None:
            raise ValueError("blocks and block exclude each other; keep one of them")
        return self


class ReferenceTable(Table):
    """A published value that the figure shows."""
    temperature: Temperature = Key(description="its temperature")
    conductivity: Conductivity = Key(description="its value")
    error: Conductivity | None = Key(None, description="its standard error")
    kind: Literal["experiment", "simulation"] = Key("experiment", description="experiment, simulation")
    source: str = Key(min_length=8, description="where it was read: paper and table, or address; without one it is not drawn")


class SeriesTable(Table):
    """What the run is repeated over: every temperature with every size and every drive."""
    temperatures: tuple[Temperature, ...] | None = Key(None, min_length=1, description="default: that of [run]")
    lattices: tuple[Lattice, ...] | None = Key(None, min_length=1, description="edges of the cell before repetition, one entry for each temperature")
    supercells: tuple[ThreeCounts, ...] | None = Key(None, min_length=1, description="sizes: repetitions of the cell")
    drives: tuple[Kind, ...] | None = Key(None, min_length=1, description="constant_current, constant_field, none; default: that of [drive]")
    directions: tuple[Direction, ...] | None = Key(None, min_length=1, description="of the drive: three of them give the tensor")
    strengths: tuple[float, ...] | None = Key(None, min_length=1, description="drives as q E a / 2 k_B T of the hop model, the same at all temperatures; linear within 5 % below 0.55")
    hop_length: Length = Key(2.0, description="the a in it")
    expected: ExpectedTable | None = Key(None, description="turns strengths into currents: { conductivity = \"350 S/m\", temperature = \"1000 K\", activation_energy = \"0.15 eV\" }")
    drift_velocities: tuple[Velocity, ...] | None = Key(None, min_length=1, description="or the currents themselves, over the sum of the mobile charges")
    currents: tuple[CurrentDensity, ...] | None = Key(None, min_length=1, description="or as current densities")
    fields: tuple[Field, ...] | None = Key(None, min_length=1, description="of constant fields")
    extrapolate_to: Temperature = Key(300.0, description="temperature for which the Arrhenius line is worked out")
    point: tuple[PointTable, ...] = Key((), description="[[series.point]]: changes for some of the points")
    reference: tuple[ReferenceTable, ...] = Key((), description="[[series.reference]]: published values for the figure, with their source")

    @model_validator(mode="after")
    def _checks(self):
        for name in ("temperatures", "supercells", "drives", "directions", "strengths", "drift_velocities", "currents", "fields"):
            values = getattr(self, name)
            if values is not None and len(set(values)) < len(values):
                raise ValueError(f"{name}: an entry is there twice; every point must be another one")
        if self.lattices is not None and len(self.lattices) != len(self.temperatures or ()):
            raise ValueError(f"lattices has {len(self.lattices)} entries for {len(self.temperatures or ())} temperatures; write one for each, in their order")
        given = [name for name in ("strengths", "drift_velocities", "currents") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; keep one of them")
        if self.strengths is not None and self.fields is not None:
            raise ValueError("strengths and fields exclude each other; keep one of them")
        wrong = [x for x in self.strengths or () if not 0 < x <= 2] + [x for one in self.point for x in one.strengths or () if not 0 < x <= 2]
        if wrong:
            raise ValueError(f"strengths: {wrong[0]:g} is not between 0 and 2; the response is linear within 5 % below 0.55")
        if any(not v for name in ("drift_velocities", "fields") for table in (self, *self.point) for v in getattr(table, name) or ()):
            raise ValueError("a drive is 0; for equilibrium write drives = [\"none\", ...]")
        return self


class Deck(RunDeck):
    """Ionic conductivities over temperatures, drives, directions and sizes: every point is an ordinary run in a folder of its own."""
    experiment: Literal["conductivity_series"]
    series: SeriesTable

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any):
        """[run] and [drive] need not say what the series says."""
        series = data.get("series") if isinstance(data, dict) else None
        if not isinstance(series, dict):
            return data
        data = dict(data)
        if isinstance(series.get("temperatures"), list) and series["temperatures"] and isinstance(data.get("run"), dict):
            data["run"] = {"temperature": series["temperatures"][0], **data["run"]}
        if series.get("drives") and isinstance(data.get("drive"), dict):
            data["drive"] = {"kind": "none", **data["drive"]}
        return data

    @model_validator(mode="after")
    def _levels_are_there(self):
        for kind in self.kinds():
            if kind not in LEVELS:
                raise ValueError(f"drive.kind = \"{kind}\": a series repeats {', '.join(LEVELS)}; write series.drives, or run that deck alone")
            if kind != "none" and not self._has_levels(kind):
                raise ValueError(f"series: drives has {kind}, but nothing says how strong; write {' or '.join(LEVELS[kind])} under [series]")
        chosen = [one.strengths for one in self.series.point if "constant_current" in (one.drive or ())] + [self.series.strengths] * ("constant_current" in self.kinds())
        if any(chosen) and self.series.expected is None:
            raise ValueError("series.strengths of a constant current need series.expected = { conductivity = \"350 S/m\", temperature = \"1000 K\", "
                             "activation_energy = \"0.15 eV\" }: the current is the expected conductivity times the field of that strength")
        return self

    def kinds(self):
        """The drives, in the order of the deck."""
        return self.series.drives or (self.drive.kind,)

    def _has_levels(self, kind):
        given = [self.series, *(one for one in self.series.point if kind in (one.drive or ()))]
        return self.drive.kind == kind or any(getattr(table, name) is not None for table in given for name in LEVELS[kind])
