"""The edges of the cell at constant pressure, and the order of the sites, against time."""
import numpy as np

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9")


def plot(result, figure):
    """Draws both into the figure and returns its caption; None where the run had neither a barostat nor site classes."""
    cell, order = result.curves.get("cell"), result.curves.get("order")
    if cell is None and order is None:
        return None
    panels = figure.subplots(2 if cell is not None and order is not None else 1, 1, sharex=True, squeeze=False)[:, 0]
    s, told = result.numbers["settings"], []
    if cell is not None:
        told.append(_edges(panels[0], result.numbers["cell"], *cell))
    if order is not None:
        told.append(_order(panels[-1], *order))
    panels[-1].set_xlabel("time since the start of the run (ps)")
    figure.align_ylabels()
    atoms = ", ".join(f"{n} {name}" for name, n in zip(s["species"], s["counts"]) if n)
    return " ".join(told) + f" {atoms}, {s['temperature_K']:g} K, thin lines: replicas."


def _edges(axis, numbers, time, edges):
    same = np.ptp(edges, axis=2).max() < 1e-9
    for k, (name, colour) in enumerate(zip("xyz", COLOURS)):
        if same and k:
            break
        for row in edges:
            axis.plot(time / 1e3, row[:, k], color=colour, lw=0.8, alpha=0.6)
        entry = numbers["edges"][k]
        kept = np.array([time[len(time) // 2], time[-1]]) / 1e3
        label = f"{'all edges' if same else 'l' + name if 'skew' in numbers else name}: {entry['value']:.4f} ± {entry['error']:.2g} Å"
        axis.plot(kept, [entry["value"]] * 2, color=colour, lw=2, label=label)
        axis.fill_between(kept, entry["value"] - entry["error"], entry["value"] + entry["error"], color=colour, alpha=0.25, lw=0)
    axis.set_ylabel("cell edge (Å)")
    axis.legend(fontsize=9)
    pressure = np.mean([entry["value"] for entry in numbers["pressure"]])
    return (f"Block means of the edges of the cell at constant pressure (mean virial pressure {pressure:.2g} GPa); thick: mean of the second half over all replicas "
            "with its standard error (block averages), the cell of all that follows.")


def _order(axis, labels, parts):
    """`parts`: [(time fs (t,), order parameters (R, t, k))] of the phases."""
    for k, label in enumerate(labels):
        colour = COLOURS[k % len(COLOURS)]
        for number, (time, values) in enumerate(parts):
            for row in values:
                axis.plot(time / 1e3, row[:, k], color=colour, lw=0.8, alpha=0.5)
            axis.plot(time / 1e3, values.mean(axis=0)[:, k], color=colour, lw=1.6, label=None if number else label)
    axis.axhline(0.0, color="#000000", lw=0.6)
    axis.set_ylim(-1.05, 1.05)
    axis.set_ylabel("order parameter")
    axis.legend(fontsize=9, ncols=4)
    return ("Order parameters of the site classes, means of blocks: occupation of a class less the mean of the others of its set, 1 in full order and 0 where "
            "they are alike; thick: mean over replicas.")
