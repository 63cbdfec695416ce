"""Reports of the work theorems: page, figures and numbers of a run, and the streaming statistics beside the rows."""
import json

import numpy as np
import pytest

from hpcnemd.experiments import work_theorems
from hpcnemd.experiments.work_theorems.launched import STATISTICS
from hpcnemd.parallel.layout import Layout
from hpcnemd.parallel.serial import SerialComm
from hpcnemd.storage import ensemble

from work_runs import deck_of, result_of

FIGURES = {"stiffened_trap": {"work_distributions", "crooks", "convergence", "work_paths"}, "breathing_trap": {"symmetry", "slopes"}}


@pytest.mark.parametrize("kind, table", [("stiffened_trap", {"duration": 1.0, "steps": 8}), ("breathing_trap", {"periods": 4})])
def test_the_page_has_its_figures_numbers_and_provenance(tmp_path, kind, table):
    result = result_of(tmp_path, kind, {"replicas": 4000, "samples": 4}, **table)
    page = work_theorems.draw(result, tmp_path)
    text = page.read_text(encoding="utf-8")
    drawn = {path.stem for path in (tmp_path / "report").glob("*.png")}
    assert drawn == FIGURES[kind] == {path.stem for path in (tmp_path / "report").glob("*.pdf")}
    assert text.count("<figcaption>") == len(drawn) and text.count("4000 trajectories" if kind == "breathing_trap" else "8000 trajectories") >= len(drawn)
    numbers = json.loads((tmp_path / "report" / "numbers.json").read_text())
    assert numbers["numbers"][0]["name"] == "mean work" and numbers["replicas"]["failed"] == 0 and len(numbers["ledger"]) >= 2
    lines = work_theorems.summary(result)
    assert all(line.isascii() for line in lines) and any("mean work" in line for line in lines)
    import matplotlib.image
    for name in drawn:                                      # not blank: many shades
        assert len(np.unique(matplotlib.image.imread(tmp_path / "report" / f"{name}.png"))) > 20


def test_streamed_statistics_are_those_of_the_rows(tmp_path):
    result_of(tmp_path, "dragged_trap", {"replicas": 3000, "batch": 128, "samples": 4})
    rows, told = ensemble.read(tmp_path / "ensemble.h5").arrays, json.loads((tmp_path / STATISTICS).read_text())
    for branch, part in (("forward", slice(0, 3000)), ("reverse", slice(3000, 6000))):
        work = rows["work"][part]
        np.testing.assert_allclose(told[branch]["work"]["mean"], work.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(told[branch]["work"]["variance"], work.var(axis=0, ddof=1), rtol=1e-12)
        np.testing.assert_allclose(told[branch]["work_covariance"]["covariance"], np.cov(work.T), rtol=1e-11)
        assert sum(told[branch]["work_histogram"]["counts"]) + told[branch]["work_histogram"]["below"] + told[branch]["work_histogram"]["above"] == 3000
        assert told[branch]["exponential_work"]["log_mean"] == pytest.approx(np.log(np.exp(-work[:, -1]).mean()), rel=1e-12)
        np.testing.assert_allclose(told[branch]["position_correlator"]["mean"], (rows["position_start"][part, None] * rows["position"][part]).mean(axis=0), rtol=1e-11)


def test_pymbar_agrees_in_the_report_where_it_is_asked(tmp_path):
    deck = deck_of("stiffened_trap", {"replicas": 2000, "samples": 1})
    text = "experiment = \"work_theorems\"\n[stiffened_trap]\n[run]\nreplicas = 2000\nbatch = 4096\nsamples = 1\ncross_check = true\n"
    work_theorems.run(work_theorems.prepare(deck), Layout(SerialComm(), 2000, 1), tmp_path, text)
    result = work_theorems.analyse(tmp_path)
    assert abs(result.number("free energy, BAR by pymbar").value - result.number("free energy, logistic intercept").value) < 1e-6
    assert any("pymbar's BAR" in one for one in result.facts) and not any("pymbar" in one for one in result.warnings)
