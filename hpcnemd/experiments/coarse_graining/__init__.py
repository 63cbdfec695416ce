"""Entropy of coarse graining: clouds of points under maps and flows that keep phase volume, looked at through cells.

`Deck` is the input; `prepare(deck, base)` finds every error of it; `run(prepared, layout, folder)` is collective; `analyse(folder)`,
`draw(result, folder)` and `summary(result)` need no MPI."""
from ..irreversibility.launched import describe, disk_need
from .clouds import prepare
from .deck import Deck

__all__ = ["Deck", "prepare", "run", "analyse", "draw", "summary", "describe", "disk_need"]

TITLE = "Entropy of coarse graining"
LAWS = ("All these maps and flows keep phase volume, so that the Gibbs entropy −∫ρ ln ρ of a cloud never changes (Liouville). A cloud that fills one cell evenly is looked at "
        "through a grid of cells: S<sub>cells</sub> = ln(touched cells) (Boltzmann's volume) and S = −Σ p ln p (Shannon, corrected for sampling). Where orbits are unstable both grow, "
        "at best as fast as the Kolmogorov-Sinai entropy h, and only until the cells are full. Reversed exactly, the cloud goes back into its cell and the entropy falls; "
        "coarse-grained once at the reversal (points scattered in their cells) it does not, and coarse-grained at every step it never falls.")


def run(prepared, layout, folder, text="", progress=None):
    """Collective. See `irreversibility.launched.run`."""
    from ..irreversibility.launched import run as work
    return work(prepared, layout, folder, text, progress)


def analyse(folder):
    """The Result of a run's folder. Raises InputError where there is nothing to analyse yet."""
    from .estimate import analyse as work
    return work(folder)


def draw(result, folder):
    """Figures (PNG and PDF), numbers.json and report.html in `folder`/report; the path of the page."""
    from ..irreversibility.report import write
    from .figures import PLOTS
    return write(result, folder, TITLE, LAWS, PLOTS)


def summary(result):
    """Lines for the terminal."""
    from ..irreversibility.report import summary_lines
    return summary_lines(result, TITLE)
