"""Free ions in a Langevin bath, sampled exactly: the system whose conductivity is n q^2 / (m gamma), and ensemble arrays made of it."""
import math

import numpy as np
from scipy.signal import lfilter

from hpcnemd.core.units import BOLTZMANN, MASS, SIEMENS_PER_METRE

VOLUME, TEMPERATURE, COUNT, FRICTION = 5000.0, 1000.0, 56, 1 / 50.0        # angstrom^3, K, ions of charge 1, 1/fs
ION_MASS = 6.94 * MASS
KT = BOLTZMANN * TEMPERATURE
INSIDE = COUNT / (VOLUME * ION_MASS * FRICTION)         # e^2/(eV angstrom fs)
EXACT = SIEMENS_PER_METRE * INSIDE                      # S/m


def displacement(rng, steps, step, shape=(), count=COUNT):
    """Charge displacement along one axis of `count` ions at steps + 1 equal times: (*shape, steps + 1) e angstrom. The pair (velocity, displacement)
    of an Ornstein-Uhlenbeck process is drawn from its exact joint Gaussian, so that any step is right."""
    spread, decay = count * KT / ION_MASS, math.exp(-FRICTION * step)
    vv, xv = spread * (1 - decay ** 2), spread / FRICTION * (1 - decay) ** 2
    xx = spread / FRICTION ** 2 * (2 * FRICTION * step - 3 + 4 * decay - decay ** 2)
    kicks = rng.standard_normal((*shape, steps, 2)) @ np.linalg.cholesky([[vv, xv], [xv, xx]]).T
    start = math.sqrt(spread) * rng.standard_normal((*shape, 1))
    after, _ = lfilter([1.0], [1.0, -decay], kicks[..., 0], axis=-1, zi=decay * start)
    before = np.concatenate([start, after[..., :-1]], axis=-1)
    path = np.cumsum((1 - decay) / FRICTION * before + kicks[..., 1], axis=-1)
    return np.concatenate([np.zeros((*shape, 1)), path], axis=-1)


def drive_for(entropy, block):
    """(J0, E) that produce this much entropy (k_B) in a block of `block` fs."""
    field = math.sqrt(entropy * KT / (INSIDE * VOLUME * block))
    return INSIDE * VOLUME * field, field


def ensemble(rng, mode, replicas=2, blocks=40, block=2000.0, sample=20.0, entropy=50.0):
    """(arrays, attributes) as an ensemble file of such a run gives them; a framework of 112 heavy ions at rest is thought beside."""
    current, field = drive_for(entropy, block) if entropy and mode != "zero_current" else (0.0, 0.0)
    per_block = int(block / sample)
    path = displacement(rng, blocks * per_block, sample, (replicas, 3))
    shape = (replicas, blocks)
    series = np.zeros((replicas, blocks * per_block + 1))
    if mode in ("constant_current", "zero_current"):
        # with J held, the field balances friction and noise: white, mean J0/(sigma V), zero-frequency noise 2 k_B T/(sigma V)
        pushes = rng.normal(current * sample / (INSIDE * VOLUME), math.sqrt(2 * KT * sample / (INSIDE * VOLUME)), (replicas, blocks * per_block))
        impulse = pushes.reshape(*shape, per_block).sum(axis=2)
        series[:, 1:] = pushes.cumsum(axis=1)
        path[:, 0] = current * sample * np.arange(blocks * per_block + 1)
    else:
        field = field if mode == "constant_field" else 0.0
        path[:, 0] += INSIDE * VOLUME * field * sample * np.arange(blocks * per_block + 1)
        impulse = np.full(shape, field * block)
    vector = np.diff(path[:, :, ::per_block], axis=2).transpose(0, 2, 1) / block
    work = impulse * vector[:, :, 0]
    energy = rng.normal(0.0, 0.3, (replicas, blocks + 1))
    ledger = rng.normal(0.0, 1e-4, (replicas, blocks + 1))
    change, error = np.diff(energy, axis=1), np.diff(ledger, axis=1)
    kelvin = rng.normal(TEMPERATURE, [15.0, 12.0], (*shape, 2))
    lags = 100.0 * np.arange(1, 41)
    diffusion = KT / (ION_MASS * FRICTION)
    msd = np.zeros((replicas, len(lags), 2))
    msd[:, :, 0] = 6 * diffusion * (lags - (1 - np.exp(-FRICTION * lags)) / FRICTION) * rng.normal(1.0, 0.02, (replicas, 1))
    msd[:, :, 1] = 0.05
    arrays = {"blocks_done": np.full(replicas, blocks), "impulse": impulse, "current": vector[:, :, 0].copy(), "current_vector": vector, "work": work,
              "heat": work - change + error, "energy_change": change, "ledger_error": error, "kinetic": rng.normal(21.7, 0.1, shape),
              "potential": rng.normal(-4100.0, 0.5, shape), "temperature": kelvin.mean(axis=2), "temperature_species": kelvin,
              "pressure": rng.normal(0.1, 0.02, (*shape, 3, 3)), "drift": np.zeros(shape), "displacement_current": path.transpose(0, 2, 1), "msd": msd, "impulse_series": series}
    attrs = {"mode": mode, "temperature": TEMPERATURE, "volume": VOLUME, "block": block, "sample": sample, "timestep": 2.0, "species": ["Li", "X"],
             "counts": [COUNT, 28], "charges": [1.0, -2.0], "mobile": ["Li"], "axis": np.array([1.0, 0.0, 0.0]), "lags": lags}
    return arrays, attrs
