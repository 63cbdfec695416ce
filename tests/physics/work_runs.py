"""Decks of the work theorems in short: run on one rank, analysed."""
from hpcnemd.experiments import work_theorems
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.serial import SerialComm


def deck_of(kind, run=None, **table):
    return work_theorems.Deck.model_validate({"experiment": "work_theorems", kind: table, "run": {"replicas": 20000, "batch": 4096, **(run or {})}})


def result_of(folder, kind, run=None, **table):
    """Result of the whole path: deck, file, analysis."""
    deck = deck_of(kind, run, **table)
    work_theorems.run(work_theorems.prepare(deck), Layout(SerialComm(), deck.run.replicas, 1), folder)
    return work_theorems.analyse(folder)


def check(result, names, limit=3.0):
    """Every named number is within `limit` standard errors of its exact value, and there are no warnings about it."""
    for name in names:
        one = result.number(name)
        assert one.target is not None and one.trusted, name
        assert abs(one.distance) < limit, f"{name}: {one.value} +- {one.error}, exact {one.target}"


def table_of(result):
    """Lines target, measured, standard error, distance of every number with a target: printed by the long versions."""
    return "\n".join(f"{result.kind}: {one.name}: target {one.target:.6g}, measured {one.value:.6g}, error {one.error:.2g}, distance {one.distance:+.2f}"
                     for one in result.numbers if one.distance is not None)
