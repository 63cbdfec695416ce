"""A cell drawn as spheres in parallel projection, sorted by depth, far ones paler."""
import numpy as np

# radius of the drawn sphere, angstrom, below the ionic radius so that the view stays open; other species by the sign of their charge
RADII = {"Li": 0.75, "Na": 0.85, "K": 1.0, "Ag": 0.9, "La": 0.65, "Zr": 0.5, "Ca": 0.7, "O": 0.6, "Cl": 0.85, "F": 0.6, "I": 1.0}
COLOURS = ("#D55E00", "#56B4E9", "#009E73", "#CC79A7", "#E69F00", "#0072B2", "#F0E442")
TURN, TILT = 0.42, 0.30         # rad: view from slightly right of the y axis and above


def draw_system(figure, system):
    """Draws the ions of a System into the figure: coloured by grain where there are grains, otherwise by species."""
    position, image = system.position.copy(), np.zeros((len(system.species), 3), np.int64)
    system.box.wrap(position, image)
    axis = figure.add_subplot()
    names = system.kinds.names
    radius = [sphere_radius(name, charge) for name, charge in zip(names, system.kinds.charge)]
    label, what = (system.grain, "grain") if system.grain is not None else (system.species, None)
    draw_cell(axis, position, label, np.array(radius)[system.species], system.box.matrix)
    entries = [(f"{what} {k}" if what else names[k], int(n)) for k, n in enumerate(np.bincount(label))]
    legend(axis, [(COLOURS[k % len(COLOURS)], f"{name} ({n})") for k, (name, n) in enumerate(entries) if n])


def legend(axis, entries):
    """Marks above the cell: `entries` [(colour, text)]."""
    from matplotlib.lines import Line2D
    marks = [Line2D([], [], ls="", marker="o", ms=8, color=colour, label=text) for colour, text in entries]
    axis.legend(handles=marks, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(len(marks), 6), handletextpad=0.1)


def draw_cell(axis, positions, label, radius, cell, colours=None):
    """Spheres at `positions` (n, 3) angstrom with `radius` (n,), coloured by `label` (n,) ints (`colours` {label: hex}, default COLOURS in turn), and the
    edges of the cell with the vectors `cell` (3, 3) from the origin. Returns the lower left corner of the view, angstrom."""
    from matplotlib.collections import EllipseCollection, LineCollection
    cell = np.asarray(cell, dtype=np.float64)
    colours = colours or {int(k): COLOURS[int(k) % len(COLOURS)] for k in np.unique(label)}
    axis.set_aspect("equal")
    axis.axis("off")
    centre = cell.sum(axis=0) / 2
    place = project(positions - centre)
    corners = project((np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5) @ cell)
    edges = [(a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1]
    axis.add_collection(LineCollection([corners[[a, b], :2] for a, b in edges], colors="#777777", linewidths=0.8, zorder=0))
    back = np.argsort(-place[:, 2], kind="stable")
    depth = place[back, 2]
    fade = 0.65 * (depth - depth.min()) / max(float(np.ptp(depth)), 1e-9)
    base = np.array([_rgb(colours[int(k)]) for k in label[back]])
    size = 2 * radius[back]
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
    return low


def project(points):
    """(n, 3): right, up, away from the eye, for axes x right, y away, z up."""
    x, y, z = points.T
    right = np.cos(TURN) * x - np.sin(TURN) * y
    away = np.sin(TURN) * x + np.cos(TURN) * y
    return np.column_stack([right, np.cos(TILT) * z + np.sin(TILT) * away, np.cos(TILT) * away - np.sin(TILT) * z])


def sphere_radius(name, charge):
    return RADII.get(name, 0.85 if charge < 0 else 0.65)


def _rgb(text):
    return [int(text[k:k + 2], 16) / 255 for k in (1, 3, 5)]
