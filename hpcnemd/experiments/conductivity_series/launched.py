"""One launch of a series: teams of ranks take points, the longest first; what is complete is left alone, what was stopped goes on."""
import os
import time
import tomllib
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from ...core.errors import HpcnemdError, InputError, PhysicsError, StoppedEarly
from ...parallel.launch import StopFlag, agree_on_errors, compile_once
from ...parallel.layout import Layout
from ...parallel.reduce import vote_any
from ...storage import ensemble, provenance
from ...storage.agreement import on_root
from ...storage.journal import Journal
from ..ionic_conductivity.deck import Deck as RunDeck
from ..ionic_conductivity.groups import run as run_point
from ..compiling import compile_parts
from ..ionic_conductivity.warm_up import warm_up
from .assignment import assign
from .deck import Deck
from .points import text_of

ENSEMBLE, DECK = "ensemble.h5", "deck.toml"


def launch(prepared, world, folder, text="", progress=None, point=None):
    """Collective over `world`. Runs every point of the series, or the rest of them, each in a folder of its own below `folder`; `point`: that one alone. Returns how
    many there were to run.

    A point that breaks does not keep the others from running. Raises InputError where a folder holds another run, StoppedEarly after a signal or the wall time,
    PhysicsError where a point broke."""
    folder, begun = Path(folder), time.monotonic()
    todo, problem = None, None
    if world.rank == 0:
        try:
            todo = unfinished(prepared, folder, chosen(prepared, point))
            write_deck(folder, text)
        except HpcnemdError as error:
            problem = error
    agree_on_errors(world, problem)
    todo = world.bcast(todo)
    journal = Journal(world, folder / "journal.jsonl")
    journal.note("launched", points=len(todo), of=len(prepared.points), ranks=world.size)
    if todo:
        try:
            _run_teams(prepared, world, folder, todo, journal, progress, begun)
        finally:
            journal.close()
    return len(todo)


def chosen(prepared, point):
    """The numbers of the points to run."""
    n = len(prepared.points)
    if point is None:
        return range(n)
    if not 0 <= point < n:
        raise InputError(f"--point {point}: the series has {n} points, 0 to {n - 1}; hpcnemd check lists them (Slurm: --array=0-{n - 1})")
    return [point]


def write_deck(folder, text):
    """The deck in the folder of the series, whole at any moment: the jobs of an array write it at once."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".{DECK}.{os.getpid()}"
    new.write_text(text, encoding="utf-8")
    new.replace(folder / DECK)


def unfinished(prepared, folder, numbers):
    """The numbers of the points that are not complete. Raises InputError where a point's folder holds a run with other settings."""
    left, problems = [], []
    for k in numbers:
        here, name = folder / prepared.points[k].name, prepared.points[k].name
        mine, stored = prepared.run_in(k, here).deck, stored_deck(here)
        if stored is not None and stored.identity() != mine.identity() and any((here / one).exists() for one in (ENSEMBLE, "checkpoint")):
            problems.append(f"{name}: {here} holds a run with other settings ({_differences(stored, mine)}); write another output.folder, or remove that one")
        elif not _complete(here, mine):
            left.append(k)
    if problems:
        raise InputError(problems)
    return left


def stored_deck(folder):
    """The deck of the run in a folder; None where there is none that can be read."""
    try:
        return RunDeck.model_validate(tomllib.loads((folder / DECK).read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError):
        return None


def stored_series(folder):
    """The Deck of the series in a folder. Raises InputError."""
    try:
        return Deck.model_validate(tomllib.loads((folder / DECK).read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as problem:
        raise InputError(f"{folder / DECK}: the deck of the series is not there or cannot be read ({problem})") from None


def _differences(stored, mine):
    before, now = stored.identity(), mine.identity()
    return ", ".join(sorted(f"{table}.{key}" for table in now if isinstance(now[table], dict) for key in now[table]
                            if now[table][key] != before.get(table, {}).get(key)))


def _complete(folder, deck):
    """Whether all replicas of this deck are complete in the folder. The deck inside the result counts: deck.toml is that of the last start."""
    try:
        before = RunDeck.model_validate(tomllib.loads(provenance.read(folder / ENSEMBLE)["deck"]))
        done = set(ensemble.read_status(folder / ENSEMBLE)[0]) == {"complete"}
    except (OSError, KeyError, tomllib.TOMLDecodeError, ValidationError):
        return False
    outside = {"output", "parallel"}
    return done and before.model_dump(exclude=outside) == deck.model_dump(exclude=outside)


def _run_teams(prepared, world, folder, todo, journal, progress, begun):
    """Collective. The points `todo` over teams of ranks."""
    size, shares = assign(prepared.work(), world.size, prepared.deck.parallel.ranks_per_replica, todo)
    compile_parts(world, prepared.runs[todo[0]].system, size, prepared.deck.parallel.threads)
    compile_once(world, lambda: warm_up(prepared.runs[todo[0]]))        # teams that compile side by side could spoil the cache
    team = world.rank // size
    comm = world.Split(team, world.rank)
    mine = shares[team]
    journal.note("shared out", ranks_per_team=size, points=[[prepared.points[k].name for k in share] for share in shares])
    bar = _Whole(progress, prepared, mine) if progress and world.rank == 0 else None
    own = Journal(comm, folder / "journal.jsonl")
    flag = StopFlag().install()
    problems, stopped = [], False
    limit = prepared.deck.output.walltime

    def late():
        return bool(flag.received) or limit is not None and time.monotonic() - begun > limit
    try:
        for turn, k in enumerate(mine):
            if turn and vote_any(comm, late()):
                stopped = True
                break
            left = max(1e-3, limit - (time.monotonic() - begun)) if limit is not None else None
            try:
                _one(prepared, k, comm, folder, left, own, bar)
            except StoppedEarly as error:
                stopped, problems = True, problems + [error]
                break
            except HpcnemdError as error:           # this point's; the others are run all the same
                problems.append(type(error)(f"{prepared.points[k].name}: {error}"))
                own.note("failed", point=prepared.points[k].name, cause=str(error))
    finally:
        own.close()
        if bar is not None:
            bar.close()
    comm.Free()
    try:                                            # a team that is done waits here for the others: a signal to all ranks must not end it
        _conclude(world, stopped, problems, folder)
    finally:
        flag.restore()


def _one(prepared, k, comm, folder, left, journal, bar):
    """Collective over the team. One point, as an ordinary run."""
    point, here = prepared.points[k], folder / prepared.points[k].name
    run = prepared.run_in(k, here)
    text = text_of(run.deck)
    if left is not None:
        run = replace(run, deck=run.deck.model_copy(update={"output": run.deck.output.model_copy(update={"walltime": left})}))
    on_root(comm, lambda: here.mkdir(parents=True, exist_ok=True), here, starting=True)
    parallel = run.deck.parallel
    layout = Layout(comm, run.deck.run.replicas, parallel.ranks_per_replica, parallel.grid, run.system.box)
    journal.note("point started", point=point.name, ranks=comm.size)
    try:
        run_point(run, layout, here, text, bar.begin(k) if bar is not None else None)
    finally:
        layout.free()
    journal.note("point finished", point=point.name)


def _conclude(world, stopped, problems, folder):
    """Collective. Raises on all ranks what any team met. A series that was stopped can go on, even where one of its points broke."""
    problem = None
    if problems:
        kind = type(problems[0]) if not stopped else StoppedEarly
        problem = kind("\n".join(map(str, problems)))
    elif stopped:
        problem = StoppedEarly(f"stopped early with checkpoints in {folder}; start the same command again to go on")
    if vote_any(world, stopped) and isinstance(problem, PhysicsError):
        problem = StoppedEarly(str(problem))
    agree_on_errors(world, problem)


class _Whole:
    """One bar over all points of a team, in steps of replicas one after another."""

    def __init__(self, make, prepared, numbers):
        self.steps = {k: prepared.runs[k].schedule.measure * prepared.runs[k].deck.run.replicas for k in numbers}
        self.names = [point.name for point in prepared.points]
        self.bar = make(sum(self.steps.values()), 0.0)

    def begin(self, k):
        """The `progress` of the run of point `k`."""
        order = list(self.steps)
        before = sum(self.steps[one] for one in order[:order.index(k)])
        return lambda total, timestep: _Part(self.bar, before, self.steps[k] / total, self.names[k])

    def close(self):
        self.bar.close()


class _Part:
    """What one run sees of the bar: `total` steps of its own are the point's share of the whole."""

    def __init__(self, bar, before, scale, name):
        self.bar, self.before, self.scale, self.name = bar, before, scale, name

    def update(self, step, note=""):
        self.bar.update(int(self.before + self.scale * step), f"{self.name}, {note}")

    def close(self):
        """The bar stays until the last point is done."""
