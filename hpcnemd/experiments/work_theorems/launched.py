"""From a prepared deck to the ensemble file: all replicas of all branches, or those that are missing."""
import json
import time
from pathlib import Path

import numpy as np

from ...core.errors import InputError, PhysicsError
from ...ensembles.campaign import Branch, branches, run_campaign
from ...ensembles.statistics import Correlator, Covariance, ExponentialAverage, Histogram, Moments
from ...parallel.launch import StopFlag, agree_on_errors, compile_once
from ...storage import provenance
from ...storage.ensemble import EnsembleFile, read_attributes
from ...storage.journal import Journal

ENSEMBLE, STATISTICS = "ensemble.h5", "statistics.json"
PILOT, BINS = 256, 64


def run(prepared, layout, folder, text="", progress=None, work=None):
    """Collective over layout.world. Runs what is missing in `folder`/ensemble.h5 and writes `folder`/statistics.json.

    `text`: the deck as read. `progress(total, timestep)`: makes an object with update(done, note) and close(), on rank 0.
    `work(comm, branch, ids)`: computes rows in place of prepared.model.rows (tests). Raises InputError where the folder holds another ensemble,
    StoppedEarly after a signal or the wall time, PhysicsError where every replica broke.
    """
    folder, deck, model, world = Path(folder), prepared.deck, prepared.model, layout.world
    begun = time.monotonic()
    agree_on_errors(world, None if layout.ranks_per_replica == 1 else InputError("parallel.ranks_per_replica: these systems fit on one rank; write 1"))
    compile_once(world, lambda: [model.rows(None, Branch(name, k, 0, 8), np.arange(8)) for k, name in enumerate(model.branch_names)])
    file = open_file(prepared, layout, folder, text)
    journal = Journal(world, folder / "journal.jsonl")
    branch_list = branches(model.branch_names, deck.run.replicas)
    bar = progress(prepared.n_rows, 0.0) if progress and world.rank == 0 else None
    every = deck.output.checkpoint.seconds
    flag = StopFlag().install()
    journal.note("started", replicas=prepared.n_rows, ranks=world.size, batch=deck.run.batch)
    loop = time.monotonic()
    try:
        failed, merged = run_campaign(
            layout, file, branch_list, deck.run.batch, work or model.rows, statistics_of(prepared),
            lambda: bool(flag.received) or deck.output.walltime is not None and time.monotonic() - begun > deck.output.walltime,
            (lambda done, total: bar.update(prepared.n_rows - total + done, "trajectories")) if bar else None, 0.0 if every is None else every)
    finally:
        flag.restore()
        if bar is not None:
            bar.close()
    if world.rank == 0:
        (folder / STATISTICS).write_text(json.dumps({name: {key: state.as_dict() for key, state in states.items()} for name, states in merged.items()}, indent=1))
    if file is not None:
        provenance.stamp_end(file)
        file.close()
    now = time.monotonic()
    journal.note("finished", replicas=prepared.n_rows, failed=failed, seconds=round(now - begun, 3), seconds_of_ensemble=round(now - loop, 3))
    journal.close()
    if failed == prepared.n_rows:
        raise PhysicsError(f"all {failed} replicas broke; the causes are in {folder / ENSEMBLE}, dataset ensemble/cause")


def open_file(prepared, layout, folder, text=""):
    """Collective over the world. The EnsembleFile over the leaders (None on other ranks): new, or the one that is there."""
    world, path, deck = layout.world, folder / ENSEMBLE, prepared.deck
    identity = json.dumps(deck.identity(), sort_keys=True)
    problem = None
    if world.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and str(read_attributes(path).get("identity", "")) != identity:
            problem = InputError(f"{path} holds another ensemble; write another output.folder, or remove that folder first")
    agree_on_errors(world, problem)
    there = world.bcast(path.exists() if world.rank == 0 else None)
    record = provenance.collect(world, text, deck.run.seed, (layout.n_groups, 1, 1, 1), "lanes", deck.parallel.writer)
    if world.rank == 0 and text:
        (folder / "deck.toml").write_text(text, encoding="utf-8")
    if layout.leader_comm is None:
        return None
    if there:
        file = EnsembleFile.resume(path, layout.leader_comm, prepared.n_rows, prepared.model.schema, deck.parallel.writer)
        provenance.stamp_restart(file, 0)
        return file
    attributes = {"identity": identity, "kind": deck.kind, "branches": ",".join(prepared.model.branch_names), "replicas_per_branch": np.int64(deck.run.replicas),
                  "times": np.asarray(prepared.model.times), **prepared.model.attributes}
    return EnsembleFile.create(path, layout.leader_comm, prepared.n_rows, prepared.model.schema, deck.parallel.writer, attributes, record)


def _daughters(current, good):
    """Correlator <J(0) J(t)> over all daughters of the good mothers; current (mothers, daughters, images, times)."""
    return Correlator.of(current[..., 0].reshape(-1), current.reshape(-1, current.shape[-1]), np.repeat(good, current.shape[1] * current.shape[2]))


def statistics_of(prepared):
    """{name: leaf(rows, good)} of the streaming statistics. The histogram's edges come from a small pilot, the same on every rank and in every launch."""
    model = prepared.model
    schema, temperature = model.schema, float(model.attributes["temperature"])
    pilot = model.rows(None, Branch("forward", 0, 0, PILOT), np.arange(PILOT))
    if "current" in schema:
        return {"current": lambda rows, good: Moments.of(rows["current"].mean(axis=(1, 2)), good),
                "current_correlator": lambda rows, good: _daughters(rows["current"], good)}
    if "work_units" in schema:
        unit = float(model.attributes["energy_unit"])
        return {"work": lambda rows, good: Moments.of(rows["work_units"] * unit, good)}
    last = pilot["work"][:, -1]
    last = last[np.isfinite(last)] if np.isfinite(last).any() else np.zeros(1)
    middle, width = float(last.mean()), 8.0 * float(last.std()) + 1e-12
    edges = np.linspace(middle - width, middle + width, BINS + 1)
    return {"work": lambda rows, good: Moments.of(rows["work"], good),
            "heat": lambda rows, good: Moments.of(rows["heat"], good),
            "shadow_work": lambda rows, good: Moments.of(rows["shadow_work"], good),
            "work_covariance": lambda rows, good: Covariance.of(rows["work"], good),
            "work_histogram": lambda rows, good: Histogram.of(rows["work"][:, -1], good, edges),
            "exponential_work": lambda rows, good: ExponentialAverage.of(rows["work"][:, -1] / temperature, good),
            "position_correlator": lambda rows, good: Correlator.of(rows["position_start"], rows["position"], good)}
