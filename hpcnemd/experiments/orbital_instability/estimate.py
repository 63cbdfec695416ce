"""From the ensemble file to spectra, their structure, and known numbers."""
import math

import numpy as np

from ...analysis.entropy import baker_rate
from ...analysis.fluctuation import Estimate
from ...analysis.lyapunov import Spectrum, lorentz_gas
from ..irreversibility.launched import load
from ..irreversibility.result import Result
from .deck import Deck
from .systems import HEXAGON, cases_of

CAT_RATE = math.log((3 + math.sqrt(5)) / 2)
# (value, standard error) of published runs or of independent prototypes: one run each, two-trajectory method (fluids), curvature recursion (billiards)
HEXAGONAL = (0.6378, 0.0003)
HEXAGONAL_RATE = 2.0 / (6 * math.sqrt(3.0) - math.pi)                       # 2 R v / free area, exact
FLUIDS = {("lennard_jones", 3, 108, 0.8442, 0.68): (3.32, 0.05), ("wca", 3, 108, 0.8442, 0.75): (3.94, 0.05), ("lennard_jones", 3, 108, 0.5, 1.46): (4.36, 0.07)}


DILUTE = 0.1            # discs per area up to which the trend with ln(density) is fitted
ORDERED = 0.05          # lambda_1 below which a driven system is called ordered: chaotic ones have about 2


class Growth:
    """Blocks of all replicas of one case, one after another."""

    def __init__(self, case, rows):
        self.case = case
        self.growth = np.concatenate(rows["growth"][:, :, :case.columns])
        self.times, self.contraction = np.concatenate(rows["times"]), np.concatenate(rows["contraction"])
        self.observables = np.concatenate(rows["observables"])
        self.spectrum = Spectrum.of(self.growth, self.times)
        self.replicas = [Spectrum.of(g[:, :case.columns], t).exponents for g, t in zip(rows["growth"], rows["times"])]

    def mean(self, values):
        """Estimate of an integral per time, from integrals by block."""
        one = Spectrum.of(np.asarray(values)[:, None], self.times)
        return Estimate(float(one.exponents[0]), float(one.errors[0]))

    def largest(self):
        """Estimate of lambda_1; with replicas that differ in frozen disorder their scatter counts."""
        value, error = self.spectrum.largest
        first = np.array([one[0] for one in self.replicas])
        return Estimate(value, max(error, first.std(ddof=1) / math.sqrt(len(first))) if len(first) > 1 else error)


def analyse(folder):
    """The Result of a run's folder. Raises InputError where there is nothing to analyse yet."""
    stored = load(folder, Deck)
    result = Result("orbital_instability", {"blocks": stored.deck.blocks, "replicas": stored.deck.run.replicas}, stored.counts)
    found = {case: Growth(case, stored.rows[case.name]) for case in cases_of(stored.deck) if case.name in stored.rows}
    result.curves["cases"], result.curves["deck"] = found, stored.deck
    for case, growth in found.items():
        {"maps": _map, "billiards": _billiard, "colour_field": _colour}.get(case.kind, _particles)(result, case, growth, stored.deck)
    _trend(result, [growth for case, growth in found.items() if case.kind == "hard_discs" and case.columns == 2 * stored.deck.hard_discs.dimensions
                    * stored.deck.hard_discs.particles and case.value <= DILUTE])
    _extrapolate(result, {case.value: growth for case, growth in found.items() if case.system == "random"})
    lines = [[case.name, ", ".join(f"{x:.4f}" for x in growth.spectrum.exponents[:6]), ", ".join(f"{x:.1e}" for x in growth.spectrum.errors[:6])]
             for case, growth in found.items()]
    result.diagnostics["tables"] = {"Leading exponents": (["system", "exponents", "standard errors"], lines)}
    return result


def _add(result, case, name, estimate, target=None, unit="1/time", note=""):
    result.add(f"{case.name}: {name}", estimate, None if target is None or math.isnan(estimate.error) else target, unit, note)


def _beside(estimate, reference):
    """An Estimate whose error contains that of the reference (value, error)."""
    return Estimate(estimate.value, math.hypot(estimate.error, reference[1]))


def _map(result, case, growth, deck):
    spectrum, unit = growth.spectrum, "1/time" if case.system == "lorenz" else "1/step"
    exact = {"cat": CAT_RATE, "baker": baker_rate(deck.maps.baker)}.get(case.system)
    value, error = spectrum.largest
    if case.system == "cat":
        error = max(error, 1.0 / growth.times.sum())        # a linear map has no scatter, only the turning of the first vector
    note = {"kicked_rotor": f"ln(K/2) = {math.log(deck.maps.kick / 2):.4f}", "henon": "0.419 in the literature (not verified)",
            "lorenz": "0.9056 in published runs"}.get(case.system, "exact")
    _add(result, case, "lambda_1", Estimate(value, error), 0.9056 if case.system == "lorenz" else exact, unit, note)
    total = spectrum.sum
    wanted = -float(growth.contraction.sum() / growth.times.sum())
    floor = 1e-12 if case.system != "lorenz" else 1e-4      # rounding; error of the Runge-Kutta step
    _add(result, case, "sum of exponents", Estimate(total[0], max(total[1], floor)), wanted, unit, "minus the contraction of the map")
    if case.system in ("henon", "lorenz"):
        result.add(f"{case.name}: Kaplan-Yorke dimension", Estimate(spectrum.kaplan_yorke(), math.nan))


def _billiard(result, case, growth, deck):
    largest = growth.largest()
    if case.system == "hexagonal":
        _add(result, case, "lambda", _beside(largest, HEXAGONAL), HEXAGONAL[0], "1/time", f"reference {HEXAGONAL[0]}({1e4 * HEXAGONAL[1]:.0f}e-4), its error included; ours alone "
             f"{largest.error:.1e}; cells of side {HEXAGON / math.sqrt(3):g}")
        _add(result, case, "collision rate", growth.mean(growth.observables[:, 3]), HEXAGONAL_RATE, "1/time", "exact: 2 R v / free area")
    elif case.system == "random":
        ratio = Estimate(largest.value / case.value, largest.error / case.value)
        theory = lorentz_gas(case.value)
        _add(result, case, "lambda / n", ratio, None, "",
             f"kinetic theory {theory:.3f} ({100 * (ratio.value / theory - 1):+.1f} %); error over {len(growth.replicas)} configurations")
    else:
        _contraction(result, case, growth, growth.contraction, "thermostat multiplier along the trajectory")
        flow = growth.mean(growth.observables[:, 2] * growth.times)
        total = growth.growth.sum(axis=1) + case.value * growth.observables[:, 2] * growth.times
        rest = growth.mean(total)
        _add(result, case, "entropy production, J E / T", Estimate(case.value * flow.value, case.value * flow.error), None, "1/time", "from the distance travelled; T = p^2/m")
        _add(result, case, "(sum + J E / T) / (J E / T)", Estimate(rest.value / (case.value * flow.value), abs(rest.error / (case.value * flow.value))), None, "",
             "0 (Chernov and others 1993); 1 % asked")
        zero = np.abs(growth.spectrum.exponents).min()
        _add(result, case, "smallest |exponent|", Estimate(float(zero), math.nan), None, "1/time", "along the flow: 0")
        result.add(f"{case.name}: Kaplan-Yorke dimension", Estimate(growth.spectrum.kaplan_yorke(), math.nan), note="of 3 in equilibrium")


def _extrapolate(result, found):
    """The ratio to kinetic theory at density 0: its first correction is proportional to n ln n."""
    if len(found) < 3:
        return
    density = np.array(sorted(found))
    ratios = [found[n].largest() for n in density]
    theory = np.array([n * lorentz_gas(n) for n in density])
    y, error = np.array([one.value for one in ratios]) / theory, np.array([one.error for one in ratios]) / theory
    design = np.column_stack([np.ones(len(density)), density * np.log(density), density])[:, :3 if len(density) > 3 else 2] / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    value = covariance @ design.T @ (y / error)
    result.add("Lorentz gas, random: lambda / kinetic theory, extrapolated to density 0", Estimate(float(value[0]), float(math.sqrt(covariance[0, 0]))), 1.0, "",
               "fit of 1 + a n ln n + b n" if len(density) > 3 else "fit of 1 + a n ln n")


def _contraction(result, case, growth, contraction, note):
    """Sum of all exponents against the contraction measured along the same trajectory: compared block by block, so that chaos cancels."""
    rest = growth.mean(growth.growth.sum(axis=1) + contraction)
    rate = growth.mean(contraction)
    _add(result, case, "sum of exponents", Estimate(*growth.spectrum.sum), None, "1/time")
    _add(result, case, "mean contraction", rate, None, "1/time", note)
    _add(result, case, "(sum + contraction) / contraction", Estimate(rest.value / rate.value, abs(rest.error / rate.value)), None, "", "0 up to the time step's error")
    return rest.value / rate.value


def _particles(result, case, growth, deck):
    table, spectrum = getattr(deck, case.kind), growth.spectrum
    whole = 2 * table.dimensions * table.particles
    temperature = growth.mean(growth.observables[:, 0] * growth.times)
    largest = growth.largest()
    reference = FLUIDS.get((getattr(table, "potential", ""), table.dimensions, table.particles, case.value, table.temperature))
    if reference is not None:
        _add(result, case, "lambda_1", _beside(largest, reference), reference[0], note=f"reference {reference[0]}({reference[1]}), one run, its error included; ours alone {largest.error:.3f}")
    else:
        _add(result, case, "lambda_1", largest)
    _add(result, case, "temperature", temperature, None, "")
    if case.kind == "hard_discs":
        _add(result, case, "collisions per disc", Estimate(*(2 * x / table.particles for x in (lambda e: (e.value, e.error))(growth.mean(growth.observables[:, 3])))))
    if case.columns < whole:
        return
    _structure(result, case, growth, spectrum, 2 * (table.dimensions + 1))
    entropy = spectrum.kolmogorov_sinai(growth.growth, growth.times)
    _add(result, case, "KS entropy per particle", Estimate(entropy[0] / table.particles, entropy[1] / table.particles), None, "k_B/time")


def _trend(result, found):
    """Slope of h / (N nu) against -ln(density), nu = collisions of one disc per time."""
    if len(found) < 3:
        return
    x = np.array([-math.log(growth.case.value) for growth in found])
    entropies = [growth.spectrum.kolmogorov_sinai(growth.growth, growth.times) for growth in found]
    rates = [2 * growth.mean(growth.observables[:, 3]).value for growth in found]
    y, error = np.array([one[0] for one in entropies]) / rates, np.array([one[1] for one in entropies]) / rates
    design = np.column_stack([x, np.ones(len(x))]) / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    value = covariance @ design.T @ (y / error)
    result.add("hard discs: slope of h/(N nu) against -ln(density)", Estimate(float(value[0]), float(math.sqrt(covariance[0, 0]))), None, "",
               f"kinetic theory has the form a (-ln n + b); densities up to {DILUTE:g}")


def _structure(result, case, growth, spectrum, zeros):
    """Pairing, zeros, volume of an isolated system."""
    found, _ = spectrum.zeros()
    _add(result, case, "exponents that vanish", Estimate(float(found), 0.0), float(zeros), "", f"the largest of them {np.sort(np.abs(spectrum.exponents))[found - 1]:.2g}, the next one {np.sort(np.abs(spectrum.exponents))[found]:.2g}")
    pairing = spectrum.pairing()
    _add(result, case, "pairing, largest |sum of a pair| / lambda_1", Estimate(pairing, math.nan), None, "", "falls as 1/time; asked: below 1e-3")
    volume = np.abs(np.cumsum(growth.growth.sum(axis=1))).max()
    _add(result, case, "ln of phase volume, largest", Estimate(float(volume), 1e-10), 0.0, "", "Liouville: 0; rounding of 1e-10 allowed")


def _colour(result, case, growth, deck):
    table, spectrum = deck.colour_field, growth.spectrum
    n, freedom = table.particles, 2 * table.particles - 2
    alpha = growth.mean(growth.observables[:, 4] * growth.times)
    current = growth.mean(growth.observables[:, 2] * growth.times * n)
    _add(result, case, "lambda_1", growth.largest())
    kinetic = 0.5 * freedom * float(growth.observables[:, 0].mean())
    beta = (freedom - 1) / (2 * kinetic)
    produced = Estimate(beta * case.value * current.value, beta * case.value * current.error)
    _add(result, case, "entropy production, beta F J", produced, None, "k_B/time")
    held = (freedom - 1) * alpha.value
    # the same trajectory: the two differ by the change of potential energy over the run
    ends = 2 * beta * n / growth.times.sum()
    _add(result, case, "contraction (D - 1) alpha", Estimate(held, ends), produced.value if case.value else None, "k_B/time",
         "equal to the entropy production; error: the change of potential energy over the run")
    if case.columns < 4 * n:
        return
    off = _contraction(result, case, growth, growth.contraction, f"({2 * n} - 1) alpha")
    if abs(off) > 1e-3 and case.value:
        result.warnings.append(f"{case.name}: the sum of exponents and the contraction differ by {off:.1e}; take a shorter time step")
    ordered = np.sort(spectrum.exponents)[::-1]
    pairs = ordered[:2 * n] + ordered[::-1][:2 * n]
    if ordered[0] < ORDERED:
        result.facts.append(f"{case.name}: lambda_1 = {ordered[0]:.2g}; the discs have found an ordered flow in lanes, which is not chaotic")
        return
    order = np.argsort(np.abs(pairs + alpha.value))
    spread = float(np.abs(pairs[order[:2 * n - 1]] + alpha.value).max() / ordered[0])
    _add(result, case, "pairs to -alpha, largest miss / lambda_1", Estimate(spread, math.nan), None, "", f"{2 * n - 1} pairs; the pair of flow and kinetic energy is left out; alpha = {alpha.value:.4f}")
    result.add(f"{case.name}: Kaplan-Yorke dimension", Estimate(spectrum.kaplan_yorke(), math.nan), note=f"of {4 * n} dimensions")
