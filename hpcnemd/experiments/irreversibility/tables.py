"""Tables of the deck that these experiments share."""
from pydantic import Field as Key

from ..quantities import WallTime
from ..tables import Table


class CasesTable(Table):
    """How often each case is run."""
    replicas: int = Key(1, ge=1, le=10**6, description="runs of each case, which differ in their random numbers; a larger number extends a run that is there")
    seed: int = Key(2026, ge=0, lt=2**63, description="the same seed gives the same runs")


class CasesOutput(Table):
    """What is kept."""
    folder: str | None = Key(None, description="where results go; default: a folder named after the deck, beside it")
    walltime: WallTime | None = Key(None, description="stop before this time on the clock is over (\"24 h\"); the same command goes on")


def identity_of(deck):
    """What the analysis must know of a deck (JSON-able): everything but the ranks, the files and the choice of a second opinion. But for the number of
    replicas it must be equal for a run to be continued."""
    whole = deck.model_dump(mode="json", exclude_none=True)
    whole.pop("parallel")
    whole.pop("output")
    whole["run"].pop("cross_check", None)
    return whole
