"""The same data through several error methods, and whether these agree. No MPI, no files."""
import math
from dataclasses import replace

import numpy as np

from ...analysis import bayesian, blocks, resampling, spectral

SAME = 2.0      # values may differ by so many times the larger error (they share their data), and errors by this factor


def equilibrium(result, still, settings):
    """Fills numbers["methods"] from the axes that are not driven. `still`: what the equilibrium estimate left."""
    where, samples = (settings.sample, settings.volume, settings.temperature), still["window"].samples
    axes = len(settings.still_axes()[0])
    replicas = [np.stack(still["paths"][k:k + axes], axis=1) for k in range(0, len(still["paths"]), axes)]
    found = {"Green-Kubo, Gaussian noise": still["estimate"], "spectrum": spectral.conductivity(still["paths"], *where, samples)[0],
             "Bayesian line": bayesian.conductivity(still["paths"], *where, samples),
             "block bootstrap": resampling.conductivity(replicas, *where, samples),
             "replica bootstrap": resampling.conductivity(replicas, *where, samples, "replicas")}
    _store(result, found)


def driven(result, response, outcome, mode):
    """Fills numbers["methods"] from the response of a driven run: sigma with the error of its mean by each method. `response`: series of blocks, `outcome`:
    the Driven."""
    if not math.isfinite(outcome.sigma.value) or outcome.response.value == 0:
        return
    merged = np.concatenate(blocks.merge(response, outcome.level.factor))
    replicas = [float(np.mean(row)) for row in response] if len({len(row) for row in response}) == 1 else []
    means = {"block average": outcome.response, "spectrum": spectral.mean_error(response, outcome.response.unit),
             "block bootstrap": resampling.bootstrap(merged, outcome.response.unit, f"bootstrap of {len(merged)} blocks"),
             "replica bootstrap": resampling.bootstrap(replicas, outcome.response.unit, f"bootstrap of {len(replicas)} replicas")}
    _store(result, {name: _conductivity(one, outcome, mode) for name, one in means.items() if one is not None and one.value * outcome.response.value > 0})


def _conductivity(mean, outcome, mode):
    """sigma from a mean of the response, with the same relative error."""
    held = mode == "constant_current"
    value, error = outcome.sigma.value, outcome.response.value
    ends = [value * (error / end if held else end / error) if end * error > 0 else math.inf if held else value * end / error for end in (mean.low, mean.high)]
    sigma = value * (error / mean.value if held else mean.value / error)
    return replace(mean, value=sigma, error=abs(sigma) * mean.relative, low=min(ends), high=max(ends), unit="S/m")


def _store(result, found):
    found = {name: one for name, one in found.items() if one is not None and math.isfinite(one.error) and one.error > 0}
    if len(found) < 2:
        return
    difference, ratio = agreement(list(found.values()))
    result.numbers["methods"] = {"estimates": {name: one.as_dict() for name, one in found.items()}, "largest_difference_in_errors": difference,
                                 "largest_ratio_of_errors": ratio, "agree": bool(difference <= SAME and ratio <= SAME)}
    result.curves["methods"] = found


def agreement(estimates):
    """(largest difference of two values in units of the larger error, largest ratio of two errors)."""
    pairs = [(a, b) for k, a in enumerate(estimates) for b in estimates[:k]]
    return (max(abs(a.value - b.value) / max(a.error, b.error) for a, b in pairs), max(max(a.error, b.error) / min(a.error, b.error) for a, b in pairs))


def verdict(numbers):
    """(passed, text) on the agreement of the methods; None where there are none."""
    found = numbers.get("methods")
    if found is None:
        return None
    text = (f"{len(found['estimates'])} methods on the same data: values within {found['largest_difference_in_errors']:.2g} standard errors, "
            f"errors within a factor {found['largest_ratio_of_errors']:.2f}")
    return found["agree"], text + ("" if found["agree"] else f"; more than {SAME:g} says that the data are too few, or not stationary: run longer")


def rows(numbers):
    """(name, entry, how) for the table of the report."""
    for name, entry in numbers.get("methods", {}).get("estimates", {}).items():
        yield f"conductivity, error by {name}", entry, entry["estimator"]


def draw(result, figure):
    """The conductivity with the error of every method; the caption, or None."""
    found = result.curves.get("methods")
    if not found:
        return None
    axis = figure.add_subplot()
    place = np.arange(len(found))[::-1]
    value, error = np.array([one.value for one in found.values()]), np.array([one.error for one in found.values()])
    ends = np.array([[one.low, one.high] for one in found.values()])
    ends = np.where(np.isfinite(ends), ends, (value[:, None] + 4 * error[:, None] * np.array([-1, 1])))
    axis.hlines(place, ends[:, 0], ends[:, 1], color="#0072B2", lw=1.2, label="95 % interval")
    axis.errorbar(value, place, xerr=error, fmt="o", ms=5, color="#0072B2", elinewidth=3.5, label="standard error")
    axis.set_yticks(place, list(found))
    axis.set_ylim(-0.7, len(found) - 0.3)
    axis.set_xlabel("conductivity σ (S/m)")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=9)
    told = "; ".join(f"{name}: {one.estimator}" for name, one in found.items())
    return f"The same data through several error methods ({told}). {verdict(result.numbers)[1]}."
