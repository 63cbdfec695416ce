"""A deck made ready to run: its system, who carries the current, the schedule, and the value of the drive."""
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...core.errors import InputError
from ...dynamics.colour import Colour
from ...dynamics.drive import Drive
from ...dynamics.thermostat import make_thermostat
from ...storage.ensemble import read_attributes
from ..site_order import SiteReference, reference_of
from ..system import System, system_of_deck
from ..tables import RelaxTable
from .deck import Deck
from .schedule import Schedule


@dataclass(frozen=True)
class PreparedRun:
    """`drive_value`: J0 (e angstrom/fs) of a constant current, nan where a pilot is to choose it; e E0 (eV/angstrom) of a constant field; else 0."""
    deck: Deck
    system: System
    colour: Colour
    schedule: Schedule
    drive_value: float
    charges: np.ndarray                 # (s,) e, of the charge displacement: all mobile species, whichever of them is driven
    start: Path | None = None           # folder of a finished run of the same system and layout whose ends the replicas start from
    sites: SiteReference | None = None

    def in_cell(self, lengths):
        """The same run in a cell of other edges (3,) angstrom, the ions strained with it; a current density stays what it is."""
        before = self.system.box
        box = before.with_lengths(lengths)
        system = replace(self.system, box=box, position=self.system.position * (box.lengths / before.lengths))
        scale = box.volume / before.volume if self.deck.drive.kind == "constant_current" and self.deck.drive.drift_velocity is None else 1.0
        return replace(self, system=system, drive_value=self.drive_value * scale)

    def starting_from(self, folder):
        """The same run in the cell of the finished run in `folder`, its replicas from where that one's ended."""
        return replace(self.in_cell(read_attributes(Path(folder, "ensemble.h5"))["box"]), start=Path(folder))

    @property
    def automatic(self):
        return bool(np.isnan(self.drive_value))

    @property
    def relaxation(self):
        """The RelaxTable of the run: the deck's, or the default, which has no steps for a structure that was not placed at random."""
        wanted = self.deck.structure.relax
        if wanted is not None:
            return wanted
        return RelaxTable() if self.system.rough else RelaxTable(steps=0)


def prepare(deck, base=".", system=None):
    """PreparedRun of a Deck; `base` is the deck's folder, `system` what its structure and force field amount to, where that is known. Raises InputError with every
    problem found; starts no MPI."""
    system = system_of_deck(deck.structure, deck.forcefield, base) if system is None else system
    problems = []
    drive = deck.drive
    mobile = "all" if "all" in drive.mobile else drive.mobile
    try:
        colour = Colour.of(system.kinds, system.counts, mobile, drive.direction, system.box.dimensions, drive.species)
        whole = colour if drive.species is None else Colour.of(system.kinds, system.counts, mobile, drive.direction, system.box.dimensions)
    except InputError as error:
        raise InputError(error.problems) from None
    value = 0.0
    if drive.kind == "constant_field":
        value = drive.field
    elif drive.kind == "constant_current":
        if drive.drift_velocity is not None:
            value = drive.drift_velocity * colour.mobile_charge
        else:
            value = float("nan") if drive.current_density == "auto" else drive.current_density * system.box.volume
    bath = deck.run.thermostat
    try:
        Drive("constant_current" if drive.kind == "zero_current" else drive.kind, value)
        for driven in (False, drive.kind != "none"):
            make_thermostat(bath.kind, deck.run.temperature, colour, driven, deck.run.timestep, bath.time, bath.chain, bath.group)
    except InputError as error:
        problems += error.problems
    if drive.kind != "none" and bath.kind == "none":
        problems.append("run.thermostat.kind = \"none\": a driven system heats up without end; write \"nose_hoover\" or \"gaussian\"")
    sites = None
    try:
        if deck.order is not None:
            sites = reference_of(deck.order, system, deck.structure.supercell)
    except InputError as error:
        problems += error.problems
    if deck.run.npt and system.box.dimensions != 3:
        problems.append("run.npt: a cell of fewer than three dimensions keeps its size; write npt = 0")
    if problems:
        raise InputError(problems)
    return PreparedRun(deck, system, colour, Schedule.of(deck.run, pilot=bool(np.isnan(value))), value, whole.charge, sites=sites)
