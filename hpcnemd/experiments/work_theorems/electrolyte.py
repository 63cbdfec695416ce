"""A driven electrolyte: transients of ions after a field was switched on, from start points of mother systems in equilibrium.

The field works on the ions at the rate E J, J = sum c v, and the thermostat acts on the peculiar velocities along the field, at E = 0 too. With its variables
it keeps the canonical distribution, so that the total entropy production of system and bath since the field came on is the work over T (Evans and Searles):
ln P(w/T)/P(-w/T) = w/T exactly at every time, for the isokinetic thermostat with beta = (g - 1)/(2 K), g its degrees of freedom."""
import numpy as np

from ...core.units import BOLTZMANN, SIEMENS_PER_METRE
from ...dynamics.colour import Colour
from ...dynamics.drive import Drive
from ...dynamics.loop import advance
from ...dynamics.restart import restore, snapshot
from ...dynamics.thermostat import make_thermostat
from ...dynamics.velocities import draw_velocities
from ...ensembles.campaign import Branch
from ...kernels.simd import choose_path
from ...parallel.domain import scatter
from ...parallel.layout import choose_grid
from ...parallel.serial import SerialComm
from ..system import simulation_of

IMAGES = ((1, 1), (-1, 1), (1, -1), (-1, -1))       # signs of time and of places: itself, reversed in time, its point reflection, both
RESTING = Drive("constant_field", 0.0)              # the thermostat of the driven system, without the field


class Electrolyte:
    """`rows(comm, branch, ids)`: a replica is a mother system with its daughters; the ranks of `comm` share its space. Each start point is used in four
    images of equal probability, so that the mean current at the start is zero exactly."""
    branch_names = ("forward",)
    table_name = "electrolyte"

    def __init__(self, deck, system):
        self.deck, self.table, self.run, self.system = deck, getattr(deck, self.table_name), deck.run, system
        table = self.table
        self.field = table.field                # V/angstrom, of the transients
        self.colour = Colour.of(system.kinds, system.counts, "all" if "all" in table.mobile else table.mobile, table.direction, system.box.dimensions)
        self.every = table.steps(table.duration) // self.run.samples
        self.times = np.arange(self.run.samples + 1) * self.every * table.timestep
        thermostat, _ = self._thermostat()
        degrees = thermostat.numbers[0]
        beta = 1 / (BOLTZMANN * table.temperature)
        self.beta = beta * (1 - 1 / degrees) if table.thermostat == "gaussian" else beta
        whole = (table.daughters, len(IMAGES), self.run.samples)
        self.schema = {"current": ((*whole[:2], self.run.samples + 1), "<f8", "e angstrom/fs", "sum of c v along the field, at the start and at each sample"),
                       "current_integral": (whole, "<f8", "e angstrom", "its integral up to each sample"),
                       "heat": (whole[:2], "<f8", "k_B T", "heat that the thermostat took up to the end"),
                       "shadow_work": (whole[:2], "<f8", "k_B T", "energy change - work + heat up to the end: the integrator's error")}
        self.attributes = {"temperature": table.temperature, "start": "equilibrium", "times": self.times, "field": self.beta * table.field, "time_unit": "fs",
                           "current_unit": "e Å/fs", "field_text": f"{table.field:g} V/Å", "volume": system.box.volume, "ions": np.int64(len(system.species)),
                           "conductivity_per_current": SIEMENS_PER_METRE / (system.box.volume * table.field)}
        self.kernel_path = choose_path("auto")

    def exact(self):
        """{name: value}."""
        return {"entropy_slope": 1.0}

    def _thermostat(self):
        table = self.table
        return make_thermostat(table.thermostat, table.temperature, self.colour, True, table.timestep, table.thermostat_time)

    def warm_up(self):
        """Compiles everything on this rank alone: a short life of one mother."""
        step = self.table.timestep
        short = self.table.model_copy(update={"settle": 2 * step, "spacing": step, "daughters": 1, "duration": 2 * step})
        deck = self.deck.model_copy(update={self.table_name: short, "run": self.run.model_copy(update={"samples": 1})})
        type(self)(deck, self.system).rows(SerialComm(), Branch("forward", 0, 0, 1), np.zeros(1, np.int64))

    def rows(self, comm, branch, ids):
        """Collective over `comm`. {dataset: (len(ids), ...)} of the mothers `ids`."""
        runs = [self._mother(comm, int(replica)) for replica in ids]
        return {name: np.stack([run[name] for run in runs]) for name in self.schema}

    def _mother(self, comm, replica):
        table, system, run = self.table, self.system, self.run
        grid = self.deck.parallel.grid or choose_grid(comm.size, system.box.heights, system.box.dimensions)
        sim = simulation_of(system, self.colour, comm, grid, table.timestep, run.seed, replica, self.deck.parallel.balance, self.deck.parallel.threads)
        scatter(sim.domain, sim.state, {"species": system.species, "position": system.position})
        draw_velocities(comm, sim.state, table.temperature, run.seed, replica)
        sim.enter_phase(RESTING, *self._thermostat())
        sim.start()
        made = []
        for daughter in range(table.daughters):
            advance(sim, sim.step + table.steps(table.spacing if daughter else table.settle))
            meta, point = snapshot(sim)
            for signs in IMAGES:
                restore(sim, meta, point, same_grid=True)
                made.append(self._transient(sim, *signs))
            sim.enter_phase(RESTING, sim.thermostat, sim.on)
            restore(sim, meta, point, same_grid=True)
        return {name: np.array([one[name] for one in made]).reshape(shape) for name, (shape, *_) in self.schema.items()}

    def _transient(self, sim, turn, side):
        """Collective. {dataset: of one transient}: an image of the point where `sim` stands, the field, and what the ions do."""
        state, n, box = sim.state, sim.state.n_owned, sim.state.box
        state.velocity[:n] *= turn * side
        sim.thermostat.velocity[:] *= turn
        if side < 0:
            state.position[:n, :box.dimensions] = box.matrix.sum(axis=0)[:box.dimensions] - state.position[:n, :box.dimensions]
            state.image[:n] *= -1
            sim.rebuild()
        sim.enter_phase(Drive("constant_field", self.field), sim.thermostat, sim.on)
        sim.evaluate(observe=True)
        sim.take_stock()
        energy, thermal = sim.energy, BOLTZMANN * self.table.temperature
        current, integral = [sim.shared.current], []
        for _ in range(self.run.samples):
            advance(sim, sim.step + self.every)
            current.append(sim.shared.current)
            integral.append(sim.shared.charge_moved)
        sim.evaluate(observe=True)
        shadow = sim.energy - energy - sim.shared.work + sim.shared.heat
        return {"current": current, "current_integral": integral, "heat": sim.shared.heat / thermal, "shadow_work": shadow / thermal}
