"""The deck of the experiment: its tables, and what follows from them."""
from typing import Literal

from pydantic import Field as Key, model_validator

from ..quantities import Duration, Temperature
from ..tables import DriveTable, ForcefieldTable, OrderTable, OutputTable, ParallelTable, RunTable, StructureTable, Table
from .schedule import STAIRS


class ConductivityRun(RunTable):
    """How long and how hot. Durations are totals: a resumed run does the rest."""
    anneal: Duration = Key(0.0, description="time of an annealing, first of all: half of it at anneal_temperature, then down to the temperature in even steps")
    anneal_temperature: Temperature | None = Key(None, description="where ions that were placed at random find their order, \"1000 K\"")
    until_error: float | None = Key(None, gt=0.001, lt=0.5, description="stop when the relative error is reached (0.05: 5 %); measure is then the longest measurement")

    @model_validator(mode="after")
    def _annealing(self):
        if self.anneal and self.anneal_temperature is None:
            raise ValueError("anneal: it does not say how hot; write for example anneal_temperature = \"1000 K\"")
        if self.anneal_temperature is not None:
            if "anneal" not in self.model_fields_set:
                raise ValueError("anneal_temperature: it does not say how long; write for example anneal = \"40 ps\"")
            if self.anneal_temperature < self.temperature:
                raise ValueError(f"anneal_temperature is {self.anneal_temperature:g} K, below the temperature of the run ({self.temperature:g} K); write a higher one, "
                                 "or anneal = \"0 ps\"")
        if self.anneal and self.steps(self.anneal) < STAIRS:
            raise ValueError(f"anneal is {self.steps(self.anneal)} steps long, too short to cool down in {STAIRS // 2} steps of temperature; some 40 ps are usual")
        if self.anneal and self.thermostat.kind == "none":
            raise ValueError("anneal with thermostat.kind = \"none\": nothing heats or cools; write \"nose_hoover\"")
        return self


class Deck(Table):
    """Ionic conductivity of a crystal or a melt, driven at constant current or constant field, or at equilibrium."""
    experiment: Literal["ionic_conductivity"]
    structure: StructureTable
    forcefield: ForcefieldTable
    run: ConductivityRun
    drive: DriveTable
    order: OrderTable | None = None
    parallel: ParallelTable = ParallelTable()
    output: OutputTable = OutputTable()

    def identity(self):
        """What must be equal for a run to be continued: everything but its length, its ranks and its files (JSON-able)."""
        whole = self.model_dump(mode="json")
        for table, keys in (("parallel", None), ("output", None), ("run", ("measure", "replicas", "blocks", "block", "until_error"))):
            if keys is None:
                whole.pop(table)
            else:
                for key in keys:
                    whole[table].pop(key)
        if self.order is None:
            whole.pop("order")
        if not self.run.npt:
            for key in ("npt", "barostat"):
                whole["run"].pop(key)
        if not self.run.anneal:
            for key in ("anneal", "anneal_temperature"):
                whole["run"].pop(key)
        whole["run"]["block_steps"] = self.run.block_steps
        return whole
