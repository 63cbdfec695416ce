"""The report of a result: lines for the terminal, numbers.json, figures, and one HTML page that needs no other file."""
import base64
import html
from pathlib import Path

from ...storage import provenance
from ..ionic_conductivity.figures import STYLE, Picture
from ..ionic_conductivity.report import CSS, number
from .launched import ENSEMBLE


def _row(one):
    target = "" if one.target is None else f"{one.target:.6g}"
    distance = "" if one.distance is None else f"{one.distance:+.2f}"
    return one.name, number(one.value, one.error, one.unit), target, distance, one.note


def summary_lines(result, title):
    """The text for the terminal, plain ASCII."""
    done = result.replicas
    width = max([36] + [len(one.name) for one in result.numbers])
    lines = [f"{title}: {done['complete']} rows complete, {done['failed']} broke, {done['missing'] + done['running']} missing",
             f"     {'':{width}s}{'measured':>28s}{'expected':>12s}{'distance':>10s}"]
    for one in result.numbers:
        name, value, target, distance, note = _row(one)
        mark = {True: "ok  ", False: "WARN", None: "    "}[one.passed]
        lines.append(f"{mark} {name:{width}s}{value:>28s}{target:>12s}{distance:>10s}  {note}".rstrip())
    lines += [f"  {text}" for text in result.facts] + [f"WARN {text}" for text in result.warnings]
    return [line.replace("±", "+-") for line in lines]


def draw_figures(result, folder, plots, formats=("png", "pdf")):
    """`plots`: (name, title, function(result, figure) -> caption or None, size). List of Pictures in `folder`."""
    import matplotlib
    from matplotlib.figure import Figure
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    quiet = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
    pictures = []
    with matplotlib.rc_context({k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")}):
        matplotlib.rcParams.update(STYLE)
        for name, title, plot, size in plots:
            figure = Figure(figsize=size, layout="constrained")
            caption = plot(result, figure)
            if not caption:
                continue
            paths = {kind: folder / f"{name}.{kind}" for kind in quiet}
            for kind in formats:
                figure.savefig(paths[kind], metadata=quiet[kind])
            pictures.append(Picture(name, title, caption, paths["png"], paths["pdf"]))
    return pictures


def write(result, folder, title, laws, plots):
    """Figures, numbers.json and report.html in `folder`/report; the path of the page. `laws`: HTML of the equations behind the numbers."""
    folder = Path(folder)
    pictures = draw_figures(result, folder / "report", plots)
    (folder / "report" / "numbers.json").write_text(result.to_json(), encoding="utf-8")
    record = provenance.read(folder / ENSEMBLE)
    page = folder / "report" / "report.html"
    page.write_text(_page(result, title, laws, pictures, record.pop("deck"), record), encoding="utf-8")
    return page


def _page(result, title, laws, pictures, deck, record):
    e = html.escape
    done = result.replicas
    parts = [f"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{e(title)}</title>"
             f"<style>{CSS}</style></head><body><h1>{e(title)}</h1>",
             f"<p class=\"sigma{' refused' if result.warnings else ''}\">{done['complete']} rows complete, {done['failed']} broke"
             f"<small>{''.join(f'<br>{e(text)}.' for text in result.warnings)}</small></p><p>{laws}</p>"]
    parts.append("".join(f"<p>{e(text)}.</p>" for text in result.facts))
    head = "".join(f"<th>{word}</th>" for word in ("number", "measured", "expected", "distance", "note"))
    body = "".join("<tr>" + "".join(f"<td class=\"{'t' if k in (0, 4) else 'n'}\">{e(cell)}</td>" for k, cell in enumerate(_row(one))) + "</tr>"
                   for one in result.numbers)
    parts.append(f"<h2>Numbers</h2><p><small>Distance: from the expected value in standard errors.</small></p><table><tr>{head}</tr>{body}</table>")
    for name, (columns, rows) in result.diagnostics.get("tables", {}).items():
        body = "".join("<tr>" + "".join(f"<td class=\"n\">{e(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        parts.append(f"<h2>{e(name)}</h2><table><tr>{''.join(f'<th>{e(one)}</th>' for one in columns)}</tr>{body}</table>")
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
            yield f"{prefix}{key}", str(value.decode() if isinstance(value, bytes) else value)
