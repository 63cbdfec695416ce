"""The picture of the current through a polycrystal or composite."""
from pathlib import Path

import numpy as np

from ...analysis.current_map import BLOCKS, current_map
from ...core.units import in_unit
from ...storage.trajectory import Trajectory
from ..building.picture import COLOURS


def of_folder(folder, settings, grain):
    """(CurrentMap, share (nx,) of the ions in each slice along the drive that began in each grain) of the first trajectory of a driven run that is long
    enough, or None. `grain` (n,) by ion."""
    if settings["mode"] == "none":
        return None
    for path in sorted(Path(folder).glob("trajectory*.h5md")):
        with Trajectory(path) as found:
            if len(found) < 2 * BLOCKS + 1:
                continue
            drive = "xyz".index(settings["direction"])
            across = max((axis for axis in range(3) if axis != drive), key=lambda axis: found.edges[0][axis])
            moves = np.array([name in settings["mobile"] for name in found.names])[found.species]
            made = current_map((found.unwrapped(k) for k in range(len(found))), found.time, found.edges[0], found.formal_charge, found.mass, moves,
                               (drive, across))
            place = found.unwrapped(0)[~moves, drive] % found.edges[0][drive]
            shares = np.array([np.histogram(place[grain[~moves] == k], made.edges[0])[0] for k in range(grain.max() + 1)])
            return made, shares / np.maximum(shares.sum(axis=0), 1)
    return None


def plot(result, figure, made, shares):
    """Draws the map and the profile along the drive into the figure and returns its caption."""
    from .figures import BLUE, BLACK, conditions
    unit = in_unit(1.0, "A/cm^2") * 1e-6
    across, along = (made.edges[k] for k in (1, 0))
    drive, other = made.axes
    first, second = figure.subplots(2, 1, sharex=True, height_ratios=[1.3, 1])
    density = made.density[:, :, drive].T * unit
    limit = np.abs(density).max()
    picture = first.pcolormesh(along, across, density, cmap="RdBu_r", vmin=-limit, vmax=limit, rasterized=True)
    x, y = (0.5 * (edge[1:] + edge[:-1]) for edge in made.edges)
    first.quiver(x, y, made.density[:, :, drive].T, made.density[:, :, other].T, angles="xy", width=0.002, color="#333333")
    first.set_aspect("equal")
    first.grid(False)
    first.set_ylabel(f"{'xyz'[other]} (Å)")
    figure.colorbar(picture, ax=first, label="current density (10$^6$ A/cm²)")
    second.fill_between(x, (made.profile - made.profile_error) * unit, (made.profile + made.profile_error) * unit, color=BLUE, alpha=0.25, lw=0)
    second.plot(x, made.profile * unit, color=BLUE, label="current through the slice")
    second.axhline(made.profile.mean() * unit, color=BLACK, ls="--", lw=1, label="mean")
    second.set_xlabel(f"{'xyz'[drive]}, along the drive (Å)")
    second.set_ylabel("current density\n(10$^6$ A/cm²)")
    owner, bottom = shares.argmax(axis=0), second.get_ylim()[0]
    second.scatter(x, np.full(len(x), bottom), c=[COLOURS[k % len(COLOURS)] for k in owner], marker="s", s=28, clip_on=False, zorder=3)
    handles, labels = second.get_legend_handles_labels()
    from matplotlib.lines import Line2D
    for k in np.unique(owner):
        handles.append(Line2D([], [], ls="", marker="s", color=COLOURS[k % len(COLOURS)]))
        labels.append(f"grain {k}")
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=9)
    noise = np.median(made.error[:, :, drive]) * unit
    return (f"Current density of the mobile ions, relative to the framework, from {made.frames} frames over {made.time / 1000:g} ps: each displacement counts at its "
            f"midpoint, in cells of {along[1] - along[0]:.1f} × {across[1] - across[0]:.1f} Å through the whole cell; colour: along the drive, arrows: in the plane; "
            f"standard error of a cell {noise:.2g} × 10⁶ A/cm² (median, {BLOCKS} blocks). Below: mean over each slice across the drive with its standard error, "
            f"which a steady state makes uniform (p = {made.uniform_p:.2g}); squares: the grain of its framework. {conditions(result)}")
