"""Error bars of real runs: is the scatter of independent short runs of molten salt what each of them prints?

bash tests/run.sh -m slow tests/physics/test_calibrated_errors.py -s        (the run is kept in runs/acceptance and continued)"""
import numpy as np
import pytest
from test_conductivity_of_salts_and_crystals import RUNS, run

from hpcnemd.analysis.blocks import mean_estimate
from hpcnemd.experiments.ionic_conductivity.estimate import estimate
from hpcnemd.storage import ensemble

REPLICAS = 200
DECK = """experiment = "ionic_conductivity"
[structure]
build = "nacl"
supercell = [2, 2, 2]
density = "1.454 g/cm^3"
[forcefield]
table = "nacl_tosi_fumi"
cutoff = "6 angstrom"
coulomb = { method = "dsf", damping = "0.25 1/angstrom" }
[run]
temperature = "1100 K"
timestep = "4 fs"
equilibrate = "8 ps"
settle = "4 ps"
measure = "40 ps"
blocks = 20
replicas = 200
seed = 31
[drive]
kind = "constant_current"
current_density = "8.725e6 A/cm^2"
mobile = "all"
"""


def single_runs(folder):
    """The Result of every replica by itself, as if it had been the only one."""
    stored = ensemble.read(folder / "ensemble.h5")
    return [estimate({name: array[k:k + 1] for name, array in stored.arrays.items()}, stored.attributes) for k in range(len(stored.status))]


@pytest.mark.slow
def test_errors_of_two_hundred_short_runs_are_calibrated():
    """64 ions, 20 blocks of 2 ps each, constant current. (value - mean)^2 / error^2 of one run is the square of Student's t, whose mean is dof / (dof - 2) and not 1:
    it is divided by that. The reduced chi-square of 200 values is then 1.00 with a scatter of 0.11, and 0.75 to 1.35 is left by right errors in 0.7 % of the
    seeds (4000 sets of Gaussian blocks); this seed was fixed beforehand. Q_TUR of all 4000 blocks is known to 3 %."""
    numbers = run("salt_64_calibration", DECK, RUNS)
    results = single_runs(RUNS / "salt_64_calibration" if (RUNS / "salt_64_calibration").is_dir() else RUNS / "runs" / "salt_64_calibration")
    sigma = [one.sigma for one in results]
    assert all(one is not None for one in sigma) and len(sigma) == REPLICAS
    assert all(one.numbers["length"]["blocks"] == 20 for one in results)
    values, errors, dof = np.array([(one.value, one.error, one.dof) for one in sigma]).T
    squares = ((values - values.mean()) / errors) ** 2
    chi_square = float((squares * (dof - 2) / dof).sum() / (REPLICAS - 1))
    inside = sum(one.low < values.mean() < one.high for one in sigma)
    quality = numbers["Q_TUR"]
    print(f"reduced chi-square {chi_square:.3f} ({squares.sum() / (REPLICAS - 1):.3f} before the factor of Student's t), {inside} of {REPLICAS} intervals hold the mean {values.mean():.1f} S/m; scatter {values.std(ddof=1):.1f}, mean error "
          f"{errors.mean():.1f} S/m; Q_TUR {quality['value']:.3f} +- {quality['error']:.3f} from {numbers['length']['blocks']} blocks")
    assert 0.75 < chi_square < 1.35
    assert 0.7 < quality["value"] < 1.5 and numbers["length"]["blocks"] >= 160
    assert _memory(results) * 5 < 2000.0


def _memory(results):
    """fs: the integrated correlation time of the field is not resolved by blocks of 2 ps; neighbours must be uncorrelated, and the time is then below half a
    block. The correlation of the equilibrium current across the drive, integrated, is the measure: the lag after which it stays below 5 %."""
    time, value = results[0].curves["current_correlation"]
    mean = np.mean([one.curves["current_correlation"][1] for one in results], axis=0)
    late = np.flatnonzero(np.abs(mean) > 0.05)
    assert mean_estimate([row for one in results for row in one.curves["field"]]).value > 0 and len(value) == len(mean)
    return float(time[late[-1]])
