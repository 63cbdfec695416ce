"""The deck of the experiment: its tables, and what follows from them."""
from typing import Literal

from ..tables import DriveTable, ForcefieldTable, OutputTable, ParallelTable, RunTable, StructureTable, Table


class Deck(Table):
    """Ionic conductivity of a crystal or a melt, driven at constant current or constant field, or at equilibrium."""
    experiment: Literal["ionic_conductivity"]
    structure: StructureTable
    forcefield: ForcefieldTable
    run: RunTable
    drive: DriveTable
    parallel: ParallelTable = ParallelTable()
    output: OutputTable = OutputTable()

    def identity(self):
        """What must be equal for a run to be continued: everything but its length, its ranks and its files (JSON-able)."""
        whole = self.model_dump(mode="json")
        for table, keys in (("parallel", None), ("output", None), ("run", ("measure", "replicas", "blocks", "block"))):
            if keys is None:
                whole.pop(table)
            else:
                for key in keys:
                    whole[table].pop(key)
        whole["run"]["block_steps"] = self.run.block_steps
        return whole
