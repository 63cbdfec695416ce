"""Colour-driven discs: from the deck's table to the kernel. Temperature and mass 1."""
import math

import numpy as np

from ...ensembles.campaign import padded
from ...kernels.colour_transients import transients
from ...kernels.lane_normals import LANES
from .traps import Lanes, key_of


class ColourTransients(Lanes):
    """Mother systems and their daughters: a replica is a mother. In equilibrium each start point is used in four images (itself, reversed in time,
    reflected in x, both), so that the mean dissipation at the start is zero exactly."""
    branch_names = ("forward",)

    def __init__(self, table, run):
        self.table, self.run, self.key = table, run, key_of(run.seed, "velocities")
        self.steps = int(round(table.duration / table.timestep))
        self.every = self.steps // run.samples
        self.times = (np.arange(run.samples + 1)) * self.every * table.timestep
        self.mappings = 4 if table.start == "equilibrium" else 1
        self.freedom = 2 * table.discs - 2                  # momenta in the plane at zero total momentum
        self.kinetic = 0.5 * (self.freedom - 1)             # beta = (D - 1)/(2 K) = 1
        whole = (table.daughters, self.mappings, run.samples)
        self.schema = {"current": ((*whole[:2], run.samples + 1), "<f8", "reduced", "sum of c p_x at the start and at each sample"),
                       "current_integral": (whole, "<f8", "reduced", "its integral up to each sample"),
                       "thermostat_integral": (whole, "<f8", "", "integral of alpha up to each sample")}
        self.attributes = {"temperature": 1.0, "field": table.field, "momentum_freedom": np.int64(self.freedom), "start": table.start,
                           "times": self.times}

    def rows(self, comm, branch, ids):
        """Rows of the mothers `ids`; not collective: one rank runs it."""
        t, count = self.table, len(ids)
        ids = padded(ids, LANES)
        shape = (len(ids), t.daughters, self.mappings, self.run.samples)
        current, integral, contraction = np.empty((*shape[:3], shape[3] + 1)), np.empty(shape), np.empty(shape)
        transients(self.key, ids, branch.number, t.discs, math.sqrt(t.discs / t.density), self.kinetic, t.field, 0.0 if t.start == "equilibrium" else t.field,
                   t.timestep, int(round(t.settle / t.timestep)), max(1, int(round(t.spacing / t.timestep))), t.daughters, self.mappings, self.steps, self.every,
                   current, integral, contraction)
        return {"current": current[:count], "current_integral": integral[:count], "thermostat_integral": contraction[:count]}

    def exact(self):
        """{name: value}."""
        return {"entropy_slope": 1.0}
