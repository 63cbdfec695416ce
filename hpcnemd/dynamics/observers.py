"""Observers of a running replica: block averages and series, filled during the loop, stored with the checkpoint.

An observer has `every` (steps), `needs_energy`, `due(step)`, `every_step(sim)` (cheap, each step) and `observe(sim)` (when due)."""
import numpy as np

from ..kernels.integrate import kinetic_tensor, species_positions
from ..parallel.reduce import ordered_sum
from .correlator import Displacements


class Observer:
    needs_energy = False
    wants_shared_numbers_only = False       # in `every_step`: then steps are made before it is told of them, see dynamics.stretch

    def __init__(self, every):
        self.every = int(every)

    def due(self, step):
        return step % self.every == 0

    def every_step(self, sim):
        pass

    def observe(self, sim):
        pass


def pressure_tensor(sim):
    """Collective. (3, 3) eV/angstrom^d: (sum m (v - u)(v - u) + virial) / V."""
    out = np.empty((3, 3))
    state, colour = sim.state, sim.colour
    kinetic_tensor(state.n_owned, state.species, state.velocity, colour.mass, sim.shared.stream, colour.axis, out)
    return (ordered_sum(sim.comm, out.ravel()).reshape(3, 3) + sim.shared.virial) / state.box.volume


class Series(Observer):
    """Every `every` steps from `first`: total energies, ledger, the impulse of the driving field since its phase began, and the collective displacement R_a = sum of unwrapped positions of each species.
    Arrays of fixed length `count`, nan until reached; `taken` says how many hold values. `correlator`: all lags of the displacements since the first sample,
    as a vector (3 s,)."""
    needs_energy = True
    FIELDS = {"potential_series": (), "kinetic_series": (), "ledger_series": (), "impulse_series": ()}

    def __init__(self, every, first, count, n_species):
        super().__init__(every)
        self.first, self.count, self.taken = first, count, 0
        self.data = {name: np.full((count,) + shape, np.nan) for name, shape in self.FIELDS.items()}
        self.data["species_displacement"] = np.full((count, n_species, 3), np.nan)
        self.data["pressure_series"] = np.full((count, 3, 3), np.nan)
        self.energy_start = np.nan
        self.correlator = Displacements()

    def due(self, step):
        return (step - self.first) % self.every == 0 and 0 <= (step - self.first) // self.every < self.count

    def observe(self, sim):
        row = self.taken
        where = np.empty((len(sim.colour.mass), 3))
        state = sim.state
        place, lengths = (state.unwrapped(), np.zeros(3)) if state.box.tilted else (state.position, state.box.lengths)
        species_positions(state.n_owned, state.species, place, state.image, lengths, where)
        self.data["species_displacement"][row] = ordered_sum(sim.comm, where.ravel()).reshape(where.shape)
        self.correlator.add((self.data["species_displacement"][row] - self.data["species_displacement"][0]).ravel())
        if row == 0:
            self.energy_start = sim.energy
        self.data["potential_series"][row] = sim.shared.potential
        self.data["kinetic_series"][row] = sim.kinetic
        self.data["ledger_series"][row] = sim.energy - self.energy_start - sim.shared.work + sim.shared.heat
        self.data["impulse_series"][row] = sim.shared.impulse
        self.data["pressure_series"][row] = pressure_tensor(sim)
        self.taken += 1

    def tree(self):
        return dict(self.data, taken=np.int64(self.taken), energy_start=np.float64(self.energy_start), correlator=self.correlator.rows())

    def restore(self, tree):
        for name in self.data:
            old = np.asarray(tree[name])
            rows = min(len(old), len(self.data[name]))
            self.data[name][:rows] = old[:rows]
        self.taken, self.energy_start = int(tree["taken"]), float(tree["energy_start"])
        self.correlator.restore(tree.get("correlator", {}))


class Blocks(Observer):
    """Block averages over `length` steps from step `first`: what the estimators of the conductivity need, one row a block."""

    wants_shared_numbers_only = True

    def __init__(self, length, first, count, n_species):
        super().__init__(length)
        self.first, self.count, self.done = first, count, 0
        names = ("impulse", "current", "work", "heat", "temperature", "kinetic", "drift", "mesh_force")
        self.data = {name: np.full(count, np.nan) for name in names}
        self.data["temperature_species"] = np.full((count, n_species), np.nan)
        self.sums = np.zeros(4 + n_species)
        self.last = np.zeros(4)

    def due(self, step):
        return step > self.first and (step - self.first) % self.every == 0 and self.done < self.count

    def every_step(self, sim):
        if sim.step == self.first:          # the phase began before the first block
            self.begin(sim)
        if sim.step <= self.first or self.done >= self.count:
            return
        rest = ~sim.colour.mobile & (sim.colour.counts > 0)
        frame = sim.shared.stream[rest][0] if rest.any() else 0.0
        self.sums[0] += sim.temperature
        self.sums[1] += sim.kinetic
        self.sums[2] += frame
        self.sums[4:] += sim.temperature_species()

    def observe(self, sim):
        shared, row, steps = sim.shared, self.done, self.every
        now = np.array([shared.impulse, shared.charge_moved, shared.work, shared.heat])
        change = now - self.last
        self.last = now
        data = self.data
        data["impulse"][row], data["work"][row], data["heat"][row] = change[0], change[2], change[3]
        data["current"][row] = change[1] / (steps * sim.timestep)
        data["temperature"][row], data["kinetic"][row], data["drift"][row] = self.sums[:3] / steps
        data["mesh_force"][row] = shared.mesh_force
        data["temperature_species"][row] = self.sums[4:] / steps
        self.sums[:] = 0.0
        self.done += 1

    def begin(self, sim):
        """Take the ledger as it stands for zero."""
        shared = sim.shared
        self.last = np.array([shared.impulse, shared.charge_moved, shared.work, shared.heat])

    def tree(self):
        return dict(self.data, done=np.int64(self.done), sums=self.sums, last=self.last)

    def restore(self, tree):
        for name in self.data:
            old = np.asarray(tree[name])
            rows = min(len(old), len(self.data[name]))
            self.data[name][:rows] = old[:rows]
        self.done, self.sums, self.last = int(tree["done"]), np.array(tree["sums"]), np.array(tree["last"])
