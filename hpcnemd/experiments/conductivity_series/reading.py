"""What the folder of one point holds, and what the series needs of it."""
import math
from dataclasses import dataclass, field

import numpy as np

from ...analysis import blocks, einstein, speed_up, tensor
from ...analysis.blocks import Estimate
from ...core.errors import InputError
from ...storage import ensemble
from .. import ionic_conductivity
from ..ionic_conductivity.estimate import LEAST_MEMORY, Settings

ENSEMBLE = "ensemble.h5"


@dataclass
class Reading:
    """A point and its result. `state`: complete, partial, failed, running (a checkpoint and no result yet) or missing; `sigma`: Estimate, None where refused or absent;
    `uncorrelated`: Nernst-Einstein; `numbers`: of its own report; `column`: of the tensor (driven); `window` fs: t*, and `windows`: Cost of its Einstein-Helfand
    estimate (equilibrium); `notes`: why something is not there or not used."""
    point: object
    state: str
    sigma: Estimate | None = None
    uncorrelated: Estimate | None = None
    numbers: dict = field(default_factory=dict)
    column: object = None
    window: float | None = None
    windows: object = None
    hop_length: float = 2.0
    notes: list = field(default_factory=list)

    @property
    def time(self):
        """fs measured by all replicas together."""
        return self.numbers["length"]["time_fs"] if self.numbers else 0.0

    @property
    def ions(self):
        return sum(self.numbers["settings"]["counts"])

    @property
    def volume(self):
        return self.numbers["settings"]["volume_angstrom3"]

    @property
    def carriers(self):
        """Number of mobile ions."""
        s = self.numbers["settings"]
        return sum(n for name, n in zip(s["species"], s["counts"]) if name in s["mobile"])

    @property
    def drive(self):
        """What the drive held, in its own unit: current density in A/cm^2, or field in V/angstrom."""
        return self.numbers["drive"]["current_density_A_per_cm2" if self.point.kind == "constant_current" else "field_V_per_angstrom"]

    @property
    def strength(self):
        """q E a / 2 k_B T as it came out."""
        drive = self.numbers["drive"]
        return drive["linearity_x"] * self.hop_length / drive["hop_length_angstrom"]

    def entropy_rate(self):
        """Estimate in k_B/fs."""
        run = estimate_of(self.numbers["entropy_production"]["run"])
        return Estimate(*(x / self.time for x in (run.value, run.error)), run.dof, run.low / self.time, run.high / self.time, "k_B/fs", run.estimator)


def estimate_of(entry):
    """The Estimate behind its dictionary."""
    def number(x, absent):
        return absent if x is None else x
    low, high = entry["interval95"]
    return Estimate(number(entry["value"], math.nan), number(entry["error"], math.nan), number(entry["degrees_of_freedom"], math.inf), number(low, -math.inf),
                    number(high, math.inf), entry["unit"], entry["estimator"])


def read_point(folder, point, hop_length):
    """The Reading of a point from its folder; `hop_length` angstrom: the a in q E a / 2 k_B T."""
    path = folder / point.name / ENSEMBLE
    if not path.exists():
        return Reading(point, "running" if (folder / point.name / "checkpoint").is_dir() else "missing")
    try:
        result = ionic_conductivity.analyse(folder / point.name)
    except InputError as problem:
        return Reading(point, "running", notes=[str(problem).replace(f"{folder}/", "")])      # numbers.json does not depend on where the run stands
    stored = ensemble.read(path)
    done, total = int(stored.arrays["blocks_done"].clip(0).sum()), stored.arrays["impulse"].size
    state = "failed" if "failed" in stored.status else "complete" if set(stored.status) == {"complete"} else "partial"
    found = Reading(point, state, result.sigma, numbers=result.numbers, hop_length=hop_length, notes=list(result.refusals))
    if state == "partial":
        found.notes.append(f"{done} of {total} blocks so far")
    found.notes += [f"a replica broke: {cause}" for cause in stored.causes if cause]
    if "nernst_einstein" in result.numbers:
        found.uncorrelated = estimate_of(result.numbers["nernst_einstein"])
    settings = Settings.of(stored.attributes)
    if point.kind == "none":
        _windows(found, stored.arrays, settings)
    else:
        _column(found, stored.arrays, settings)
    return found


def _windows(found, arrays, settings):
    """t* and the error of the equilibrium estimate from the scatter of windows of this length."""
    equilibrium = found.numbers.get("equilibrium")
    if equilibrium is None:
        return
    samples = max(1, round(einstein.equivalent_window(equilibrium["window_fs"]) / settings.sample))
    found.window = samples * settings.sample
    found.windows = speed_up.window_cost(einstein.paths_of(arrays["displacement_current"]), samples, found.time)
    if not equilibrium["window_independent"]:
        found.notes.append("the charge displacement was still correlated over the longest window that the run allows: its conductivity is not used, "
                           "and t* is a lower bound")


def _column(found, arrays, settings):
    done = np.asarray(arrays["blocks_done"])
    impulse = blocks.rows_of(arrays["impulse"], done)
    current = blocks.rows_of(arrays["current_vector"], done)
    try:
        found.column = tensor.column(settings.axis, current, impulse, settings.block, settings.volume, LEAST_MEMORY)
    except ValueError as problem:
        found.notes.append(str(problem))
