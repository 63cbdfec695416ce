"""The numbers of every pair of species: terms, truncation constants and kernel parameters, and the distances that must not be undercut."""
import numpy as np

from ..core.errors import InputError
from ..core.units import COULOMB
from ..kernels.coefficients import energy_correction, force_correction
from ..kernels.pair_source import LOG2_E, KernelPlan, parameter_names
from . import truncation as cut

CLOSEST = 0.1               # of a length unit: nothing that repels or attracts without bound may be nearer


class PairTable:
    """`terms` {(a, b): Terms} over rows of `kinds`; `charge_product` (s, s) = k_e q_a q_b (0 without Coulomb); constants of the truncation
    `short` and `far` as (e0, e1) arrays (s, s); which terms occur at all."""

    def __init__(self, forcefield, kinds, cutoff, truncation, coulomb):
        cut.check_truncation(truncation)
        if coulomb is not None and not forcefield.coulomb:
            raise InputError(f"the force field {forcefield.name} has no Coulomb part; leave coulomb out")
        names, s = kinds.names, len(kinds.names)
        unknown = [name for name in names if name not in forcefield.species]
        if unknown:
            raise InputError(f"species {', '.join(unknown)}: the force field {forcefield.name} has {', '.join(forcefield.species)} only")
        self.cutoff, self.truncation, self.coulomb, self.size = cutoff, truncation, coulomb, s
        self.terms = {(a, b): forcefield.terms(names[a], names[b]) for a in range(s) for b in range(s)}
        strength = COULOMB if forcefield.units == "metal" else 1.0
        self.charge_product = strength * np.outer(kinds.charge, kinds.charge) if coulomb else np.zeros((s, s))
        rows = list(self.terms.values())
        self.exponential = 2 if any(t.a2 for t in rows) else int(any(t.a1 for t in rows))
        self.powers = tuple(sorted({n for t in rows for n, c in t.powers.items() if c}))
        self.contact = any(t.stiffness for t in rows)
        self.tabulated = any(t.table is not None for t in rows)
        self.largest_exponent = max(t.decay for t in rows) * cutoff * LOG2_E
        self.switched = truncation == "switch"
        self.switch_start = cut.SWITCH_START * cutoff
        self.switch_numbers = (self.switch_start, 1 / (cutoff - self.switch_start))
        self.shifted = truncation in ("shift", "shift_force") or (coulomb is not None and coulomb.kind == "dsf")
        self._constants()
        self.pieces, self._first_piece = self._table_pieces()
        self.minimum_distance = np.array([[self._minimum(a, b) for b in range(s)] for a in range(s)])

    def real_space(self, r):
        """(energy, force) of unit charge product at distances r: erfc(beta r)/r and minus its derivative."""
        beta, r = self.coulomb.beta, np.asarray(r, dtype=np.float64)
        x = (beta * r)**2
        return 1 / r - beta * energy_correction(x), 1 / r**2 + beta**3 * force_correction(x) * r

    def pair(self, a, b, r):
        """(U, F) in eV and eV/angstrom of rows a and b at distances r, as the kernels compute them: truncated, zero from the cutoff on."""
        r = np.asarray(r, dtype=np.float64)
        terms = self.terms[a, b]
        energy, force = terms.energy(r), terms.force(r)
        if self.switched:
            factor, slope = cut.switch(r, self.switch_start, self.cutoff)
            energy, force = energy * factor, force * factor - energy * slope
        energy, force = energy + self.short[0][a, b] + self.short[1][a, b] * r, force - self.short[1][a, b]
        if self.coulomb is not None:
            far_energy, far_force = self.real_space(r)
            energy = energy + self.charge_product[a, b] * far_energy + self.far[0][a, b] + self.far[1][a, b] * r
            force = force + self.charge_product[a, b] * far_force - self.far[1][a, b]
        return np.where(r < self.cutoff, energy, 0.0), np.where(r < self.cutoff, force, 0.0)

    def _constants(self):
        s = self.size
        at_cutoff = np.array([[[float(self.terms[a, b].energy(self.cutoff)), float(self.terms[a, b].force(self.cutoff))] for b in range(s)] for a in range(s)])
        self.short = cut.offsets(self.truncation, at_cutoff[:, :, 0], at_cutoff[:, :, 1], self.cutoff)
        self.far = np.zeros((s, s)), np.zeros((s, s))
        if self.coulomb is not None:
            energy, force = (float(v) for v in self.real_space(self.cutoff))
            kind = "shift_force" if self.coulomb.kind == "dsf" else self.truncation
            self.far = cut.offsets(kind, self.charge_product * energy, self.charge_product * force, self.cutoff)

    def _table_pieces(self):
        """All tables' coefficients in one flat array, each with the number of its first piece."""
        flat, first, count = [], {}, 0
        for key, terms in self.terms.items():
            if terms.table is not None and key[0] <= key[1]:
                pieces = terms.table.coefficients()
                first[key] = first[key[::-1]] = count
                flat.append(pieces.ravel())
                count += len(pieces)
        return (np.concatenate(flat) if flat else np.zeros(4)), first

    def plan(self, path, precision, degree):
        """KernelPlan for the terms that occur, of one row and one vector."""
        return KernelPlan(path, precision, degree, self.exponential, self.powers, self.shifted, self.switched, self.contact, self.tabulated)

    def parameters(self, plan):
        """(s, s, p) in the order of parameter_names(plan)."""
        names = parameter_names(plan)
        out = np.zeros((self.size, self.size, max(len(names), 1)))
        for (a, b), t in self.terms.items():
            values = {"qq": self.charge_product[a, b], "log2": -t.decay * LOG2_E, "g1": t.decay * t.a1, "g2": 2 * t.decay * t.a2, "a1": t.a1, "a2": t.a2,
                      "pull": -(self.short[1][a, b] + self.far[1][a, b]), "contact": t.contact, "stiffness": t.stiffness,
                      "short0": self.short[0][a, b], "short1": self.short[1][a, b], "far0": self.far[0][a, b], "far1": self.far[1][a, b]}
            for n in self.powers:
                values[f"f{n}"], values[f"c{n}"] = n * t.powers.get(n, 0.0), t.powers.get(n, 0.0)
            if t.table is not None:
                values.update(start=t.table.start, inverse=1 / t.table.spacing, first=self._first_piece[a, b], pieces_of=len(t.table.energy) - 1)
            out[a, b, :len(names)] = [values.get(name, 0.0) for name in names]
        return out

    def _minimum(self, a, b):
        """The distance of the highest point of the repulsive wall where the pair function falls towards small r (Buckingham's catastrophe), the start of a
        table, CLOSEST for what diverges otherwise, 0 for what stays finite and does not attract."""
        terms, product = self.terms[a, b], self.charge_product[a, b]
        if terms.table is not None:
            return terms.table.start
        r = np.geomspace(self.cutoff, 1e-3 * self.cutoff, 4000)
        force = terms.force(r) + product / r**2
        repels = np.flatnonzero(force > 0)
        if not product and not any(terms.powers.values()):
            return 0.0
        if len(repels) == 0 or force[-1] > 0:
            return CLOSEST
        inner = repels[-1]                  # r decreases: beyond this index the pair attracts down to r = 0
        return float(max(r[inner], CLOSEST))
