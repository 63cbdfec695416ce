"""The acceptance numbers of coarse graining, from the deck to the numbers of the report; slow: full lengths."""
import math

import numpy as np
import pytest

from hpcnemd.experiments import coarse_graining
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.serial import SerialComm


def analysed(folder, cloud, replicas, seed=2026):
    prepared = coarse_graining.prepare(coarse_graining.Deck.model_validate({"experiment": "coarse_graining", "cloud": cloud,
                                                                            "run": {"replicas": replicas, "seed": seed}}))
    coarse_graining.run(prepared, Layout(SerialComm(), replicas), folder)
    return coarse_graining.analyse(folder)


def test_growth_and_return_of_the_cat_map(tmp_path):
    """Slope 0.9624 within 1 %, exact cells, exact return; blurred once it does not return, blurred always it never falls."""
    result = analysed(tmp_path, {"systems": ["cat", "cat_whole"], "cells": 256, "points": 200000, "steps": 8}, 1)
    for name in ("cat", "cat_whole"):
        assert result.number(f"{name}: growth of S, Shannon").value == pytest.approx(math.log((3 + math.sqrt(5)) / 2), rel=0.01)
        assert result.number(f"{name}: S after the exact way back").value == 0.0
        assert 6.4 < result.number(f"{name}: S after the way back, blurred once").value < 7.1       # prototype: 6.811
        assert result.number(f"{name}: S after the way back, blurred always").value > 6.9
    back = result.curves["systems"]["cat_whole"]
    np.testing.assert_array_equal(back["touched_back"][:, 0], np.tile([1, 4, 12, 33, 88, 232, 609, 232, 88, 33, 12, 4, 1], (1, 1)))
    assert np.diff(back["entropy_back"][:, 2]).min() > -0.02
    assert result.number("cat_whole: touched cells against F(2t + 3) - 1, t up to 6").value == 0
    assert not result.warnings
    page = coarse_graining.draw(result, tmp_path)
    assert page.stat().st_size > 50000 and coarse_graining.summary(result)


def test_the_symmetric_baker_map_doubles_its_cells(tmp_path):
    """ln 2 at every step by both measures, until the cells are full: 256 x 256 cells, whose edges the map keeps."""
    result = analysed(tmp_path, {"systems": ["baker"], "baker": 0.5, "cells": 256, "points": 200000, "steps": 8, "turn": 4}, 1)
    rows = result.curves["systems"]["baker"]
    np.testing.assert_array_equal(rows["touched"][0], 2**np.arange(9))
    np.testing.assert_allclose(np.diff(rows["entropy"][0]), math.log(2), atol=2e-3)


def test_the_intermittent_map_is_the_negative_control(tmp_path):
    """Its entropy grows far more slowly than the Kolmogorov-Sinai entropy says: 60 start cells, more than 4 standard errors below."""
    result = analysed(tmp_path, {"systems": ["intermittent"], "intermittency": 4.0, "cells": 64, "points": 2000, "steps": 24, "turn": 1}, 60)
    growth = result.number("intermittent: growth of S, Shannon")
    assert growth.value + 4 * growth.error < 0.2849
    assert any("negative control" in text for text in result.facts)


def test_without_instability_there_is_no_rate(tmp_path):
    """Harmonic: S stays below 2; quartic: S grows as ln t, coefficient 1 within 25 % (short: 4 start cells to time 60)."""
    result = analysed(tmp_path, {"systems": ["harmonic", "quartic"], "cells": 100, "points": 1500, "steps": 60, "turn": 2}, 4)
    assert result.number("harmonic: largest S").value < 2.0
    assert abs(result.number("harmonic: coefficient of ln t").value) < 0.1
    assert result.number("quartic: coefficient of ln t").value == pytest.approx(1.0, abs=0.25)


@pytest.mark.slow
def test_all_maps_at_full_size(tmp_path):
    result = analysed(tmp_path, {"systems": ["cat", "baker", "kicked_rotor"], "cells": 200, "points": 4000000, "steps": 12}, 8)
    assert result.number("cat: growth of S, Shannon").value == pytest.approx(0.96242, rel=0.005)
    rotor = result.number("kicked_rotor: KS entropy by Pesin")
    growth = result.number("kicked_rotor: growth of S, touched cells")
    assert abs(growth.value - rotor.value) < 3 * growth.error
    baker = result.number("baker: growth of S, Shannon")
    assert abs(baker.value - 0.5004) < 3 * baker.error


@pytest.mark.slow
def test_the_quartic_oscillator_at_full_size(tmp_path):
    """Coefficient of ln t 1 within 5 % (prototype: 0.97)."""
    result = analysed(tmp_path, {"systems": ["quartic"], "cells": 200, "points": 100000, "steps": 200, "turn": 2}, 8)
    assert result.number("quartic: coefficient of ln t").value == pytest.approx(1.0, abs=0.05)
