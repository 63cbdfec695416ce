"""Figures of the reversal."""
import math

import numpy as np

from ...analysis.entropy import maxwell_h
from ..ionic_conductivity.figures import BLACK, BLUE, GREEN, ORANGE, RED
from ..irreversibility.report import legend_above
from .estimate import ROUNDING, mean_of, recoveries, returns_by_time
from .gas import CELLS

LARGEST_ERROR = 10.0    # sigma: discs that are anywhere
COLOURS = {"float32": ORANGE, "float64": BLUE, "int64": GREEN}


def conditions(result):
    s = result.settings
    return (f"Soft discs, density {s['density']:g}, temperature {s['temperature']:g}, time step {s['time step']:g}; reduced units, k_B = 1.")


def _clean(found):
    return {case: rows for case, rows in found.items() if not case.noise and not case.bath}


def columns(result, figure):
    """One row per number of discs, one column per arithmetic: S on the way out and back."""
    found = _clean(result.curves["cases"])
    if all(np.isnan(recoveries(rows)).all() for rows in found.values()):
        return None                                         # gases that fill the box from the start have nothing to show here
    longest = {n: max(case.time for case in found if case.particles == n) for n in dict.fromkeys(case.particles for case in found)}
    kinds = list(dict.fromkeys(case.arithmetic for case in found))
    axes = figure.subplots(len(longest), len(kinds), squeeze=False, sharey=True, sharex="row")
    for row, (n, time) in zip(axes, longest.items()):
        for axis, kind in zip(row, kinds):
            rows = next((rows for case, rows in found.items() if (case.particles, case.arithmetic, case.time) == (n, kind, time)), None)
            if rows is None:
                axis.set_axis_off()
                continue
            mean = rows["entropy"].mean(axis=0)
            axis.plot(rows["time"][0], mean, color=COLOURS[kind])
            axis.axhline(math.log(CELLS**2), color=BLACK, ls=":", lw=1)
            axis.axvline(time, color=BLACK, ls="--", lw=1)
            axis.set_title(f"{n} discs, {kind}\nR = {recoveries(rows).mean():.3f}, rms {rows['rms_error'].mean():.2g}, not back {rows['mismatches'].mean():.0f}", fontsize=9)
        row[0].set_ylabel("entropy S (k_B)")
    for axis in axes[-1]:
        axis.set_xlabel("time (reduced)")
    return (f"Entropy of the occupation of {CELLS} × {CELLS} cells; all velocities are inverted at the dashed line, dotted: ln {CELLS**2}. Columns: arithmetic of the "
            f"trajectory; rows: number of discs. {conditions(result)} Means over replicas.")


def recovery_times(result, figure):
    """R and rms against t_R."""
    found = _clean(result.curves["cases"])
    groups = [group for group in dict.fromkeys((case.particles, case.arithmetic) for case in found)
              if len(returns_by_time(found, *group)[0]) > 1]
    if not groups:
        return None
    upper, lower = figure.subplots(2, 1, sharex=True)
    exponent = next((one for one in result.numbers if one.name == "largest Lyapunov exponent"), None)
    for k, (n, kind) in enumerate(groups):
        times, back, error, rms = returns_by_time(found, n, kind)
        style = {"color": COLOURS[kind], "marker": "os^D"[k // 3 % 4], "ms": 4, "label": f"{kind}, {n} discs"}
        upper.errorbar(times, back, np.nan_to_num(error), capsize=2, **style)
        lower.semilogy(times[rms > 0], rms[rms > 0], **style)
    if exponent is not None:
        span = min(case.time for case in found), max(case.time for case in found)
        for kind in dict.fromkeys(kind for _, kind in groups if kind in ROUNDING):
            star = math.log(1 / ROUNDING[kind]) / exponent.value
            for axis in (upper, lower):
                axis.axvline(star, color=COLOURS[kind], ls="--", lw=1.2)
            ends = np.array([span[0], max(span[0], min(span[1], math.log(LARGEST_ERROR / ROUNDING[kind]) / exponent.value))])
            lower.plot(ends, ROUNDING[kind] * np.exp(exponent.value * ends), color=COLOURS[kind], ls=":", lw=1)
    upper.set_ylabel("recovery R")
    lower.set_ylabel("rms error (σ)")
    lower.set_xlabel("time of the inversion t_R (reduced)")
    legend_above(upper, 3)
    return ("Recovery of the cell entropy and distance of the discs from where they started, against the time of the inversion. Dashed: t* = ln(1/ε)/λ₁ with the independently "
            "measured exponent; dotted: ε exp(λ₁ t_R). Whole numbers (int64) have no error to show below. Error bars: standard errors over replicas. " + conditions(result))


def h_theorem(result, figure):
    """H and a2 in time."""
    found = _clean(result.curves["cases"])
    case = max(found, key=lambda case: (case.arithmetic == "int64", case.particles, case.time))
    rows = found[case]
    upper, lower = figure.subplots(2, 1, sharex=True)
    time = rows["time"][0]
    h = rows["h_function"] - (rows["occupied"] - 1) / (2 * case.particles)
    for axis, looks, colour in ((upper, h, BLUE), (lower, rows["fourth_moment"], GREEN)):
        if len(looks) > 1:
            mean, error = looks.mean(axis=0), looks.std(axis=0, ddof=1) / math.sqrt(len(looks))
            axis.fill_between(time, mean - error, mean + error, color=colour, alpha=0.3, lw=0)
    upper.plot(time, h.mean(axis=0), color=BLUE, label="H, corrected for the number of discs")
    upper.plot(time, [np.mean([maxwell_h(t) for t in column]) for column in rows["temperature"].T], color=RED, ls="--", lw=1.2, label="Maxwell, same temperature")
    lower.plot(time, rows["fourth_moment"].mean(axis=0), color=GREEN)
    lower.axhline(0, color=RED, ls="--", lw=1.2)
    for axis in (upper, lower):
        axis.axvline(case.time, color=BLACK, ls="--", lw=1)
    upper.set_ylabel("Boltzmann's H")
    lower.set_ylabel("a₂ = ⟨v⁴⟩/2⟨v²⟩² − 1")
    lower.set_xlabel("time (reduced)")
    legend_above(upper, 2)
    return (f"Boltzmann's H function of the velocities and the fourth moment a₂ (−1/2 for equal speeds, 0 for Maxwell's distribution) of {case.name}. H falls, and after the "
            f"inversion (dashed) it rises by the same values. Means over replicas{', bands: one standard error' if len(h) > 1 else ''}. {conditions(result)}")


def noise_and_bath(result, figure):
    """R against noise; S with and without a bath."""
    from matplotlib import colormaps
    found = result.curves["cases"]
    noisy, bathed = [case for case in found if case.noise], [case for case in found if case.bath]
    if not noisy and not bathed:
        return None
    axes = iter(figure.subplots(1, bool(noisy) + bool(bathed), squeeze=False)[0])
    if noisy:
        axis = next(axes)
        lines = list(dict.fromkeys((case.particles, case.time) for case in noisy))
        for (n, time), colour in zip(lines, colormaps["viridis"](np.linspace(0.0, 0.9, len(lines)))):
            points = sorted((case.noise, mean_of(recoveries(found[case]))) for case in noisy if (case.particles, case.time) == (n, time))
            axis.errorbar([size for size, _ in points], [one.value for _, one in points], np.nan_to_num([one.error for _, one in points]), marker="o", ms=4, capsize=2,
                          color=colour, label=f"{n} discs, t_R {time:.4g}")
        axis.set_xscale("log")
        axis.set_xlabel("noise of a velocity at the inversion")
        axis.set_ylabel("recovery R")
        legend_above(axis, 3, 7)
    if bathed:
        axis, case = next(axes), max(bathed, key=lambda case: (case.particles, case.time))
        for bath, colour, label in ((False, GREEN, "literal reversal"), (True, RED, "after a heat bath")):
            rows = next((rows for other, rows in found.items() if (other.particles, other.arithmetic, other.time, other.bath) ==
                         (case.particles, case.arithmetic, case.time, bath) and not other.noise), None)
            if rows is not None:
                axis.plot(rows["time"][0], rows["entropy"].mean(axis=0), color=colour, label=label)
        axis.axvline(case.time, color=BLACK, ls="--", lw=1)
        axis.set_xlabel("mechanical time (reduced)")
        axis.set_ylabel("entropy S (k_B)")
        legend_above(axis, 2)
    return ("What makes the reversal fail: random numbers added to the velocities at the inversion (recovery, standard errors over replicas), and a heat bath that acts before "
            "the inversion (the time with the bath is not shown). " + conditions(result))


def snapshots(result, figure):
    """Places at the start, at the inversion, at the end."""
    found = _clean(result.curves["cases"])
    largest = max(case.particles for case in found)
    time = max(case.time for case in found if case.particles == largest)
    shown = {case: rows for case, rows in found.items() if (case.particles, case.time) == (largest, time)}
    figure.set_size_inches(7.0, 0.2 + 2.5 * len(shown))
    axes = figure.subplots(len(shown), 3, squeeze=False, sharex=True, sharey=True)
    for row, (case, rows) in zip(axes, shown.items()):
        frames = rows["snapshot"][0]
        for axis, frame, title in zip(row, frames, ("start", "inversion", "end")):
            axis.plot(*frame[:case.particles].T, ".", ms=1.2, color=COLOURS[case.arithmetic])
            axis.set_aspect("equal")
            axis.grid(False)
            axis.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
            axis.set_title(f"{case.arithmetic}, {title}", fontsize=9)
    many = len(frames[0])
    return (f"Places of {f'{many} discs, drawn by lot from {largest},' if many < largest else f'all {largest} discs'} in the periodic box at the start, at the inversion (t_R = {time:.4g}) and after the way back. "
            + conditions(result))


PLOTS = (("columns", "Out and back in each arithmetic", columns, (8.4, 5.2)), ("recovery", "Recovery against the time of the inversion", recovery_times, (6.4, 6.0)),
         ("h_theorem", "Boltzmann's H theorem, and its reversal", h_theorem, (6.4, 5.0)), ("noise_and_bath", "Noise and a heat bath", noise_and_bath, (8.0, 3.8)),
         ("snapshots", "The discs", snapshots, (7.0, 7.0)))
