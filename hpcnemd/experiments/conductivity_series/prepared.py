"""A series made ready to run: every point's deck and system, checked before any work."""
from dataclasses import dataclass, replace
from pathlib import Path

from ...core.errors import InputError
from ..ionic_conductivity.prepared import prepare as prepare_run
from .deck import Deck
from .points import placed, points_of, run_deck_of


@dataclass(frozen=True)
class PreparedSeries:
    """`points`: list of Point; `runs`: PreparedRun of each; `base`: folder of the series' deck."""
    deck: Deck
    points: list
    runs: list
    base: Path

    @property
    def system(self):
        """That of the first point."""
        return self.runs[0].system

    def run_in(self, k, folder):
        """The PreparedRun of point `k` for its folder of results."""
        return replace(self.runs[k], deck=placed(self.runs[k].deck, self.base, folder))

    def work(self):
        """(steps of a replica, ions, replicas) of each point."""
        return [(run.schedule.measure, len(run.system.species), run.deck.run.replicas) for run in self.runs]


def prepare(deck, base="."):
    """PreparedSeries of a Deck; `base` is the folder of the deck. Raises InputError with every problem found; starts no MPI."""
    points, systems, runs, problems = points_of(deck), {}, [], []
    for point in points:
        try:
            cell = point.lattice, point.supercell
            if cell not in systems:
                bare = prepare_run(run_deck_of(deck, point), base)
                systems[cell] = bare.system, bare.colour
            system, colour = systems[cell]
            runs.append(prepare_run(run_deck_of(deck, point, system, colour), base, system))
        except InputError as error:
            problems += [text for one in error.problems if (text := f"{point.name}: {one}") not in problems]
    if problems:
        raise InputError(problems)
    return PreparedSeries(deck, points, runs, Path(base))
