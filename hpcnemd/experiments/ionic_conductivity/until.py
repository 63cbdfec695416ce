"""A run that stops when the wished error is reached: all replicas go block by block, and the first rank decides for all of them.

The decision depends on the blocks of all replicas up to the same number and on nothing else: it does not change with the number of ranks, and a run that was
interrupted comes to the same one."""
import numpy as np

from ...analysis import einstein, stopping
from ...core.errors import HpcnemdError, PhysicsError, StoppedEarly
from ...parallel.reduce import vote_any
from . import zero_current
from .estimate import LEAST_MEMORY

BLOCK_ROWS = ("impulse", "current", "work")


def run_until(prepared, layout, begin, end, stop, journal):
    """Collective over layout.world. (rows, statuses, stopped, problem) as `groups.run` collects them.

    `begin(index)` and `end(replica, frames, finished, journal)`: of one replica; `stop()`: whether this rank wants to. A replica that broke counts no more."""
    live, rows, statuses, problem, stopped, trouble = {}, {}, {}, None, False, None
    for count in range(1, prepared.schedule.blocks + 1):
        try:
            for index in list(layout.replicas) if count == 1 else list(live):
                try:
                    if count == 1:
                        live[index] = begin(index)
                    replica, frames, watch = live[index]
                    stopped = not replica.run(stop, watch, frames, until=count) or stopped
                except PhysicsError as error:
                    live.pop(index, None)
                    problem = joined(problem, index, error)
                    statuses[index] = ("failed", str(error))
                    journal.note("failed", replica=index, cause=str(error))
        except HpcnemdError as error:           # a full disk, bad input: the other groups learn of it here
            trouble = error
        if vote_any(layout.world, stopped or trouble is not None):
            stopped = True
            break
        if _decided(prepared, layout, {index: one[0] for index, one in live.items()}, count):
            journal.note("error reached", blocks=count)
            break
    try:
        for index, (replica, frames, _) in live.items():
            replica.save()
            end(replica, frames, not stopped, journal)
            rows[index] = replica.record() | {"steps_done": np.int64(replica.sim.step)}
            statuses[index] = ("running" if stopped else "complete", "")
    except HpcnemdError as error:
        trouble = trouble or error
    if trouble is not None and not isinstance(trouble, StoppedEarly):
        problem = trouble
    return rows, statuses, stopped, problem or trouble


def joined(problem, index, error):
    """A PhysicsError with one more replica that broke."""
    return PhysicsError("\n".join(filter(None, (str(problem or ""), f"replica {index}: {error}"))))


def _decided(prepared, layout, live, count):
    """Collective over layout.world. Whether the run stops after `count` blocks."""
    leader = layout.domain_comm.rank == 0
    parts = layout.world.gather({index: _blocks(replica, count) for index, replica in live.items()} if leader else {})
    every = {index: one for part in parts or () for index, one in part.items()}
    due = layout.world.bcast(bool(every) and _due(prepared, [every[index] for index in sorted(every)], count))
    if not due:
        return False
    if prepared.deck.drive.kind in DRIVEN:
        return layout.world.bcast(bool(every) and _driven_reached(prepared, [every[index] for index in sorted(every)]))
    paths = {index: _paths(replica, count) for index, replica in live.items()} if leader else {}
    parts = layout.world.gather(paths)
    return layout.world.bcast(parts is not None and _rest_reached(prepared, [path for _, path in sorted(one for part in parts for one in part.items())]))


DRIVEN = ("constant_current", "constant_field")


def _blocks(replica, count):
    return {name: replica.blocks.data[name][:count].copy() for name in BLOCK_ROWS}


def _paths(replica, count):
    """Up to the end of `count` blocks: (samples, 3) charge displacement, e angstrom; at zero current (samples, 1) impulse of the field, eV fs/angstrom."""
    schedule = replica.prepared.schedule
    samples = count * schedule.block // schedule.sample + 1
    if replica.prepared.deck.drive.kind == "zero_current":
        return replica.series.data["impulse_series"][:samples, None]
    return np.einsum("s,tsk->tk", replica.prepared.charges, replica.series.data["species_displacement"][:samples])


def _due(prepared, every, count):
    run = prepared.deck.run
    if prepared.deck.drive.kind in DRIVEN:
        return stopping.look_is_due(np.array([one["work"] for one in every]), run.temperature, run.until_error)
    return stopping.look_is_due_at_rest(len(every), count)


def _driven_reached(prepared, every):
    run, block = prepared.deck.run, prepared.schedule.block * prepared.deck.run.timestep
    impulse, current = (np.array([one[name] for one in every]) for name in ("impulse", "current"))
    error, sound = stopping.driven_error(prepared.deck.drive.kind, impulse, current, block, prepared.system.box.volume, LEAST_MEMORY)
    return bool(sound and error <= run.until_error)


def _rest_reached(prepared, parts):
    """At rest: the Green-Kubo estimate over all axes, or the noise of the field at zero current, once the window is seen to be long enough."""
    run = prepared.deck.run
    sample = prepared.schedule.sample * run.timestep
    paths = [column for part in parts for column in part.T]
    if min(len(path) for path in paths) < 8:
        return False
    if prepared.deck.drive.kind == "zero_current":
        window, found = zero_current.estimate(paths, sample, LEAST_MEMORY)
        return bool(window.independent and found.low > 0 and found.relative <= run.until_error)
    window = einstein.choose_window(paths, int(np.ceil(LEAST_MEMORY / sample)))
    found = einstein.green_kubo(paths, sample, prepared.system.box.volume, run.temperature, window.samples)
    return bool(window.independent and found.value > 0 and found.relative <= run.until_error)
