"""Ionic conductivity by constant current, constant field, or at equilibrium.

`Deck` is the input; `prepare(deck, base)` finds every error of it; `run(prepared, layout, folder)` is collective; `analyse(folder)`,
`draw(result, folder)` and `summary(result)` need no MPI."""
from pathlib import Path

import numpy as np

from ...core.box import Box
from ...core.errors import InputError
from .deck import Deck
from .prepared import prepare

__all__ = ["Deck", "prepare", "run", "analyse", "draw", "summary"]


def run(prepared, layout, folder, text="", progress=None):
    """Collective. See `groups.run`."""
    from .groups import run as work
    return work(prepared, layout, folder, text, progress)


def analyse(folder):
    """The Result of a run's folder. Raises InputError where there is nothing to analyse yet."""
    from ...storage import ensemble
    from .estimate import estimate
    stored = ensemble.read(Path(folder, "ensemble.h5"))
    try:
        return estimate(stored.arrays, stored.attributes)
    except ValueError as problem:
        raise InputError(f"{folder}: {problem}; look at hpcnemd status {folder}") from None


def draw(result, folder):
    """Figures (PNG and PDF), numbers.json and report.html in `folder`/report; the path of the page."""
    from ...storage import ensemble, provenance
    from . import current_map, figures, report
    folder = Path(folder)
    stored = ensemble.read(folder / "ensemble.h5")
    frame, cell = None, Box(stored.attributes["box"], skew=stored.attributes.get("skew", np.zeros(3))).matrix
    for last in stored.arrays["final_position"]:
        if not (last != last).any():
            frame = last, stored.attributes["particle_species"], cell, stored.attributes.get("particle_grain")
            break
    grain = stored.attributes.get("particle_grain")
    flow = current_map.of_folder(folder, result.numbers["settings"], grain) if grain is not None else None
    pictures = figures.draw(result, folder / "report", frame, flow=flow)
    record = provenance.read(folder / "ensemble.h5")
    record |= report.repeatability(record)
    return report.write(result, folder / "report", pictures, record.pop("deck"), record)


def summary(result):
    """Lines for the terminal."""
    from .report import summary_lines
    return summary_lines(result)
