"""The report of a result: lines for the terminal, numbers.json, figures, and one HTML page that needs no other file."""
import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...storage import provenance
from ..ionic_conductivity.figures import STYLE, Picture
from ..ionic_conductivity.report import CSS, figure_html, number
from .launched import ENSEMBLE

CELLS = ("t", "n", "n", "n", "t")       # classes of the columns: text, numbers
QUIET = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}


@dataclass(frozen=True)
class Page:
    """What a report says beside its numbers. `title(result)`; `laws`: HTML of the equations behind the numbers; `plots`: (name, title,
    function(result, figure) -> caption or None, size); `noun`: what a row is; `expected`: head of the column of exact or published values."""
    title: Any
    laws: str
    plots: tuple
    noun: str = "rows"
    expected: str = "expected"

    def summary(self, result):
        """Lines for the terminal, plain ASCII."""
        width = max([36] + [len(one.name) for one in [*result.numbers, *result.ledger]])
        lines = [f"{self.title(result)}: {_counted(result, self.noun)}, {result.replicas['missing'] + result.replicas['running']} missing",
                 f"     {'':{width}s}{'measured':>28s}{self.expected:>12s}{'distance':>10s}"]
        for one in [*result.numbers, *result.ledger]:
            name, value, target, distance, note = _row(one)
            mark = {True: "ok  ", False: "WARN", None: "    "}[one.passed]
            lines.append(f"{mark} {name:{width}s}{value:>28s}{target:>12s}{distance:>10s}  {note}".rstrip())
        lines += [f"  {text}" for text in result.facts] + [f"WARN {text}" for text in result.warnings]
        return [line.replace("±", "+-") for line in lines]

    def draw(self, result, folder):
        """Figures (PNG and PDF), numbers.json and report.html in `folder`/report; the path of the page."""
        folder = Path(folder)
        pictures = draw_figures(result, folder / "report", self.plots)
        (folder / "report" / "numbers.json").write_text(result.to_json(), encoding="utf-8")
        record = provenance.read(folder / ENSEMBLE)
        page = folder / "report" / "report.html"
        page.write_text(self._html(result, pictures, record.pop("deck"), record), encoding="utf-8")
        return page

    def _html(self, result, pictures, deck, record):
        e, title = html.escape, self.title(result)
        parts = [f"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{e(title)}</title>"
                 f"<style>{CSS}</style></head><body><h1>{e(title)}</h1>",
                 f"<p class=\"sigma{' refused' if result.warnings else ''}\">{_counted(result, self.noun)}"
                 f"<small>{''.join(f'<br>{e(text)}.' for text in result.warnings)}</small></p><p>{self.laws}</p>"]
        head = "".join(f"<th>{word}</th>" for word in ("number", "measured", self.expected, "distance", "note"))
        for name, rows in (("Numbers", result.numbers), ("Entropy ledger", result.ledger)):
            if rows:
                body = "".join(f"<tr>{''.join(f'<td class={CELLS[k]}>{e(cell)}</td>' for k, cell in enumerate(_row(one)))}</tr>" for one in rows)
                parts.append(f"<h2>{name}</h2><p><small>Distance: from the {self.expected} value in standard errors.</small></p><table><tr>{head}</tr>{body}</table>")
        parts.append("".join(f"<p>{e(text)}.</p>" for text in result.facts))
        diagnostics = dict(result.diagnostics)
        for name, (columns, rows) in diagnostics.pop("tables", {}).items():
            body = "".join("<tr>" + "".join(f"<td class=\"n\">{e(cell)}</td>" for cell in row) + "</tr>" for row in rows)
            parts.append(f"<h2>{e(name)}</h2><table><tr>{''.join(f'<th>{e(one)}</th>' for one in columns)}</tr>{body}</table>")
        if diagnostics:
            parts.append("<h2>Sampling</h2>" + _pairs(diagnostics))
        if pictures:
            parts.append("<h2>Figures</h2>" + "".join(figure_html(k, picture) for k, picture in enumerate(pictures, 1)))
        parts.append(f"<h2>Deck</h2><pre>{e(deck)}</pre><h2>Provenance</h2>{_pairs(record)}")
        return "\n".join(parts) + "</body></html>\n"


def draw_figures(result, folder, plots, formats=("png", "pdf")):
    """Draws what the result has curves for. List of Pictures in `folder`, in the order of `plots` (see Page)."""
    import matplotlib
    from matplotlib.figure import Figure
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    with matplotlib.rc_context({k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")}):
        matplotlib.rcParams.update(STYLE)
        for name, title, plot, size in plots:
            figure = Figure(figsize=size, layout="constrained")
            caption = plot(result, figure)
            if not caption:
                continue
            paths = {kind: folder / f"{name}.{kind}" for kind in QUIET}
            for kind in formats:
                figure.savefig(paths[kind], metadata=QUIET[kind])
            pictures.append(Picture(name, title, caption, paths["png"], paths["pdf"]))
    return pictures


def legend_above(axis, columns=1, size=8):
    """A legend over the axis, where it covers neither curves nor marks."""
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, fontsize=size)


def _counted(result, noun):
    return f"{result.replicas['complete']} {noun} complete, {result.replicas['failed']} broke"


def _row(one):
    target = "" if one.target is None else f"{one.target:.6g}"
    distance = "" if one.distance is None else f"{one.distance:+.2f}"
    return one.name, number(one.value, one.error, one.unit) + ("" if one.trusted else " (not trusted)"), target, distance, one.note


def _pairs(tree):
    """A table of the leaves of a tree of dicts."""
    return "<table>" + "".join(f"<tr><td>{html.escape(key)}</td><td class=\"n\">{html.escape(value)}</td></tr>" for key, value in _flat(tree)) + "</table>"


def _flat(tree, prefix=""):
    for key in sorted(tree):
        value = tree[key]
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", f"{value:.6g}" if isinstance(value, float) else str(value.decode() if isinstance(value, bytes) else value)
