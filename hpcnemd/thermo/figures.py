"""Figures: binary diagram with tie lines, G(x) with its common tangents, K(T), lines of standard Gibbs energy (Ellingham), heat capacities and what
follows from them, saturation curves. PNG and PDF; every figure has a caption with what was computed, from which data."""
import textwrap
from itertools import groupby
from pathlib import Path

import numpy as np

from .units import GAS_CONSTANT

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9")       # Okabe and Ito: told apart by colour-blind readers too


def _figure(rows=1, columns=1, size=(6.4, 4.8)):
    from matplotlib.figure import Figure
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_prop_cycle(color=_COLOURS)
        axes.grid(color="0.92", lw=0.6)
        axes.set_axisbelow(True)
    return figure, grid[0, 0] if grid.size == 1 else grid


def _caption(figure, text):
    figure.supxlabel("\n".join(textwrap.wrap(text, int(17 * figure.get_figwidth()))), fontsize=7.5, x=0.02, ha="left", color="0.25")
    return figure


def source_text(data, gas_constant):
    """What a caption says of the data: name, hash, gas constant. `data` a ledger.DataSet."""
    return f"Data: {Path(data.name).name}{f' (SHA-256 {data.sha256[:12]})' if data.sha256 else ''}; gas constant {gas_constant:.10g} J/mol/K."


def save(figure, folder, name):
    """Writes name.png and name.pdf; returns the paths."""
    paths = [Path(folder) / f"{name}.{kind}" for kind in ("png", "pdf")]
    for path in paths:
        figure.savefig(path, dpi=160, metadata={"CreationDate": None} if path.suffix == ".pdf" else None)
    return paths


def _curves(samples):
    """[(names of the two phases, T (n,), x (n, 2))], one for each two-phase field between two changes of the order of fields."""
    for _, run in groupby(samples, key=lambda sample: tuple(line.phases for line in sample[1])):
        run = list(run)
        for k, first in enumerate(run[0][1]):
            yield first.phases, np.array([t for t, _ in run]), np.array([lines[k].x for _, lines in run])


def binary_diagram(diagram, components, source="", every=4):
    """T against x of a `diagram.Diagram`: field boundaries, a tie line at every `every`-th temperature, invariants."""
    tie_lines = [(t, *line.x) for t, lines in list(zip(diagram.temperatures, diagram.lines))[::every] for line in lines or ()]
    worst = max((line.residual for _, lines in diagram.samples for line in lines), default=0.0)
    return _diagram(_curves(diagram.samples), tie_lines, diagram.invariants, components,
                    f"Boundaries, tie lines (grey) and invariants (black) of least Gibbs energy by common tangents; chemical potentials of both ends equal to {worst:.1g} J/mol. {source}")


def engine_diagram(diagram, components, source=""):
    """T against x of a `calphad_map.EngineDiagram`."""
    return _diagram(diagram.fields, diagram.lines, diagram.invariants, components,
                    f"Boundaries and invariants (black) by the mapping of pycalphad; tie lines (grey) asked again by equilibria in their middle, ends equal to "
                    f"{diagram.misses:.1g}{f', {len(diagram.unconfirmed)} not confirmed' if diagram.unconfirmed else ''}. {source}")


def _diagram(fields, tie_lines, invariants, components, caption):
    """Boundaries in the colour of the single phase beside them, from [(names, T (n,), x (n, 2))]; `tie_lines` [(T, x, x)]."""
    figure, axes = _figure()
    for t, *ends in tie_lines:
        axes.plot(ends, (t, t), color="0.82", lw=0.8, zorder=1)
    colours, room = {}, {}
    for names, t, x in fields:
        for name, end in zip(names, x.T):
            axes.plot(end, t, color=colours.setdefault(name, _COLOURS[len(colours) % len(_COLOURS)]), lw=1.6, marker="." if len(t) == 1 else None)
        for name in names:
            axes.plot([], [], color=colours[name], label=name) if name not in axes.get_legend_handles_labels()[1] else None
        space = (x[:, 1] - x[:, 0]) * np.minimum(t - t[0], t[-1] - t)
        k = int(np.argmax(space))
        if space[k] > room.get(names, (0,))[0] and x[k, 1] - x[k, 0] > 0.15:
            room[names] = space[k], x[k].mean(), t[k]
    for names, (_, x, t) in room.items():
        axes.text(x, t, " + ".join(names), ha="center", va="center", fontsize=8, color="0.3", bbox={"fc": "white", "ec": "none", "pad": 1, "alpha": 0.8})
    for inv in invariants:
        axes.plot(inv.x, (inv.temperature,) * len(inv.x), "k-" if len(inv.x) > 2 else "ko", lw=1.4, ms=3.5, zorder=3)
    axes.set(xlim=(0, 1), xlabel=f"mole fraction of {components[1]}", ylabel="temperature (K)", title=f"{components[0]}-{components[1]}")
    if colours:
        axes.legend(fontsize=9)
    return _caption(figure, caption)


def gibbs_curves(phases, lines, temperature, components, gas_constant=GAS_CONSTANT, source=""):
    """g(x) of all phases at one temperature with the common tangents, and below it their height over the lowest of both: the stable state is zero."""
    figure, grid = _figure(2, 1, (6.4, 6.4))
    top, bottom = grid[:, 0]
    x = np.linspace(1e-4, 1 - 1e-4, 1200)
    frozen = [p.at(temperature, gas_constant) for p in phases]
    curves = {f.name: f.g(np.log(x / (1 - x))) for f in frozen if not f.fixed}
    least = np.min(list(curves.values()), axis=0) if curves else np.full(len(x), np.inf)
    for line in lines:
        inside = (x >= line.x[0]) & (x <= line.x[1])
        least[inside] = (1 - x[inside]) * line.mu[0] + x[inside] * line.mu[1]
    for name, g in curves.items():
        top.plot(x, g / 1e3, label=name)
        bottom.plot(x, g - least)
    for f in frozen:
        if f.fixed:
            point, = top.plot(f.x, f.value / 1e3, "o", label=f.name)
            bottom.plot(f.x, f.value - np.interp(f.x, x, least), "o", color=point.get_color())
    for k, line in enumerate(lines):
        top.plot((0, 1), np.array(line.mu) / 1e3, "k--", lw=0.8, label=None if k else "common tangent")
        top.plot(line.x, [((1 - xi) * line.mu[0] + xi * line.mu[1]) / 1e3 for xi in line.x], "ko", ms=4)
        bottom.plot(line.x, (0, 0), "ko", ms=4)
    top.set(xlim=(0, 1), ylabel="Gibbs energy (kJ/mol of atoms)", title=f"{components[0]}-{components[1]}, {temperature:g} K")
    top.legend(fontsize=9)
    heights = np.concatenate([g - least for g in curves.values()]) if curves else np.zeros(1)
    bottom.set(xlim=(0, 1), ylim=(-0.03 * (np.percentile(heights, 60) + 1), np.percentile(heights, 60) + 1), xlabel=f"mole fraction of {components[1]}",
               ylabel="height over the stable state (J/mol of atoms)")
    return _caption(figure, f"Gibbs energy of each phase; a tangent meets the axes at the chemical potentials of the two components. {source}")


def equilibrium_constants(names, temperatures, ln_k, reference_pressure, source=""):
    """ln K (reactions, temperatures) against 1000 K/T."""
    figure, axes = _figure()
    for name, values in zip(names, ln_k):
        axes.plot(1000 / np.asarray(temperatures), values, label=name)
    axes.axhline(0, color="0.6", lw=0.8)
    axes.set(xlabel="1000 K / T", ylabel="ln K")
    axes.legend(fontsize=9)
    return _caption(figure, f"ln K = -standard Gibbs energy of reaction/RT, gases at {reference_pressure / 1e5:g} bar. {source}")


def standard_lines(names, temperatures, gibbs, per, reference_pressure, source=""):
    """Standard Gibbs energies (reactions, temperatures) in J per mole of `per` against T: an Ellingham-like diagram. The lower line reduces the upper one."""
    figure, axes = _figure()
    for name, values in zip(names, gibbs):
        axes.plot(temperatures, np.asarray(values) / 1e3, label=name)
    axes.set(xlabel="temperature (K)", ylabel=f"standard Gibbs energy (kJ per mol of {per})")
    axes.legend(fontsize=9)
    return _caption(figure, f"Standard Gibbs energy of reaction per mole of {per}, gases at {reference_pressure / 1e5:g} bar. {source}")


def heat_capacities(calorics, temperatures, transitions=(), source=""):
    """Cp, H, S and G of one or more `cp.Caloric` within their ranges; `transitions` [(T, label)] as vertical lines."""
    figure, grid = _figure(2, 2, (7.6, 6.0))
    for axes, method, label, scale in zip(grid.flat, ("cp", "h", "s", "g"), ("heat capacity (J/mol/K)", "enthalpy (kJ/mol)", "entropy (J/mol/K)", "Gibbs energy (kJ/mol)"), (1, 1e3, 1, 1e3)):
        for c in calorics:
            low, high = max(c.low, np.min(temperatures)), min(c.high, np.max(temperatures))
            if low < high:
                # both sides of a joint, so that a latent heat is a step
                joints = [t for s in c.segments[:-1] if low < s.high < high for t in (s.high, np.nextafter(s.high, np.inf))]
                t = np.unique(np.concatenate([np.linspace(low, high, 400), joints]))
                axes.plot(t, getattr(c, method)(t) / scale, label=c.name)
        for t, _ in transitions:
            axes.axvline(t, color="0.5", lw=0.8, ls=":")
        axes.set(xlabel="temperature (K)", ylabel=label)
    grid[0, 0].legend(fontsize=9)
    where = "; dotted: " + ", ".join(f"{label} at {t:.2f} K" for t, label in transitions) if transitions else ""
    return _caption(figure, f"H and S are exact integrals of Cp, G = H - TS{where}. {source}")


def saturation(rows, name, units):
    """Coexisting densities and ln p against 1/T. `rows` (n, 6) T, p, rho_gas, rho_liquid, latent heat, dp/dT; `units` of T, p and density."""
    figure, grid = _figure(1, 2, (8.0, 4.2))
    t, p, gas, liquid = np.asarray(rows, float).T[:4]
    left, right = grid[0]
    for density, label in ((gas, "gas"), (liquid, "liquid")):
        left.plot(density, t, ".-", label=label)
    left.plot(0.5 * (gas + liquid), t, ":", color="0.4", label="mean of both")
    left.set(xlabel=f"density{units[2]}", ylabel=f"temperature{units[0]}")
    left.legend(fontsize=9, loc="lower left", bbox_to_anchor=(0.08, 0.02))
    right.semilogy(1 / t, p, ".-")
    right.set(xlabel=f"1/T{units[0].replace('K', '1/K')}", ylabel=f"saturation pressure{units[1]}")
    return _caption(figure, f"Liquid and gas of equal pressure and chemical potential, {name}.")


def driving_forces(x, factor, stable, profile, wall, title, source=""):
    """Thermodynamic factor over x with the spinodal and the gap, a diffusion couple, and an interface. `stable` (spinodal pairs, gaps); `profile` (z, start,
    end, end with a constant D) m or None; `wall` (z, x) m or None."""
    columns = 1 + (profile is not None) + (wall is not None)
    figure, grid = _figure(1, columns, (3.6 * columns if columns > 1 else 6.4, 3.8))
    panels = iter(np.atleast_2d(grid)[0])
    axes = next(panels)
    spinodals, gaps = stable
    for k, (low, high) in enumerate(gaps):
        axes.axvspan(low, high, color=_COLOURS[3], alpha=0.15, lw=0, label=None if k else "miscibility gap")
    for k, (low, high) in enumerate(spinodals):
        axes.axvspan(low, high, color=_COLOURS[1], alpha=0.25, lw=0, label=None if k else "inside the spinodal")
    axes.plot(x, factor, color=_COLOURS[0])
    axes.axhline(0, color="0.5", lw=0.8)
    axes.set(xlim=(0, 1), xlabel="mole fraction", ylabel=r"thermodynamic factor $D_{chem}/D_\sigma$", title=title)
    axes.legend(fontsize=8) if spinodals or gaps else None
    if profile is not None:
        axes, (z, start, end, constant) = next(panels), profile
        for values, label, style in ((start, "at the start", ":"), (end, r"$D_{chem}=\Gamma D_\sigma$", "-"), (constant, r"$\Gamma=1$", "--")):
            axes.plot(z * 1e6, values, style, label=label)
        axes.set(xlabel="position (µm)", ylabel="mole fraction", title="diffusion couple")
        axes.legend(fontsize=8)
    if wall is not None:
        axes, (z, values) = next(panels), wall
        reach = 3 * (np.interp(0.9, (values - values[0]) / np.ptp(values), z) - np.interp(0.1, (values - values[0]) / np.ptp(values), z))
        axes.plot(z * 1e9, values)
        axes.set(xlim=(-reach * 1e9, reach * 1e9), xlabel="position (nm)", ylabel="mole fraction", title="interface of the gap")
    return _caption(figure, f"Thermodynamic factor from the second derivative of the Gibbs energy; profiles by the diffusion equation and by the gradient energy. {source}")


def activities(x, a, mixing, components, unstable, gaps, source):
    """Activities (n, 2) and Gibbs energy of mixing (J/mol) over x (n,), with the unstable parts and the ends of miscibility gaps."""
    figure, grid = _figure(1, 2, (8.4, 4.2))
    left, right = grid[0]
    for k, name in enumerate(components):
        left.plot(x, a[:, k], color=_COLOURS[k], label=f"activity of {name}")
        left.plot(x, x if k else 1 - x, ":", color=_COLOURS[k], lw=0.9, label=None if k else "ideal")
    right.plot(x, mixing / 1e3, color=_COLOURS[2])
    for axes in (left, right):
        for k, (low, high) in enumerate(unstable):
            axes.axvspan(low, high, color=_COLOURS[1], alpha=0.15, lw=0, label=None if k else "unstable")
        axes.set(xlim=(0, 1), xlabel=f"mole fraction of {components[1]}")
    for k, ends in enumerate(gaps):
        right.plot(ends, np.interp(ends, x, mixing) / 1e3, "ko--", ms=4, lw=0.8, label=None if k else "common tangent")
    left.set(ylim=(0, None), ylabel="activity")
    right.set(ylabel="Gibbs energy of mixing (kJ/mol)")
    left.legend(fontsize=8)
    right.legend(fontsize=8) if unstable or gaps else None
    return _caption(figure, f"Activities and Gibbs energy of mixing over the pure components: {source}")


def free_energies(t, u, u_error, f, f_error, compared, source):
    """U(T) as measured, and F(T) of its integral; below, F less the integral of Cp (J/mol) where that is given, else the standard error of F."""
    figure, grid = _figure(1, 2, (8.4, 4.2))
    left, right = grid[0]
    left.errorbar(t, u / 1e3, u_error / 1e3, fmt=".-", label="U, as given")
    left.plot(t, f / 1e3, ".-", label="F, integral of U/T²")
    left.set(xlabel="temperature (K)", ylabel="energy (kJ/mol)")
    left.legend(fontsize=9)
    if compared is None:
        right.plot(t, f_error, ".-")
        right.set(xlabel="temperature (K)", ylabel="standard error of F (J/mol)")
    else:
        right.errorbar(t, f - compared, f_error, fmt=".")
        right.axhline(0, color="0.5", lw=0.8)
        right.set(xlabel="temperature (K)", ylabel="F less the integral of Cp (J/mol)")
    return _caption(figure, f"F/T = F0/T0 - integral of U/T² dT, cubic spline in 1/T; bars: standard errors, those of F by the linear weights of the integral. {source}")
