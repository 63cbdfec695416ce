"""Decks of free energies: from U(T) of simulations, from Cp of a data file, and from work, side by side with their errors."""
import csv

import numpy as np

from . import figures, free_energy
from .deck import REQUIRED, finish, open_deck, read_substances
from .errors import ThermoInputError, UnknownComponent
from .ledger import Candidate, DataSet, Record, file_hash
from .outcome import Outcome, number_rows
from .units import GAS_CONSTANT

COLUMNS = ("T_K", "U_J_per_mol", "error_J_per_mol")


def free_energies(path, strict=False):
    """[energy] table (CSV: T_K, U_J_per_mol, error_J_per_mol), reference_temperature, reference_free_energy; optional [heat_capacity] data, substance, whose
    Gibbs energy is compared at each temperature; optional [work] temperature, forward, reverse (CSV files of one column, J/mol). One of energy and work."""
    deck, folder = open_deck(path)
    energy, heat, work = (deck.table(k, required=False) if k in deck.data else None for k in ("energy", "heat_capacity", "work"))
    deck.end()
    if not (energy or work):
        deck.problems.append("give [energy], U(T) of a simulation, or [work], work values, or both")
    if heat and not energy:
        deck.problems.append("[heat_capacity] is compared with [energy]; give both")
    if energy:
        table, t0 = energy.take("table", str, REQUIRED, '"energies.csv"'), energy.number("reference_temperature", "K", REQUIRED, '"300 K"')
        f0 = energy.number("reference_free_energy", "J/mol", REQUIRED, '"-12 kJ/mol"')
        energy.end()
    if heat:
        file, name = heat.take("data", str, REQUIRED, '"metal.toml"'), heat.take("substance", str, REQUIRED, '"M(s)"')
        heat.end()
    if work:
        t = work.number("temperature", "K", REQUIRED, '"300 K"')
        ways = [work.take(k, str, REQUIRED if k == "forward" else None, f'"{k}.csv"') for k in ("forward", "reverse")]
        work.end()
        if t is not None and not t > 0:
            deck.problems.append(f"work.temperature = {t:g} K must be positive")
    finish(deck)
    outcome = Outcome([])
    if energy:
        _from_energy(outcome, folder / table, t0, f0, (folder / file, name) if heat else None)
    if work:
        _from_work(outcome, t, [folder / way for way in ways if way])
    return outcome


def _column_file(path, names):
    """(n, k) numbers of a CSV file with these columns; the last may be missing where it is an error. Raises ThermoInputError with the line."""
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            lines = [row for row in csv.reader(stream) if row and not row[0].startswith("#")]
    except OSError as problem:
        raise ThermoInputError(f"{path}: cannot be read ({problem.strerror})") from None
    head = tuple(word.strip() for word in lines[0]) if lines else ()
    if head not in (names, tuple(n for n in names if not n.startswith("error"))):
        raise ThermoInputError(f"{path}: its first line is {','.join(head) or 'empty'}; write {','.join(names)}")
    try:
        found = np.array([[float(word) for word in row] for row in lines[1:]])
    except ValueError as problem:
        raise ThermoInputError(f"{path}: {problem}") from None
    if found.ndim != 2 or found.shape[1] != len(head) or not np.all(np.isfinite(found)):
        raise ThermoInputError(f"{path}: {len(head)} finite numbers are needed on each line")
    return found


def _source(path, t):
    return DataSet(str(path), file_hash(path), GAS_CONSTANT, None, "that of the energies in the file", (float(np.min(t)), float(np.max(t))), provenance="simulation")


def _from_energy(outcome, path, t0, f0, heat):
    data = _column_file(path, COLUMNS)
    t, u = data[:, 0], data[:, 1]
    errors = data[:, 2] if data.shape[1] == 3 else np.zeros(len(t))
    f, error = free_energy.from_energy(t, u, t0, f0, errors)
    head, columns, sources = ["T_K", "U_J_per_mol", "F_J_per_mol", "error_J_per_mol"], [t, u, f, error], [_source(path, t)]
    residuals, notes, compared = {}, [], None
    if heat:
        substances, source = read_substances(heat[0])
        if heat[1] not in substances:
            raise UnknownComponent(f"{heat[1]}: not in {heat[0]}; it has {', '.join(substances)}")
        compared = substances[heat[1]].caloric.g(t)
        compared = compared - compared[np.argmin(np.abs(t - t0))] * t / t0 + f0 * t / t0        # F/T from the same anchor: the integral of U/T^2 alone is compared
        away = np.abs(f - compared)
        head, columns, sources = [*head, "from_Cp_J_per_mol"], [*columns, compared], [*sources, source]
        residuals["greatest difference to the integral of Cp (J/mol)"] = float(away.max())
        known = error > 0
        if known.any():
            residuals["the same in standard errors"] = float((away[known] / error[known]).max())
        notes.append("pV is not part of U: the comparison with enthalpies holds for condensed phases at low pressure")
    values = {f"F at {one:g} K": ([float(a), float(b)], "J/mol, standard error") for one, a, b in list(zip(t, f, error))[:: max(1, len(t) // 8)]}
    outcome.records.append(Record("F", ("T", "V", "N"), {"anchor": ([t0, f0], "K, J/mol")}, values, [Candidate("simulated system", "used")], sources, GAS_CONSTANT, residuals, notes,
                                  minimised=False))
    outcome.tables["free_energy"] = number_rows(tuple(head), np.column_stack(columns))
    outcome.figures["free_energy"] = lambda: figures.free_energies(t, u, errors, f, error, compared, figures.source_text(sources[0], GAS_CONSTANT))


def _from_work(outcome, t, paths):
    rt = GAS_CONSTANT * t
    works = [_column_file(path, ("work_J_per_mol",))[:, 0] / rt for path in paths]
    short = [str(p) for p, w in zip(paths, works) if len(w) < 10]
    if short:
        raise ThermoInputError(f"{', '.join(short)}: fewer than 10 work values give no error bar; run more replicas")
    values = {"Delta F by Jarzynski, forward": ([rt * v for v in free_energy.jarzynski(works[0])], "J/mol, standard error")}
    notes = ["work in k_B T: " + "; ".join(f"{p.name} {len(w)} values, mean {w.mean():.6g}, variance {w.var(ddof=1):.6g}" for p, w in zip(paths, works))]
    residuals = {}
    if len(works) == 2:
        value, error = free_energy.bennett(*works)
        back, back_error = free_energy.jarzynski(works[1])
        values["Delta F by Jarzynski, reverse"] = ([-rt * back, rt * back_error], "J/mol, standard error")
        values["Delta F by Bennett"] = ([rt * value, rt * error], "J/mol, standard error")
        residuals["Jarzynski, forward against reverse, in standard errors"] = float(abs(values["Delta F by Jarzynski, forward"][0][0] + rt * back)
                                                                                / np.hypot(values["Delta F by Jarzynski, forward"][0][1], rt * back_error))
    else:
        notes.append("one direction alone is biased where the work is wider than k_B T; give the reverse works for Bennett's estimate")
    outcome.records.append(Record("F", ("T", "V", "N"), {"T": (t, "K")}, values, [Candidate("simulated system", "used")], [_source(p, [t]) for p in paths], GAS_CONSTANT, residuals,
                                  notes, minimised=False))
