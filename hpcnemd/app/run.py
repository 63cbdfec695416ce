"""`hpcnemd run DECK`: input checked by rank 0 and agreed by all, then the experiment, then its report."""
import os
from pathlib import Path

from ..core.errors import HpcnemdError, InputError
from .deck import load_deck, parse_deck
from .progress import Progress
from .results import is_complete, show_result


def run_deck(comm, path, report=True, point=None):
    """Collective over `comm`. Runs a deck, or the rest of it, and draws its `report`; returns the exit code. `point`: of a series, the number of the only point to run,
    or "task" for that of the Slurm array. Raises InputError (before any work, on all ranks alike),
    PhysicsError, StoppedEarly."""
    from ..parallel.launch import agree_on_errors
    from ..parallel.layout import Layout
    from ..parallel.threads import thread_problem
    text, prepared, problem = None, None, None
    if comm.rank == 0:
        try:
            text, prepared = _read(path, comm.size)
            point = point_number(parse_deck(text, path).experiment, point)
        except HpcnemdError as error:
            problem = error
    agree_on_errors(comm, problem)
    text, prepared, point = comm.bcast((text, prepared, point))
    loaded = parse_deck(text, path)
    agree_on_errors(comm, thread_problem(loaded.deck.parallel.threads))
    if hasattr(loaded.experiment, "launch"):
        return _run_series(comm, loaded, prepared, report, point)
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


def _run_series(comm, loaded, prepared, report, point):
    """Collective. A deck that is made of runs shares out the ranks itself."""
    ran = loaded.experiment.launch(prepared, comm, loaded.folder, loaded.text, progress=Progress, point=point)
    if comm.rank == 0 and not ran:
        print(f"{loaded.folder} holds all that was asked for, complete")
    if comm.rank == 0 and point is not None:
        print(f"point {point} is complete; the series so far: hpcnemd report {loaded.folder}")
    elif comm.rank == 0 and report:
        _report(loaded.folder, again=True)
    return 0


def point_number(experiment, point):
    """The number of --point as an int, or None. Raises InputError."""
    if point is None:
        return None
    if not hasattr(experiment, "launch"):
        raise InputError("--point: this deck is one run, not a series; leave the option out")
    if point == "task":
        point = os.environ.get("SLURM_ARRAY_TASK_ID", "")
        if not point.isdigit():
            raise InputError("--point without a number belongs into a Slurm array, and SLURM_ARRAY_TASK_ID is not set; write for example --point 0")
    if not str(point).isdigit():
        raise InputError(f"--point {point}: a number of a point is needed; hpcnemd check lists them")
    return int(point)


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
