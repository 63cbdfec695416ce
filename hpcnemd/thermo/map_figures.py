"""Figures of property maps: coloured cells over two conditions, points where the grid has no rows and columns, lines over one condition."""
import numpy as np

from .figures import _COLOURS, _caption

SPARSE = 4.0            # a grid with more empty than filled places, so many times, is drawn as points
LOGARITHMIC = 100.0     # ratio of the ends from which pressures and amounts get a logarithmic axis


def unit(column):
    """SI unit of a condition of a sweep: of T, P, n(...); of a mole fraction none."""
    return {"T": "K", "P": "Pa"}.get(column, "mol" if column.startswith("n(") else "")


def draw(places, columns, status, quantities, caption):
    """One panel for each of `quantities` {name: property_maps.Quantity} over `places` (n, 1 or 2) of the conditions `columns`; `status` (n,), 2 for failed."""
    from matplotlib.figure import Figure
    many = len(quantities)
    across = min(3 if many > 4 else 2, many)
    down = -(-many // across)
    figure = Figure(figsize=((6.4, 9.6, 13.2)[across - 1], 0.6 + (4.4 if across == 1 else 3.6) * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes in grid.flat[many:]:
        axes.set_axis_off()
    for axes, one in zip(grid.flat, quantities.values()):
        _label(axes, columns, places)
        words = one.values.dtype.kind == "U"
        if places.shape[1] == 1:
            (_words_over_one if words else _line)(axes, places[:, 0], status, one)
        else:
            (_words_over_two if words else _colours)(figure, axes, places, status, one)
        _failed(axes, places[status == 2], words)
        if axes.get_legend_handles_labels()[1]:
            beside = words and places.shape[1] == 2
            axes.legend(fontsize=8, loc="upper left" if beside else "lower right", bbox_to_anchor=(1.0, 1.0))
    return _caption(figure, caption)


def _failed(axes, places, words):
    """Crosses where points failed: at their place, over one condition on a line of their own."""
    if len(places) and places.shape[1] == 2:
        axes.plot(*places.T, "kx", ms=4, mew=1.0, label=f"failed ({len(places)})", zorder=4)
    elif len(places) and not words:
        axes.plot(places[:, 0], np.full(len(places), 0.03), "kx", ms=4, mew=1.0, label=f"failed ({len(places)})", zorder=4, transform=axes.get_xaxis_transform())


def _label(axes, columns, places):
    names = [{"T": "temperature (K)", "P": "pressure (Pa)"}.get(c, f"mole fraction of {c[2:-1]}" if c.startswith("X(") else f"amount of {c[2:-1]} (mol)") for c in columns]
    axes.set_xlabel(names[0])
    axes.grid(color="0.92", lw=0.6)
    axes.set_axisbelow(True)
    if len(names) == 2:
        axes.set_ylabel(names[1])
    for k, (c, set_scale) in enumerate(zip(columns, (axes.set_xscale, axes.set_yscale))):
        if _logarithmic(c, places[:, k]):
            set_scale("log")


def _logarithmic(column, values):
    return (column == "P" or column.startswith("n(")) and values.min() > 0 and values.max() / values.min() >= LOGARITHMIC


def _edges(centres, logarithmic):
    """Ends of the cells around ascending centres."""
    c = np.log(centres) if logarithmic else np.asarray(centres, float)
    step = np.diff(c) if len(c) > 1 else np.ones(1)
    edges = np.concatenate([[c[0] - step[0] / 2], c[:-1] + step[:len(c) - 1] / 2, [c[-1] + step[-1] / 2]])
    return np.exp(edges) if logarithmic else edges


def _cells(axes, places, numbers, **how):
    """Cells where the points lie on rows and columns, else coloured points; what matplotlib needs for a colour bar. NaN stays empty."""
    (x, i), (y, j) = (np.unique(column, return_inverse=True) for column in places.T)
    if len(x) * len(y) > SPARSE * len(places):
        return axes.scatter(*places.T, c=numbers, s=22, edgecolors="0.4", linewidths=0.4, zorder=3, **how)
    image = np.full((len(y), len(x)), np.nan)
    image[j, i] = numbers
    return axes.pcolormesh(_edges(x, axes.get_xscale() == "log"), _edges(y, axes.get_yscale() == "log"), np.ma.masked_invalid(image), rasterized=True, **how)


def _colours(figure, axes, places, status, one):
    good = np.isfinite(one.values)
    if good.any():
        low, high = one.scale
        drawn = _cells(axes, places, one.values, cmap="viridis", vmin=low, vmax=high)
        figure.colorbar(drawn, ax=axes, label=one.label)
    else:
        axes.set_title(f"{one.label}: no value", fontsize=9)


def _words_over_two(figure, axes, places, status, one):
    """Each set of words in its colour, with the number of its points."""
    from matplotlib.colors import ListedColormap
    names = sorted(set(one.values[status == 1].tolist()))
    colours = _many_colours(len(names))
    numbers = np.array([names.index(v) if s == 1 else np.nan for v, s in zip(one.values, status)])
    if names:
        _cells(axes, places, numbers, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(names) - 0.5)
    for name, colour in zip(names, colours):
        axes.plot([], [], "s", color=colour, label=f"{name} ({int((one.values == name).sum())})")
    axes.set_title(one.label, fontsize=10)


def _many_colours(n):
    if n <= len(_COLOURS):
        return list(_COLOURS[:max(1, n)])
    from matplotlib import colormaps
    return [colormaps["turbo"](v) for v in np.linspace(0.05, 0.95, n)]


def _line(axes, x, status, one):
    order = np.argsort(x)
    axes.plot(x[order], one.values[order], ".-", color=_COLOURS[0])
    axes.set_ylabel(one.label)


def _words_over_one(axes, x, status, one):
    names = sorted(set(one.values[status == 1].tolist()))
    rows = [*names, f"failed ({int((status == 2).sum())})"] if (status == 2).any() else names
    at = np.array([names.index(v) if s == 1 else len(names) for v, s in zip(one.values, status)])
    for good, style, colour in ((True, "s", _COLOURS[0]), (False, "x", "k")):
        here = (status == 1) == good
        axes.plot(x[here], at[here], style, ms=4, color=colour)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_ylabel(one.label)
