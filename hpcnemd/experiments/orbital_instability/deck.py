"""The deck of the experiment. Reduced units: sigma = epsilon = mass = k_B = 1."""
from typing import Annotated, Literal

from pydantic import Field as Key, model_validator

from ..irreversibility.tables import CasesOutput, CasesTable
from ..tables import ParallelTable, Table

Positive = Annotated[float, Key(gt=0)]
SYSTEMS = ("maps", "billiards", "soft_particles", "hard_discs", "colour_field")


class MapsTable(Table):
    """Maps and the Lorenz flow."""
    systems: tuple[Literal["cat", "baker", "kicked_rotor", "henon", "lorenz"], ...] = Key(("cat", "baker"), description="cat, baker, kicked_rotor, henon, lorenz")
    steps: int = Key(200000, ge=1000, le=10**10, description="steps of each (lorenz: Runge-Kutta steps of 0.005)")
    baker: Annotated[float, Key(gt=0, lt=1)] = Key(0.2, description="share of the left part of the baker map")
    kick: Positive = Key(10.0, description="strength of the kicks of the rotor")


class BilliardsTable(Table):
    """A point of unit speed among fixed discs of radius 1."""
    kinds: tuple[Literal["hexagonal", "random", "thermostatted"], ...] = Key(("hexagonal",), description="hexagonal (cells of side 2), random (overlapping discs), "
                                                                                                      "thermostatted (triangular lattice with a field)")
    flights: int = Key(400000, ge=1000, le=10**11, description="flights of each hexagonal or random case and replica")
    densities: tuple[Annotated[float, Key(gt=0, le=0.1)], ...] = Key((0.0025, 0.005, 0.01, 0.02), description="discs per area of the random gas")
    scatterers: int = Key(4000, ge=100, le=10**7, description="discs of one random configuration; each replica has its own")
    spacing: Annotated[float, Key(gt=2.0, le=10)] = Key(2.3, description="of the lattice with a field")
    fields: tuple[Annotated[float, Key(gt=0, lt=0.9)], ...] = Key((0.2,), description="fields of the thermostatted case")
    time: Positive = Key(2000.0, description="length of the thermostatted case")
    timestep: Annotated[float, Key(gt=0, le=0.05)] = Key(0.02, description="of its Runge-Kutta steps")


class ParticlesTable(Table):
    """What particle systems have in common."""
    particles: int = Key(16, ge=4, le=10**5, description="number of particles")
    temperature: Positive = Key(1.0, description="temperature")
    equilibrate: Annotated[float, Key(ge=0)] = Key(20.0, description="time before the measurement")
    time: Positive = Key(100.0, description="length of the measurement")
    interval: Positive = Key(0.1, description="time between orthonormalisations")
    exponents: Annotated[int, Key(ge=0)] = Key(0, description="number of leading exponents; 0: all")


class SoftTable(ParticlesTable):
    """Lennard-Jones particles or their repulsive part, at constant energy."""
    potential: Literal["wca", "lennard_jones"] = Key("wca", description="wca (repulsive part), lennard_jones (cut at 2.5)")
    dimensions: Literal[2, 3] = Key(2, description="2 or 3")
    density: Positive = Key(0.4, description="particles per volume")
    timestep: Annotated[float, Key(gt=0, le=0.01)] = Key(0.002, description="time step")


class HardTable(ParticlesTable):
    """Hard discs (or spheres) of diameter 1."""
    dimensions: Literal[2, 3] = Key(2, description="2 or 3")
    densities: tuple[Positive, ...] = Key((0.4,), description="discs per volume; each is a case of its own")


class ColourTable(ParticlesTable):
    """Soft discs of two colours, driven apart by a field, with an isokinetic thermostat."""
    particles: int = Key(8, ge=4, le=100, description="an even number")
    density: Positive = Key(0.4, description="discs per area")
    fields: tuple[Annotated[float, Key(ge=0)], ...] = Key((1.0,), description="forces on each disc; each is a case of its own")
    timestep: Annotated[float, Key(gt=0, le=0.01)] = Key(0.005, description="of the Runge-Kutta steps")


class Deck(Table):
    """Lyapunov exponents; write one or more of the tables of systems."""
    experiment: Literal["orbital_instability"]
    maps: MapsTable | None = None
    billiards: BilliardsTable | None = None
    soft_particles: SoftTable | None = None
    hard_discs: HardTable | None = None
    colour_field: ColourTable | None = None
    blocks: int = Key(20, ge=2, le=10**4, description="blocks of each run, for the errors")
    run: CasesTable = CasesTable()
    parallel: ParallelTable = ParallelTable()
    output: CasesOutput = CasesOutput()

    @model_validator(mode="after")
    def _checks(self):
        if all(getattr(self, name) is None for name in SYSTEMS):
            raise ValueError(f"no system is given; write one or more of the tables {', '.join(f'[{name}]' for name in SYSTEMS)}")
        for name in ("soft_particles", "hard_discs", "colour_field"):
            table = getattr(self, name)
            if table is not None and table.time < self.blocks * table.interval:
                raise ValueError(f"{name}.time = {table.time:g} is too short for {self.blocks} blocks of at least one interval ({table.interval:g}); write a longer time")
        return self
