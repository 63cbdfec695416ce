"""The report of a result: lines for the terminal, numbers.json, and one HTML page that needs no other file."""
import base64
import html
import math
import tomllib
from pathlib import Path

from ...analysis.conductivity import LINEAR_LIMIT
from . import columns, correlated, methods

EQUATIONS = {
    "constant_current": "The field λ(t) that keeps the current at J<sub>0</sub> is measured: σ = J<sub>0</sub> / (V ⟨λ⟩), with ⟨λ⟩ the sum of the field impulses of all "
                        "steps over the time (Norton ensemble; Gauss's principle).",
    "constant_field": "The current J = Σ c<sub>i</sub> v<sub>i</sub> along the field E is measured: σ = ⟨J⟩ / (V E).",
    "zero_current": "The current is held at zero, and the field λ(t) that does it fluctuates: σ = k<sub>B</sub>T / (V Var X/2t), X = ∫ λ dt (Norton ensemble at "
                    "J<sub>0</sub> = 0; the dual of Green and Kubo).",
    "none": "Charge displacement ΔP = Σ z<sub>i</sub> (Δr<sub>i</sub> − Δr<sub>framework</sub>): σ is half the slope of ⟨ΔP²⟩ per axis over V k<sub>B</sub>T, "
            "which is the Green-Kubo integral of the current correlation at the cut that is given.",
}
LAWS = ("Colour charges c<sub>i</sub> are formal charges on the mobile species and a share of the opposite charge by mass on the framework, so that Σ c<sub>i</sub> = 0. "
        "Errors are standard errors from uncorrelated blocks of all replicas; intervals are 95 %. Entropy production Σ = work of the drive / T. "
        "Linear response asks that the relative error ε of σ obey ε² = 2 k<sub>B</sub>/Σ: Q = ε² Σ / 2 k<sub>B</sub> near 1.")
CSS = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #ddd}
.sigma{font-size:1.5rem;padding:.8rem 1rem;background:#eef5fa;border-left:.35rem solid #0072B2}.refused{background:#fdf0e8;border-color:#D55E00}
table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem;border-bottom:1px solid #eee;text-align:left;vertical-align:top}td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
figure{margin:1.6rem 0}img{max-width:100%}figcaption{font-size:.9rem;color:#444}pre{background:#f6f6f6;padding:.8rem;overflow-x:auto;font-size:.85rem}
.yes{color:#00734f}.no{color:#b34700;font-weight:600}.open{color:#666}small{color:#555}"""


def number(value, error=None, unit=""):
    """`349.1 ± 1.3 S/m`: two digits of the error decide those of the value."""
    if value is None:
        return "not known"
    unit = f" {unit}" if unit else ""
    if error is None or not math.isfinite(error) or error <= 0:
        return f"{value:.5g}{unit}"
    digits = 1 - math.floor(math.log10(error))
    if digits < 0 or abs(value) >= 1e6 or max(abs(value), error) < 1e-3:
        power = math.floor(math.log10(max(abs(value), error)))
        if digits < 0 and abs(power) < 4:
            return f"{round(value, digits):.0f} ± {round(error, digits):.0f}{unit}"
        scale, keep = 10.0 ** power, max(0, power + digits)
        return f"({value / scale:.{keep}f} ± {error / scale:.{keep}f})e{power:+03d}{unit}"
    return f"{value:.{digits}f} ± {error:.{digits}f}{unit}"


def shown(entry, unit=None):
    """An Estimate's dictionary in words."""
    return number(entry["value"], entry["error"], entry["unit"] if unit is None else unit)


def _si_centi(entry):
    """The same conductivity in S/cm."""
    error = entry["error"]
    return number(entry["value"] / 100, error / 100 if error is not None else None, "S/cm")


def headline(result):
    """One sentence with the conductivity, or that it is refused."""
    if result.sigma is None:
        return "conductivity: not reported"
    entry = result.sigma.as_dict()
    only = result.numbers["settings"].get("driven_species")
    if only is not None:
        return f"part of the conductivity, e2zzL of {only} driven alone: {shown(entry)} ({100 * result.sigma.relative:.1f} %)"
    relative = f", {100 * result.sigma.relative:.1f} %" if math.isfinite(result.sigma.relative) else ""
    return f"conductivity: sigma = {shown(entry)} ({_si_centi(entry)}{relative})"


def advice(result):
    """What to run next, in one sentence; None where there is nothing to say."""
    told = result.numbers.get("suggestion")
    if told is None:
        return None
    which = result.numbers["settings"]["mode"]
    if which == "constant_current":
        drive = f"a current density of {told['current_density_A_per_cm2']:.3g} A/cm^2"
        if told["drift_velocity_angstrom_per_ps"] is not None:
            drive += f" (drive.drift_velocity = \"{told['drift_velocity_angstrom_per_ps']:.3g} angstrom/ps\")"
    else:
        drive = f"drive.field = \"{told['field_V_per_angstrom']:.3g} V/angstrom\""
    text = f"for {100 * told['relative_error']:g} % in the same {told['time_fs'] / 1000:g} ps take {drive}"
    if told["linear_time_fs"] > told["time_fs"]:
        text += (f"; that is beyond linear response (q E a / 2 k_B T = {told['linearity_x']:.2g}): "
                 f"stay at {LINEAR_LIMIT} and measure {told['linear_time_fs'] / 1000:.3g} ps in all")
    return text


def summary_lines(result):
    """The text for the terminal, plain ASCII: list of lines."""
    numbers = result.numbers
    lines = [headline(result)]
    if result.sigma is None:
        lines += [f"  refused: {reason}" for reason in result.refusals]
        lines += [f"  to do: {advice(result)}"] if advice(result) else []
    else:
        lines.append(f"  95 % interval {_interval(numbers['conductivity'])}; {result.sigma.estimator}")
    if "entropy_production" in numbers:
        law = numbers["thermodynamic_relative_error"]
        lines.append(f"  entropy production {shown(numbers['entropy_production']['run'])} in {numbers['length']['time_fs'] / 1000:g} ps"
                     + (f", which allows an error of {100 * law:.2g} %" if law else "")
                     + (f"; Q_TUR = {shown(numbers['Q_TUR'])}" if result.sigma is not None else ""))
    for key, text in (("nernst_einstein", "Nernst-Einstein conductivity"), ("haven_ratio", "Haven ratio"), ("temperature", "temperature")):
        if key in numbers:
            lines.append(f"  {text} {shown(numbers[key])}")
    if numbers.get("cell"):
        lines.append("  " + cell_line(numbers["cell"]))
    if numbers.get("sites"):
        lines.append("  " + site_line(numbers["sites"]))
    if "speed_up" in numbers:
        lines.append(f"  an equilibrium run would need {numbers['speed_up']['value']:.3g} times the length for this error")
    lines += [f"  {'ok  ' if v.passed else '?   ' if v.passed is None else 'WARN'} {v.name}: {v.text}" for v in result.verdicts]
    return [line.replace("±", "+-") for line in lines]      # logs are not always UTF-8


def cell_line(cell):
    """The mean cell of the phase at constant pressure in one line."""
    edges, pressures = cell["edges"], [entry["value"] for entry in cell["pressure"]]
    same = max(entry["value"] for entry in edges) - min(entry["value"] for entry in edges) < 1e-9
    text = shown(edges[0]) + " (all edges)" if same else " x ".join(shown(entry) for entry in edges)
    if "skew" in cell:
        text = f"lx, ly, lz {text} (xy/lx, xz/lx, yz/ly {', '.join(f'{ratio:.5g}' for ratio in cell['skew'])})"
    return (f"cell {text}, common to all replicas, from {sum(pressures) / 3:.2g} GPa"
            + ("" if same or "skew" in cell else f"; edge {cell['unique_axis']} over the others {shown(cell['axis_ratio'])}"))


def site_line(sites):
    """Order parameters of the sites in one line: of the measurement, or of the phase at constant pressure where there is none yet."""
    found = sites.get("measurement") or sites["constant_pressure"]
    told = ", ".join(f"{label} {shown(entry['order'])}" for label, entry in found["classes"].items() if "order" in entry)
    verdict = f"ordered along {found['ordered_along']}" if found["ordered_along"] else "disordered"
    return f"site order: {told}: {verdict}"


def _interval(entry):
    low, high = entry["interval95"]
    return f"{'-inf' if low is None else f'{low:.5g}'} to {'infinity' if high is None else f'{high:.5g}'} {entry['unit']}"


def write(result, folder, pictures=(), deck="", provenance=None, title="Ionic conductivity"):
    """Writes numbers.json and report.html into `folder`; the path of the page. `pictures`: from `figures.draw`; `deck`: text of the resolved deck;
    `provenance`: flat or nested dictionary."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "numbers.json").write_text(result.to_json(), encoding="utf-8")
    page, new = folder / "report.html", folder / ".report.html.new"
    new.write_text(_page(result, pictures, deck, provenance or {}, title), encoding="utf-8")
    return new.replace(page)                # where a page is, it is whole


def repeatability(record):
    """{"repeats": why not} for the provenance of a run whose cuts followed measured times, else {}. `record`: as storage.provenance has it."""
    several = math.prod(int(n) for n in record["grid"][1:]) > 1
    timed = tomllib.loads(record["deck"]).get("parallel", {}).get("balance") == "time"
    return {"repeats": "no: the cuts between domains followed measured times (parallel.balance = \"time\")"} if timed and several else {}


def _page(result, pictures, deck, provenance, title):
    e = html.escape
    parts = [f"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{e(title)}</title>"
             f"<style>{CSS}</style></head><body><h1>{e(title)}</h1>"]
    if result.sigma is None:
        reasons = "".join(f"<br>{e(reason)}." for reason in result.refusals)
        told = f"<br>What to do: {e(advice(result))}." if advice(result) else ""
        parts.append(f"<p class=\"sigma refused\">No conductivity is reported.<small>{reasons}{told}</small></p>")
    else:
        entry = result.sigma.as_dict()
        name = f"e²zzL of {settings['driven_species']}" if "driven_species" in (settings := result.numbers["settings"]) else "σ"
        parts.append(f"<p class=\"sigma\">{e(name)} = {e(shown(entry))} <small>({e(_si_centi(entry))}; 95 %: {e(_interval(entry))}; {e(entry['estimator'])})</small></p>")
    parts.append(f"<p>{EQUATIONS[result.numbers['settings']['mode']]} {LAWS}</p>")
    parts.append("<h2>What supports it</h2><table>" + "".join(_verdict_row(v) for v in result.verdicts) + "</table>")
    parts.append("<h2>Numbers</h2><table>" + "".join(f"<tr><td>{e(name)}</td><td class=\"n\">{e(value)}</td><td><small>{e(note)}</small></td></tr>"
                                                     for name, value, note in number_rows(result)) + "</table>")
    if pictures:
        parts.append("<h2>Figures</h2>" + "".join(figure_html(k, picture) for k, picture in enumerate(pictures, 1)))
    if deck:
        parts.append(f"<h2>Deck</h2><pre>{e(deck)}</pre>")
    if provenance:
        parts.append("<h2>Provenance</h2><table>" + "".join(f"<tr><td>{e(key)}</td><td>{e(value)}</td></tr>" for key, value in _flat(provenance)) + "</table>")
    return "\n".join(parts) + "</body></html>\n"


def _verdict_row(verdict):
    mark, kind = {True: ("yes", "yes"), False: ("no", "no"), None: ("open", "open")}[verdict.passed]
    return f"<tr><td class=\"{kind}\">{mark}</td><td>{html.escape(verdict.name)}</td><td>{html.escape(verdict.text)}</td></tr>"


def figure_html(k, picture):
    data = base64.b64encode(Path(picture.png).read_bytes()).decode()
    return (f"<figure id=\"{html.escape(picture.name)}\"><img alt=\"{html.escape(picture.title)}\" src=\"data:image/png;base64,{data}\">"
            f"<figcaption><b>Figure {k}. {html.escape(picture.title)}.</b> {html.escape(picture.caption)}</figcaption></figure>")


def _flat(tree, prefix=""):
    for key in sorted(tree):
        value = tree[key]
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value.decode() if isinstance(value, bytes) else value)


def number_rows(result):
    """(name, value with error and unit, how it was obtained) of everything in the numbers table."""
    n = result.numbers
    rows = []

    def add(name, entry, note=None):
        rows.append((name, shown(entry), entry["estimator"] if note is None else note))
    if n.get("conductivity"):
        add("conductivity" if "driven_species" not in n["settings"] else f"part e²zzL of the conductivity, {n['settings']['driven_species']} driven", n["conductivity"])
    if "zero_current" in n:
        rows.append(("resistivity", f"{n['zero_current']['resistivity_ohm_metre']:.4g} Ω m" if n["zero_current"]["resistivity_ohm_metre"] else "not known", "zero current"))
    if "equilibrium" in n:
        found = n["equilibrium"]
        where = "" if found["axes"] == "xyz" else "; from the axes across the drive"
        add("equilibrium conductivity, Green-Kubo", found["green_kubo"], found["green_kubo"]["estimator"] + where)
        for key, name in (("einstein_helfand", "Einstein-Helfand"), ("multiple_tau", "accumulated during the run")):
            if key in found:
                add(f"equilibrium conductivity, {name}", found[key], found[key]["estimator"] + where)
    if "from_noise" in n:
        add("conductivity from the noise alone", n["from_noise"])
    if "drive" in n:
        drive = n["drive"]
        rows.append(("current density", f"{drive['current_density_A_per_cm2']:.5g} A/cm²", f"J/V, J = {drive['current_e_angstrom_per_fs']:.5g} e Å/fs"))
        rows.append(("field", f"{drive['field_V_per_angstrom']:.5g} V/Å", "mean impulse per time"))
        rows.append(("linearity q E a / 2 k_B T", f"{drive['linearity_x']:.3f}", f"hops of {drive['hop_length_angstrom']:g} Å; linear within 5 % below {LINEAR_LIMIT}"))
    if "entropy_production" in n:
        made = n["entropy_production"]
        add("entropy production, run", made["run"], made["run"]["estimator"] + f"; {number(made['from_heat'])} k_B from the heat")
        add("entropy production, block", made["per_block"])
        if result.sigma is not None:
            add("Q_TUR", n["Q_TUR"])
    if n.get("thermodynamic_relative_error") and result.sigma is not None:
        rows.append(("relative error", f"{100 * result.sigma.relative:.2f} %", f"entropy production allows {100 * n['thermodynamic_relative_error']:.2f} %"))
    if "speed_up" in n:
        rows.append(("speed-up over equilibrium", f"{n['speed_up']['value']:.3g}", f"entropy per {n['speed_up']['window_fs'] / 1000:.3g} ps / 3 k_B; "
                     "window from the axes across the drive"))
    for name, entry in n.get("diffusion", {}).items():
        rows.append((f"diffusion coefficient, {name}", number(entry["cm2_per_s"], entry["error_cm2_per_s"], "cm²/s"), entry["estimator"]))
    for key, name in (("nernst_einstein", "Nernst-Einstein conductivity"), ("haven_ratio", "Haven ratio"), ("temperature", "temperature")):
        if key in n:
            add(name, n[key])
    for name, entry, note in (*methods.rows(n), *columns.rows(n), *correlated.rows(n)):
        add(name, entry, note)
    length = n["length"]
    if "trajectory" in n:                                   # a file tells no temperatures, pressure or energies
        told = n["trajectory"]
        rows.append(("data", f"{told['frames']} frames, {length['time_fs'] / 1000:g} ps", f"{told['file']}, a frame every {told['interval_fs']:g} fs"))
        rows.append(("volume", number(told["volume_angstrom3"], told["volume_standard_deviation_angstrom3"], "Å³"), "mean and standard deviation over frames"))
        return rows
    for name, entry in n["temperature_species"].items():
        add(f"temperature, {name}", entry)
    add("pressure", n["pressure"])
    add("potential energy", n["potential_energy"])
    if n.get("cell"):
        found = n["cell"]
        for axis, edge, pressure in zip("xyz", found["edges"], found["pressure"]):
            add(f"cell edge along {axis}" if "skew" not in found else f"l{axis} of the tilted cell", edge, f"mean over the second half at constant pressure and {found['replicas']} replicas, which all took it")
            add(f"pressure along {axis} at constant pressure", pressure)
        add("odd edge over the others", found["axis_ratio"], f"edge {found['unique_axis']} over the mean of the others")
        add("temperature at constant pressure", found["temperature"])
        rows.append(("changes of the cell accepted", f"{100 * found['accepted']:.1f} %", f"effective energy drifted by {found['effective_energy_drift_eV']:.3g} eV, "
                     f"ledger error {found['ledger_error_eV']:.3g} eV"))
    for part, found in n.get("sites", {}).items():
        where = "in the measurement" if part == "measurement" else "at constant pressure, second half"
        for label, entry in found["classes"].items():
            add(f"occupation of {label}", entry["occupation"], f"ions per site, {where}")
            if "order" in entry:
                add(f"order parameter of {label}", entry["order"], f"{entry['order']['estimator']}, {where}")
    ledger = n["ledger"]
    for key, name in (("work_eV", "work of the drive"), ("heat_eV", "heat to the thermostat"), ("energy_change_eV", "energy change"), ("ledger_error_eV", "ledger error")):
        rows.append((name, f"{ledger[key]:.6g} eV", "sum over all replicas"))
    rows.append(("data", f"{length['blocks']} blocks, {length['time_fs'] / 1000:g} ps", f"{length['replicas']} replicas together"))
    return rows
