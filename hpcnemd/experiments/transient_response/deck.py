"""The deck of the experiment."""
from typing import Annotated, Literal

from pydantic import Field as Key, model_validator

from ..irreversibility.tables import CasesOutput
from ..tables import ForcefieldTable, ParallelTable, StructureTable, Table
from ..work_theorems.deck import ElectrolyteTable

Fraction = Annotated[float, Key(gt=0, le=10)]


class TransientTable(ElectrolyteTable):
    """Mother systems in equilibrium, and transients under a field from their points."""
    fractions: tuple[Fraction, ...] = Key((1e-4, 1.0), min_length=1, description="of the field, at which the same start points are used")


class MothersTable(Table):
    """How many mother systems."""
    replicas: int = Key(ge=1, le=10**6, description="mother systems, each with its daughters; a larger number extends a run that is there")
    samples: int = Key(50, ge=4, le=10**4, description="times at which each transient is kept; they divide its steps")
    seed: int = Key(2026, ge=0, lt=2**63, description="the same seed gives the same transients")


class Deck(Table):
    """Conductivity of ions in a weak field, from transient time correlation functions."""
    experiment: Literal["transient_response"]
    structure: StructureTable
    forcefield: ForcefieldTable
    transients: TransientTable
    run: MothersTable
    parallel: ParallelTable = ParallelTable()
    output: CasesOutput = CasesOutput()

    @model_validator(mode="after")
    def _checks(self):
        steps = self.transients.steps(self.transients.duration)
        if steps % self.run.samples:
            raise ValueError(f"run.samples = {self.run.samples} does not divide the {steps} steps of a transient; write a divisor of {steps}")
        if len(set(self.transients.fractions)) < len(self.transients.fractions):
            raise ValueError(f"transients.fractions = {list(self.transients.fractions)}: each of them once")
        return self
