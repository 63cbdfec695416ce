"""Benchmark systems: the same particles, cutoff and neighbour margin for every code.

A case is a structure that this package builds, ions displaced at random by a fixed seed (so that no code profits from a perfect lattice), a force
field and the settings of a run at constant temperature. Ranks of one code and the other codes get the same numbers."""
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hpcnemd.core.box import Box                                    # noqa: E402
from hpcnemd.core.units import BOLTZMANN                            # noqa: E402
from hpcnemd.experiments.structures import Structure, load_structure                # noqa: E402
from hpcnemd.experiments.system import prepare_system               # noqa: E402
from hpcnemd.experiments.tables import StructureTable               # noqa: E402
from hpcnemd.forces.forcefield import load_forcefield               # noqa: E402


@dataclass(frozen=True)
class Case:
    """`cells`: repetitions of `build` along x, y, z. Lengths angstrom, temperature K, timestep fs; for Lennard-Jones all in reduced units (temperature
    as k_B T). `skin`: of our lists; `peer_skin`, of LAMMPS's, is the one at which it runs fastest there. `damping` makes Coulomb a damped shifted force."""
    name: str
    build: str
    cells: tuple
    forcefield: str
    cutoff: float
    skin: float
    peer_skin: float
    temperature: float
    timestep: float
    displacement: float
    steps: int
    damping: float | None = None

    @property
    def charged(self):
        return self.build != "lj"

    @property
    def mesh(self):
        return self.charged and self.damping is None

    def widened(self, factor):
        """The case repeated `factor` times along x, for weak scaling."""
        return self if factor == 1 else replace(self, name=f"{self.name}_x{factor}", cells=(self.cells[0] * factor, *self.cells[1:]))


def _llzo(n, steps):
    return Case(f"llzo_{192 * n**3}", "llzo_cubic_box", (n,) * 3, "llzo_buckingham", 10.0, 1.0, 1.0, 1000.0, 1.0, 0.1, steps)


def _nacl(n, steps, name=None, **more):
    return Case(name or f"nacl_{8 * n**3}", "nacl", (n,) * 3, "nacl_tosi_fumi", 10.0, 0.8, 1.0, 700.0, 1.0, 0.15, steps, **more)


CASES = {case.name: case for case in (
    Case("lj_32000", "lj", (20,) * 3, "lennard_jones_reduced", 2.5, 0.4, 0.3, 1.44, 0.005, 0.05, 100),
    Case("lj_4000", "lj", (10,) * 3, "lennard_jones_reduced", 2.5, 0.4, 0.3, 1.44, 0.005, 0.05, 200),
    _nacl(3, 400, "nacl_216"), _nacl(6, 200), _nacl(10, 50), _nacl(20, 10),
    _nacl(10, 50, "nacl_8000_dsf", damping=0.2),
    _llzo(1, 400), _llzo(2, 200), _llzo(3, 60), _llzo(4, 30), _llzo(6, 10))}


def case_of(name):
    """The Case of a name, with `_x4` behind it four times as long along x. Raises KeyError with the names that exist."""
    base, _, factor = name.rpartition("_x")
    if base in CASES and factor.isdigit():
        return CASES[base].widened(int(factor))
    if name not in CASES:
        raise KeyError(f"case {name!r}: write one of {', '.join(CASES)}, or one of them with _x2, _x4 ... behind it")
    return CASES[name]


def structure_of(case):
    """The Structure of a case, displaced at random."""
    if case.build == "lj":
        edge = (4 / 0.8442) ** (1 / 3)
        corner = np.stack(np.meshgrid(*(np.arange(n) for n in case.cells), indexing="ij"), -1).reshape(-1, 1, 3)
        basis = np.array([(0.25, 0.25, 0.25), (0.75, 0.75, 0.25), (0.75, 0.25, 0.75), (0.25, 0.75, 0.75)])
        position = (corner + basis).reshape(-1, 3) * edge
        plain = Structure(Box(edge * np.array(case.cells)), ["A"] * len(position), position)
    else:
        plain = load_structure(StructureTable(build=case.build, supercell=case.cells))
    noise = np.random.default_rng(7).normal(scale=case.displacement / np.sqrt(3), size=plain.positions.shape)
    return Structure(plain.box, plain.names, plain.positions + noise)


def system_of(case, accuracy=1e-4, truncation="plain", precision="double"):
    """The System of a case; `accuracy`: of the Coulomb forces; `precision`: of the pair forces. Truncation is plain by default, as the peers have it."""
    coulomb = "none" if not case.charged else "dsf" if case.damping is not None else "spme"
    return prepare_system(structure_of(case), load_forcefield(case.forcefield), coulomb=coulomb, accuracy=accuracy, cutoff=case.cutoff, skin=case.skin,
                          truncation=truncation, damping=case.damping, precision=precision)


def kelvin(case):
    """Temperature of a case as our loop takes it: reduced ones through k_B in eV/K."""
    return case.temperature if case.charged else case.temperature / BOLTZMANN
