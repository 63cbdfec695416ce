"""The cases of a deck, and one run of a case: out, inversion, back, with what is seen on the way."""
import math
from dataclasses import dataclass

import numpy as np

from ...analysis.entropy import boltzmann_h, energy_edges, fourth_moment, shannon
from ...core.errors import InputError
from ...core.random import generator
from ...dynamics.reversible import DiscGas
from ...dynamics.tangent import SoftParticles
from ...parallel.serial import SerialComm
from ..irreversibility.launched import PreparedEnsemble

CELLS = 10              # per axis, of the entropy of places
SHOWN = 2500            # discs of a snapshot, drawn by lot from all
BLOCKS = 8              # of the Lyapunov exponent
PROBE = 225             # discs of its measurement: the exponent hardly depends on their number
LYAPUNOV_STRETCH = 0.25


@dataclass(frozen=True)
class Case:
    """One way to run the experiment."""
    particles: int
    arithmetic: str
    time: float
    noise: float = 0.0
    bath: bool = False

    @property
    def name(self):
        return (f"{self.particles} discs, {self.arithmetic}, t_R {self.time:.6g}" + (f", noise {self.noise:g}" if self.noise else "")
                + (", bath" if self.bath else ""))


def cases_of(deck):
    """list of Case, without repetition."""
    reversal, found = deck.reversal, []
    for n in deck.gas.particles:
        length = math.sqrt(n / deck.gas.density)
        for time in dict.fromkeys([*reversal.times, *(share * length for share in reversal.times_per_length)]):
            found += [Case(n, arithmetic, time) for arithmetic in reversal.arithmetic]
            found += [Case(n, reversal.arithmetic[-1], time, noise=size) for size in reversal.noise]
            found += [Case(n, reversal.arithmetic[-1], time, bath=True)] if reversal.bath else []
    return list(dict.fromkeys(found))


def start_of(table, n, seed, replica):
    """(positions, velocities) (n, 2): a lattice in the left half or the whole box; velocities of the wanted kind without total momentum."""
    length, share = math.sqrt(n / table.density), 0.5 if table.region == "half" else 1.0
    rows = math.ceil(math.sqrt(n / share))
    columns = -(-n // rows)
    k = np.arange(n)
    position = np.column_stack([(k // rows + 0.5) * length * share / columns, (k % rows + 0.5) * length / rows])
    random = generator(seed, "velocities", replica)
    if table.start == "equal_speeds":                   # opposite pairs: no momentum, and exactly one speed (one disc rests where n is odd)
        angle = 2 * np.pi * random.random(n // 2)
        half = np.column_stack([np.cos(angle), np.sin(angle)])
        velocity = np.zeros((n, 2))
        velocity[random.permutation(n)[:2 * (n // 2)]] = np.concatenate([half, -half]) * math.sqrt(2 * table.temperature)
    else:
        velocity = random.normal(size=(n, 2))
        velocity -= velocity.mean(axis=0)
        velocity *= math.sqrt(2 * (n - 1) * table.temperature / (velocity**2).sum())
    return position, velocity


class LoschmidtModel:
    """`branch_names`: the cases; `rows(comm, branch, ids)` runs them."""
    attributes = {}

    def __init__(self, deck):
        self.deck, self.list = deck, cases_of(deck)
        self.branch_names = [case.name for case in self.list]
        instants, shown = 2 * deck.reversal.samples + 1, min(SHOWN, max(deck.gas.particles))
        one, many = (), (instants,)
        self.schema = {
            "time": (many, "<f8", "reduced", "time of each look; the inversion is in the middle"),
            "entropy": (many, "<f8", "k_B", f"of the occupation of {CELLS} x {CELLS} cells"),
            "h_function": (many, "<f8", "", "Boltzmann's H of the velocities, not corrected for finite numbers"),
            "occupied": (many, "<i8", "", "bins of H with a disc in them"),
            "fourth_moment": (many, "<f8", "", "<v^4> / (2 <v^2>^2) - 1"),
            "temperature": (many, "<f8", "reduced", "kinetic energy per disc"),
            "energy": (many, "<f8", "reduced", "kinetic and potential, of all discs"),
            "rms_error": (one, "<f8", "sigma", "root mean square distance of the discs from where they started, after the way back"),
            "mismatches": (one, "<i8", "", "discs that are not back to the last bit, in places or velocities"),
            "hash_start": ((32,), "u1", "", "SHA-256 of places and velocities at the start"),
            "hash_turn": ((32,), "u1", "", "the same before the inversion"),
            "hash_end": ((32,), "u1", "", "the same after the way back and a second inversion"),
            "snapshot": ((3, shown, 2), "<f4", "box lengths", "places of some discs, drawn by lot, at the start, at the inversion and at the end")}
        if deck.reversal.lyapunov_time:
            self.schema |= {"lyapunov_growth": ((BLOCKS,), "<f8", "", "logarithm of the growth of a tangent vector in each block; 0 in cases that do not measure it"),
                            "lyapunov_time": ((BLOCKS,), "<f8", "reduced", "length of each block")}

    def warm_up(self):
        """Compiles everything on this rank alone."""
        table, reversal = self.deck.gas, self.deck.reversal
        for arithmetic in reversal.arithmetic:
            gas = DiscGas(SerialComm(), math.sqrt(100 / table.density), table.timestep, arithmetic)
            gas.load(*start_of(table, 100, 0, 0))
            gas.advance(1)
            gas.bathe(1, 1.0, 1.0, 0)
            gas.potential_energy()
            gas.gather()
        if reversal.lyapunov_time:
            SoftParticles(SerialComm(), 25, 2, table.density, 1.0, equilibrate=0.2, columns=1).grow(0.01)

    def rows(self, comm, branch, ids):
        """Collective over `comm`. {dataset: (len(ids), ...)} of replicas of one case, on all its ranks."""
        runs = [self._one(comm, self.list[branch.number], int(replica)) for replica in ids]
        return {name: np.stack([run[name] for run in runs]) for name in self.schema}

    def _one(self, comm, case, replica):
        deck = self.deck
        gas = DiscGas(comm, math.sqrt(case.particles / deck.gas.density), deck.gas.timestep, case.arithmetic)
        gas.load(*start_of(deck.gas, case.particles, deck.run.seed, replica))
        record = Record(self, gas, case.particles)
        hashes = [gas.sha256()]
        origin = gas.gather()
        record.way(case.time)
        if case.bath:
            gas.bathe(round(deck.reversal.bath_time / deck.gas.timestep), deck.gas.temperature, deck.reversal.bath_friction, deck.run.seed, replica)
            record.looks.pop()                              # the turn is looked at after the bath
            record.look()
        hashes.append(gas.sha256())
        gas.reverse()
        if case.noise:
            gas.add_noise(case.noise, deck.run.seed, replica)
        record.way(case.time)
        gas.reverse()
        hashes.append(gas.sha256())
        found = record.close(origin)
        found |= {f"hash_{name}": np.frombuffer(bytes.fromhex(text), np.uint8) for name, text in zip(("start", "turn", "end"), hashes)}
        if deck.reversal.lyapunov_time:
            found["lyapunov_growth"], found["lyapunov_time"] = self._lyapunov(comm, case, found, replica)
        return found

    def _measures(self, case):
        """Whether this case measures the exponent: one arithmetic is enough."""
        return case.arithmetic == self.deck.reversal.arithmetic[-1] and not case.noise and not case.bath

    def _lyapunov(self, comm, case, found, replica):
        """Collective. (growth, times) (BLOCKS,) of one tangent vector in an independent gas of the same density, at the temperature after the expansion."""
        if not self._measures(case):
            return np.zeros(BLOCKS), np.zeros(BLOCKS)
        half = len(found["temperature"]) // 2
        temperature = float(found["temperature"][half // 2:half].mean())
        gas = SoftParticles(comm, min(case.particles, PROBE), 2, self.deck.gas.density, temperature, timestep=self.deck.gas.timestep, equilibrate=10.0,
                            columns=1, seed=self.deck.run.seed, replica=replica)
        growth, times = np.zeros(BLOCKS), np.zeros(BLOCKS)
        for _ in range(8):
            gas.grow(LYAPUNOV_STRETCH)                      # the vector turns towards the fastest growth
        for block in range(BLOCKS):
            while times[block] < self.deck.reversal.lyapunov_time / BLOCKS - 1e-9:
                time, logs, _ = gas.grow(LYAPUNOV_STRETCH)
                growth[block] += logs[0]
                times[block] += time
        return growth, times


class Record:
    """What is seen of one run."""

    def __init__(self, model, gas, particles):
        self.model, self.gas = model, gas
        self.edges = energy_edges(model.deck.gas.temperature)
        shown = model.schema["snapshot"][0][1]
        self.frame, self.drawn = (shown, 2), generator(model.deck.run.seed, "shuffle").permutation(particles)[:shown]
        self.time, self.looks, self.snapshots = 0.0, [], []

    def way(self, duration):
        """Collective. Out or back, with a look at equal intervals."""
        steps = max(1, round(duration / self.gas.timestep))
        marks = np.rint(np.linspace(0, steps, self.model.deck.reversal.samples + 1)).astype(int)
        if not self.looks:
            self.look(picture=True)
        for k, (before, after) in enumerate(zip(marks[:-1], marks[1:]), 2):
            self.gas.advance(int(after - before))
            self.time += (after - before) * self.gas.timestep
            self.look(picture=k == len(marks))

    def look(self, picture=False):
        """Collective."""
        gas = self.gas
        state, potential = gas.gather(), gas.potential_energy()
        if state is None:
            return self.looks.append(None)
        velocity = gas.centred_velocities(state[1], state[2])
        share = gas.coordinates(state[0]) / gas.length
        cell = np.minimum((share * CELLS).astype(np.int64), CELLS - 1)
        h, occupied = boltzmann_h(velocity, self.edges)
        kinetic = 0.5 * float((velocity**2).sum())
        self.looks.append({"time": self.time, "entropy": float(shannon(np.bincount(cell[:, 0] + CELLS * cell[:, 1], minlength=CELLS**2))), "h_function": h,
                           "occupied": occupied, "fourth_moment": fourth_moment(velocity), "temperature": kinetic / len(velocity), "energy": kinetic + potential})
        if picture:
            frame = np.zeros(self.frame, np.float32)
            frame[:len(self.drawn)] = share[self.drawn]
            self.snapshots.append(frame)

    def close(self, origin):
        """Collective. The row, on all ranks. `origin`: the gathered state of the start."""
        gas, row = self.gas, None
        state = gas.gather()
        if state is not None:
            row = {name: np.array([look[name] for look in self.looks]) for name in self.looks[0]}
            apart = gas.coordinates(state[0]) - gas.coordinates(origin[0])
            apart -= gas.length * np.rint(apart / gas.length)
            row["rms_error"] = np.float64(math.sqrt((apart**2).sum(axis=1).mean()))
            row["mismatches"] = np.int64(((state[0] != origin[0]) | (state[1] != origin[1])).any(axis=1).sum())
            row["snapshot"] = np.stack(self.snapshots)
        return gas.comm.bcast(row)


def prepare(deck, base="."):
    """PreparedEnsemble of a Deck; starts no MPI. Raises InputError. `base` is not needed: the deck names no files."""
    problems = []
    for n in deck.gas.particles:
        try:
            DiscGas(SerialComm(), math.sqrt(n / deck.gas.density), deck.gas.timestep).load(*start_of(deck.gas, n, deck.run.seed, 0))
        except InputError as error:
            problems += [f"gas.particles = {n}: {one}" for one in error.problems]
    if problems:
        raise InputError(problems)
    return PreparedEnsemble(deck, LoschmidtModel(deck))
