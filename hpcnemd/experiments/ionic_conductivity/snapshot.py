"""A picture of the cell: spheres in parallel projection, sorted by depth, far ones paler."""
import numpy as np

# radius of the drawn sphere, angstrom, below the ionic radius so that the view stays open; other species by the sign of their charge
RADII = {"Li": 0.75, "Na": 0.85, "K": 1.0, "Ag": 0.9, "La": 0.65, "Zr": 0.5, "Ca": 0.7, "O": 0.6, "Cl": 0.85, "F": 0.6, "I": 1.0}
COLOURS = ("#D55E00", "#56B4E9", "#009E73", "#CC79A7", "#E69F00", "#0072B2", "#F0E442")
TURN, TILT = 0.42, 0.30         # rad: view from slightly right of the y axis and above


def plot(result, figure, positions, species, lengths):
    """Draws the frame into the figure and returns its caption. Mobile species come first in the colours (vermilion)."""
    from matplotlib.collections import EllipseCollection, LineCollection
    from matplotlib.lines import Line2D
    settings = result.numbers["settings"]
    names, charges = settings["species"], settings["formal_charges_e"]
    positions, species, lengths = np.asarray(positions, dtype=np.float64), np.asarray(species), np.asarray(lengths, dtype=np.float64)
    order = sorted(range(len(names)), key=lambda s: (names[s] not in settings["mobile"], s))
    colours = {s: COLOURS[k % len(COLOURS)] for k, s in enumerate(order)}
    axis = figure.add_subplot()
    axis.set_aspect("equal")
    axis.axis("off")
    centre = lengths / 2
    place = _project(positions - centre)
    corners = _project((np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5) * lengths)
    edges = [(a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1]
    axis.add_collection(LineCollection([corners[[a, b], :2] for a, b in edges], colors="#777777", linewidths=0.8, zorder=0))
    back = np.argsort(-place[:, 2], kind="stable")
    depth = place[back, 2]
    fade = 0.65 * (depth - depth.min()) / max(float(np.ptp(depth)), 1e-9)
    base = np.array([_rgb(colours[int(s)]) for s in species[back]])
    size = np.array([2 * _radius(names[int(s)], charges[int(s)]) for s in species[back]])
    colour = base * (1 - fade[:, None]) + fade[:, None]
    many = len(positions) > 2000
    # each sphere with its highlight, from back to front: two ellipses a sphere in one collection keep the depth order
    points = np.repeat(place[back, :2], 2, axis=0)
    points[1::2] += np.column_stack([-0.16 * size, 0.16 * size])
    width = np.repeat(size, 2)
    width[1::2] *= 0.34
    faces = np.repeat(colour, 2, axis=0)
    faces[1::2] = faces[1::2] * 0.45 + 0.55
    rim = np.repeat(colour * 0.55 + 0.25 * fade[:, None], 2, axis=0)
    rim[1::2] = faces[1::2]
    axis.add_collection(EllipseCollection(width, width, np.zeros(len(width)), units="xy", offsets=points, offset_transform=axis.transData,
                                          facecolors=np.clip(faces, 0, 1), edgecolors=np.clip(rim, 0, 1), linewidths=0.2 if many else 0.5, zorder=1, rasterized=True))
    low, high = corners[:, :2].min(axis=0) - 1.5, corners[:, :2].max(axis=0) + 1.5
    axis.set_xlim(low[0], high[0])
    axis.set_ylim(low[1], high[1])
    marks = [Line2D([], [], ls="", marker="o", ms=8, color=colours[s], label=f"{names[s]} ({settings['counts'][s]})") for s in order if settings["counts"][s]]
    axis.legend(handles=marks, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(marks), handletextpad=0.1)
    _arrow(axis, low, lengths, settings)
    mobile = " and ".join(settings["mobile"])
    return (f"Last stored frame, cell {lengths[0]:.2f} × {lengths[1]:.2f} × {lengths[2]:.2f} Å in parallel projection, far ions paler; mobile: {mobile}. "
            "Spheres are smaller than the ions.")


def _arrow(axis, low, lengths, settings):
    """The axes beside the cell; the driven one in vermilion."""
    unit = 0.17 * lengths.max()
    origin = np.array([low[0] - 0.5 * unit, low[1]])
    axis.set_xlim(low[0] - unit, None)
    for k, name in enumerate("xyz"):
        tip = _project(np.eye(3)[k:k + 1] * unit)[0, :2]
        driven = settings["mode"] != "none" and settings["direction"] == name
        colour = "#D55E00" if driven else "#555555"
        axis.annotate("", origin + tip, origin, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}, zorder=3)
        text = origin + tip * (1 + 0.22 * unit / np.hypot(*tip))
        axis.text(*text, f"{name}, drive" if driven else name, fontsize=8, color=colour, zorder=3, ha="left" if driven else "center", va="center")


def _project(points):
    """(n, 3): right, up, away from the eye, for axes x right, y away, z up."""
    x, y, z = points.T
    right = np.cos(TURN) * x - np.sin(TURN) * y
    away = np.sin(TURN) * x + np.cos(TURN) * y
    return np.column_stack([right, np.cos(TILT) * z + np.sin(TILT) * away, np.cos(TILT) * away - np.sin(TILT) * z])


def _radius(name, charge):
    return RADII.get(name, 0.85 if charge < 0 else 0.65)


def _rgb(text):
    return [int(text[k:k + 2], 16) / 255 for k in (1, 3, 5)]
