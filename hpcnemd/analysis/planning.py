"""From what a short pilot run saw to the current, the length and the cost of a run with a wished relative error; equal errors by three methods.

Laws (relative error eps, run of length tau in all replicas together):
    driven, either ensemble   eps^2 = 2 k_B / entropy production = 2 k_B T sigma / ((J/V)^2 V tau)      (fluctuation-dissipation; see `conductivity`)
    equilibrium, collective   eps^2 = (8/9) w / tau, w the window of the Green-Kubo estimate            (see `einstein.green_kubo`; no average over ions)
    Nernst-Einstein           eps^2 = (8/9) l / (tau N), l the longest lag, N mobile ions               (as if the ions moved independently)
The response of hopping ions grows as sinh(x)/x with x = q E a / 2 k_B T.
"""
import math
from dataclasses import asdict, dataclass

from ..core.units import BOLTZMANN, SIEMENS_PER_METRE
from .conductivity import LINEAR_LIMIT

LARGEST_X = 0.44            # 80 % of the x at which the hop model is 5 % nonlinear
FEWEST_BLOCKS = 20          # of a run whose error is to be trusted
BLOCKS = 200                # that a plan aims at: the error of a run is then known to 5 %
FEWEST_HOPS = 20            # of all mobile ions in the pilot; fewer say nothing about transport
WINDOW_FACTOR = 2.0         # by which the window of an equilibrium estimate may differ from the pilot's: it is found in powers of two
TRACER_FACTOR = 3.0         # the same for Nernst-Einstein: ions that move together are fewer independent ones
LEVEL_SCATTER = 0.05        # relative, that the choice of the block length adds to the scatter of an error (40 to 200 independent blocks)
OVERSHOOT = 1.1             # mean length at which `stopping` ends exact runs, over that of the law: it looks at the error at a few levels (10 to 90 %: 0.9 to 1.4)
STEP = 1.25                 # from one look of `stopping` at the error to the next: in entropy of a driven run, in blocks of one at rest
MARGIN = 1.6                # longest measurement of a planned run, over its predicted length


@dataclass(frozen=True)
class Pilot:
    """What a pilot saw. `sigma`, `sigma_error`, `uncorrelated` (Nernst-Einstein) S/m; `window` of Green-Kubo and `lag`, the longest that a tracer estimate needs, fs;
    `settled`: whether the window was found to be long enough; `diffusion` angstrom^2/fs of the mobile ions, the fastest species; `time` fs in which it was
    seen; `tracers` mobile ions; `volume` angstrom^3; `temperature` K; `charge`: the largest of a mobile ion, e; `moving_charge`: sum of |z| of them, e."""
    sigma: float
    sigma_error: float
    window: float
    settled: bool
    diffusion: float
    uncorrelated: float
    lag: float
    time: float
    tracers: int
    volume: float
    temperature: float
    charge: float
    moving_charge: float
    hop_length: float

    @property
    def relative(self):
        return self.sigma_error / self.sigma

    @property
    def hops(self):
        """Hops of all mobile ions that the diffusion stands for."""
        return 6 * self.diffusion * self.time * self.tracers / self.hop_length ** 2


@dataclass(frozen=True)
class DriveChoice:
    """`x`: q E a / 2 k_B T; `field` V/angstrom; `current` e angstrom/fs; `drift` angstrom/ps (current over the mobile charge); `entropy_rate` k_B/fs of one
    replica; `nonlinearity`: of the hop model there."""
    x: float
    field: float
    current: float
    drift: float
    entropy_rate: float
    nonlinearity: float


@dataclass(frozen=True)
class Layout:
    """`replicas` side by side on `ranks_per_replica` ranks each; `measure` fs of one replica, `wall` s, `core_hours`."""
    replicas: int
    ranks_per_replica: int
    measure: float
    wall: float
    core_hours: float


@dataclass(frozen=True)
class Cost:
    """`time` fs of measurement in all replicas; `low`, `high`: where the pilot leaves it (about 95 %, or the factor that `reason` names); `layout`: where
    it runs fastest."""
    time: float
    low: float
    high: float
    reason: str
    layout: Layout


def combined(estimates):
    """(value, error) of independent estimates (value, error), by inverse variance."""
    weights = [1 / error ** 2 for _, error in estimates]
    return sum(w * value for w, (value, _) in zip(weights, estimates)) / sum(weights), 1 / math.sqrt(sum(weights))


def field_at(x, charge, hop_length, temperature):
    """The field, eV/(e angstrom), at which q E a / 2 k_B T is `x`."""
    return 2 * x * BOLTZMANN * temperature / (charge * hop_length)


def choose_drive(pilot, error):
    """The largest drive whose nonlinearity in the hop model, x^2/6, is at most half of `error`, not above LARGEST_X; a conductivity two standard errors
    below the pilot's must not take the field at this current beyond the linear limit. A DriveChoice."""
    x = min(LARGEST_X, math.sqrt(3 * error), LINEAR_LIMIT / (1 + 2 * pilot.relative))
    field = field_at(x, pilot.charge, pilot.hop_length, pilot.temperature)
    inside = pilot.sigma / SIEMENS_PER_METRE
    current = inside * field * pilot.volume
    return DriveChoice(x, field, current, 1e3 * current / pilot.moving_charge, inside * field ** 2 * pilot.volume / (BOLTZMANN * pilot.temperature),
                       math.sinh(x) / x - 1)


def entropy_for(error):
    """Entropy (k_B) that a run with this relative error produces in linear response."""
    return 2.0 / error ** 2


def driven_time(pilot, drive, error, memory):
    """fs of measurement in all replicas with this drive until the error is reached; not below FEWEST_BLOCKS blocks of `memory` fs."""
    return max(OVERSHOOT * entropy_for(error) / drive.entropy_rate, FEWEST_BLOCKS * memory)


def predicted_error(pilot, current, time, blocks=BLOCKS):
    """(relative error, its relative uncertainty) of a run of `time` fs at this current (e angstrom/fs): by the law, with the pilot's conductivity, and with
    the scatter that an error from so many blocks has itself."""
    entropy = current ** 2 * time / (pilot.sigma / SIEMENS_PER_METRE * pilot.volume * BOLTZMANN * pilot.temperature)
    return math.sqrt(2 / entropy), math.hypot(0.5 * pilot.relative, 1 / math.sqrt(2 * (blocks - 1)), LEVEL_SCATTER)


def equilibrium_time(pilot, error):
    """fs in all replicas for the collective conductivity from equilibrium, with this relative error."""
    return 8.0 / 9.0 * pilot.window / error ** 2


def tracer_time(pilot, error):
    """fs in all replicas for Nernst-Einstein with this relative error; at least twice the longest lag."""
    return max(8.0 / 9.0 * pilot.lag / (pilot.tracers * error ** 2), 2 * pilot.lag)


def speed_up_over_equilibrium(pilot, drive):
    """Equilibrium time over driven time at equal error: entropy produced in a window / 3 k_B, window as of independent Einstein-Helfand displacements."""
    return drive.entropy_rate * (4.0 / 3.0 * pilot.window) / 3.0


def choose_layout(time, start, shortest, timestep, ranks, rates):
    """Where `time` fs of measurement, with `start` fs before it in each replica, is over soonest on `ranks` ranks. `rates`: {ranks of a replica: s per step},
    with all ranks at work; `shortest` fs: no replica measures less. A Layout; ties go to fewer ranks a replica."""
    best = None
    for share in sorted(rates):
        if share > ranks:
            continue
        most = max(1, min(ranks // share, int(time / shortest)))
        for replicas in sorted({1, most}):
            measure = max(time / replicas, shortest)
            wall = (start + measure) / timestep * rates[share]
            # a replica of its own costs its start: what it saves must be worth that
            if best is None or wall < 0.95 * best.wall:
                best = Layout(replicas, share, measure, wall, wall * replicas * share / 3600)
    return best


def scaled_rates(measured, ranks):
    """{ranks of a replica: s per step} for `ranks` ranks from those `measured`: replicas side by side keep their speed, more ranks than measured are taken
    to add nothing."""
    return {share: seconds for share, seconds in measured.items() if share <= ranks} or {1: max(measured.values())}


@dataclass(frozen=True)
class Plan:
    """`costs`: {"driven", "equilibrium", "nernst_einstein"}: Cost; `block` fs; `blocks` of all replicas; `expected`: the error
    after the predicted length, by the law, and `uncertainty`, relative, of what the run will show for it; `speed_up` over the equilibrium estimate."""
    error: float
    pilot: Pilot
    drive: DriveChoice
    costs: dict
    block: float
    blocks: int
    expected: float
    uncertainty: float
    speed_up: float

    def as_dict(self):
        """What JSON can hold; units in the keys of the report that shows it."""
        whole = asdict(self)
        whole["pilot"]["relative"], whole["pilot"]["hops"] = self.pilot.relative, self.pilot.hops
        return whole


def make_plan(pilot, error, start, settle, timestep, sample, memory, ranks, rates):
    """A Plan. `start`, `settle` fs: before the drive, and under it before the measurement; `sample` fs: interval of samples; `memory` fs: blocks are not shorter;
    `rates`: {ranks of a replica: measured s per step}."""
    drive = choose_drive(pilot, error)
    rates = scaled_rates(rates, ranks)
    time = driven_time(pilot, drive, error, memory)
    block = sample * math.ceil(max(time / BLOCKS, memory) / sample - 1e-9)
    spread = (1 + 2 * pilot.relative) * STEP

    def cost(length, before, shortest, low, high, reason):
        return Cost(length, length / low, length * high, reason, choose_layout(length, before, shortest, timestep, ranks, rates))
    costs = {"driven": cost(time, start + settle, 5 * block, spread, spread, "two standard errors of the pilot's conductivity, and one look more or less"),
             "equilibrium": cost(equilibrium_time(pilot, error), start, 8 * pilot.window, WINDOW_FACTOR, WINDOW_FACTOR,
                                 "the window is known to a factor of 2" + ("" if pilot.settled else ", and the pilot was too short to see it: a lower bound")),
             "nernst_einstein": cost(tracer_time(pilot, error), start, 2 * pilot.lag, TRACER_FACTOR, TRACER_FACTOR, "ions move together")}
    blocks = max(FEWEST_BLOCKS, round(time / block))
    return Plan(error, pilot, drive, costs, block, blocks, *predicted_error(pilot, drive.current, time, blocks), speed_up_over_equilibrium(pilot, drive))
