"""Figures: the binary diagram with tie lines, G(x) with its common tangents, K(T), and lines of standard Gibbs energy (Ellingham). PNG and PDF."""
from pathlib import Path

import numpy as np

from .units import GAS_CONSTANT


def _axes(size=(6, 4.5)):
    from matplotlib.figure import Figure
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots()


def save(figure, folder, name):
    """Writes name.png and name.pdf; returns the paths."""
    paths = [Path(folder) / f"{name}.{kind}" for kind in ("png", "pdf")]
    for path in paths:
        figure.savefig(path, dpi=160, metadata={"CreationDate": None} if path.suffix == ".pdf" else None)
    return paths


def binary_diagram(diagram, components, every=4):
    """T against x with tie lines and invariants."""
    figure, axes = _axes()
    ends = {}
    for k, (t, lines) in enumerate(zip(diagram.temperatures, diagram.lines)):
        for line in lines or ():
            if k % every == 0:
                axes.plot(line.x, (t, t), color="0.85", lw=0.8, zorder=1)
            for name, x in zip(line.phases, line.x):
                ends.setdefault((name, line.phases), []).append((x, t))
    colours = {}
    for (name, _), points in ends.items():
        colour = colours.setdefault(name, f"C{len(colours)}")
        label = name if not any(h.get_label() == name for h in axes.get_lines()) else None
        axes.plot(*np.array(points).T, ".", ms=3, color=colour, label=label)
    for inv in diagram.invariants:
        axes.plot(inv.x, (inv.temperature,) * len(inv.x), "k-", lw=1.2)
    axes.set(xlim=(0, 1), xlabel=f"mole fraction of {components[1]}", ylabel="temperature (K)", title=f"{components[0]}-{components[1]}")
    if colours:
        axes.legend(frameon=False)
    return figure


def gibbs_curves(phases, lines, temperature, components, gas_constant=GAS_CONSTANT):
    """g(x) of all phases at one temperature with the common tangents."""
    figure, axes = _axes()
    x = np.linspace(1e-4, 1 - 1e-4, 600)
    for p in phases:
        f = p.at(temperature, gas_constant)
        if f.fixed:
            axes.plot(f.x, f.value, "o", label=p.name)
        else:
            axes.plot(x, f.g(np.log(x / (1 - x))), label=p.name)
    for line in lines:
        axes.plot((0, 1), line.mu, "k--", lw=0.8)
        axes.plot(line.x, [(1 - xi) * line.mu[0] + xi * line.mu[1] for xi in line.x], "ko", ms=4)
    axes.set(xlim=(0, 1), xlabel=f"mole fraction of {components[1]}", ylabel="Gibbs energy (J/mol of atoms)", title=f"T = {temperature:g} K")
    axes.legend(frameon=False)
    return figure


def equilibrium_constants(reactions, temperatures, gas_constant=GAS_CONSTANT):
    """ln K against 1000/T of several reactions."""
    figure, axes = _axes()
    t = np.asarray(temperatures, float)
    for r in reactions:
        axes.plot(1000 / t, r.ln_k(t, gas_constant), label=str(r))
    axes.axhline(0, color="0.7", lw=0.8)
    axes.set(xlabel="1000 K / T", ylabel="ln K")
    axes.legend(frameon=False)
    return figure


def standard_lines(reactions, temperatures, per):
    """Delta_r G0 (kJ per mole of `per`) against T: an Ellingham-like diagram."""
    from .reaction import standard_line
    figure, axes = _axes()
    for r in reactions:
        axes.plot(temperatures, standard_line(r, temperatures, per)[0] / 1e3, label=str(r))
    axes.set(xlabel="temperature (K)", ylabel=f"standard Gibbs energy (kJ per mol {per})")
    axes.legend(frameon=False)
    return figure
