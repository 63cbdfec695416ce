"""What the multiple-tau correlators of a run tell, with no series at hand: conductivity, current correlation, long tracer displacements. No MPI, no files."""
import math

import numpy as np

from ...analysis import einstein
from ...analysis.blocks import student
from ...core.units import BOLTZMANN, SIEMENS_PER_METRE


def collect(result, arrays, attrs, settings, still):
    """Fills numbers["equilibrium"]["multiple_tau"] and the curves of correlations; nothing where a file has none. `still`: what the equilibrium estimate left."""
    if "displacement_spread" not in arrays:
        return
    basis, _ = settings.still_axes()
    lags, times = np.asarray(attrs["spread_lags"]), np.asarray(attrs["correlation_lags"])
    weights = np.asarray(attrs["colour"], dtype=np.float64)
    spread, correlation = (_charge(arrays[name], weights, basis) for name in ("displacement_spread", "current_correlation"))
    known = np.isfinite(correlation)
    result.curves["current_correlation"] = times[known], correlation[known] / (correlation[0] or 1.0)
    if still is not None:
        found = _conductivity(spread, lags, still, settings)
        if found is not None:
            result.numbers["equilibrium"]["multiple_tau"] = found.as_dict()
    place = np.asarray(attrs["tracer_lags"])
    tracers = _mean(np.asarray(arrays["tracer_spread"], dtype=np.float64))
    if np.isfinite(tracers).any():
        along = np.einsum("lsk,ak,ak->ls", tracers, basis, basis) / len(basis)          # cross terms of the axes average to nothing
        keep = np.isfinite(along).all(axis=1) & (place <= 0.5 * place[np.isfinite(along).all(axis=1)].max(initial=0.0))
        result.curves["tracer_long"] = {name: (place[keep], along[keep, s]) for s, name in enumerate(settings.species) if settings.counts[s]}


def _charge(tensor, weights, basis):
    """(lags,) of the charge, per direction, averaged over replicas, from (R, lags, s, 3, s, 3); nan where no replica has got."""
    whole = np.einsum("a,rlaibj,b,ki,kj->rl", weights, np.asarray(tensor, dtype=np.float64), weights, basis, basis) / len(basis)
    return _mean(whole)


def _mean(rows):
    """Over replicas, of those that have got so far; nan where none has."""
    known = np.isfinite(rows)
    return np.where(known, rows, 0.0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), math.nan)


def _conductivity(spread, lags, still, settings):
    """Half the slope of the charge displacement between a lag of half a window and one of a window, as in `einstein.green_kubo`."""
    window = still["window"].samples * settings.sample
    later = int(np.searchsorted(lags, window * (1 - 1e-9)))
    earlier = int(np.searchsorted(lags, 0.5 * window * (1 - 1e-9)))
    if not earlier < later < len(lags) or not np.isfinite(spread[later]):
        return None
    rise = (spread[later] - spread[earlier]) / (lags[later] - lags[earlier])
    value = SIEMENS_PER_METRE * float(rise) / (2 * settings.volume * BOLTZMANN * settings.temperature)
    time = sum(len(path) - 1 for path in still["paths"]) * settings.sample
    relative = 4 * (lags[earlier] + (lags[later] - lags[earlier]) / 3) / time
    text = f"multiple-tau correlator, slope from {lags[earlier] / 1000:g} to {lags[later] / 1000:g} ps"
    if value > 0.5 * still["estimate"].value:
        return einstein.variance_estimate(value, 2 / relative, "S/m", text)
    return student(value, still["estimate"].error, 2 / relative, "S/m", text)


def draw(result, figure):
    """The autocorrelation of the charge current at all lags; the caption, or None."""
    if "current_correlation" not in result.curves:
        return None
    time, value = result.curves["current_correlation"]
    if len(time) < 8 or not np.any(value):
        return None
    axis = figure.add_subplot()
    axis.plot(time[1:] / 1000, value[1:], color="#0072B2", marker=".", ms=4)
    axis.axhline(0, color="#888888", lw=0.8)
    axis.set_xscale("log")
    axis.set_xlabel("lag (ps)")
    axis.set_ylabel(r"$\langle J(0)J(t)\rangle\,/\,\langle J^2\rangle$")
    return ("Autocorrelation of the charge current, averaged over the sampling interval and, from the ninth lag of each octave on, over times that double (multiple-tau "
            "correlator, accumulated during the run).")
