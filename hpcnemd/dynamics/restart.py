"""What a checkpoint of one replica holds, and how a simulation takes it up again.

On the same rank grid the rows come back in their order, the lists are made from the positions for which they were made, and the forces are read,
not computed: the continued run is the uninterrupted one, bit for bit. On another grid the particles are dealt out anew."""
import numpy as np

from ..parallel.domain import scatter

ROWS = ("id", "species", "position", "velocity", "image", "force")
_SHARED = ("kinetic", "stream", "numbers", "potential", "mesh_force", "virial")


def snapshot(sim):
    """(meta, rows): `meta` is the same on every rank; `rows` {name: array of this rank's owned particles}."""
    n = sim.state.n_owned
    rows = {name: getattr(sim.state, name)[:n].copy() for name in ROWS}
    rows["reference"], rows["renewed"] = sim.listed.copy(), sim.reference.copy()
    rows["heat_here"] = sim.heat_here.copy()
    meta = {"step": np.int64(sim.step), "rebuilds": np.int64(sim.rebuilds), "rebuilt_at": np.int64(sim.rebuilt_at),
            "grid": np.asarray(sim.domain.grid, np.int64), "box": sim.state.box.lengths.copy(),
            "cuts": {str(k): np.asarray(cut) for k, cut in enumerate(sim.domain.cuts)},
            "cut_fractions": {str(k): np.asarray(cut) for k, cut in enumerate(sim.domain.fractions)},
            "kernel_path": sim.forces.pair.path, "threads": np.int64(sim.forces.threads),
            "built_box": sim.built_lengths.copy(), "room": np.float64(sim.room), "mesh": sim.forces.variables(),
            "barostat": sim.barostat.variables() if sim.barostat is not None else np.zeros(0),
            "thermostat": sim.thermostat.variables(),
            "shared": {name: np.array(getattr(sim.shared, name), np.float64) for name in _SHARED}}
    return meta, rows


def restore(sim, meta, rows, same_grid):
    """Collective. Take up a snapshot. `rows`: this rank's own where `same_grid`, else those of all ranks, concatenated, on every rank.

    The drive, the thermostat and the barostat of the phase must have been set (enter_phase) before."""
    state, lengths = sim.state, np.asarray(meta["box"])
    mesh = meta.get("mesh", {})
    sim.take_box(np.asarray(mesh.get("meshed", lengths)))
    if mesh:
        sim.forces.restore(mesh)
    sim.take_box(np.asarray(meta.get("built_box", lengths)) if same_grid else lengths)
    if same_grid:
        if "cut_fractions" in meta:                 # files of older versions: equal bricks
            sim.move_cuts([np.asarray(meta["cut_fractions"][str(axis)]) for axis in range(3)])
        n = len(rows["id"])
        state.reserve(n)
        state.n_owned, state.n_ghost = n, 0
        for name in ROWS:
            getattr(state, name)[:n] = rows[name]
        sim.heat_here[:] = rows["heat_here"]
        sim.restore_lists(rows["reference"], lengths)
        if "room" in meta:
            sim.reference, sim.room = np.array(rows["renewed"]), float(meta["room"])
        state.force[:n] = rows["force"]
    else:
        scatter(sim.domain, state, {name: rows[name] for name in ROWS if name != "force"})
        sim.heat_here[:] = np.sum(rows["heat_here"]) if sim.comm.rank == 0 else 0.0
        sim.settle_cuts()
        sim.evaluate(observe=False)
    sim.step, sim.rebuilds, sim.rebuilt_at = int(meta["step"]), int(meta["rebuilds"]), int(meta["rebuilt_at"])
    sim.thermostat.restore(meta["thermostat"])
    if sim.barostat is not None:
        sim.barostat.restore(meta["barostat"])
    for name in _SHARED:
        value = np.array(meta["shared"][name])
        setattr(sim.shared, name, value if value.ndim else float(value))
    sim.hurrying = None                         # which holds the arrays of before
