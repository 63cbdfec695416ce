"""The deck of the experiment: its tables, and what follows from them."""
from typing import Literal

from pydantic import Field as Key

from ..tables import DriveTable, ForcefieldTable, OrderTable, OutputTable, ParallelTable, RunTable, StructureTable, Table


class ConductivityRun(RunTable):
    """How long and how hot. Durations are totals: a resumed run does the rest."""
    until_error: float | None = Key(None, gt=0.001, lt=0.5, description="stop when the relative error is reached (0.05: 5 %); measure is then the longest measurement")


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
        whole["run"]["block_steps"] = self.run.block_steps
        return whole
