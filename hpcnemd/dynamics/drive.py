"""What keeps the current: nothing, a constant colour field, or the Norton projection onto a constant current (one loop for the three).

With J = sum c_i v_i and D = sum c_i^2/m_i, an impulse delta changes v_i by delta c_i/m_i and J by delta D (Gauss's principle)."""
from dataclasses import dataclass

from ..core.errors import InputError

KINDS = ("none", "constant_field", "constant_current")


@dataclass
class Drive:
    """`value`: J0 in e angstrom/fs for a constant current, e E0 in eV/(e angstrom) for a constant field, 0 for none."""
    kind: str = "none"
    value: float = 0.0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError(f"drive.kind = {self.kind!r}: one of {', '.join(KINDS)}")
        self.value = float(self.value)

    @property
    def driven(self):
        return self.kind != "none"

    @property
    def code(self):
        """Index of the kind, as the kernels want it."""
        return KINDS.index(self.kind)
