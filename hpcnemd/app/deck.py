"""From a TOML file to an experiment: reading, validation, and where the results go."""
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..core.errors import InputError
from ..experiments.deck_text import resolved_text


__all__ = ["LoadedDeck", "load_deck", "parse_deck", "resolved_text"]


@dataclass(frozen=True)
class LoadedDeck:
    """`deck`: the validated tables. `experiment`: the module that runs them. `base`: folder in which relative paths start. `text`: the file as read."""
    path: Path
    deck: Any
    experiment: ModuleType
    text: str

    @property
    def base(self):
        return self.path.parent

    @property
    def folder(self):
        """Where the results go: `output.folder` from the current folder on, or a folder named after the deck beside it."""
        if self.deck.output.folder is not None:
            return Path(self.deck.output.folder)
        return self.path.with_suffix("")

    def run(self, comm=None):
        """Collective over `comm` (default: all ranks). Runs the deck, or the rest of it, and returns the exit code."""
        from .run import run_deck
        if comm is None:
            from ..parallel.launch import world
            comm = world()
        return run_deck(comm, self.path)


def load_deck(path):
    """The LoadedDeck of a TOML file. Raises InputError with every problem at once."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        near = sorted(str(other) for other in path.parent.glob("*.toml"))[:5] if path.parent.is_dir() else []
        raise InputError(f"deck {str(path)!r}: cannot be read ({problem.strerror}); "
                         + (f"decks in that folder: {', '.join(near)}" if near else "write one with: hpcnemd init NAME")) from None
    except UnicodeDecodeError:
        raise InputError(f"deck {str(path)!r}: not a text file (UTF-8)") from None
    return parse_deck(text, path)


def parse_deck(text, path="deck.toml"):
    """The LoadedDeck of a deck's text, as if read from `path`. Raises InputError."""
    from pydantic import ValidationError

    from ..experiments import REGISTRY, experiment
    from ..experiments.tables import problems_of
    path = Path(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise InputError(f"deck {str(path)!r}: not TOML ({problem}); text needs quotes: temperature = \"300 K\"") from None
    if "experiment" not in data:
        raise InputError(f"experiment: this key is missing; write at the top of the deck, for example: experiment = \"{next(iter(REGISTRY))}\"")
    module = experiment(data["experiment"])
    try:
        deck = module.Deck.model_validate(data)
    except ValidationError as error:
        raise InputError(problems_of(error, module.Deck)) from None
    return LoadedDeck(path, deck, module, text)
