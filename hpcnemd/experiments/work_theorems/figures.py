"""Figures of a result as PNG and PDF, with error bars and captions that stand alone."""
import functools

import numpy as np

from ..ionic_conductivity.figures import BLACK, BLUE, GREEN, ORANGE, RED
from ..irreversibility.report import legend_above

COLOURS = (BLUE, RED, GREEN, ORANGE)
WORDS = {"dragged_trap": "dragged harmonic trap", "stiffened_trap": "stiffened harmonic trap", "breathing_trap": "harmonic trap driven in cycles",
         "pulled_chain": "pulled chain", "colour_field": "colour-driven discs",
         "electrolyte": "driven electrolyte"}


def conditions(result):
    """The parameters that every caption ends with."""
    settings = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in result.settings.items())
    units = "units: fs, K, eV, V/Å" if result.kind == "electrolyte" else "reduced units, k_B = 1"
    counted = f"{result.replicas['transients']} transients" if "transients" in result.replicas else f"{result.replicas['complete']} trajectories"
    return f"{WORDS[result.kind].capitalize()}: {settings}; {units}. {counted}."


def distributions(result, figure):
    """P_F(w) and P_R(-w), which cross at dF."""
    found = result.curves.get("crooks")
    if found is None:
        return None
    axis = figure.add_subplot()
    axis.stairs(found["forward"], found["edges"], color=BLUE, label="forward, $P_F(w)$")
    axis.stairs(found["reverse"], found["edges"], color=RED, label="reverse, $P_R(-w)$")
    if "undone" in result.curves:
        axis.stairs(result.curves["undone"]["undone"], result.curves["undone"]["edges"], color=ORANGE, ls=":", lw=2.2, label="velocities reversed, $-w$")
    axis.axvline(found["free_energy"], color=BLACK, ls="--", lw=1.2, label=f"ΔF by BAR, {found['free_energy']:.4g}")
    axis.set_xlabel("work w ($k_B T$)")
    axis.set_ylabel("probability density (1/$k_B T$)")
    axis.set_ylim(bottom=0)
    legend_above(axis, 2, 9)
    text = "Work distributions of the forward and the time-reversed protocol over the range in which both have samples; by Crooks' theorem they cross at the free energy difference."
    if "undone" in result.curves:
        text += " Dotted: the same end states with reversed velocities give back every trajectory's work, so that their distribution is the forward one."
    return text


def crooks(result, figure):
    """ln of the ratio against the work."""
    found = result.curves.get("crooks")
    if found is None or not len(found["centres"]):
        return None
    axis = figure.add_subplot()
    x = found["centres"]
    axis.errorbar(x, found["ratio"], found["error"], color=BLUE, fmt="o", ms=4, capsize=2, label="histograms, ± one standard error")
    zero = found["free_energy"] if found["target"] is None else found["target"]
    axis.plot(x, x - zero, color=BLACK, lw=1.2, label="Crooks, slope 1" + ("" if found["target"] is None else ", exact ΔF"))
    axis.plot(x, found["slope"] * (x - found["free_energy"]), color=RED, ls="--", lw=1.2, label=f"logistic regression, slope {found['slope']:.4g}")
    axis.set_xlabel("work w ($k_B T$)")
    axis.set_ylabel("ln [$P_F(w)$ / $P_R(-w)$]")
    axis.legend()
    return "Crooks' theorem: the logarithm of the ratio of the two work distributions against the work, bins with at least five counts on both sides."


def convergence(result, figure):
    """Estimates of dF against the number of trajectories."""
    found = result.curves.get("convergence")
    if found is None or len(found["sizes"]) < 3:
        return None
    axis = figure.add_subplot()
    for k, name in enumerate(("BAR", "Jarzynski forward", "Jarzynski reverse")):
        value, error = found[name]
        axis.errorbar(found["sizes"] * 1.06**(k - 1), value, error, color=COLOURS[k], marker="o", ms=4, capsize=2, lw=1.0, label=name)
    if found["target"] is not None:
        axis.axhline(found["target"], color=BLACK, ls="--", lw=1.2, label=f"exact, {found['target']:.5g}")
    axis.set_xscale("log")
    axis.set_xlabel("trajectories in each direction")
    axis.set_ylabel("free energy difference ΔF ($k_B T$)")
    axis.legend()
    return ("Convergence of the free energy with the number of trajectories (the first ones of the same run, so that points are not independent; error bars one standard error, "
            "which exponential averages underestimate while they are biased).")


def work_paths(result, figure):
    """Mean work and half its variance in time."""
    found = result.curves.get("work_paths")
    if found is None or len(found["times"]) < 3:
        return None
    axis = figure.add_subplot()
    axis.plot(found["times"], found["some"].T, color="#bbbbbb", lw=0.5, zorder=1)
    axis.errorbar(found["times"], found["mean"], found["mean_error"], color=BLUE, marker="o", ms=4, capsize=2, label="mean work ⟨w⟩", zorder=3)
    axis.errorbar(found["times"], found["half_variance"], found["half_variance_error"], color=RED, marker="s", ms=4, capsize=2, label="half its variance", zorder=3)
    axis.set_xlabel("time (reduced units)")
    axis.set_ylabel("work ($k_B T$), half variance ($k_B^2 T^2$)")
    axis.legend()
    return ("Work of the forward protocol in time: mean and half the variance with one standard error (many are smaller than the symbols); grey: the first trajectories. "
            "For Gaussian work with ΔF = 0 the two agree.")


def symmetry(result, figure):
    """ln P(s)/P(-s) against s."""
    found = result.curves.get("symmetry")
    if not found or not any(len(x) for x, _, _ in found.values()):
        return None
    axis = figure.add_subplot()
    top = 0.0
    for k, (name, (x, y, error)) in enumerate(found.items()):
        if len(x):
            axis.errorbar(x, y, error, color=COLOURS[k], fmt="os^"[k % 3], ms=4, capsize=2, label=name)
            top = max(top, float(x.max()))
    axis.plot([0, top], [0, top], color=BLACK, lw=1.2, label="slope 1")
    axis.set_xlabel("$s$ ($k_B$)")
    axis.set_ylabel("ln [$P(s)$ / $P(-s)$]")
    axis.legend()
    return ("Fluctuation theorem: the logarithm of the ratio of the probabilities of +s and −s against s, bins with at least five counts of each sign, one standard error"
            + ("; work and heat leave out the boundary term ln p(start)/p(end), with which the slope is 1 at every time." if len(found) > 1 else "."))


def slopes(result, figure):
    """The slope against the length of the trajectory."""
    found = result.curves.get("slopes")
    if found is None or len(found["times"]) < 2:
        return None
    axis = figure.add_subplot()
    for k, (name, key) in enumerate(zip(found.get("labels", ("total entropy production", "work over T")), ("entropy", "work"))):
        use = np.isfinite(found[key]) & np.isfinite(found[f"{key}_error"])
        axis.errorbar(found["times"][use], found[key][use], found[f"{key}_error"][use], color=COLOURS[k], marker="os"[k], ms=4, capsize=2, label=name)
    axis.axhline(1.0, color=BLACK, ls="--", lw=1.2)
    axis.set_xlabel(f"length of the trajectory t ({found.get('time_unit', 'reduced units')})")
    axis.set_ylabel("slope of ln [$P(s)$ / $P(-s)$] in $s$")
    axis.legend()
    return ("Slope of the fluctuation relation against the length of the trajectory" + ("; where the boundary term is left out it goes to 1 (dashed) only as 1/t" if "work" in found
                                                                                       else " from equilibrium: 1 (dashed) at every time") + ". Error bars one standard error; the points are of the same trajectories and not independent.")


def response(result, figure):
    """Direct and transient-correlation average of the current."""
    found = result.curves.get("response")
    if found is None:
        return None
    axis = figure.add_subplot()
    for k, (name, key) in enumerate((("direct average", "direct"), ("transient time correlation function", "ttcf"))):
        axis.fill_between(found["times"], found[key] - found[f"{key}_error"], found[key] + found[f"{key}_error"], color=COLOURS[k], alpha=0.25, lw=0)
        axis.plot(found["times"], found[key], color=COLOURS[k], marker="os"[k], ms=4, label=name)
    axis.set_xlabel(f"time after the field was switched on ({found['time_unit']})")
    axis.set_ylabel(f"current $\\Sigma\\, c\\, v$ along the field ({found['current_unit']})")
    axis.legend()
    return (f"Response to a field of {found['field']}: the average over transients, and the integral of the correlation with the dissipation at the start; bands are one standard error.")


def captioned(plot):
    """The plot, its caption with the run's parameters at the end."""
    @functools.wraps(plot)
    def drawn(result, figure):
        caption = plot(result, figure)
        return caption and f"{caption} {conditions(result)}"
    return drawn


PLOTS = tuple((name, title, captioned(plot), (6.4, 4.2)) for name, title, plot in (
    ("work_distributions", "Work distributions", distributions), ("crooks", "Crooks' theorem", crooks), ("convergence", "Convergence of the free energy", convergence),
    ("work_paths", "Work in time", work_paths), ("symmetry", "Fluctuation theorem", symmetry), ("slopes", "Slope of the fluctuation theorem", slopes),
    ("response", "Response to the field", response)))
