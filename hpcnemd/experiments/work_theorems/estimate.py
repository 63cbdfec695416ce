"""From the ensemble file to the theorems' numbers. Works are divided by the temperature; k_B = 1."""
from pathlib import Path

import numpy as np

from ...analysis import fluctuation as theorem
from ...analysis.fluctuation import Estimate
from ...analysis.overlap import overlap, overlap_warning
from ...core.errors import InputError
from ..irreversibility.launched import load
from ..irreversibility.result import Number, Result
from .deck import Deck
from .prepared import NOUN, model_of

FEWEST = 8              # complete trajectories of a branch


def analyse(folder):
    """The Result of a run's folder. Raises InputError where there is nothing to analyse yet."""
    stored = load(folder, Deck)
    deck, parts, count = stored.deck, stored.rows, int(stored.attributes["replicas_per_branch"])
    for name in str(stored.attributes["branches"]).split("\n"):
        found = len(next(iter(parts.get(name, {"": ()}).values())))
        fewest = 2 if deck.kind == "electrolyte" else FEWEST
        if found < fewest:
            raise InputError(f"{folder}: only {found} {NOUN} of the branch {name} are complete, at least {fewest} are needed; look at hpcnemd status {folder}")
    result = Result(deck.kind, deck.model_dump(mode="json", exclude_none=True)[deck.kind] | {"replicas": count, "seed": deck.run.seed},
                    stored.counts | {"causes": stored.causes})
    for cause, n in stored.causes.items():
        result.warnings.append(f"{n} of {sum(stored.counts.values())} {NOUN} broke and are left out: {cause}")
    if "current" in parts["forward"]:
        from .estimate_colour import estimate
        estimate(result, stored.attributes, parts["forward"])
        return result
    model = model_of(deck)
    if _wants_cross_check(Path(folder)):
        model.cross_check = True
    if "work_units" in parts["forward"]:
        reversible(result, model, parts["forward"])
    else:
        driven(result, model, parts)
    return result


def _wants_cross_check(folder):
    """From the deck that was run; its report may be asked for again with another choice."""
    import tomllib
    try:
        return bool(tomllib.loads((folder / "deck.toml").read_text(encoding="utf-8"))["run"].get("cross_check", False))
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return False


def total_work(rows, temperature):
    """Protocol work plus the integrator's shadow work, over T: what enters the theorems exactly for a stepwise protocol."""
    return (rows["work"][:, -1] + rows["shadow_work"]) / temperature


def driven(result, model, parts):
    """A trap or a chain with a bath: moments against exact values, then the theorems that apply."""
    temperature, exact = float(model.attributes["temperature"]), model.exact()
    forward = parts["forward"]
    work = forward["work"][:, -1]
    result.add("mean work", theorem.mean(work), exact.get("mean_work"), "k_B T", "forward, protocol work")
    result.add("variance of the work", theorem.variance(work), exact.get("work_variance"), "(k_B T)^2", "forward, protocol work")
    result.add("mean heat", theorem.mean(forward["heat"][:, -1]), None, "k_B T", "to the bath, forward")
    shadow = forward["shadow_work"]
    result.add("shadow work", Estimate(float(shadow.mean()), float(shadow.std(ddof=1) / len(shadow)**0.5)), None, "k_B T", "energy change - work + heat, mean")
    if "reverse" in parts:
        between_equilibria(result, exact, total_work(forward, temperature), total_work(parts["reverse"], temperature), temperature)
        if getattr(model, "cross_check", False):
            peer_check(result, total_work(forward, temperature), total_work(parts["reverse"], temperature))
        result.curves["work_paths"] = _paths(model, forward, temperature)
    else:
        between_steady_states(result, model, exact, forward, temperature)


def between_equilibria(result, exact, forward, reverse, temperature, what="work"):
    """Jarzynski, Crooks, Bennett, second cumulant; works in k_B T."""
    try:
        both = theorem.two_sided(forward, reverse)
    except ValueError as problem:
        result.warnings.append(f"{problem}; drive more slowly, or run more replicas")
        return
    target = None if "free_energy" not in exact else exact["free_energy"] / temperature
    share = overlap(forward, reverse, both.bennett.value)
    result.diagnostics |= {"overlap": share, "forward": both.forward_diagnosis.as_dict(), "reverse": both.backward_diagnosis.as_dict()}
    for found in (overlap_warning(share), both.forward_diagnosis.warning(f"forward {what}"), both.backward_diagnosis.warning(f"reverse {what}")):
        if found:
            result.warnings.append(found)
    enough = overlap_warning(share) is None
    result.add("Crooks slope, logistic regression", both.logistic.slope, 1.0, "", "no bins", enough)
    result.add("free energy, logistic intercept", both.logistic.intercept, target, "k_B T", "slope held at 1", enough)
    result.add("free energy, BAR", both.bennett, target, "k_B T", f"overlap {share:.3g}", enough)
    result.add("free energy, Jarzynski forward", both.forward, target, "k_B T", f"effective {both.forward_diagnosis.effective:.3g}, bias {both.forward_diagnosis.bias:.2g}",
               both.forward_diagnosis.trusted)
    result.add("free energy, Jarzynski reverse", both.backward, target, "k_B T", f"effective {both.backward_diagnosis.effective:.3g}, bias {both.backward_diagnosis.bias:.2g}",
               both.backward_diagnosis.trusted)
    result.add("free energy, second cumulant", both.cumulant, None, "k_B T", "right for Gaussian work only")
    edges = common_edges(forward, -reverse)
    centres, y, error, slope, zero = theorem.crooks_line(forward, reverse, edges)
    result.add("Crooks slope, histogram", slope, 1.0, "", f"{len(centres)} bins", enough and len(centres) >= 3)
    result.curves["crooks"] = {"edges": edges, "forward": np.histogram(forward, edges)[0] / len(forward) / np.diff(edges),
                               "reverse": np.histogram(-reverse, edges)[0] / len(reverse) / np.diff(edges), "centres": centres, "ratio": y, "error": error,
                               "free_energy": both.bennett.value, "target": target, "slope": both.logistic.slope.value}
    result.curves["convergence"] = _convergence(forward, reverse, target)
    for name, works, shift in (("forward", forward, both.bennett.value), ("reverse", reverse, -both.bennett.value)):
        entropy = theorem.mean(works)
        made = Estimate(entropy.value - shift, float(np.hypot(entropy.error, both.bennett.error)))
        result.ledger.append(Number(f"total entropy made, {name}", made.value, made.error, None, "k_B", "(<W> - dF)/T of system and bath, relaxed at the end"))
        share = float((works - shift < 0).mean())
        result.facts.append(f"{name}: S(B) - S(A) = {made.value:.4g} +- {made.error:.2g} k_B of system and bath on average, {made.value / made.error:.0f} standard errors above 0; "
                            f"{100 * share:.3g} % of the trajectories lower it")


def peer_check(result, forward, reverse):
    """BAR by pymbar on the same works, or a warning that it is not installed."""
    from ...analysis import fluctuation_pymbar as peer
    if not peer.available():
        result.warnings.append("run.cross_check: pymbar is not installed; pip install pymbar")
        return
    other = peer.bar(forward, reverse)
    result.add("free energy, BAR by pymbar", other, result.number("free energy, BAR").target, "k_B T", "same data")
    difference = result.number("free energy, logistic intercept").value - other.value
    result.facts.append(f"logistic intercept - pymbar's BAR = {difference:.1e} k_B T")
    if abs(difference) > 1e-6:
        result.warnings.append(f"the logistic intercept differs from pymbar's BAR by {difference:.2g} k_B T: report this")


def between_steady_states(result, model, exact, rows, temperature):
    """Total entropy production with its boundary term, and the work without it."""
    entropy = model.entropy(rows)
    whole = entropy[:, -1]
    result.add("mean entropy production", theorem.mean(whole), exact.get("mean_entropy"), "k_B", "heat/T + ln p(start)/p(end)")
    if "entropy_variance" in exact:
        result.add("variance of the entropy production", theorem.variance(whole), exact["entropy_variance"], "k_B^2", "twice its mean")
    result.add("slope of ln P(s)/P(-s), total entropy", theorem.symmetric_slope(whole), exact.get("entropy_slope"), "", "no bins; 1 at every time")
    result.add("slope of ln P(w)/P(-w), work", theorem.symmetric_slope(rows["work"][:, -1] / temperature), exact.get("work_slope"), "", "without boundary term: 1 only for long times")
    average, diagnosis = theorem.integral_theorem(whole)
    result.add("<exp(-s)>", average, 1.0, "", f"effective {diagnosis.effective:.3g}", diagnosis.trusted)
    result.diagnostics["entropy"] = diagnosis.as_dict()
    if diagnosis.warning("the entropy production"):
        result.warnings.append(diagnosis.warning("the entropy production"))
    heat, boundary = rows["heat"][:, -1] / temperature, whole - rows["heat"][:, -1] / temperature
    for name, part, note in (("bath", heat, "heat/T"), ("system", boundary, "ln p(start)/p(end)"), ("total", whole, "their sum")):
        found = theorem.mean(part)
        result.ledger.append(Number(f"entropy change, {name}", found.value, found.error, None, "k_B", note))
    made = result.ledger[-1]
    result.facts.append(f"S(B) - S(A) = {made.value:.4g} +- {made.error:.2g} k_B of system and bath on average, {made.value / made.error:.0f} standard errors above 0; "
                        f"{100 * float((whole < 0).mean()):.3g} % of the trajectories lower it")
    top = float(np.quantile(np.abs(whole), 0.995))
    edges = np.linspace(0, top, 25)
    result.curves["symmetry"] = {"total entropy s": theorem.symmetric_line(whole, edges), "work over T": theorem.symmetric_line(rows["work"][:, -1] / temperature, edges),
                                 "heat over T": theorem.symmetric_line(heat, edges)}
    for name, line in (("total entropy", "total entropy s"), ("heat", "heat over T")):
        result.add(f"ln P(s)/P(-s) - s at large s, {name}", _upper(*result.curves["symmetry"][line]), None, "k_B",
                   "" if name == "total entropy" else "not 0: without the boundary term large fluctuations break the relation at any time (negative control)")
    slopes = [(float(t), theorem.symmetric_slope(entropy[:, k]), theorem.symmetric_slope(rows["work"][:, k] / temperature)) for k, t in enumerate(model.times)
              if _whole_period(model, t)]
    result.curves["slopes"] = {"times": np.array([one[0] for one in slopes]), "entropy": np.array([one[1].value for one in slopes]),
                               "entropy_error": np.array([one[1].error for one in slopes]), "work": np.array([one[2].value for one in slopes]),
                               "work_error": np.array([one[2].error for one in slopes])}


def _upper(places, ratio, error):
    """Estimate of ln P(s)/P(-s) - s over the upper half of the bins' range."""
    use = places > 0.5 * places.max() if len(places) else np.zeros(0, bool)
    weight = 1.0 / error[use]**2
    if not use.any():
        return Estimate(np.nan, np.inf)
    return Estimate(float((weight * (ratio - places)[use]).sum() / weight.sum()), float(weight.sum()**-0.5))


def _whole_period(model, time):
    period = getattr(getattr(model, "table", None), "period", None)
    return period is None or abs(time / period - round(time / period)) < 1e-9


def reversible(result, model, rows):
    """The chain without bath: back from the very same state, and back after a rest with a bath."""
    unit, temperature = float(model.attributes["energy_unit"]), float(model.attributes["temperature"])
    there, undone, rested = rows["work_units"], rows["undone_units"], rows["rested_units"]
    exactly = int((undone == -there).sum())
    result.facts.append(f"velocities reversed: W_R = -W_F to the last unit in {exactly} of {len(there)} trajectories, {int(rows['mismatches'].sum())} coordinates differ from the start; "
                        "the entropy that was made is taken back with probability 1, and no theorem is contradicted: there is no bath")
    if exactly != len(there) or rows["mismatches"].any():
        result.warnings.append("a trajectory was not undone exactly: report this")
    work = there * unit / temperature
    result.add("mean work", theorem.mean(work), None, "k_B T", "on the way there")
    shadow = rows["energy_change"] / temperature - work
    result.add("shadow work", Estimate(float(shadow.mean()), float(shadow.std(ddof=1) / len(shadow)**0.5)), None, "k_B T", "energy change - work, mean")
    back = rows["rested_energy_change"] / temperature - rested * unit / temperature
    result.add("shadow work, way back", Estimate(float(back.mean()), float(back.std(ddof=1) / len(back)**0.5)), None, "k_B T", "energy change - work, mean")
    result.facts.append(f"after a rest of {model.table.rest:g} in contact with the bath the way back obeys P_R(-w) = exp(-w) P_F(w)")
    # work and shadow work together are the energy change, for which the theorem is exact at any time step: the map keeps phase volume and can be reversed
    between_equilibria(result, model.exact(), rows["energy_change"] / temperature, rows["rested_energy_change"] / temperature, temperature)
    edges = result.curves.get("crooks", {}).get("edges", common_edges(work, -rested * unit / temperature))
    result.curves["undone"] = {"edges": edges, "undone": np.histogram(shadow - undone * unit / temperature, edges)[0] / len(work) / np.diff(edges)}


def common_edges(a, b, bins=40):
    """Edges over the range in which both samples lie."""
    low, high = max(a.min(), b.min()), min(a.max(), b.max())
    if not low < high:
        low, high = min(a.min(), b.min()), max(a.max(), b.max())
    return np.linspace(low, high + 1e-9 * (high - low) + 1e-12, bins + 1)


def _convergence(forward, reverse, target):
    """Estimates of dF against the number of trajectories of each direction, doubling."""
    most = min(len(forward), len(reverse))
    sizes = [n for n in (most >> k for k in range(12, -1, -1)) if n >= 32]
    series = {"sizes": np.array(sizes), "target": target}
    for name, of in (("Jarzynski forward", lambda n: theorem.jarzynski(forward[:n])[0]),
                     ("Jarzynski reverse", lambda n: Estimate(-theorem.jarzynski(reverse[:n])[0].value, theorem.jarzynski(reverse[:n])[0].error)),
                     ("BAR", lambda n: theorem.bennett(forward[:n], reverse[:n]))):
        found = [of(n) for n in sizes]
        series[name] = (np.array([one.value for one in found]), np.array([one.error for one in found]))
    return series


def _paths(model, rows, temperature):
    """Mean and variance of the work at the samples."""
    work = rows["work"] / temperature
    return {"times": np.asarray(model.times), "mean": work.mean(axis=0), "mean_error": work.std(axis=0, ddof=1) / len(work)**0.5,
            "half_variance": 0.5 * work.var(axis=0, ddof=1), "half_variance_error": np.array([0.5 * theorem.variance(column).error for column in work.T]),
            "some": work[:30]}
