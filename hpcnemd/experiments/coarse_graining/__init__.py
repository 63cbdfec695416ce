"""Entropy of coarse graining: clouds of points under maps and flows that keep phase volume, looked at through cells.

`Deck` is the input; `prepare(deck, base)` finds every error of it; `run(prepared, layout, folder)` is collective; `analyse(folder)`,
`draw(result, folder)` and `summary(result)` need no MPI."""
from ..irreversibility.launched import describe, disk_need, run
from ..irreversibility.report import Page
from .deck import Deck
from .estimate import analyse
from .figures import PLOTS
from .clouds import prepare

__all__ = ["Deck", "prepare", "run", "analyse", "draw", "summary", "describe", "disk_need"]

LAWS = ("All these maps and flows keep phase volume, so that the Gibbs entropy −∫ρ ln ρ of a cloud never changes (Liouville). A cloud that fills one cell evenly is looked at "
        "through a grid of cells: S<sub>cells</sub> = ln(touched cells) (Boltzmann's volume) and S = −Σ p ln p (Shannon, corrected for sampling). Where orbits are unstable both grow, "
        "at best as fast as the Kolmogorov-Sinai entropy h, and only until the cells are full. Reversed exactly, the cloud goes back into its cell and the entropy falls; "
        "coarse-grained once at the reversal (points scattered in their cells) it does not, and coarse-grained at every step it never falls.")
PAGE = Page(lambda result: "Entropy of coarse graining", LAWS, PLOTS)
draw, summary = PAGE.draw, PAGE.summary
