"""The cases of a deck, and the stretching of tangent vectors in each."""
import math
from dataclasses import dataclass

import numpy as np

from ...core.errors import InputError
from ...core.random import generator
from ...dynamics.tangent import ColourDiscs, HardDiscs, SoftParticles
from ...kernels import maps, tangent_billiards
from ...parallel.serial import SerialComm
from ..irreversibility.launched import PreparedEnsemble

MAPS = {"cat": maps.CAT, "baker": maps.BAKER, "kicked_rotor": maps.ROTOR, "henon": maps.HENON}
LORENZ_STEP = 0.005
HEXAGON = 2 * math.sqrt(3.0)        # lattice spacing of hexagonal cells of side 2
OBSERVABLES = ("temperature", "potential energy per particle", "current per particle", "collisions", "thermostat multiplier")


@dataclass(frozen=True)
class Case:
    """`kind`: a table of the deck; `system`: what of it; `value`: density or field; `columns`: exponents."""
    kind: str
    system: str
    value: float
    columns: int

    @property
    def name(self):
        text = {"billiards": f"Lorentz gas, {self.system}", "maps": self.system}.get(self.kind, f"{self.kind.replace('_', ' ')}, {self.system}")
        return text if math.isnan(self.value) else f"{text}, {'field' if self.system == 'thermostatted' or self.kind == 'colour_field' else 'density'} {self.value:g}"


def cases_of(deck):
    """list of Case."""
    found, nothing = [], math.nan
    if deck.maps:
        found += [Case("maps", name, nothing, 3 if name == "lorenz" else 2) for name in deck.maps.systems]
    if deck.billiards:
        for kind in deck.billiards.kinds:
            values = {"hexagonal": (nothing,), "random": deck.billiards.densities, "thermostatted": deck.billiards.fields}[kind]
            found += [Case("billiards", kind, value, 3 if kind == "thermostatted" else 1) for value in values]
    if deck.soft_particles:
        t = deck.soft_particles
        found.append(Case("soft_particles", f"{t.particles} {t.potential} in {t.dimensions}D", t.density, t.exponents or 2 * t.dimensions * t.particles))
    if deck.hard_discs:
        t = deck.hard_discs
        found += [Case("hard_discs", f"{t.particles} in {t.dimensions}D", density, t.exponents or 2 * t.dimensions * t.particles) for density in t.densities]
    if deck.colour_field:
        t = deck.colour_field
        found += [Case("colour_field", f"{t.particles} discs", field, t.exponents or 4 * t.particles) for field in t.fields]
    return found


class InstabilityModel:
    """`branch_names`: the cases; `rows(comm, branch, ids)` runs them."""
    attributes = {}

    def __init__(self, deck):
        self.deck, self.list = deck, cases_of(deck)
        self.branch_names = [case.name for case in self.list]
        blocks = deck.blocks
        self.schema = {"growth": ((blocks, max(case.columns for case in self.list)), "<f8", "", "logarithms of the stretching factors; unused columns are 0"),
                       "times": ((blocks,), "<f8", "reduced", "length of each block (steps, for maps)"),
                       "contraction": ((blocks,), "<f8", "", "integral of minus the divergence of the flow"),
                       "observables": ((blocks, len(OBSERVABLES)), "<f8", "reduced", "means over each block: " + ", ".join(OBSERVABLES))}

    def warm_up(self):
        """Compiles everything on this rank alone."""
        short = {"maps": {"steps": 1000}, "billiards": {"flights": 1000, "time": 1.0, "scatterers": 200}}
        particles = {"equilibrate": 0.0, "interval": 0.02, "time": 0.04}
        tables = {name: getattr(self.deck, name).model_copy(update=short.get(name, particles)) for name in ("maps", "billiards", "soft_particles", "hard_discs", "colour_field")
                  if getattr(self.deck, name) is not None}
        small = InstabilityModel(self.deck.model_copy(update={"blocks": 2, **tables}))
        for case in small.list:
            small._one(SerialComm(), case, 0)

    def rows(self, comm, branch, ids):
        """Collective over `comm`. {dataset: (len(ids), ...)} of replicas of one case, on all its ranks."""
        runs = [self._one(comm, self.list[branch.number], int(replica)) for replica in ids]
        return {name: np.stack([run[name] for run in runs]) for name in self.schema}

    def _one(self, comm, case, replica):
        shapes = {name: np.zeros(shape) for name, (shape, *_) in self.schema.items()}
        random = generator(self.deck.run.seed, "structure", replica)
        work = {"maps": self._map, "billiards": self._billiard}.get(case.kind)
        if work is None:
            self._particles(comm, case, replica, shapes)
        else:
            work(case, random, shapes)
        return shapes

    # ---- maps and billiards: small enough for every rank to compute alone ------------------------------------------
    def _map(self, case, random, out):
        t, blocks = self.deck.maps, self.deck.blocks
        steps = max(1, t.steps // blocks)
        growth = np.zeros((blocks, case.columns))
        if case.system == "lorenz":
            s = np.array([1.0, 1.0, 20.0]) + random.random(3)
            maps.lorenz_growth(1, 4000, LORENZ_STEP, 10.0, 28.0, 8.0 / 3.0, s, np.zeros((1, 3)))
            maps.lorenz_growth(blocks, steps, LORENZ_STEP, 10.0, 28.0, 8.0 / 3.0, s, growth)
            out["times"][:] = steps * LORENZ_STEP
            out["contraction"][:] = (10.0 + 1.0 + 8.0 / 3.0) * steps * LORENZ_STEP
        else:
            a, b = {"baker": (t.baker, 0.0), "kicked_rotor": (t.kick, 0.0), "henon": (1.4, 0.3)}.get(case.system, (0.0, 0.0))
            point = 0.1 * random.random(2) if case.system == "henon" else random.random(2)
            seed = int(random.integers(2**62))
            maps.map_growth(MAPS[case.system], a, b, 1, 1000, point, seed, np.zeros((1, 2)))
            maps.map_growth(MAPS[case.system], a, b, blocks, steps, point, seed, growth)
            out["times"][:] = steps
            out["contraction"][:] = -math.log(0.3) * steps if case.system == "henon" else 0.0
        out["growth"][:, :case.columns] = growth

    def _billiard(self, case, random, out):
        t, blocks = self.deck.billiards, self.deck.blocks
        flights = max(1, t.flights // blocks)
        angle = 2 * math.pi * random.random()
        if case.system == "hexagonal":
            lean = angle + math.asin(2 * random.random() - 1)
            state = np.array([math.cos(angle), math.sin(angle), math.cos(lean), math.sin(lean)])
            kappa = tangent_billiards.lattice_flights(1, 1000, HEXAGON, state, 0.0, np.zeros(1), np.zeros(1))
            growth = np.zeros(blocks)
            tangent_billiards.lattice_flights(blocks, flights, HEXAGON, state, kappa, out["times"], growth)
            out["growth"][:, 0], out["observables"][:, 3] = growth, flights
        elif case.system == "random":
            gas = RandomDiscs(t.scatterers, case.value, random)
            for block in range(blocks):
                out["times"][block], out["growth"][block, 0] = gas.trajectory(flights, random)
            out["observables"][:, 3] = flights
        else:
            lean = angle + math.asin(2 * random.random() - 1)
            s, w = np.array([math.cos(angle), math.sin(angle), lean]), np.eye(3)
            steps = max(1, round(t.time / t.timestep / blocks))
            for block in range(-1, blocks):                 # the first one turns the vectors and is thrown away
                growth = np.zeros(3)
                alpha, time, hits, moved = tangent_billiards.thermostatted(steps, t.timestep, case.value, t.spacing, s, w, growth)
                if block >= 0:
                    out["growth"][block, :3], out["times"][block], out["contraction"][block] = growth, time, alpha
                    out["observables"][block] = 1.0, 0.0, moved / time, hits, alpha / time

    # ---- particles: tangent vectors are shared out over the ranks ---------------------------------------------------
    def _particles(self, comm, case, replica, out):
        seed = self.deck.run.seed
        system, t = self.system(comm, case, replica, seed)
        per_block = max(1, round(t.time / t.interval / self.deck.blocks))
        for _ in range(per_block):                          # the vectors turn into their directions
            system.grow(t.interval)
        for block in range(self.deck.blocks):
            before = {name: getattr(system, name, 0) for name in ("alpha", "current", "collisions")}
            heat = 0.0
            for _ in range(per_block):
                time, logs, contraction = system.grow(t.interval)
                out["growth"][block, :case.columns] += logs
                out["times"][block] += time
                out["contraction"][block] += contraction
                heat += getattr(system, "potential", 0.0)
            time, n = out["times"][block], len(system.q)
            kinetic = system.temperature if hasattr(system, "temperature") else (system.p**2).sum() / (system.q.shape[1] * (n - 1))
            out["observables"][block] = (kinetic, heat / per_block / n, (getattr(system, "current", 0.0) - before["current"]) / time / n,
                                         getattr(system, "collisions", 0) - before["collisions"], (getattr(system, "alpha", 0.0) - before["alpha"]) / time)

    def system(self, comm, case, replica, seed):
        """Collective. (the system with its tangent vectors, its table)."""
        t = getattr(self.deck, case.kind)
        common = {"equilibrate": t.equilibrate, "columns": case.columns, "seed": seed, "replica": replica}
        if case.kind == "soft_particles":
            return SoftParticles(comm, t.particles, t.dimensions, t.density, t.temperature, t.potential, t.timestep, **common), t
        if case.kind == "hard_discs":
            return HardDiscs(comm, t.particles, t.dimensions, case.value, t.temperature, **common), t
        return ColourDiscs(comm, t.particles, t.density, t.temperature, case.value, t.timestep, **common), t


class RandomDiscs:
    """One configuration of overlapping discs of radius 1 in a periodic square, sorted into cells."""

    def __init__(self, count, density, random):
        self.length = math.sqrt(count / density)
        self.cells = max(1, int(self.length / max(2.0, density**-0.5)))
        self.side = self.length / self.cells
        self.centres = random.random((count, 2)) * self.length
        low, high = (np.floor((self.centres + shift) / self.side).astype(np.int64) for shift in (-1.0, 1.0))
        pairs = []
        for x in (low[:, 0], high[:, 0]):
            for y in (low[:, 1], high[:, 1]):
                pairs.append(np.column_stack([x % self.cells + self.cells * (y % self.cells), np.arange(count)]))
        pairs = np.unique(np.concatenate(pairs), axis=0)    # sorted by cell
        self.inside = np.ascontiguousarray(pairs[:, 1])
        self.first = np.searchsorted(pairs[:, 0], np.arange(self.cells**2 + 1))

    def trajectory(self, flights, random, skip=20):
        """(time, growth) of so many flights from a random free place."""
        while True:
            place = random.random(2) * self.length
            apart = self.centres - place
            apart -= self.length * np.rint(apart / self.length)
            if (apart**2).sum(axis=1).min() > 1.0:
                break
        angle, out = 2 * math.pi * random.random(), np.zeros(2)
        tangent_billiards.random_flights(flights, skip, self.centres, self.cells, self.side, self.first, self.inside,
                                         np.array([*place, math.cos(angle), math.sin(angle)]), out)
        return out[0], out[1]


def prepare(deck, base="."):
    """PreparedEnsemble of a Deck; starts no MPI. Raises InputError. `base` is not needed: the deck names no files."""
    model, problems = InstabilityModel(deck), []
    if len(set(model.branch_names)) < len(model.branch_names):
        problems.append("a case is named twice; name each density, field and system once")
    for case in model.list:
        if case.kind in ("soft_particles", "hard_discs", "colour_field"):
            try:
                table = getattr(deck, case.kind).model_copy(update={"equilibrate": 0.0})
                InstabilityModel(deck.model_copy(update={case.kind: table})).system(SerialComm(), case, 0, deck.run.seed)
            except InputError as error:
                problems += [f"{case.kind}: {one}" for one in error.problems]
    if problems:
        raise InputError(problems)
    return PreparedEnsemble(deck, model)
