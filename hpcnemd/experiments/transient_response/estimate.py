"""Conductivities of the transients at each field: correlated with the start, averaged with the images, averaged without them."""
import math

import numpy as np

from ...analysis import blocks
from ...analysis.fluctuation import Estimate
from ...core.units import SIEMENS_PER_METRE
from ..irreversibility import launched
from ..irreversibility.result import Result
from .deck import Deck

NAMES = {"ttcf": "TTCF", "images": "direct average, images", "alone": "direct average, no images"}
USEFUL = 0.5                # relative error above which an average is called useless


def analyse(folder):
    """The Result of a run's folder. Raises InputError where there is nothing to analyse yet."""
    stored = launched.load(folder, Deck)
    deck, attributes = stored.deck, stored.attributes
    result = Result("transient_response", deck.model_dump(mode="json"), dict(stored.counts))
    estimate(result, attributes, stored.rows)
    result.warnings += [f"{count} broke: {cause}" for cause, count in stored.causes.items()]
    return result


def conductivities(current, charge, field, beta, volume):
    """{"ttcf", "images", "alone"}: (mothers, daughters, times) S/m of every start point, at the times after the start.

    `current` (mothers, daughters, 4, times + 1) e angstrom/fs; `charge` (mothers, daughters, 4, times) e angstrom, its integral; `field` V/angstrom."""
    scale = SIEMENS_PER_METRE / volume
    return {"ttcf": scale * beta * (current[..., :1] * charge).mean(axis=2), "images": scale / field * current[..., 1:].mean(axis=2),
            "alone": scale / field * current[:, :, 0, 1:]}


def plateau(values):
    """The mean over the second half of the transients of each start point, (mothers, daughters), as an Estimate: start points of a mother are merged until
    they are uncorrelated."""
    series = list(values[..., values.shape[-1] // 2:].mean(axis=-1))
    return blocks.mean_estimate(series, "S/m", estimator="mean over start points")


def curve(values):
    """(mean, standard error), each (times,), start points as independent."""
    flat = values.reshape(-1, values.shape[-1])
    return flat.mean(axis=0), flat.std(axis=0, ddof=1) / math.sqrt(len(flat))


def estimate(result, attributes, rows):
    """Adds numbers, facts and curves. `rows`: {branch: {dataset: (mothers, ...)}} in the order of the attribute `fields`."""
    fields, times = np.atleast_1d(attributes["fields"]), np.asarray(attributes["times"])[1:]
    names = [name for name in str(attributes["branches"]).split("\n")]
    found, kept = {}, {}
    for name, field in zip(names, fields):
        if name not in rows:
            continue
        values = conductivities(rows[name]["current"], rows[name]["current_integral"], field, float(attributes["beta"]), float(attributes["volume"]))
        text = f"{field:.3g} V/Å"
        for kind, words in NAMES.items():
            one = plateau(values[kind])
            found[text, kind] = one
            result.add(f"{words}, {text}", Estimate(one.value, one.error), None, "S/m", f"conductivity, {times[len(times) // 2]:g} to {times[-1]:g} fs",
                       bool(one.relative < USEFUL))
        kept[text] = values["ttcf"]
        result.curves.setdefault("response", {})[text] = {kind: curve(values[kind]) for kind in NAMES}
        start = rows[name]["current"][..., 0].mean(axis=2)
        result.add(f"current at the start, {text}", Estimate(float(start.mean()), float(start.std() / math.sqrt(start.size))), 0.0, "e Å/fs", "0 exactly, by the images")
        shadow = rows[name]["shadow_work"]
        result.diagnostics[f"shadow work, {text}"] = {"mean_k_B_T": float(shadow.mean()), "scatter_k_B_T": float(shadow.std())}
    result.curves["times"] = times
    _compare(result, kept, found)
    mothers, daughters = next(iter(rows.values()))["current"].shape[:2]
    result.facts.append(f"{mothers} mother systems with {daughters} start points each, four images of each point and field")


def _compare(result, kept, found):
    """TTCF at the fields against each other, start point by start point; and whether the direct average tells anything."""
    texts = list(kept)
    for text in texts[1:]:
        shared = min(len(kept[text]), len(kept[texts[0]]))
        difference = plateau(kept[text][:shared] - kept[texts[0]][:shared])
        result.add(f"TTCF at {text} - TTCF at {texts[0]}", Estimate(difference.value, difference.error), None, "S/m", "pairs of the same start points: nonlinear, and what their paths have come apart")
        apart = abs(difference.value) / found[texts[0], "ttcf"].error
        result.facts.append(f"TTCF at {text} and at {texts[0]} differ by {apart:.2g} of its error")
    for text in texts:
        alone = found[text, "alone"]
        if not alone.relative < USEFUL:
            result.facts.append(f"at {text} the direct average without images is {alone.value:.3g} +- {alone.error:.2g} S/m: useless; TTCF is {found[text, 'ttcf'].value:.4g} +- "
                                f"{found[text, 'ttcf'].error:.2g} S/m")
