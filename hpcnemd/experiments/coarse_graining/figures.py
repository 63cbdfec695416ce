"""Figures of coarse graining."""
import math

import numpy as np

from ..ionic_conductivity.figures import BLACK, BLUE, CYCLE, GREEN, RED
from ..irreversibility.report import legend_above
from .clouds import ARMS
from .estimate import exact_rate, window

WORDS = {"cat": "cat map", "cat_whole": "cat map (whole numbers)", "baker": "baker map", "kicked_rotor": "kicked rotor", "intermittent": "intermittent map",
         "harmonic": "harmonic oscillator", "quartic": "quartic oscillator"}
LABELS = {"exact": "exact inverse", "once": "coarse-grained once, at the reversal", "always": "coarse-grained at every step"}
UNSTABLE = ("cat", "cat_whole", "baker", "kicked_rotor", "intermittent")


def conditions(result):
    s = result.settings
    return f"{s['cells']} cells, {s['points']} points, mean over {s['start cells']} start cells."


def _band(axis, x, curves, colour, **options):
    mean = curves.mean(axis=0)
    error = curves.std(axis=0, ddof=1) / math.sqrt(len(curves)) if len(curves) > 1 else np.zeros(len(mean))
    axis.errorbar(x, mean, error, color=colour, capsize=2, **options)


def growth(result, figure):
    """S against steps for the unstable systems."""
    systems = {name: rows for name, rows in result.curves["systems"].items() if name in UNSTABLE}
    if not systems:
        return None
    table, axis = result.curves["table"], figure.add_subplot()
    measured = {one.name: one.value for one in result.numbers}
    for (name, rows), colour in zip(systems.items(), CYCLE):
        steps = np.arange(table.steps + 1)
        _band(axis, steps, rows["entropy"], colour, marker="o", ms=4, label=f"{WORDS[name]}, Shannon")
        axis.plot(steps, np.log(np.maximum(1, rows["touched"])).mean(axis=0), color=colour, ls=":", lw=1.3)
        rate = measured.get(f"{name}: KS entropy by Pesin", exact_rate(name, table))
        found = window(rows["entropy"].mean(axis=0), table.cells, table.steps)
        if rate is not None and found is not None:
            middle = sum(found) / 2
            height = np.interp(middle, steps, rows["entropy"].mean(axis=0))
            x = np.array([found[0] - 1, found[1] + 1])
            axis.plot(x, height + rate * (x - middle), color=colour, ls="--", lw=2.2, alpha=0.45)
    axis.plot([], [], color=BLACK, ls=":", lw=1.3, label="ln of the touched cells")
    axis.plot([], [], color=BLACK, ls="--", lw=2.2, alpha=0.45, label="slope of the Kolmogorov-Sinai entropy")
    axis.axhline(2 * math.log(table.cells), color=BLACK, ls=":", lw=1)
    axis.set_xlabel("steps")
    axis.set_ylabel("coarse-grained entropy (k_B)")
    legend_above(axis, 2)
    return ("Coarse-grained entropy of a cloud that fills one cell at the start. Full lines: Shannon entropy with standard errors; dotted: logarithm of the touched cells; thick dashed: "
            "slope of the Kolmogorov-Sinai entropy; horizontal: all cells. " + ("The intermittent map is the negative control, which does not follow its slope. " if "intermittent" in systems else "") + conditions(result))


def back(result, figure):
    """Out and back in the three arms."""
    systems = {name: rows for name, rows in result.curves["systems"].items() if name in UNSTABLE}
    if not systems:
        return None
    turn = result.curves["table"].turn
    axes = figure.subplots(1, len(systems), squeeze=False, sharey=True)[0]
    for axis, (name, rows) in zip(axes, systems.items()):
        for k, (arm, colour, marker) in enumerate(zip(ARMS, (GREEN, BLUE, RED), "osD")):
            _band(axis, np.arange(2 * turn + 1), rows["entropy_back"][:, k], colour, marker=marker, ms=3.5, lw=1.2, label=LABELS[arm])
        axis.axvline(turn, color=BLACK, ls="--", lw=1)
        axis.set_title(WORDS[name], fontsize=10)
        axis.set_xlabel("steps")
    axes[0].set_ylabel("Shannon entropy of the cells (k_B)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9)
    return (f"The map is inverted after {turn} steps (dashed). The exact inverse brings the cloud back and the entropy down; where the points are scattered inside their cells once at the "
            "reversal, or at every step, it does not come back. " + conditions(result))


def integrable(result, figure):
    """S against ln t of the oscillators."""
    systems = {name: rows for name, rows in result.curves["systems"].items() if name not in UNSTABLE}
    table = result.curves["table"]
    if not systems or table.steps < 20:
        return None
    axis = figure.add_subplot()
    for (name, rows), colour in zip(systems.items(), (BLUE, RED)):
        t = np.arange(1, table.steps + 1)
        mean = rows["entropy"].mean(axis=0)[1:]
        axis.semilogx(t, mean, color=colour, label=WORDS[name])
        if name == "quartic":
            axis.semilogx(t, np.log(t) + (mean - np.log(t))[10:].mean(), color=BLACK, ls="--", lw=1.2, label="ln t")
    axis.set_xlabel("time (reduced)")
    axis.set_ylabel("Shannon entropy of the cells (k_B)")
    axis.legend()
    return ("Flows without orbital instability: the isochronous harmonic oscillator does not spread at all, the quartic oscillator winds up its cloud, S growing as ln t and not as t. "
            + conditions(result))


PLOTS = (("growth", "Growth of the coarse-grained entropy", growth, (6.8, 4.8)), ("back", "The way back", back, (9.6, 4.0)),
         ("integrable", "No instability, no rate", integrable, (6.4, 4.2)))
