"""The deck's tables: values with units, and messages that say what to type."""
import copy
from typing import Literal

import pytest
from pydantic import ValidationError

from hpcnemd.experiments.tables import (DriveTable, ForcefieldTable, OutputTable, ParallelTable, RunTable, StructureTable, Table, problems_of)


class Deck(Table):
    experiment: Literal["ionic_conductivity"]
    structure: StructureTable
    forcefield: ForcefieldTable
    run: RunTable
    drive: DriveTable
    parallel: ParallelTable = ParallelTable()
    output: OutputTable = OutputTable()


GOOD = {"experiment": "ionic_conductivity",
        "structure": {"build": "nacl", "supercell": [2, 2, 2], "lattice": ["5.7 angstrom", 0.57e1, "0.57 nm"]},
        "forcefield": {"table": "nacl_tosi_fumi", "cutoff": "1 nm", "coulomb": {"method": "dsf", "damping": "0.25 1/angstrom"}},
        "run": {"temperature": "700 K", "timestep": "2 fs", "equilibrate": "0.5 ns", "measure": 20, "replicas": 2},
        "drive": {"kind": "constant_current", "drift_velocity": "40 m/s", "mobile": "Na"},
        "output": {"folder": "out", "checkpoint": "10 min", "walltime": "24 h"}}


def changed(path, value):
    deck = copy.deepcopy(GOOD)
    *tables, key = path.split(".")
    place = deck
    for table in tables:
        place = place.setdefault(table, {})
    if value is None:
        del place[key]
    else:
        place[key] = value
    return deck


def problems(deck):
    with pytest.raises(ValidationError) as caught:
        Deck.model_validate(deck)
    return problems_of(caught.value, Deck)


def test_quantities_arrive_in_inside_units():
    deck = Deck.model_validate(GOOD)
    assert deck.structure.lattice == pytest.approx((5.7, 5.7, 5.7))
    assert deck.forcefield.cutoff == pytest.approx(10.0) and deck.forcefield.coulomb.damping == pytest.approx(0.25)
    assert deck.run.equilibrate == pytest.approx(5e5) and deck.run.measure == pytest.approx(2e4)        # a bare duration is in ps
    assert deck.drive.drift_velocity == pytest.approx(4e-4)                                            # 40 m/s = 0.4 angstrom/ps
    assert deck.output.checkpoint.seconds == pytest.approx(600) and deck.output.walltime == pytest.approx(86400)
    assert deck.drive.mobile == ("Na",)


def test_blocks_fill_the_measurement():
    run = Deck.model_validate(GOOD).run
    assert (run.n_blocks, run.block_steps) == (20, 500)
    run = Deck.model_validate(changed("run.block", "3 ps")).run
    assert (run.n_blocks, run.block_steps) == (6, 1500)


def test_the_resolved_deck_reads_back_as_itself():
    deck = Deck.model_validate(GOOD)
    written = deck.model_dump(mode="json", exclude_none=True)
    assert written["run"]["temperature"] == "700 K" and written["forcefield"]["cutoff"] == "10 angstrom"
    assert Deck.model_validate(written).model_dump(mode="json", exclude_none=True) == written


@pytest.mark.parametrize("path, value, said", [
    ("run.temprature", "300 K", 'run.temprature: unknown key; did you mean "temperature"?'),
    ("ouput", {}, 'ouput: unknown key; did you mean "output"?'),
    ("run.temperature", "300 fs", "run.temperature = '300 fs': fs is not a unit of this quantity; write it in K, for example \"300 K\""),
    ("run.temperature", "300 Kelvin", "unknown unit 'Kelvin'"),
    ("run.temperature", "-5 K", "must be above 0"),
    ("run.temperature", None, "run.temperature: this key is missing"),
    ("run.timestep", "2 ps", "ions need at most a few fs"),
    ("run.blocks", 1, "run.blocks = 1: "),
    ("run.measure", "10 fs", "too few for 20 blocks"),
    ("run.thermostat.kind", "nosehoover", 'did you mean "nose_hoover"?'),
    ("forcefield.coulomb.method", "pme", 'did you mean "spme"? write one of: "spme", "ewald", "dsf", "none"'),
    ("forcefield.coulomb.method", "spme", "damping belongs to method = \"dsf\""),
    ("structure.supercell", [2, 0, 2], "structure.supercell = [2, 0, 2]: write three whole numbers"),
    ("structure.file", "a.cif", "file and build exclude each other"),
    ("structure.build", None, "say where the ions are"),
    ("structure.density", "1.4 g/cm^3", "lattice and density exclude each other"),
    ("drive.field", "0.02 V/angstrom", "field does not belong to kind = \"constant_current\""),
    ("drive.current_density", "3 A/cm^2", "needs exactly one of current_density, drift_velocity"),
    ("drive.drift_velocity", 0, "for an equilibrium run write kind = \"none\""),
    ("drive.direction", "w", "drive.direction = 'w': write \"x\", \"y\", \"z\""),
    ("drive.mobile", [], "write a list of species"),
    ("parallel", 3, "parallel = 3: this is a table; write [parallel]"),
    ("parallel.grid", [2, 2], "parallel.grid = [2, 2]: write three whole numbers"),
    ("output.checkpoint", "5 K", "output.checkpoint = '5 K': K is not a unit"),
    ("output.walltime", 3600, "wall time needs a unit"),
])
def test_one_wrong_key_gives_one_message(path, value, said):
    told = problems(changed(path, value))
    assert len(told) == 1 and said in told[0], told


def test_all_errors_are_told_at_once():
    deck = changed("run.temprature", "300 K")
    deck["drive"]["direction"], deck["structure"]["supercell"] = "w", 3
    assert len(problems(deck)) == 3
