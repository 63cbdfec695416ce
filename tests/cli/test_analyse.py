"""`hpcnemd analyse` on trajectories whose conductivity is known, in the formats of other programs."""
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import walking_ions
from walking_ions import COLLECTIVE, COUNT, EDGES, SAMPLE, TEMPERATURE, TRACER, sigma, walk, write_dump, write_extxyz

from hpcnemd.analysis.unwrapping import Unwrapper
from hpcnemd.app.analyse import result_of
from hpcnemd.app.main import build_parser, main
from hpcnemd.core.errors import InputError
from hpcnemd.storage import foreign

STEPS = 1200
GIVEN = ["--temperature", f"{TEMPERATURE} K", "--charges", "Li=1,Cl=-2", "--mobile", "Li"]


@pytest.fixture(scope="module")
def places():
    return walk(np.random.default_rng(51), STEPS)


def analysed(path, *more):
    """The numbers, without figures and page."""
    return result_of(build_parser().parse_args(["analyse", str(path), *GIVEN, *more]))[0].numbers


def refused(path, capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["analyse", str(path), *arguments])
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.fixture(scope="module")
def from_dump(places, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dump")
    write_dump(folder / "run.dump", places)
    with pytest.raises(SystemExit) as ended:
        main(["analyse", str(folder / "run.dump"), "--output", str(folder / "out"), *GIVEN, "--types", "Li,Cl", "--timestep", "2 fs"])
    assert not ended.value.code
    return json.loads((folder / "out" / "report" / "numbers.json").read_text()), folder


def test_conductivity_tracers_and_haven_ratio_are_those_of_the_walk(from_dump):
    """One trajectory of 60 ps: within 4 standard errors (correct code fails in less than 0.1 % of the seeds)."""
    numbers, folder = from_dump
    found = numbers["conductivity"]
    assert abs(found["value"] - sigma()) < 4 * found["error"] and found["error"] < 0.25 * sigma()
    tracer = numbers["diffusion"]["Li"]
    assert abs(tracer["value"] - TRACER) < 4 * tracer["error"] and tracer["error"] < 0.25 * TRACER
    ratio = numbers["haven_ratio"]
    assert abs(ratio["value"] - 1 / COLLECTIVE) < 4 * ratio["error"] and ratio["value"] < 0.4
    assert numbers["onsager"]["reference"] == "framework (Cl)" and set(numbers["methods"]["estimates"]) >= {"spectrum", "Bayesian line"}
    assert numbers["trajectory"]["frames"] == STEPS + 1 and numbers["trajectory"]["interval_fs"] == SAMPLE
    page = (folder / "out" / "report" / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 5 and "run.dump" in page


@pytest.mark.parametrize("columns", (pytest.param("x y z", marks=pytest.mark.slow), pytest.param("xu yu zu", marks=pytest.mark.slow), "xs ys zs ix iy iz"))
def test_other_columns_of_a_dump_are_the_same_trajectory(columns, places, from_dump, tmp_path):
    write_dump(tmp_path / "other.dump", places, columns)
    numbers = analysed(tmp_path / "other.dump", "--types", "Li,Cl", "--timestep", "2 fs")
    assert numbers["conductivity"]["value"] == pytest.approx(from_dump[0]["conductivity"]["value"], rel=1e-5)
    assert numbers["diffusion"]["Li"]["value"] == pytest.approx(from_dump[0]["diffusion"]["Li"]["value"], rel=1e-5)


@pytest.mark.slow
def test_extxyz_is_the_same_trajectory(places, from_dump, tmp_path):
    write_extxyz(tmp_path / "run.extxyz", places)
    numbers = analysed(tmp_path / "run.extxyz", "--interval", f"{SAMPLE} fs")
    assert numbers["conductivity"]["value"] == pytest.approx(from_dump[0]["conductivity"]["value"], rel=1e-4)
    assert 0.05 < numbers["trajectory"]["farthest_step_in_periods"] < 0.4


def test_a_breathing_cell_adds_no_diffusion():
    """Scaled coordinates that walk, in a cell that fluctuates by 2 %: the displacement is that of the mean cell to the size of the fluctuation, whether images
    are stored or not; unwrapping by image x edges would carry 2 % of the whole distance travelled as noise of every frame."""
    rng = np.random.default_rng(52)
    scaled = rng.random((5, 3)) + np.cumsum(rng.normal(0.03, 0.01, (4000, 5, 3)), axis=0)           # 120 periods in each direction
    edges = EDGES * (1 + 0.02 * rng.standard_normal((4000, 3)))
    wanted = (scaled[-1] - scaled[0]) * EDGES
    for known in (True, False):
        walker, moved = Unwrapper(), []
        for s, cell in zip(scaled, edges):
            image = np.floor(s)
            moved.append(walker.add(foreign.Frame((s - image) * cell, np.diag(cell), image if known else None)))
        assert moved[-1] == pytest.approx(wanted, rel=2e-3)                                     # 2 % / sqrt(4000) = 0.03 %, and its correlation with the steps
        jumps = np.diff(np.array(moved), axis=0)
        assert np.abs(jumps).max() < 0.1 * EDGES.max()                                          # image x edges would jump by 120 x 2 % of an edge
    naive = scaled[-1] * edges[-1] - scaled[-2] * edges[-2]
    assert np.abs(naive).max() > 0.3 * EDGES.max()


def test_a_triclinic_cell_is_unwrapped_along_its_own_edges():
    rng = np.random.default_rng(53)
    cell = np.array([[10.0, 0, 0], [3.0, 9.0, 0], [-2.0, 1.0, 8.0]])
    scaled = rng.random((7, 3)) + np.cumsum(rng.normal(0, 0.05, (300, 7, 3)), axis=0)
    walker = Unwrapper()
    for s in scaled:
        moved = walker.add(foreign.Frame(np.mod(s, 1.0) @ cell, cell))
    assert moved == pytest.approx((scaled[-1] - scaled[0]) @ cell, abs=1e-9)


def test_frames_that_are_too_far_apart_are_refused(places, tmp_path, capsys):
    jumping = places[:100] + np.where(np.arange(100)[:, None, None] % 2, 0.0, 0.45) * EDGES * (np.arange(places.shape[1]) == 3)[None, :, None]
    write_extxyz(tmp_path / "jump.extxyz", jumping)
    text = refused(tmp_path / "jump.extxyz", capsys, *GIVEN, "--interval", "50")
    assert "particle 3 moves 0.4" in text and "more often" in text


def test_what_the_file_does_not_tell_is_asked_for(places, tmp_path, capsys):
    write_dump(tmp_path / "run.dump", places[:80], "xu yu zu")
    write_extxyz(tmp_path / "run.extxyz", places[:80])
    types, clock = ["--types", "Li,Cl"], ["--timestep", "2 fs"]
    assert "--temperature \"900 K\"" in refused(tmp_path / "run.extxyz", capsys)
    assert "--interval" in refused(tmp_path / "run.extxyz", capsys, *GIVEN)
    assert "--types Li,O" in refused(tmp_path / "run.dump", capsys, *GIVEN, *clock)
    assert "or --timestep" in refused(tmp_path / "run.dump", capsys, *GIVEN, *types)
    assert "no charge is known of Li" in refused(tmp_path / "run.dump", capsys, "--temperature", "900", "--mobile", "Li", *types, *clock)
    assert "no species Na" in refused(tmp_path / "run.dump", capsys, "--temperature", "900", "--charges", "Na=1", *types, *clock)
    assert "sum to" in refused(tmp_path / "run.dump", capsys, "--temperature", "900", "--charges", "Li=1,Cl=-1", *types, *clock)
    assert "write species=charge" in refused(tmp_path / "run.dump", capsys, "--temperature", "900", "--charges", "Li", *types, *clock)
    assert "at least 64" in refused(tmp_path / "run.dump", capsys, *GIVEN, *types, *clock, "--skip", "2 ps")
    assert "no such file" in refused(tmp_path / "absent.dump", capsys, *GIVEN)
    (tmp_path / "text.dump").write_text("nothing of that kind\n")
    assert "cannot be read as lammps" in refused(tmp_path / "text.dump", capsys, *GIVEN)


def test_a_dump_that_was_cut_off_is_read_as_far_as_it_goes(places, tmp_path):
    write_dump(tmp_path / "run.dump", places[:30], "xu yu zu", cut=700)
    source = foreign.open_frames(tmp_path / "run.dump", "lammps", ("Li", "Cl"))
    frames = list(source.frames)
    assert len(frames) == 29 and source.species == ["Li"] * COUNT + ["Cl"] * walking_ions.FRAME
    with pytest.raises(InputError, match="another|ASE|lammps|no column"):
        foreign.open_frames(tmp_path / "run.dump", "h5md")
