"""CALPHAD equilibria behind the pre-check: own code for the unaries and binaries that it covers, pycalphad (extra `calphad`) for the rest, one answer either way.

Neither the pre-check nor the adapter changes a number of the engine."""
import warnings

import numpy as np

from . import precheck, tdb
from .binary import equilibrium as binary_equilibrium
from .errors import BeyondBinary, ExtraMissing, NoEquilibrium
from .from_tdb import binary_phases, own_code_covers, pure_phases
from .ledger import Candidate, DataSet, Record
from .units import GAS_CONSTANT

PYCALPHAD_GAS_CONSTANT = 8.3145         # its own hard-coded value, recorded with every result of that engine


class System:
    """A TDB file with components and phases, accepted by the pre-check. `engine` "auto", "own" or "pycalphad"."""

    def __init__(self, path, components, phases=None, engine="auto", gas_constant=None):
        self.db = tdb.read(path)
        self.path = str(path)
        self.components = tuple(c.upper() for c in components)
        self.asked = phases
        self.elements = tuple(c for c in self.components if c != "VA")
        # a question without conditions, to resolve phases once; conditions are checked at every point
        names = tuple(p.upper() for p in (phases if phases is not None else self.db.phases))
        reason = ""
        if engine in ("auto", "own") and all(p in self.db.phases for p in names):
            forming = [p for p in names if precheck.lacking(self.db, p, self.components) is None]
            reason = own_code_covers(self.db, self.components, forming)
        if engine == "own" and reason:
            raise BeyondBinary(reason)
        self.engine = "pycalphad" if engine == "pycalphad" or reason else "own"
        if self.engine == "pycalphad":
            _engine()
        self.gas_constant = PYCALPHAD_GAS_CONSTANT if self.engine == "pycalphad" else (gas_constant or GAS_CONSTANT)
        self._own, self._workspace = {}, {}

    def check(self, conditions):
        """precheck.Checked for {"T", "P", "X"}; see there for what it raises."""
        return precheck.check(self.db, self.components, conditions, self.asked)

    def data(self, checked):
        return DataSet(self.path, self.db.sha256, self.gas_constant, None, "as in the TDB file", checked.temperature_range,
                       tuple(e for e in self.db.elements if e not in ("/-", "VA")), tuple(self.db.phases))

    def point(self, checked, t, p, x, phases=None):
        """One equilibrium: {"phases": [(name, fraction, {element: x})], "mu": {element: J/mol}, "g": J/mol, "residual", "driving"}, and from pycalphad
        "sites", the site fractions of each phase (its order: sublattice, then alphabet).

        `x` {component: mole fraction} of all elements but one. Raises NoEquilibrium when the engine fails or answers NaN.
        """
        names = tuple(phases or checked.phases)
        if self.engine == "own":
            return self._point_own(names, t, x)
        return self._point_engine(names, t, p, x)

    def _fractions(self, x):
        full = dict(x)
        for e in self.elements:
            if e not in full:
                full[e] = 1.0 - sum(x.values())
        return full

    def _point_own(self, names, t, x):
        if names not in self._own:
            self._own[names] = (pure_phases if len(self.elements) == 1 else binary_phases)(self.db, self.components, names, self.gas_constant), {}
        phases, memory = self._own[names]
        if len(self.elements) == 1:
            return self._point_unary(phases, t)
        a, b = self.elements
        found = binary_equilibrium(phases, t, self._fractions(x)[b], self.gas_constant, memory)
        return {"phases": [(n, f, {a: 1 - xi, b: xi}) for n, f, xi in found["phases"]], "mu": dict(zip((a, b), found["mu"])), "g": found["g"],
                "residual": found["residual"], "driving": found["driving"]}

    def _point_unary(self, phases, t):
        frozen = [p.at(t, self.gas_constant) for p in phases]
        best = min(frozen, key=lambda f: f.value)
        element, = self.elements
        return {"phases": [(best.name, 1.0, {element: 1.0})], "mu": {element: best.value}, "g": best.value, "residual": 0.0,
                "driving": {f.name: best.value - f.value for f in frozen}}

    def _point_engine(self, names, t, p, x):
        database, workspace, v = _engine()
        conditions = {v.T: t, v.P: p, v.N: 1}
        conditions.update({v.X(c): value for c, value in x.items()})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if names not in self._workspace:
                self._workspace[names] = workspace(database(self.path), list(self.components), list(names), conditions)
            wks = self._workspace[names]
            wks.conditions = conditions
            try:
                eq = wks.eq
            except Exception as problem:        # an engine of another project: whatever it raises becomes our named failure
                raise NoEquilibrium(f"pycalphad failed at T = {t:g} K, X = {x}: {type(problem).__name__}: {problem}") from problem
        g = float(np.ravel(eq.GM)[0])
        if not np.isfinite(g):
            raise NoEquilibrium(f"pycalphad found no equilibrium at T = {t:g} K, P = {p:g} Pa, X = {x} (its answer is NaN); move off the point, or near a "
                                "critical point of a binary use engine = \"own\"")
        phase, amount = np.ravel(eq.Phase), np.ravel(eq.NP)
        compositions = np.reshape(eq.X, (len(phase), -1))
        mu = dict(zip(self.elements_sorted(), np.ravel(eq.MU).tolist()))
        found = [(str(n), float(f), dict(zip(self.elements_sorted(), xs.tolist()))) for n, f, xs in zip(phase, amount, compositions) if str(n)]
        total = {e: sum(f * xs[e] for _, f, xs in found) for e in mu}
        return {"phases": found, "mu": mu, "g": g, "residual": abs(g - sum(total[e] * mu[e] for e in mu)), "driving": None,
                "sites": np.reshape(eq.Y, (len(phase), -1))[:len(found)]}

    def elements_sorted(self):
        return tuple(sorted(self.elements))

    def driving_forces(self, t, p, mu, names):
        """{phase: depth (J/mol of atoms) below the plane of mu; positive: it would form}. Exact with own code; with pycalphad the best of a sampled
        grid, a lower bound."""
        if not names:
            return {}
        names = tuple(names)
        if not own_code_covers(self.db, self.components, names):
            if len(self.elements) == 1:
                element, = self.elements
                return {p.name: mu[element] - p.at(t, self.gas_constant).value for p in pure_phases(self.db, self.components, names, self.gas_constant)}
            phases = binary_phases(self.db, self.components, names, self.gas_constant)
            plane = tuple(mu[e] for e in self.elements)
            return {f.name: f.at(t, self.gas_constant).driving(plane)[0] for f in phases}
        database, _, v = _engine()
        from pycalphad import calculate
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            db, out = database(self.path), {}
            for name in names:
                points = calculate(db, list(self.components), name, T=t, P=p, N=1, pdens=2000)
                x = np.reshape(points.X.values, (-1, len(mu)))
                order = [str(c) for c in points.component.values]
                out[name] = float(np.nanmax(x @ np.array([mu[c] for c in order]) - np.ravel(points.GM.values)))
        return out

    def equilibrium(self, conditions, strict=False):
        """A ledger.Record at one (T, P, X), with the candidates left out and their driving forces. `strict`: an excluded phase that would form is an error."""
        checked = self.check(conditions)
        c = checked.conditions
        found = self.point(checked, c["T"], c["P"], c["X"])
        excluded = self.driving_forces(c["T"], c["P"], found["mu"], checked.left_out)
        forces = found["driving"] or self.driving_forces(c["T"], c["P"], found["mu"], checked.phases)
        stable = {n for n, _, _ in found["phases"]}
        candidates = [Candidate(p, "stable" if p in stable else "unstable", "", 0.0 if p in stable else forces[p]) for p in checked.phases]
        candidates += [Candidate(p, "excluded", why, excluded.get(p)) for p, why in checked.excluded.items()]
        total = {e: sum(f * x[e] for _, f, x in found["phases"]) for e in self.elements}
        want = self._fractions(c["X"])
        values = {f"fraction({n})#{k}": (f, "") for k, (n, f, _) in enumerate(found["phases"], 1)}
        values.update({f"x({n})#{k}": ([x[e] for e in self.elements], "of " + ", ".join(self.elements)) for k, (n, _, x) in enumerate(found["phases"], 1)})
        values.update({f"mu({e})": (m, "J/mol") for e, m in found["mu"].items()})
        values["G"] = (found["g"], "J/mol of atoms")
        record = Record("G", ("T", "P", "N"), {"T": (c["T"], "K"), "P": (c["P"], "Pa"), "P as given": (conditions["P"], ""), "X": (c["X"], "")}, values, candidates,
                        [self.data(checked)], self.gas_constant,
                        {"chemical potentials (J/mol)": found["residual"], "mass balance": max(abs(total[e] - want[e]) for e in total)},
                        checked.notes + [f"engine: {self.engine_version()}"])
        if found["driving"]:
            record.residuals["certificate: greatest depth below the plane (J/mol)"] = max(0.0, *found["driving"].values())
        if strict:
            record.require_no_exclusion()
        return record

    def engine_version(self):
        if self.engine == "own":
            return "own code for one or two components"
        import pycalphad
        return f"pycalphad {pycalphad.__version__}"


def _engine():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pycalphad import Database, Workspace, variables
    except ImportError:
        raise ExtraMissing("this system needs pycalphad; install it with: pip install \"hpcnemd[calphad]\"") from None
    return Database, Workspace, variables
