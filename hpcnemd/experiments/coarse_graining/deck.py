"""The deck of the experiment."""
from typing import Annotated, Literal

from pydantic import Field as Key, model_validator

from ..irreversibility.tables import CasesOutput, CasesTable
from ..tables import ParallelTable, Table

Name = Literal["cat", "cat_whole", "baker", "kicked_rotor", "intermittent", "harmonic", "quartic"]


class CloudTable(Table):
    """The systems and how they are looked at. Each replica starts in a cell of its own."""
    systems: tuple[Name, ...] = Key(("cat",), description="cat, cat_whole (in whole numbers), baker, kicked_rotor, intermittent (negative control), harmonic, quartic "
                                                         "(no instability)")
    cells: int = Key(200, ge=4, le=4096, description="cells along each side of the phase plane; a power of two for cat_whole")
    points: int = Key(400000, ge=100, le=10**9, description="points of a cloud")
    steps: int = Key(12, ge=1, le=10**5, description="steps of the map, or time units of a flow, in the growing arm")
    turn: int = Key(6, ge=1, le=10**4, description="steps before the reversal in the arms that go back; each goes as many steps back")
    baker: Annotated[float, Key(gt=0, lt=1)] = Key(0.2, description="share of the left part of the baker map")
    kick: Annotated[float, Key(gt=0)] = Key(10.0, description="strength K of the kicks of the rotor")
    intermittency: Annotated[float, Key(gt=1, le=10)] = Key(3.0, description="exponent z of the neutral fixed points")
    span: Annotated[float, Key(gt=0)] = Key(2.0, description="half width of the plane (q, p) of the oscillators")
    orbit: int = Key(100000, ge=0, le=10**9, description="steps of the orbit that measures the Kolmogorov-Sinai entropy of the rotor; 0: none")

    @model_validator(mode="after")
    def _checks(self):
        if "cat_whole" in self.systems and self.cells & (self.cells - 1):
            raise ValueError(f"cells = {self.cells}: cat_whole needs a power of two; write for example cells = 256")
        if not self.systems:
            raise ValueError("systems is empty; write for example systems = [\"cat\"]")
        if self.turn > self.steps:
            raise ValueError(f"turn = {self.turn} is later than the last of {self.steps} steps; write a smaller turn")
        return self


class Deck(Table):
    """Clouds of points and the entropy of their coarse-grained distribution."""
    experiment: Literal["coarse_graining"]
    cloud: CloudTable = CloudTable()
    run: CasesTable = CasesTable()
    parallel: ParallelTable = ParallelTable()
    output: CasesOutput = CasesOutput()
