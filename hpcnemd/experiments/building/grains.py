"""Polycrystals and composites: a periodic box divided among grains (Voronoi cells), each cut from its own turned crystal.

Ions of different grains that come too near to each other are taken away, then those nearest to the boundaries until every grain has whole formula units, so
that each grain is neutral and of the composition of its crystal. What is left is relaxed by the run (dynamics.relaxation)."""
import math

import numpy as np

from ...core.errors import InputError
from .sites import Sites, fill, formula_unit

LIKE = 1.4              # nearest distance of ions of one charge, in mean bond lengths, where the crystal itself has none as short
SHARE = 0.1             # of a grain: a formula unit larger than that would be a rough measure of its composition


def build_grains(crystals, table, names, charges, random):
    """(ASE Atoms with the array "grain", lines on what was built). Raises InputError.

    `crystals`: [(Sites of an orthorhombic cell, exclusion of its partly occupied sites)]; `table`: box, count, centres, orientations, overlap of the deck;
    `names` (grains,): row of the crystal of each grain; `charges` {species: e} or None; `random`: numpy Generator."""
    import ase
    box = np.array(table.box)
    centres = _centres(table, box, random)
    turns = _turns(table, len(centres), random)
    whole = [fill(sites, exclusion, random) for sites, exclusion in crystals]
    formulas = [formula_unit(cell.get_chemical_symbols()) for cell in whole]
    reach = _reach(whole, charges)
    parts = [_cut(*crystals[names[g]], g, centres, turns[g], box, random) for g in range(len(centres))]
    symbols = np.concatenate([part.get_chemical_symbols() for part in parts])
    place = np.concatenate([part.positions for part in parts])
    margin = np.concatenate([part.arrays["margin"] for part in parts])
    grain = np.repeat(np.arange(len(parts)), [len(part) for part in parts]).astype(np.int32)
    keep = _without_overlaps(symbols, place, grain, margin, box, reach, table.overlap, [formulas[k][0] for k in names])
    overlaps = int((~keep).sum())
    units = [_whole_units(symbols, grain, margin, keep, g, *formulas[names[g]]) for g in range(len(parts))]
    full = sum(len(whole[k]) / whole[k].get_volume() * _volume(g, centres, box) for g, k in enumerate(names))
    atoms = ase.Atoms(symbols[keep].tolist(), positions=place[keep], cell=np.diag(box), pbc=True)
    atoms.wrap()
    atoms.set_array("grain", grain[keep])
    lines = [f"{len(parts)} grains, {len(atoms)} ions, {len(atoms) / full:.4f} of the number in as much crystal; {overlaps} taken away where grains overlap, "
             f"{int((~keep).sum()) - overlaps} to leave whole formula units"]
    for g, (count, unit) in enumerate(units):
        axis, angle = _axis_angle(turns[g])
        lines.append(f"grain {g}: {count} {unit}, turned by {angle:.2f} degrees about ({axis[0]:.3f} {axis[1]:.3f} {axis[2]:.3f})")
    return atoms, lines


def _centres(table, box, random):
    """(grains, 3) angstrom."""
    if table.centres is not None:
        centres = np.array(table.centres) % 1.0 * box
        apart = centres[:, None] - centres[None]
        apart -= box * np.round(apart / box)
        if len(centres) > 1 and np.linalg.norm(apart, axis=-1)[~np.eye(len(centres), dtype=bool)].min() < 1.0:
            raise InputError("structure.grains.centres: two centres are less than 1 angstrom apart; move one of them")
        return centres
    # random sequential at 0.7 of the mean spacing, so that no grain is a sliver
    least, centres = 0.7 * (np.prod(box) / table.count) ** (1 / 3), []
    for trial in range(100000):
        point = random.random(3) * box
        apart = np.array(centres).reshape(-1, 3) - point
        apart -= box * np.round(apart / box)
        if not len(centres) or np.linalg.norm(apart, axis=1).min() >= least * 0.999 ** (trial // 50):
            centres.append(point)
            if len(centres) == table.count:
                break
    return np.array(centres)


def _turns(table, count, random):
    from scipy.spatial.transform import Rotation
    if table.orientations == "random":
        return [Rotation.random(random_state=random) for _ in range(count)]
    if len(table.orientations) != count:
        raise InputError(f"structure.grains.orientations: {len(table.orientations)} rows for {count} grains; write one row [x, y, z, degrees] for each, or \"random\"")
    return [Rotation.from_rotvec(np.radians(row[3]) * np.array(row[:3]) / np.linalg.norm(row[:3])) for row in table.orientations]


def _axis_angle(turn):
    vector = turn.as_rotvec()
    angle = float(np.linalg.norm(vector))
    return (vector / angle if angle > 1e-12 else np.array([0.0, 0.0, 1.0])), math.degrees(angle)


def _images(centres, box):
    """(27 grains, 3) the centres and their periodic images; rows 13 * grains and following are the centres themselves."""
    shift = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    return (centres + shift * box).reshape(-1, 3)


def _cut(sites, exclusion, g, centres, turn, box, random):
    """ASE Atoms of grain g, not wrapped, its partly occupied sites filled; array "margin": how much farther the next grain's centre is, angstrom."""
    import ase
    from scipy.spatial import cKDTree
    edges = sites.atoms.cell.lengths()
    radius = 0.5 * float(np.linalg.norm(box))
    origin = random.random(3) * edges
    steps = np.ceil(radius / edges).astype(int) + 1
    corner = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in steps], indexing="ij"), -1).reshape(-1, 3) * edges
    corner = corner[np.linalg.norm(corner + 0.5 * edges - origin, axis=1) < radius + 0.5 * np.linalg.norm(edges)]
    place = centres[g] + turn.apply((corner[:, None] + sites.atoms.positions[None] - origin).reshape(-1, 3))
    kind = np.tile(sites.kind, len(corner))
    inside = (np.abs(place - centres[g]) <= 0.5 * box + 1e-9).all(axis=1)          # the cell of its own images
    place, kind = place[inside], kind[inside]
    distance, index = cKDTree(_images(centres, box)).query(place, k=2)
    mine = index[:, 0] == 13 * len(centres) + g
    place, kind = place[mine], kind[mine]
    if not len(place):
        raise InputError(f"structure.grains: grain {g} holds no ions; move its centre, or write a larger structure.grains.box")
    part = ase.Atoms(numbers=np.ones(len(place)), positions=place)
    part.set_array("margin", (distance[:, 1] - distance[:, 0])[mine])
    held, size = np.bincount(kind, minlength=len(sites.labels)), sites.sizes
    counts = [{name: int(n * held[k] / size[k] + 0.5) for name, n in row.items()} for k, row in enumerate(sites.counts)]
    return fill(Sites(part, kind, sites.labels, sites.shares, counts), exclusion, random)


def _volume(g, centres, box, points=40):
    """angstrom^3 of a grain, on a grid."""
    from scipy.spatial import cKDTree
    grid = (np.stack(np.meshgrid(*[(np.arange(points) + 0.5) / points] * 3, indexing="ij"), -1).reshape(-1, 3)) * box
    nearest = cKDTree(centres, boxsize=box).query(grid)[1] if len(centres) > 1 else np.zeros(len(grid), int)
    return float(np.prod(box)) * float((nearest == g).mean())


def _reach(crystals, charges):
    """{(a, b): angstrom} nearest distances of two species: those of the crystals, at most LIKE mean bond lengths; bond lengths of species that never meet."""
    from ase.neighborlist import neighbor_list
    nearest, bond = {}, {}
    for crystal in crystals:
        names = np.array(crystal.get_chemical_symbols())
        first, second, distance = neighbor_list("ijd", crystal, 6.0)
        for a in set(names):
            mine = distance[names[first] == a]
            bond[a] = min(bond.get(a, np.inf), float(mine.min(initial=6.0)))
            for b in set(names):
                pair = distance[(names[first] == a) & (names[second] == b)]
                if len(pair):
                    nearest[a, b] = min(nearest.get((a, b), np.inf), float(pair.min()))
    for a in bond:
        for b in bond:
            mean = 0.5 * (bond[a] + bond[b])
            alike = charges is not None and charges.get(a, 0.0) * charges.get(b, 0.0) > 0
            nearest[a, b] = min(nearest.get((a, b), (LIKE if alike else 1.0) * mean), LIKE * mean)
    return nearest


def _without_overlaps(symbols, place, grain, margin, box, reach, overlap, formulas):
    """(n,) bool: what stays when of ions of different grains nearer than `overlap` times their nearest distance in the crystal the more crowded go; of equally
    crowded ones that of the species of which its grain has most, so that few more must go to leave whole formula units."""
    from scipy.spatial import cKDTree
    wrapped = np.mod(place, box)
    wrapped[wrapped >= box] = 0.0
    pairs = cKDTree(wrapped, boxsize=box).query_pairs(overlap * max(reach.values()), output_type="ndarray")
    i, j = pairs.T
    apart = wrapped[i] - wrapped[j]
    apart -= box * np.round(apart / box)
    straight = np.abs(place[i] - place[j] - apart).max(axis=1) < 1e-6
    across = (grain[i] != grain[j]) | ~straight
    limit = np.array([overlap * reach[a, b] for a, b in zip(symbols[i], symbols[j])])
    clash = pairs[across & (np.linalg.norm(apart, axis=1) < limit)]
    near = {}
    for a, b in clash.tolist():
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    keep = np.ones(len(symbols), bool)
    units = {(g, name): float(np.sum(symbols[grain == g] == name)) / n for g, unit in enumerate(formulas) for name, n in unit.items()}
    while near:
        worst = max(near, key=lambda k: (len(near[k]), units[grain[k], symbols[k]], -margin[k]))
        keep[worst] = False
        units[grain[worst], symbols[worst]] -= 1 / formulas[grain[worst]][symbols[worst]]
        for other in near.pop(worst):
            near[other].discard(worst)
            if not near[other]:
                del near[other]
    return keep


def _whole_units(symbols, grain, margin, keep, g, unit, formula):
    """(number, formula) of the units that stay in grain g: the excess ions nearest to its boundary go, in place."""
    mine = np.flatnonzero(keep & (grain == g))
    counts = {name: int((symbols[mine] == name).sum()) for name in unit}
    number = min(counts[name] // n for name, n in unit.items())
    size = sum(unit.values())
    if number == 0 or size > SHARE * len(mine):
        raise InputError(f"structure.grains: the formula unit of the crystal ({formula}, {size} ions) is too large a part of grain {g} ({len(mine)} ions): choose "
                         "dopant counts that have a common divisor with the other numbers of ions, or write a larger structure.grains.box")
    for name, n in unit.items():
        rows = mine[symbols[mine] == name]
        keep[rows[np.argsort(margin[rows], kind="stable")[:counts[name] - number * n]]] = False
    return number, formula
