"""Maps of what a sweep stored: stable phases, phase fractions, potentials and driving forces over one or two conditions of its grid.

Nothing is computed again: a map shows the rows of the file, failed points as failed, and says how many there are."""
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from . import map_figures
from .errors import ThermoInputError
from .figures import source_text
from .ledger import Candidate, DataSet, Record
from .outcome import Outcome
from .units import quantity

AXES_MOST = 2
PANELS_MOST = 6         # of amounts that are drawn unasked, the greatest first
SAME = 1e-9             # relative difference of two values of one condition that are the same


@dataclass(frozen=True)
class Quantity:
    """`values` (n,) floats, NaN where the point has none, or strs for what is told in words ("" where there is none); `label` with its unit; `scale` (lowest,
    highest) of the colours, None: as the values are."""
    values: np.ndarray
    label: str
    scale: tuple = (None, None)


class StoredSweep:
    """The rows of a sweep file: `points` (n, k) of `columns` (SI), `status` (n,) 0 not yet computed, 1 ok, 2 failed, `reasons` {point: str}, `quantities`
    {name: Quantity}. `arrays`, `attributes` as `storage.ensemble.read` gives them. Raises ThermoInputError where the file is of another kind."""

    def __init__(self, name, arrays, attributes):
        if attributes.get("kind") not in ("calphad", "gibbs") or "point_status" not in arrays:
            raise ThermoInputError(f"{name}: no file of a sweep; make one with: hpcnemd thermo sweep DECK -o {name}")
        self.name, self.attributes = str(name), attributes
        n = int(attributes["points"])
        self.rows = {key: array.reshape(-1, *array.shape[2:])[:n] for key, array in arrays.items()}
        self.columns = attributes["columns"].split(",")
        self.points, self.status = self.rows["conditions"], self.rows["point_status"]
        self.reasons = {int(k): self.rows["reason"][k].decode(errors="replace") for k in np.flatnonzero(self.status == 2)}
        build = self._calphad if attributes["kind"] == "calphad" else self._gibbs
        self.quantities = build()
        for k, name in enumerate(self._names("driving_force_of")):
            self.quantities[f"driving_force({name})"] = Quantity(self.rows["driving_force"][:, k], f"driving force of {name} (J/mol), positive: it would form")

    def _names(self, key):
        return [name for name in str(self.attributes.get(key, "")).split(",") if name]

    def _sets(self, members):
        """Names of what is stable at each point, in words."""
        return np.array([" + ".join(sorted(names)) if status == 1 else "" for names, status in zip(members, self.status)])

    def _calphad(self):
        phases, rows, ok = self._names("phases"), self.rows, self.status == 1
        found = {"phases": Quantity(self._sets([[phases[i] for i in row if i >= 0] for row in rows["phase"]]), "stable phases")}
        for k, name in enumerate(phases):
            there = rows["phase"] == k
            if there[ok].any():
                found[f"fraction({name})"] = Quantity(np.where(ok, np.where(there, rows["fraction"], 0).sum(axis=1), np.nan), f"fraction of {name} (moles of atoms)", (0, 1))
        for k, name in enumerate(self._names("elements")):
            found[f"mu({name})"] = Quantity(rows["mu"][:, k] / 1e3, f"chemical potential of {name} (kJ/mol)")
        return found | {"G": Quantity(rows["G"] / 1e3, "Gibbs energy (kJ/mol of atoms)")}

    def _gibbs(self):
        substances, moles = self._names("substances"), self.rows["moles"]
        condensed = [name for name in self._names("driving_force_of") if name in substances]
        members = [{name if name in condensed else "gas" for name, amount in zip(substances, row) if amount > 0} for row in moles]
        found = {"phases": Quantity(self._sets(members), "stable phases")}
        for k, name in enumerate(substances):
            found[f"moles({name})"] = Quantity(moles[:, k], f"amount of {name} (mol)", (0, None))
        return found | {"G": Quantity(self.rows["G"] / 1e3, "Gibbs energy (kJ)")}

    def count(self):
        """(ok, failed, not yet computed)."""
        return tuple(int((self.status == code).sum()) for code in (1, 2, 0))


def _column(sweep, name):
    near = {column.replace(" ", "").upper(): k for k, column in enumerate(sweep.columns)}
    k = near.get(name.replace(" ", "").upper())
    if k is None:
        raise ThermoInputError(f"{name}: this sweep has the conditions {', '.join(sweep.columns)}")
    return k


def _select(sweep, at):
    """(n,) bool: the points with the conditions of `at` [(column, value as written)]."""
    chosen = sweep.status > 0
    for text in at:
        name, _, value = text.partition("=")
        k = _column(sweep, name)
        unit = {"T": "K", "P": "Pa"}.get(sweep.columns[k], "mol" if sweep.columns[k].startswith("n(") else "1")
        try:
            number = quantity(float(value) if unit == "1" else value.strip(), unit, f"--at {name}")
        except ValueError:
            raise ThermoInputError(f"--at {text}: write a condition and its value, such as --at \"T=600 K\" or --at \"{sweep.columns[-1]}=0.3\"") from None
        here = np.abs(sweep.points[:, k] - number) <= SAME * abs(number)
        if not (chosen & here).any():
            values = np.unique(sweep.points[chosen, k])
            raise ThermoInputError(f"--at {text}: no point has it; {sweep.columns[k]} takes {len(values)} values from {values[0]:.10g} to {values[-1]:.10g}, "
                                   f"the nearest {values[np.argmin(np.abs(values - number))]:.10g} (SI)")
        chosen &= here
    return chosen


def _axes(sweep, chosen, names):
    """Indices of the conditions to draw against, compositions before T before P. Raises ThermoInputError where points would fall on one another."""
    points = sweep.points[chosen]
    if not len(points):
        raise ThermoInputError(f"{sweep.name}: no point is computed yet; continue the sweep first")
    varied = [k for k in range(len(sweep.columns)) if np.ptp(points[:, k]) > SAME * np.abs(points[:, k]).max()]
    axes = [_column(sweep, name) for name in names] if names else sorted(varied, key=lambda k: (k < 2, k))
    if not axes:
        raise ThermoInputError(f"{sweep.name}: all points have the same conditions, there is nothing to draw them against")
    places = len(np.unique(points[:, axes], axis=0))
    if len(axes) > AXES_MOST or places < len(points):
        rest = [sweep.columns[k] for k in varied if k not in axes] or [sweep.columns[k] for k in varied]
        listed = ", ".join(f"{sweep.columns[k]} ({len(np.unique(points[:, k]))} values)" for k in varied)
        raise ThermoInputError(f"{sweep.name}: {listed} vary, and a map has {AXES_MOST} axes with one point at each place; fix others with --at \"{rest[-1]}=VALUE\", or choose with --axes")
    return axes


def property_maps(name, arrays, attributes, wanted=(), at=(), axes=()):
    """The Outcome of one sweep file: its record, a table of all chosen points, and figures. `wanted` names of quantities (none: stable phases, then all phase
    fractions and potentials, of a gas all amounts); `at` ["X(BB)=0.3", ...] and `axes` [column, ...] where the grid has more than two varied conditions.

    Raises ThermoInputError for a file of another kind and for conditions or quantities that it does not have.
    """
    sweep = StoredSweep(name, arrays, attributes)
    chosen = _select(sweep, at)
    places = _axes(sweep, chosen, axes)
    unknown = [q for q in wanted if q not in sweep.quantities]
    if unknown:
        raise ThermoInputError(f"{', '.join(unknown)}: not in {sweep.name}; it has {', '.join(sweep.quantities)}")
    record = _record(sweep)
    figures = {}
    for title, names in _pages(sweep, wanted):
        part = {q: replace(sweep.quantities[q], values=sweep.quantities[q].values[chosen]) for q in names}
        figures[title] = lambda part=part: map_figures.draw(sweep.points[chosen][:, places], [sweep.columns[k] for k in places], sweep.status[chosen], part,
                                                           _caption(sweep, chosen, places))
    return Outcome([record], {"map": _table(sweep, chosen)}, figures, sweep.count()[1])


def _pages(sweep, wanted):
    """[(name of the figure, names of its quantities)]."""
    if wanted:
        return [("map_" + q.replace("(", "_").replace(")", ""), [q]) for q in wanted]
    groups = {"map_phases": "phases", "map_fractions": "fraction(", "map_potentials": "mu(", "map_amounts": "moles("}
    pages = [(title, [q for q in sweep.quantities if q.startswith(start)]) for title, start in groups.items()]
    return [(title, _greatest(sweep, names) if title == "map_amounts" else names) for title, names in pages if names]


def _greatest(sweep, names):
    most = {q: np.nanmax(np.where(sweep.status == 1, sweep.quantities[q].values, 0.0)) for q in names}
    chosen = sorted((q for q in names if most[q] > 0), key=lambda q: -most[q])[:PANELS_MOST]
    return chosen or names[:1]


def _caption(sweep, chosen, axes):
    given, points = sweep.attributes, sweep.points[chosen]
    failed, missing = int((sweep.status[chosen] == 2).sum()), sweep.count()[2]
    fixed = [f"{c} = {points[0, k]:g} {map_figures.unit(c)}".rstrip() for k, c in enumerate(sweep.columns) if k not in axes and np.ptp(points[:, k]) == 0]
    why = Counter(sweep.reasons[k].split(":")[0] for k in np.flatnonzero(chosen & (sweep.status == 2)))
    text = f"Least {given['potential']} at {len(points)} points of a sweep by {given.get('engine', 'own code for gases and condensed substances')}"
    text += f"; {', '.join(fixed)}" if fixed else ""
    text += f". Failed: {failed}" + (f" (crosses; {', '.join(f'{name}: {n}' for name, n in why.items())})" if failed else "")
    text += f"; not yet computed: {missing}" if missing else ""
    text += f". Left out: {given['excluded']}" if given["excluded"] else ""
    return f"{text}. {source_text(_data(sweep), given['gas_constant'])}"


def _data(sweep):
    given = sweep.attributes
    names = tuple(sweep._names("phases") or sweep._names("substances"))
    pressure = float(given["reference_pressure"]) if "reference_pressure" in given else None
    return DataSet(str(given["data_file"]), str(given["data_sha256"]), float(given["gas_constant"]), pressure, str(given["reference_state"]),
                   (float(given["temperature_low"]), float(given["temperature_high"])), tuple(sweep._names("elements") or [c[2:-1] for c in sweep.columns[2:]]), names)


def _record(sweep):
    """The premises of the sweep as its file holds them, with the number of points of each kind."""
    ok, failed, missing = sweep.count()
    done = sweep.status == 1
    sets = Counter(sweep.quantities["phases"].values[done].tolist())
    values = {"points ok, failed, not yet computed": ([ok, failed, missing], "")} | {f"points with {name}": (n, "") for name, n in sorted(sets.items())}
    forces = {name: sweep.quantities[f"driving_force({name})"].values for name in sweep._names("driving_force_of")}
    known = sweep._names("phases") or sweep._names("substances")
    candidates = [Candidate(name, "used") for name in known]
    for name, column in forces.items():
        if name not in known:
            good = column[np.isfinite(column)]
            candidates.append(Candidate(name, "excluded", "left out; greatest of all points", float(good.max()) if len(good) else None))
    conditions = {}
    for c, column in zip(sweep.columns, sweep.points[sweep.status > 0].T):
        ends = [float(column.min()), float(column.max())]
        conditions[c] = (ends[0], map_figures.unit(c)) if ends[0] == ends[1] else (ends, f"{map_figures.unit(c)}, from and to".lstrip(", "))
    residuals = {name: float(np.nanmax(sweep.rows[key][done])) for key, name in (("residual", "chemical potentials (J/mol)"), ("element_balance", "element balance"))
                 if key in sweep.rows and done.any()}
    notes = [f"engine: {sweep.attributes['engine']}"] if "engine" in sweep.attributes else []
    record = Record("G", ("T", "P", "N"), conditions, values, candidates, [_data(sweep)], float(sweep.attributes["gas_constant"]), residuals,
                    notes + [f"from {Path(sweep.name).name}, deck SHA-256 {sweep.attributes['deck_sha256'][:16]}"])
    if failed:
        record.status, record.reason = "failed", f"{failed} points; see the table"
    return record


def _table(sweep, chosen):
    """All conditions and quantities of the chosen points, for CSV."""
    units = {"mu": "kJ_per_mol", "G": "kJ" if sweep.attributes["kind"] == "gibbs" else "kJ_per_mol", "moles": "mol", "driving_force": "J_per_mol"}
    rows = [(*(f"{c}_{map_figures.unit(c)}".rstrip("_") for c in sweep.columns), *(f"{q}_{units.get(q.split('(')[0], '')}".rstrip("_") for q in sweep.quantities), "status")]
    for k in np.flatnonzero(chosen):
        cells = [q.values[k] if q.values.dtype.kind == "U" else repr(float(q.values[k])) if np.isfinite(q.values[k]) else "" for q in sweep.quantities.values()]
        rows.append((*(repr(float(v)) for v in sweep.points[k]), *cells, sweep.reasons.get(int(k), "ok")))
    return rows
