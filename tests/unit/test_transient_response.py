"""Estimators of the transient response on free ions in a Langevin bath, whose response to a field is exact at every time; and a small run of the experiment."""
import math

import numpy as np
import pytest
from langevin_ions import COUNT, EXACT, FRICTION, ION_MASS, KT, TEMPERATURE, VOLUME

from hpcnemd.app.deck import parse_deck
from hpcnemd.core.errors import InputError
from hpcnemd.core.units import BOLTZMANN
from hpcnemd.experiments import transient_response
from hpcnemd.experiments.irreversibility.result import Result
from hpcnemd.experiments.transient_response import estimate as module
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage.compare import compare

STEP, STEPS = 2.0, 200          # fs; 400 fs are 8 relaxation times


def transients(rng, field, mothers=10, daughters=200):
    """{dataset: ...} of four images of start points: (J0, -J0 reversed in time, -J0 reflected, J0 both), each with a bath of its own but for reflections, which see
    the mirrored noise, as deterministic ions would."""
    keep = math.exp(-FRICTION * STEP)
    spread = math.sqrt(COUNT * KT / ION_MASS * (1 - keep * keep))
    start = math.sqrt(COUNT * KT / ION_MASS) * rng.standard_normal((mothers, daughters))
    noise = spread * rng.standard_normal((mothers, daughters, 2, STEPS))
    current = np.empty((mothers, daughters, 4, STEPS + 1))
    pull = COUNT * field / ION_MASS * (1 - keep) / FRICTION
    for image, (sign, bath, mirror) in enumerate(((1, 0, 1), (-1, 1, 1), (-1, 0, -1), (1, 1, -1))):
        current[:, :, image, 0] = sign * start
        for k in range(STEPS):
            current[:, :, image, k + 1] = keep * current[:, :, image, k] + pull + mirror * noise[:, :, bath, k]
    charge = (0.5 * (current[..., 1:] + current[..., :-1]) * STEP).cumsum(axis=-1)
    return {"current": current, "current_integral": charge, "shadow_work": np.zeros(current.shape[:3])}


@pytest.fixture(scope="module")
def result():
    made = Result("transient_response", {}, {})
    fields = np.array([1e-6, 0.01])
    attributes = {"fields": fields, "times": np.arange(STEPS + 1) * STEP, "branches": "weak\nfull", "beta": 1 / (BOLTZMANN * TEMPERATURE), "volume": VOLUME}
    module.estimate(made, attributes, {name: transients(np.random.default_rng(3), field) for name, field in zip(("weak", "full"), fields)})
    return made


def test_both_fields_give_the_exact_conductivity(result):
    """4 standard errors of about 4 %; the trapezoids of the charge leave 1e-4."""
    for text in ("1e-06 V/Å", "0.01 V/Å"):
        one = result.number(f"TTCF, {text}")
        assert abs(one.value - EXACT) < 4 * one.error and one.error < 0.1 * EXACT and one.trusted
        # mirrored noise cancels exactly: the images are the response itself, (1 - exp(-gamma t)) sigma over the second half
        times = np.arange(STEPS // 2 + 1, STEPS + 1) * STEP
        assert result.number(f"direct average, images, {text}").value == pytest.approx(EXACT * np.mean(1 - np.exp(-FRICTION * times)), rel=1e-6)
        assert result.number(f"current at the start, {text}").value == pytest.approx(0.0, abs=1e-12)


def test_the_direct_average_is_useless_at_the_small_field_only(result):
    weak, full = (result.number(f"direct average, no images, {text}") for text in ("1e-06 V/Å", "0.01 V/Å"))
    assert weak.error > 100 * EXACT and not weak.trusted and full.error < 0.5 * EXACT
    assert weak.error == pytest.approx(1e4 * full.error, rel=1e-6)               # the same start points
    assert any("useless" in fact and "1e-06" in fact for fact in result.facts)
    difference = result.number("TTCF at 0.01 V/Å - TTCF at 1e-06 V/Å")
    assert abs(difference.value) < 4 * difference.error + 1e-6 * EXACT


DECK = """experiment = "transient_response"
[structure]
build = "nacl"
[forcefield]
table = "nacl_tosi_fumi"
cutoff = "5 angstrom"
coulomb = { method = "dsf", damping = "0.25 1/angstrom" }
[transients]
temperature = "1500 K"
timestep = "2 fs"
field = "0.04 V/angstrom"
mobile = "all"
duration = "20 fs"
settle = "0.1 ps"
spacing = "20 fs"
daughters = 3
[run]
replicas = 2
samples = 5
"""


def test_a_small_run_with_its_report(tmp_path):
    """Mothers one after another and in two launches: the same file. At the smallest times the response is E sum c^2/m t / V, exactly (images)."""
    def run(text, folder):
        deck = parse_deck(text).deck
        prepared = transient_response.prepare(deck)
        transient_response.run(prepared, Layout(SerialComm(), deck.run.replicas, box=prepared.system.box), folder, text)
        return prepared
    prepared = run(DECK, tmp_path / "whole")
    run(DECK.replace("replicas = 2", "replicas = 1"), tmp_path / "parts")
    run(DECK, tmp_path / "parts")
    assert compare(tmp_path / "whole" / "ensemble.h5", tmp_path / "parts" / "ensemble.h5") == []
    result = transient_response.analyse(tmp_path / "whole")
    page = transient_response.draw(result, tmp_path / "whole")
    assert page.exists() and (page.parent / "response.png").exists() and (page.parent / "errors.pdf").exists()
    value, error = result.curves["response"]["4e-06 V/Å"]["images"]
    system = prepared.system
    colour = prepared.model.colour
    first = 1.602176634e6 / system.box.volume * colour.norm * result.curves["times"][0]
    assert value[0] == pytest.approx(first, rel=0.1)
    assert "TTCF" in "\n".join(transient_response.summary(result))


def test_bad_decks_are_told():
    with pytest.raises(InputError, match="does not divide"):
        parse_deck(DECK.replace("samples = 5", "samples = 7"))
    with pytest.raises(InputError, match="each of them once"):
        parse_deck(DECK.replace("daughters = 3", "daughters = 3\nfractions = [1.0, 1.0]"))
