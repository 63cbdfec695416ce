"""Element-constrained minimum of G of an ideal gas with pure condensed phases, at fixed (T, P): Newton's method on the Lagrange conditions
(White, Johnson, Dantzig 1958; Gordon and McBride, NASA RP-1311, 1994, ch. 2-3), with a ledger of candidates.

G = sum n_k g_k subject to sum_k A_ak n_k = b_a. Pressure and candidates must be given."""
from dataclasses import dataclass

import numpy as np

from .errors import NoEquilibrium, ThermoInputError, UnknownComponent
from .ledger import Candidate, Record, require_compatible
from .units import GAS_CONSTANT

GAS_TRACE = 1e-6        # a gas species that was left out counts as one that would form above this mole fraction


@dataclass(frozen=True)
class Mixture:
    """Result of `minimise`: `moles` {species: mol}, `multipliers` {element: J/mol of atoms}, `candidates`, `residuals`, `iterations`, `notes`, `g` J."""
    moles: dict
    multipliers: dict
    candidates: list
    residuals: dict
    iterations: int
    notes: list
    g: float


def element_amounts(feed, substances):
    """{element: mol} of a feed {substance: mol}. Raises UnknownComponent."""
    out = {}
    for name, amount in feed.items():
        if name not in substances:
            raise UnknownComponent(f"feed {name}: not among the substances {', '.join(sorted(substances))}")
        if amount < 0:
            raise ThermoInputError(f"feed {name} = {amount:g} mol is negative")
        for element, atoms in substances[name].elements.items():
            out[element] = out.get(element, 0.0) + amount * atoms
    return out


def minimise(substances, elements, temperature, pressure, gas_constant=GAS_CONSTANT, excluded=()):
    """The Mixture of lowest G. `substances` {name: reaction.Substance} are the candidates, `elements` {symbol: mol}, `excluded` names left out by the user
    (their driving force is computed). SI.

    Raises ReferenceMismatch, UnknownComponent, NoEquilibrium.
    """
    chosen, notes, ledger = _select(substances, elements, excluded)
    symbols = [e for e, amount in elements.items() if amount > 0]
    gas = [s for s in chosen if s.is_gas]
    condensed = [s for s in chosen if not s.is_gas]
    if not gas:
        raise ThermoInputError("no gas among the candidates; this minimiser needs a gas phase. Add gas species, or use the calphad part for condensed systems")
    reference = next((s.data.reference_pressure for s in gas if s.data.reference_pressure), None)
    if reference is None:
        raise ThermoInputError("the gas data states no reference pressure; give reference_pressure with the data")
    rt = gas_constant * temperature
    b = np.array([elements[e] for e in symbols])
    scale = b.sum()
    b = b / scale
    a_gas = np.array([[s.elements.get(e, 0.0) for s in gas] for e in symbols])
    g_gas = np.array([s.caloric.g(temperature) for s in gas]) / rt + np.log(pressure / reference)
    a_con = np.array([[s.elements.get(e, 0.0) for s in condensed] for e in symbols]).reshape(len(symbols), -1)
    g_con = np.array([s.caloric.g(temperature) for s in condensed]) / rt
    _check_span(symbols, b, a_gas, a_con, chosen)
    state = _solve(a_gas, g_gas, a_con, g_con, b)
    if state is None:
        raise NoEquilibrium(f"Gibbs minimisation did not converge at T = {temperature:g} K, P = {pressure:g} Pa for {elements}; report the case")
    ln_n, m_con, pi, active, iterations = state
    n_gas = np.exp(ln_n)
    n_gas, m_con = _project(a_gas, a_con, n_gas, m_con, active, b)
    total = n_gas.sum()
    affinity = g_gas + np.log(np.maximum(n_gas, 1e-300) / total) - a_gas.T @ pi
    residual = max(float(np.max(np.abs(affinity[n_gas > 1e-200]))), float(np.max(np.abs((g_con - a_con.T @ pi)[active]), initial=0.0)))
    balance = float(np.max(np.abs(a_gas @ n_gas + a_con @ m_con - b)))
    moles = {s.name: float(n * scale) for s, n in zip(gas, n_gas)} | {s.name: float(m * scale) for s, m in zip(condensed, m_con)}
    candidates = [Candidate(s.name, "stable", "gas", 0.0) for s in gas]
    candidates += [Candidate(s.name, "stable" if on else "unstable", "condensed", float(rt * (a @ pi - g))) for s, on, a, g in zip(condensed, active, a_con.T, g_con)]
    candidates += ledger + _excluded_forces(substances, excluded, symbols, pi, temperature, rt, pressure, reference)
    full = sum(n * (g + np.log(max(n, 1e-300) / total)) for n, g in zip(n_gas, g_gas)) + float(m_con @ g_con)
    return Mixture(moles, {e: float(rt * p) for e, p in zip(symbols, pi)}, candidates,
                   {"element balance": balance, "chemical potentials (J/mol)": residual * rt}, iterations, notes, float(full * rt * scale))


def _select(substances, elements, excluded):
    """Candidates that can form; the rest goes to the ledger with its reason."""
    unknown = [n for n in excluded if n not in substances]
    if unknown:
        raise UnknownComponent(f"excluded {', '.join(unknown)}: not among the substances {', '.join(sorted(substances))}")
    present = {e for e, amount in elements.items() if amount > 0}
    if not present or any(amount < 0 for amount in elements.values()):
        raise ThermoInputError(f"element amounts {elements}: positive numbers of moles are needed, at least one above 0")
    strange = present - {e for s in substances.values() for e, n in s.elements.items() if n}
    if strange:
        raise UnknownComponent(f"elements {', '.join(sorted(strange))}: no substance of the data holds them; amounts of substances belong into [feed]")
    chosen, notes, ledger = [], [], []
    for s in substances.values():
        if s.name in excluded:
            continue
        atoms = {e for e, n in s.elements.items() if n}
        if not atoms & set(elements):
            notes.append(f"{s.name} holds none of the elements {', '.join(sorted(elements))}: dropped")
            ledger.append(Candidate(s.name, "excluded", "holds none of the elements"))
        elif not atoms <= present:
            ledger.append(Candidate(s.name, "excluded", f"needs {', '.join(sorted(atoms - present))}, of which there is none"))
        else:
            chosen.append(s)
    require_compatible([s.data for s in chosen])
    return chosen, notes, ledger


def _check_span(symbols, b, a_gas, a_con, chosen):
    from scipy.optimize import nnls
    a = np.hstack([a_gas, a_con])
    _, miss = nnls(a, b)
    if miss > 1e-10:
        raise ThermoInputError(f"the candidates ({', '.join(s.name for s in chosen)}) cannot hold the elements {dict(zip(symbols, b.tolist()))}; add substances")


def _solve(a_gas, g_gas, a_con, g_con, b, limit=300):
    """Newton in (ln n, ln N, pi, m): outer loop over the set of condensed phases. Returns (ln_n, m, pi, active, iterations) or None."""
    n_con = a_con.shape[1]
    start = _linear_start(a_gas, g_gas, a_con, g_con, b)
    if start is None:
        return None
    n, m = start
    ln_n = np.log(np.maximum(n, 1e-3 * b.sum() / len(n)))
    ln_total = np.log(np.exp(ln_n).sum())
    active, count, visited = m > 0, 0, set()
    for _ in range(6 * n_con + 3):
        found = _newton(a_gas, g_gas, a_con[:, active], g_con[active], b, ln_n, ln_total, m[active], limit)
        if found is None:
            return None
        ln_n, ln_total, m_active, pi, steps = found
        m = np.zeros(n_con)
        m[active] = m_active
        count += steps
        if np.any(m[active] < 0):
            active[np.flatnonzero(active)[np.argmin(m[active])]] = False
            continue
        force = a_con.T @ pi - g_con
        force[active] = -np.inf
        if not n_con or np.max(force) <= 1e-11:
            return ln_n, m, pi, active, count
        # the phase rule: not more condensed phases than elements
        active[int(np.argmax(force))] = True
        key = active.tobytes()
        if key in visited and len(visited) > 2 * n_con:
            return None
        visited.add(key)
    return None


def _linear_start(a_gas, g_gas, a_con, g_con, b):
    """(n, m) of least G without the entropy of mixing: it holds the elements, where the gas alone may not be able to (carbon without graphite)."""
    from scipy.optimize import linprog
    found = linprog(np.concatenate([g_gas, g_con]), A_eq=np.hstack([a_gas, a_con]), b_eq=b, method="highs")
    if found.status != 0:
        return None
    return found.x[:len(g_gas)], found.x[len(g_gas):]


def _newton(a, g, ac, gc, b, ln_n, ln_total, m, limit):
    k, c = a.shape[0], ac.shape[1]
    ln_n, m = ln_n.copy(), m.copy()
    best = np.inf
    for step in range(1, limit + 1):
        n = np.exp(ln_n)
        total = np.exp(ln_total)
        mu = g + ln_n - ln_total
        basis, (at, act, bt) = _in_basis(a, ac, b, n, m)
        # reduced equations in pi, m, d ln N; d ln n = -mu + d ln N + A^T pi
        matrix = np.zeros((k + c + 1, k + c + 1))
        matrix[:k, :k] = (at * n) @ at.T
        matrix[:k, k:k + c], matrix[k:k + c, :k] = act, act.T
        matrix[:k, -1] = matrix[-1, :k] = at @ n
        matrix[-1, -1] = n.sum() - total
        right = np.concatenate([bt - at @ n + at @ (n * mu), gc, [total - n.sum() + n @ mu]])
        weight = 1 / np.sqrt(np.maximum(np.abs(np.diag(matrix)), 1e-290))
        weight[k:k + c], weight[-1] = 1.0, 1 / np.sqrt(n.sum())
        solution = weight * np.linalg.lstsq(matrix * weight[:, None] * weight[None, :], right * weight, rcond=1e-15)[0]
        pi, new_m, d_total = solution[:k], solution[k:k + c], solution[-1]
        d = -mu + d_total + at.T @ pi
        # steps are held to a factor e^2 for major species; minor ones may rise only to a mole fraction of about 1e-4 (RP-1311, eqs 3.1-3.3)
        major = ln_n - ln_total > -18.4
        top = max(5 * abs(d_total), np.max(np.abs(d[major]), initial=0.0))
        damp = min(1.0, 2.0 / top) if top > 0 else 1.0
        minor = ~major & (d > 0)
        if minor.any():
            room = np.abs((-9.2103 - (ln_n - ln_total)[minor]) / np.where(np.abs(d[minor] - d_total) > 0, d[minor] - d_total, 1e-30))
            damp = min(damp, float(room.min()))
        ln_n = np.maximum(ln_n + damp * d, -700.0)
        ln_total += damp * d_total
        m = m + damp * (new_m - m)
        size = max(float(np.max(np.abs(n * d)) / n.sum()), abs(d_total), float(np.max(np.abs(new_m - m), initial=0.0)), float(np.max(np.abs(d[ln_n > -690]), initial=0.0)) * 1e-3)
        best = min(best, size)
        if size < 1e-13 and damp == 1.0 or step > 60 and size < 1e-11 and size <= 2 * best:
            return ln_n, ln_total, m, np.linalg.solve(basis.T, pi), step
    return None


def _in_basis(a, ac, b, n, m):
    """The constraints written in the most abundant independent species instead of elements: (B, (B^-1 A, B^-1 A_c, B^-1 b)).

    Where the feed is one compound (pure H2O, say), the balance of what it dissociates into is then an equation of its own size, and keeps its digits.
    """
    every = np.hstack([a, ac])
    order = np.argsort(-np.concatenate([n, np.maximum(m, 0.0)]), kind="stable")
    columns, span = [], np.zeros((a.shape[0], 0))
    for j in order:
        v = every[:, j] - span @ (span.T @ every[:, j])
        size = np.linalg.norm(v)
        if size > 1e-9 * np.linalg.norm(every[:, j]):
            columns.append(j)
            span = np.column_stack([span, v / size])
            if len(columns) == a.shape[0]:
                break
    basis = every[:, columns]
    for e in range(a.shape[0] - len(columns)):             # dependent elements: complete the basis with directions that no species has
        rest = np.linalg.svd(basis.T)[2][len(columns) + e]
        basis = np.column_stack([basis, rest])
    parts = [np.linalg.solve(basis, x) for x in (a, ac, b)]
    return basis, [np.where(np.abs(x) < 1e-13 * max(1.0, np.abs(x).max(initial=0.0)), 0.0, x) for x in parts]


def _project(a_gas, a_con, n_gas, m_con, active, b):
    """The last rounding-sized miss of the element balance removed, with n-weighted corrections that leave the potentials as they are to first order."""
    for _ in range(3):
        miss = b - a_gas @ n_gas - a_con @ m_con
        matrix = (a_gas * n_gas) @ a_gas.T + (a_con * m_con * active) @ a_con.T
        lam = np.linalg.lstsq(matrix, miss, rcond=1e-14)[0]
        n_gas = n_gas * (1 + a_gas.T @ lam)
        m_con = m_con * (1 + (a_con.T @ lam) * active)
    return n_gas, m_con


def _excluded_forces(substances, excluded, symbols, pi, t, rt, pressure, reference):
    out = []
    for name in excluded:
        s = substances[name]
        if not set(e for e, n in s.elements.items() if n) <= set(symbols):
            out.append(Candidate(name, "excluded", "left out by the user; its elements are absent"))
            continue
        if not s.caloric.low <= t <= s.caloric.high:
            out.append(Candidate(name, "excluded", f"left out by the user; T is outside its data, {s.caloric.low:g}-{s.caloric.high:g} K"))
            continue
        plane = sum(n * pi[symbols.index(e)] for e, n in s.elements.items() if n)
        g = s.caloric.g(t) / rt
        if s.is_gas:
            # a gas species always forms; what matters is the mole fraction that it would reach
            ln_x = float(plane - g - np.log(pressure / reference))
            out.append(Candidate(name, "excluded", f"left out by the user; its mole fraction would be near {np.exp(min(ln_x, 0.0)):.3g}", float(rt * ln_x), ln_x > np.log(GAS_TRACE)))
        else:
            out.append(Candidate(name, "excluded", "left out by the user", float(rt * (plane - g))))
    return out


def record(mixture, elements, temperature, pressure, pressure_as_given, substances, gas_constant=GAS_CONSTANT):
    """The ledger.Record of a Mixture."""
    data = []
    for s in substances.values():
        if s.data not in data:
            data.append(s.data)
    return Record("G", ("T", "P", "N"), {"T": (temperature, "K"), "P": (pressure, "Pa"), "P as given": (pressure_as_given, ""), "elements": (dict(elements), "mol")},
                  {f"n({name})": (n, "mol") for name, n in sorted(mixture.moles.items(), key=lambda item: -item[1]) if n > 0}, mixture.candidates, data, gas_constant,
                  mixture.residuals, mixture.notes)
