"""A deck made ready to run."""
from dataclasses import dataclass
from typing import Any

from .deck import Deck


@dataclass(frozen=True)
class PreparedEnsemble:
    """`model`: the driven system; it has `branch_names`, `schema`, `attributes`, `times`, `rows(comm, branch, ids)` and `exact()`."""
    deck: Deck
    model: Any
    system: None = None         # no crystal: the application asks

    @property
    def n_rows(self):
        """Trajectories in the file, all branches."""
        return self.deck.run.replicas * len(self.model.branch_names)


def model_of(deck):
    """The driven system of a Deck."""
    from .chain import Chain, ReversibleChain
    from .colour import ColourTransients
    from .traps import Breathing, DraggedOverdamped, DraggedUnderdamped, stiffened
    table = deck.system
    if deck.kind == "dragged_trap":
        return (DraggedOverdamped if table.dynamics == "overdamped" else DraggedUnderdamped)(table, deck.run)
    if deck.kind == "pulled_chain":
        return (Chain if table.dynamics == "langevin" else ReversibleChain)(table, deck.run)
    return {"stiffened_trap": stiffened, "breathing_trap": Breathing, "colour_field": ColourTransients}[deck.kind](table, deck.run)


def prepare(deck, base="."):
    """PreparedEnsemble of a Deck; starts no MPI. `base` is not needed: the deck names no files."""
    return PreparedEnsemble(deck, model_of(deck))


def bytes_of(prepared):
    """Of the ensemble file."""
    import numpy as np
    row = sum(int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize + 8 for shape, dtype, *_ in prepared.model.schema.values())
    return prepared.n_rows * (row + 257) + (1 << 20)


def disk_need(deck, prepared):
    """Bytes by kind of file over the whole run; nothing else is kept for a restart."""
    return {"checkpoints": 0, "ensemble": bytes_of(prepared)}


def describe(loaded, prepared, ranks):
    """[(title, lines)] for `check`, beside the deck itself."""
    deck, model = loaded.deck, prepared.model
    run = deck.run
    rounds = -(-prepared.n_rows // (run.batch * ranks))
    exact = [f"{name} = {value:.6g}" for name, value in model.exact().items()]
    return [("system", [f"{deck.kind}, branches: {', '.join(model.branch_names)}, {deck.steps_of_trajectory} steps a trajectory",
                        f"work kept at {run.samples} times", *(f"known exactly: {one}" for one in exact)]),
            (f"on {ranks} rank{'s' * (ranks > 1)}", [f"{prepared.n_rows} rows in batches of {run.batch}, about {rounds} on each rank"]),
            ("run", [f"disk: {bytes_of(prepared) / 2**20:.1f} MiB, in {loaded.folder}"])]
