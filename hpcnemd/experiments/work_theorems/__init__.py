"""Work and fluctuation theorems on ensembles of driven trajectories: traps, a pulled chain, colour-driven discs.

`Deck` is the input; `prepare(deck, base)` finds every error of it; `run(prepared, layout, folder)` is collective; `analyse(folder)`,
`draw(result, folder)` and `summary(result)` need no MPI."""
from .deck import Deck
from .prepared import describe, disk_need, prepare

__all__ = ["Deck", "prepare", "run", "analyse", "draw", "summary", "describe", "disk_need"]


def run(prepared, layout, folder, text="", progress=None):
    """Collective. See `launched.run`."""
    from .launched import run as work
    return work(prepared, layout, folder, text, progress)


def analyse(folder):
    """The Result of a run's folder. Raises InputError where there is nothing to analyse yet."""
    from .estimate import analyse as work
    return work(folder)


def draw(result, folder):
    """Figures (PNG and PDF), numbers.json and report.html in `folder`/report; the path of the page."""
    from .report import write
    return write(result, folder)


def summary(result):
    """Lines for the terminal."""
    from .report import summary_lines
    return summary_lines(result)
