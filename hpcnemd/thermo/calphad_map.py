"""Binary phase diagrams through pycalphad (extra `calphad`), for what own code does not cover: ordering, magnetism, several mixing sublattices.

The lines are those of pycalphad's mapping; each is checked by equilibria in the middle of some of its tie lines, which the mapping did not compute."""
import warnings
from dataclasses import dataclass

import numpy as np

from .diagram import Invariant
from .errors import ExtraMissing, NoEquilibrium

CHECKED = 5         # tie lines of a boundary that are asked again
AGREEMENT = 1e-5    # of their ends, mole fraction
SAME_ENERGY = 1e-3  # J/mol of atoms: closer answers are one
WHAT_TO_DO = ("to settle lines that are not confirmed: ask those points with thermo eq (equal T and X, then with the phases of the line alone: the lower G is right), "
              "and map again with grid.temperature narrowed to the field, or with system.phases reduced to those that form there")


@dataclass(frozen=True)
class EngineDiagram:
    """`fields` [(names of the two phases, T (n,) K, x (n, 2))], `lines` [(T, x, x)] for grey tie lines, `invariants` as in `diagram.Diagram`; `misses` the
    greatest |x difference| of the tie lines asked again, `unconfirmed` those with other ends or other phases, [(T, x, text)]."""
    fields: list
    lines: list
    invariants: list
    misses: float
    unconfirmed: list


def map_engine(system, checked, temperatures, pressure, step=0.02):
    """An EngineDiagram of a two-component `calphad.System` between the ends of `temperatures` (ascending, K), by pycalphad's mapping.

    Raises ExtraMissing, and NoEquilibrium where the mapping fails or finds nothing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pycalphad import Database, variables as v
            from pycalphad.mapping import BinaryStrategy
    except ImportError:
        raise ExtraMissing("this diagram needs pycalphad 0.11 or later; install it with: pip install \"hpcnemd[calphad]\"") from None
    b = system.elements_sorted()[1]
    t = np.asarray(temperatures, float)
    if len(t) < 2:
        raise NoEquilibrium("a diagram by pycalphad needs a range of temperatures: from, to and points")
    spacing = float(np.diff(t).min())
    conditions = {v.T: (float(t.min()), float(t.max()), spacing), v.X(b): (0, 1, step), v.P: pressure, v.N: 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            strategy = BinaryStrategy(Database(system.path), list(system.components), list(checked.phases), conditions)
            strategy.do_map()
            curves, nodes = strategy.get_tieline_data(v.X(b), v.T), strategy.get_invariant_data(v.X(b), v.T)
        except Exception as problem:        # an engine of another project: whatever it raises becomes our named failure
            raise NoEquilibrium(f"the mapping of pycalphad failed: {type(problem).__name__}: {problem}") from problem
    fields = list(_fields(curves, float(t.min()), float(t.max())))
    if not fields:
        raise NoEquilibrium(f"pycalphad found no two-phase field between {t.min():g} and {t.max():g} K; choose a wider range")
    invariants = _invariants(nodes)
    lines, misses, unconfirmed = [], 0.0, []
    for names, at, x in fields:
        for k in np.unique(np.linspace(0, len(at) - 1, CHECKED + 2).astype(int)[1:-1]):
            if any(abs(at[k] - i.temperature) < 1e-3 for i in invariants):
                continue                    # three phases: any two of them are an answer
            lines.append((float(at[k]), *map(float, x[k])))
            miss, text = _ask(system, checked, names, float(at[k]), x[k], pressure, b)
            misses = max(misses, miss)
            if text or miss > AGREEMENT:
                text = text or f"ends {', '.join(f'{end:.5g}' for end in x[k])}, moved by {miss:.2g}"
                unconfirmed.append((float(at[k]), float(x[k].mean()), text))
    return EngineDiagram(fields, lines, sorted(invariants, key=lambda i: i.temperature), misses, unconfirmed)


def _fields(curves, low, high):
    """Two-phase boundaries by ascending x of their phases, each once and within the range that was asked for: the mapping starts at several points, can walk
    a line twice, and steps over the ends."""
    seen = set()
    for curve in curves:
        first, second = curve.data
        t = np.asarray(first.y, float)
        x = np.column_stack([np.asarray(first.x, float), np.asarray(second.x, float)])
        names = [one.phase.split("#")[0] for one in (first, second)]
        good = np.isfinite(t) & np.isfinite(x).all(axis=1) & (np.abs(x[:, 1] - x[:, 0]) > 1e-9) & (t >= low) & (t <= high)
        t, x = t[good], x[good]
        if not len(t):
            continue
        if names[0] == names[1]:
            x = np.sort(x, axis=1)          # two compositions of one phase change their numbers at the top of a gap
        elif x[:, 0].mean() > x[:, 1].mean():
            names, x = names[::-1], x[:, ::-1]
        order = np.argsort(t, kind="stable")
        key = (tuple(names), round(float(t[order[0]]), 3), round(float(t[order[-1]]), 3), round(float(x[order[len(order) // 2]].mean()), 4))
        if key not in seen:
            seen.add(key)
            yield tuple(names), t[order], x[order]


def _invariants(nodes):
    found = []
    for node in nodes:
        ends = sorted((float(one.x), one.phase.split("#")[0], float(one.y)) for one in node.data)
        t = float(np.mean([end[2] for end in ends]))
        if not any(abs(t - other.temperature) < 1e-2 and other.phases == tuple(end[1] for end in ends) for other in found):
            found.append(Invariant("three phases", t, tuple(end[1] for end in ends), tuple(end[0] for end in ends), float("nan")))
    return found


def _ask(system, checked, names, t, ends, pressure, b):
    """(|x difference| of the two ends, "") by a fresh equilibrium at the middle of a tie line, or (0, what was found instead)."""
    at = float(ends.mean())
    try:
        answer = system.point(checked, t, pressure, {b: at})
    except NoEquilibrium as problem:
        return 0.0, str(problem)
    found = sorted((x[b], name) for name, _, x in answer["phases"])
    if sorted(name for _, name in found) != sorted(names):
        return 0.0, f"{' + '.join(name for _, name in found)} instead of {' + '.join(names)}; {_lower(system, checked, names, t, pressure, {b: at}, answer['g'])}"
    return float(np.abs(np.array([x for x, _ in found]) - np.sort(ends)).max()), ""


def _lower(system, checked, names, t, pressure, x, g):
    """Which of two answers is right: that of all phases, of Gibbs energy `g`, or that of the phases of the line alone."""
    try:
        difference = system.point(checked, t, pressure, x, tuple(dict.fromkeys(names)))["g"] - g
    except NoEquilibrium:
        return f"{' and '.join(dict.fromkeys(names))} alone give no equilibrium there: do not use the line"
    if difference > SAME_ENERGY:
        return f"the line lies {difference:.3g} J/mol higher, it is metastable: do not use it"
    if difference < -SAME_ENERGY:
        return f"the line lies {-difference:.3g} J/mol lower: the equilibrium missed it, the line stands"
    return "both have one Gibbs energy: two names or sets of one state"


def table(diagram):
    """Rows (T, phase_alpha, x_alpha, phase_beta, x_beta) of all boundaries, for CSV."""
    rows = [("T_K", "phase_alpha", "x_alpha", "phase_beta", "x_beta")]
    for (first, second), t, x in diagram.fields:
        rows += [(repr(float(at)), first, repr(float(a)), second, repr(float(b))) for at, (a, b) in zip(t, x)]
    return rows
