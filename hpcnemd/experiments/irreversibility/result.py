"""What the analysis hands to the report: numbers with errors, each beside what it should be."""
import json
import math
from dataclasses import dataclass, field

from ...analysis.fluctuation import Estimate


@dataclass(frozen=True)
class Number:
    """A measured number. `target`: what it should be (None: not known); `trusted` False where its error means nothing."""
    name: str
    value: float
    error: float
    target: float | None = None
    unit: str = ""
    note: str = ""
    trusted: bool = True

    @property
    def distance(self):
        """From the target in standard errors; None where there is none."""
        if self.target is None or not self.trusted:
            return None
        return Estimate(self.value, self.error).distance(self.target)

    @property
    def passed(self):
        """Within three standard errors; None where nothing is to be compared."""
        return None if self.distance is None else bool(abs(self.distance) < 3.0)

    def as_dict(self):
        return {"name": self.name, "value": self.value, "error": _finite(self.error), "target": self.target, "distance": _finite(self.distance), "unit": self.unit,
                "note": self.note, "trusted": self.trusted}


@dataclass
class Result:
    """`numbers`: list of Number; `warnings`, `facts`: sentences; `curves`: name -> arrays for the figures; `rates`: of the journal."""
    kind: str
    settings: dict
    replicas: dict
    numbers: list = field(default_factory=list)
    warnings: list = field(default_factory=list)
    facts: list = field(default_factory=list)
    ledger: list = field(default_factory=list)
    diagnostics: dict = field(default_factory=dict)
    curves: dict = field(default_factory=dict)

    def add(self, name, estimate, target=None, unit="", note="", trusted=True):
        self.numbers.append(Number(name, float(estimate.value), float(estimate.error), None if target is None else float(target), unit, note, trusted))

    def number(self, name):
        """The Number of that name; raises KeyError."""
        for one in self.numbers:
            if one.name == name:
                return one
        raise KeyError(name)

    def to_json(self):
        return json.dumps({"kind": self.kind, "settings": self.settings, "replicas": self.replicas, "numbers": [one.as_dict() for one in self.numbers],
                           "ledger": [one.as_dict() for one in self.ledger], "warnings": self.warnings, "facts": self.facts,
                           "diagnostics": self.diagnostics}, indent=1, default=_plain)


def _finite(x):
    return None if x is None or not math.isfinite(x) else x


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else str(value)
