"""The same trajectory through MDAnalysis and kinisi and through `hpcnemd analyse`: tracer diffusion and collective conductivity.

kinisi has needs of its own, so it runs in an environment of its own: python -m venv PEERS; PEERS/bin/pip install kinisi ase;
HPCNEMD_KINISI=PEERS/bin/python python -m pytest tests/peers. Without it, or without MDAnalysis, a test says so and is skipped."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from walking_ions import COUNT, EDGES, SAMPLE, TEMPERATURE, TRACER, sigma, walk, write_dump, write_extxyz

from hpcnemd.app.analyse import result_of
from hpcnemd.app.main import build_parser
from hpcnemd.core.units import BOLTZMANN, SIEMENS_PER_METRE

STEPS, FIRST = 1500, 2000.0         # frames; lag at which lines begin, fs


@pytest.fixture(scope="module")
def places():
    return walk(np.random.default_rng(61), STEPS)


@pytest.fixture(scope="module")
def ours(places, tmp_path_factory):
    path = tmp_path_factory.mktemp("ours") / "run.dump"
    write_dump(path, places, "x y z")
    arguments = ["analyse", str(path), "--temperature", f"{TEMPERATURE} K", "--charges", "Li=1", "--mobile", "Li", "--types", "Li,Cl", "--timestep", "2 fs"]
    return result_of(build_parser().parse_args(arguments))[0].numbers


def test_mean_squared_displacements_are_those_of_mdanalysis(places, ours):
    """EinsteinMSD of the same ions about the same framework: the slope is the same trajectory's, so that the two differ by the choice of lags and origins alone:
    half a standard error for the tracer, one for the charge, and both hold the exact value within 4 (correct code fails in less than 0.1 % of the seeds)."""
    MDAnalysis = pytest.importorskip("MDAnalysis", reason="MDAnalysis is not installed: pip install -e '.[test]'")
    from MDAnalysis.analysis.msd import EinsteinMSD
    moved = places[:, :COUNT] - places[:, COUNT:].mean(axis=1, keepdims=True)           # all ions of the framework have one mass
    universe = MDAnalysis.Universe.empty(COUNT, trajectory=True)
    universe.load_new(moved.astype(np.float32), dt=SAMPLE / 1000)
    tracer = EinsteinMSD(universe, select="all", msd_type="xyz", fft=False).run().results.timeseries
    lags = np.arange(len(tracer)) * SAMPLE
    part = (lags >= FIRST) & (lags <= 4000.0)
    slope = np.polyfit(lags[part], tracer[part], 1)[0] / 6
    found = ours["diffusion"]["Li"]
    assert abs(slope - found["value"]) < 2 * found["error"] and abs(slope - TRACER) < 4 * found["error"]
    # the charge of all ions as one particle: EinsteinMSD of it is the mean squared charge displacement
    whole = MDAnalysis.Universe.empty(1, trajectory=True)
    whole.load_new(moved.sum(axis=1, keepdims=True).astype(np.float32), dt=SAMPLE / 1000)
    charge = EinsteinMSD(whole, select="all", msd_type="xyz", fft=False).run().results.timeseries
    window = ours["equilibrium"]["window_fs"]
    half, end = int(window / 2 / SAMPLE), int(window / SAMPLE)
    value = SIEMENS_PER_METRE * (charge[end] - charge[half]) / ((end - half) * SAMPLE) / (6 * EDGES.prod() * BOLTZMANN * TEMPERATURE)
    assert value == pytest.approx(ours["equilibrium"]["green_kubo"]["value"], rel=2e-4)         # the same average; MDAnalysis holds positions in 32 bits


def test_diffusion_and_conductivity_agree_with_kinisi(places, ours, tmp_path):
    """Tracer and collective values within 3 standard errors of both together, and both hold the exact values within 4: they share their data, so correct code
    fails far less often than in the 0.3 % of independent values."""
    python = os.environ.get("HPCNEMD_KINISI")
    if not python:
        pytest.skip("HPCNEMD_KINISI does not name a Python that has kinisi and ase")
    write_extxyz(tmp_path / "run.extxyz", places)
    script = Path(__file__).with_name("kinisi_of_extxyz.py")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([python, str(script), str(tmp_path / "run.extxyz"), str(SAMPLE), str(FIRST), str(TEMPERATURE), "10000"], capture_output=True, text=True,
                          env=environment)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])
    print(theirs, ours["diffusion"]["Li"], ours["conductivity"])
    pairs = ((theirs["diffusion_cm2_per_s"], ours["diffusion"]["Li"]["cm2_per_s"], ours["diffusion"]["Li"]["error_cm2_per_s"], 0.1 * TRACER),
             (theirs["sigma_S_per_m"], ours["conductivity"]["value"], ours["conductivity"]["error"], sigma()))
    for their, value, error, exact in pairs:
        assert abs(their["value"] - value) < 3 * np.hypot(their["error"], error)
        assert abs(their["value"] - exact) < 4 * their["error"] and abs(value - exact) < 4 * error
