"""From the ensemble file to rates of growth, and what happens on the way back."""
import math

import numpy as np

from ...analysis.entropy import baker_rate, cat_cells, intermittent_rate, slope
from ...analysis.fluctuation import Estimate
from ..irreversibility.launched import load
from ..irreversibility.result import Result
from .deck import Deck

CAT_RATE = math.log((3 + math.sqrt(5)) / 2)
SMALLEST_RISE, FULL = 3.0, 0.75     # window of the fit: S at least so far above its start (k_B), and below this share of ln(cells)


def exact_rate(name, table):
    """Kolmogorov-Sinai entropy per step where it is known, else None."""
    return {"cat": CAT_RATE, "cat_whole": CAT_RATE, "baker": baker_rate(table.baker), "intermittent": intermittent_rate(table.intermittency)
            if name == "intermittent" else None, "harmonic": 0.0, "quartic": 0.0}.get(name)


def window(mean, cells, steps):
    """(first, last) step of the intermediate window in which the growth may show the Kolmogorov-Sinai entropy, or None."""
    inside = np.flatnonzero((mean >= mean[0] + SMALLEST_RISE) & (mean <= FULL * 2 * math.log(cells)))
    return (int(inside[0]), int(inside[-1])) if len(inside) > 1 else None


def log_slope(curves, first, last):
    """Estimate of the coefficient of ln t between two times: a straight line for each replica."""
    t = np.arange(first, last + 1)
    fits = np.array([np.polyfit(np.log(t), one[first:last + 1], 1)[0] for one in curves])
    return _mean(fits)


def _mean(samples):
    samples = np.asarray(samples, float)
    return Estimate(float(samples.mean()), float(samples.std(ddof=1) / math.sqrt(len(samples))) if len(samples) > 1 else math.nan)


def analyse(folder):
    """The Result of a run's folder. Raises InputError where there is nothing to analyse yet."""
    stored = load(folder, Deck)
    t = stored.deck.cloud
    result = Result("coarse_graining", {"cells": f"{t.cells} x {t.cells}", "points": t.points, "start cells": stored.deck.run.replicas}, stored.counts)
    result.curves["table"], result.curves["systems"], lines = t, stored.rows, []
    for name, rows in stored.rows.items():
        rate = _rate(result, name, rows, t)
        if name in ("harmonic", "quartic"):
            _integrable(result, name, rows, t)
        else:
            _growth(result, name, rows, t, rate)
        _way_back(result, name, rows, t)
        if name == "cat_whole":
            _exact_cells(result, rows, t)
        lines.append([name, *(f"{x:.3f}" for x in rows["entropy"].mean(axis=0)[:13])])
    result.diagnostics["tables"] = {"Mean Shannon entropy by step (k_B)": (["system", *map(str, range(min(13, t.steps + 1)))], lines)}
    return result


def _add(result, name, estimate, target=None, unit="", note=""):
    """A number without an error is not compared."""
    result.add(name, estimate, None if math.isnan(estimate.error) else target, unit, note)


def _rate(result, name, rows, table):
    rate = exact_rate(name, table)
    if name == "kicked_rotor" and table.orbit:
        found = _mean(rows["growth"].ravel())
        result.add(f"{name}: KS entropy by Pesin", found, None, "k_B/step", f"tangent vector along an orbit; ln(K/2) = {math.log(table.kick / 2):.4f} for large K")
        return found.value
    return rate


def _growth(result, name, rows, table, rate):
    found = window(rows["entropy"].mean(axis=0), table.cells, table.steps)
    if found is None:
        result.warnings.append(f"{name}: the entropy has no intermediate window on {table.cells} x {table.cells} cells; take more cells or steps")
        return
    first, last = found
    text = f"steps {first} to {last}" + ("" if rate is None else f"; KS entropy {rate:.5f}")
    for key, label, curves in (("Shannon", "Shannon", rows["entropy"]), ("touched cells", "ln touched cells", np.log(np.maximum(1, rows["touched"])))):
        estimate = Estimate(*slope(curves, first, last))
        # not compared in standard errors: start cells are alike, and what is left is the finite window
        _add(result, f"{name}: growth of S, {key}", estimate, None, "k_B/step", text + (f", {100 * (estimate.value / rate - 1):+.2f} %" if rate else ""))
    if name == "intermittent":
        estimate = Estimate(*slope(rows["entropy"], first, last))
        if not math.isnan(estimate.error) and abs(estimate.distance(rate)) > 3:
            result.facts.append(f"intermittent (negative control): the growth {estimate.value:.3f}({estimate.error:.3f}) k_B/step is not the Kolmogorov-Sinai entropy "
                                f"{rate:.4f}, {estimate.distance(rate):+.1f} standard errors away: long laminar stretches belong to h, and not to the few steps before the cells are full")
    if name == "baker":
        result.facts.append(f"baker: on a square grid the slope depends on the start cells and on the window (steps {first} to {last}); in cells that follow the map's own "
                            f"partition the mean growth is exactly {rate:.5f} at every step")


def _integrable(result, name, rows, table):
    last = min(160, table.steps)
    if last < 20:
        return
    found = log_slope(rows["entropy"], 10, last)
    _add(result, f"{name}: coefficient of ln t", found, None if name == "quartic" else 0.0, "k_B", f"fit over times 10 to {last}; "
         + ("1 in the limit of fine cells and long times" if name == "quartic" else "its cloud only turns"))
    result.add(f"{name}: largest S", Estimate(float(rows["entropy"].max()), 0.0), None, "k_B")


def _way_back(result, name, rows, table):
    back = rows["entropy_back"].mean(axis=0)
    turn = table.turn
    if rows["same"].all():
        result.add(f"{name}: S after the exact way back", Estimate(float(rows["entropy_back"][:, 0, -1].max()), 0.0), 0.0, "k_B", f"from {back[0][turn]:.3f} at the reversal")
    else:
        result.facts.append(f"{name}: the exact inverse brings {rows['same'].mean():.0%} of the clouds back into their start cell alone (rounding)")
    _add(result, f"{name}: S after the way back, blurred once", _mean(rows["entropy_back"][:, 1, -1]), None, "k_B", f"from {back[1][turn]:.3f} at the reversal")
    _add(result, f"{name}: S after the way back, blurred always", _mean(rows["entropy_back"][:, 2, -1]), None, "k_B", f"from {back[2][turn]:.3f} at the reversal")
    smallest = float(np.diff(rows["entropy_back"][:, 2]).min())
    (result.facts if smallest > -0.02 else result.warnings).append(
        f"{name}: coarse-grained at every step the smallest change of S in a step is {smallest:+.4f} k_B")
    if not name.startswith(("harmonic", "quartic")):
        falls = back[0][-1] < back[0][turn] - 0.5
        result.facts.append(f"{name}: a single coarse graining at the end of the reversed motion sees S {'fall' if falls else 'stay'} from {back[0][turn]:.3f} to {back[0][-1]:.3f}; "
                            f"the entropy only grows where coarse graining is repeated")


def _exact_cells(result, rows, table):
    steps = min(table.steps, 6)
    wanted = np.array([cat_cells(t) for t in range(steps + 1)])
    missed = int(np.abs(rows["touched"][:, :steps + 1] - wanted).max())
    result.add(f"cat_whole: touched cells against F(2t + 3) - 1, t up to {steps}", Estimate(float(missed), 0.0), 0.0, "",
               "largest difference; " + ", ".join(map(str, rows["touched"][0, :steps + 1])))
