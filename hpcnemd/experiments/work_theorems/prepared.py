"""A deck made ready to run."""
from ..irreversibility.launched import PreparedEnsemble, bytes_of

NOUN = "trajectories"


def model_of(deck, base="."):
    """The driven system of a Deck (`base`: its folder): what `PreparedEnsemble` says of a model, with `times` and `exact()` -> {name: value}."""
    from .chain import Chain, ReversibleChain
    from .colour import ColourTransients
    from .traps import Breathing, DraggedOverdamped, DraggedUnderdamped, stiffened
    table = deck.system
    if deck.kind == "dragged_trap":
        return (DraggedOverdamped if table.dynamics == "overdamped" else DraggedUnderdamped)(table, deck.run)
    if deck.kind == "pulled_chain":
        return (Chain if table.dynamics == "langevin" else ReversibleChain)(table, deck.run)
    if deck.kind == "electrolyte":
        from ..system import system_of_deck
        from .electrolyte import Electrolyte
        return Electrolyte(deck, system_of_deck(deck.structure, deck.forcefield, base))
    return {"stiffened_trap": stiffened, "breathing_trap": Breathing, "colour_field": ColourTransients}[deck.kind](table, deck.run)


def prepare(deck, base="."):
    """PreparedEnsemble of a Deck; `base` is the deck's folder. Raises InputError with every problem found; starts no MPI."""
    model = model_of(deck, base)
    return PreparedEnsemble(deck, model, 1 if deck.kind == "electrolyte" else deck.run.batch, NOUN, getattr(model, "system", None))


def describe(loaded, prepared, ranks):
    """[(title, lines)] for `check`, beside the deck itself."""
    deck, model = loaded.deck, prepared.model
    run = deck.run
    rounds = -(-prepared.n_rows // (prepared.batch * ranks))
    exact = [f"{name} = {value:.6g}" for name, value in model.exact().items()]
    return [("system", [f"{deck.kind}, branches: {', '.join(model.branch_names)}, {deck.steps_of_trajectory} steps a trajectory",
                        f"work kept at {run.samples} times", *(f"known exactly: {one}" for one in exact)]),
            (f"on {ranks} rank{'s' * (ranks > 1)}", [f"{prepared.n_rows} rows in batches of {prepared.batch}, about {rounds} on each rank"]),
            ("run", [f"disk: {bytes_of(prepared) / 2**20:.1f} MiB, in {loaded.folder}"])]
