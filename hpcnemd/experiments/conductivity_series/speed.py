"""The speed-up of every driven point over the equilibrium run of its cell, measured and by the law, and where the law reaches 100."""
import math
from dataclasses import dataclass

from ...analysis import speed_up
from ...analysis.blocks import Estimate, student
from ...analysis.conductivity import LINEAR_LIMIT

GOAL = 100.0
CLOSE = 0.30            # the law and the measurement are to agree within this


@dataclass(frozen=True)
class SpeedUp:
    """Of one driven point. `measured` over the equilibrium collective estimate and `over_tracers` over Nernst-Einstein, at equal error (None where that run is not
    there); `law`: entropy per t* / 3 k_B; `window` fs: t*; `bounded`: t* is only a lower bound; `strength`: q E a / 2 k_B T; `route`: its kind of drive."""
    supercell: tuple
    temperature: float
    ions: int
    carriers: int
    route: str
    direction: object
    level: str
    strength: float
    window: float
    bounded: bool
    law: Estimate
    measured: Estimate | None
    over_tracers: Estimate | None

    @property
    def linear(self):
        return self.strength <= 1.05 * LINEAR_LIMIT     # x is measured with an error of a few per cent

    def as_dict(self):
        """What JSON can hold."""
        out = {"supercell": list(self.supercell), "temperature_K": self.temperature, "ions": self.ions, "mobile_ions": self.carriers, "drive": self.route,
               "direction": self.direction, "level": self.level, "linearity_x": self.strength, "window_fs": self.window, "window_is_lower_bound": self.bounded,
               "law": self.law.as_dict(), "measured": self.measured.as_dict() if self.measured else None,
               "over_nernst_einstein": self.over_tracers.as_dict() if self.over_tracers else None}
        if self.measured:
            ratio = self.measured.value / self.law.value
            out["measured_over_law"] = {"value": ratio, "error": ratio * math.hypot(self.measured.relative, self.law.relative)}
            out["exceeds_100"] = True if self.measured.low > GOAL else False if self.measured.high < GOAL else None
        return out


@dataclass(frozen=True)
class Goal:
    """Where the law gives 100 at the same strength of the drive: `ions` of a cell at `temperature`; or, for a size, `crossing` (K, its interval) on the line of ln S against 1/T."""
    supercell: tuple
    temperature: float
    ions: float
    repeat: float


@dataclass(frozen=True)
class Speed:
    """All of them. `goals`: list of Goal; `crossings`: {supercell: (K, low, high) or None}; `over_tracers`: {supercell: Estimate}, the mean over the temperatures of what
    Nernst-Einstein costs beside constant current at equal error, since at one temperature alone its error is known from a few replicas and axes only."""
    entries: list
    goals: list
    crossings: dict
    over_tracers: dict

    def strongest(self, supercell=None, temperature=None):
        """Of each cell, the constant-current entry with the strongest drive that is still linear."""
        best = {}
        for one in self.entries:
            if one.route == "constant_current" and one.linear and supercell in (None, one.supercell) and temperature in (None, one.temperature):
                key = one.supercell, one.temperature
                if key not in best or one.strength > best[key].strength:
                    best[key] = one
        return list(best.values())

    def as_dict(self):
        """What JSON can hold."""
        return {"points": [one.as_dict() for one in self.entries],
                "law_reaches_100": [{"supercell": list(one.supercell), "temperature_K": one.temperature, "ions": one.ions, "times_the_edge": one.repeat} for one in self.goals],
                "over_nernst_einstein_mean": {"x".join(map(str, size)): one.as_dict() for size, one in self.over_tracers.items()},
                "temperature_of_100": {"x".join(map(str, size)): None if one is None else {"K": one[0], "interval68_K": [None if not math.isfinite(x) else x for x in one[1:]]}
                                       for size, one in self.crossings.items()}}


def speed_ups(cells):
    """The Speed of a list of Cells."""
    entries = []
    for cell in cells:
        still = next((one for one in cell.readings if one.point.kind == "none" and one.numbers), None)
        if still is None or still.window is None:
            continue
        bounded = not still.numbers["equilibrium"]["window_independent"]
        for one in cell.readings:
            if one.point.kind == "none" or one.sigma is None:
                continue
            cheap = speed_up.cost_of(one.sigma, one.time)
            tracers = None
            if still.uncorrelated is not None and math.isfinite(still.uncorrelated.error) and still.uncorrelated.dof >= 1:
                tracers = speed_up.ratio(speed_up.cost_of(still.uncorrelated, still.time), cheap)
            entries.append(SpeedUp(cell.supercell, cell.temperature, one.ions, one.carriers, one.point.kind, one.point.direction, one.point.level.label, one.strength,
                                   still.window, bounded, speed_up.law(one.entropy_rate(), still.window),
                                   speed_up.ratio(still.windows, cheap) if still.windows else None, tracers))
    speed = Speed(entries, [], {}, {})
    for one in speed.strongest():
        speed.goals.append(Goal(one.supercell, one.temperature, one.ions * GOAL / one.law.value, (GOAL / one.law.value) ** (1 / 3)))
    for size in dict.fromkeys(one.supercell for one in entries):
        best = speed.strongest(supercell=size)
        speed.crossings[size] = _crossing(best)
        costs = [one.over_tracers.value for one in best if one.over_tracers]
        if len(costs) > 2:
            mean = sum(costs) / len(costs)
            error = math.sqrt(sum((one - mean) ** 2 for one in costs) / (len(costs) - 1) / len(costs))
            speed.over_tracers[size] = student(mean, error, len(costs) - 1, "", f"mean of {len(costs)} temperatures")
    return speed


def _crossing(entries):
    """(temperature at which the line of ln S reaches 100, and its 68 % interval), or None where there is no slope that can be seen."""
    found = speed_up.line_crossing([1 / one.temperature for one in entries], [math.log(one.law.value) for one in entries],
                                   [one.law.relative for one in entries], math.log(GOAL)) if len(entries) > 1 else None
    if found is None or found[0] <= 0:
        return None
    low, high = found[0] + found[1], found[0] - found[1]
    return 1 / found[0], 1 / low, 1 / high if high > 0 else math.inf
