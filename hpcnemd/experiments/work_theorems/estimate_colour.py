"""Evans-Searles, transient correlation functions and phase-space contraction of the driven discs and electrolytes."""
import numpy as np

from ...analysis import fluctuation as theorem
from ...analysis.fluctuation import Estimate
from ..irreversibility.result import Number


def estimate(result, attributes, rows):
    """Adds the numbers of a run. Errors come from independent groups: mother systems of discs, whose daughters follow each other closely; start points of an
    electrolyte, which has few mothers (their spacing should be longer than the memory of the current)."""
    mothers, daughters, images = rows["current"].shape[:3]
    result.replicas |= {"mothers": mothers, "daughters": daughters, "images": images, "transients": mothers * daughters * images}
    ions = "shadow_work" in rows
    if ions:
        rows = {name: values.reshape(mothers * daughters, 1, *values.shape[2:]) for name, values in rows.items()}
    groups = np.repeat(np.arange(len(rows["current"])), rows["current"].shape[1] * images)
    field = float(attributes["field"])                          # over the temperature: dissipation = work of the field / T
    dissipation = field * rows["current_integral"]
    last = dissipation[..., -1].ravel()
    if str(attributes["start"]) == "equilibrium":
        transient(result, attributes, rows, dissipation, last, groups, field)
    else:
        steady(result, attributes, rows, dissipation, last, groups)
    if ions:
        electrolyte(result, attributes, rows, last, groups)
    top = float(np.quantile(np.abs(last), 0.99))
    result.curves["symmetry"] = {"dissipation": theorem.symmetric_line(last, np.linspace(0, top, 17))}


def transient(result, attributes, rows, dissipation, last, groups, field):
    """From equilibrium: ln P(Omega_t)/P(-Omega_t) = Omega_t, <exp(-Omega_t)> = 1, and the response through the dissipation at the start."""
    result.add("slope of ln P/P, dissipation", theorem.symmetric_slope(last, groups), 1.0, "", "Evans-Searles, no bins")
    average, diagnosis = theorem.integral_theorem(last, groups)
    result.add("<exp(-dissipation)>", average, 1.0, "", f"effective {diagnosis.effective:.3g}", diagnosis.trusted)
    result.diagnostics["dissipation"] = diagnosis.as_dict()
    if diagnosis.warning("the dissipation"):
        result.warnings.append(diagnosis.warning("the dissipation"))
    made = theorem.mean(last, groups)
    result.add("mean dissipation", made, None, "k_B", "total entropy production of system and bath")
    times, series = np.asarray(attributes["times"]), rows["current"].reshape(len(rows["current"]), -1, rows["current"].shape[-1])
    direct, direct_error, through, through_error = theorem.transient_correlation(times, field * series[:, :, 0], series)
    unit = str(attributes.get("current_unit", ""))
    result.add("current, direct average", Estimate(direct[-1], direct_error[-1]), None, unit, f"at t = {times[-1]:g} {attributes.get('time_unit', '')}".rstrip())
    alone = theorem.mean(rows["current"][:, :, 0, -1].mean(axis=1))
    result.add("current, direct average, no images", alone, None, unit, "the images cancel most of the noise of a weak field; this is what one gets without them")
    result.add("current, TTCF", Estimate(through[-1], through_error[-1]), None, unit, "transient time correlation function")
    difference = (series.mean(axis=1)[:, -1] - _through(times, field, series)[:, -1])
    result.add("direct - TTCF", theorem.mean(difference), 0.0, unit, "pairs of the same groups")
    result.add("current at the start", Estimate(direct[0], direct_error[0]), None, unit, "0 exactly, by the images")
    result.curves["response"] = {"times": times, "direct": direct, "direct_error": direct_error, "ttcf": through, "ttcf_error": through_error,
                                 "field": str(attributes.get("field_text", f"{field:g}")), "time_unit": str(attributes.get("time_unit", "reduced units")),
                                 "current_unit": unit or "reduced units"}
    slopes = [theorem.symmetric_slope(dissipation[..., k].ravel(), groups) for k in range(dissipation.shape[-1])]
    result.curves["slopes"] = {"times": times[1:], "entropy": np.array([one.value for one in slopes]), "entropy_error": np.array([one.error for one in slopes]),
                               "labels": ("dissipation",), "time_unit": str(attributes.get("time_unit", "reduced units"))}
    result.facts.append(f"the dissipation is positive on average, {made.value:.4g} +- {made.error:.2g} k_B; {100 * float((last < 0).mean()):.3g} % of the transients go the other way")
    if "heat" not in rows:
        result.ledger.append(Number("total entropy made", made.value, made.error, None, "k_B", "S(B) - S(A) of system and bath, the work over T"))


def electrolyte(result, attributes, rows, last, groups):
    """Entropy ledger, the integrator's error and the conductivity."""
    heat, shadow = rows["heat"].ravel(), rows["shadow_work"].ravel()
    parts = (("entropy change, bath", heat, "heat/T"), ("entropy change, ions", last - heat, "the rest of the work, in the ions at the end: it is heat when they have relaxed"),
             ("total entropy made", last, "S(B) - S(A) of system and bath, the work over T"))
    for name, samples, note in parts:
        found = theorem.mean(samples, groups)
        result.ledger.append(Number(name, found.value, found.error, None, "k_B", note))
    result.add("shadow work", theorem.mean(shadow, groups), None, "k_B T", f"energy change - work + heat, mean; its scatter is {shadow.std():.2g}")
    scale = float(attributes["conductivity_per_current"])
    through = next(one for one in result.numbers if one.name == "current, TTCF")
    result.add(f"conductivity up to {attributes['times'][-1]:g} fs, TTCF", Estimate(scale * through.value, abs(scale) * through.error), None, "S/m",
               "J/(V E) at the end of the transients, by Green and Kubo; its limit needs longer ones")


def _through(times, field, series):
    product = field * series[:, :, :1] * series
    mean = product.mean(axis=1)
    steps = 0.5 * (mean[:, 1:] + mean[:, :-1]) * np.diff(np.asarray(times))
    return np.concatenate([series[:, :, :1].mean(axis=1), steps.cumsum(axis=1)], axis=1)


def steady(result, attributes, rows, dissipation, last, groups):
    """Under the field: the slope for the phase-space contraction goes to 1 as 1/t (Gallavotti-Cohen)."""
    freedom = int(attributes["momentum_freedom"])
    contraction = (freedom - 1) * rows["thermostat_integral"]
    whole = contraction[..., -1].ravel()
    result.add("mean phase-space contraction", theorem.mean(whole, groups), None, "k_B", "(D - 1) int alpha")
    result.add("mean dissipation", theorem.mean(last, groups), None, "k_B", "F J t/T")
    result.add("contraction - dissipation", theorem.mean(whole - last, groups), 0.0, "k_B", "a boundary term, 0 in the mean of a steady state")
    times = np.asarray(attributes["times"])[1:]
    slopes = [(theorem.symmetric_slope(dissipation[..., k].ravel(), groups), theorem.symmetric_slope(contraction[..., k].ravel(), groups)) for k in range(len(times))]
    result.add("slope of ln P/P, dissipation", slopes[-1][0], None, "", f"at t = {times[-1]:g}; goes to 1 as 1/t")
    result.add("slope of ln P/P, contraction", slopes[-1][1], None, "", f"at t = {times[-1]:g}; its boundary term decays more slowly")
    for name, series in (("dissipation", dissipation), ("contraction", contraction)):
        if len(times) >= 6:
            limit, first = theorem.asymptotic_slope(times, series.reshape(len(series), -1, len(times)))
            result.add(f"slope of ln P/P, {name}, t to infinity", limit, 1.0, "", f"fit of a + b/t from t = {times[-1] / 4:g} on, b = {first.value:.3g} +- {first.error:.2g}")
    result.curves["slopes"] = {"times": times, "entropy": np.array([one[0].value for one in slopes]), "entropy_error": np.array([one[0].error for one in slopes]),
                               "work": np.array([one[1].value for one in slopes]), "work_error": np.array([one[1].error for one in slopes]),
                               "labels": ("dissipation", "phase-space contraction"), "time_unit": "reduced units"}
