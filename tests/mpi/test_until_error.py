"""A run that stops by itself stops at the same block on every number of ranks, and after any interruption."""
import numpy as np
import pytest
from mpi4py import MPI

from hpcnemd.core.errors import StoppedEarly
from hpcnemd.experiments import ionic_conductivity
from hpcnemd.experiments.ionic_conductivity import groups, until
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import ensemble
from hpcnemd.storage.compare import compare

comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi
REPLICAS, BLOCKS = 4, 60


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(until, "LEAST_MEMORY", 10.0)            # fs: the salt of eight ions has no memory worth the name, and the runs are short
    return comm.bcast(tmp_path)


def prepared(error=0.3, kind="constant_current", blocks=BLOCKS):
    drive = {"constant_current": {"drift_velocity": "12 angstrom/ps"}, "none": {}}[kind]
    deck = {"experiment": "ionic_conductivity", "structure": {"build": "nacl"},
            "forcefield": {"table": "nacl_tosi_fumi", "cutoff": "5 angstrom", "coulomb": {"method": "dsf", "damping": "0.25 1/angstrom"}},
            "run": {"temperature": "1500 K", "timestep": "2 fs", "settle": "0.05 ps", "measure": 0.03 * blocks, "block": "0.03 ps", "replicas": REPLICAS,
                    "sample": "10 fs"} | ({"until_error": error} if error else {}),
            "drive": {"kind": kind, "mobile": "all", **drive}, "output": {"checkpoint": 160}}
    return ionic_conductivity.prepare(ionic_conductivity.Deck.model_validate(deck), ".")


def run(ready, where, over=comm):
    ionic_conductivity.run(ready, Layout(over, REPLICAS, box=ready.system.box), where)
    over.Barrier()
    return ensemble.read(where / "ensemble.h5")


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize("ranks", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_all_rank_counts_and_interruptions_stop_at_the_same_block(folder, monkeypatch, ranks):
    """The four replicas shared out evenly and not (slow)."""
    if comm.size != ranks:
        pytest.skip(f"for {ranks} ranks")
    ready = prepared()
    found = run(ready, folder / "world")
    done = found.arrays["blocks_done"]
    assert set(found.status) == {"complete"} and len(set(done)) == 1 and 5 <= done[0] < BLOCKS
    if comm.rank == 0:
        run(ready, folder / "alone", SerialComm())
        assert compare(folder / "world" / "ensemble.h5", folder / "alone" / "ensemble.h5") == []
        # the rule, on the blocks of a run that did not stop
        whole = run(prepared(error=None), folder / "whole", SerialComm()).arrays
        assert (whole["blocks_done"] == BLOCKS).all() and np.array_equal(whole["impulse"][:, :done[0]], found.arrays["impulse"][:, :done[0]])
        work = whole["work"]
        rule = until.stopping.stopping_block("constant_current", whole["impulse"], whole["current"], work, 30.0, ready.system.box.volume, 1500.0, 0.3, 10.0)
        assert rule == done[0]
    comm.Barrier()

    class Impatient(groups.StopFlag):
        """Stops the last rank after it has been asked so often: before a step, or before a stretch of them."""
        times, taken = 12, 0

        @property
        def received(self):
            self.taken += comm.rank == comm.size - 1
            return self.taken > self.times

        @received.setter
        def received(self, value):
            pass
    stops = 0
    monkeypatch.setattr(groups, "StopFlag", Impatient)
    for _ in range(40):
        try:
            broken = run(ready, folder / "broken")
            break
        except StoppedEarly:
            stops += 1
    assert stops >= 2 and set(broken.status) == {"complete"}
    if comm.rank == 0:
        assert compare(folder / "world" / "ensemble.h5", folder / "broken" / "ensemble.h5") == []
    comm.Barrier()
    monkeypatch.undo()
    monkeypatch.setattr(until, "LEAST_MEMORY", 10.0)
    longer = run(prepared(blocks=BLOCKS + 10), folder / "world")            # a longer limit changes nothing: the error is reached
    assert (longer.arrays["blocks_done"] == done[0]).all()


def test_an_error_that_is_not_reached_is_said(folder):
    found = run(prepared(error=0.01, blocks=6), folder / "short")
    assert (found.arrays["blocks_done"] == 6).all()
    if comm.rank == 0:
        result = ionic_conductivity.analyse(folder / "short")
        verdict = next(one for one in result.verdicts if one.name == "wished error")
        assert verdict.passed is False and "lengthen run.measure" in verdict.text
