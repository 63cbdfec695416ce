"""The deck of the experiment. Numbers are in reduced units of the deck's own, k_B = 1, so that a temperature is an energy; ions have units."""
from typing import Annotated, Literal

from pydantic import Field as Key, model_validator

from ..irreversibility.tables import CasesOutput
from ..quantities import Direction, Every, Field, Interval, Names, Temperature, Time, Timestep
from ..tables import ForcefieldTable, ParallelTable, StructureTable, Table

Positive = Annotated[float, Key(gt=0)]
SYSTEMS = ("dragged_trap", "stiffened_trap", "breathing_trap", "pulled_chain", "colour_field", "electrolyte")


class DraggedTrap(Table):
    """A particle in a harmonic trap that moves at constant speed."""
    dynamics: Literal["overdamped", "underdamped"] = Key("overdamped", description="overdamped, underdamped")
    stiffness: Positive = Key(1.0, description="of the trap")
    friction: Positive = Key(1.0, description="of the particle")
    mass: Positive = Key(1.0, description="of the particle (underdamped)")
    temperature: Positive = Key(1.0, description="of the bath, an energy")
    velocity: float = Key(1.5, description="of the trap")
    duration: Positive = Key(2.0, description="of a trajectory")
    steps: int = Key(40, ge=1, le=10**7, description="time steps of a trajectory; overdamped steps are exact, underdamped ones BAOAB")
    start: Literal["equilibrium", "steady_state"] = Key("equilibrium", description="state before the measurement: equilibrium, steady_state")

    @model_validator(mode="after")
    def _checks(self):
        if self.start == "steady_state" and self.dynamics == "underdamped":
            raise ValueError("start = \"steady_state\" needs dynamics = \"overdamped\"; write start = \"equilibrium\", or change the dynamics")
        if self.dynamics == "underdamped" and self.duration / self.steps > 0.5 * (self.mass / self.stiffness)**0.5:
            raise ValueError(f"steps = {self.steps}: a step of {self.duration / self.steps:g} is too long for this trap; write more steps")
        return self


class StiffenedTrap(Table):
    """A particle in a harmonic trap at rest whose stiffness changes."""
    dynamics: Literal["overdamped", "underdamped"] = Key("overdamped", description="overdamped, underdamped")
    initial_stiffness: Positive = Key(1.0, description="of the trap, at the start")
    final_stiffness: Positive = Key(4.0, description="of the trap, at the end")
    friction: Positive = Key(1.0, description="of the particle")
    mass: Positive = Key(1.0, description="of the particle (underdamped)")
    temperature: Positive = Key(1.0, description="of the bath, an energy")
    duration: Annotated[float, Key(ge=0)] = Key(0.0, description="of the change; 0: sudden")
    steps: int = Key(0, ge=0, le=10**7, description="time steps of a trajectory; 0 for a sudden change")

    @model_validator(mode="after")
    def _checks(self):
        if (self.duration > 0) != (self.steps > 0):
            raise ValueError(f"duration = {self.duration:g} and steps = {self.steps} do not fit: a sudden change has duration = 0 and steps = 0, a slow one has both")
        stiffest = max(self.initial_stiffness, self.final_stiffness)
        if self.dynamics == "underdamped" and self.steps and self.duration / self.steps > 0.5 * (self.mass / stiffest)**0.5:
            raise ValueError(f"steps = {self.steps}: a step of {self.duration / self.steps:g} is too long for this trap; write more steps")
        return self


class BreathingTrap(Table):
    """A particle in a harmonic trap that is driven in cycles, from periodic steady state to periodic steady state (overdamped)."""
    motion: Literal["stiffness", "centre"] = Key("stiffness", description="what oscillates as a cosine: stiffness (breathing), centre (a piston to and fro)")
    stiffness: Positive = Key(1.0, description="mean stiffness of the trap")
    amplitude: Positive = Key(0.5, description="of the stiffness, relative to its mean (below 1); or of the centre")
    friction: Positive = Key(1.0, description="of the particle")
    temperature: Positive = Key(1.0, description="of the bath, an energy")
    period: Positive = Key(3.0, description="of the drive")
    periods: int = Key(2, ge=1, le=10**5, description="whole periods of a trajectory")
    steps: int = Key(40, ge=2, le=10**6, description="time steps of one period, each exact")

    @model_validator(mode="after")
    def _checks(self):
        if self.motion == "stiffness" and self.amplitude >= 1:
            raise ValueError(f"amplitude = {self.amplitude:g}: the stiffness would vanish; write a number below 1")
        return self


class PulledChain(Table):
    """A chain of beads, one end fixed, the other pulled by a harmonic trap; links kappa r^2/2 + beta r^4/4."""
    dynamics: Literal["langevin", "reversible"] = Key("langevin", description="langevin (bath on every bead); reversible (no bath while pulled, whole numbers)")
    beads: int = Key(8, ge=1, le=1000, description="beads of the chain")
    link_stiffness: Positive = Key(10.0, description="kappa")
    anharmonicity: Annotated[float, Key(ge=0)] = Key(10.0, description="beta")
    trap_stiffness: Positive = Key(5.0, description="of the trap")
    friction: Positive = Key(1.0, description="of each bead (mass times a rate)")
    mass: Positive = Key(1.0, description="of each bead")
    temperature: Positive = Key(1.0, description="of the bath, an energy")
    start: float = Key(0.0, description="centre of the trap at the start")
    end: float = Key(2.0, description="centre of the trap at the end")
    duration: Positive = Key(4.0, description="of the pulling")
    steps: int = Key(160, ge=1, le=10**7, description="time steps of a trajectory")
    rest: Annotated[float, Key(ge=0)] = Key(20.0, description="time with a bath before the way back (reversible)")

    @model_validator(mode="after")
    def _checks(self):
        reach = max(abs(self.start), abs(self.end)) / self.beads + 3 * (self.temperature / self.link_stiffness)**0.5
        fastest = ((4 * (self.link_stiffness + 3 * self.anharmonicity * reach**2) + self.trap_stiffness) / self.mass)**0.5
        if self.duration / self.steps * fastest > 1.0:
            raise ValueError(f"steps = {self.steps}: a step of {self.duration / self.steps:g} is too long for these links; "
                             f"write at least {int(self.duration * fastest) + 1}")
        return self


class ColourField(Table):
    """Soft discs of two colours in a field, kept at fixed kinetic energy (Gaussian isokinetic thermostat, temperature 1, mass 1)."""
    discs: int = Key(8, ge=4, le=100, description="an even number of discs, half of each colour")
    density: Annotated[float, Key(gt=0, le=0.6)] = Key(0.4, description="discs per area")
    field: float = Key(0.5, description="force on each disc")
    timestep: Annotated[float, Key(gt=0, le=0.02)] = Key(0.005, description="of the fourth-order Runge-Kutta steps")
    duration: Positive = Key(1.0, description="of a transient")
    settle: Positive = Key(5.0, description="time of a mother system before its first start point")
    spacing: Positive = Key(0.3, description="time between two start points")
    daughters: int = Key(20, ge=1, le=10**5, description="start points of each mother system")
    start: Literal["equilibrium", "steady_state"] = Key("equilibrium", description="mother systems in equilibrium (Evans-Searles), or under the field "
                                                                                    "(Gallavotti-Cohen)")

    @model_validator(mode="after")
    def _checks(self):
        if self.discs % 2:
            raise ValueError(f"discs = {self.discs}: half of them have each colour; write an even number")
        if (self.discs / self.density)**0.5 < 2.3:
            raise ValueError(f"discs = {self.discs} at density {self.density:g}: the box is smaller than two ranges of the force; write more discs")
        if self.field == 0:
            raise ValueError("field = 0: nothing is driven; write for example field = 0.5")
        return self


class ElectrolyteTable(Table):
    """Ions of [structure] and [forcefield] in a field that is switched on; the electrolyte of a conductivity run, from equilibrium."""
    temperature: Temperature = Key(description="temperature of the heat bath")
    timestep: Timestep = Key(2.0, description="time step")
    field: Field = Key(description="of the transients")
    direction: Direction = Key("x", description="x, y, z or three numbers")
    mobile: Names = Key(description="the mobile species, [\"Li\"]; \"all\": every charged species (a molten salt)")
    duration: Time = Key(200.0, description="of a transient")
    settle: Time = Key(20000.0, description="time of a mother system before its first start point; a crystal that is to melt needs tens of ps")
    spacing: Time = Key(200.0, description="time between two start points")
    daughters: int = Key(10, ge=1, le=10**5, description="start points of each mother system")
    thermostat: Literal["nose_hoover", "gaussian"] = Key("nose_hoover", description="nose_hoover, gaussian (isokinetic; reversible in time only to the error of the time step)")
    thermostat_time: Time = Key(100.0, description="relaxation time of nose_hoover")

    @model_validator(mode="after")
    def _checks(self):
        if self.timestep > 20.0:
            raise ValueError(f"timestep is {self.timestep:g} fs; ions need at most a few fs: write for example timestep = \"2 fs\"")
        if self.field == 0:
            raise ValueError("field = 0: nothing is driven; write for example field = \"0.02 V/angstrom\"")
        for name in ("duration", "settle", "spacing"):
            if not self.steps(getattr(self, name)):
                raise ValueError(f"{name} is shorter than a time step; write a longer one")
        return self

    def steps(self, duration):
        """Whole time steps in `duration` (fs)."""
        return int(round(duration / self.timestep))


class EnsembleTable(Table):
    """How many trajectories."""
    replicas: int = Key(ge=2, le=10**8, description="trajectories in each direction (mother systems for colour_field and electrolyte); a larger number extends a run that is there")
    seed: int = Key(2026, ge=0, lt=2**63, description="the same seed gives the same trajectories")
    batch: int = Key(1024, ge=8, le=10**6, description="trajectories that one rank computes at a time, a multiple of 8 (electrolyte: always 1); the results do not depend on the ranks")
    cross_check: bool = Key(False, description="compare BAR with pymbar's in the report (pip install pymbar)")
    samples: int = Key(8, ge=1, le=10**4, description="times at which the work of each trajectory is kept, the last one at its end")

    @model_validator(mode="after")
    def _checks(self):
        if self.batch % 8:
            raise ValueError(f"batch = {self.batch}: write a multiple of 8")
        return self


class OutputTable(CasesOutput):
    """What is kept."""
    checkpoint: Every = Key(Interval(seconds=5.0), description="interval at which finished trajectories are written")


class Deck(Table):
    """Work and fluctuation theorems on an ensemble of driven trajectories."""
    experiment: Literal["work_theorems"]
    dragged_trap: DraggedTrap | None = None
    stiffened_trap: StiffenedTrap | None = None
    breathing_trap: BreathingTrap | None = None
    pulled_chain: PulledChain | None = None
    colour_field: ColourField | None = None
    electrolyte: ElectrolyteTable | None = None
    structure: StructureTable | None = None
    forcefield: ForcefieldTable | None = None
    run: EnsembleTable
    parallel: ParallelTable = ParallelTable()
    output: OutputTable = OutputTable()

    @model_validator(mode="after")
    def _checks(self):
        given = [name for name in SYSTEMS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError((f"{' and '.join(given)} exclude each other; keep one of them" if given else "no system is given")
                             + f"; write exactly one of the tables {', '.join(f'[{name}]' for name in SYSTEMS)}")
        ions = self.electrolyte is not None
        for name in ("structure", "forcefield"):
            if ions != (getattr(self, name) is not None):
                raise ValueError(f"[electrolyte] needs [structure] and [forcefield], as a conductivity run does; write the table [{name}]" if ions else
                                 f"[{name}] belongs to [electrolyte]; remove it")
        if not ions and self.run.replicas < 8:
            raise ValueError(f"run.replicas = {self.run.replicas}: at least 8 trajectories are needed; write replicas = 8 or more")
        steps = self.steps_of_trajectory
        if steps and steps % self.run.samples:
            raise ValueError(f"run.samples = {self.run.samples} does not divide the {steps} steps of a trajectory; write a divisor of {steps}")
        if not steps and self.run.samples != 1:
            raise ValueError(f"run.samples = {self.run.samples}: a sudden change has one sample; write samples = 1")
        if not ions and self.parallel.ranks_per_replica not in (None, 1):
            raise ValueError("parallel.ranks_per_replica: these systems fit on one rank; leave it out, or write 1")
        return self

    @property
    def kind(self):
        """Name of the system."""
        return next(name for name in SYSTEMS if getattr(self, name) is not None)

    @property
    def system(self):
        """Its table."""
        return getattr(self, self.kind)

    @property
    def steps_of_trajectory(self):
        table = self.system
        if self.kind == "breathing_trap":
            return table.steps * table.periods
        if self.kind == "electrolyte":
            return table.steps(table.duration)
        if self.kind == "colour_field":
            return int(round(table.duration / table.timestep))
        return table.steps
