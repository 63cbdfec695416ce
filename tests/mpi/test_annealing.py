"""Annealing before a run: its stairs, its heat bath, over stops and on ranks, and what a deck is told."""
import tomllib

import numpy as np
import pytest
from mpi4py import MPI
from test_npt_phase import DECK, launch, launch_with_stops, same

from hpcnemd.core.units import BOLTZMANN
from hpcnemd.experiments.ionic_conductivity import Deck, prepare
from hpcnemd.experiments.ionic_conductivity.replica import Replica
from hpcnemd.experiments.ionic_conductivity.schedule import STAIRS, Schedule, temperature_of
from hpcnemd.experiments.tables import CELL_BLOCKS, problems_of
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import ensemble

comm = MPI.COMM_WORLD
TEXT = DECK.replace('npt = "0.16 ps"', 'npt = "0.16 ps"\nanneal = "0.09 ps"\nanneal_temperature = "600 K"')        # 45 steps: stairs of two and of three


@pytest.mark.parametrize("steps", [20, 45, 4000])
def test_stairs_tile_the_annealing(steps):
    run = Deck.model_validate(tomllib.loads(TEXT.replace("0.09 ps", f"{0.002 * steps:g} ps"))).run
    schedule = Schedule.of(run, pilot=False)
    assert schedule.anneal == steps and schedule.npt == steps + 80 and schedule.constant_pressure == 80
    step, temperatures = 0, []
    while step < steps:
        phase = schedule.phase(step)
        end = schedule.end(phase)
        assert all(schedule.phase(k) == phase for k in range(step, end)) and schedule.phase(end) != phase
        temperatures.append(temperature_of(run, phase))
        step = end
    assert step == steps and len(temperatures) == STAIRS and schedule.phase(step) == "npt" and temperature_of(run, "npt") == 300.0
    assert temperatures == pytest.approx([600.0] * 10 + [600.0 - 30.0 * k for k in range(1, 11)])


def test_the_bath_of_each_stair_has_its_temperature(tmp_path):
    prepared = prepare(Deck.model_validate(tomllib.loads(TEXT)))
    layout = Layout(SerialComm(), 2, 1, box=prepared.system.box)
    replica = Replica(prepared, layout.domain_comm, layout.grid, 0, str(tmp_path))
    replica.begin()
    assert replica.sim.temperature == pytest.approx(600.0)          # as drawn
    seen = {}
    replica.run(lambda: bool(seen.setdefault(replica.phase, replica.sim.thermostat.numbers[1] / BOLTZMANN)) and False, npt=True)
    assert list(seen) == [f"anneal_{k}" for k in range(STAIRS)] + ["npt"]
    assert all(value == pytest.approx(temperature_of(prepared.deck.run, phase)) for phase, value in seen.items())
    assert np.isfinite(replica.cell.averages()).all() and replica.cell.counts.sum() == 40 and len(replica.cell.counts) == CELL_BLOCKS


def test_stops_change_nothing(tmp_path, monkeypatch):
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    launch(tmp_path / "whole", SerialComm(), text=TEXT)
    assert launch_with_stops(monkeypatch, (7, 60, 190, 330), tmp_path / "stopped", TEXT) > 3
    whole, stopped = (ensemble.read(tmp_path / name / "ensemble.h5") for name in ("whole", "stopped"))
    assert same(stopped.arrays, whole.arrays) == []
    assert whole.attributes["anneal"] == pytest.approx(90.0) and whole.attributes["npt"] == pytest.approx(160.0)


@pytest.mark.mpi(min_size=2)
@pytest.mark.skipif(comm.size > 2, reason="ranks that share a replica: tests/mpi/test_npt_phase.py")
def test_ranks_agree_with_one(tmp_path_factory):
    """Two ranks with a replica each: bit for bit."""
    from pathlib import Path
    folder = Path(comm.bcast(str(tmp_path_factory.mktemp("many")) if comm.rank == 0 else None))
    launch(folder, comm, 1, text=TEXT)
    alone = tmp_path_factory.mktemp("one")
    launch(alone, SerialComm(), text=TEXT)
    one, many = ensemble.read(alone / "ensemble.h5").arrays, ensemble.read(folder / "ensemble.h5").arrays
    assert same(many, one) == []


@pytest.mark.parametrize("old, new, told", [
    ('anneal_temperature = "600 K"', "", 'anneal_temperature = "1000 K"'),
    ('anneal = "0.09 ps"', "", 'anneal = "40 ps"'),
    ('"600 K"', '"200 K"', "below the temperature of the run (300 K)"),
    ('"0.09 ps"', '"0.03 ps"', "some 40 ps are usual"),
    ('anneal = "0.09 ps"', 'anneal = "0.09 ps"\nthermostat = { kind = "none" }', "nothing heats or cools"),
])
def test_wrong_annealing_says_what_to_write(old, new, told):
    from pydantic import ValidationError
    assert old in TEXT
    text = TEXT.replace(old, new)
    if "none" in new:
        text = text.replace('npt = "0.16 ps"\n', "").replace(text[text.index("[run.barostat]"):text.index("[drive]")], "")
    with pytest.raises(ValidationError) as problem:
        Deck.model_validate(tomllib.loads(text))
    assert told in " ".join(problems_of(problem.value, Deck))


def test_a_run_without_it_goes_on_as_before():
    assert "anneal" not in Deck.model_validate(tomllib.loads(DECK)).identity()["run"]
    assert {"anneal", "anneal_temperature"} <= set(Deck.model_validate(tomllib.loads(TEXT)).identity()["run"])
