"""What one deck gives: records to print and store, tables and figures."""
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """`records` to print and store; `tables` {name: rows}; `figures` {name: function -> matplotlib Figure}; `failed` points."""
    records: list
    tables: dict = field(default_factory=dict)
    figures: dict = field(default_factory=dict)
    failed: int = 0


def number_rows(head, rows):
    """A table for CSV: `head`, then rows of numbers with all their digits."""
    return [head, *[tuple(repr(float(v)) for v in row) for row in rows]]
