"""Runs at zero current: the conductivity from the fluctuations of the field that holds it there. No MPI, no files."""
import math

from ...analysis import einstein, norton


def collect(result, arrays, settings, least):
    """Fills result.sigma, or the refusals, and numbers["zero_current"]. `least` fs: no window is shorter."""
    paths = norton.impulse_paths(arrays["impulse_series"]) if "impulse_series" in arrays else []
    if not paths or sum(len(path) - 1 for path in paths) < einstein.TEST_WINDOWS or min(len(path) for path in paths) < 8:
        result.refusals.append("the field was sampled too few times for an estimate from its fluctuations; run longer")
        return
    window, found = estimate(paths, settings.sample, least)
    sigma = norton.conductivity(found, settings.volume, settings.temperature)
    result.numbers["zero_current"] = {"window_fs": window.samples * settings.sample, "window_independent": bool(window.independent),
                                      "resistivity_ohm_metre": 1 / sigma.value if sigma.value else None, "conductivity": sigma.as_dict()}
    longest = min(3 * window.samples, min(len(path) for path in paths) // 2)
    result.curves["zero_current"] = norton.running(paths, settings.sample, settings.volume, settings.temperature, longest, abs(sigma.value))
    if not math.isfinite(sigma.high) or sigma.value <= 0:
        result.refusals.append(f"the noise of the field ({found.value:.3g} +- {found.error:.2g} {found.unit}) cannot be told from zero at 95 %: the run is too short")
    else:
        result.sigma = sigma


def estimate(paths, sample, least):
    """(Window, Estimate of the resistivity's noise) of impulse paths."""
    window = einstein.choose_window(paths, math.ceil(least / sample))
    return window, norton.resistivity(paths, sample, window.samples)


def draw(result, figure):
    """The estimate against the lag; the caption, or None."""
    if "zero_current" not in result.curves:
        return None
    lag, value, error = result.curves["zero_current"]
    axis = figure.add_subplot()
    axis.fill_between(lag / 1000, value - error, value + error, color="#0072B2", alpha=0.2, lw=0, label="± one standard error")
    axis.plot(lag / 1000, value, color="#0072B2", label="slope of ⟨ΔX²⟩ at this lag")
    found = result.numbers["zero_current"]
    centre = found["conductivity"]["value"]
    axis.axvspan(found["window_fs"] / 2000, found["window_fs"] / 1000, color="#D55E00", alpha=0.12, lw=0, label="window of the result")
    axis.axhline(centre, color="#D55E00", ls="--", lw=1.2, label=f"result {centre:.4g} S/m")
    axis.set_ylim(0, 3 * centre)
    axis.set_xlim(0, None)
    axis.set_xlabel("lag (ps)")
    axis.set_ylabel("conductivity σ (S/m)")
    axis.legend(fontsize=9)
    return ("Conductivity at zero current, from the slope of the mean squared impulse X = ∫λ dt of the field that holds J = 0: σ = k_B T / (V d⟨ΔX²⟩/2dt); the dual of the "
            "Green-Kubo integral.")
