"""From the ensemble file to what returned, how far, and why."""
import math

import numpy as np

from ...analysis import blocks
from ...analysis.entropy import crossing, energy_edges, expected_h, maxwell_h, recovery
from ...analysis.fluctuation import Estimate
from ...analysis.lyapunov import Spectrum
from ..irreversibility.launched import load
from ..irreversibility.result import Result
from .deck import Deck
from .gas import cases_of

ROUNDING = {"float32": 2.0**-23, "float64": 2.0**-52}
LOST = 0.9              # recovery below which the return counts as lost
DEAD = 0.1              # recovery that a gas without memory reaches by chance


def mean_of(samples):
    """Estimate of the mean; an error of nan for one sample."""
    samples = np.asarray(samples, float)
    error = samples.std(ddof=1) / math.sqrt(len(samples)) if len(samples) > 1 else math.nan
    return Estimate(float(samples.mean()), float(error))


def recoveries(rows):
    """(replicas,) recovery of each run: entropies at the start, the highest one, and at the end; nan where the start had the highest."""
    entropy = rows["entropy"]
    return np.array([recovery(one[0], one.max(), one[-1]) if one.max() > one[0] else math.nan for one in entropy])


def analyse(folder):
    """The Result of a run's folder. Raises InputError where there is nothing to analyse yet."""
    stored = load(folder, Deck)
    deck, found = stored.deck, {case: stored.rows[case.name] for case in cases_of(stored.deck) if case.name in stored.rows}
    table = deck.gas
    result = Result("loschmidt", {"density": table.density, "temperature": table.temperature, "time step": table.timestep, "start": table.start,
                                  "seed": deck.run.seed}, stored.counts)
    result.curves["cases"] = found
    _returns(result, found)
    exponent = _exponent(found)
    if exponent is not None:
        result.add("largest Lyapunov exponent", exponent, unit="1/time", note="tangent vector in an independent gas after the expansion")
    _law(result, found, exponent)
    _h_theorem(result, deck, found)
    _sentences(result, found)
    return result


def _returns(result, found):
    """Recovery, rms and mismatches of every case; whole numbers must return exactly."""
    lines = []
    for case, rows in found.items():
        back = mean_of(recoveries(rows))
        clean = not case.noise
        exact = case.arithmetic == "int64" and clean
        hashes = bool((rows["hash_start"] == rows["hash_end"]).all())
        drift = float((np.abs(rows["energy"][:, :len(rows["energy"][0]) // 2 + 1] / rows["energy"][:, :1] - 1)).max()) if not case.bath else math.nan
        lines.append([case.name, f"{rows['entropy'][:, 0].mean():.4f}", f"{rows['entropy'].max(axis=1).mean():.4f}", f"{rows['entropy'][:, -1].mean():.4f}",
                      f"{back.value:.4f}", f"{rows['rms_error'].mean():.3g}", f"{rows['mismatches'].mean():.6g}", "yes" if hashes else "no",
                      "" if math.isnan(drift) else f"{drift:.1e}"])
        if exact and not case.bath:
            result.add(f"discs not back: {case.name}", Estimate(float(rows["mismatches"].max()), 0.0), 0.0, note=f"SHA-256 {'equal' if hashes else 'DIFFERENT'}")
            turn = np.abs(rows["h_function"][:, -1] - rows["h_function"][:, 0]).max()
            result.add(f"H(2 t_R) - H(0): {case.name}", Estimate(float(turn), 0.0), 0.0)
    result.diagnostics["tables"] = {"What came back": (["case", "S(0)", "S max", "S(2 t_R)", "R", "rms error", "discs not back", "same SHA-256", "energy error"], lines)}


def _exponent(found):
    """Estimate of lambda_1 from all replicas, or None. Cases of one replica number share their gas up to its temperature: replicas are the samples."""
    runs = [rows for rows in found.values() if "lyapunov_growth" in rows and (rows["lyapunov_time"] > 0).all()]
    if not runs:
        return None
    growth = np.concatenate([rows["lyapunov_growth"] for rows in runs])
    times = np.concatenate([rows["lyapunov_time"] for rows in runs])
    by_run = growth.sum(axis=1) / times.sum(axis=1)
    inside = Spectrum.of(growth.reshape(-1, 1), times.reshape(-1)).largest[1]
    between = by_run.std(ddof=1) / math.sqrt(len(by_run)) if len(by_run) > 1 else 0.0
    return Estimate(float(growth.sum() / times.sum()), float(max(inside, between)))


def returns_by_time(found, particles, arithmetic):
    """(times, mean R, its error, mean rms) of the clean cases of one gas and arithmetic, sorted by time."""
    rows = sorted(((case.time, rows) for case, rows in found.items()
                   if (case.particles, case.arithmetic) == (particles, arithmetic) and not case.noise and not case.bath), key=lambda pair: pair[0])
    back = [mean_of(recoveries(one)) for _, one in rows]
    return (np.array([time for time, _ in rows]), np.array([one.value for one in back]), np.array([one.error for one in back]),
            np.array([one["rms_error"].mean() for _, one in rows]))


def lost_time(found, particles, arithmetic):
    """Estimate of the t_R at which the return is lost (R falls through LOST), or None. Error: a quarter of the interval that holds it, and the scatter of
    the crossings of single replicas."""
    times, back, _, _ = returns_by_time(found, particles, arithmetic)
    at = crossing(times, back, LOST) if len(times) > 1 else math.nan
    if math.isnan(at):
        return None
    k = int(np.searchsorted(times, at))
    return Estimate(at, float(times[min(k, len(times) - 1)] - times[k - 1]) / 4)


def _law(result, found, exponent):
    """t* = ln(1/eps)/lambda_1 beside the time at which the return is lost."""
    for particles, arithmetic in dict.fromkeys((case.particles, case.arithmetic) for case in found):
        if arithmetic not in ROUNDING or exponent is None:
            continue
        depth = math.log(1 / ROUNDING[arithmetic])
        star = Estimate(depth / exponent.value, depth * exponent.error / exponent.value**2)
        name = f"t* = ln(1/eps)/lambda_1, {arithmetic}"
        if all(one.name != name for one in result.numbers):
            result.add(name, star, unit="time", note=f"eps = {ROUNDING[arithmetic]:.3g}")
        times, _, _, rms = returns_by_time(found, particles, arithmetic)
        growing = (rms > 0) & (rms < 0.1)
        if growing.sum() >= 3:
            slope = np.polyfit(times[growing], np.log(rms[growing]), 1, cov=growing.sum() > 3)
            line, error = (slope[0], math.sqrt(slope[1][0, 0])) if growing.sum() > 3 else (slope, math.nan)
            result.add(f"growth of the final error, {particles} discs, {arithmetic}", Estimate(float(line[0]), error), None, "1/time",
                       "slope of ln(rms error) against t_R; lambda_1 and its fluctuations on the way")
        lost = lost_time(found, particles, arithmetic)
        if lost is not None:
            result.add(f"return lost, {particles} discs, {arithmetic}", lost, None, "time",
                       f"R falls below {LOST:g}; {100 * (lost.value / star.value - 1):+.0f} % from t* (25 % allowed)")


def _h_theorem(result, deck, found):
    """Late H of the way out beside its exact mean for Maxwell velocities of the same number and temperature."""
    edges = energy_edges(deck.gas.temperature)
    clean = {case: rows for case, rows in found.items() if not case.bath and not case.noise}
    for n in dict.fromkeys(case.particles for case in clean):
        case = max((case for case in clean if case.particles == n), key=lambda case: case.time)
        rows = clean[case]
        half = rows["h_function"].shape[1] // 2
        late = slice(half - half // 4, half + 1)
        h, temperature = rows["h_function"][:, late], rows["temperature"][:, late]
        rest = h - _expected(n, edges, temperature)
        # after an expansion the flow along the box has to die first: several passages of sound, not less than one box length of thermal motion
        settled = case.time >= (math.sqrt(n / deck.gas.density) if deck.gas.region == "half" else 10.0)
        result.add(f"H - H_eq, {n} discs", _blocked(rest), 0.0 if settled else None,
                   note="last quarter of the longest way out" + ("" if settled else ", while the gas still flows") + "; exact H_eq for this number of "
                        "discs at constant energy, these bins and the temperature of each look")
        corrected = _blocked(h - (rows["occupied"][:, late] - 1) / (2 * n))
        maxwell, binned = (np.mean([maxwell_h(t, width) for t in temperature.ravel()]) for width in (0.0, edges[1]))
        result.add(f"H corrected, {n} discs", corrected, None, note=f"Miller-Madow; Maxwell at the same temperature: {maxwell:.4f}, in these bins {binned:.4f}")
        result.add(f"a2 at the start, {n} discs", mean_of(rows["fourth_moment"][:, 0]), -0.5 if deck.gas.start == "equal_speeds" and not n % 2 else None)
        result.add(f"a2 after the expansion, {n} discs", _blocked(rows["fourth_moment"][:, late]), None,
                   note="0 for Maxwell; after equal speeds -1/(discs that have shared their heat), which goes on as 1/time")


def _expected(n, edges, temperature):
    """expected_h for an array of temperatures that lie close together."""
    low, high = float(temperature.min()), float(temperature.max())
    return np.polynomial.Chebyshev.interpolate(lambda some: [expected_h(n, edges, one) for one in some], 4, (low, max(high, low * (1 + 1e-9))))(temperature)


def _blocked(looks):
    """Estimate of the mean of looks (replicas, looks). Looks share velocities, which live for some collisions: replicas are the samples where there are
    enough of them, else blocks so long that they are independent."""
    if len(looks) >= blocks.FEWEST:
        return mean_of(looks.mean(axis=1))
    found = blocks.mean_estimate(list(looks))
    return Estimate(found.value, found.error)


def _sentences(result, found):
    for case, rows in found.items():
        if case.bath:
            plain = next((other for key, other in found.items() if key.bath is False and not key.noise
                          and (key.particles, key.arithmetic, key.time) == (case.particles, case.arithmetic, case.time)), None)
            if plain is not None:
                result.facts.append(f"{case.name}: with a heat bath before the inversion R = {recoveries(rows).mean():.3f}; the literal reversal gives "
                                    f"R = {recoveries(plain).mean():.3f}. The bath draws a new microstate, the reversal does not")
        if not case.noise and not case.bath and case.arithmetic != "int64" and rows["rms_error"].mean() > 0.5 and recoveries(rows).mean() > 0.8:
            result.facts.append(f"{case.name}: R = {recoveries(rows).mean():.3f} although the rms error is {rows['rms_error'].mean():.2g}: the flow is retraced for "
                                "about t* after the microstate is lost, so that cells and microstate are different questions")
    for particles, arithmetic, time in dict.fromkeys((case.particles, case.arithmetic, case.time) for case in found if case.noise):
        noisy = sorted((case.noise, recoveries(rows).mean()) for case, rows in found.items()
                       if case.noise and (case.particles, case.arithmetic, case.time) == (particles, arithmetic, time))
        falls = all(b[1] <= a[1] for a, b in zip(noisy[:-1], noisy[1:]) if a[1] > DEAD)
        text = f"{particles} discs, t_R {time:.6g}, noise at the inversion: " + ", ".join(f"{size:g}: R = {back:.3f}" for size, back in noisy)
        (result.facts if falls else result.warnings).append(text + ("" if falls else "; R does not fall with the noise"))
