"""The strict reader and own code on real data: the TDB files that travel with pycalphad (not shipped here)."""
import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest

from hpcnemd.thermo import calphad, diagram, from_tdb, precheck, tdb
from hpcnemd.thermo.errors import DatabaseSyntax

SPEC = importlib.util.find_spec("pycalphad")                # found, not imported: ranks that collect this file need not wait for it
FOLDER = Path(SPEC.origin if SPEC else ".").parent / "tests" / "databases"
FEW = ("alzn_mey", "cumg", "alni_dupin_2001", "diffusion")
ALZN = FOLDER / "alzn_mey.tdb"
pytestmark = pytest.mark.skipif(not ALZN.exists(), reason="no pycalphad, or one without its data files")
R_OLD = calphad.PYCALPHAD_GAS_CONSTANT


def same(path):
    """Phases with their constituents, functions, elements and parameters as pycalphad reads them."""
    import pycalphad
    ours = tdb.read(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pycalphad.Database(str(path))
    assert set(ours.functions) == set(theirs.symbols) and set(ours.elements) == set(theirs.elements)
    assert {n: [sorted(s) for s in e.constituents] for n, e in ours.phases.items()} == {n: [sorted(s.name for s in c) for c in e.constituents] for n, e in theirs.phases.items()}
    assert {n: e.sites for n, e in ours.phases.items()} == {n: tuple(float(s) for s in e.sublattices) for n, e in theirs.phases.items()}
    symmetric = any(set(e.options) & set("FB") for e in ours.phases.values())
    assert len(ours.parameters) == len(theirs._parameters) or symmetric      # pycalphad writes out the parameters of symmetric sublattices


@pytest.mark.parametrize("name", FEW)
def test_the_reader_agrees_with_pycalphad(name):
    same(FOLDER / f"{name}.tdb")


@pytest.mark.slow
def test_the_reader_agrees_with_pycalphad_on_the_whole_collection():
    """All that are TDB files; one has a stray quotation mark in front of a PARAMETER, which is refused with its line."""
    refused = []
    for path in sorted(FOLDER.glob("*.tdb")):
        try:
            tdb.read(path)
        except DatabaseSyntax as refusal:
            refused.append((path.stem, refusal.line))
            continue
        same(path)
    assert refused == [("crtiv_ghosh", 182)]


def test_a_parameter_that_would_be_dropped_is_found():
    """In one of those files two parameters of a gas name constituents that the phase does not have."""
    problems = precheck.check_file(tdb.read(FOLDER / "alcocrni.tdb"))
    assert {line for _, _, line in problems} == {245, 246} and all("dropped" in text for _, text, _ in problems)


def aluminium_zinc(engine):
    return calphad.System(ALZN, ["AL", "ZN"], ["LIQUID", "FCC_A1", "HCP_A3"], engine, R_OLD)


def test_topic_14_aluminium_zinc():
    """Eutectic and monotectoid of own code: pycalphad changes its phases within 2e-4 K (target 1e-3 K), at the same three compositions to 1e-5."""
    phases = from_tdb.binary_phases(tdb.read(ALZN), ("AL", "ZN"), ["LIQUID", "FCC_A1", "HCP_A3"], R_OLD)
    found = diagram.map_diagram(phases, np.arange(500.0, 700.0, 20.0), R_OLD)
    three, theirs = [i for i in found.invariants if len(i.x) == 3], aluminium_zinc("pycalphad")
    assert [i.phases for i in three] == [("FCC_A1", "FCC_A1", "HCP_A3"), ("FCC_A1", "LIQUID", "HCP_A3")]
    for inv in three:
        # just above, both tie lines of the phase that ends; just below, the one over it
        for off, at, ends in ((2e-4, 0.5 * sum(inv.x[:2]), inv.x[:2]), (2e-4, 0.5 * sum(inv.x[1:]), inv.x[1:]), (-2e-4, inv.x[1], inv.x[::2])):
            t = inv.temperature + off
            answer = theirs.point(theirs.check({"T": t, "P": 101325.0, "X": {"ZN": at}}), t, 101325.0, {"ZN": at})
            assert sorted(x["ZN"] for _, _, x in answer["phases"]) == pytest.approx(ends, abs=1e-5)


def test_topic_15_lever_rule_of_aluminium_zinc():
    """The FCC gap at 600 K, x = 0.4: amounts and compositions of own code are those of pycalphad."""
    ours, theirs = (sorted((x["ZN"], f) for _, f, x in s.point(s.check({"T": 600.0, "P": 101325.0, "X": {"ZN": 0.4}}), 600.0, 101325.0, {"ZN": 0.4})["phases"])
                    for s in map(aluminium_zinc, ("own", "pycalphad")))
    assert np.allclose(ours, theirs, rtol=0, atol=1e-7)
    assert [f for _, f in ours] == pytest.approx((0.33725, 0.66275), abs=2e-5)


@pytest.mark.parametrize("count", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_topic_19_random_aluminium_zinc_points(count):
    ours, theirs = aluminium_zinc("own"), aluminium_zinc("pycalphad")
    rng = np.random.default_rng(60)
    for t, x in zip(rng.uniform(350.0, 1100.0, count), rng.uniform(0.02, 0.98, count)):
        conditions = {"T": float(t), "P": 101325.0, "X": {"ZN": float(x)}}
        a, b = (s.point(s.check(conditions), float(t), 101325.0, {"ZN": float(x)}) for s in (ours, theirs))
        pa, pb = (sorted((n, xs["ZN"]) for n, _, xs in found["phases"]) for found in (a, b))
        assert [n for n, _ in pa] == [n for n, _ in pb]
        assert [v for _, v in pa] == pytest.approx([v for _, v in pb], abs=1e-6)
        assert a["mu"]["AL"] == pytest.approx(b["mu"]["AL"], abs=1e-4) and a["mu"]["ZN"] == pytest.approx(b["mu"]["ZN"], abs=1e-4)
