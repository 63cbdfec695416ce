"""The deck of the experiment. Reduced units: sigma = epsilon = mass = k_B = 1."""
from typing import Annotated, Literal

from pydantic import Field as Key, model_validator

from ..irreversibility.tables import CasesOutput, CasesTable
from ..tables import ParallelTable, Table

Positive = Annotated[float, Key(gt=0)]
Arithmetic = Literal["float32", "float64", "int64"]


class GasTable(Table):
    """Soft discs in a periodic square box."""
    particles: tuple[Annotated[int, Key(ge=50, le=10**7)], ...] = Key((2500,), description="numbers of discs; each is a case of its own")
    density: Annotated[float, Key(gt=0, le=0.45)] = Key(0.3, description="discs per area of the whole box")
    temperature: Positive = Key(1.0, description="of the start")
    region: Literal["half", "whole"] = Key("half", description="where the discs start: half (they expand), whole (only their velocities are out of equilibrium)")
    start: Literal["maxwell", "equal_speeds"] = Key("maxwell", description="velocities at the start: maxwell, equal_speeds (Boltzmann's H then falls from far above)")
    timestep: Annotated[float, Key(gt=0, le=0.01)] = Key(0.004, description="time step")


class ReversalTable(Table):
    """When and how the velocities are inverted. Runs with noise or a bath use the last arithmetic of the list."""
    arithmetic: tuple[Arithmetic, ...] = Key(("float32", "float64", "int64"), description="float32, float64, int64 (whole numbers, reversible to the last bit)")
    times: tuple[Positive, ...] = Key((), description="times of the inversion; and, or")
    times_per_length: tuple[Positive, ...] = Key((), description="times of the inversion over the edge of the box, so that larger gases expand as far")
    noise: tuple[Positive, ...] = Key((), description="further runs: size of random numbers added to the velocities at the inversion")
    bath: bool = Key(False, description="one further run for each time: a heat bath acts before the inversion")
    bath_time: Positive = Key(5.0, description="how long the bath acts")
    bath_friction: Positive = Key(1.0, description="its friction constant")
    samples: int = Key(40, ge=4, le=10**4, description="times at which the gas is looked at, on each way")
    lyapunov_time: Annotated[float, Key(ge=0)] = Key(0.0, description="length of an independent measurement of the largest Lyapunov exponent, in each run of the last arithmetic; 0: none")

    @model_validator(mode="after")
    def _checks(self):
        if not self.times and not self.times_per_length:
            raise ValueError("no time of the inversion is given; write for example times = [5.0]")
        if not self.arithmetic:
            raise ValueError("arithmetic is empty; write for example arithmetic = [\"float64\", \"int64\"]")
        return self


class Deck(Table):
    """Velocity reversal of an expanding gas in several arithmetics."""
    experiment: Literal["loschmidt"]
    gas: GasTable = GasTable()
    reversal: ReversalTable
    run: CasesTable = CasesTable()
    parallel: ParallelTable = ParallelTable()
    output: CasesOutput = CasesOutput()
