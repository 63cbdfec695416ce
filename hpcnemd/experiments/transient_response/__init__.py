"""Conductivity from transients after a field was switched on, through their correlation with the current at the start (TTCF): for fields so small that
an average of the current shows nothing.

`Deck` is the input; `prepare(deck, base)` finds every error of it; `run(prepared, layout, folder)` is collective; `analyse(folder)`,
`draw(result, folder)` and `summary(result)` need no MPI."""
from ..irreversibility import launched
from ..irreversibility.launched import describe, disk_need
from ..irreversibility.report import Page
from .deck import Deck
from .estimate import analyse
from .figures import PLOTS
from .transients import NOUN, prepare

__all__ = ["Deck", "prepare", "run", "analyse", "draw", "summary", "describe", "disk_need"]

LAWS = ("Transient time correlation function (Evans and Morriss, <i>Statistical Mechanics of Nonequilibrium Liquids</i>, 7.3): from equilibrium, with the field E on from t = 0, "
        "⟨J(t)⟩ = β E ∫<sub>0</sub><sup>t</sup> ⟨J(0) J(s)⟩<sub>E</sub> ds, so that σ(t) = β ⟨J(0) Q(t)⟩ / V with Q the charge moved, at any field. Each start point is used in four images of "
        "equal probability: itself, reversed in time, its point reflection (which turns the current round for a drive along any direction), both. The direct average of the "
        "images is that of pairs whose noise cancels until they have diverged; the direct average of the start points alone is what a field has to overcome without them. "
        "The result is the mean over the second half of the transients; errors are standard errors over start points, merged until they are uncorrelated.")
PAGE = Page(lambda result: "Transient response of an electrolyte", LAWS, PLOTS, NOUN, "expected")
draw, summary = PAGE.draw, PAGE.summary


def run(prepared, layout, folder, text="", progress=None):
    """Collective over layout.world. See `irreversibility.launched.run`."""
    launched.run(prepared, layout, folder, text, progress)
