"""The report of a result: lines for the terminal, numbers.json, and one HTML page that needs no other file."""
import base64
import html
from pathlib import Path

from ...storage import provenance
from ..ionic_conductivity.report import CSS, number
from .launched import ENSEMBLE

TITLES = {"dragged_trap": "A particle in a dragged trap", "stiffened_trap": "A particle in a trap that stiffens", "breathing_trap": "A particle in a trap driven in cycles",
          "pulled_chain": "A pulled chain", "colour_field": "Discs driven by a colour field"}
LAWS = ("Crooks: P<sub>F</sub>(w)/P<sub>R</sub>(−w) = exp((w − ΔF)/k<sub>B</sub>T) from equilibrium to equilibrium; Jarzynski: ⟨exp(−w/k<sub>B</sub>T)⟩ = exp(−ΔF/k<sub>B</sub>T). "
        "From steady state to steady state P(s)/P(−s) = e<sup>s</sup> for s = heat/T + ln p(start)/p(end); Evans-Searles: the same for the time integral of the dissipation "
        "function from an equilibrium start. The logistic regression asks which direction a trajectory came from; its slope is 1 by Crooks, and its intercept with the slope "
        "held at 1 is BAR's ΔF. Errors are standard errors; distances are in standard errors. Units are the deck's own, k<sub>B</sub> = 1.")

CELLS = ("t", "n", "n", "n", "t")       # classes of the columns: text, numbers


def _row(one):
    target = "" if one.target is None else f"{one.target:.6g}"
    distance = "" if one.distance is None else f"{one.distance:+.2f}"
    return one.name, number(one.value, one.error, one.unit) + ("" if one.trusted else " (not trusted)"), target, distance, one.note


def summary_lines(result):
    """The text for the terminal, plain ASCII: list of lines."""
    done = result.replicas
    lines = [f"{TITLES[result.kind]}: {done['complete']} trajectories complete, {done['failed']} broke, {done['missing'] + done['running']} missing",
             f"  {'':36s}{'measured':>28s}{'exact':>12s}{'distance':>10s}"]
    for one in [*result.numbers, *result.ledger]:
        name, value, target, distance, note = _row(one)
        mark = {True: "ok  ", False: "WARN", None: "    "}[one.passed]
        lines.append(f"{mark} {name:36s}{value:>27s}{target:>12s}{distance:>10s}  {note}")
    lines += [f"  {text}" for text in result.facts] + [f"WARN {text}" for text in result.warnings]
    return [line.replace("±", "+-") for line in lines]


def write(result, folder):
    """Figures, numbers.json and report.html in `folder`/report; the path of the page."""
    from . import figures
    folder = Path(folder)
    target = folder / "report"
    target.mkdir(parents=True, exist_ok=True)
    pictures = figures.draw(result, target)
    (target / "numbers.json").write_text(result.to_json(), encoding="utf-8")
    record = provenance.read(folder / ENSEMBLE)
    deck = record.pop("deck")
    page = target / "report.html"
    page.write_text(_page(result, pictures, deck, record), encoding="utf-8")
    return page


def _page(result, pictures, deck, record):
    e, title = html.escape, TITLES[result.kind]
    parts = [f"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{e(title)}</title>"
             f"<style>{CSS}</style></head><body><h1>{e(title)}: work and fluctuation theorems</h1>"]
    done = result.replicas
    parts.append(f"<p class=\"sigma{' refused' if result.warnings else ''}\">{done['complete']} trajectories complete, {done['failed']} broke"
                 f"<small>{''.join(f'<br>{e(text)}.' for text in result.warnings)}</small></p><p>{LAWS}</p>")
    head = "".join(f"<th>{word}</th>" for word in ("number", "measured", "exact", "distance", "note"))
    for name, rows in (("Numbers", result.numbers), ("Entropy ledger", result.ledger)):
        if rows:
            body = "".join(f"<tr>{''.join(f'<td class={CELLS[k]}>{e(cell)}</td>' for k, cell in enumerate(_row(one)))}</tr>" for one in rows)
            parts.append(f"<h2>{name}</h2><table><tr>{head}</tr>{body}</table>")
    parts.append("".join(f"<p>{e(text)}</p>" for text in result.facts))
    if result.diagnostics:
        parts.append("<h2>Sampling</h2><table>" + "".join(f"<tr><td>{e(key)}</td><td class=\"n\">{e(value)}</td></tr>" for key, value in _flat(result.diagnostics)) + "</table>")
    if pictures:
        parts.append("<h2>Figures</h2>" + "".join(_figure(k, picture) for k, picture in enumerate(pictures, 1)))
    parts.append(f"<h2>Deck</h2><pre>{e(deck)}</pre><h2>Provenance</h2><table>"
                 + "".join(f"<tr><td>{e(key)}</td><td>{e(value)}</td></tr>" for key, value in _flat(record)) + "</table>")
    return "\n".join(parts) + "</body></html>\n"


def _figure(k, picture):
    data = base64.b64encode(Path(picture.png).read_bytes()).decode()
    return (f"<figure id=\"{html.escape(picture.name)}\"><img alt=\"{html.escape(picture.title)}\" src=\"data:image/png;base64,{data}\">"
            f"<figcaption><b>Figure {k}. {html.escape(picture.title)}.</b> {html.escape(picture.caption)}</figcaption></figure>")


def _flat(tree, prefix=""):
    for key in sorted(tree):
        value = tree[key]
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", f"{value:.6g}" if isinstance(value, float) else str(value.decode() if isinstance(value, bytes) else value)
