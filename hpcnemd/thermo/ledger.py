"""What every result carries: the data behind it, the candidates that took part or did not, residuals and a status."""
import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .errors import CandidateExcluded, DataChanged, ReferenceMismatch
from .units import GAS_CONSTANT


@dataclass(frozen=True)
class DataSet:
    """One source of thermodynamic data. `sha256` of the file, `gas_constant` J/mol/K used when it is evaluated, `reference_pressure` Pa
    (None where condensed phases only), `reference_state` in words, `temperature_range` K."""
    name: str
    sha256: str = ""
    gas_constant: float = GAS_CONSTANT
    reference_pressure: float | None = None
    reference_state: str = "not stated"
    temperature_range: tuple = (0.0, math.inf)
    elements: tuple = ()
    phases: tuple = ()
    provenance: str = ""


@dataclass(frozen=True)
class Candidate:
    """A phase or substance of the ledger. `status` "stable", "unstable" or "excluded"; `driving_force` J/mol above the equilibrium plane, of a gas
    species that was left out RT ln of the mole fraction that it would reach; `reason` for an exclusion; `forms`: whether it would, None where that is
    the sign of the driving force."""
    name: str
    status: str
    reason: str = ""
    driving_force: float | None = None
    forms: bool | None = None

    @property
    def would_form(self):
        return self.forms if self.forms is not None else self.driving_force is not None and self.driving_force > 0


@dataclass
class Record:
    """A result with its premises. `conditions` and `values`: name -> (number or list, unit). `minimised`: whether the potential was, or only evaluated.
    `status` "ok" or the name of the failure."""
    potential: str
    natural_variables: tuple
    conditions: dict
    values: dict
    candidates: list = field(default_factory=list)
    data: list = field(default_factory=list)
    gas_constant: float = GAS_CONSTANT
    residuals: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    status: str = "ok"
    reason: str = ""
    minimised: bool = True

    def as_dict(self):
        """Plain containers, ready for JSON; infinities become None."""
        return _plain(asdict(self))

    def write_json(self, path):
        Path(path).write_text(json.dumps(self.as_dict(), indent=1, allow_nan=False) + "\n")

    def excluded_that_would_form(self):
        return [c for c in self.candidates if c.status == "excluded" and c.would_form]

    def require_no_exclusion(self):
        """Raises CandidateExcluded where an excluded candidate has a positive driving force (strict mode)."""
        found = self.excluded_that_would_form()
        if found:
            raise CandidateExcluded([f"excluded: {c.name}, driving force {c.driving_force:.6g} J/mol ({c.reason}); it would form: "
                                     f"add it to the candidates" for c in found])

    def lines(self):
        """The short table on the screen."""
        what = f"{'minimised' if self.minimised else 'evaluated'}: {self.potential}({', '.join(self.natural_variables)})" if self.natural_variables else "nothing is minimised"
        out = [f"{what}    status: {self.status}{' (' + self.reason + ')' if self.reason else ''}"]
        out += [f"  given  {name} = {_show(value)} {unit}" for name, (value, unit) in self.conditions.items()]
        out += [f"  {name} = {_show(value)} {unit}" for name, (value, unit) in self.values.items()]
        for c in self.candidates:
            force = "" if c.driving_force is None else f", driving force {c.driving_force:.6g} J/mol"
            out.append(f"  {c.status}: {c.name}{force}{' (' + c.reason + ')' if c.reason else ''}")
        out += [f"  residual {name}: {value:.3g}" for name, value in self.residuals.items()]
        for d in self.data:
            p = "" if d.reference_pressure is None else f", reference pressure {d.reference_pressure:g} Pa"
            out.append(f"  data {d.name}: sha256 {d.sha256[:16] or 'none'}, {d.temperature_range[0]:g}-{d.temperature_range[1]:g} K, reference state {d.reference_state}{p}; "
                       f"elements {', '.join(d.elements)}; phases or substances {', '.join(d.phases)}")
        out.append(f"  gas constant {self.gas_constant!r}" + (" (reduced units)" if self.gas_constant == 1.0 else " J/mol/K"))
        return out + [f"  note: {note}" for note in self.notes]


def file_hash(path):
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def require_same_file(path, sha256):
    """Raises DataChanged when the file is not the one with this hash: a restart or a comparison would mix two data sets."""
    now = file_hash(path)
    if now != sha256:
        raise DataChanged(f"{path}: SHA-256 {now[:16]}... but the earlier result was made with {sha256[:16]}...; "
                          f"restore that file, or start a new output")


def require_compatible(datasets):
    """Raises ReferenceMismatch when data with different p0, reference state or gas constant would enter one sum."""
    problems = []
    for what, unit in (("reference_pressure", " Pa"), ("reference_state", ""), ("gas_constant", " J/mol/K")):
        seen = {}
        for data in datasets:
            value = getattr(data, what)
            if value is not None:
                seen.setdefault(value, data.name)
        if len(seen) > 1:
            listed = ", ".join(f"{name}: {value}{unit}" for value, name in seen.items())
            cure = "convert one with reaction.shift_reference_pressure" if what == "reference_pressure" else "use data of one kind"
            problems.append(f"{what} differs ({listed}); {cure}")
    if problems:
        raise ReferenceMismatch(problems)


def _show(value):
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_show(v) for v in value) + "]"
    return str(value)


def _plain(value):
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
