"""From a prepared deck to one ensemble file: one row per branch and replica, resumable to the row; a launch that asks for more replicas extends it."""
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import InputError, PhysicsError
from ...ensembles.campaign import FLUSH_SECONDS, branches, run_campaign
from ...parallel.launch import StopFlag, agree_on_errors, compile_once
from ...storage import ensemble, provenance
from ...storage.ensemble import EnsembleFile
from ...storage.journal import Journal
from .tables import identity_of

ENSEMBLE = "ensemble.h5"


@dataclass(frozen=True)
class PreparedEnsemble:
    """`model` has `branch_names` (or names of cases), `schema` (see EnsembleFile), `attributes` (dict, for the analysis), `rows(comm, branch, ids)`
    (Collective over comm; a row depends on the deck, its branch and its number, never on the count of replicas) and `warm_up()`.
    `batch`: replicas of one call of `rows`; `noun`: what a row is."""
    deck: Any
    model: Any
    batch: int = 1
    noun: str = "rows"
    system: Any = None          # of a crystal, else None: the application asks

    @property
    def n_rows(self):
        """In the file, all branches."""
        return self.deck.run.replicas * len(self.model.branch_names)


def bytes_of(prepared):
    """Of the ensemble file."""
    row = sum(int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize + 8 for shape, dtype, *_ in prepared.model.schema.values())
    return prepared.n_rows * (row + 257) + (1 << 20)


def disk_need(deck, prepared):
    """Bytes by kind of file over the whole run; nothing else is kept for a restart."""
    return {"checkpoints": 0, "ensemble": bytes_of(prepared)}


def describe(loaded, prepared, ranks):
    """[(title, lines)] for `check`."""
    run = loaded.deck.run
    return [("cases", [*prepared.model.branch_names, f"{run.replicas} replica{'s' * (run.replicas > 1)} of each"]),
            (f"on {ranks} rank{'s' * (ranks > 1)}", [f"{prepared.n_rows} rows"]),
            ("run", [f"disk: {bytes_of(prepared) / 2**20:.1f} MiB, in {loaded.folder}"])]


def run(prepared, layout, folder, text="", progress=None, work=None, statistics=None):
    """Collective over layout.world. Runs the rows that are missing in `folder`/ensemble.h5; a file of fewer replicas is extended. Returns the merged statistics.

    `text`: the deck as read. `progress(total, timestep)`: makes an object with update(done, note) and close(), on rank 0. `work(comm, branch, ids)`: computes
    rows in place of prepared.model.rows (tests). `statistics()`: makes {name: leaf}, see `run_campaign`. Raises InputError where the folder holds another
    ensemble or one of more replicas, StoppedEarly after a signal or the wall time, PhysicsError where every row broke."""
    folder, deck, model, world = Path(folder), prepared.deck, prepared.model, layout.world
    begun = time.monotonic()
    compile_once(world, model.warm_up)
    file = open_file(prepared, layout, folder, text)
    journal = Journal(world, folder / "journal.jsonl")
    journal.note("started", rows=prepared.n_rows, ranks=world.size, ranks_per_replica=layout.ranks_per_replica, batch=prepared.batch)
    bar = progress(prepared.n_rows, 0.0) if progress and world.rank == 0 else None
    flag, interval, loop = StopFlag().install(), getattr(deck.output, "checkpoint", None), time.monotonic()
    try:
        failed, merged = run_campaign(
            layout, file, branches(model.branch_names, deck.run.replicas), prepared.batch, work or model.rows, statistics() if statistics else None,
            lambda: bool(flag.received) or deck.output.walltime is not None and time.monotonic() - begun > deck.output.walltime,
            (lambda done, total: bar.update(prepared.n_rows - total + done, prepared.noun)) if bar else None,
            FLUSH_SECONDS if interval is None else interval.seconds or 0.0)
    finally:
        flag.restore()
        if bar is not None:
            bar.close()
    if file is not None:
        provenance.stamp_end(file)
        file.close()
    now = time.monotonic()
    journal.note("finished", rows=prepared.n_rows, failed=failed, seconds=round(now - begun, 3), seconds_of_ensemble=round(now - loop, 3))
    journal.close()
    if failed == prepared.n_rows:
        raise PhysicsError(f"all {failed} {prepared.noun} broke; the causes are in {folder / ENSEMBLE}, dataset ensemble/cause")
    return merged


def open_file(prepared, layout, folder, text=""):
    """Collective over the world. The EnsembleFile over the leaders (None on other ranks): new, the one that is there, or that one with more replicas."""
    world, path, deck = layout.world, folder / ENSEMBLE, prepared.deck
    identity, problem, held = identity_of(deck), None, None
    if world.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            held, problem = _held(path, identity, deck.run.replicas)
    agree_on_errors(world, problem)
    held = world.bcast(held)
    record = provenance.collect(world, text, deck.run.seed, (layout.n_groups, *layout.grid), getattr(prepared.model, "kernel_path", "scalar"), deck.parallel.writer, deck.parallel.threads)
    if world.rank == 0 and text:
        (folder / "deck.toml").write_text(text, encoding="utf-8")
    leaders, schema, names = layout.leader_comm, prepared.model.schema, prepared.model.branch_names
    if leaders is None:
        return None
    attributes = {"identity": json.dumps(identity, sort_keys=True), "branches": "\n".join(names), "replicas_per_branch": np.int64(deck.run.replicas),
                  **prepared.model.attributes}
    if held is None:
        return EnsembleFile.create(path, leaders, prepared.n_rows, schema, deck.parallel.writer, attributes, record)
    if held < deck.run.replicas:
        moves = [(k * held, held, k * deck.run.replicas) for k in range(len(names))]
        file = EnsembleFile.enlarge(path, leaders, moves, prepared.n_rows, schema, deck.parallel.writer, attributes, record)
    else:
        file = EnsembleFile.resume(path, leaders, prepared.n_rows, schema, deck.parallel.writer)
    provenance.stamp_restart(file, 0)
    return file


def _held(path, identity, wanted):
    """(replicas of each branch in the file, None), or (None, InputError) where the file is that of another deck or holds more of them."""
    attributes = ensemble.read_attributes(path)
    other = json.loads(str(attributes.get("identity", "{}")))
    if _without_count(other) != _without_count(identity) or "replicas_per_branch" not in attributes:
        return None, InputError(f"{path} holds another ensemble; write another output.folder, or remove that folder first")
    held = int(attributes["replicas_per_branch"])
    if held > wanted:
        return None, InputError(f"run.replicas = {wanted}: {path} holds {held} replicas already; write at least {held}, or another output.folder")
    return held, None


def _without_count(identity):
    return {**identity, "run": {key: value for key, value in identity.get("run", {}).items() if key != "replicas"}}


@dataclass(frozen=True)
class Stored:
    """`deck`: the validated deck; `rows`: {branch: {dataset: (complete replicas, ...)}}, branches without a complete replica left out; `counts`: by status;
    `causes`: {cause: replicas that broke}; `attributes`: of the file."""
    deck: Any
    rows: dict
    counts: dict
    causes: dict
    attributes: dict


def load(folder, model):
    """What a run has left, read against the deck's `model` class. Raises InputError where there is nothing to analyse."""
    path = Path(folder, ENSEMBLE)
    try:
        stored = ensemble.read(path)
    except (OSError, KeyError) as problem:
        raise InputError(f"{path}: cannot be read ({problem}); run the deck first") from None
    if "replicas_per_branch" not in stored.attributes:
        raise InputError(f"{path}: was not written by this experiment, or by an older version of it; run the deck again with another output.folder")
    count, names, status = int(stored.attributes["replicas_per_branch"]), str(stored.attributes["branches"]).split("\n"), np.array(stored.status)
    rows, causes = {}, {}
    for k, name in enumerate(names):
        good = status[k * count:(k + 1) * count] == "complete"
        if good.any():
            rows[name] = {key: array[k * count:(k + 1) * count][good] for key, array in stored.arrays.items()}
    for one, cause in zip(status, stored.causes):
        if one == "failed":
            causes[cause] = causes.get(cause, 0) + 1
    if not rows:
        raise InputError(f"{folder}: no row is complete yet; look at hpcnemd status {folder}")
    return Stored(model.model_validate(json.loads(stored.attributes["identity"])), rows,
                  {name: int((status == name).sum()) for name in ensemble.STATUS}, causes, stored.attributes)
