"""From the arrays of an ensemble file to the conductivity, its error, what supports it and what speaks against it. No MPI, no files.

Arrays (R replicas, B blocks, T samples, S species; unfinished entries are NaN): `blocks_done` (R,), `impulse`, `current`, `work`, `heat`,
`energy_change`, `ledger_error`, `kinetic`, `potential`, `temperature` (R, B), `temperature_species` (R, B, S), `pressure` (R, B, 3, 3) GPa,
`displacement_current` (R, T, 3), `msd` (R, L, S) angstrom^2 of three axes, or (R, L, S, 3); optional `species_displacement` (R, T, S, 3) angstrom.
Attributes: `mode` (none, zero_current, constant_field, constant_current), `temperature` K, `volume` angstrom^3, `block`, `sample`, `timestep` fs, `species`, `counts`,
`charges` (formal, e), `mobile` (names), `axis` (3,) unit vector of the drive, `lags` fs; optional `mass` (S,), `hop_length` angstrom, `target` (relative error
wished for), `until_error` (the same, where the run was to stop at it).
Units inside: e, angstrom, fs, eV, K; conductivities in S/m.
"""
import json
import math
from dataclasses import dataclass, field

import numpy as np

from ...analysis import blocks, conductivity, einstein
from ...core.units import BOLTZMANN, SIEMENS_PER_METRE, in_unit
from . import all_lags, cell, columns, correlated, methods, verdicts, zero_current

HOP_LENGTH = 2.0        # angstrom: a Li-Li site distance in garnets
LEAST_MEMORY = 2000.0   # fs: ions rattle and hop back for 1 to 2 ps in melts and garnets, so shorter windows and blocks are never trusted
TARGET = 0.05           # relative error that a suggestion aims at


@dataclass
class Result:
    """`numbers`: everything that numbers.json holds; `sigma`: Estimate, or None where it was refused for the reasons in `refusals`;
    `verdicts`: list of Verdict; `curves`: arrays for the figures."""
    numbers: dict
    sigma: object
    refusals: list
    verdicts: list
    curves: dict = field(default_factory=dict)

    def to_json(self):
        """The text of numbers.json: sorted keys, shortest exact floats, nothing that depends on time or place."""
        return json.dumps(self.numbers, indent=1, sort_keys=True, allow_nan=False) + "\n"


@dataclass(frozen=True)
class Settings:
    """The attributes in plain Python types."""
    mode: str
    temperature: float
    volume: float
    block: float
    sample: float
    timestep: float
    species: tuple
    counts: tuple
    charges: tuple
    mobile: tuple
    axis: np.ndarray
    lags: np.ndarray
    hop_length: float
    target: float
    until_error: float | None = None
    only: str | None = None         # the species that is driven alone

    @classmethod
    def of(cls, attrs):
        """From the attributes of the file; raises KeyError with the name of what is missing."""
        names = tuple(_text(name) for name in attrs["species"])
        return cls(_text(attrs["mode"]), float(attrs["temperature"]), float(attrs["volume"]), float(attrs["block"]), float(attrs["sample"]),
                   float(attrs["timestep"]), names, tuple(int(n) for n in attrs["counts"]), tuple(float(z) for z in attrs["charges"]),
                   tuple(_text(name) for name in attrs["mobile"]), np.asarray(attrs["axis"], dtype=np.float64),
                   np.asarray(attrs.get("lags", ()), dtype=np.float64), float(attrs.get("hop_length", HOP_LENGTH)), float(attrs.get("target", TARGET)),
                   float(attrs["until_error"]) if "until_error" in attrs else None,
                   _text(attrs["driven_species"]) if "driven_species" in attrs else None)

    @property
    def driven(self):
        return self.mode.startswith("constant")

    @property
    def direction(self):
        """x, y, z, or the three numbers of an oblique axis."""
        for name, unit in zip("xyz", np.eye(3)):
            if np.allclose(self.axis, unit, atol=1e-12):
                return name
        return "[" + ", ".join(f"{x:.4g}" for x in self.axis) + "]"

    def still_axes(self):
        """(k, 3) orthonormal directions that are not driven, and their name."""
        if self.mode == "none":
            return np.eye(3), "xyz"
        if self.direction in ("x", "y", "z"):
            keep = [a for a in range(3) if self.axis[a] == 0.0]
            return np.eye(3)[keep], "".join("xyz"[a] for a in keep)
        return np.linalg.svd(self.axis[None, :])[2][1:], "across"

    @property
    def mobile_charge(self):
        """The largest |charge| that moves, e."""
        return max(abs(z) for name, z in zip(self.species, self.charges) if name in self.mobile)

    def as_dict(self):
        return {"mode": self.mode, "temperature_K": self.temperature, "volume_angstrom3": self.volume, "block_fs": self.block,
                "sample_fs": self.sample, "timestep_fs": self.timestep, "species": list(self.species), "counts": list(self.counts),
                "formal_charges_e": list(self.charges), "mobile": list(self.mobile), "direction": self.direction} | ({"driven_species": self.only} if self.only else {})


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def estimate(arrays, attrs):
    """All results of a run as a Result. Raises ValueError where no block is finished, KeyError where an array or attribute is missing."""
    settings = Settings.of(attrs)
    done = np.asarray(arrays["blocks_done"])
    if not np.any(done > 0):
        raise ValueError("no block is finished yet: there is nothing to analyse")
    rows = {name: blocks.rows_of(arrays[name], done) for name in
            ("impulse", "current", "work", "heat", "energy_change", "ledger_error", "kinetic", "potential", "temperature")}
    result = Result({"experiment": "ionic_conductivity", "settings": settings.as_dict()}, None, [], [])
    result.numbers["length"] = {"replicas": len(rows["work"]), "blocks": blocks.count(rows["work"]), "time_fs": blocks.count(rows["work"]) * settings.block}
    still = equilibrium(result, arrays, settings)
    if settings.driven:
        _driven(result, rows, settings, still)
        columns.collect(result, arrays, attrs, settings, rows, done)
    elif settings.mode == "zero_current":
        zero_current.collect(result, arrays, settings, LEAST_MEMORY)
    elif still is None:
        result.refusals.append("the charge displacement was sampled too few times for an equilibrium estimate")
    elif still["estimate"].low <= 0:
        found = still["estimate"]
        result.refusals.append(f"the equilibrium estimate ({found.value:.3g} +- {found.error:.2g} S/m) cannot be told from zero at 95 %: the run is too short")
    else:
        result.sigma = still["estimate"]
        result.curves["running"] = running_equilibrium(still, settings)
    diffusion = tracers(result, arrays, settings, still)
    correlated.collect(result, arrays, attrs, settings, still, diffusion)
    all_lags.collect(result, arrays, attrs, settings, still)
    if still is not None and not settings.driven:
        methods.equilibrium(result, still, settings)
    _state(result, rows, arrays, done, settings)
    cell.collect(result, arrays, attrs, LEAST_MEMORY)
    verdicts.collect(result, rows, settings)
    result.numbers["conductivity"] = result.sigma.as_dict() if result.sigma else None
    result.numbers["refusals"] = result.refusals
    result.numbers["verdicts"] = [v.as_dict() for v in result.verdicts]
    return result


# ---- equilibrium: the whole run, or the axes across the drive ---------------------------------------------------------
def equilibrium(result, arrays, settings):
    """Green-Kubo and Einstein-Helfand from the axes that are not driven; None where there are too few samples."""
    basis, label = settings.still_axes()
    paths = einstein.paths_of(np.asarray(arrays["displacement_current"]) @ basis.T, range(len(basis)))
    if not paths or sum(len(path) - 1 for path in paths) < 2 * einstein.TEST_WINDOWS or min(len(path) for path in paths) < 8:
        return None
    where = (settings.sample, settings.volume, settings.temperature)
    window = einstein.choose_window(paths, math.ceil(LEAST_MEMORY / settings.sample))
    estimate = einstein.green_kubo(paths, *where, window.samples)
    numbers = {"axes": label, "window_fs": window.samples * settings.sample, "window_independent": bool(window.independent),
               "green_kubo": estimate.as_dict()}
    plain = einstein.einstein_window(paths, window.samples)
    if plain:
        numbers["einstein_helfand"] = einstein.einstein(paths, *where, plain).as_dict()
    result.numbers["equilibrium"] = numbers
    curve = einstein.einstein_curve(paths, *where)
    result.curves["einstein"] = ([w for w, _ in curve], [e.value for _, e in curve], [e.error for _, e in curve])
    longest = min(8 * window.samples, min(len(path) for path in paths) // 2)
    result.curves["green_kubo"] = einstein.green_kubo_curve(paths, *where, longest, estimate.error * math.sqrt(estimate.dof / 2))
    result.curves["collective_msd"] = _collective(paths, settings.sample, longest)
    return {"estimate": estimate, "window": window, "paths": paths}


def _collective(paths, sample, longest):
    """(lag fs, <dP^2> per axis in e^2 angstrom^2), averaged over paths by their length."""
    weights = np.array([len(path) for path in paths], dtype=np.float64)
    total = sum(w * einstein.mean_square(path, longest) for w, path in zip(weights, paths))
    return np.arange(longest + 1) * sample, total / weights.sum()


def running_equilibrium(still, settings, points=24):
    """(time fs of each replica, sigma, error) of the Green-Kubo estimate from the first part of every replica, at the final window."""
    paths, samples = still["paths"], still["window"].samples
    longest = max(len(path) for path in paths) - 1
    time, value, error = [], [], []
    for end in np.unique(np.linspace(4 * samples, longest, points).astype(int)):
        parts = [path[:end + 1] for path in paths if len(path) > 2 * samples]
        if end >= 4 * samples and parts:
            part = einstein.green_kubo(parts, settings.sample, settings.volume, settings.temperature, samples)
            time.append(float(end * settings.sample))
            value.append(part.value)
            error.append(part.error)
    return np.array(time), np.array(value), np.array(error)


# ---- driven -----------------------------------------------------------------------------------------------------------
def _driven(result, rows, settings, still):
    """Conductivity, entropy production, Q_TUR, linearity, speed-up, or the reasons against and what to do."""
    mode, block, numbers = settings.mode, settings.block, result.numbers
    response = conductivity.response_rows(mode, rows["impulse"], rows["current"], block)
    level = blocks.choose_level(response, least=LEAST_MEMORY / block)
    noise = conductivity.from_noise(mode, response, block, settings.volume, settings.temperature, level)
    numbers["from_noise"] = noise.as_dict()
    outcome = conductivity.driven(mode, rows["impulse"], rows["current"], block, settings.volume, LEAST_MEMORY)
    whole, per_block = conductivity.entropy_production(rows["work"], settings.temperature, outcome.level)
    result.refusals += conductivity.refusals(outcome, whole)
    result.sigma = None if result.refusals else outcome.sigma
    field_mean, current_mean = blocks.mean(rows["impulse"]) / block, blocks.mean(rows["current"])
    quality = conductivity.quality(response, rows["work"], settings.temperature, outcome.level.factor)
    x = conductivity.linearity(field_mean, settings.mobile_charge, settings.hop_length, settings.temperature)
    numbers["drive"] = {"field_V_per_angstrom": field_mean, "current_e_angstrom_per_fs": current_mean, "response": outcome.response.as_dict(),
                        "current_density_A_per_cm2": 1e-4 * in_unit(current_mean / settings.volume, "A/m^2"),
                        "linearity_x": x, "hop_length_angstrom": settings.hop_length}
    numbers["blocks"] = {"merged": outcome.level.factor, "length_fs": outcome.level.factor * block, "independent": bool(outcome.level.independent)}
    rate = whole.value / result.numbers["length"]["time_fs"]
    numbers["entropy_production"] = {"run": whole.as_dict(), "per_block": per_block.as_dict(), "rate_per_ps": 1e3 * rate,
                                     "from_heat": sum(float(row.sum()) for row in rows["heat"]) / (BOLTZMANN * settings.temperature)}
    numbers["Q_TUR"] = quality.as_dict()
    numbers["thermodynamic_relative_error"] = math.sqrt(2 / whole.value) if whole.value > 0 else None
    if still is not None and still["window"].independent and not result.refusals:
        window = einstein.equivalent_window(still["window"].samples * settings.sample)
        numbers["speed_up"] = {"value": conductivity.speed_up(rate, window), "window_fs": window, "axes": numbers["equilibrium"]["axes"]}
    guess = outcome.sigma.value if result.sigma else noise.value
    if math.isfinite(guess) and guess > 0:
        numbers["suggestion"] = _suggestion(guess, settings, numbers["length"]["time_fs"])
    if result.sigma is not None:
        methods.driven(result, response, outcome, mode)
    _driven_curves(result, rows, response, outcome, settings)


def _suggestion(guess, settings, time):
    """The drive for the wished error in the same time, as a dictionary."""
    advice = conductivity.suggest(guess, settings.volume, settings.temperature, time, settings.target, settings.mobile_charge, settings.hop_length)
    charge = sum(abs(z) * n for name, z, n in zip(settings.species, settings.charges, settings.counts) if name in settings.mobile)
    return {"relative_error": advice.target, "entropy_k_B": advice.entropy, "assumed_conductivity_S_per_m": advice.sigma,
            "current_e_angstrom_per_fs": advice.current, "current_density_A_per_cm2": 1e-4 * in_unit(advice.current / settings.volume, "A/m^2"),
            "drift_velocity_angstrom_per_ps": 1e3 * advice.current / charge if charge else None,
            "field_V_per_angstrom": advice.field, "linearity_x": advice.x, "time_fs": time, "linear_time_fs": advice.linear_time}


def _driven_curves(result, rows, response, outcome, settings):
    """What the figures of a driven run draw."""
    block, temperature = settings.block, settings.temperature
    table = blocks.reblock(response)
    centre = abs(outcome.response.value)
    result.curves["block_length"] = [(f * block, n, error / centre, own / centre) for f, n, error, own in table]
    result.curves["quality"] = [(f * block, conductivity.quality(response, rows["work"], temperature, f)) for f, _, _, _ in table]
    result.curves["level"] = outcome.level.factor
    number, mean, error = blocks.running(response, outcome.level)
    if settings.mode == "constant_current":
        held = outcome.sigma.value * outcome.response.value          # J0 / V, in the unit of sigma times the field's
        with np.errstate(divide="ignore", invalid="ignore"):
            result.curves["running"] = (number * block, held / mean, np.abs(held / mean ** 2) * error)
    else:
        scale = SIEMENS_PER_METRE / settings.volume * block / blocks.mean(rows["impulse"])
        result.curves["running"] = (number * block, scale * mean, abs(scale) * error)
    result.numbers["block_lengths"] = [{"block_fs": f * block, "blocks": n, "relative_error": error / centre if centre else None,
                                        "uncertainty": own / centre if centre else None} for f, n, error, own in table]
    result.curves["field"] = [row / block for row in rows["impulse"]]
    result.curves["current"] = rows["current"]


# ---- tracers, temperature, pressure, ledger ----------------------------------------------------------------------------
def tracers(result, arrays, settings, still):
    """Diffusion of each species, Nernst-Einstein conductivity of the mobile ones, Haven ratio; {species: Estimate of D}."""
    if "msd" not in arrays or len(settings.lags) < 4:
        return {}
    msd = np.asarray(arrays["msd"], dtype=np.float64)
    axes = [a for a in range(3) if not (settings.mode != "none" and settings.axis[a] != 0.0)]
    finite = np.isfinite(msd).all(axis=tuple(range(2, msd.ndim)))
    keep = np.flatnonzero(finite[:, 0])
    reached = int(np.cumprod(finite[keep].all(axis=0)).sum()) if len(keep) else 0      # lags that every replica has reached
    if reached < 4 or not axes:
        return {}
    msd, lags = msd[:, :reached], settings.lags[:reached]
    longest = float(lags[-1])
    start = min(max(longest / 4, still["window"].samples * settings.sample if still else 0.0), longest / 2)
    table, mobile, found = {}, [], {}
    for s, name in enumerate(settings.species):
        if not settings.counts[s]:
            continue
        lines = [msd[r, :, s, a] for r in keep for a in axes] if msd.ndim == 4 else [msd[r, :, s] / 3 for r in keep]
        d = einstein.diffusion(np.array(lines), lags, start)
        if len(lines) == 1:
            d = einstein.independent_error(d, longest, result.numbers["length"]["time_fs"], settings.counts[s])
        found[name] = d
        table[name] = d.as_dict() | {"cm2_per_s": d.value * 0.1, "error_cm2_per_s": d.error * 0.1 if math.isfinite(d.error) else None}
        if name in settings.mobile:
            mobile.append((d, settings.charges[s], settings.counts[s]))
        result.curves.setdefault("tracer_msd", {})[name] = (lags, np.mean(lines, axis=0))
    result.numbers["diffusion"] = table
    uncorrelated = einstein.nernst_einstein(*zip(*mobile), settings.volume, settings.temperature)
    result.numbers["nernst_einstein"] = uncorrelated.as_dict()
    if result.sigma and settings.only is None:
        result.numbers["haven_ratio"] = einstein.haven(uncorrelated, result.sigma).as_dict()
    return found


def _state(result, rows, arrays, done, settings):
    """Temperatures (bath, species), pressure, energies, ledger, drift."""
    numbers = result.numbers
    numbers["temperature"] = blocks.mean_estimate(rows["temperature"], "K", estimator="kinetic, peculiar velocities").as_dict()
    per_species = np.asarray(arrays["temperature_species"], dtype=np.float64)
    table = {}
    for s, name in enumerate(settings.species):
        if settings.counts[s]:
            series = blocks.rows_of(per_species[:, :, s], done)
            table[name] = blocks.mean_estimate(series, "K", estimator="kinetic, peculiar velocities")
            result.curves.setdefault("temperature_species", {})[name] = (series, table[name])
    numbers["temperature_species"] = {name: e.as_dict() for name, e in table.items()}
    result.curves["temperature"] = rows["temperature"]
    pressure = np.asarray(arrays["pressure"], dtype=np.float64)
    trace = np.trace(pressure, axis1=2, axis2=3) / 3
    numbers["pressure"] = blocks.mean_estimate(blocks.rows_of(trace, done), "GPa", estimator="virial, mean of the diagonal").as_dict()
    tensor = [[blocks.mean(blocks.rows_of(pressure[:, :, a, b], done)) for b in range(3)] for a in range(3)]
    numbers["pressure_tensor_GPa"] = tensor
    numbers["potential_energy"] = blocks.mean_estimate(rows["potential"], "eV").as_dict()
    if "drift" in arrays:
        drift = np.asarray(arrays["drift"], dtype=np.float64)
        numbers["largest_drift_angstrom_per_fs"] = max(float(np.abs(drift[r, :int(n)]).max()) for r, n in enumerate(done) if n > 0)
    sums = {name: sum(float(row.sum()) for row in rows[name]) for name in ("work", "heat", "energy_change", "ledger_error")}
    largest = max(float(np.abs(row.cumsum()).max()) for row in rows["ledger_error"])
    numbers["ledger"] = {f"{name}_eV": value for name, value in sums.items()} | {"largest_running_error_eV": largest,
                                                                                 "kinetic_energy_eV": blocks.mean(rows["kinetic"])}
    result.curves["ledger"] = {name: [row.cumsum() for row in rows[name]] for name in ("work", "heat", "energy_change", "ledger_error")}
