"""What follows from the points of a series together. Reads files, needs no MPI.

Points of one cell (size and temperature) give: the conductivity of each route (constant current, constant field, equilibrium), without drive where there are
several drives; their agreement; the tensor; the speed-up. Cells of one size give the Arrhenius lines."""
import json
import math
from dataclasses import dataclass, field

from ...analysis import arrhenius, linearity, tensor
from ...analysis.blocks import Estimate, student
from ...analysis.conductivity import agreement
from ...core.errors import InputError
from ...core.units import BOLTZMANN
from .launched import stored_series
from .points import points_of
from .reading import read_point
from .speed import speed_ups

LARGEST_ERROR = 0.4     # relative; beyond it the logarithm of a conductivity has no normal error
WORDS = {"constant_current": "constant current", "constant_field": "constant field", "none": "equilibrium, collective", "nernst_einstein": "Nernst-Einstein"}
USUAL_P = 0.01


@dataclass
class Cell:
    """Points of one size and temperature. `routes`: {kind: Estimate} of sigma; `drives`: {kind: Extrapolation}; `levels`: {kind: [(drive, Estimate)]};
    `tensors`: {(kind, level): Tensor}; `agreement`: (mean, error, chi-square, dof, p) or None; `left_out`: why it is not fitted, or ""."""
    supercell: tuple
    temperature: float
    readings: list
    routes: dict = field(default_factory=dict)
    drives: dict = field(default_factory=dict)
    levels: dict = field(default_factory=dict)
    tensors: dict = field(default_factory=dict)
    agreement: tuple | None = None
    left_out: str = ""


@dataclass
class Result:
    """`cells`: list of Cell; `fits`: {supercell: {route: Arrhenius}}; `speed`: list of SpeedUp; `numbers`: everything that numbers.json holds; `missing`: names of
    points without a result; `deck`: the series' deck."""
    deck: object
    cells: list
    fits: dict
    speed: object
    missing: list
    numbers: dict

    def to_json(self):
        """The text of numbers.json: sorted keys, shortest exact floats, nothing that depends on time or place."""
        return json.dumps(self.numbers, indent=1, sort_keys=True, allow_nan=False) + "\n"


def estimate(folder):
    """The Result of the folder of a series. Raises InputError where no point has a result yet."""
    deck = stored_series(folder)
    readings = [read_point(folder, point, deck.series.hop_length) for point in points_of(deck)]
    if not any(one.numbers for one in readings):
        raise InputError(f"{folder}: no point of the series has a result yet; look at hpcnemd status {folder}")
    cells = []
    for one in readings:
        key = one.point.supercell, one.point.temperature
        cell = next((cell for cell in cells if (cell.supercell, cell.temperature) == key), None)
        if cell is None:
            cells.append(cell := Cell(*key, []))
        cell.readings.append(one)
    cells.sort(key=lambda cell: (math.prod(cell.supercell), cell.supercell, cell.temperature))
    for cell in cells:
        _cell(cell)
    fits = {size: _fits([cell for cell in cells if cell.supercell == size]) for size in dict.fromkeys(cell.supercell for cell in cells)}
    speed = speed_ups(cells)
    missing = [one.point.name for one in readings if not one.numbers]
    return Result(deck, cells, fits, speed, missing, _numbers(deck, readings, cells, fits, speed))


# ---- one cell -----------------------------------------------------------------------------------------------------------
def _cell(cell):
    for kind in ("constant_current", "constant_field"):
        mine = [one for one in cell.readings if one.point.kind == kind and one.sigma is not None]
        levels = {}
        for one in mine:
            levels.setdefault(one.point.level, []).append(one)
        if not levels:
            continue
        pairs = sorted((abs(sum(one.drive for one in group) / len(group)), average([one.sigma for one in group])) for group in levels.values())
        cell.levels[kind] = pairs
        cell.drives[kind] = linearity.extrapolate([drive for drive, _ in pairs], [sigma for _, sigma in pairs], kind == "constant_current")
        # two drives determine the line, but cannot test it: then the mean of both is taken, at the price of what nonlinearity there is
        cell.routes[kind] = cell.drives[kind].value if len(pairs) > 2 else cell.drives[kind].common
        for level in levels:
            columns = [one.column for one in cell.readings if one.point.kind == kind and one.point.level == level and one.column is not None]
            if len(columns) >= 3:
                cell.tensors[kind, level.label] = tensor.assemble(columns)
    for one in cell.readings:
        if one.point.kind == "none":
            if one.sigma is not None and one.numbers["equilibrium"]["window_independent"]:
                cell.routes["none"] = one.sigma     # else it is biased by the memory that it cut off, beyond its error
            if one.uncorrelated is not None and math.isfinite(one.uncorrelated.error) and one.uncorrelated.value > 0:
                cell.routes["nernst_einstein"] = one.uncorrelated
        cell.left_out = cell.left_out or turned(one)
    collective = [cell.routes[kind] for kind in ("constant_current", "constant_field", "none") if kind in cell.routes]
    if len(collective) > 1:
        cell.agreement = agreement([_log(one) for one in collective])


def turned(reading):
    """Why the crystal of a reading is not the disordered one, from the occupation of site classes where the run recorded it ([order]); else ""."""
    along = reading.numbers.get("sites", {}).get("measurement", {}).get("ordered_along")
    return f"its mobile ions have ordered along {along}, as in the tetragonal crystal" if along else ""


def average(estimates):
    """The mean of independent Estimates of equal weight (directions of a drive)."""
    if len(estimates) == 1:
        return estimates[0]
    n = len(estimates)
    error = math.sqrt(sum(e.error ** 2 for e in estimates)) / n
    dof = error ** 4 / sum((e.error / n) ** 4 / e.dof for e in estimates)
    return student(sum(e.value for e in estimates) / n, error, dof, "S/m", f"{estimates[0].estimator}; mean of {n} directions")


def _log(one):
    """Relative errors are what the routes have alike: their logarithms are compared."""
    return Estimate(math.log(one.value), one.relative, one.dof, -math.inf, math.inf)


# ---- temperatures ---------------------------------------------------------------------------------------------------------
def _fits(cells):
    """{route: Arrhenius} of cells of one size, where at least two temperatures can be fitted."""
    found = {}
    for route in WORDS:
        used = [cell for cell in cells if route in cell.routes and not cell.left_out and cell.routes[route].relative < LARGEST_ERROR]
        if len(used) > 1:
            values = [cell.routes[route] for cell in used]
            found[route] = arrhenius.arrhenius([cell.temperature for cell in used], [e.value for e in values], [e.error for e in values], [e.dof for e in values])
    return found


# ---- numbers.json -----------------------------------------------------------------------------------------------------------
def _numbers(deck, readings, cells, fits, speed):
    return {"experiment": "conductivity_series",
            "points": {one.point.name: _point_numbers(one) for one in readings},
            "cells": [_cell_numbers(cell) for cell in cells],
            "arrhenius": {_size(size): {WORDS[route]: one.as_dict() | {"extrapolated": one.line.at(deck.series.extrapolate_to).as_dict(),
                                                                     "extrapolated_to_K": deck.series.extrapolate_to} for route, one in mine.items()}
                          for size, mine in fits.items()},
            "speed_up": speed.as_dict(),
            "references": [one.model_dump(mode="json", exclude_none=True) for one in deck.series.reference]}


def _size(supercell):
    return "x".join(map(str, supercell))


def _point_numbers(one):
    out = {"state": one.state, "notes": one.notes, "temperature_K": one.point.temperature, "supercell": list(one.point.supercell), "kind": one.point.kind}
    if not one.numbers:
        return out
    out |= {"time_fs": one.time, "ions": one.ions, "conductivity": one.sigma.as_dict() if one.sigma else None}
    out |= {key: one.numbers[key] for key in ("Q_TUR", "temperature", "pressure", "drive", "nernst_einstein", "haven_ratio", "equilibrium", "cell", "sites") if key in one.numbers}
    if "entropy_production" in one.numbers:
        out["entropy_production_k_B"] = one.numbers["entropy_production"]["run"]["value"]
    out["failed_verdicts"] = [v["text"] for v in one.numbers["verdicts"] if v["passed"] is False]
    return out


def _cell_numbers(cell):
    out = {"supercell": list(cell.supercell), "temperature_K": cell.temperature, "left_out": cell.left_out,
           "routes": {WORDS[kind]: one.as_dict() for kind, one in cell.routes.items()},
           "drives": {WORDS[kind]: one.as_dict() for kind, one in cell.drives.items()},
           "tensors": {f"{WORDS[kind]}, {level}": one.as_dict() for (kind, level), one in cell.tensors.items()}}
    if cell.agreement:
        mean, error, chi, dof, p = cell.agreement
        out["agreement"] = {"weighted_mean_S_per_m": math.exp(mean), "error": math.exp(mean) * error, "chi_square": chi, "degrees_of_freedom": dof, "p": p}
    return out


def beta(temperature):
    """1 / k_B T in 1/eV."""
    return 1 / (BOLTZMANN * temperature)
