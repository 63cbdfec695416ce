"""The equilibrium estimators on a stored trajectory, of this program or of another, one frame at a time.

In memory are the sums over species of every frame, and the rings of the tracers' correlator: nothing grows with particles x frames."""
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...analysis import onsager
from ...analysis.unwrapping import Unwrapper
from ...core.errors import InputError
from ...dynamics import correlator
from ...storage import foreign
from . import correlated, estimate, methods
from .verdicts import Verdict

PARTS = 32              # of the trajectory, at most, in which tracers are averaged apart for their error
FIGURES = ("running_estimate", "block_length", "green_kubo", "displacement", "error_methods", "onsager")


@dataclass(frozen=True)
class Asked:
    """What a trajectory file may not tell. `temperature` K; `charges` {species: formal charge, e}; `mobile` names; `interval` fs between frames, or `timestep`
    fs per step; `types`: names of numbered types; `skip` fs at the start that is left out; `mode`, `axis` (3,) of the drive."""
    temperature: float
    charges: dict
    mobile: tuple
    interval: object = None
    timestep: object = None
    skip: float = 0.0
    mode: str = "none"
    axis: tuple = (1.0, 0.0, 0.0)
    masses: dict = field(default_factory=dict)


def analyse(path, source, asked):
    """A Result of a Source. Raises InputError with what is missing or wrong."""
    names = list(dict.fromkeys(source.species))
    charges, mobile = asked.charges, asked.mobile or tuple(name for name in names if asked.charges.get(name))
    unknown = sorted((set(charges) | set(mobile)) - set(names))
    if unknown:
        raise InputError(f"{path}: there is no species {', '.join(unknown)}; it has {', '.join(names)}")
    missing = [name for name in mobile if name not in charges]
    if missing or not mobile:
        raise InputError(f"{path}: no charge is known of {', '.join(missing or names)}; give formal charges, for example --charges " + ",".join(f"{name}=1" for name in (missing or names)))
    masses = np.array([asked.masses.get(name) or _mass(name, path) for name in names])
    counts = np.array([source.species.count(name) for name in names])
    moving = np.array([name in mobile for name in names])
    z = np.array([charges.get(name, 0.0) for name in names])
    frame = ~moving
    total = float((z * counts)[moving].sum())
    if not frame.any() and abs(total) > 1e-6:
        raise InputError(f"{path}: all species are mobile, but their charges sum to {total:g} e; correct --charges, or name the mobile species with --mobile")
    reference = frame if frame.any() else np.ones(len(names), bool)
    collected = _stream(path, source, asked, names, counts, masses, reference)
    moved = onsager.referenced(collected["species"][None], counts, masses, reference)
    lags, msd = _tracers(collected["parts"], collected["interval"])
    arrays = {"species_displacement": collected["species"][None], "displacement_current": np.einsum("s,rtsk->rtk", np.where(moving, z, 0.0), moved), "msd": msd}
    attrs = {"mode": asked.mode, "temperature": asked.temperature, "volume": collected["volume"], "block": collected["interval"], "sample": collected["interval"],
             "timestep": asked.timestep or collected["interval"], "species": names, "counts": counts, "charges": z, "mobile": list(mobile), "axis": np.array(asked.axis),
             "lags": lags, "mass": masses}
    return _result(path, arrays, attrs, collected)


def _mass(name, path):
    from ase.data import atomic_masses, atomic_numbers
    element = name.split("_")[0].rstrip("+-0123456789")
    if element not in atomic_numbers:
        raise InputError(f"{path}: species {name!r} is no chemical element, so its mass is not known; name the types with --types Li,O")
    return float(atomic_masses[atomic_numbers[element]])


def _stream(path, source, asked, names, counts, masses, reference):
    """Everything that is kept of the frames: species sums (T, s, 3), interval fs, mean volume, parts of the tracers."""
    index = np.array([names.index(name) for name in source.species])
    members = [np.flatnonzero(index == s) for s in range(len(names))]
    weight = np.where(reference, masses, 0.0)[index]
    weight = weight / weight.sum()
    walk, tracers = Unwrapper(str(path)), correlator.Tracers(members)
    sums, times, volumes, marks, every = [], [], [], [], 1
    for frame in source.frames:
        if len(frame.place) != len(index):
            raise InputError(f"{path}: frame {len(times)} has {len(frame.place)} particles, the first one {len(index)}")
        times.append(_time(path, frame, asked, len(times)))
        if times[-1] - times[0] < asked.skip - 1e-6:
            continue
        moved = walk.add(frame)
        sums.append(np.stack([moved[who].sum(axis=0) for who in members]))
        volumes.append(abs(float(np.linalg.det(frame.cell))))
        tracers.add(moved - weight @ moved)
        if len(sums) % every == 0:
            marks.append({name: array.copy() for name, array in tracers.rows().items() if not name.startswith("ring")})
            if len(marks) > PARTS:
                marks, every = marks[1::2], 2 * every
    if len(sums) < 64:
        raise InputError(f"{path}: {len(sums)} frames after the start that is left out; at least 64 are needed, and more for an error bar")
    steps = np.diff(times[len(times) - len(sums):])
    interval = float(np.median(steps))
    if interval <= 0 or np.abs(steps - interval).max() > 1e-3 * interval:
        raise InputError(f"{path}: frames are not equally spaced in time ({steps.min():g} to {steps.max():g} fs); give a trajectory with one interval")
    return {"species": np.array(sums), "interval": interval, "volume": float(np.mean(volumes)), "spread": float(np.std(volumes)), "parts": marks, "frames": len(sums),
            "farthest": walk.farthest}


def _time(path, frame, asked, number):
    if asked.interval is not None:
        return number * asked.interval
    if asked.timestep is not None and frame.step is not None:
        return float(frame.step) * asked.timestep
    if frame.time is None:
        raise InputError(f"{path}: it does not tell the time between frames; give --interval \"50 fs\"" + (", or --timestep \"2 fs\"" if frame.step is not None else ""))
    return frame.time


def _tracers(marks, interval):
    """(lags fs (L,), msd (parts, L, s, 3)) of the parts between marks; lags at most half a part. Parts are as long as eight times the shortest memory of ions that
    is ever trusted, where four of them remain, so that lines do not begin while ions still hop back."""
    part = float(marks[-1]["taken_0"][0]) / len(marks) * interval
    factor = max(1, min(round(8 * estimate.LEAST_MEMORY / part), len(marks) // 4))
    marks = marks[::-1][::factor][::-1]
    points, count = correlator.TRACER_POINTS, int(marks[-1]["taken_0"][0])
    lags, strides = correlator.lags(points, count), correlator.strides(points, count)
    rows = []
    for before, after in zip([None, *marks[:-1]], marks):
        row = np.full((len(lags),) + after["square_0"].shape[1:], np.nan)
        for k, (lag, stride) in enumerate(zip(lags, strides)):
            level, step = int(stride).bit_length() - 1, int(lag // stride)
            if f"taken_{level}" not in after:
                continue
            old = before if before is not None and f"taken_{level}" in before else None
            pairs = [max(0, int(mark[f"taken_{level}"][0]) - step) if mark is not None else 0 for mark in (old, after)]
            if pairs[1] > pairs[0]:
                total = after[f"square_{level}"][step - 1] - (old[f"square_{level}"][step - 1] if old is not None else 0.0)
                row[k] = total / (pairs[1] - pairs[0])
        rows.append(row)
    part = count / len(marks)
    keep = lags <= max(8, part / 2)
    return lags[keep] * interval, np.array(rows)[:, keep]


def _result(path, arrays, attrs, collected):
    settings = estimate.Settings.of(attrs)
    time = (collected["frames"] - 1) * collected["interval"]
    result = estimate.Result({"experiment": "ionic_conductivity", "settings": settings.as_dict()}, None, [], [])
    result.numbers["length"] = {"replicas": 1, "blocks": collected["frames"] - 1, "time_fs": time}
    result.numbers["trajectory"] = {"file": Path(path).name, "frames": collected["frames"], "interval_fs": collected["interval"], "volume_angstrom3": collected["volume"],
                                    "volume_standard_deviation_angstrom3": collected["spread"], "farthest_step_in_periods": collected["farthest"]}
    still = estimate.equilibrium(result, arrays, settings)
    if still is None:
        result.refusals.append("there are too few frames for an equilibrium estimate")
    elif still["estimate"].low <= 0:
        result.refusals.append(f"the estimate ({still['estimate'].value:.3g} +- {still['estimate'].error:.2g} S/m) cannot be told from zero at 95 %: the trajectory is too short")
    else:
        result.sigma = still["estimate"]
        result.curves["running"] = estimate.running_equilibrium(still, settings)
    diffusion = estimate.tracers(result, arrays, settings, still)
    correlated.collect(result, arrays, attrs, settings, still, diffusion)
    if still is not None:
        methods.equilibrium(result, still, settings)
        found = result.numbers["equilibrium"]
        result.verdicts.append(Verdict("memory", found["window_independent"], f"charge displacements over {found['window_fs'] / 1000:g} ps " +
                                       ("are uncorrelated" if found["window_independent"] else "are still correlated: the trajectory is too short")))
        told = methods.verdict(result.numbers)
        if told is not None:
            result.verdicts.append(Verdict("error methods", *told))
        fine = collected["interval"] <= 0.25 * found["window_fs"]
        result.verdicts.append(Verdict("frames", fine, f"every {collected['interval'] / 1000:g} ps" + ("" if fine else "; write frames more often than a quarter of the memory")))
    result.numbers |= {"conductivity": result.sigma.as_dict() if result.sigma else None, "refusals": result.refusals,
                       "verdicts": [v.as_dict() for v in result.verdicts]}
    return result
