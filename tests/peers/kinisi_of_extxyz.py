"""Run by a Python that has kinisi: tracer diffusion and collective conductivity of an extxyz trajectory, as JSON.

python kinisi_of_extxyz.py FILE INTERVAL_FS FIRST_LAG_FS TEMPERATURE_K LAST_LAG_FS"""
import json
import sys

import numpy as np
import scipp as sc
from ase.io import read
from kinisi.analyze import ConductivityAnalyzer, DiffusionAnalyzer

file, interval, first, temperature, last = sys.argv[1], *(float(word) for word in sys.argv[2:6])
frames = read(file, index=":")
lags = sc.array(dims=["time interval"], values=np.arange(round(first / interval), round(last / interval) + 1, 4) * interval / 1000, unit="ps")
common = {"trajectory": frames, "specie": "Li", "time_step": sc.scalar(interval / 1000, unit="ps"), "step_skip": sc.scalar(1.0, unit="dimensionless"), "dt": lags, "progress": False}
seed = np.random.RandomState(1)
tracer = DiffusionAnalyzer.from_ase(**common)
tracer.diffusion(sc.scalar(first / 1000, unit="ps"), progress=False, random_state=seed)
charge = ConductivityAnalyzer.from_ase(**common, ionic_charge=sc.scalar(1.0, unit=sc.Unit("e")))
charge.conductivity(sc.scalar(first / 1000, unit="ps"), sc.scalar(temperature, unit="K"), progress=False, random_state=seed)


def told(samples, unit):
    values = sc.array(dims=["samples"], values=np.asarray(samples.values), unit=samples.unit).to(unit=unit).values
    return {"value": float(np.mean(values)), "error": float(np.std(values))}


print(json.dumps({"diffusion_cm2_per_s": told(tracer.D, "cm^2/s"), "sigma_S_per_m": told(charge.sigma, "S/m")}))
