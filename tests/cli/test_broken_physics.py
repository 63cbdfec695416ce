"""Physics that breaks while a run lasts: exit code 3, with the step and the particles; the other replicas end what they do."""
import re
import shutil

import numpy as np
import pytest

from hpcnemd.experiments.ionic_conductivity import analyse
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import checkpoint, ensemble, journal
from whole_runs import EVERY, FIRST, opens, run_deck, saved, write_deck

ILL = 17                # id of the particle
SHORT, LONG = 'measure = "0.08 ps"', 'measure = "0.16 ps"'
END = FIRST + 40        # last step of the short run


def pair_deck(path, measure, per_replica):
    return write_deck(path, ('measure = "0.4 ps"', measure), ("[drive]", "replicas = 2\n[drive]"),
                      ("[output]", f"[parallel]\nranks_per_replica = {per_replica}\n[output]"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The folder of two finished replicas, one rank each."""
    deck = pair_deck(tmp_path_factory.mktemp("pair") / "pair.toml", SHORT, 1)
    run_deck(deck, 2)
    return deck.with_suffix("")


def infect(folder, velocity):
    """One particle of replica 1 goes on with another velocity from its last checkpoint."""
    found = saved(folder, replica=1)
    assert found.step == END
    found.arrays["velocity"][found.arrays["id"] == ILL] = velocity
    checkpoint.save(SerialComm(), folder / "checkpoint" / "replica_0001", found.tree, found.arrays, found.step)


@pytest.mark.parametrize("velocity, per_replica, said", [
    (np.nan, 1, f"particles id {ILL} moved further than the halo width"),
    pytest.param(1e4, 2, f"particles id {ILL} moved further than the halo width", marks=pytest.mark.slow),      # angstrom/fs: lost, on the way through two domains
])
def test_one_replica_breaks_and_the_other_ends(pair, tmp_path, velocity, per_replica, said):
    deck = pair_deck(tmp_path / "ill.toml", LONG, per_replica)
    folder = deck.with_suffix("")
    shutil.copytree(pair, folder)
    infect(folder, velocity)
    text = run_deck(deck, 2, expected=3)
    assert f"replica 1: step {END + 1}: {said}" in text and "Traceback" not in text
    found = ensemble.read(folder / "ensemble.h5")
    assert found.status == ["complete", "failed"] and found.causes[0] == "" and found.causes[1].startswith(f"step {END + 1}: {said}")
    assert found.arrays["blocks_done"].tolist() == [4, 0] and np.isfinite(found.arrays["impulse"][0]).all() and np.isnan(found.arrays["impulse"][1]).all()
    events = [event for path in folder.glob("journal*.jsonl") for event in journal.read(path)]
    assert [(event["replica"], event["event"]) for event in events if event["event"] == "failed"] == [(1, "failed")]
    opens(folder)
    assert saved(folder, 0).step == END + 40 and saved(folder, 1).step == END               # what was good before stays
    assert analyse(folder).numbers["length"]["replicas"] == 1                               # and the rest of the ensemble is of use


@pytest.mark.slow
def test_a_time_step_that_is_far_too_long(tmp_path):
    """Ions of 20 times the bath's energy fly through each other's cores: numbers overflow, or ions leave between two steps."""
    deck = write_deck(tmp_path / "hot.toml", ('timestep = "2 fs"', 'timestep = "20 fs"'), ('"1000 K"', '"20000 K"'), ('"0.04 ps"\nsettle = "0.04 ps"', '"20 ps"\nsettle = "20 ps"'),
                      ('measure = "0.4 ps"\nblock = "0.04 ps"', 'measure = "40 ps"\nblock = "4 ps"'), ('"2 fs"', '"20 fs"'))
    text = run_deck(deck, 1, expected=3)
    assert re.search(r"replica 0: step \d+: .*particles id \d+", text) and "Traceback" not in text, text
    found = ensemble.read(deck.with_suffix("") / "ensemble.h5")
    assert found.status == ["failed"] and found.causes[0].startswith("step ")
