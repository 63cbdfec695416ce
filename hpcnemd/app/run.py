"""`hpcnemd run DECK`: input checked by rank 0 and agreed by all, then the experiment, then its report."""
from pathlib import Path

from ..core.errors import HpcnemdError, InputError
from .deck import load_deck, parse_deck
from .progress import Progress
from .results import is_complete, show_result


def run_deck(comm, path, report=True):
    """Collective over `comm`. Runs a deck, or the rest of it, and draws its `report`; returns the exit code. Raises InputError (before any work, on all ranks alike),
    PhysicsError, StoppedEarly."""
    from ..parallel.launch import agree_on_errors
    from ..parallel.layout import Layout
    text, prepared, problem = None, None, None
    if comm.rank == 0:
        try:
            text, prepared = _read(path, comm.size)
        except HpcnemdError as error:
            problem = error
    agree_on_errors(comm, problem)
    text, prepared = comm.bcast((text, prepared))
    loaded = parse_deck(text, path)
    done = comm.bcast(is_complete(loaded.folder, text) if comm.rank == 0 else None)
    if not done:
        run, parallel = loaded.deck.run, loaded.deck.parallel
        layout = Layout(comm, run.replicas, parallel.ranks_per_replica, parallel.grid, prepared.system and prepared.system.box)
        loaded.experiment.run(prepared, layout, loaded.folder, text, progress=Progress)
    elif comm.rank == 0:
        print(f"{loaded.folder} holds the complete run of this deck; remove the folder to run it anew, or write a longer measure")
    if comm.rank == 0 and report:
        _report(loaded.folder, again=not done)
    return 0


def _report(folder, again):
    """On rank 0 only. Raises StoppedEarly where the disk is too full for the figures: the next start draws them."""
    from ..storage.agreement import FULL, explain
    try:
        show_result(folder, again)
    except OSError as problem:
        if problem.errno not in FULL:
            raise
        raise explain(problem, folder / "report", starting=False) from None


def _read(path, ranks):
    """(text, PreparedRun) of a deck that is right in every respect; makes the result folder. On rank 0 only."""
    from .check import prepare_and_check
    loaded = load_deck(path)
    prepared, problems = prepare_and_check(loaded, ranks)
    if problems:
        raise InputError(problems)
    try:
        Path(loaded.folder).mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise InputError(f"output.folder = {str(loaded.folder)!r}: cannot be made ({problem.strerror})") from None
    return loaded.text, prepared
