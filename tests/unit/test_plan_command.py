"""What `hpcnemd plan` says, writes and refuses; the pilot itself is invented here."""
import re
from pathlib import Path

import pytest
from test_planning import pilot

from hpcnemd.analysis import planning
from hpcnemd.app import plan as module
from hpcnemd.app.deck import parse_deck
from hpcnemd.core.errors import InputError
from hpcnemd.experiments.ionic_conductivity import pilot as pilots

JOBS = Path(__file__).parents[2] / "jobs"
NAMES = ("nacl_216.toml", "agi_256.toml", "llzo_192_1000K.toml")


def made(error=0.05, ranks=2):
    return planning.make_plan(pilot(error=0.1), error, 6e4, 1e4, 4.0, 20.0, 2000.0, ranks, {1: 1e-3, 2: 6e-4})


@pytest.mark.parametrize("name", NAMES)
def test_planned_decks_are_right_and_keep_what_was_said(name):
    text = (JOBS / name).read_text()
    before, plan = parse_deck(text).deck, made()
    written = module.edited(text, module.deck_keys(before, plan))
    after = parse_deck(written).deck
    assert after.run.until_error == 0.05 and after.run.replicas == plan.costs["driven"].layout.replicas and after.run.block == pytest.approx(plan.block)
    assert after.run.measure >= planning.MARGIN * plan.costs["driven"].layout.measure * (1 - 1e-9) and after.run.blocks is None
    assert after.drive.drift_velocity * 1e3 == pytest.approx(plan.drive.drift, rel=1e-3) and after.drive.current_density is None
    assert after.structure == before.structure and after.output == before.output and after.run.seed == before.run.seed
    assert [line for line in text.splitlines() if line.startswith("#")] == [line for line in written.splitlines() if line.startswith("#")]


def test_fields_and_rest_are_planned_as_what_they_are():
    text = (JOBS / "nacl_216.toml").read_text()
    field = re.sub(r'kind = "constant_current"\ncurrent_density = .*', 'kind = "constant_field"\nfield = "0.01 V/angstrom"', text)
    after = parse_deck(module.edited(field, module.deck_keys(parse_deck(field).deck, made()))).deck
    assert after.drive.field == pytest.approx(made().drive.field, rel=1e-3)
    rest = re.sub(r'kind = "constant_current"\ncurrent_density = .*', 'kind = "none"', text)
    after = parse_deck(module.edited(rest, module.deck_keys(parse_deck(rest).deck, made()))).deck
    assert after.drive.kind == "none" and after.run.measure * after.run.replicas > planning.equilibrium_time(pilot(), 0.05)


def test_a_deck_of_inline_tables_is_not_spoiled():
    text = (JOBS / "nacl_216.toml").read_text()
    start, end = text.index("[run]"), text.index("[drive]")
    inline = 'run = { temperature = "1100 K", measure = "20 ps" }\n' + text[:start] + text[end:]
    with pytest.raises(InputError, match="paste the lines above"):
        module.edited(inline, module.deck_keys(parse_deck(inline).deck, made()))


def test_the_plan_is_told_in_plain_words():
    text = "\n".join(module.plan_lines(made(), {1: 1e-3, 2: 6e-4}, 2))
    assert text.isascii() and "an error of 5 % on 2 ranks" in text
    for words in ("constant current", "equilibrium, collective", "Nernst-Einstein", "core-hours", "replicas x ranks", "drift", "after this measurement"):
        assert words in text
    assert made().as_dict()["pilot"]["hops"] > 0


@pytest.mark.parametrize("text, value", [("5%", 0.05), ("5 %", 0.05), ("0.05", 0.05), ("0.5%", 0.005)])
def test_errors_are_read(text, value):
    assert module.parse_error(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["0", "60%", "five", "-1%", ""])
def test_bad_errors_say_what_to_type(text):
    with pytest.raises(InputError, match="for example --error 5%"):
        module.parse_error(text)


def test_all_problems_of_the_command_line_at_once():
    with pytest.raises(InputError) as found:
        module._checked(JOBS / "nacl_216.toml", 2, "0", 0, "1 ps", JOBS / "agi_256.toml")
    assert len(found.value.problems) == 4 and "is there already" in "\n".join(found.value.problems)
    with pytest.raises(InputError, match="plan knows decks"):
        module._checked(JOBS / "work_chain.toml", 1, "5%", None, None, None)


def test_pilots_are_short_runs_of_the_deck():
    deck = parse_deck((JOBS / "agi_256.toml").read_text()).deck
    rest = pilots.equilibrium_deck(deck, 2, pilots.LENGTH)
    assert rest.drive.kind == "none" and rest.run.replicas == 2 and rest.run.n_blocks >= 20 and rest.run.until_error is None
    assert (pilots.replicas_for(deck, 8), pilots.replicas_for(deck, 1)) == (4, 1)
    assert parse_deck(module.resolved_text(rest)).deck.run == rest.run            # it reads like any other deck
