"""Driving protocols in steps: the parameter stands still while the system moves, and jumps in between; work is done in the jumps alone.

A protocol of n steps has n plateaus at the mid-times of the steps, and n + 1 jumps. Read from its end it is the time-reversed protocol, exactly, so
that the fluctuation theorems hold for the stepwise dynamics too; as an approximation of a smooth protocol it is of second order in the step."""
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Protocol:
    """`values` (steps + 2, parameters): start, the plateaus, end. `step`: duration of a plateau."""
    values: np.ndarray
    step: float

    @property
    def steps(self):
        return len(self.values) - 2

    @property
    def duration(self):
        return self.steps * self.step

    @property
    def start(self):
        return self.values[0]

    @property
    def end(self):
        return self.values[-1]

    def reversed(self):
        """The same parameters from the end to the start."""
        return Protocol(np.ascontiguousarray(self.values[::-1]), self.step)

    def is_symmetric(self):
        """Whether the protocol is its own reverse."""
        return np.array_equal(self.values, self.values[::-1])

    def repeated(self, periods):
        """A cyclic protocol over several periods; it ends where it starts, to the last bit. Raises ValueError where it does not."""
        if not np.allclose(self.start, self.end, rtol=1e-12, atol=1e-12):
            raise ValueError("only a protocol that ends where it starts can be repeated")
        return Protocol(np.concatenate([self.values[:1], np.tile(self.values[1:-1], (periods, 1)), self.values[:1]]), self.step)


def protocol(function, duration, steps):
    """Protocol of `function(time) -> parameters` over `duration` in `steps` steps; 0 steps: one sudden jump from start to end."""
    step = duration / steps if steps else 0.0
    times = [0.0, *((k + 0.5) * step for k in range(steps)), duration]
    return Protocol(np.array([np.atleast_1d(function(t)) for t in times], np.float64), step)


def cycle(function, period, steps):
    """One period of a protocol that is symmetric about its middle, with `function(period - t) = function(t)`: the second half copies the first."""
    one = protocol(function, period, steps)
    values = one.values.copy()
    half = len(values) // 2
    values[len(values) - half:] = values[:half][::-1]
    return Protocol(values, one.step)
