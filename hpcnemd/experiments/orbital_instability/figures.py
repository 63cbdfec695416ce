"""Figures of Lyapunov spectra."""
from itertools import cycle

import numpy as np

from ...analysis.lyapunov import lorentz_gas
from ..ionic_conductivity.figures import BLACK, BLUE, CYCLE, RED

FULL = 6                # a spectrum with fewer exponents is no picture


def conditions(result):
    s = result.settings
    return f"Error bars: standard errors from {s['blocks']} blocks of each of {s['replicas']} replicas; reduced units."


def spectra(result, figure):
    """Exponents by index, pairs above each other; systems at rest and driven ones side by side."""
    found = {case: growth for case, growth in result.curves["cases"].items() if case.columns >= FULL}
    groups = [{case: growth for case, growth in found.items() if (case.kind == "colour_field") == driven} for driven in (False, True)]
    groups = [group for group in groups if group]
    if not groups:
        return None
    for axis, group in zip(figure.subplots(1, len(groups), squeeze=False)[0], groups):
        for (case, growth), colour in zip(group.items(), cycle(CYCLE)):
            _spectrum(axis, case, growth.spectrum, colour)
        axis.axhline(0, color=BLACK, lw=0.8)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlabel("index i of the pair")
        axis.set_ylabel("Lyapunov exponent λ (1/time)")
        axis.legend(fontsize=7)
    return ("Lyapunov spectra: λ_i (filled) and its partner λ_(D+1−i) (open); lines: half their sums, which are 0 in equilibrium and −⟨α⟩/2 under an isokinetic thermostat, but for the "
            "last pair, of the flow and the kinetic energy. " + conditions(result))


def _spectrum(axis, case, spectrum, colour):
    ordered = np.argsort(spectrum.exponents)[::-1]
    values, errors = spectrum.exponents[ordered], spectrum.errors[ordered]
    half = -(-len(values) // 2)
    index = np.arange(1, half + 1)
    axis.errorbar(index, values[:half], errors[:half], color=colour, fmt="o", ms=3.5, capsize=2, label=case.name)
    if len(values) == 2 * half:
        axis.errorbar(index, values[::-1][:half], errors[::-1][:half], color=colour, fmt="s", ms=3.5, capsize=2, mfc="none")
        axis.plot(index, 0.5 * (values[:half] + values[::-1][:half]), color=colour, lw=1)


def lorentz(result, figure):
    """lambda / n of the random gas."""
    found = {case.value: growth.largest() for case, growth in result.curves["cases"].items() if case.system == "random"}
    if len(found) < 2:
        return None
    axis = figure.add_subplot()
    density = np.array(sorted(found))
    axis.errorbar(density, [found[n].value / n for n in density], [found[n].error / n for n in density], color=BLUE, fmt="o", ms=5, capsize=3, label="events, ± one standard error")
    line = np.geomspace(density[0] / 2, density[-1] * 1.5, 50)
    axis.plot(line, [lorentz_gas(n) for n in line], color=RED, ls="--", label="kinetic theory, low density")
    axis.set_xscale("log")
    axis.set_xticks(density, [f"{n:g}" for n in density])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("density n a²")
    axis.set_ylabel("λ / (n a v)")
    axis.legend()
    return "Largest Lyapunov exponent of the random Lorentz gas (overlapping discs) over the density; the theory holds in the limit of low density. " + conditions(result)


def driven(result, figure):
    """Contraction and entropy production against the field."""
    found = {case: growth for case, growth in result.curves["cases"].items() if case.kind == "colour_field"}
    if not found:
        return None
    left, right = figure.subplots(1, 2)
    fields = np.array([case.value for case in found])
    n = next(iter(found)).columns // 4
    sums = [growth.spectrum.sum for growth in found.values()]
    left.errorbar(fields, [-one[0] for one in sums], [one[1] for one in sums], color=BLUE, fmt="o", ms=6, capsize=3, label="−Σ λ")
    rates = [growth.mean(growth.contraction) for growth in found.values()]
    left.plot(fields, [one.value for one in rates], "x", color=RED, ms=9, label="measured contraction, (dN − 1)⟨α⟩")
    left.set_xlabel("field (reduced)")
    left.set_ylabel("rate (k_B per time)")
    left.legend(fontsize=8)
    for (case, growth), colour in zip(found.items(), cycle(CYCLE)):
        ordered = np.sort(growth.spectrum.exponents)[::-1]
        alpha = growth.contraction.sum() / growth.times.sum() / (2 * n - 1)
        right.plot(np.arange(1, 2 * n + 1), ordered[:2 * n] + ordered[::-1][:2 * n], "o", ms=4, color=colour, label=f"field {case.value:g}")
        right.axhline(-alpha, color=colour, ls="--", lw=1)
    right.xaxis.get_major_locator().set_params(integer=True)
    right.set_xlabel("index of the pair")
    right.set_ylabel("sum of the pair (1/time)")
    right.legend(fontsize=8)
    return ("Colour-driven discs with an isokinetic thermostat. Left: minus the sum of all exponents and the contraction of phase space along the trajectory. Right: sums of conjugate pairs; "
            "dashed: −⟨α⟩. The last pair, of the flow and the kinetic energy, is 0. " + conditions(result))


PLOTS = (("spectra", "Lyapunov spectra", spectra, (9.0, 4.8)), ("lorentz", "The random Lorentz gas", lorentz, (6.4, 4.2)),
         ("driven", "Driven: contraction and pairing", driven, (8.6, 4.0)))
