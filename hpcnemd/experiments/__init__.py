"""Experiments: one module per physical question. The registry is an explicit list; nothing is imported until its name is asked for."""
import difflib
from importlib import import_module

from ..core.errors import InputError

REGISTRY = {
    "ionic_conductivity": "hpcnemd.experiments.ionic_conductivity",
}


def experiment(name):
    """The module of an experiment: `Deck`, `run(deck, layout, folder)`, `analyse(folder)`, `draw(result, folder)`. Raises InputError."""
    if name not in REGISTRY:
        close = difflib.get_close_matches(str(name), REGISTRY, n=1)
        raise InputError(f"experiment = {name!r}: " + (f"did you mean \"{close[0]}\"? " if close else "")
                         + f"write one of: {', '.join(REGISTRY)}")
    return import_module(REGISTRY[name])
