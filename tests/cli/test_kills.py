"""kill -9 of any rank at any time, or inside an open burst of writes: every file opens, and the run goes on as if nothing had been."""
import random
import shutil
import time

import pytest

from whole_runs import DYING, FIRST, EVERY, STEPS, assert_same, children, end_of, kill, opens, run_deck, saved, start, start_deck, write_deck

LAYOUTS = {"1x2": (2, ()), "2x1": (2, (("[drive]", "replicas = 2\n[drive]"),))}     # ranks, changes of the deck


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
            assert opens(deck.with_suffix("")) == (STEPS - FIRST) // EVERY + 1
            calls = [int((home / f"{layout}.toml.calls.{rank}").read_text()) for rank in range(ranks)]
            made[layout] = deck.with_suffix(""), calls, time.monotonic() - begun
        return made[layout]
    return get


def wait_for_checkpoint(folder, process):
    """The time at which the first checkpoint is there, or the end of the process."""
    while process.poll() is None and not any(folder.glob("checkpoint/*/?.h5")):
        time.sleep(0.005)
    return time.monotonic()


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
    assert opens(killed) == (STEPS - FIRST) // EVERY + 1
    assert_same(killed, folder)
    assert resumed, "every start began anew: checkpoints were not put to use"


def test_killed_ranks_change_nothing(tmp_path, whole):
    kill_and_go_on(tmp_path, "1x2", whole, 4, seed=5, share=0.6)


@pytest.mark.slow
@pytest.mark.parametrize("layout, seed", [(layout, seed) for layout in LAYOUTS for seed in (11, 12)])
def test_twenty_killed_ranks_change_nothing(tmp_path, whole, layout, seed):
    kill_and_go_on(tmp_path, layout, whole, 5, seed, share=0.6)
