"""The questions of a sweep: a grid of conditions over one system, and the answer to one of its points as a fixed row of numbers.

Everything here works on one rank; the driver that spreads points over ranks and writes HDF5 is `ensembles.thermo_sweep`."""
from dataclasses import dataclass

import numpy as np

from . import gmin
from .calphad import System
from .deck import REQUIRED, finish, open_deck, read_substances
from .errors import ImpossibleComposition, NoEquilibrium, ThermoInputError, UnknownComponent
from .ledger import file_hash

LEAST_SLOTS = 4         # places for the stable phases of a point; more where there are more components


@dataclass(frozen=True)
class Answer:
    """One point: `row` {dataset: array or number}, or `reason` why there is none."""
    row: dict
    reason: str = ""


class Sweep:
    """`points` (n, k) SI conditions with `columns` names; `schema` {dataset: (shape, dtype, unit, description)}; `attributes` what all points share;
    `needs_fixed_hashes`: the engine's last digits depend on the order of Python's string hashes."""

    def __init__(self, path):
        self.path = str(path)
        deck, folder = open_deck(path)
        kind = deck.take("kind", str, REQUIRED, '"calphad"', ("calphad", "gibbs"))
        self.block = deck.take("block", int, 32, "32")
        build = {"calphad": self._calphad, "gibbs": self._gibbs}.get(kind)
        if build is None:
            finish(deck)
        self.kind = kind
        build(deck, folder)
        self.needs_fixed_hashes = kind == "calphad" and self.system.engine == "pycalphad"
        if self.block is not None and self.block < 1:
            raise ThermoInputError(f"block = {self.block}: at least 1 point is written at once")
        self.attributes["deck_sha256"] = file_hash(path)
        self.attributes["columns"] = ",".join(self.columns)

    def _calphad(self, deck, folder):
        system, grid = deck.table("system"), deck.table("grid")
        file = system.take("file", str, REQUIRED, '"data.tdb"')
        components = system.words("components", REQUIRED, '["AL", "ZN", "VA"]')
        phases = system.words("phases", None)
        engine = system.take("engine", str, "auto", choices=("auto", "own", "pycalphad"))
        system.end()
        pressure = grid.numbers("pressure", "Pa", REQUIRED, '"1 atm"')
        temperature = grid.numbers("temperature", "K", REQUIRED)
        x = grid.table("X", required=False)
        fractions = {c: x.numbers(c, "1") for c in list(x.data)}
        mode = grid.take("mode", str, "product", choices=("product", "zip"))
        grid.end()
        deck.end()
        finish(deck)
        self.system = System(folder / file, components, phases, engine)
        names = [c.upper() for c in fractions]
        self.columns = ("T", "P") + tuple(f"X({c})" for c in names)
        self.points = _grid([temperature, pressure] + list(fractions.values()), mode, self.columns)
        self.checked = self.system.check({"T": self.points[:, 0].tolist(), "P": self.points[:, 1].tolist(), "X": {c: self.points[:, 2 + k].tolist() for k, c in enumerate(names)}})
        self.names = names
        self._check_sums()
        elements = self.system.elements_sorted()
        n = len(elements)
        slots = max(LEAST_SLOTS, n)
        self.schema = {"conditions": ((len(self.columns),), "f8", "K, Pa, 1", "columns as in the attribute"), "G": ((), "f8", "J/mol", "Gibbs energy per mole of atoms"),
                       "mu": ((n,), "f8", "J/mol", "chemical potentials, elements as in the attribute"), "fraction": ((slots,), "f8", "1", "of the stable phases"),
                       "phase": ((slots,), "i4", "", "index into the attribute phases, -1 for none"),
                       "x": ((slots, n), "f8", "1", "composition of the stable phases"), "residual": ((), "f8", "J/mol", "greatest inequality of the chemical potentials")}
        # of the candidates own code knows it exactly and for nothing; of what was left out it is always wanted
        self.forced = list(self.checked.phases if self.system.engine == "own" else ()) + self.checked.left_out
        if self.forced:
            self.schema["driving_force"] = ((len(self.forced),), "f8", "J/mol of atoms", "depth below the plane of the chemical potentials (positive: it would form), phases as in the "
                                            "attribute driving_force_of; from pycalphad a lower bound on a grid of compositions")
        data = self.system.data(self.checked)
        self.attributes = {"kind": "calphad", "elements": ",".join(elements), "phases": ",".join(self.checked.phases), "engine": self.system.engine_version(),
                           "gas_constant": self.system.gas_constant, "data_sha256": data.sha256, "data_file": file, "temperature_low": data.temperature_range[0],
                           "temperature_high": data.temperature_range[1], "potential": "G(T, P, N)", "reference_state": data.reference_state,
                           "excluded": "; ".join(f"{p}: {why}" for p, why in self.checked.excluded.items()), "driving_force_of": ",".join(self.forced)}

    def _check_sums(self):
        sums = self.points[:, 2:].sum(axis=1)
        if np.any(sums > 1 + 1e-12):
            k = int(np.argmax(sums))
            raise ImpossibleComposition(f"grid point {k}: the mole fractions {self.points[k, 2:].tolist()} sum to {sums[k]:g}, above 1; use mode = \"zip\" with lists, or smaller ranges")

    def _gibbs(self, deck, folder):
        grid = deck.table("grid")
        file = deck.take("data", str, REQUIRED, '"gas.toml"')
        candidates = deck.words("candidates", REQUIRED, '["CO", "CO2"] or ["all"]')
        excluded = deck.words("excluded", [])
        mode = grid.take("mode", str, "product", choices=("product", "zip"))
        temperature, pressure = grid.numbers("temperature", "K", REQUIRED), grid.numbers("pressure", "Pa", REQUIRED, '"1 atm"')
        elements = grid.table("elements")
        amounts = {e: elements.numbers(e, "mol") for e in list(elements.data)}
        grid.end()
        deck.end()
        finish(deck)
        self.substances, data = read_substances(folder / file)
        self.excluded = left_out(self.substances, candidates, excluded)
        self.amounts = list(amounts)
        self.columns = ("T", "P") + tuple(f"n({e})" for e in amounts)
        self.points = _grid([temperature, pressure] + list(amounts.values()), mode, self.columns)
        self.gas_constant = data.gas_constant
        names = [n for n in self.substances if n not in self.excluded]
        self.forced = [n for n in names if not self.substances[n].is_gas] + list(self.excluded)
        self.schema = {"conditions": ((len(self.columns),), "f8", "K, Pa, mol", "columns as in the attribute"), "G": ((), "f8", "J", "Gibbs energy"),
                       "moles": ((len(names),), "f8", "mol", "substances as in the attribute"), "element_balance": ((), "f8", "mol/mol", "greatest miss"),
                       "residual": ((), "f8", "J/mol", "greatest inequality of the chemical potentials")}
        if self.forced:
            self.schema["driving_force"] = ((len(self.forced),), "f8", "J/mol", "of the condensed and the excluded substances in the attribute driving_force_of (positive: it would form); "
                                            "of a gas RT ln of the mole fraction that it would reach; NaN where its elements are absent")
        self.attributes = {"kind": "gibbs", "substances": ",".join(names), "gas_constant": data.gas_constant, "data_sha256": data.sha256, "data_file": file,
                           "temperature_low": data.temperature_range[0], "temperature_high": data.temperature_range[1], "potential": "G(T, P, N)",
                           "reference_pressure": data.reference_pressure, "reference_state": data.reference_state, "excluded": ",".join(self.excluded),
                           "driving_force_of": ",".join(self.forced)}

    def answer(self, k):
        """The Answer of point k; a named failure becomes a reason, a bug stays an exception."""
        from hpcnemd.core.errors import HpcnemdError
        try:
            return Answer(self._row(self.points[k]))
        except HpcnemdError as failure:
            return Answer({}, f"{type(failure).__name__}: {failure}")

    def _row(self, point):
        if self.kind == "gibbs":
            elements = dict(zip(self.amounts, point[2:].tolist()))
            found = gmin.minimise(self.substances, elements, float(point[0]), float(point[1]), self.gas_constant, self.excluded)
            row = {"conditions": point, "G": found.g, "moles": np.array([found.moles.get(n, 0.0) for n in self.substances if n not in self.excluded]),
                   "element_balance": found.residuals["element balance"], "residual": found.residuals["chemical potentials (J/mol)"]}
            if self.forced:
                forces = {c.name: c.driving_force for c in found.candidates}
                row["driving_force"] = np.array([np.nan if forces[n] is None else forces[n] for n in self.forced])
            return row
        found = self.system.point(self.checked, float(point[0]), float(point[1]), dict(zip(self.names, point[2:].tolist())))
        elements = self.system.elements_sorted()
        slots = self.schema["fraction"][0][0]
        if len(found["phases"]) > slots:
            raise NoEquilibrium(f"{len(found['phases'])} stable phases of {len(elements)} components: against the phase rule at given T and P")
        fraction, phase, x = np.zeros(slots), np.full(slots, -1, "i4"), np.zeros((slots, len(elements)))
        for k, (name, amount, composition) in enumerate(found["phases"]):
            fraction[k], phase[k], x[k] = amount, self.checked.phases.index(name), [composition[e] for e in elements]
        row = {"conditions": point, "G": found["g"], "mu": np.array([found["mu"][e] for e in elements]), "fraction": fraction, "phase": phase, "x": x,
               "residual": found["residual"]}
        if self.forced:
            forces = {**(found["driving"] or {}), **self.system.driving_forces(float(point[0]), float(point[1]), found["mu"], self.checked.left_out)}
            row["driving_force"] = np.array([forces[name] for name in self.forced])
        return row


def choose_candidates(substances, names):
    """The chosen part of a data file; ["all"] must be said. Raises UnknownComponent."""
    if list(names) == ["all"]:
        return substances
    unknown = [n for n in names if n not in substances]
    if unknown:
        raise UnknownComponent(f"{', '.join(unknown)}: not in the data; it has {', '.join(substances)}")
    return {n: substances[n] for n in names}


def left_out(substances, names, excluded):
    """Names of a data file that take no part: the `excluded`, and what is not among the chosen `names`. Their driving forces are wanted all the same."""
    choose_candidates(substances, excluded)
    chosen = choose_candidates(substances, names)
    return tuple(n for n in substances if n not in chosen or n in excluded)


def _grid(axes, mode, columns):
    if mode == "product":
        return np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)
    longest = max(len(a) for a in axes)
    wrong = [c for c, a in zip(columns, axes) if len(a) not in (1, longest)]
    if wrong:
        raise ThermoInputError(f"grid.mode = \"zip\": {', '.join(wrong)} must have {longest} values, or one")
    return np.stack([np.broadcast_to(a, (longest,)) for a in axes], axis=1)

