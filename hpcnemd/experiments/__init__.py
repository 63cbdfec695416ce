"""Experiments: one module per physical question. The registry is an explicit list; nothing is imported until its name is asked for."""
import difflib
from importlib import import_module

from ..core.errors import InputError

REGISTRY = {
    "ionic_conductivity": "hpcnemd.experiments.ionic_conductivity",
    "conductivity_series": "hpcnemd.experiments.conductivity_series",
    "transient_response": "hpcnemd.experiments.transient_response",
    "work_theorems": "hpcnemd.experiments.work_theorems",
    "loschmidt": "hpcnemd.experiments.loschmidt",
    "coarse_graining": "hpcnemd.experiments.coarse_graining",
    "orbital_instability": "hpcnemd.experiments.orbital_instability",
}


def experiment(name):
    """The module of an experiment; raises InputError for an unknown name. What the application asks of it:

    `Deck`: the pydantic model of its deck, with the tables `run`, `parallel` and `output` of `tables`;
    `prepare(deck, base)`: everything that can be known and wrong before any work (`.system` is a System, or None), no MPI;
    `run(prepared, layout, folder, text)`: Collective. Runs, or does the rest; `text` is the deck as the user wrote it, kept as folder/deck.toml;
    `analyse(folder) -> result`, `draw(result, folder) -> path of the page`, `summary(result) -> lines`: no MPI, on any machine;
    or, in place of `run` where it is made of other runs, `launch(prepared, world, folder, text, progress, point)` (Collective; returns the number of runs it made), with
    `parts(deck) -> names of the runs' folders`, `rank_problems(deck, prepared, ranks)` and `disk_need(deck, prepared, of_run)`;
    and, where it has no crystal, `describe(loaded, prepared, ranks) -> [(title, lines)]` and `disk_need(deck, prepared) -> {kind of file: bytes}` for `check`.
    """
    if name not in REGISTRY:
        close = difflib.get_close_matches(str(name), REGISTRY, n=1)
        raise InputError(f"experiment = {name!r}: " + (f"did you mean \"{close[0]}\"? " if close else "")
                         + f"write one of: {', '.join(REGISTRY)}")
    return import_module(REGISTRY[name])
