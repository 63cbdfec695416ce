"""The unit system of the program and the parser of quantities such as ``"300 K"`` or ``"0.05 V/angstrom"``.

Inside: length angstrom, time fs, energy eV, charge e, temperature K. Mass is kept in eV fs^2/angstrom^2 (`MASS` converts from u),
so that force / mass is an acceleration without a factor. Reduced (Lennard-Jones) units are another consistent choice for the same code.
Constants: CODATA 2018; the Coulomb constant is the value that LAMMPS' "metal" units use, so that energies can be compared.
"""
import math
import re

BOLTZMANN = 8.617333262e-5          # eV/K
COULOMB = 14.399645                 # eV angstrom / e^2
ELEMENTARY_CHARGE = 1.602176634e-19  # C
ATOMIC_MASS = 1.66053906660e-27     # kg
AVOGADRO = 6.02214076e23            # 1/mol
MASS = ATOMIC_MASS * 1e10 / ELEMENTARY_CHARGE      # eV fs^2/angstrom^2 per u, 103.6427
PRESSURE_GPA = 160.2176634          # GPa per eV/angstrom^3
SIEMENS_PER_METRE = 1.602176634e6   # S/m per (e angstrom/fs) / (angstrom^3 eV/(e angstrom))

# unit -> (dimension, factor to the inside unit). A dimension is a sorted tuple of (base, power).
_BASE = {
    "angstrom": ("length", 1.0), "nm": ("length", 10.0), "bohr": ("length", 0.529177210903), "m": ("length", 1e10),
    "fs": ("time", 1.0), "ps": ("time", 1e3), "ns": ("time", 1e6), "us": ("time", 1e9), "s": ("time", 1e15),
    "min": ("time", 6e16), "h": ("time", 3.6e18),
    "eV": ("energy", 1.0), "meV": ("energy", 1e-3), "J": ("energy", 1 / ELEMENTARY_CHARGE),
    "K": ("temperature", 1.0), "e": ("charge", 1.0), "C": ("charge", 1 / ELEMENTARY_CHARGE),
    "u": ("mass", MASS), "amu": ("mass", MASS),
}
_COMPOUND = {
    "V": ("eV/e", 1.0), "A": ("C/s", 1.0), "mA": ("C/s", 1e-3), "S": ("A/V", 1.0), "mS": ("A/V", 1e-3), "GPa": ("eV/angstrom^3", 1 / PRESSURE_GPA),
    "MPa": ("eV/angstrom^3", 1e-3 / PRESSURE_GPA), "bar": ("eV/angstrom^3", 1e-4 / PRESSURE_GPA), "atm": ("eV/angstrom^3", 1.01325e-4 / PRESSURE_GPA),
    "kJ/mol": ("J", 1e3 / AVOGADRO), "cm": ("m", 1e-2),
}


def _parse_unit(text):
    """(dimension, factor) of a unit expression such as ``V/angstrom`` or ``A/cm^2``; raises KeyError with the unknown word."""
    text = text.strip()
    if text in _COMPOUND:
        inner, factor = _COMPOUND[text]
        powers, scale = _parse_unit(inner)
        return powers, scale * factor
    if text in _BASE:
        base, factor = _BASE[text]
        return {base: 1}, factor
    powers, scale = {}, 1.0
    sign = 1
    for part in re.split(r"([/*])", text):
        part = part.strip()
        if part == "/":
            sign = -1
        elif part == "*":
            sign = 1
        elif part:
            if part in ("1", ""):
                continue
            word, _, power = part.partition("^")
            if word not in _BASE and word not in _COMPOUND:
                raise KeyError(word)
            power = int(power) if power else 1
            inner, factor = _parse_unit(word)
            scale *= factor ** (sign * power)
            for base, exponent in inner.items():
                powers[base] = powers.get(base, 0) + sign * power * exponent
    return {base: exponent for base, exponent in powers.items() if exponent}, scale


def parse_quantity(value, unit):
    """The number of `value` in inside units; a plain number is taken to be in `unit`, a string may carry any unit of its dimension.

    Raises ValueError with what to write instead.
    """
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a quantity; write a number in {unit}, or a string such as \"1 {unit}\"")
    want, scale = _parse_unit(unit)
    if isinstance(value, (int, float)):
        number, factor = float(value), scale
    else:
        match = re.fullmatch(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*", str(value))
        if not match:
            raise ValueError(f"{value!r} is not a quantity; write for example \"1 {unit}\"")
        number, written = float(match[1]), match[2] or unit
        try:
            have, factor = _parse_unit(written)
        except (KeyError, ValueError):
            raise ValueError(f"{value!r}: unknown unit {written!r}; write it in {unit}, for example \"{match[1]} {unit}\"") from None
        if have != want:
            raise ValueError(f"{value!r}: {written} is not a unit of this quantity; write it in {unit}, for example \"{match[1]} {unit}\"")
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not finite")
    return number * factor


def in_unit(value, unit):
    """An inside value expressed in `unit`."""
    return value / _parse_unit(unit)[1]
