"""The ensemble file of the experiment: what its datasets mean, and how the replicas' rows get there."""
from functools import partial

import numpy as np

from ...core.units import PRESSURE_GPA
from ...dynamics import correlator
from ...storage.agreement import on_root
from ...storage.ensemble import EnsembleFile, read
from ...storage.provenance import stamp_end
from ..tables import CELL_BLOCKS

_PER_BLOCK = {
    "impulse": ("eV fs/angstrom", "integral of the driving field lambda over the block, per unit charge"),
    "current": ("e angstrom/fs", "mean of J = sum of c v along the drive"),
    "work": ("eV", "work of the drive on the ions"),
    "heat": ("eV", "heat taken out by the thermostat: kinetic energy change of its sub-steps"),
    "energy_change": ("eV", "change of kinetic + potential energy"),
    "ledger_error": ("eV", "energy change - work + heat"),
    "temperature": ("K", "mean peculiar temperature"),
    "kinetic": ("eV", "mean kinetic energy"),
    "potential": ("eV", "mean potential energy"),
    "drift": ("angstrom/fs", "mean velocity of the framework along the drive"),
    "mesh_force": ("eV/angstrom", "largest component of the net mesh force before its removal, last sample"),
}
_SAMPLED = {
    "potential_series": ("eV", "potential energy"),
    "kinetic_series": ("eV", "kinetic energy"),
    "impulse_series": ("eV fs/angstrom", "integral of the driving field lambda since the measurement began, per unit charge"),
    "ledger_series": ("eV", "energy change - work + heat since the measurement began"),
}


def _samples(schedule):
    return schedule.samples


def _tracer_samples(schedule):
    return (schedule.measure - schedule.settle) // schedule.tracer + 1


_CORRELATED = {         # samples of a run, points of a level, first lag, shape of a row (None: species), unit, description
    "displacement_spread": (_samples, correlator.POINTS, 1, (None, 3, None, 3), "angstrom^2", "mean of dR_a dR_b at spread_lags, R_a = sum of r over a species"),
    "current_correlation": (_samples, correlator.POINTS, 0, (None, 3, None, 3), "angstrom^2/fs^2",
                            "mean of V_a(t) V_b(t - lag) at correlation_lags, V_a = sum of v over a species, averaged over correlation_steps"),
    "tracer_spread": (_tracer_samples, correlator.TRACER_POINTS, 1, (None, 3), "angstrom^2", "mean square displacement relative to the framework at tracer_lags"),
}


def correlations(prepared, species, tracers):
    """{dataset: rows} from the multiple-tau correlators of a replica: a Displacements and a Tracers."""
    schedule, out = prepared.schedule, {}
    kinds = len(prepared.system.kinds.names)
    for name, field, source in (("displacement_spread", "spread", species), ("current_correlation", "correlation", species), ("tracer_spread", "square", tracers)):
        count, points, first, shape, *_ = _CORRELATED[name]
        found = source.table(field, count(schedule), first)
        whole = (len(correlator.lags(points, count(schedule), first)), *(kinds if n is None else n for n in shape))
        out[name] = found.reshape(whole) if found.size == np.prod(whole) else np.full(whole, np.nan)
    time = correlator.strides(correlator.POINTS, schedule.samples, 0) * schedule.sample * prepared.deck.run.timestep
    out["current_correlation"] = out["current_correlation"] / time[:, None, None, None, None] ** 2
    return out


def schema(prepared):
    """{dataset: (shape of a replica's row, dtype, unit, description)}."""
    schedule, system = prepared.schedule, prepared.system
    blocks, samples, species = schedule.blocks, schedule.samples, len(system.kinds.names)
    table = {name: ((blocks,), "<f8", unit, text) for name, (unit, text) in _PER_BLOCK.items()}
    table["current_vector"] = ((blocks, 3), "<f8", "e angstrom/fs", "mean of sum of c v, all components")
    table["temperature_species"] = ((blocks, species), "<f8", "K", "mean peculiar temperature of each species")
    table["pressure"] = ((blocks, 3, 3), "<f8", "GPa", "mean pressure tensor of the peculiar motion")
    table |= {name: ((samples,), "<f8", unit, text) for name, (unit, text) in _SAMPLED.items()}
    table["displacement_current"] = ((samples, 3), "<f8", "e angstrom", "sum of c r, unwrapped, since the measurement began")
    table["species_displacement"] = ((samples, species, 3), "<f8", "angstrom", "sum of r over each species, unwrapped, since the measurement began")
    table["msd"] = ((schedule.lags, species, 3), "<f8", "angstrom^2", "mean square displacement relative to the framework, by axis")
    for name, (count, points, first, shape, unit, text) in _CORRELATED.items():
        table[name] = ((len(correlator.lags(points, count(schedule), first)), *(species if n is None else n for n in shape)), "<f8", unit, text)
    table["final_position"] = ((len(system.species), 3), "<f8", "angstrom", "last positions, in the box, by particle id")
    if schedule.constant_pressure:
        table["cell_edges"] = ((CELL_BLOCKS, 3), "<f8", "angstrom", "mean edges of the cell in blocks of the phase at constant pressure")
        table["cell_pressure"] = ((CELL_BLOCKS, 3), "<f8", "GPa", "mean diagonal of the pressure tensor in those blocks")
        table["cell_temperature"] = ((CELL_BLOCKS,), "<f8", "K", "mean temperature in those blocks")
        table["cell_moves"] = ((5,), "<f8", "", "changes of the cell: tried, accepted, refused in a row, energy that they brought in (eV), drift of the effective energy (eV)")
        table["cell_ledger"] = ((), "<f8", "eV", "at constant pressure: energy change + heat - energy that the changes of the cell brought in")
    if prepared.sites is not None:
        classes = len(prepared.sites.labels)
        table["site_occupation"] = ((blocks, classes), "<f8", "", "mobile ions per site of each class")
        if schedule.constant_pressure:
            table["cell_site_occupation"] = ((CELL_BLOCKS, classes), "<f8", "", "the same in blocks of the phase at constant pressure")
    for name, text in (("blocks_done", "finished blocks"), ("samples_done", "samples taken"), ("steps_done", "steps done")):
        table[name] = ((), "<i8", "", text)
    table["drive_value"] = ((), "<f8", "e angstrom/fs or eV/angstrom", "J0 of a constant current, or the constant field per unit charge")
    return table


def attributes(prepared):
    """What the analysis needs beside the arrays."""
    deck, system, schedule, colour = prepared.deck, prepared.system, prepared.schedule, prepared.colour
    run = deck.run
    names = np.array([name.encode() for name in system.kinds.names])
    mobile = names[colour.mobile & (colour.counts > 0)]
    lags = np.arange(1, schedule.lags + 1) * schedule.tracer * run.timestep
    direction = deck.drive.direction if isinstance(deck.drive.direction, str) else "xyz"[int(np.argmax(np.abs(colour.axis)))]
    times = {"spread_lags": correlator.lags(correlator.POINTS, schedule.samples) * schedule.sample,
             "correlation_lags": correlator.lags(correlator.POINTS, schedule.samples, 0) * schedule.sample,
             "correlation_steps": correlator.strides(correlator.POINTS, schedule.samples, 0) * schedule.sample,
             "tracer_lags": correlator.lags(correlator.TRACER_POINTS, _tracer_samples(schedule)) * schedule.tracer}
    grain = {"particle_grain": system.grain.astype(np.int32)} if system.grain is not None else {}
    wished = {"until_error": run.until_error, "target": run.until_error} if run.until_error is not None else {}
    wished |= {"driven_species": deck.drive.species.encode()} if deck.drive.species is not None else {}
    sites = {} if prepared.sites is None else {"site_classes": np.array([label.encode() for label in prepared.sites.labels]),
                                               "site_sets": np.array([name.encode() for name in prepared.sites.sets])}
    times = {name: steps * run.timestep for name, steps in times.items()} | ({"skew": system.box.skew} if system.box.tilted else {})
    return grain | wished | sites | times | {"mode": deck.drive.kind, "temperature": run.temperature, "volume": system.box.volume, "box": system.box.lengths,
            "block": schedule.block * run.timestep, "sample": schedule.sample * run.timestep, "timestep": run.timestep,
            "equilibrate": (schedule.equilibrate - schedule.npt) * run.timestep, "settle": (schedule.settle - schedule.equilibrate) * run.timestep,
            "anneal": schedule.anneal * run.timestep, "npt": schedule.constant_pressure * run.timestep, "barostat_time": run.barostat.time, "species": names, "counts": np.asarray(system.counts, np.int64), "charges": system.kinds.formal_charge,
            "mass": system.kinds.mass, "colour": colour.charge,
            "mobile": mobile, "direction": direction, "axis": colour.axis, "lags": lags, "particle_species": system.species.astype(np.int32),
            "thermostat": run.thermostat.kind, "truncation": system.truncation, "cutoff": system.cutoff, "forcefield": system.forcefield.name}


def store(prepared, layout, path, rows, statuses, provenance, writer="auto"):
    """Collective over layout.world. One new file with the rows of all replicas: `rows` {replica: record} and `statuses` {replica: (status, cause)}
    on the first rank of the group that ran them. Replicas that no group has come to keep the rows that an earlier start wrote."""
    comm = layout.leader_comm
    if comm is None:
        return
    table, replicas = schema(prepared), prepared.deck.run.replicas
    reached = set().union(*comm.allgather(set(statuses)))
    moves = on_root(comm, lambda: _kept(path, table, replicas, reached), path)
    make = partial(EnsembleFile.enlarge, moves=moves) if moves else EnsembleFile.create
    file = make(path=str(path), comm=comm, replicas=replicas, schema=table, writer=writer, attributes=attributes(prepared), provenance=provenance)
    for replica, record in rows.items():
        for name in table:
            value = np.asarray(record[name])
            if name == "pressure":
                value = value * PRESSURE_GPA
            file.write_rows(replica, name, 0, value)
    for replica, (status, cause) in statuses.items():
        file.set_status(replica, status, cause)
    file.close()
    if comm.allreduce(sum(status == "complete" for status, _ in statuses.values())) + len(moves) == replicas:
        stamp_end(file)


def _kept(path, table, replicas, reached):
    """[(row, 1, row)] of the file at `path` that stay: written by an earlier start, of a replica that was not `reached` now, and of the same length."""
    if not path.exists():
        return []
    before = read(path)
    if any(name not in before.arrays or before.arrays[name].shape[1:] != tuple(shape) for name, (shape, *_) in table.items()):
        return []
    return [(k, 1, k) for k, status in enumerate(before.status[:replicas]) if status != "missing" and k not in reached]
