"""Runs that were killed (-9) at any time or inside an open burst of writes, or stopped by a signal or the clock: every file opens, and the run goes on as
if nothing had been. Also continued on other numbers of ranks, for longer, or with a changed deck."""
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager

import numpy as np
import pytest

from hpcnemd.app.results import is_complete
from hpcnemd.storage import ensemble, journal
from whole_runs import (DYING, EVERY, FIRST, INTERVAL, STEPS, assert_same, children, end_of, kill, opens, run_deck, saved, start, start_deck, stop_by,
                        wait_for, write_deck)

LAYOUTS = {"1x2": (2, ()), "2x1": (2, (("[drive]", "replicas = 2\n[drive]"),))}     # ranks, changes of the deck
LONGER = ('measure = "0.4 ps"', 'measure = "0.44 ps"')
FRAMES = (STEPS - FIRST) // EVERY + 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """layout -> (folder of a run that nothing disturbed, calls of each rank that change files, seconds from the first checkpoint to the end)."""
    home, made = tmp_path_factory.mktemp("whole"), {}

    def get(layout):
        if layout not in made:
            ranks, changes = LAYOUTS[layout]
            deck = write_deck(home / f"{layout}.toml", *changes)
            process = start(ranks, DYING, 0, 0, deck)
            begun = wait_for_checkpoint(deck.with_suffix(""), process)
            code, text = end_of(process)
            assert code == 0, text
            assert opens(deck.with_suffix("")) == FRAMES
            calls = [int((home / f"{layout}.toml.calls.{rank}").read_text()) for rank in range(ranks)]
            made[layout] = deck.with_suffix(""), calls, time.monotonic() - begun
        return made[layout]
    return get


def wait_for_checkpoint(folder, process):
    """The time at which the first checkpoint is there, or the end of the process."""
    while process.poll() is None and not any(folder.glob("checkpoint/*/?.h5")):
        time.sleep(0.005)
    return time.monotonic()


# ---- kills --------------------------------------------------------------------------------------------------------------

def kill_inside_a_burst(deck, ranks, calls, draw, share):
    """A random rank dies in a call that changes a file, drawn from the first `share` of such calls in a whole run. Returns whether it came so far."""
    rank = draw.randrange(ranks)
    number = draw.randrange(1, max(2, int(calls[rank] * share)))
    code, text = end_of(start(ranks, DYING, rank, number, deck))
    assert "Traceback" not in text, text
    return code != 0


def kill_at_any_time(deck, ranks, seconds, draw, share):
    """A random rank is killed at a random moment of the first `share` of the time that a whole run took. Returns whether it was still there."""
    process = start_deck(deck, ranks)
    wait_for_checkpoint(deck.with_suffix(""), process)
    time.sleep(draw.uniform(0, share * seconds))
    there = children(process) if process.poll() is None else []
    if there:
        assert len(there) == ranks
        kill(there[draw.randrange(ranks)])
    code, text = end_of(process, 60)
    assert "Traceback" not in text, text
    return bool(there) and code != 0


def kill_and_go_on(tmp_path, layout, whole, kills, seed, share):
    """`kills` deaths, every second one inside a burst, each start going on from where the one before died; where a run came to its end, a new one begins."""
    folder, calls, seconds = whole(layout)
    ranks, changes = LAYOUTS[layout]
    deck, draw = write_deck(tmp_path / "killed.toml", *changes), random.Random(seed)
    killed, done, resumed = deck.with_suffix(""), 0, 0
    while done < kills:
        if done % 2:
            done += kill_at_any_time(deck, ranks, seconds, draw, share)
        else:
            done += kill_inside_a_burst(deck, ranks, calls, draw, share)
        opens(killed)
        step = saved(killed).step if any(killed.glob("checkpoint/replica_0000/?.h5")) else 0
        resumed += 0 < step < STEPS
        if step == STEPS and done < kills:
            run_deck(deck, ranks)
            assert_same(killed, folder)
            shutil.rmtree(killed)
    run_deck(deck, ranks)
    assert opens(killed) == FRAMES
    assert_same(killed, folder)
    assert resumed, "every start began anew: checkpoints were not put to use"


def test_a_rank_killed_inside_a_burst_changes_nothing(tmp_path, whole):
    kill_and_go_on(tmp_path, "1x2", whole, 1, seed=5, share=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("layout, seed", [(layout, seed) for layout in LAYOUTS for seed in (11, 12)])
def test_twenty_killed_ranks_change_nothing(tmp_path, whole, layout, seed):
    kill_and_go_on(tmp_path, layout, whole, 5, seed, share=0.6)


# ---- stops --------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run on two domains that was stopped by SIGTERM (to one rank alone: the others hear of it), by SIGUSR1 (to mpirun) and by the clock: (its deck,
    what each stop left). There are copies of the folder after the first stop."""
    deck = write_deck(tmp_path_factory.mktemp("stops") / "stopped.toml")
    folder, stops = deck.with_suffix(""), []
    for number, block in ((signal.SIGTERM, 1), (signal.SIGUSR1, 4)):
        code, text = stop_by(number, deck, 2, block, one_rank=number == signal.SIGTERM)
        stops.append((number.name, code, text, saved(folder), opens(folder)))
        if len(stops) == 1:
            for name in ("on_1", "on_3", "hotter"):
                shutil.copytree(folder, folder.with_name(name))
    write_deck(deck, more='walltime = "0.001 s"\n')
    code, text = end_of(start_deck(deck, 2))
    stops.append(("walltime", code, text, saved(folder), opens(folder)))
    return deck, stops


def test_a_stop_leaves_a_checkpoint_and_the_code_75(stopped):
    deck, stops = stopped
    for name, code, text, found, frames in stops:
        assert code == 75 and "stopped early with a checkpoint" in text and "Traceback" not in text, (name, code, text)
        assert FIRST < found.step < STEPS and frames == (found.step - FIRST) // EVERY + 1
    steps = [found.step for _, _, _, found, _ in stops]
    assert steps[2] == steps[1] + 1                             # the time was over at once: a start makes a step at least
    events = journal.read(deck.with_suffix("") / "journal.jsonl")
    assert [event["step"] for event in events if event["event"] == "stopped"] == steps


@pytest.mark.slow
def test_sigterm_to_mpirun_leaves_a_checkpoint(tmp_path):
    """Open MPI 4 waits for a time, sends SIGTERM to the ranks, waits again, kills what is left, and returns 1 whatever the ranks return. The time is 1 s,
    on a busy machine too little for a checkpoint; what a kill leaves is tested above."""
    deck = write_deck(tmp_path / "long.toml", ('measure = "0.4 ps"', 'measure = "40 ps"'), ("checkpoint = 20", "checkpoint = 100000"))
    code, text = stop_by(signal.SIGTERM, deck, 2, 1, OMPI_MCA_odls_base_sigkill_timeout="10")
    assert code in (1, 75, 143) and "Traceback" not in text, (code, text)
    opens(deck.with_suffix(""))
    last = journal.read(deck.with_suffix("") / "journal.jsonl")[-1]
    assert last["event"] == "stopped" and last["step"] == saved(deck.with_suffix("")).step > FIRST


def test_a_stop_comes_at_any_step(stopped):
    """Not only where lists are made anew (every 8 steps or so) or checkpoints are due (every 20): correct code fails in about 1 % of all cases,
    since a stop may fall on such a step by chance: (1/8)^3 and (1/20)^3."""
    found = [one for _, _, _, one, _ in stopped[1]]
    assert any(int(one.tree["simulation"]["rebuilt_at"]) != one.step for one in found)
    assert any(one.step % INTERVAL for one in found)


@pytest.mark.parametrize("ranks", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_another_number_of_ranks_goes_on_with_the_same_physics(stopped, whole, ranks):
    deck, stops = stopped
    step = stops[0][3].step
    deck = write_deck(deck.with_name(f"on_{ranks}.toml"))
    run_deck(deck, ranks)
    folder = deck.with_suffix("")
    mine, reference = (ensemble.read(one / "ensemble.h5").arrays for one in (folder, whole("1x2")[0]))
    total, expected = (one["potential_series"][0] + one["kinetic_series"][0] for one in (mine, reference))
    row = step + 1 - FIRST                                      # sampled at every step
    assert abs(total[row] / expected[row] - 1) < 1e-10
    assert np.array_equal(total[:row], expected[:row])          # what was done before is in the checkpoint
    assert mine["blocks_done"].tolist() == [10] and opens(folder) == FRAMES
    resumed = [event for event in journal.read(folder / "journal.jsonl") if event["event"] == "resumed"]
    assert len(resumed) == 1 and resumed[0]["warnings"] == ["another grid of ranks"] and resumed[0]["step"] == step


@pytest.mark.parametrize("change, said", [
    (('"1000 K"', '"1100 K"'), "holds a checkpoint of a run with other run.temperature"),
    pytest.param(('block = "0.04 ps"', "blocks = 4"), 'blocks of 0.04 ps, and this deck asks for blocks of 0.1 ps; to make that run longer write block = "0.04 ps" under [run] in place of blocks',
                 marks=pytest.mark.slow),
])
def test_a_changed_deck_is_not_continued(stopped, change, said):
    deck = write_deck(stopped[0].with_name("hotter.toml"), change)
    before = {path: path.read_bytes() for path in deck.with_suffix("").rglob("*.h5*")}
    text = run_deck(deck, 1, expected=2)
    assert said in text and "Traceback" not in text, text
    assert before == {path: path.read_bytes() for path in deck.with_suffix("").rglob("*.h5*")}


def test_stopped_three_times_a_run_ends_bit_for_bit_as_without(stopped, whole):
    deck, _ = stopped
    run_deck(write_deck(deck), 2)
    assert opens(deck.with_suffix("")) == FRAMES
    assert_same(whole("1x2")[0], deck.with_suffix(""))


def test_a_finished_run_is_made_longer(whole, tmp_path):
    """The longer run has the shorter one as its beginning, bit for bit. Its first start was killed when it had written down its deck and nothing else."""
    folder = tmp_path / "longer"
    shutil.copytree(whole("1x2")[0], folder)
    deck, first = write_deck(tmp_path / "longer.toml", LONGER), (folder / "deck.toml").read_text()
    shutil.copy(deck, folder / "deck.toml")
    assert is_complete(folder, first) and not is_complete(folder, deck.read_text())
    run_deck(deck, 2)
    assert is_complete(folder, deck.read_text())
    mine, reference = (ensemble.read(one / "ensemble.h5").arrays for one in (folder, whole("1x2")[0]))
    assert mine["blocks_done"].tolist() == [11] and np.isfinite(mine["impulse"]).all() and np.isfinite(mine["potential_series"]).all()
    for name in ("impulse", "work", "heat", "ledger_error", "temperature_species", "potential_series", "ledger_series", "species_displacement"):
        rows = reference[name].shape[1]
        assert mine[name].shape[1] > rows and np.array_equal(mine[name][:, :rows], reference[name])
    assert opens(folder) == FRAMES + 4
    assert abs(np.diff(mine["ledger_series"][0])[-20:]).max() < 10 * abs(np.diff(reference["ledger_series"][0])).max()      # no jump at the seam


# ---- no room ------------------------------------------------------------------------------------------------------------

@contextmanager
def small_disk(folder):
    folder.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(disk):
    """Writes until there is no byte left; the path of the file."""
    with open(disk / "ballast", "wb", buffering=0) as out:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    out.write(bytes(size))
            except OSError:
                pass
    return disk / "ballast"


def fill_up_and_go_on(deck, whole, no_room, room):
    """The room for files ends while the run lasts: `no_room(process)`; then there is room again: `room()`."""
    process = start_deck(deck, 2)
    assert wait_for(deck.with_suffix("") / "journal.jsonl", '"block": 1,', process), end_of(process)
    no_room(process)
    code, text = end_of(process)
    assert code == 75 and "then start the same command again" in text and "Traceback" not in text, text
    room()
    frames, step = opens(deck.with_suffix("")), saved(deck.with_suffix("")).step
    assert FIRST + INTERVAL <= step < STEPS and frames >= (step - FIRST) // EVERY + 1, (frames, step)
    run_deck(deck, 2)
    assert_same(whole("1x2")[0], deck.with_suffix(""))
    return text


@pytest.mark.slow       # one write that meets the limit: tests/storage/test_storage_full_disk.py
def test_a_limit_on_file_sizes_stops_a_run_with_its_last_checkpoint(tmp_path, whole):
    def limit(process):
        for pid in children(process):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    text = fill_up_and_go_on(write_deck(tmp_path / "limited.toml"), whole, limit, lambda: None)
    assert "the limit on file sizes is reached" in text


@pytest.mark.slow
def test_a_full_disk_stops_a_run_with_its_last_checkpoint(tmp_path, whole):
    with small_disk(tmp_path / "disk") as disk:
        text = fill_up_and_go_on(write_deck(disk / "full.toml"), whole, lambda process: fill(disk), lambda: (disk / "ballast").unlink())
        assert "the disk is full" in text
