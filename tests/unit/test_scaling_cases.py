"""The benchmark's cases, records and model: what they are made of, not how fast they run."""
import sys
from pathlib import Path

import numpy as np
import pytest

SCALING = Path(__file__).resolve().parents[2] / "scaling"


@pytest.fixture(autouse=True)
def scaling_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(SCALING))
    yield
    for name in ("cases", "phases", "peers", "quiet", "ours", "accuracy", "bench", "chains", "model", "processes", "threads", "vectors", "weights"):
        sys.modules.pop(name, None)


def test_cases_hold_the_particles_that_their_names_say():
    import cases
    for case in cases.CASES.values():
        if np.prod(case.cells) <= 27:
            assert len(cases.structure_of(case).positions) == int(case.name.split("_")[1])
    wide, one = cases.case_of("nacl_216_x3"), cases.case_of("nacl_216")
    assert len(cases.structure_of(wide).positions) == 3 * 216
    assert cases.structure_of(wide).box.lengths[0] == pytest.approx(3 * cases.structure_of(one).box.lengths[0])


def test_an_unknown_case_is_told_which_exist():
    import cases
    with pytest.raises(KeyError, match="llzo_1536"):
        cases.case_of("llzo_1537")


def test_phases_add_up_to_the_step_and_leave_the_engine_as_it_was():
    import hpcnemd.dynamics.loop as loop
    import cases
    import ours
    from hpcnemd.parallel.serial import SerialComm
    before = loop.open_half, loop.refresh
    case = cases.case_of("nacl_216")
    found = ours.details(case, cases.system_of(case), SerialComm(), 10)
    assert {"pair", "mesh_transform", "integrate", "ghosts", "loop"} <= set(found["phases"])
    assert min(found["phases"].values()) >= 0 and found["phases"]["pair"] > 0
    assert (loop.open_half, loop.refresh) == before


def test_the_reference_tells_a_coarse_mesh_from_a_fine_one():
    import accuracy
    import cases
    case = cases.case_of("nacl_216")
    coarse, fine = cases.system_of(case, 1e-3), cases.system_of(case, 1e-6)
    reference, _ = accuracy.reference_of(case, fine)
    errors = [accuracy.error(accuracy.forces_of(one, settings=one.coulomb), reference) for one in (coarse, fine)]
    assert 1e-5 < errors[0] < 3e-3 and errors[1] < 0.05 * errors[0]


def test_lammps_gets_the_parameters_of_the_table():
    import cases
    import peers
    case = cases.case_of("llzo_192")
    system = cases.system_of(case)
    lines = peers._pair_lines(case, system)
    names = system.kinds.names
    a, b = sorted((names.index("Zr"), names.index("O")))
    line = next(text for text in lines if text.startswith(f"pair_coeff {a + 1} {b + 1} "))
    assert [float(x) for x in line.split()[3:]] == pytest.approx([985.869, 0.3760, 0.0])


def test_the_model_finds_the_coefficients_that_made_the_times():
    import model
    true = np.array([2e-9, 1e-9, 3e-8, 1e-8, 5e-10, 2e-9, 1e-4])
    lines = []
    for name, mesh in (("nacl_216", 12), ("nacl_216_x2", 16), ("nacl_216_x4", 20), ("llzo_192", 14), ("llzo_192_x2", 18), ("llzo_192_x3", 24), ("nacl_1728", 24)):
        line = {"case": name, "particles": 0, "ranks": 1, "quiet": True, "coulomb": {"mesh": [mesh] * 3, "order": 8}}
        import cases
        line["particles"] = len(cases.structure_of(cases.case_of(name)).positions)
        line["atom_steps_per_s"] = [line["particles"] / model.predict(true, model.work_of(line))]
        lines.append(line)
    found = model.fit(lines[:-1])
    assert model.predict(found, model.work_of(lines[-1])) == pytest.approx(model.seconds_of(lines[-1]), rel=0.02)


def test_the_model_finds_waiting_and_bandwidth():
    import cases
    import model
    true, lines = np.array([2e-9, 1e-9, 3e-8, 1e-8, 5e-10, 2e-9, 1e-4]), []
    for name, mesh, grid in (("nacl_216", 12, [2, 1, 1]), ("llzo_192", 14, [2, 1, 1]), ("nacl_1728", 24, [2, 2, 1]), ("nacl_1728", 30, [2, 1, 1])):
        line = {"case": name, "particles": len(cases.structure_of(cases.case_of(name)).positions), "ranks": int(np.prod(grid)), "grid": grid, "quiet": True,
                "coulomb": {"mesh": [mesh] * 3, "order": 8}}
        line["atom_steps_per_s"] = [line["particles"] / model.predict(true, model.work_of(line), 3e-6, 2e9)]
        lines.append(line)
    assert model.fit_messages(true, lines) == pytest.approx((3e-6, 2e9), rel=1e-6)


def test_weights_are_found_again_in_times_made_from_them():
    import weights
    want = {"ENTRY": 2000.0, "POINT": 40.0, "PARTICLE": 9000.0}
    runs = [{"entries": e, "points": p, "particles": n, "pairs": 1e-11 * (2000 * e + 5000 * n), "mesh": 1e-11 * (40 * p + 1000 * n), "sweeps": 1e-11 * 3000 * n}
            for e, p, n in ((50_000, 512_000, 1000), (90_000, 216_000, 1500), (30_000, 900_000, 2000))]
    found, worst = weights.fit(runs)
    assert found == pytest.approx(want, rel=1e-9) and max(worst.values()) < 1e-9


def test_chains_take_turns_and_their_ratios_are_those_of_the_rates():
    import chains

    class Unused:
        def sample(self):
            pass
    parties = {"hpcnemd": chains.ours("chains_fput", 8, 40 * 8 * chains.SITES), "hpcnemd 8": chains.ours("chains_phi4", 8, 40 * 8 * chains.SITES)}
    assert parties["hpcnemd"][1] == 40 * 8 * chains.SITES
    rates = chains.turns(parties, 3, Unused())
    common = {"revision": "some", "machine": {}}
    line = chains.record("chains_fput", "hpcnemd 8", parties, rates, "site", common)
    assert {"case", "code", "version", "ranks", "precision", "atom_steps_per_s", "atom_steps_per_cpu_s"} <= set(line) and len(line["atom_steps_per_s"]) == 3
    each = [a[1] / b[1] for a, b in zip(rates["hpcnemd 8"], rates["hpcnemd"])]
    assert line["ratio_to_large_cpu"] == [sorted(each)[1], min(each), max(each)]
    rates = {"hpcnemd": [(2.0, 3.0)], "numba": [(1.0, 1.0)]}
    line = chains.record("normals", "numba", {"numba": (None, 1, {})}, rates, "normal", common)
    assert line["ratio_wall"] == [2.0] * 3 and line["ratio_cpu"] == [3.0] * 3 and line["normals_per_s"] == [1.0]


def test_vector_units_do_the_work_that_is_counted():
    """Twelve independent chains of multiply-adds, in as many lanes as a vector has."""
    import vectors
    x = np.arange(1.0, 13.0)
    for _ in range(5):
        x = x * 0.999 + 1e-5
    assert vectors._multiply_adds(5, 1.0) == pytest.approx(vectors.LANES * x.sum(), rel=1e-12)
    clock, rate = vectors.sample(2000)
    assert np.isfinite([clock, rate]).all() and clock > 0 and rate > 0
