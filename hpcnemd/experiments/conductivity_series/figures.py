"""Figures of a series as functions of a result and an empty figure; each returns its caption, or None where it has nothing to draw."""
import math

import numpy as np

from ..ionic_conductivity.figures import BLACK, BLUE, CYCLE, GREEN, ORANGE, PURPLE, RED
from .speed import GOAL

GREY = "#777777"
ROUTES = {"constant_current": (RED, "o", "constant current"), "constant_field": (GREEN, "D", "constant field"), "none": (BLUE, "s", "equilibrium, collective"),
          "nernst_einstein": (GREY, "^", "Nernst-Einstein")}
FITTED = ("constant_current", "nernst_einstein", "none")
ORDER = ("nernst_einstein", "none", "constant_field", "constant_current")       # the last is drawn on top
ESTIMATORS = {"constant_current": "constant current, σ = J₀/(V⟨λ⟩) (Norton ensemble)", "constant_field": "constant field, σ = ⟨J⟩/(VE)",
              "none": "equilibrium, Green-Kubo integral of the charge current", "nernst_einstein": "Nernst-Einstein, tracer diffusion alone"}


def size_word(supercell):
    return "×".join(map(str, supercell))


def conditions(result):
    """The parameters that captions end with."""
    deck, some = result.deck, next(one for cell in result.cells for one in cell.readings if one.numbers)
    s = some.numbers["settings"]
    atoms = ", ".join(f"{n} {name}" for name, n in zip(s["species"], s["counts"]) if n)
    times = sorted({one.time / 1000 for cell in result.cells for one in cell.readings if one.numbers})
    span = f"{times[0]:g} to {times[-1]:g} ps" if len(times) > 1 else f"{times[0]:g} ps"
    sizes = f"{atoms}; further sizes are multiples. " if len({cell.supercell for cell in result.cells}) > 1 else f"{atoms}. "
    return f"{sizes}Force field {deck.forcefield.table}, time step {deck.run.timestep:g} fs, {span} measured at each point (all replicas)."


def arrhenius(result, figure):
    """sigma T against 1000/T."""
    axis = figure.add_subplot()
    sizes = list(result.fits)
    drawn = False
    for size in sizes:
        cells = [cell for cell in result.cells if cell.supercell == size]
        for level, route in enumerate(ORDER):
            have = [cell for cell in cells if route in cell.routes]
            if have:
                drawn = True
                _points(axis, result, have, route, sizes.index(size), 3 + level)
            if route in FITTED and route in result.fits[size]:
                _line(axis, result, cells, result.fits[size][route], route)
    if not drawn:
        return None
    told = _references(axis, result)
    axis.set_yscale("log")
    axis.set_xlabel("1000/T (1/K)")
    axis.set_ylabel("σT (S K/m)")
    top = axis.secondary_xaxis("top", functions=(_turned, _turned))
    top.set_xlabel("T (K)")
    top.set_ticks([t for t in sorted({cell.temperature for cell in result.cells} | {result.deck.series.extrapolate_to})])
    top.tick_params(labelsize=8, labelrotation=45)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=7.5, title="route: activation energy", title_fontsize=7.5)
    used = [text for route, text in ESTIMATORS.items() if any(route in cell.routes for cell in result.cells)]
    out = [f"{cell.temperature:g} K ({cell.left_out})" for cell in result.cells if cell.left_out]
    return (f"Conductivity times temperature on Arrhenius axes; bars are one standard error. {'; '.join(used).capitalize()}. Lines: fits of ln σT weighted with the errors; "
            f"dashed beyond the data, with the 95 % band of the constant-current line{' ' if 'constant_current' in next(iter(result.fits.values()), {}) else ' (absent) '}"
            f"to {result.deck.series.extrapolate_to:g} K. {told} "
            + (f"Hollow and not fitted: {', '.join(out)}. " if out else "") + conditions(result))


def _turned(x):
    with np.errstate(divide="ignore"):
        return 1000 / np.asarray(x, dtype=float)


def _points(axis, result, cells, route, size, level):
    """The conductivities of one route and size; hollow where they are left out of the fit."""
    colour, mark, word = ROUTES[route]
    found = result.fits[cells[0].supercell].get(route) if route in FITTED else None
    label = word + (f", {size_word(cells[0].supercell)}" if len(result.fits) > 1 else "")
    if found is not None:
        label += f": {found.activation_energy.value:.3f} ± {found.activation_energy.error:.3f} eV"
    for hollow in (False, True):
        mine = [cell for cell in cells if bool(cell.left_out) is hollow]
        if mine:
            at, error = [cell.routes[route].value * cell.temperature for cell in mine], [cell.routes[route].error * cell.temperature for cell in mine]
            axis.errorbar([1000 / cell.temperature for cell in mine], at, [[min(e, 0.95 * y) for e, y in zip(error, at)], error], fmt=mark, ms=(6, 9, 12)[min(size, 2)], color=colour,
                          mfc="white" if hollow else colour, fillstyle=("full", "left", "top")[min(size, 2)] if not hollow else "full", capsize=2, lw=1.2,
                          label=None if hollow and len(mine) < len(cells) else label, zorder=level)


def _line(axis, result, cells, found, route):
    colour = ROUTES[route][0]
    used = [cell.temperature for cell in cells if route in cell.routes and not cell.left_out]
    inside = np.linspace(1000 / max(used), 1000 / min(used), 25)
    axis.plot(inside, [found.line.at(1000 / x).value * 1000 / x for x in inside], color=colour, lw=1.2, alpha=0.8)
    goal = 1000 / result.deck.series.extrapolate_to
    if goal <= inside[-1] or route == "none":
        return
    outside = np.linspace(inside[-1], goal, 25)
    at = [found.line.at(1000 / x) for x in outside]
    axis.plot(outside, [one.value * 1000 / x for one, x in zip(at, outside)], color=colour, lw=1, ls="--", alpha=0.8)
    if route == "constant_current":
        whole = np.concatenate([inside, outside])
        band = [found.line.at(1000 / x) for x in whole]
        axis.fill_between(whole, [one.low * 1000 / x for one, x in zip(band, whole)], [one.high * 1000 / x for one, x in zip(band, whole)], color=colour, alpha=0.12, lw=0)


def _references(axis, result):
    """Draws published values; the sentence about them."""
    given = result.deck.series.reference
    for kind, mark in (("experiment", "*"), ("simulation", "X")):
        for k, one in enumerate(row for row in given if row.kind == kind):
            value, error = _siemens(one.conductivity), _siemens(one.error or 0.0)
            axis.errorbar(1000 / one.temperature, value * one.temperature, error * one.temperature, fmt=mark, ms=11 if mark == "*" else 8, color=ORANGE if mark == "*" else PURPLE,
                          mec=BLACK, mew=0.6, capsize=2, label=f"published {kind}" if k == 0 else None, zorder=4)
    if not any(one.kind == "experiment" for one in given):
        axis.text(0.98, 0.98, "no experimental points:\nnone with a checked source", transform=axis.transAxes, ha="right", va="top", fontsize=8, color=GREY)
        told = "No experimental points are shown, because none with a checked source was given."
    else:
        told = ""
    sources = [f"{one.kind} at {one.temperature:g} K: {one.source}" for one in given]
    return (told + (" " if told and sources else "") + ("Published values: " + "; ".join(sources) + "." if sources else "")).strip()


def _siemens(inside):
    from ...core.units import in_unit
    return in_unit(inside, "S/m")


def speed_up(result, figure):
    """Measured speed-up and the law, against temperature and against size."""
    strongest = result.speed.strongest()
    if not strongest:
        return None
    left, right = figure.subplots(1, 2, sharey=True)
    sizes = sorted({one.supercell for one in strongest}, key=lambda size: (math.prod(size), size))
    for k, size in enumerate(sizes):
        mine = sorted((one for one in strongest if one.supercell == size), key=lambda one: one.temperature)
        name = f"{mine[0].ions} ions"
        _pair(left, [one.temperature for one in mine], mine, CYCLE[k % len(CYCLE)], name)
    temperatures = sorted({one.temperature for one in strongest})
    for k, temperature in enumerate(temperatures):
        mine = sorted((one for one in strongest if one.temperature == temperature), key=lambda one: one.ions)
        colour = CYCLE[k % len(CYCLE)]
        _pair(right, [one.ions for one in mine], mine, colour, f"{temperature:g} K")
        first = mine[0]
        reach = np.geomspace(first.ions, max(first.ions * max(1.0, GOAL / first.law.value) * 1.3, mine[-1].ions), 20)
        right.plot(reach, first.law.value * reach / first.ions, color=colour, lw=0.9, ls=":")
    for axis, label in ((left, "temperature (K)"), (right, "ions")):
        axis.axhline(GOAL, color=GREY, ls="--", lw=1)
        axis.set_yscale("log")
        axis.set_xlabel(label)
        axis.legend(fontsize=7)
    right.set_xscale("log")
    left.set_ylabel("speed-up over equilibrium S")
    x = [one.strength for one in strongest]
    bound = " Arrows up: the window is the longest that the run allows, a lower bound of the law and of the measurement." if any(one.bounded for one in strongest) else ""
    return ("How many times longer an equilibrium run must be for the error of the constant-current run. Filled: measured, S = ε²τ(equilibrium)/ε²τ(constant current), the "
            "equilibrium error from the scatter of Einstein-Helfand windows t*, bars one standard error; open squares: the law S = Σ(t*)/3k_B with the entropy that the "
            f"driven run produced. t* is 4/3 of the memory of the charge displacement found at each temperature.{bound} Dotted: the law at fixed drive, proportional to the "
            f"number of ions; dashed: 100. Drive q E a/2k_BT = {min(x):.2f} to {max(x):.2f}. {conditions(result)}")


def _pair(axis, where, entries, colour, name):
    law = np.array([one.law.value for one in entries])
    axis.errorbar(where, law, [min(one.law.error, 0.9 * one.law.value) for one in entries], fmt="s", mfc="white", color=colour, ms=9, lw=1, capsize=2, label=f"law, {name}")
    have = [(x, one) for x, one in zip(where, entries) if one.measured is not None]
    if have:
        axis.errorbar([x for x, _ in have], [one.measured.value for _, one in have], [min(one.measured.error, 0.9 * one.measured.value) for _, one in have], fmt="o", color=colour,
                      ms=5, lw=1.2, capsize=2, label=f"measured, {name}")
    for x, one in zip(where, entries):
        if one.bounded:
            axis.annotate("", (x, one.law.value * 1.7), (x, one.law.value), arrowprops={"arrowstyle": "->", "color": colour, "lw": 0.9})


def drives(result, figure):
    """sigma over its value without drive, against the square of the drive."""
    shown = [(cell, kind) for cell in result.cells for kind in cell.levels if len(cell.levels[kind]) > 1]
    if not shown:
        return None
    kinds = [kind for kind in ("constant_current", "constant_field") if any(kind == one for _, one in shown)]
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axis, kind in zip(panels, kinds):
        mine = [cell for cell, one in shown if one == kind]
        for k, cell in enumerate(mine):
            _drives(axis, result, cell, kind, CYCLE[k % len(CYCLE)], 0.006 * (k - (len(mine) - 1) / 2))
        axis.axhline(1.0, color=GREY, lw=0.8)
        axis.set_title(ROUTES[kind][2], fontsize=10)
        axis.set_xlabel("(drive / largest drive)²")
        axis.legend(fontsize=7)
    panels[0].set_ylabel("σ / σ without drive")
    return ("Conductivity against the square of the drive; open: extrapolated to none, bars one standard error (markers are shifted sideways a little). Fitted is what has "
            f"Gaussian errors: 1/σ at constant current, σ at constant field. {conditions(result)}")


def _drives(axis, result, cell, kind, colour, aside):
    found, levels = cell.drives[kind], cell.levels[kind]
    largest, base = max(drive for drive, _ in levels), found.value.value
    size = f", {size_word(cell.supercell)}" if len(result.fits) > 1 else ""
    axis.errorbar([(drive / largest) ** 2 + aside for drive, _ in levels], [e.value / base for _, e in levels], [e.error / base for _, e in levels], fmt=ROUTES[kind][1], ms=5,
                  color=colour, capsize=2, label=f"{cell.temperature:g} K{size}")
    axis.errorbar([aside], [1.0], [found.value.error / base], fmt=ROUTES[kind][1], ms=6, mfc="white", color=colour, capsize=2)
    x, change = np.linspace(0, 1, 30), found.change.value
    axis.plot(x, 1 / (1 - x * change / (1 + change)) if kind == "constant_current" else 1 + x * change, color=colour, lw=1, alpha=0.7)


def routes(result, figure):
    """Each route over the weighted mean of its cell."""
    shown = [cell for cell in result.cells if cell.agreement]
    if not shown:
        return None
    axis = figure.add_subplot()
    for k, (route, (colour, mark, word)) in enumerate((r, look) for r, look in ROUTES.items() if r != "nernst_einstein"):
        have = [(i, cell) for i, cell in enumerate(shown) if route in cell.routes]
        if have:
            means = [math.exp(cell.agreement[0]) for _, cell in have]
            axis.errorbar([i + 0.12 * (k - 1) for i, _ in have], [cell.routes[route].value / m for (_, cell), m in zip(have, means)],
                          [cell.routes[route].error / m for (_, cell), m in zip(have, means)], fmt=mark, color=colour, capsize=2, ms=6, label=word)
    axis.axhline(1.0, color=GREY, lw=0.8)
    several = len(result.fits) > 1
    axis.set_xticks(range(len(shown)), [f"{cell.temperature:g} K" + (f"\n{size_word(cell.supercell)}" if several else "") + f"\np = {cell.agreement[4]:.2g}" for cell in shown])
    axis.set_xlim(-0.5, len(shown) - 0.5)
    axis.set_ylabel("σ / weighted mean of the routes")
    axis.legend(fontsize=8)
    return ("The routes to one conductivity, each over the weighted mean of all; bars are one standard error, p is the chance of a larger chi-square of their logarithms if "
            f"they are equal. {conditions(result)}")


PLOTS = (("arrhenius", "Conductivity against temperature", arrhenius, (7.2, 6.0)), ("speed_up", "Speed-up over equilibrium", speed_up, (8.4, 4.4)),
         ("routes", "Agreement of the routes", routes, (6.6, 4.2)), ("drives", "Conductivity without drive", drives, (8.4, 4.4)))
