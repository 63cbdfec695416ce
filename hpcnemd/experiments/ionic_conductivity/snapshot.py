"""A picture of the cell at the end of a run."""
import numpy as np

from ..building.picture import COLOURS, draw_cell, legend, project, sphere_radius


def plot(result, figure, positions, species, cell, grain=None):
    """Draws the frame into the figure and returns its caption; `cell` (3, 3) rows are the cell vectors. Mobile species come first in the colours (vermilion); with `grain` (n,) the ions of each grain
    have a colour of their own."""
    settings = result.numbers["settings"]
    names, charges = settings["species"], settings["formal_charges_e"]
    positions, species, lengths = np.asarray(positions, dtype=np.float64), np.asarray(species), np.linalg.norm(cell, axis=1)
    radius = np.array([sphere_radius(name, charge) for name, charge in zip(names, charges)])[species]
    axis = figure.add_subplot()
    if grain is None:
        order = sorted(range(len(names)), key=lambda s: (names[s] not in settings["mobile"], s))
        colours = {s: COLOURS[k % len(COLOURS)] for k, s in enumerate(order)}
        low = draw_cell(axis, positions, species, radius, cell, colours)
        legend(axis, [(colours[s], f"{names[s]} ({settings['counts'][s]})") for s in order if settings["counts"][s]])
    else:
        low = draw_cell(axis, positions, grain, radius, cell)
        legend(axis, [(COLOURS[k % len(COLOURS)], f"grain {k} ({n} ions)") for k, n in enumerate(np.bincount(grain)) if n])
    _arrow(axis, low, lengths, settings)
    mobile = " and ".join(settings["mobile"])
    told = "coloured by the grain in which they began, " if grain is not None else ""
    return (f"Last stored frame, cell {lengths[0]:.2f} × {lengths[1]:.2f} × {lengths[2]:.2f} Å in parallel projection, {told}far ions paler; mobile: {mobile}. "
            "Spheres are smaller than the ions.")


def _arrow(axis, low, lengths, settings):
    """The axes beside the cell; the driven one in vermilion."""
    unit = 0.17 * lengths.max()
    origin = np.array([low[0] - 0.5 * unit, low[1]])
    axis.set_xlim(low[0] - unit, None)
    for k, name in enumerate("xyz"):
        tip = project(np.eye(3)[k:k + 1] * unit)[0, :2]
        driven = settings["mode"].startswith("constant") and settings["direction"] == name
        colour = "#D55E00" if driven else "#555555"
        axis.annotate("", origin + tip, origin, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}, zorder=3)
        text = origin + tip * (1 + 0.22 * unit / np.hypot(*tip))
        axis.text(*text, f"{name}, drive" if driven else name, fontsize=8, color=colour, zorder=3, ha="left" if driven else "center", va="center")
