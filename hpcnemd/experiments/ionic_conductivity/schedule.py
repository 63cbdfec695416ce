"""The phases of one replica in steps: anneal_0, anneal_1, ... (at one temperature each), npt (where the cell is to be found), equilibrate, pilot (where the current is to be chosen), settle, measure."""
from dataclasses import dataclass

from ..tables import CELL_BLOCKS


STAIRS = 20             # temperatures of an annealing: the first half of them the highest, the others evenly down to that of the run


@dataclass(frozen=True)
class Schedule:
    """Ends of the phases, in steps from 0, and the intervals of the observers. Every interval divides the block."""
    anneal: int
    npt: int
    equilibrate: int
    pilot: int
    settle: int
    measure: int
    block: int
    blocks: int
    sample: int
    tracer: int
    lags: int

    @classmethod
    def of(cls, run, pilot):
        """From a ConductivityRun; `pilot` is true where the current is "auto"."""
        block, blocks = run.block_steps, run.n_blocks
        sample = divisor(block, run.steps(run.sample))
        tracer = sample * divisor(block // sample, max(1, run.steps(250.0) // sample))
        hot = run.steps(run.anneal)
        cell = hot + run.steps(run.npt) // CELL_BLOCKS * CELL_BLOCKS
        first = cell + run.steps(run.equilibrate)
        second = first + (max(run.steps(run.settle), run.steps(4000.0)) if pilot else 0)
        third = second + run.steps(run.settle)
        return cls(hot, cell, first, second, third, third + block * blocks, block, blocks, sample, tracer, min(80, max(1, block * blocks // tracer // 2)))

    def phase(self, step):
        """Name of the phase that the step after `step` belongs to."""
        if step < self.anneal:
            return f"anneal_{step * STAIRS // self.anneal}"
        for name in ("npt", "equilibrate", "pilot", "settle"):
            if step < getattr(self, name):
                return name
        return "measure"

    def end(self, phase):
        """Its last step."""
        if phase.startswith("anneal"):
            return -(-(_stair(phase) + 1) * self.anneal // STAIRS)
        return getattr(self, phase)

    @property
    def constant_pressure(self):
        """Steps of the phase npt."""
        return self.npt - self.anneal

    @property
    def samples(self):
        """Samples of the measurement, its first and last step included."""
        return self.block * self.blocks // self.sample + 1


def _stair(phase):
    return int(phase.partition("_")[2])


def temperature_of(run, phase):
    """K, of the heat bath in a phase; `run`: a ConductivityRun."""
    if not phase.startswith("anneal"):
        return run.temperature
    down = max(0, _stair(phase) + 1 - STAIRS // 2) / (STAIRS - STAIRS // 2)
    return run.anneal_temperature + down * (run.temperature - run.anneal_temperature)


def without_drive(phase):
    """Whether it comes before any drive."""
    return phase in ("npt", "equilibrate") or phase.startswith("anneal")


def divisor(number, wanted):
    """The largest divisor of `number` that is not above `wanted` (at least 1)."""
    return next(k for k in range(max(1, min(wanted, number)), 0, -1) if number % k == 0)
