"""Columns along z in which the slots of the pair lists are sorted."""
import math

import numpy as np

from ..kernels import neighbours


def column_width(extent, count, radius):
    """Width (angstrom) of columns that hold clusters of about cubic shape: 4 particles a cube at the density of the owned particles."""
    wide = [length for length in extent.tolist() if length > 1e-9 * radius]
    if not wide:
        return radius / 3
    return min(max((4 * math.prod(wide) / count)**(1 / len(wide)), radius / 16), radius)


class ColumnGrid:
    """Columns along z over the bounding box of some rows; `bin_start`: its part of the array of `columns_of`."""

    def __init__(self, lowest, highest, width, radius):
        self.lowest = lowest.tolist()
        extent = (highest - lowest).tolist()
        self.nx, self.ny = max(1, round(extent[0] / width)), max(1, round(extent[1] / width))
        self.width_x, self.width_y = max(extent[0] / self.nx, 1e-6 * radius) * (1 + 1e-9), max(extent[1] / self.ny, 1e-6 * radius) * (1 + 1e-9)
        self.height = max(radius / 6, extent[2] / 4096)
        self.bins = int(extent[2] / self.height) + 1
        self.columns = self.nx * self.ny

    def sort(self, position, first, count, fill, first_slot, slot_row):
        return neighbours.sort_columns(position, first, count, *self.lowest, self.width_x, self.width_y, self.height, self.nx, self.ny, self.bins, fill, first_slot, slot_row,
                                       self.bin_start)


def columns_of(owned, ghost, centre):
    """(geometry, shape, bin_start) of two ColumnGrids in coordinates relative to `centre`, as `neighbours.slot_ranges` wants them; `sort` of each fills its part of the last."""
    grids = (owned,) if ghost is owned else (owned, ghost)
    bins = [grid.columns * (grid.bins + 1) for grid in grids]
    shape = np.array([(grid.nx, grid.ny, grid.bins, k and bins[0]) for k, grid in enumerate(grids)], np.int64)
    geometry, bin_start = np.empty((len(grids), 6)), np.empty(sum(bins), np.int32)
    for k, grid in enumerate(grids):
        grid.bin_start = bin_start[shape[k, 3]:]
        geometry[k] = *(edge - middle for edge, middle in zip(grid.lowest, centre.tolist())), grid.width_x, grid.width_y, grid.height
    return geometry, shape, bin_start
