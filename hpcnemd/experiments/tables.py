"""The tables of a deck that experiments share, and how their errors are told.

Each key's comment in a deck written by `hpcnemd init` comes from the `description` here."""
import difflib
import typing
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field as Key, model_validator

from ..core.units import PRESSURE_GPA
from .quantities import (Compressibility, CurrentDensity, Damping, Density, Direction, Duration, Every, Field, Force, Interval, Lattice, Length, Names,
                         Orientations, Pressure, Temperature,
                         ThreeCounts, Time, Timestep, Velocity, WallTime)


CELL_BLOCKS = 40            # blocks of the time at constant pressure


class Table(BaseModel):
    """A table of the deck: unknown keys are errors, values do not change after reading."""
    model_config = ConfigDict(extra="forbid", frozen=True)


def _one_of(table, *names):
    given = [name for name in names if getattr(table, name) is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other; keep one of them")
    return given[0] if given else None



class DopingTable(Table):
    """One dopant."""
    element: str = Key(description="the dopant, a species of the force field")
    site: str = Key(description="what it replaces: a species, or the label of a site in the CIF file")
    fraction: float | None = Key(None, gt=0, le=1, description="share of those ions that is replaced")
    count: int | None = Key(None, ge=1, description="or their number in the whole cell")
    compensate: str | None = Key(None, description="species of the vacancies (or added ions) that keep the cell neutral; default: the cation of the lowest charge")

    @model_validator(mode="after")
    def _checks(self):
        if _one_of(self, "fraction", "count") is None:
            raise ValueError("say how many; write fraction = 0.25 or count = 4")
        return self


class CellTable(Table):
    """A crystal: where it comes from, and what is done to it."""
    file: str | None = Key(None, description="a structure file that ASE reads (CIF, POSCAR, extxyz, LAMMPS data), relative to the deck")
    build: str | None = Key(None, description="or a built-in structure: llzo_tetragonal, llzo_cubic_box, llzo_cubic, nacl, nacl_melt, agi_alpha, caf2, li2o")
    format: str | None = Key(None, description="ASE's name of the file format, where the file's name does not tell")
    types: Names | None = Key(None, description="for LAMMPS data files: the element of each atom type, in order")
    supercell: ThreeCounts = Key((1, 1, 1), description="repetitions of the cell along its three axes")
    lattice: Lattice | None = Key(None, description="rescale the cell (before repetition) to these edge lengths; one length means a cube")
    density: Density | None = Key(None, description="or rescale it evenly to this mass density")
    orthorhombic: float | None = Key(None, gt=0, le=0.1, description="of another cell make the smallest orthorhombic supercell within this strain; default: it stays as it is")
    exclusion: Length = Key(2.0, description="partly occupied sites are filled at random, their ions at least this far apart")
    counts: dict[str, int] | None = Key(None, description="ions on partly occupied sites in one cell of the file, { Li = 56 }; default: the occupancies, rounded")
    doping: tuple[DopingTable, ...] = Key((), description="dopants, with the vacancies that keep the cell neutral")

    @model_validator(mode="after")
    def _checks(self):
        if _one_of(self, "file", "build") is None:
            raise ValueError("say where the ions are; write file = \"cell.cif\" or build = \"llzo_tetragonal\"")
        _one_of(self, "lattice", "density")
        return self


class PhaseTable(CellTable):
    """The crystal of some of the grains, in a composite."""
    grains: tuple[int, ...] = Key(min_length=1, description="the grains that it makes up, counted from 0")


class GrainsTable(Table):
    """A polycrystal: Voronoi grains in a periodic box."""
    box: Lattice = Key(description="edges of the whole box; one length means a cube")
    count: int | None = Key(None, ge=1, le=10000, description="number of grains with random centres; or")
    centres: tuple[tuple[float, float, float], ...] | None = Key(None, min_length=1, description="their centres, in fractions of the box")
    orientations: Orientations = Key("random", description="\"random\", or for each grain [x, y, z, degrees]: axis and angle by which its crystal is turned")
    overlap: float = Key(0.8, gt=0, le=1.5, description="ions of two grains stay this share of their nearest distance in the crystal apart")

    @model_validator(mode="after")
    def _checks(self):
        if _one_of(self, "count", "centres") is None:
            raise ValueError("say how many grains; write count = 2 or centres = [[0.25, 0.5, 0.5], [0.75, 0.5, 0.5]]")
        return self

    @property
    def number(self):
        return self.count if self.count is not None else len(self.centres)


class RelaxTable(Table):
    """Minimisation of the energy in the fixed cell, before the run."""
    steps: int = Key(300, ge=0, le=100000, description="at most so many; 0: none")
    force: Force = Key(1.0, description="ends when no force component is larger")


class StructureTable(CellTable):
    """Where the ions are at the start."""
    grains: GrainsTable | None = Key(None, description="make a polycrystal of it")
    phases: tuple[PhaseTable, ...] = Key((), description="other crystals for some of the grains")
    seed: int = Key(1, ge=0, lt=2**63, description="of what is drawn at random when the structure is built; all replicas start from the same structure")
    relax: RelaxTable | None = Key(None, description="relaxation before the run; default: 300 steps where ions were placed at random or grains were made, else none")
    minimum_distance: Length = Key(0.5, description="ions closer than this are an input error")

    @model_validator(mode="after")
    def _checks_of_grains(self):
        if self.phases and self.grains is None:
            raise ValueError("phases are crystals of grains; write a table [structure.grains] too")
        named = [g for phase in self.phases for g in phase.grains]
        if len(set(named)) < len(named) or any(not 0 <= g < self.grains.number for g in named):
            raise ValueError(f"phases name the grains {sorted(named)}; each at most once, from 0 to {self.grains.number - 1}")
        return self


class CoulombTable(Table):
    method: Literal["spme", "ewald", "dsf", "none"] = Key("spme", description="spme, ewald (small cells), dsf (damped shifted force), none")
    accuracy: float = Key(1e-5, ge=1e-10, le=1e-1, description="rms error of the Coulomb forces over their rms")
    damping: Damping | None = Key(None, description="damping parameter of dsf, 1/angstrom")

    @model_validator(mode="after")
    def _checks(self):
        if self.damping is not None and self.method != "dsf":
            raise ValueError("damping belongs to method = \"dsf\"; remove it, or change the method (spme and ewald choose their own splitting)")
        return self


class ForcefieldTable(Table):
    """How they act on each other."""
    table: str | None = Key(None, description="name of a shipped force field, or the path of your own TOML table; or")
    calculator: str | None = Key(None, description="an ASE calculator, \"package.module.Calculator\", or \"file.py:function\" beside the deck")
    arguments: dict[str, Any] = Key({}, description="keywords of the calculator, { model = \"medium\" }")
    formal_charges: dict[str, float] = Key({}, description="of the species of a calculator, { Li = 1, O = -2 }: they carry the current")
    masses: dict[str, float] = Key({}, description="u, where they are not ASE's atomic masses")
    interaction_range: Length | None = Key(None, description="range of a calculator's atomic energies, with which ranks can share the space of a replica")
    cutoff: Length | None = Key(None, description="range of the pair forces; default: the table's own")
    skin: Length = Key(1.0, description="extra range of the neighbour lists")
    truncation: Literal["shift_force", "shift", "switch", "plain"] = Key("shift_force", description="what happens at the cutoff: shift_force, shift, switch, plain")
    coulomb: CoulombTable = Key(CoulombTable(), description="Coulomb forces")
    precision: Literal["double", "mixed"] = Key("double", description="of the forces: double, or mixed (pairs and gathering from the mesh in 32 bits, sums in 64; `check` measures what it costs)")

    @model_validator(mode="after")
    def _checks(self):
        if _one_of(self, "table", "calculator") is None:
            raise ValueError("say what the forces are; write table = \"llzo_buckingham\" or calculator = \"package.module.Calculator\"")
        own = {"table": ("cutoff", "truncation", "coulomb", "precision"), "calculator": ("arguments", "formal_charges", "masses", "interaction_range")}
        here, there = ("table", "calculator") if self.calculator is None else ("calculator", "table")
        wrong = [name for name in own[there] if name in self.model_fields_set and getattr(self, name) != type(self).model_fields[name].default]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} belongs to a {there}, not to a {here}; remove it")
        if self.calculator is not None and not self.formal_charges:
            raise ValueError("a calculator does not know who carries the current; write formal_charges = { Li = 1, O = -2 } with every species")
        return self


class ThermostatTable(Table):
    kind: Literal["nose_hoover", "gaussian", "langevin", "none"] = Key("nose_hoover", description="nose_hoover, gaussian, langevin, none")
    time: Time = Key(100.0, description="relaxation time")
    chain: int | None = Key(None, ge=1, le=10, description="links of the Nose-Hoover chain; default 3, and 1 under a drive, where more would bias the temperature")
    group: Literal["all", "framework", "mobile"] = Key("all", description="the ions it acts on: all, framework, mobile")


class BarostatTable(Table):
    """Constant pressure, in the phase run.npt: stochastic cell rescaling with a Metropolis test."""
    kind: Literal["cell_rescaling"] = Key("cell_rescaling", description="cell_rescaling")
    pressure: Pressure = Key(0.0, description="wanted pressure")
    coupling: Literal["isotropic", "semi_isotropic", "anisotropic"] = Key("isotropic", description="isotropic (the shape stays), semi_isotropic (a = b, and c), anisotropic (each edge)")
    time: Time = Key(200.0, description="relaxation time of the volume, if the compressibility is right; it sets the pace, not the ensemble")
    compressibility: Compressibility = Key(0.01 * PRESSURE_GPA, description="roughly that of the material: 0.01 1/GPa for a hard oxide, 0.3 1/GPa for a molten salt")
    every: int = Key(10, ge=1, description="time steps from one change of the cell to the next")


class RunTable(Table):
    """How long and how hot. Durations are totals: a resumed run does the rest."""
    temperature: Temperature = Key(description="temperature of the heat bath")
    timestep: Timestep = Key(1.0, description="time step")
    npt: Duration = Key(0.0, description="time at constant pressure, first of all; all replicas then take the mean cell of its second half and keep it")
    equilibrate: Duration = Key(0.0, description="time at the temperature before the drive is switched on")
    settle: Duration = Key(0.0, description="time under the drive before the measurement")
    measure: Time = Key(description="time of the measurement")
    blocks: int | None = Key(None, ge=2, description="number of blocks of the measurement; default 20")
    block: Time | None = Key(None, description="or the length of one block")
    replicas: int = Key(1, ge=1, description="independent runs, which differ in their random numbers")
    seed: int = Key(2026, ge=0, lt=2**63, description="the same seed gives the same run")
    sample: Time = Key(10.0, description="interval of the sampled currents and displacements")
    thermostat: ThermostatTable = Key(ThermostatTable(), description="heat bath")
    barostat: BarostatTable = Key(BarostatTable(), description="for the time at constant pressure")

    @model_validator(mode="after")
    def _checks(self):
        _one_of(self, "blocks", "block")
        if self.timestep > 20.0:
            raise ValueError(f"timestep is {self.timestep:g} fs; ions need at most a few fs: write for example timestep = \"2 fs\"")
        if self.block is not None and self.measure < 2 * self.block * (1 - 1e-9):
            raise ValueError(f"measure ({self.measure / 1e3:g} ps) must hold at least two blocks ({self.block / 1e3:g} ps each)")
        if self.npt and self.steps(self.npt) < CELL_BLOCKS * self.barostat.every:
            least = CELL_BLOCKS * self.barostat.every * self.timestep / 1e3
            raise ValueError(f"npt is {self.npt / 1e3:g} ps long, too short for a mean cell with an error: write {least:g} ps at least (some 20 ps are usual), "
                             "or 0 for a fixed cell")
        if not self.npt and self.barostat != BarostatTable():
            raise ValueError("barostat: it acts in the phase run.npt, which has no length; write for example npt = \"20 ps\"")
        if self.npt and self.thermostat.kind in ("none", "gaussian"):
            raise ValueError(f"npt with thermostat.kind = \"{self.thermostat.kind}\": the cell needs a heat bath whose kinetic energy fluctuates; write "
                             "\"nose_hoover\" or \"langevin\"")
        if self.steps(self.measure) < 2 * self.n_blocks:
            raise ValueError(f"measure is {self.steps(self.measure)} steps long, too few for {self.n_blocks} blocks; write a longer measure")
        return self

    def steps(self, duration):
        """Whole time steps in `duration` (fs)."""
        return int(round(duration / self.timestep))

    @property
    def n_blocks(self):
        if self.block is not None:
            return int(self.measure / self.block * (1 + 1e-9))
        return self.blocks or 20

    @property
    def block_steps(self):
        """Steps of one block, at least 1; the blocks fill the measurement but for a rest shorter than one block."""
        return max(1, self.steps(self.block) if self.block is not None else self.steps(self.measure) // self.n_blocks)


class SiteClassTable(Table):
    """Sites that count together."""
    name: str = Key(description="name of the class")
    set: str = Key("sites", description="classes of one set are compared with each other: the order parameter is a class's occupation less the mean of the others'")
    positions: tuple[tuple[float, float, float], ...] = Key(min_length=1, description="in fractions of the reference cell, whose origin is that of the structure")


class OrderTable(Table):
    """How ordered the mobile ions are: occupation of classes of sites, block by block."""
    sites: Literal["llzo"] | None = Key(None, description="llzo: 24d by its three axes and 48g, which tell the tetragonal garnet from the cubic one; or")
    classes: tuple[SiteClassTable, ...] = Key((), description="classes of sites of your own")
    species: Names | None = Key(None, description="with classes: the species that are on them")
    framework: Names | None = Key(None, description="with classes: the species that carry the reference cell along")
    cells: ThreeCounts | None = Key(None, description="reference cells along the axes; default: structure.supercell")

    @model_validator(mode="after")
    def _checks(self):
        if (self.sites is None) == (not self.classes):
            raise ValueError("say which sites; write sites = \"llzo\", or tables [[order.classes]]")
        if (self.sites is None) != (self.species is not None and self.framework is not None):
            raise ValueError("species and framework belong to classes; write both of them, and neither beside sites")
        return self


class DriveTable(Table):
    """What drives the ions."""
    kind: Literal["constant_current", "constant_field", "zero_current", "none"] = Key(
        description="constant_current, constant_field, zero_current (the field that holds the current at zero fluctuates), none")
    current_density: CurrentDensity | None = Key(None, description="of a constant current; or")
    drift_velocity: Velocity | None = Key(None, description="current over the sum of the mobile charges")
    field: Field | None = Key(None, description="of a constant field")
    direction: Direction = Key("x", description="x, y, z or three numbers")
    mobile: Names = Key(description="the mobile species, [\"Li\"]; \"all\": every charged species (a molten salt)")
    species: str | None = Key(None, description="drive this mobile species alone, for a column of the Onsager matrix; the framework (or all ions) recoils by mass")

    @model_validator(mode="after")
    def _checks(self):
        given = [name for name in ("current_density", "drift_velocity", "field") if getattr(self, name) is not None]
        wanted = {"constant_current": ("current_density", "drift_velocity"), "constant_field": ("field",), "zero_current": (), "none": ()}[self.kind]
        wrong = [name for name in given if name not in wanted]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} does not belong to kind = \"{self.kind}\"; "
                             + (f"write {' or '.join(wanted)} instead" if wanted else "remove it"))
        if wanted and len(given) != 1:
            example = {"constant_current": "drift_velocity = \"0.40 angstrom/ps\"", "constant_field": "field = \"0.02 V/angstrom\""}[self.kind]
            raise ValueError(f"kind = \"{self.kind}\" needs exactly one of {', '.join(wanted)}; write for example {example}")
        if given and getattr(self, given[0]) == 0:
            raise ValueError(f"{given[0]} is 0; for an equilibrium run write kind = \"none\", or \"zero_current\"")
        if self.species is not None and not wanted:
            raise ValueError(f"species belongs to a drive; remove it, or write kind = \"constant_field\" in place of \"{self.kind}\"")
        return self


class ParallelTable(Table):
    """Who computes what; the results do not depend on it."""
    ranks_per_replica: int | None = Key(None, ge=1, description="ranks that share the space of one replica; default: as many as leave no rank idle")
    grid: ThreeCounts | None = Key(None, description="their domains along x, y, z; default: the smallest surface")
    writer: Literal["auto", "collective", "offset", "gather"] = Key("auto", description="how files are written")
    balance: Literal["cost", "time", "none"] = Key("cost", description="what moves the cuts between domains: counted work, measured time (not reproducible), or nothing")
    threads: int = Key(1, ge=1, le=256, description="of each rank; a core each. Ranks are faster: threads are for where there are no more of them")


class OutputTable(Table):
    """What is kept."""
    folder: str | None = Key(None, description="where results go; default: a folder named after the deck, beside it")
    trajectory: Time | None = Key(None, description="interval of the trajectory's frames; default: no trajectory")
    velocities: bool = Key(False, description="store velocities too")
    checkpoint: Every = Key(Interval(seconds=600.0), description="interval of checkpoints: steps, or time on the clock (\"10 min\")")
    walltime: WallTime | None = Key(None, description="stop with a checkpoint before this time on the clock is over (\"24 h\")")


def _model_at(model, path):
    """The table class at a key path below `model`, or None."""
    for part in path:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        if field is None:
            return None
        inner = [one for one in (field.annotation, *typing.get_args(field.annotation)) if isinstance(one, type) and issubclass(one, BaseModel)]
        if not inner:
            return None
        model = inner[0]
    return model


def _suggestion(key, allowed):
    close = difflib.get_close_matches(str(key), allowed, n=1, cutoff=0.5)
    return f"did you mean \"{close[0]}\"? " if close else ""


def problems_of(error, model):
    """The messages of a pydantic ValidationError against `model`: key path, value, what is allowed, what to type."""
    problems = []
    for one in error.errors():
        path = list(one["loc"])
        name, value = ".".join(f"{part}" for part in path), one.get("input")
        reason = str(one.get("ctx", {}).get("error", one["msg"]))
        if one["type"] == "extra_forbidden":
            table = _model_at(model, path[:-1])
            allowed = sorted(table.model_fields) if table else []
            text = f"{name}: unknown key; {_suggestion(path[-1], allowed)}allowed here: {', '.join(allowed)}"
        elif one["type"] == "missing":
            table = _model_at(model, path[:-1])
            field = table.model_fields.get(path[-1]) if table else None
            hint = field.description if field is not None and field.description else "it has no default"
            text = f"{name}: this key is missing ({hint})"
        elif one["type"] == "literal_error":
            allowed = one["ctx"]["expected"].replace("'", '"').replace(" or ", ", ")
            text = f"{name} = {value!r}: {_suggestion(value, [word.strip().strip(chr(34)) for word in allowed.split(',')])}write one of: {allowed}"
        elif one["type"] in ("model_type", "model_attributes_type", "dict_type"):
            text = f"{name} = {value!r}: this is a table; write [{name}] and its keys below"
        elif isinstance(value, dict):
            text = f"{name or 'deck'}: {reason}"
        elif reason.startswith(repr(value)):
            text = f"{name} = {reason}"
        else:
            text = f"{name} = {value!r}: {reason[:1].lower()}{reason[1:]}"
        if text not in problems:
            problems.append(text)
    return problems
