"""Ionic conductivities over temperatures, drives, directions and sizes in one launch, and what follows from them together: the tensor, sigma without drive,
agreement of the routes, the Arrhenius line, the speed-up over equilibrium.

`Deck` is the input; `prepare(deck, base)` finds every error of it; `launch(prepared, world, folder)` is collective and shares out the ranks itself; `analyse(folder)`,
`draw(result, folder)` and `summary(result)` need no MPI. A point of the series is an ordinary run of ionic_conductivity in a folder of its own."""
from pathlib import Path

from .deck import Deck
from .prepared import prepare

__all__ = ["Deck", "prepare", "launch", "parts", "rank_problems", "describe", "disk_need", "analyse", "draw", "summary"]


def launch(prepared, world, folder, text="", progress=None, point=None):
    """Collective over `world`. See `launched.launch`."""
    from .launched import launch as work
    return work(prepared, world, folder, text, progress, point)


def parts(deck):
    """The names of the points, which are their folders below that of the series."""
    from .points import points_of
    return [point.name for point in points_of(deck)]


def rank_problems(deck, prepared, ranks):
    """Messages: why the series cannot run on so many ranks."""
    from ...core.errors import InputError
    from .assignment import assign
    try:
        assign(prepared.work(), ranks, deck.parallel.ranks_per_replica)
    except InputError as error:
        return error.problems
    return []


def describe(loaded, prepared, ranks):
    """[(title, lines)] for `check`."""
    from .description import sections
    return sections(loaded, prepared, ranks)


def disk_need(deck, prepared, of_run):
    """Bytes by kind of file; `of_run(deck, prepared)`: those of one run."""
    needs = [of_run(run.deck, run) for run in prepared.runs]
    return {kind: sum(one[kind] for one in needs) for kind in needs[0]}


def analyse(folder):
    """The Result of a series' folder, from the points that are there. Raises InputError where there is none yet."""
    from .estimate import estimate
    return estimate(Path(folder))


def draw(result, folder):
    """Figures (PNG and PDF), numbers.json and report.html in `folder`/report; the path of the page."""
    from .report import write
    return write(result, Path(folder))


def summary(result):
    """Lines for the terminal."""
    from .report import summary_lines
    return summary_lines(result)
