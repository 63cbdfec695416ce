"""From a prepared deck to the ensemble file and its streaming statistics."""
import json
from pathlib import Path

import numpy as np

from ...core.errors import InputError
from ...ensembles.campaign import Branch
from ...ensembles.statistics import Correlator, Covariance, ExponentialAverage, Histogram, Moments
from ...parallel.launch import agree_on_errors
from ..irreversibility import launched

STATISTICS = "statistics.json"
PILOT, BINS = 256, 64


def run(prepared, layout, folder, text="", progress=None, work=None):
    """Collective over layout.world. Runs what is missing in `folder`/ensemble.h5 and writes `folder`/statistics.json; see `irreversibility.launched.run`."""
    alone = layout.ranks_per_replica == 1 or prepared.system is not None
    agree_on_errors(layout.world, None if alone else InputError("parallel.ranks_per_replica: these systems fit on one rank; write 1"))
    merged = launched.run(prepared, layout, folder, text, progress, work, lambda: statistics_of(prepared))
    if layout.world.rank == 0:
        (Path(folder) / STATISTICS).write_text(json.dumps({name: {key: state.as_dict() for key, state in states.items()} for name, states in merged.items()}, indent=1))


def _daughters(current, good):
    """Correlator <J(0) J(t)> over all daughters of the good mothers; current (mothers, daughters, images, times)."""
    return Correlator.of(current[..., 0].reshape(-1), current.reshape(-1, current.shape[-1]), np.repeat(good, current.shape[1] * current.shape[2]))


def statistics_of(prepared):
    """{name: leaf(rows, good)} of the streaming statistics. The histogram's edges come from a small pilot, the same on every rank and in every launch."""
    model = prepared.model
    schema, temperature = model.schema, float(model.attributes["temperature"])
    if "current" in schema:
        return {"current": lambda rows, good: Moments.of(rows["current"].mean(axis=(1, 2)), good),
                "current_correlator": lambda rows, good: _daughters(rows["current"], good)}
    if "work_units" in schema:
        unit = float(model.attributes["energy_unit"])
        return {"work": lambda rows, good: Moments.of(rows["work_units"] * unit, good)}
    last = model.rows(None, Branch("forward", 0, 0, PILOT), np.arange(PILOT))["work"][:, -1]
    last = last[np.isfinite(last)] if np.isfinite(last).any() else np.zeros(1)
    middle, width = float(last.mean()), 8.0 * float(last.std()) + 1e-12
    edges = np.linspace(middle - width, middle + width, BINS + 1)
    return {"work": lambda rows, good: Moments.of(rows["work"], good),
            "heat": lambda rows, good: Moments.of(rows["heat"], good),
            "shadow_work": lambda rows, good: Moments.of(rows["shadow_work"], good),
            "work_covariance": lambda rows, good: Covariance.of(rows["work"], good),
            "work_histogram": lambda rows, good: Histogram.of(rows["work"][:, -1], good, edges),
            "exponential_work": lambda rows, good: ExponentialAverage.of(rows["work"][:, -1] / temperature, good),
            "position_correlator": lambda rows, good: Correlator.of(rows["position_start"], rows["position"], good)}
