"""What a series makes of the results of its points, from invented results with a known answer: routes, tensor, fits, speed-up, flags, figures."""
import json
import math
from functools import partial

import numpy as np
import pytest

from hpcnemd.analysis import speed_up, tensor
from hpcnemd.analysis.blocks import student
from hpcnemd.app.deck import parse_deck
from hpcnemd.core.units import BOLTZMANN
from hpcnemd.experiments.conductivity_series import estimate, report
from hpcnemd.experiments.conductivity_series.reading import Reading

DECK = """experiment = "conductivity_series"
[structure]
build = "llzo_cubic"
[forcefield]
table = "llzo_buckingham"
[run]
measure = "10 ps"
[drive]
mobile = ["Li"]
[series]
temperatures = ["1000 K", "800 K", "600 K", "500 K"]
supercells = [[1, 1, 1], [2, 2, 2]]
drives = ["constant_current", "constant_field", "none"]
directions = ["x", "y", "z"]
strengths = [0.2, 0.35, 0.5]
expected = { conductivity = "350 S/m", temperature = "1000 K", activation_energy = "0.2 eV" }
[[series.reference]]
temperature = "900 K"
conductivity = "3 S/cm"
error = "20 S/m"
source = "an invented paper, table 2"
[[series.point]]
supercell = [2, 2, 2]
temperature = ["500 K", "600 K"]
leave_out = true
"""
ENERGY, TIME = 0.25, 4e5        # eV, fs of every run
CURVED = 0.3                    # sigma rises by this times x^2
UNIT = np.eye(3)


def sigma_of(temperature):
    return 350e3 / temperature * math.exp(-ENERGY / BOLTZMANN * (1 / temperature - 1 / 1000))


def memory_of(temperature):
    """t* in fs; it grows as the crystal cools."""
    return 2500.0 * math.exp(0.1 / BOLTZMANN * (1 / temperature - 1 / 1000))


def invented(point, rng, relative):
    """A Reading of one point, its conductivity with a Gaussian error of `relative`, twice as large at equilibrium."""
    many = math.prod(point.supercell)
    volume, sigma, rate = 2284.0 * many, sigma_of(point.temperature), None
    numbers = {"length": {"time_fs": TIME}, "verdicts": [{"name": "blocks", "passed": True, "text": ""}],
               "settings": {"counts": [56 * many, 24 * many, 16 * many, 96 * many], "species": ["Li", "La", "Zr", "O"], "mobile": ["Li"], "volume_angstrom3": volume}}
    if point.kind == "none":
        found = Reading(point, "complete", student(sigma * (1 + 2 * relative * rng.standard_normal()), max(2 * relative, 1e-6) * sigma, 60), numbers=numbers)
        found.uncorrelated = student(0.3 * sigma, 0.01 * sigma, 20)
        found.window = memory_of(point.temperature)
        found.windows = speed_up.Cost(2 / (3 * TIME / found.window), 3 * TIME / found.window, TIME)
        numbers["equilibrium"] = {"window_independent": True, "window_fs": 0.75 * found.window}
        if point.temperature == 500:
            numbers["sites"] = {"measurement": {"ordered_along": "24d z", "classes": {}}}
        return found
    x = point.level.value
    field, here = x * 2 * BOLTZMANN * point.temperature / 2.0, sigma * (1 + CURVED * x ** 2)
    rate = here / 1.602176634e6 * field ** 2 * volume / (BOLTZMANN * point.temperature)
    error = math.sqrt(2 / (rate * TIME)) if relative else 1e-6
    value = here * (1 + (error if relative else 0.0) * rng.standard_normal())
    numbers["drive"] = {"linearity_x": x, "hop_length_angstrom": 2.0, "current_density_A_per_cm2": here * field * 1e6, "field_V_per_angstrom": field}
    numbers["entropy_production"] = {"run": student(rate * TIME, 0.02 * rate * TIME, 50, "k_B").as_dict()}
    found = Reading(point, "complete", student(value, error * value, 50), numbers=numbers)
    axis = UNIT["xyz".index(point.direction)]
    found.column = tensor.Column(axis, here * axis + (error * here * rng.standard_normal(3) if relative else 0), (error * here) ** 2 * UNIT, 50)
    return found


def result_of(monkeypatch, relative, seed=1, missing=()):
    deck = parse_deck(DECK).deck
    rng = np.random.default_rng(seed)

    def read(folder, point, hop_length):
        return Reading(point, "missing") if point.name in missing else invented(point, rng, relative)
    monkeypatch.setattr(estimate, "stored_series", lambda folder: deck)
    monkeypatch.setattr(estimate, "read_point", read)
    return estimate.estimate("there")


def test_without_noise_everything_comes_out_exactly(monkeypatch):
    result = result_of(monkeypatch, 0.0)
    assert len(result.cells) == 6 and not result.missing
    for cell in result.cells:
        sigma = sigma_of(cell.temperature)
        # a reciprocal that is straight in x^2 and a sigma that is: the first misses the second by less than (0.3 x^2)^2 = 0.6 %
        assert cell.routes["constant_field"].value == pytest.approx(sigma, rel=1e-6) and cell.routes["constant_current"].value == pytest.approx(sigma, rel=6e-3)
        assert cell.drives["constant_field"].change.value == pytest.approx(CURVED * 0.25) and cell.drives["constant_field"].linear is False
        assert cell.tensors["constant_field", "s0.5"].mean == pytest.approx(sigma * (1 + CURVED * 0.25)) and cell.tensors["constant_current", "s0.2"].isotropy[2] > 0.99
        assert bool(cell.left_out) == (cell.temperature == 500)
    small = result.fits[1, 1, 1]
    assert small["none"].activation_energy.value == pytest.approx(ENERGY, abs=1e-9) and len(small["none"].line.variances) == 3     # 500 K is left out
    assert small["constant_field"].line.at(300.0).value == pytest.approx(sigma_of(300.0), rel=1e-6)
    assert small["nernst_einstein"].line.at(700.0).value == pytest.approx(0.3 * sigma_of(700.0), rel=1e-9)


def test_the_speed_up_is_the_law_and_its_goal_is_where_the_law_says(monkeypatch):
    result = result_of(monkeypatch, 0.02)
    strongest = {(one.supercell, one.temperature): one for one in result.speed.strongest()}
    assert all(one.strength == 0.5 and one.route == "constant_current" for one in strongest.values()) and len(strongest) == 6
    for one in result.speed.entries:
        assert one.measured.value == pytest.approx(one.law.value, rel=1e-6)     # the invented errors are those of the law
    small, large = strongest[(1, 1, 1), 1000.0], strongest[(2, 2, 2), 1000.0]
    assert large.law.value == pytest.approx(8 * small.law.value)
    goal = next(one for one in result.speed.goals if one.supercell == (1, 1, 1) and one.temperature == 1000.0)
    assert goal.ions == pytest.approx(192 * 100 / small.law.value) and goal.repeat ** 3 * 192 == pytest.approx(goal.ions)
    # S = sigma E^2 V t* / 3 k_B T with E proportional to T: sigma T goes down with 0.25 eV, t* up with 0.1 eV
    slope = math.log(strongest[(1, 1, 1), 600.0].law.value / small.law.value) / (1 / 600 - 1 / 1000) * BOLTZMANN
    assert slope == pytest.approx(-0.15, abs=1e-6)
    crossing = result.speed.crossings[2, 2, 2]
    assert crossing[0] == pytest.approx(1 / (1 / 1000 + BOLTZMANN / 0.15 * math.log(large.law.value / 100)), rel=1e-3) and crossing[1] < crossing[0] < crossing[2]
    assert result.speed.crossings[1, 1, 1] is None      # the line does not reach 100 at any temperature
    assert set(result.speed.over_tracers) == {(1, 1, 1)}        # two temperatures are too few for an error
    each = [one.over_tracers.value for one in strongest.values() if one.supercell == (1, 1, 1)]
    mean = result.speed.over_tracers[1, 1, 1]
    assert mean.value == pytest.approx(sum(each) / len(each)) and mean.dof == len(each) - 1 == 3
    for one in strongest.values():          # runs of equal length: Nernst-Einstein to a thirtieth, the drive to sqrt(2 / entropy)
        assert one.over_tracers.value == pytest.approx(30.0**-2 / (2 / (3 * one.law.value / one.window * TIME)), rel=1e-6)


def test_routes_agree_where_they_do_and_are_told_where_not(monkeypatch):
    """24 cells with honest errors: chi-square of all is below its 0.1 % point; a route that is 30 % off is found in every one."""
    found = [cell.agreement for seed in range(4) for cell in result_of(monkeypatch, 0.03, seed).cells]
    assert sum(one[2] for one in found) < 85 and {one[3] for one in found} == {2}      # chi-square of 48 degrees of freedom: 84.0 at 0.1 %
    honest = sigma_of
    monkeypatch.setattr(estimate, "read_point", None)
    cells = result_of(monkeypatch, 0.03).cells
    for cell in cells:
        cell.routes["none"] = student(1.5 * honest(cell.temperature), 0.03 * honest(cell.temperature), 60)
        assert estimate.agreement([estimate._log(one) for route, one in cell.routes.items() if route != "nernst_einstein"])[4] < 1e-4


def test_an_equilibrium_run_that_still_remembers_is_not_compared(monkeypatch):
    read = invented

    def remembering(point, rng, relative):
        found = read(point, rng, relative)
        if point.kind == "none":
            found.numbers["equilibrium"]["window_independent"] = False
        return found
    monkeypatch.setitem(globals(), "invented", remembering)
    result = result_of(monkeypatch, 0.02)
    assert all("none" not in cell.routes and cell.agreement[3] == 1 for cell in result.cells) and all(one.bounded for one in result.speed.entries)


def test_the_page_says_it_all_and_what_is_missing(monkeypatch, tmp_path):
    result = result_of(monkeypatch, 0.02, missing=("800K_1x1x1_equilibrium",))
    (tmp_path / "deck.toml").write_text(DECK)
    monkeypatch.setattr(report, "draw_figures", partial(report.draw_figures, formats=("png",)))
    page = report.write(result, tmp_path).read_text()
    assert "800K_1x1x1_equilibrium" in page and "an invented paper, table 2" in page
    assert {path.name for path in (tmp_path / "report").glob("*.png")} == {"arrhenius.png", "speed_up.png", "routes.png", "drives.png"}
    numbers = json.loads((tmp_path / "report" / "numbers.json").read_text())
    assert numbers["points"]["800K_1x1x1_equilibrium"]["state"] == "missing" and len(numbers["cells"]) == 6
    lines = "\n".join(report.summary_lines(result))
    assert "WARN no result yet: 800K_1x1x1_equilibrium" in lines and "500 K, 1x1x1 is left out of the fit: its mobile ions have ordered along 24d z" in lines
    assert "E_a = " in lines and "the law gives 100 with" in lines and "isotropic: chi-square" in lines and lines.isascii()
