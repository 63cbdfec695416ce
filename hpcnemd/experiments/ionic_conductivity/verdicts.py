"""What supports a result and what speaks against it, in sentences."""
import math
from dataclasses import dataclass

from ...analysis import conductivity
from ...analysis.blocks import count
from ...analysis.stationarity import settling
from . import methods

SETTLED_P = 0.01            # per series, after the correction for two tests
TEMPERATURE_SLACK = 0.03    # relative deviation of a species' temperature that is reported, where it is also beyond 3 standard errors
QUALITY_WINDOW = (0.7, 1.5)
LEDGER_SLACK = 1e-2         # of the work, or of the kinetic energy where that is larger


@dataclass(frozen=True)
class Verdict:
    """`passed`: True, False, or None where the data cannot say."""
    name: str
    passed: object
    text: str

    def as_dict(self):
        return {"name": self.name, "passed": self.passed, "text": self.text}


def collect(result, rows, settings):
    """Fills result.verdicts, and result.numbers["settling"]."""
    add = result.verdicts.append
    _settled(result, rows, settings, add)
    n = count(rows["work"])
    add(Verdict("blocks", n >= 20, f"{n} blocks of {settings.block / 1000:g} ps in all replicas" + ("" if n >= 20 else "; an error needs at least 20 to be trusted")))
    if "blocks" in result.numbers:
        merged = result.numbers["blocks"]
        add(Verdict("independent blocks", merged["independent"], f"blocks of {merged['length_fs'] / 1000:g} ps are " +
                    ("uncorrelated" if merged["independent"] else "correlated, or shorter than the memory of the ions, and there are too few: the error is too small; run longer")))
    if "zero_current" in result.numbers:
        found = result.numbers["zero_current"]
        add(Verdict("memory", found["window_independent"], f"impulses of the field over {found['window_fs'] / 1000:g} ps are " +
                    ("uncorrelated" if found["window_independent"] else "still correlated: the run is too short")))
    if "equilibrium" in result.numbers and settings.mode == "none":
        found = result.numbers["equilibrium"]
        add(Verdict("memory", found["window_independent"], f"charge displacements over {found['window_fs'] / 1000:g} ps " +
                    ("are uncorrelated" if found["window_independent"] else "are still correlated: the run is too short")))
    if settings.until_error is not None:
        add(_wished(result, settings.until_error))
    told = methods.verdict(result.numbers)
    if told is not None:
        add(Verdict("error methods", *told))
    if "drive" in result.numbers:
        _driven(result, settings, add)
    _temperatures(result, settings, add)
    _ledger(result, add)


def _wished(result, error):
    """Was the error reached at which the run was to stop?"""
    if result.sigma is None or not result.sigma.relative <= error:
        return Verdict("wished error", False, f"{100 * error:g} % was not reached; lengthen run.measure and start the same command again")
    return Verdict("wished error", True, f"{100 * result.sigma.relative:.2g} %, at most {100 * error:g} %")


def _settled(result, rows, settings, add):
    """Drift of the response and of the potential energy."""
    series = {"potential energy": rows["potential"], "temperature": rows["temperature"]}
    if settings.driven:
        series["driving force" if settings.mode == "constant_current" else "current"] = (
            conductivity.response_rows(settings.mode, rows["impulse"], rows["current"], settings.block))
    table, drifting, known = {}, [], []
    for name, values in series.items():
        found = settling(values)
        table[name] = {key: value if math.isfinite(value) else None for key, value in
                       {"slope_over_run": found.slope, "error": found.slope_error, "p_trend": found.p_trend, "p_ends": found.p_ends}.items()}
        if math.isfinite(found.p):
            known.append(found.p)
            if found.p < SETTLED_P / len(series):
                drifting.append(f"{name} (p = {found.p:.2g})")
    result.numbers["settling"] = table
    if not known:
        add(Verdict("settled", None, "too few blocks to test for drift"))
    elif drifting:
        add(Verdict("settled", False, "still drifting: " + ", ".join(drifting) + "; lengthen run.settle or run.equilibrate"))
    else:
        add(Verdict("settled", True, f"no drift in {', '.join(series)} (smallest p = {min(known):.2g})"))


def _driven(result, settings, add):
    """Entropy, uncertainty relation, linear response."""
    numbers = result.numbers
    whole, block = numbers["entropy_production"]["run"]["value"], numbers["entropy_production"]["per_block"]["value"]
    text = f"{whole:.4g} k_B in the run, {block:.3g} k_B per block"
    add(Verdict("drive", not result.refusals, text if not result.refusals else text + ": too little to measure a conductivity"))
    low, high = QUALITY_WINDOW
    quality = numbers["Q_TUR"]
    if quality["value"] is not None and not result.refusals and quality["interval95"][0] is not None:
        inside = quality["interval95"][0] <= high and quality["interval95"][1] >= low
        add(Verdict("uncertainty relation", inside, f"Q = {quality['value']:.2f} +- {quality['error']:.2f}, 1 in linear response; " +
                    (f"its interval meets {low}-{high}" if inside else f"outside {low}-{high}: wrong error bar, or far from linear response")))
    x = numbers["drive"]["linearity_x"]
    ok = x <= conductivity.LINEAR_LIMIT
    add(Verdict("linear response", ok, f"q E a / 2 k_B T = {x:.2f} for hops of {settings.hop_length:g} angstrom" +
                ("" if ok else f", above {conductivity.LINEAR_LIMIT}: the hop model is {100 * (math.sinh(x) / x - 1):.0f} % nonlinear there; take a smaller drive")))


def _temperatures(result, settings, add):
    """Does any species leave the bath's temperature?"""
    far = []
    for name, value in result.numbers["temperature_species"].items():
        off = value["value"] - settings.temperature
        if abs(off) > TEMPERATURE_SLACK * settings.temperature and value["error"] is not None and abs(off) > 3 * value["error"]:
            far.append(f"{name} {value['value']:.0f} K")
    add(Verdict("temperatures", not far, "every species within 3 % of the bath, or within its error" if not far else
                "away from the bath: " + ", ".join(far) + "; the drive heats faster than the thermostat cools"))


def _ledger(result, add):
    """Does work - heat - energy change vanish?"""
    ledger = result.numbers["ledger"]
    scale = max(abs(ledger["work_eV"]), ledger["kinetic_energy_eV"])
    ratio = ledger["largest_running_error_eV"] / scale if scale else math.inf
    add(Verdict("energy ledger", ratio < LEDGER_SLACK, f"work {ledger['work_eV']:.4g} eV = heat {ledger['heat_eV']:.4g} eV + energy change "
                f"{ledger['energy_change_eV']:.4g} eV, largest error {ledger['largest_running_error_eV']:.2g} eV" +
                ("" if ratio < LEDGER_SLACK else ": take a smaller time step")))
