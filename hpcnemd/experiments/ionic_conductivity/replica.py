"""One replica of the experiment: its phases, its observers, its checkpoint."""
import time

import numpy as np

from ...core.errors import InputError, PhysicsError
from ...core.units import BOLTZMANN
from ...dynamics.drive import Drive
from ...dynamics.loop import advance
from ...dynamics.observers import Blocks, Series
from ...dynamics.relaxation import relax
from ...dynamics.restart import restore, snapshot
from ...dynamics.thermostat import make_thermostat
from ...dynamics.tracer import TracerDisplacements
from ...dynamics.velocities import draw_velocities
from ...parallel.domain import gather_sorted, scatter
from ...parallel.reduce import vote_any
from ...storage import checkpoint
from ...storage.provenance import versions
from ..site_order import SiteOccupation
from ..system import simulation_of
from ..tables import CELL_BLOCKS
from .cell import CellRecord, barostat_of
from .record import correlations
from .schedule import divisor, temperature_of, without_drive

PILOT_X = 0.44       # q E a / 2 kT of the pilot run: 80 % of the hop model's 5 % limit, for hops of 2 angstrom
PILOT_HOP = 2.0      # angstrom
LIBRARIES = ("hpcnemd", "numpy", "numba", "llvmlite")       # whose versions can change the last bit of a step


class Replica:
    """Collective over `comm`. Builds the simulation of replica number `index` and takes it through its phases.

    `prepared`: the PreparedRun with deck, system, colour and schedule. `folder`: where this replica keeps its checkpoint."""

    def __init__(self, prepared, comm, grid, index, folder):
        self.prepared, self.comm, self.index, self.folder = prepared, comm, index, folder
        deck, system, schedule = prepared.deck, prepared.system, prepared.schedule
        self.drive_value = prepared.drive_value
        self.sim = simulation_of(system, prepared.colour, comm, grid, deck.run.timestep, deck.run.seed, index, deck.parallel.balance, deck.parallel.threads)
        n_species = len(system.kinds.names)
        self.blocks = Blocks(schedule.block, schedule.settle, schedule.blocks, n_species)
        self.series = Series(schedule.sample, schedule.settle, schedule.samples, n_species)
        self.tracer = TracerDisplacements(schedule.tracer, schedule.settle, schedule.samples * schedule.sample // schedule.tracer + 1,
                                          schedule.lags, n_species)
        self.cell = CellRecord(deck.run.barostat.every, schedule.anneal, schedule.constant_pressure) if schedule.constant_pressure else None
        self.order = {}                         # phase -> SiteOccupation
        if prepared.sites is not None:
            self.order["measure"] = SiteOccupation(prepared.sites, schedule.tracer, schedule.settle, schedule.block, schedule.blocks)
            if schedule.constant_pressure:
                length = schedule.constant_pressure // CELL_BLOCKS
                self.order["npt"] = SiteOccupation(prepared.sites, divisor(length, schedule.tracer), schedule.anneal, length, CELL_BLOCKS)
        self.pilot = None
        self.phase = None
        self.saved_at, self.saved_step = time.monotonic(), 0
        timed = deck.parallel.balance == "time" and comm.size > 1
        self.resumed_from, self.warnings = None, ["not reproducible: the cuts between domains follow measured times"] if timed else []
        self.relaxed = None                     # (steps, largest force component left) of the relaxation of this start
        self.frames, self.flush = 0, None       # of the trajectory, where one is written

    # ---- beginning --------------------------------------------------------------------------------------------------
    def begin(self):
        """Collective. From the checkpoint where there is one, else from the structure. Returns the step."""
        found = checkpoint.load_latest(self.comm, self.folder)
        if found is None:
            self._fresh()
            return self.sim.step
        same = found.own and np.array_equal(found.tree["simulation"]["grid"], self.sim.domain.grid)
        if found.own and not same:
            found = checkpoint.load_latest(self.comm, self.folder, whole=True)
        self._resume(found, same)
        return self.sim.step

    def _fresh(self):
        if self.prepared.start is not None:
            return self._take_over(checkpoint.load_latest(self.comm, str(self.prepared.start / "checkpoint" / f"replica_{self.index:04d}"), whole=True))
        sim, system, run = self.sim, self.prepared.system, self.prepared.deck.run
        scatter(sim.domain, sim.state, {"species": system.species, "position": system.position})
        wanted = self.prepared.relaxation
        if wanted.steps:
            self.relaxed = relax(sim, wanted.steps, wanted.force)
        first = self.prepared.schedule.phase(0)
        draw_velocities(self.comm, sim.state, temperature_of(run, first), run.seed, self.index)
        self._enter(first)
        sim.start()
        self._begin_records()

    def _take_over(self, saved):
        """Collective. The ions as another run left them, at step 0 of this one."""
        sim = self.sim
        self._enter(self.prepared.schedule.phase(0))
        restore(sim, saved.tree["simulation"], saved.arrays, same_grid=False)
        sim.step = sim.rebuilds = sim.rebuilt_at = 0
        sim.enter_phase(sim.drive, sim.thermostat, sim.on, self._barostat())
        self._take_cell()
        sim.take_stock()
        self._begin_records()

    def _resume(self, saved, same_grid):
        meta, rows = saved.tree, saved.arrays
        self._check_identity(meta["identity"])
        if not without_drive(meta["phase"]):         # a pilot may have chosen it
            self.drive_value = float(meta["drive_value"])
        self._enter(str(meta["phase"]))
        restore(self.sim, meta["simulation"], rows, same_grid)
        self.frames = int(meta["frames"])
        self.warnings += self._differences(saved, same_grid)
        self.blocks.restore(meta["blocks"])
        self.series.restore(meta["series"])
        for phase, order in self.order.items():
            order.restore(meta["order"][phase])
        if self.cell is not None:
            self.cell.restore(meta["cell"])
        if self.pilot is not None:
            self.pilot.restore(meta["pilot"])
        self.tracer.restore(meta["tracer"], rows)
        self.resumed_from = self.saved_step = self.sim.step

    def _check_identity(self, stored):
        """A checkpoint of another run is not continued."""
        mine = self.prepared.deck.identity()
        different = sorted(f"{table}.{key}" for table in set(mine) | set(stored) if isinstance(mine.get(table), dict)
                           for key in set(mine[table]) | set(stored.get(table, {})) if mine[table].get(key) != stored.get(table, {}).get(key))
        if different == ["run.block_steps"]:
            before = stored["run"]["block_steps"] * self.prepared.deck.run.timestep
            raise InputError(f"{self.folder}: holds a checkpoint of a run with blocks of {before / 1e3:g} ps, and this deck asks for blocks of "
                             f"{self.prepared.deck.run.block_steps * self.prepared.deck.run.timestep / 1e3:g} ps; to make that run longer write "
                             f"block = \"{before / 1e3:g} ps\" under [run] in place of blocks")
        if different:
            raise InputError(f"{self.folder}: holds a checkpoint of a run with other {', '.join(different)}; write another output.folder for the "
                             "new run, or remove this one to start again")

    def _differences(self, saved, same_grid):
        """What keeps the continued run from being the uninterrupted one bit for bit (list of str)."""
        stored, told = saved.tree["versions"], []
        now = versions()
        changed = [f"{name} {stored.get(name)} -> {now.get(name)}" for name in sorted(now) if name in LIBRARIES and stored.get(name) != now.get(name)]
        if changed:
            told.append("other libraries: " + ", ".join(changed))
        if saved.tree["simulation"]["kernel_path"] != self.sim.forces.pair.path:
            told.append(f"other kernels: {saved.tree['simulation']['kernel_path']} -> {self.sim.forces.pair.path}")
        if saved.tree["simulation"].get("threads", 1) != self.sim.forces.threads:
            told.append(f"other threads per rank: {saved.tree['simulation'].get('threads', 1)} -> {self.sim.forces.threads}")
        if not same_grid:
            told.append("another grid of ranks")
        return told

    def _enter(self, phase):
        """Drive and thermostat of a phase."""
        deck, sim, colour = self.prepared.deck, self.sim, self.prepared.colour
        kind = deck.drive.kind
        if without_drive(phase):
            drive = Drive()
        elif phase == "pilot":
            charge = np.abs(colour.charge[colour.mobile]).max()
            drive = Drive("constant_field", 2 * PILOT_X * BOLTZMANN * deck.run.temperature / (charge * PILOT_HOP))
            schedule = self.prepared.schedule
            half = (schedule.pilot - schedule.equilibrate) // 2
            self.pilot = Blocks(half, schedule.pilot - half, 1, len(colour.mass))
        else:
            drive = Drive("constant_current" if kind == "zero_current" else kind, self.drive_value if kind != "none" else 0.0)
        bath = deck.run.thermostat
        thermostat, on = make_thermostat(bath.kind, temperature_of(deck.run, phase), colour, drive.driven, sim.timestep, bath.time, bath.chain, bath.group)
        if self.phase is not None and thermostat.kind == sim.thermostat.kind == "nose_hoover":
            thermostat.restore(sim.thermostat.variables())
        self.phase = phase
        sim.enter_phase(drive, thermostat, on, self._barostat())

    def _barostat(self):
        return barostat_of(self.prepared.deck.run, self.prepared.system.box.lengths) if self.phase == "npt" else None

    def _begin_records(self):
        """Collective. Records of a phase that begins with the run."""
        if self.phase == "npt":
            self.cell.begin(self.sim)
        if self.phase == "measure":
            self._begin_measurement()

    def _begin_measurement(self):
        """Collective. The ledger starts at zero with the first sample."""
        self.sim.evaluate(observe=True)
        self.blocks.begin(self.sim)
        self.series.observe(self.sim)
        self.tracer.observe(self.sim)

    # ---- middle -----------------------------------------------------------------------------------------------------
    def run(self, stop, watch=None, extra=(), until=None, npt=False):
        """Collective. To the end (or to the end of `until` blocks, or of the phase at constant pressure), or to a stop; True when the end was reached. `stop()`
        is asked on every rank before every step, or stretch of a few short ones; `watch(replica)` is called after every stretch of about one block; `extra`: further observers (trajectory)."""
        sim, schedule = self.sim, self.prepared.schedule
        last = schedule.npt if npt else schedule.measure if until is None else schedule.settle + until * schedule.block
        while sim.step < last:
            phase = schedule.phase(sim.step)
            if phase != self.phase:
                self._change(phase)
            end = schedule.end(phase)
            pause = min(end, sim.step + schedule.block - (sim.step - schedule.settle) % schedule.block)
            observers = {"measure": (self.blocks, self.series, self.tracer), "pilot": (self.pilot,), "npt": (self.cell,)}.get(phase, ()) + tuple(extra)
            observers += tuple(order for when, order in self.order.items() if when == phase)
            stopped = advance(sim, pause, observers, stop)
            if watch is not None:
                watch(self)
            if stopped:
                self.save()
                return False
            if self._checkpoint_due():
                self.save()
        if until is None:
            self.save()
        return True

    def _change(self, phase):
        """Collective. The next phase begins at this step."""
        if self.phase == "pilot" and self.prepared.deck.drive.kind == "constant_current":
            self.drive_value = float(self.pilot.data["current"][0])
            if not self.drive_value > 0:
                raise PhysicsError(f"step {self.sim.step}: the pilot run found no current along the field ({self.drive_value:g} e angstrom/fs), so "
                                   "current_density = \"auto\" has nothing to go by; write drive.drift_velocity, or a longer run.settle")
        left = self.phase
        self._enter(phase)
        if left == "npt":
            self._take_cell()
        self.sim.take_stock()
        if phase == "npt":
            self.sim.evaluate(observe=True)
            self.cell.begin(self.sim)
        if phase == "measure":
            self._begin_measurement()

    def _take_cell(self):
        """Collective. The cell becomes that of the prepared run, the ions strained with it."""
        if np.array_equal(self.sim.state.box.lengths, self.prepared.system.box.lengths):
            return
        self.sim.rescale(self.prepared.system.box.lengths)
        self.sim.rebuild()
        self.sim.evaluate(observe=True)

    def _checkpoint_due(self):
        """Collective. A vote, since clocks differ."""
        every = self.prepared.deck.output.checkpoint
        if every.steps:
            due = self.sim.step // every.steps > self.saved_step // every.steps
        else:
            due = time.monotonic() - self.saved_at > every.seconds
        return vote_any(self.comm, due)

    def save(self, first=False):
        """Collective. A checkpoint of everything that the rest of the run depends on; the trajectory is brought up to it before."""
        if self.flush is not None:
            self.flush()
        meta, rows = snapshot(self.sim)
        tree = {"simulation": meta, "blocks": self.blocks.tree(), "series": self.series.tree(), "tracer": self.tracer.tree(),
                "phase": self.phase, "drive_value": np.float64(self.drive_value), "replica": np.int64(self.index),
                "identity": self.prepared.deck.identity(), "versions": versions(), "frames": np.int64(self.frames)}
        if self.order:
            tree["order"] = {phase: order.tree() for phase, order in self.order.items()}
        if self.cell is not None:
            tree |= {"cell": self.cell.tree(), "common_cell": np.full(3, np.nan) if self.phase == "npt" or self.phase.startswith("anneal") else self.prepared.system.box.lengths}
        if self.pilot is not None:
            tree["pilot"] = self.pilot.tree()
        tracer = self.tracer.rows()
        if self.comm.rank:
            tracer = {name: array[:0] for name, array in tracer.items()}
        checkpoint.save(self.comm, self.folder, tree, rows | tracer, self.sim.step, first=first)
        self.saved_at, self.saved_step = time.monotonic(), self.sim.step

    # ---- result -----------------------------------------------------------------------------------------------------
    def record(self):
        """Collective. {name: array} of the rows of this replica in the ensemble file; meaningful on rank 0 of the replica."""
        schedule, blocks, series = self.prepared.schedule, self.blocks, self.series
        out = {name: value.copy() for name, value in blocks.data.items()}
        out |= {name: value.copy() for name, value in series.data.items() if name != "pressure_series"}
        step = schedule.block // schedule.sample
        displacement = np.einsum("s,tsk->tk", self.prepared.charges, series.data["species_displacement"])
        edge = np.arange(schedule.blocks + 1) * step
        energy = (series.data["potential_series"] + series.data["kinetic_series"])[edge]
        out["energy_change"] = np.diff(energy)
        out["ledger_error"] = np.diff(series.data["ledger_series"][edge])
        inner = slice(1, schedule.blocks * step + 1)
        out["potential"] = series.data["potential_series"][inner].reshape(schedule.blocks, step).mean(axis=1)
        out["pressure"] = series.data["pressure_series"][inner].reshape(schedule.blocks, step, 3, 3).mean(axis=1)
        out["impulse_series"] = series.data["impulse_series"] - series.data["impulse_series"][:1]
        out["displacement_current"] = displacement - displacement[:1]
        out["current_vector"] = np.diff(displacement[edge], axis=0) / (schedule.block * self.sim.timestep)
        out["species_displacement"] = series.data["species_displacement"] - series.data["species_displacement"][:1]
        out["msd"] = self.tracer.averages()
        out |= correlations(self.prepared, series.correlator, self.tracer.ladder)
        out["final_position"] = self._final_positions()
        out["blocks_done"] = np.int64(blocks.done)
        out["samples_done"] = np.int64(series.taken)
        if self.cell is not None:
            averages = self.cell.averages()
            out |= {"cell_edges": averages[:, :3], "cell_pressure": averages[:, 3:6], "cell_temperature": averages[:, 6], "cell_moves": self.cell.moves,
                    "cell_ledger": np.float64(self.cell.ledger)}
        for phase, order in self.order.items():
            out["site_occupation" if phase == "measure" else "cell_site_occupation"] = order.averages()
        out["drive_value"] = np.float64(self.drive_value)
        return out

    def _final_positions(self):
        """Collective. (n, 3) angstrom in the box, by particle id; on rank 0 of the replica."""
        parts = gather_sorted(self.comm, self.sim.state, ("position", "image"))
        if parts is None:
            return None
        self.sim.state.box.wrap(parts["position"], parts["image"])
        return parts["position"]
