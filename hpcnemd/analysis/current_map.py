"""Where the current flows: its density on a grid in a plane, and along the drive, from the paths of the ions.

An ion of charge z that moves by dr between two frames gives z dr to the cell of its midpoint; over all ions and frames that sum, divided by volume and time, is
the mean current density of the cell. Displacements are taken relative to the framework, whose own motion is no transport. In a steady state the current
through every plane across the drive is the same: the profile along the drive is a check of that, with `uniform_p`."""
from dataclasses import dataclass

import numpy as np

from .distributions import f_sf

BLOCKS = 10             # of frames, whose scatter gives the errors


@dataclass(frozen=True)
class CurrentMap:
    """`edges`: 2 arrays of cell edges along the plane's axes (angstrom), `axes` which these are; `density` (nx, ny, 3) e/(angstrom^2 fs) and its standard error
    `error`; `mobile` (nx, ny) mean number density of the mobile ions, 1/angstrom^3; `profile`, `profile_error` (nx,): mean density along the first axis through
    each slice of it; `uniform_p`: chance of a larger chi-square if that current is the same through all slices; `time` fs, `frames`."""
    edges: list
    axes: tuple
    density: np.ndarray
    error: np.ndarray
    mobile: np.ndarray
    profile: np.ndarray
    profile_error: np.ndarray
    uniform_p: float
    time: float
    frames: int


def current_map(frames, times, edges, charge, mass, mobile, axes=(0, 1), width=4.0):
    """CurrentMap of a trajectory. `frames`: iterable of (n, 3) unwrapped positions, angstrom; `times` (frames,) fs; `edges` (3,) the constant box; `charge` (n,) e,
    formal; `mass` (n,); `mobile` (n,) bool; `axes`: the drive's axis and another; `width`: of the cells, angstrom, about. Raises ValueError for fewer than
    two frames a block."""
    edges, times = np.asarray(edges, dtype=np.float64), np.asarray(times, dtype=np.float64)
    if len(times) < 2 * BLOCKS + 1:
        raise ValueError(f"{len(times)} frames, at least {2 * BLOCKS + 1} are needed for a map of the current")
    shape = tuple(max(1, int(round(edges[axis] / width))) for axis in axes)
    block_of = np.minimum(np.arange(len(times) - 1) * BLOCKS // (len(times) - 1), BLOCKS - 1)
    sums, count = np.zeros((BLOCKS, *shape, 3)), np.zeros(shape)
    weight = np.where(mobile, 0.0, mass)
    weight = weight / weight.sum() if weight.any() else mass / mass.sum()
    charge, before = np.asarray(charge, dtype=np.float64), None
    for frame, now in enumerate(frames):
        if before is not None:
            step = now - before
            step -= weight @ step
            middle = 0.5 * (now + before)
            cell = tuple((np.floor(middle[:, axis] / edges[axis] * n) % n).astype(int) for axis, n in zip(axes, shape))
            moving = mobile if np.any(mobile & (charge != 0)) else np.ones(len(charge), bool)
            inside = tuple(c[moving] for c in cell)
            np.add.at(sums[block_of[frame - 1]], inside, charge[moving, None] * step[moving])
            np.add.at(count, inside, 1.0)
        before = now
    volume = edges.prod() / np.prod(shape)
    span = np.array([times[1:][block_of == b].sum() - times[:-1][block_of == b].sum() for b in range(BLOCKS)])
    rows = sums / (volume * span[:, None, None, None])
    mean, error = rows.mean(axis=0), rows.std(axis=0, ddof=1) / np.sqrt(BLOCKS)
    along = rows[..., axes[0]].mean(axis=2)                         # (blocks, nx)
    return CurrentMap([np.linspace(0, edges[axis], n + 1) for axis, n in zip(axes, shape)], tuple(axes), mean, error, count / (volume * (len(times) - 1)),
                      along.mean(axis=0), along.std(axis=0, ddof=1) / np.sqrt(BLOCKS), _uniform(along), float(times[-1] - times[0]), len(times))


def _uniform(along):
    """p of the hypothesis that the columns of (blocks, n) have one mean: Hotelling's test needs more blocks than columns, so neighbours are merged to four."""
    blocks, n = along.shape
    if n < 2:
        return float("nan")
    parts = np.stack([part.mean(axis=1) for part in np.array_split(along, min(4, n), axis=1)], axis=1)
    contrast = parts[:, 1:] - parts[:, :1]
    k = contrast.shape[1]
    mean, spread = contrast.mean(axis=0), np.atleast_2d(np.cov(contrast, rowvar=False))
    square = blocks * mean @ np.linalg.pinv(spread) @ mean
    return float(f_sf(square * (blocks - k) / (k * (blocks - 1)), k, blocks - k))
