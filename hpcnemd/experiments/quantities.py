"""Types of the deck's values: numbers with units (kept in the program's units inside) and intervals.

A value is written back with its unit, so that the resolved deck in a result file reads like the user's."""
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from ..core.units import in_unit, parse_quantity

SECOND = 1e15          # fs


def write_quantity(value, unit):
    """`value` (inside units) as text in `unit`; 12 digits hide the rounding of the two conversions."""
    return f"{in_unit(value, unit):.12g} {unit}"


def quantity(unit, above=None, at_least=None):
    """A float in inside units that may be written as a string with any unit of the same dimension; a bare number is in `unit`."""
    def read(value):
        number = parse_quantity(value, unit)
        if above is not None and not number > above or at_least is not None and not number >= at_least:
            limit = f"above {above:g}" if above is not None else f"{at_least:g} or more"
            raise ValueError(f"must be {limit}; write for example \"1 {unit}\"")
        return number
    return Annotated[float, BeforeValidator(read), PlainSerializer(lambda value: write_quantity(value, unit), return_type=str)]


Length = quantity("angstrom", above=0)
Time = quantity("ps", above=0)
Duration = quantity("ps", at_least=0)
Timestep = quantity("fs", above=0)
Temperature = quantity("K", above=0)
Field = quantity("V/angstrom")
Force = quantity("eV/angstrom", above=0)
Velocity = quantity("angstrom/ps")
Damping = quantity("1/angstrom", above=0)
Pressure = quantity("GPa")
Compressibility = quantity("1/GPa", above=0)
DENSITY_UNIT = "g/cm^3"


def _read_density(value):
    """g/cm^3; grams are no unit of the program, so this one reads its own two spellings."""
    factor, text = 1.0, str(value).strip()
    for unit, scale in (("g/cm^3", 1.0), ("g/cm3", 1.0), ("kg/m^3", 1e-3), ("kg/m3", 1e-3)):
        if text.endswith(unit):
            factor, text = scale, text[:-len(unit)]
            break
    try:
        number = float(text) * factor
    except ValueError:
        raise ValueError(f"{value!r} is not a density; write for example \"1.454 {DENSITY_UNIT}\"") from None
    if isinstance(value, bool) or not 0 < number < 1e3:
        raise ValueError(f"{value!r} is not a density; write for example \"1.454 {DENSITY_UNIT}\"")
    return number


Density = Annotated[float, BeforeValidator(_read_density), PlainSerializer(lambda value: f"{value:.12g} {DENSITY_UNIT}", return_type=str)]


def _read_wall(value):
    if isinstance(value, (int, float)):
        raise ValueError("wall time needs a unit; write for example \"24 h\"")
    seconds = parse_quantity(value, "s") / SECOND
    if seconds <= 0:
        raise ValueError("must be above 0; write for example \"24 h\"")
    return seconds


WallTime = Annotated[float, BeforeValidator(_read_wall), PlainSerializer(lambda value: f"{value:.12g} s", return_type=str)]      # seconds


@dataclass(frozen=True)
class Interval:
    """Every so many steps, or every so many seconds on the clock; the other is None."""
    steps: int | None = None
    seconds: float | None = None


def _read_interval(value):
    if isinstance(value, Interval):
        return value
    if isinstance(value, bool) or isinstance(value, float) or isinstance(value, int) and value < 1:
        raise ValueError("write a number of steps (5000) or a time on the clock (\"10 min\")")
    if isinstance(value, int):
        return Interval(steps=value)
    return Interval(seconds=_read_wall(value))


Every = Annotated[Any, BeforeValidator(_read_interval),
                  PlainSerializer(lambda every: every.steps if every.steps else f"{every.seconds:.12g} s")]


def _read_lattice(value):
    """One length for all three axes, or three."""
    if not isinstance(value, (list, tuple)):
        value = [value] * 3
    if len(value) != 3:
        raise ValueError("write one length, or three: [\"13.1 angstrom\", \"13.1 angstrom\", \"12.7 angstrom\"]")
    lengths = tuple(parse_quantity(one, "angstrom") for one in value)
    if min(lengths) <= 0:
        raise ValueError("lengths must be above 0")
    return lengths


def _read_current(value):
    return value if value == "auto" else parse_quantity(value, "A/cm^2")


CurrentDensity = Annotated[Any, BeforeValidator(_read_current),
                           PlainSerializer(lambda value: value if value == "auto" else write_quantity(value, "A/cm^2"))]


def _read_three_counts(value):
    if not isinstance(value, (list, tuple)) or len(value) != 3 or any(isinstance(one, bool) or not isinstance(one, int) or one < 1 for one in value):
        raise ValueError("write three whole numbers of 1 or more, for example [2, 2, 1]")
    return tuple(value)


ThreeCounts = Annotated[Any, BeforeValidator(_read_three_counts)]


def _read_direction(value):
    if value in ("x", "y", "z"):
        return value
    if isinstance(value, (list, tuple)) and len(value) == 3 and all(isinstance(one, (int, float)) for one in value) and any(value):
        return tuple(float(one) for one in value)
    raise ValueError("write \"x\", \"y\", \"z\", or three numbers such as [1, 1, 0]")


Direction = Annotated[Any, BeforeValidator(_read_direction)]


def _read_names(value):
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(one, str) for one in names):
        raise ValueError("write a list of species, for example [\"Li\"], or \"all\"")
    return tuple(names)


Names = Annotated[Any, BeforeValidator(_read_names)]

Lattice = Annotated[Any, BeforeValidator(_read_lattice),
                    PlainSerializer(lambda lengths: [write_quantity(one, "angstrom") for one in lengths])]


def _read_orientations(value):
    if value == "random":
        return value
    if not isinstance(value, (list, tuple)) or not all(isinstance(row, (list, tuple)) and len(row) == 4 and all(
            isinstance(x, (int, float)) and not isinstance(x, bool) for x in row) and any(row[:3]) for row in value):
        raise ValueError("write \"random\", or a row [x, y, z, degrees] for each grain: axis and angle")
    return tuple(tuple(float(x) for x in row) for row in value)


Orientations = Annotated[Any, BeforeValidator(_read_orientations)]
