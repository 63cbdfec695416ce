"""A list of cases, each with its replicas, from a prepared deck to one ensemble file: one row per case and replica, resumable to the row."""
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import InputError, PhysicsError
from ...ensembles.campaign import branches, run_campaign
from ...parallel.launch import StopFlag, agree_on_errors, compile_once
from ...storage import ensemble, provenance
from ...storage.ensemble import EnsembleFile
from ...storage.journal import Journal
from .tables import identity_of

ENSEMBLE = "ensemble.h5"


@dataclass(frozen=True)
class PreparedCases:
    """`model` has `cases` (names, one branch each), `schema` (see EnsembleFile), `rows(comm, branch, ids)` (Collective over comm) and `warm_up()`."""
    deck: Any
    model: Any
    system: None = None         # no crystal: the application asks

    @property
    def n_rows(self):
        return len(self.model.cases) * self.deck.run.replicas


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
    return [("cases", [*prepared.model.cases, f"{run.replicas} replica{'s' * (run.replicas > 1)} of each"]),
            (f"on {ranks} rank{'s' * (ranks > 1)}", [f"{prepared.n_rows} rows"]),
            ("run", [f"disk: {bytes_of(prepared) / 2**20:.1f} MiB, in {loaded.folder}"])]


def run(prepared, layout, folder, text="", progress=None):
    """Collective over layout.world. Runs the rows that are missing in `folder`/ensemble.h5.

    Raises InputError where the folder holds another ensemble, StoppedEarly after a signal or the wall time, PhysicsError where every row broke."""
    folder, deck, world = Path(folder), prepared.deck, layout.world
    begun = time.monotonic()
    compile_once(world, prepared.model.warm_up)
    file = _open(prepared, layout, folder, text)
    journal = Journal(world, folder / "journal.jsonl")
    journal.note("started", rows=prepared.n_rows, ranks=world.size, ranks_per_replica=layout.ranks_per_replica)
    bar = progress(prepared.n_rows, 0.0) if progress and world.rank == 0 else None
    flag = StopFlag().install()
    try:
        failed, _ = run_campaign(
            layout, file, branches(prepared.model.cases, deck.run.replicas), 1, prepared.model.rows, None,
            lambda: bool(flag.received) or deck.output.walltime is not None and time.monotonic() - begun > deck.output.walltime,
            (lambda done, total: bar.update(prepared.n_rows - total + done, "rows")) if bar else None)
    finally:
        flag.restore()
        if bar is not None:
            bar.close()
    if file is not None:
        provenance.stamp_end(file)
        file.close()
    journal.note("finished", rows=prepared.n_rows, failed=failed, seconds=round(time.monotonic() - begun, 3))
    journal.close()
    if failed == prepared.n_rows:
        raise PhysicsError(f"all {failed} rows broke; the causes are in {folder / ENSEMBLE}, dataset ensemble/cause")


def _open(prepared, layout, folder, text):
    """Collective over the world. The EnsembleFile over the leaders (None on other ranks): new, or the one that is there."""
    world, path, deck = layout.world, folder / ENSEMBLE, prepared.deck
    identity = json.dumps(identity_of(deck), sort_keys=True)
    problem, there = None, None
    if world.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        there = path.exists()
        if there and str(ensemble.read_attributes(path).get("identity", "")) != identity:
            problem = InputError(f"{path} holds another ensemble; write another output.folder, or remove that folder first")
    agree_on_errors(world, problem)
    there = world.bcast(there)
    record = provenance.collect(world, text, deck.run.seed, (layout.n_groups, layout.ranks_per_replica, 1, 1), "scalar", deck.parallel.writer)
    if world.rank == 0 and text:
        (folder / "deck.toml").write_text(text, encoding="utf-8")
    if layout.leader_comm is None:
        return None
    if there:
        file = EnsembleFile.resume(path, layout.leader_comm, prepared.n_rows, prepared.model.schema, deck.parallel.writer)
        provenance.stamp_restart(file, 0)
        return file
    attributes = {"identity": identity, "cases": "\n".join(prepared.model.cases), "replicas_per_case": np.int64(deck.run.replicas)}
    return EnsembleFile.create(path, layout.leader_comm, prepared.n_rows, prepared.model.schema, deck.parallel.writer, attributes, record)


@dataclass(frozen=True)
class Stored:
    """`deck`: the validated deck; `rows`: {case: {dataset: (complete replicas, ...)}}, cases without a complete replica left out; `counts`: by status."""
    deck: Any
    rows: dict
    counts: dict


def load(folder, model):
    """What a run has left, read against the deck's `model` class. Raises InputError where there is nothing to analyse."""
    path = Path(folder, ENSEMBLE)
    try:
        stored = ensemble.read(path)
    except (OSError, KeyError) as problem:
        raise InputError(f"{path}: cannot be read ({problem}); run the deck first") from None
    count, cases, status = int(stored.attributes["replicas_per_case"]), str(stored.attributes["cases"]).split("\n"), np.array(stored.status)
    rows = {}
    for k, case in enumerate(cases):
        good = status[k * count:(k + 1) * count] == "complete"
        if good.any():
            rows[case] = {name: array[k * count:(k + 1) * count][good] for name, array in stored.arrays.items()}
    if not rows:
        raise InputError(f"{folder}: no row is complete yet; look at hpcnemd status {folder}")
    return Stored(model.model_validate(json.loads(stored.attributes["identity"])), rows,
                  {name: int((status == name).sum()) for name in ensemble.STATUS})
