"""Quantities at the boundary: a number with its unit in, an SI float out. A bare number is refused where its unit would have to be guessed.

The core's parser keeps the units of the simulation (eV, angstrom, fs); this one keeps moles, kilograms and pascal apart, which is what the
thermodynamic mistakes are made of (kJ for J, J/kg for J/mol, bar for Pa, Celsius for kelvin).
"""
import math
import re

from .errors import UnitMismatch, UnitMissing

GAS_CONSTANT = 8.314462618          # J/mol/K, CODATA 2018
ATMOSPHERE = 101325.0               # Pa
BAR = 1e5                           # Pa
KELVIN_OFFSET = 273.15
CALORIE = 4.184                     # J, thermochemical

# unit -> (base, factor to SI); energy and conductance are kept as bases, since nothing here takes them apart
_UNITS = {
    "J": ("J", 1.0), "kJ": ("J", 1e3), "MJ": ("J", 1e6), "cal": ("J", CALORIE), "kcal": ("J", 1e3 * CALORIE), "eV": ("J", 1.602176634e-19),
    "Pa": ("Pa", 1.0), "kPa": ("Pa", 1e3), "MPa": ("Pa", 1e6), "GPa": ("Pa", 1e9), "bar": ("Pa", BAR), "mbar": ("Pa", 100.0), "atm": ("Pa", ATMOSPHERE),
    "K": ("K", 1.0), "mol": ("mol", 1.0), "kmol": ("mol", 1e3), "mmol": ("mol", 1e-3), "kg": ("kg", 1.0), "g": ("kg", 1e-3),
    "m": ("m", 1.0), "cm": ("m", 1e-2), "mm": ("m", 1e-3), "um": ("m", 1e-6), "nm": ("m", 1e-9), "angstrom": ("m", 1e-10),
    "s": ("s", 1.0), "min": ("s", 60.0), "h": ("s", 3600.0),
    "S": ("S", 1.0), "mS": ("S", 1e-3),
}
_HINTS = {"J/mol": '"5 kJ/mol" or "5000 J/mol"', "Pa": '"1 bar", "1 atm" or "101325 Pa"', "K": '"300 K"'}


def dimension(unit):
    """({base: power}, factor) of a unit such as ``J/mol/K`` or ``m^3/kg``. Raises KeyError with the word it does not know."""
    powers, factor, sign = {}, 1.0, 1
    for part in re.split(r"([/*])", unit.strip()):
        part = part.strip()
        if part in ("/", "*"):
            sign = -1 if part == "/" else 1
        elif part and part != "1":
            word, _, power = part.partition("^")
            base, scale = _UNITS[word]
            power = sign * (int(power) if power else 1)
            powers[base] = powers.get(base, 0) + power
            factor *= scale ** power
    # a pressure is an energy per volume
    pressure = powers.pop("Pa", 0)
    if pressure:
        powers["J"] = powers.get("J", 0) + pressure
        powers["m"] = powers.get("m", 0) - 3 * pressure
    return {base: power for base, power in powers.items() if power}, factor


def quantity(value, unit, key="value"):
    """The SI number of `value`, a string with a unit of the dimension of `unit`; a bare number is accepted only where `unit` is "1".

    Raises UnitMissing for a bare number, UnitMismatch for another dimension. Celsius is accepted for a temperature ("25 degC").
    """
    want, _ = dimension(unit)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if want:
            raise UnitMissing(f"{key} = {value!r} has no unit; write it as a string with its unit, for example {_HINTS.get(unit, f'{chr(34)}{value} {unit}{chr(34)}')}")
        return _finite(float(value), key)
    match = re.fullmatch(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*?)?\s*", str(value))
    if not match:
        raise UnitMissing(f"{key} = {value!r} is not a quantity; write for example {_HINTS.get(unit, f'{chr(34)}1 {unit}{chr(34)}')}")
    number, written = float(match[1]), match[2]
    if written is None:
        return quantity(number, unit, key)
    if written in ("degC", "celsius", "C") and want == {"K": 1}:
        return _finite(number + KELVIN_OFFSET, key)
    try:
        have, factor = dimension(written)
    except (KeyError, ValueError):
        raise UnitMismatch(f"{key} = {value!r}: the unit {written!r} is not known; write it in {unit}") from None
    if have != want:
        why = " (per mole and per kilogram are different quantities)" if ("mol" in want) != ("mol" in have) and ("kg" in want or "kg" in have) else ""
        raise UnitMismatch(f"{key} = {value!r}: {written} is not a unit of this quantity{why}; {'write a number without a unit' if unit == '1' else f'write it in {unit}'}")
    return _finite(number * factor, key)


def _finite(number, key):
    if not math.isfinite(number):
        raise UnitMismatch(f"{key}: {number!r} is not a finite number")
    return number


def per_mole(value, unit, molar_mass, key="value"):
    """J/mol from a quantity given in J/kg, said explicitly: `value` string in `unit` ("J/kg"), `molar_mass` kg/mol."""
    if not 1e-4 < molar_mass < 10:
        raise UnitMismatch(f"molar_mass = {molar_mass!r} kg/mol is not a molar mass; 0.001 kg/mol is 1 g/mol")
    return quantity(value, unit, key) * molar_mass
