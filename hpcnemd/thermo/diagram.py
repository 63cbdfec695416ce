"""Binary phase diagrams: tie lines over temperature, invariants to rounding error, property maps, and their tables."""
from dataclasses import dataclass

import numpy as np

from .binary import CompoundPhase, tie_lines
from .errors import NoEquilibrium
from .units import GAS_CONSTANT


@dataclass(frozen=True)
class Invariant:
    """A temperature at which the order of fields changes. `kind` "eutectic type" (a phase ends on cooling), "peritectic type" (a phase appears on cooling),
    "critical", "congruent" or "pure transition"; `phases` and `x` by ascending x; `residual` max |mu difference| J/mol."""
    kind: str
    temperature: float
    phases: tuple
    x: tuple
    residual: float


@dataclass(frozen=True)
class Diagram:
    """`temperatures` (n,), `lines` [n][TieLine, ...], `invariants` by ascending T, `failed` {T: reason}; `samples` [(T, lines)] by ascending T: the good
    temperatures and those by which the invariants were closed in, so that curves drawn through them end where they should."""
    temperatures: np.ndarray
    lines: list
    invariants: list
    failed: dict
    samples: list


def map_diagram(phases, temperatures, gas_constant=GAS_CONSTANT, resolution=1e-7):
    """Tie lines at each temperature and every invariant between neighbouring ones. Two invariants closer than the grid are found where they leave the
    order of fields changed in turn; a finer grid finds the rest."""
    t = np.asarray(temperatures, float)
    lines, failed = [], {}
    for value in t:
        try:
            lines.append(tie_lines(phases, float(value), gas_constant))
        except NoEquilibrium as problem:
            failed[float(value)] = str(problem)
            lines.append(None)
    good = sorted((k for k in range(len(t)) if lines[k] is not None), key=lambda k: t[k])
    invariants, samples = [], [(float(t[k]), lines[k]) for k in good]
    for below, above in list(zip(samples, samples[1:])):
        invariants += _between(phases, below, above, gas_constant, resolution, samples)
    return Diagram(t, lines, sorted(invariants, key=lambda i: i.temperature), failed, sorted(samples, key=lambda sample: sample[0]))


def _order(lines):
    return tuple(line.phases for line in lines)


def _between(phases, below, above, gas_constant, resolution, samples, depth=0):
    """The invariants between two (T, lines), by halving; what is computed on the way is added to `samples`."""
    (t1, lines1), (t2, lines2) = below, above
    if _order(lines1) == _order(lines2) or depth > 80:
        return []
    if t2 - t1 < resolution:
        return [_classify(phases, t1, lines1, t2, lines2, gas_constant)]
    middle = 0.5 * (t1 + t2), tie_lines(phases, 0.5 * (t1 + t2), gas_constant)
    samples.append(middle)
    return (_between(phases, below, middle, gas_constant, resolution, samples, depth + 1)
            + _between(phases, middle, above, gas_constant, resolution, samples, depth + 1))


def _classify(phases, t1, lines1, t2, lines2, gas_constant):
    """What changed between the fields just below (t1) and just above (t2)."""
    below, above = list(lines1), list(lines2)
    for line in lines1:                          # fields that both sides have
        twin = next((o for o in above if o.phases == line.phases and max(abs(a - b) for a, b in zip(o.x, line.x)) < 1e-3), None)
        if twin is not None:
            below.remove(line)
            above.remove(twin)
    nodes = _nodes(below + above)
    if len(nodes) == 3:
        kind = "eutectic type" if len(below) < len(above) else "peritectic type"
        return _polish_three(phases, nodes, 0.5 * (t1 + t2), kind, gas_constant)
    changed = below + above
    if len(changed) == 1 and len(set(changed[0].phases)) == 1:
        return Invariant("critical", 0.5 * (t1 + t2), changed[0].phases, (0.5 * sum(changed[0].x),) * 2, changed[0].residual)
    ends = [x for line in changed for x in line.x]
    if ends and max(ends) - min(ends) < 1e-2 and len({n[0] for n in nodes}) == 2:
        x = sum(ends) / len(ends)
        if x < 1e-5 or x > 1 - 1e-5:
            return Invariant("pure transition", 0.5 * (t1 + t2), changed[0].phases, (float(round(x)),) * 2, max(line.residual for line in changed))
        return _polish_congruent(phases, changed, x, 0.5 * (t1 + t2), gas_constant)
    names = tuple(dict.fromkeys(n for line in changed for n in line.phases))
    return Invariant("other", 0.5 * (t1 + t2), names, tuple(n[1] for n in nodes), max((line.residual for line in changed), default=0.0))


def _nodes(lines):
    """Distinct (phase, x, y) ends of tie lines, by ascending x."""
    nodes = []
    for line in lines:
        for name, x, y in zip(line.phases, line.x, line.y):
            if not any(n == name and abs(x - other) < 2e-3 for n, other, _ in nodes):
                nodes.append((name, x, y))
    return sorted(nodes, key=lambda n: n[1])


def _polish_three(phases, nodes, t, kind, gas_constant):
    """Newton for three phases in equilibrium: unknowns y of each solution phase and T; equal mu_A and mu_B."""
    by_name = {p.name: p for p in phases}
    free = [k for k, n in enumerate(nodes) if np.isfinite(n[2])]
    z = np.array([nodes[k][2] for k in free] + [t])

    def miss(z):
        rows, plane = [], None
        for k, (name, x, _) in enumerate(nodes):
            f = by_name[name].at(float(z[-1]), gas_constant)
            if k in free:
                mu = f.mu(z[free.index(k)])
                rows.append(("mu", mu))
            else:
                rows.append(("compound", f))
        plane = next(mu for what, mu in rows if what == "mu")
        out, first = [], True
        for what, value in rows:
            if what == "compound":
                out.append((1 - value.x) * plane[0] + value.x * plane[1] - value.value)
            elif first:
                first = False
            else:
                out += [value[0] - plane[0], value[1] - plane[1]]
        return np.array(out)
    if not free:
        return Invariant(kind, t, tuple(n[0] for n in nodes), tuple(n[1] for n in nodes), 0.0)
    best = (np.inf, z)
    for _ in range(30):
        r = miss(z)
        size = float(np.abs(r).max())
        if size < best[0]:
            best = (size, z.copy())
        elif size >= best[0] and best[0] < 1e-8:
            break
        steps = np.append(np.full(len(free), 1e-5), 1e-3)
        jacobian = np.column_stack([(miss(z + e) - miss(z - e)) / (2 * h) for h, e in ((h, h * np.eye(len(z))[k]) for k, h in enumerate(steps))])
        z = z - np.linalg.lstsq(jacobian, r, rcond=None)[0]
    size, z = best
    x = [n[1] for n in nodes]
    for k, y in zip(free, z):
        x[k] = float(1 / (1 + np.exp(-y)))
    return Invariant(kind, float(z[-1]), tuple(n[0] for n in nodes), tuple(x), size)


def _polish_congruent(phases, lines, x, t, gas_constant):
    """Newton for two solution phases of equal composition and equal mu: unknowns y and T."""
    names = lines[0].phases
    first, second = (next(p for p in phases if p.name == n) for n in names)
    z = np.array([np.log(x / (1 - x)), t])

    def miss(z):
        (a1, b1), (a2, b2) = (p.at(float(z[1]), gas_constant).mu(z[0]) for p in (first, second))
        return np.array([a1 - a2, b1 - b2])
    if isinstance(first, CompoundPhase) or isinstance(second, CompoundPhase):
        return Invariant("congruent", t, names, (x, x), max(line.residual for line in lines))
    for _ in range(30):
        r = miss(z)
        if np.abs(r).max() < 1e-11:
            break
        steps = (1e-5, 1e-3)
        z = z - np.linalg.lstsq(np.column_stack([(miss(z + h * e) - miss(z - h * e)) / (2 * h) for h, e in zip(steps, np.eye(2))]), r, rcond=None)[0]
    found = float(1 / (1 + np.exp(-z[0])))
    return Invariant("congruent", float(z[1]), names, (found, found), float(np.abs(miss(z)).max()))


def property_map(phases, temperatures, compositions, gas_constant=GAS_CONSTANT):
    """{"g","mu_a","mu_b"} (n_T, n_x) J/mol, "count" (n_T, n_x) phases present, "status" (n_T, n_x) 0 ok, 1 failed, "reasons" {(i, j): text}. One hull per
    temperature serves all compositions."""
    t, x = np.asarray(temperatures, float), np.asarray(compositions, float)
    out = {k: np.zeros((len(t), len(x))) for k in ("g", "mu_a", "mu_b")}
    out["count"], out["status"], out["reasons"] = np.ones((len(t), len(x)), int), np.zeros((len(t), len(x)), int), {}
    y = np.log(x / (1 - x))
    for i, value in enumerate(t):
        try:
            lines = tie_lines(phases, float(value), gas_constant)
        except NoEquilibrium as problem:
            out["status"][i] = 1
            out["reasons"].update({(i, j): str(problem) for j in range(len(x))})
            continue
        frozen = [f for f in (p.at(float(value), gas_constant) for p in phases) if not f.fixed]
        if frozen:
            pick = np.argmin([f.g(y) for f in frozen], axis=0)
            for k, f in enumerate(frozen):
                out["mu_a"][i, pick == k], out["mu_b"][i, pick == k] = f.mu(y[pick == k])
        for line in lines:
            inside = (x >= line.x[0]) & (x <= line.x[1])
            out["mu_a"][i, inside], out["mu_b"][i, inside] = line.mu
            out["count"][i, inside] = 2
        if not frozen:                          # line compounds only: beside their tie lines there is nothing
            out["status"][i, out["count"][i] == 1] = 1
            out["reasons"].update({(i, int(j)): "no phase has this composition" for j in np.flatnonzero(out["status"][i])})
        out["g"][i] = (1 - x) * out["mu_a"][i] + x * out["mu_b"][i]
    return out


def table(diagram):
    """Rows (T, phase_alpha, x_alpha, phase_beta, x_beta, mu_A, mu_B, residual, status) of a Diagram, for CSV."""
    rows = [("T_K", "phase_alpha", "x_alpha", "phase_beta", "x_beta", "mu_A_J_per_mol", "mu_B_J_per_mol", "residual_J_per_mol", "status")]
    for t, lines in zip(diagram.temperatures, diagram.lines):
        if lines is None:
            rows.append((repr(float(t)),) + ("",) * 7 + (diagram.failed[float(t)],))
            continue
        for line in lines:
            rows.append((repr(float(t)), line.phases[0], repr(line.x[0]), line.phases[1], repr(line.x[1]), repr(line.mu[0]), repr(line.mu[1]), f"{line.residual:.3g}", "ok"))
    return rows


def write_csv(rows, path):
    import csv
    with open(path, "w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
