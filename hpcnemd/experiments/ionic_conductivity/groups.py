"""From a prepared deck to the ensemble file: every group of ranks takes its replicas through their phases, one after another."""
import time
from functools import partial
from pathlib import Path

import numpy as np

from ...core.errors import HpcnemdError, PhysicsError, StoppedEarly
from ...dynamics.observers import Observer
from ...kernels.simd import choose_path
from ...parallel.launch import StopFlag, agree_on_errors, compile_once
from ...parallel.reduce import vote_any
from ...storage.agreement import on_root
from ...storage.journal import Journal
from ...storage.provenance import collect, stamp_end, stamp_restart
from ...storage.trajectory import TrajectoryWriter
from ...storage.writer import choose_writer
from ..compiling import compile_parts
from .cell import settle
from .record import store
from .replica import Replica
from .until import joined, run_until
from .warm_up import warm_up


class Frames(Observer):
    """Writes trajectory frames during the measurement."""

    def __init__(self, every, writer, timestep, first):
        super().__init__(every)
        self.writer, self.timestep, self.first = writer, timestep, first

    def due(self, step):
        return step >= self.first and (step - self.first) % self.every == 0

    def observe(self, sim):
        self.writer.write(sim.step, sim.step * self.timestep, sim.state)


def run(prepared, layout, folder, text="", progress=None):
    """Collective over layout.world. Runs all replicas, or the rest of them, and writes `folder`/ensemble.h5.

    `text`: the deck as read (provenance). `progress(total_steps, timestep)`: makes an object with update(step, note) and close(), on rank 0.
    Raises StoppedEarly after a signal, the wall time or a full disk; PhysicsError when a replica broke (the others are finished first).
    """
    folder = Path(folder)
    begun = time.monotonic()
    compile_parts(layout.world, prepared.system, layout.domain_comm.size, prepared.deck.parallel.threads)
    compile_once(layout.world, lambda: warm_up(prepared))
    deck = prepared.deck
    flag = StopFlag().install()
    leader = layout.domain_comm.rank == 0
    record = collect(layout.world, text, deck.run.seed, (layout.n_groups, *layout.grid), choose_path("auto"), deck.parallel.writer, deck.parallel.threads)
    if text:
        on_root(layout.world, lambda: (folder / "deck.toml").write_text(text, encoding="utf-8"), folder / "deck.toml", starting=True)
    journal = Journal(layout.domain_comm, folder / ("journal.jsonl" if layout.group == 0 else f"journal_{layout.group}.jsonl"))
    bar = progress(prepared.schedule.measure * len(layout.replicas), deck.run.timestep) if progress and layout.world.rank == 0 else None

    def stop():
        return bool(flag.received) or deck.output.walltime is not None and time.monotonic() - begun > deck.output.walltime

    at = {}

    def tell(replica):
        at[replica.index] = replica.sim.step
        if bar is not None:
            bar.update(sum(at.values()), f"replica {replica.index}, {replica.phase}, {replica.sim.temperature:.0f} K")

    def begin(index):
        return begin_one(prepared, layout, folder, index, journal, record, tell)
    rows, statuses, stopped, problem = {}, {}, False, None
    try:
        if prepared.schedule.constant_pressure:
            prepared, stopped = settle(prepared, layout, stop, partial(checkpoint_folder, folder), lambda index: build(prepared, layout, folder, index, journal),
                                       journal, tell)
        if stopped:
            pass
        elif deck.run.until_error is not None:
            rows, statuses, stopped, problem = run_until(prepared, layout, begin, end_one, stop, journal)
        else:
            for turn, index in enumerate(layout.replicas):
                if stopped or turn and vote_any(layout.domain_comm, stop()):       # the first replica makes a step at least, and a checkpoint
                    stopped = True
                    break
                try:
                    replica, frames, watch = begin(index)
                    finished = replica.run(stop, watch, frames)
                    end_one(replica, frames, finished, journal)
                except PhysicsError as error:
                    problem = joined(problem, index, error)
                    statuses[index] = ("failed", str(error))
                    journal.note("failed", replica=index, cause=str(error))
                    continue
                rows[index] = replica.record() | {"steps_done": np.int64(replica.sim.step)}
                statuses[index] = ("complete" if finished else "running", "")
                stopped = stopped or not finished
    except HpcnemdError as error:               # bad input or a full disk: of this group; the others end what they do
        problem = error
    finally:
        if bar is not None:
            bar.close()
    try:                                        # a group that is done waits here for the others: a signal to all ranks must not end it
        trouble = None
        if vote_any(layout.world, bool(statuses)):  # of any group: to write the file takes them all
            try:
                store(prepared, layout, folder / "ensemble.h5", *((rows, statuses) if leader else ({}, {})), record, deck.parallel.writer)
            except HpcnemdError as error:       # the file is new, but the run is not: a disk that is full now stops it
                trouble = StoppedEarly(f"{error}; then start the same command again")
        _conclude(layout.world, stopped, problem or trouble, folder)
    finally:
        flag.restore()


def _conclude(world, stopped, problem, folder):
    """Collective. Raises on all ranks what any group met. A run that was stopped can go on, even where one of its replicas broke."""
    if vote_any(world, stopped or isinstance(problem, StoppedEarly)):
        if stopped and problem is None:
            problem = StoppedEarly(f"stopped early with a checkpoint in {folder}; start the same command again to go on")
        elif isinstance(problem, PhysicsError):
            problem = StoppedEarly(str(problem))
    agree_on_errors(world, problem)


def checkpoint_folder(folder, index):
    return str(folder / "checkpoint" / f"replica_{index:04d}")


def build(prepared, layout, folder, index, journal):
    """Collective over the replica's ranks. A Replica, begun."""
    replica = Replica(prepared, layout.domain_comm, layout.grid, index, checkpoint_folder(folder, index))
    step = replica.begin()
    journal.note("resumed" if replica.resumed_from is not None else "started", replica=index, step=step, ranks=layout.domain_comm.size,
                 grid=list(layout.grid), of=prepared.schedule.measure, warnings=replica.warnings)
    if replica.relaxed is not None:
        journal.note("relaxed", replica=index, steps=replica.relaxed[0], force=replica.relaxed[1])
    return replica


def begin_one(prepared, layout, folder, index, journal, record, tell):
    """Collective over the replica's ranks. (Replica, its trajectory observers, watch): `tell(replica)` is called by `watch` too."""
    replica = build(prepared, layout, folder, index, journal)
    frames = _trajectory(prepared, layout, folder, replica, record)
    if replica.resumed_from is None:
        replica.save(first=True)
    told = [replica.blocks.done]

    def watch(replica):
        tell(replica)
        if replica.blocks.done > told[0]:
            told[0] = replica.blocks.done
            k = told[0] - 1
            journal.note("block", replica=index, block=k, step=replica.sim.step, impulse=replica.blocks.data["impulse"][k],
                         current=replica.blocks.data["current"][k], temperature=replica.blocks.data["temperature"][k])
    return replica, frames, watch


def end_one(replica, frames, finished, journal):
    """Collective over the replica's ranks."""
    if frames:
        frames[0].writer.close(finished=finished)
        if finished:
            stamp_end(frames[0].writer.file)
    journal.note("finished" if finished else "stopped", replica=replica.index, step=replica.sim.step, rebuilds=replica.sim.rebuilds)


def _trajectory(prepared, layout, folder, replica, record):
    """Collective. The trajectory observer in a tuple, or an empty one."""
    deck, schedule = prepared.deck, prepared.schedule
    if deck.output.trajectory is None:
        return ()
    every = max(1, deck.run.steps(deck.output.trajectory))
    name = "trajectory.h5md" if replica.index == 0 else f"trajectory_{replica.index:04d}.h5md"
    capacity = (schedule.measure - schedule.settle) // every + 1
    # after the phase at constant pressure a replica goes on from a checkpoint, and no frame has been written
    old = replica.resumed_from is not None and (replica.frames > 0 or layout.domain_comm.bcast((folder / name).exists()))
    writer = TrajectoryWriter(layout.domain_comm, str(folder / name), choose_writer(layout.domain_comm, deck.parallel.writer), replica.sim.state,
                              capacity, deck.output.velocities, replica.frames if old else None, provenance=record)
    if old:
        stamp_restart(writer.file, replica.resumed_from)
    observer = Frames(every, writer, deck.run.timestep, schedule.settle)

    def flush():
        writer.flush()
        replica.frames = writer.frames
    replica.flush = flush
    return (observer,)
