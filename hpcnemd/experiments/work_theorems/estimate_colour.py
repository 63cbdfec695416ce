"""Evans-Searles, transient correlation functions and phase-space contraction of the colour-driven discs."""
import numpy as np

from ...analysis import fluctuation as theorem
from ...analysis.fluctuation import Estimate


def estimate(result, model, rows):
    """Adds the numbers of a run. Errors come from the mother systems, whose daughters are not independent."""
    mothers, daughters, images = rows["current"].shape[:3]
    groups = np.repeat(np.arange(mothers), daughters * images)
    field = float(model.attributes["field"])
    dissipation = field * rows["current_integral"]              # beta = 1
    last = dissipation[..., -1].ravel()
    result.replicas |= {"daughters": daughters, "images": images, "transients": int(last.size)}
    if str(model.attributes["start"]) == "equilibrium":
        transient(result, model, rows, dissipation, last, groups, field)
    else:
        steady(result, model, rows, dissipation, last, groups)
    top = float(np.quantile(np.abs(last), 0.99))
    result.curves["symmetry"] = {"dissipation": theorem.symmetric_line(last, np.linspace(0, top, 17))}


def transient(result, model, rows, dissipation, last, groups, field):
    """From equilibrium: ln P(Omega_t)/P(-Omega_t) = Omega_t, <exp(-Omega_t)> = 1, and the response through the dissipation at the start."""
    result.add("slope of ln P/P, dissipation", theorem.symmetric_slope(last, groups), 1.0, "", "Evans-Searles, no bins")
    average, diagnosis = theorem.integral_theorem(last, groups)
    result.add("<exp(-dissipation)>", average, 1.0, "", f"effective {diagnosis.effective:.3g}", diagnosis.trusted)
    result.diagnostics["dissipation"] = diagnosis.as_dict()
    if diagnosis.warning("the dissipation"):
        result.warnings.append(diagnosis.warning("the dissipation"))
    result.add("mean dissipation", theorem.mean(last, groups), None, "k_B", "")
    mothers = rows["current"].shape[0]
    series = rows["current"].reshape(mothers, -1, rows["current"].shape[-1])
    direct, direct_error, through, through_error = theorem.transient_correlation(np.asarray(model.times), field * series[:, :, 0], series)
    result.add("current, direct average", Estimate(direct[-1], direct_error[-1]), None, "", f"at t = {model.times[-1]:g}")
    alone = theorem.mean(rows["current"][:, :, 0, -1].mean(axis=1))
    result.add("current, direct average, no images", alone, None, "", "the images cancel most of the noise of a weak field; this is what one gets without them")
    result.add("current, TTCF", Estimate(through[-1], through_error[-1]), None, "", "transient time correlation function")
    difference = (series.mean(axis=1)[:, -1] - _through(model.times, field, series)[:, -1])
    result.add("direct - TTCF", theorem.mean(difference), 0.0, "", "pairs of the same mothers")
    result.add("current at the start", Estimate(direct[0], direct_error[0]), None, "", "0 exactly, by the images")
    result.curves["response"] = {"times": np.asarray(model.times), "direct": direct, "direct_error": direct_error, "ttcf": through, "ttcf_error": through_error,
                                 "field": field}
    made = theorem.mean(last, groups)
    result.facts.append(f"the dissipation is positive on average, {made.value:.4g} +- {made.error:.2g} k_B; {100 * float((last < 0).mean()):.3g} % of the transients go the other way")


def _through(times, field, series):
    product = field * series[:, :, :1] * series
    mean = product.mean(axis=1)
    steps = 0.5 * (mean[:, 1:] + mean[:, :-1]) * np.diff(np.asarray(times))
    return np.concatenate([series[:, :, :1].mean(axis=1), steps.cumsum(axis=1)], axis=1)


def steady(result, model, rows, dissipation, last, groups):
    """Under the field: the slope for the phase-space contraction goes to 1 as 1/t (Gallavotti-Cohen)."""
    freedom = int(model.attributes["momentum_freedom"])
    contraction = (freedom - 1) * rows["thermostat_integral"]
    whole = contraction[..., -1].ravel()
    result.add("mean phase-space contraction", theorem.mean(whole, groups), None, "k_B", "(D - 1) int alpha")
    result.add("mean dissipation", theorem.mean(last, groups), None, "k_B", "F J t/T")
    result.add("contraction - dissipation", theorem.mean(whole - last, groups), 0.0, "k_B", "a boundary term, 0 in the mean of a steady state")
    times = np.asarray(model.times)[1:]
    slopes = [(theorem.symmetric_slope(dissipation[..., k].ravel(), groups), theorem.symmetric_slope(contraction[..., k].ravel(), groups)) for k in range(len(times))]
    result.add("slope of ln P/P, dissipation", slopes[-1][0], None, "", f"at t = {times[-1]:g}; goes to 1 as 1/t")
    result.add("slope of ln P/P, contraction", slopes[-1][1], None, "", f"at t = {times[-1]:g}; its boundary term decays more slowly")
    result.curves["slopes"] = {"times": times, "entropy": np.array([one[0].value for one in slopes]), "entropy_error": np.array([one[0].error for one in slopes]),
                               "work": np.array([one[1].value for one in slopes]), "work_error": np.array([one[1].error for one in slopes]),
                               "labels": ("dissipation", "phase-space contraction")}
