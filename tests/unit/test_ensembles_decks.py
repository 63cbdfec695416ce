"""Decks of the work theorems: the shipped ones are right, wrong ones say what to type."""
from pathlib import Path

import pytest
from pydantic import ValidationError

from hpcnemd.app.deck import load_deck, parse_deck, resolved_text
from hpcnemd.core.errors import InputError
from hpcnemd.experiments.irreversibility.tables import identity_of
from hpcnemd.experiments.tables import problems_of
from hpcnemd.experiments.work_theorems import Deck, describe, disk_need, prepare

DECKS = sorted((Path(__file__).resolve().parents[2] / "jobs").glob("work_*.toml"))


@pytest.mark.parametrize("path", DECKS, ids=lambda path: path.stem)
def test_shipped_decks_are_right_and_survive_their_own_text(path):
    loaded = load_deck(path)
    prepared = prepare(loaded.deck)
    again = parse_deck(resolved_text(loaded.deck), path)
    assert again.deck == loaded.deck and identity_of(again.deck) == identity_of(loaded.deck)
    assert len(describe(loaded, prepared, 2)) == 3
    row = sum(dtype == "<f8" or dtype == "<i8" for _, dtype, *_ in prepared.model.schema.values())
    assert disk_need(loaded.deck, prepared)["ensemble"] > prepared.n_rows * 8 * row


@pytest.mark.parametrize("tables, said", [
    ({"dragged_trap": {}, "stiffened_trap": {}}, "exclude each other"),
    ({}, "write exactly one of the tables"),
    ({"dragged_trap": {"velocty": 1.0}}, 'did you mean "velocity"'),
    ({"dragged_trap": {"stiffness": -1.0}}, "greater than 0"),
    ({"dragged_trap": {"dynamics": "underdamped", "steps": 2}, "run": {"samples": 1}}, "write more steps"),
    ({"dragged_trap": {"dynamics": "underdamped", "start": "steady_state"}}, 'write start = "equilibrium"'),
    ({"stiffened_trap": {"duration": 1.0}}, "do not fit"),
    ({"stiffened_trap": {}}, "write samples = 1"),
    ({"dragged_trap": {"steps": 41}}, "write a divisor of 41"),
    ({"breathing_trap": {"amplitude": 1.5}}, "write a number below 1"),
    ({"pulled_chain": {"steps": 8}}, "write at least"),
    ({"colour_field": {"discs": 7}}, "even number"),
    ({"colour_field": {"field": 0.0}}, "nothing is driven"),
    ({"electrolyte": {"temperature": "300 K", "field": "0.1 V/angstrom", "mobile": "all"}}, "write the table [structure]"),
    ({"dragged_trap": {}, "forcefield": {"table": "nacl_tosi_fumi"}}, "belongs to [electrolyte]"),
    ({"dragged_trap": {}, "run": {"replicas": 4}}, "write replicas = 8 or more"),
    ({"dragged_trap": {}, "run": {"batch": 100}}, "multiple of 8"),
    ({"dragged_trap": {}, "parallel": {"ranks_per_replica": 2}}, "leave it out, or write 1")])
def test_wrong_decks_say_what_to_type(tables, said):
    run = {"replicas": 64, **tables.pop("run", {})}
    with pytest.raises(ValidationError) as found:
        Deck.model_validate({"experiment": "work_theorems", "run": run, **tables})
    assert any(said in text for text in problems_of(found.value, Deck)), problems_of(found.value, Deck)


def test_another_ensemble_in_the_folder_is_refused(tmp_path):
    from hpcnemd.experiments import work_theorems
    from hpcnemd.parallel.layout import Layout
    from hpcnemd.parallel.serial import SerialComm
    deck = {"experiment": "work_theorems", "stiffened_trap": {}, "run": {"replicas": 16, "samples": 1}}
    for seed in (1, 2):
        deck["run"]["seed"] = seed
        prepared = prepare(Deck.model_validate(deck))
        if seed == 1:
            work_theorems.run(prepared, Layout(SerialComm(), 16, 1), tmp_path)
        else:
            with pytest.raises(InputError, match="holds another ensemble"):
                work_theorems.run(prepared, Layout(SerialComm(), 16, 1), tmp_path)
