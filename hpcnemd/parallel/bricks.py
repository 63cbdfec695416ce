"""The geometry of the decomposition: which brick of space is whose, and which copies of its particles a brick owes to which other.

All ranks compute the same from the box, the global cuts and the halo width; nothing here talks to anybody. A rank with grid coordinate c stands
at every lattice place c + k * grid (its periodic images). Bricks are boxes in the upright coordinates of the cell (core.box); gaps between them are
distances of their planes, so that where the cell is tilted a few copies more are sent than pairs need, never one too few. A brick at the unwrapped coordinate e = c + d shows its particles to brick c as ghosts
when d is positive in the order z, y, x and e is near enough: so each pair of images is seen by exactly one of its two owners. d reaches over as
many bricks, and over as many turns of the lattice, as the halo is wide.
"""
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Route:
    """Copies of `source`'s particles for `target`: their positions + `shift` near the brick [lower, upper] of `target`."""
    source: int
    target: int
    offset: tuple           # source (unwrapped) - target, in bricks
    shift: np.ndarray       # (3,) angstrom
    turns: np.ndarray       # (3,) of the cell, which make the shift
    lower: np.ndarray       # (3,) distances from the cell's faces through the origin, angstrom
    upper: np.ndarray


def rank_at(coordinate, grid):
    """The rank at a grid coordinate inside the grid; x is slowest, so that ranks follow the slabs of a mesh cut along x."""
    return int((coordinate[0] * grid[1] + coordinate[1]) * grid[2] + coordinate[2])


def coordinate_of(rank, grid):
    """(3,) grid coordinate of a rank."""
    return tuple(int(c) for c in np.unravel_index(rank, grid))


def uniform_cuts(box, grid):
    """A list of 3 arrays of grid[axis] + 1 brick edges from 0 to the box length, angstrom."""
    cuts = [np.linspace(0.0, box.lengths[axis], grid[axis] + 1) for axis in range(3)]
    for axis in range(3):
        cuts[axis][-1] = box.lengths[axis]
    return cuts


def _heights(cuts, box):
    """The cuts as distances between planes, angstrom."""
    return [edges / slant for edges, slant in zip(cuts, box.slant)]


def _edges(cuts, place):
    """(lower, upper) of the brick at the unwrapped `place` along one axis."""
    count, length = len(cuts) - 1, cuts[-1]
    turn, inside = divmod(place, count)
    return cuts[inside] + turn * length, cuts[inside + 1] + turn * length


def _axis_offsets(cuts, target, width):
    """[(d, gap in angstrom)] of the places target + d whose brick is within `width` of the brick `target`, along one axis."""
    lower, upper = _edges(cuts, target)
    found, margin = [(0, 0.0)], width + 1e-9 * cuts[-1]         # the margin costs nothing: particles are chosen by their own distance
    for sign in (1, -1):
        d = sign
        while True:
            other = _edges(cuts, target + d)
            gap = max(0.0, other[0] - upper if sign > 0 else lower - other[1])
            if gap > margin:
                break
            found.append((d, gap))
            d += sign
    return sorted(found)


def routes_to(target, box, grid, cuts, width, whole=False):
    """The routes that end at `target`, ordered by source, then by offset (x, y, z): from the half of the surroundings that makes every pair once, or
    from the `whole` of them."""
    at, cuts = coordinate_of(target, grid), _heights(cuts, box)
    axes = [_axis_offsets(cuts[axis], at[axis], width) if axis < box.dimensions else [(0, 0.0)] for axis in range(3)]
    lower = np.array([cuts[axis][at[axis]] for axis in range(3)])
    upper = np.array([cuts[axis][at[axis] + 1] for axis in range(3)])
    limit, found = (width + 1e-9 * float(np.max(box.lengths))) ** 2 * box.corner_room, []
    for dx, gx in axes[0]:
        for dy, gy in axes[1]:
            for dz, gz in axes[2]:
                if (dz, dy, dx) == (0, 0, 0) or not whole and (dz, dy, dx) < (0, 0, 0) or gx * gx + gy * gy + gz * gz > limit:
                    continue
                turns, inside = zip(*(divmod(at[axis] + d, grid[axis]) for axis, d in enumerate((dx, dy, dz))))
                found.append((rank_at(inside, grid), (dx, dy, dz), turns))
    found.sort()
    turns = np.array([entry[2] for entry in found]).reshape(-1, 3)
    shifts = box.translation(turns.astype(float))
    return [Route(source, target, offset, *rows, lower, upper) for (source, offset, _), *rows in zip(found, shifts, turns)]


def routes_of(rank, box, grid, cuts, width, whole=False):
    """(incoming, outgoing) routes of a rank; outgoing ones ordered by target, then by offset."""
    incoming = routes_to(rank, box, grid, cuts, width, whole)
    outgoing = []
    for target in _possible_targets(rank, box, grid, cuts, width):
        outgoing += [route for route in (incoming if target == rank else routes_to(target, box, grid, cuts, width, whole)) if route.source == rank]
    return incoming, outgoing


def _possible_targets(rank, box, grid, cuts, width):
    """The ranks, in order, whose bricks may be within `width` of the rank's: `near` is symmetric."""
    at, cuts = coordinate_of(rank, grid), _heights(cuts, box)
    near = [sorted({(at[axis] + d) % grid[axis] for d, _ in _axis_offsets(cuts[axis], at[axis], width)})
            if axis < box.dimensions else [0] for axis in range(3)]
    return sorted(rank_at((x, y, z), grid) for x in near[0] for y in near[1] for z in near[2])
