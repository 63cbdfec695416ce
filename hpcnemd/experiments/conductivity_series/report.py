"""The report of a series: lines for the terminal, numbers.json, figures, and one HTML page that needs no other file."""
import html
import math

from ..irreversibility.report import draw_figures
from ..ionic_conductivity.report import CSS, figure_html, number
from .estimate import USUAL_P, WORDS
from .figures import PLOTS, size_word

LAWS = ("Every point is an ordinary run with its own report in its own folder. Where a drive was applied at three strengths or more, its conductivity is extrapolated to none "
        "(1/σ at constant current and σ at constant field are straight lines in the square of the drive). Routes are compared by the chi-square of ln σ. Arrhenius lines are "
        "generalised least squares of ln σT against 1/k<sub>B</sub>T; curvature is the quadratic term. The speed-up is (ε²τ) of the equilibrium run over (ε²τ) of the driven "
        "run; the law for it is S = Σ(t*)/3k<sub>B</sub>, the entropy that the drive produces in one window t* of the equilibrium estimate.")


def shown(one, unit="S/m"):
    return number(one.value, one.error, unit)


def table(result):
    """(columns, rows of str) of the conductivities of all cells."""
    routes = [route for route in WORDS if any(route in cell.routes for cell in result.cells)]
    rows = []
    for cell in result.cells:
        best = cell.routes.get("constant_current") or cell.routes.get("none") or cell.routes.get("constant_field")
        tracer = cell.routes.get("nernst_einstein")
        haven = number(tracer.value / best.value, tracer.value / best.value * math.hypot(tracer.relative, best.relative)) if best and tracer else ""
        p = f"{cell.agreement[2]:.2f} ({cell.agreement[3]}), p = {cell.agreement[4]:.3g}" if cell.agreement else ""
        rows.append([f"{cell.temperature:g} K", size_word(cell.supercell), *(shown(cell.routes[route], "") if route in cell.routes else "" for route in routes), haven, p,
                     cell.left_out])
    return ["temperature", "size", *(f"{WORDS[route]} (S/m)" for route in routes), "Haven ratio", "routes equal: chi-square (dof)", "left out"], rows


def fit_lines(result):
    """One sentence for each Arrhenius line."""
    for size, fits in result.fits.items():
        for route, one in fits.items():
            goal = one.line.at(result.deck.series.extrapolate_to)
            text = (f"{size_word(size)}, {WORDS[route]}: E_a = {shown(one.activation_energy, 'eV')} from {len(one.line.variances)} temperatures"
                    + (f", chi-square {one.line.chi_square:.2f} ({one.line.dof}), p = {one.line.p:.2g}" if one.line.dof else "")
                    + f"; at {result.deck.series.extrapolate_to:g} K {goal.value:.3g} S/m (95 %: {goal.low:.3g} to {goal.high:.3g})")
            if one.curvature is not None:
                text += (f"; curvature {number(one.curvature.value, one.curvature.error, 'eV^2')}, "
                         + (f"significant (p = {one.curvature_p:.2g}): the line is no base for extrapolation" if one.curvature_p < 0.05 else f"not significant (p = {one.curvature_p:.2g})"))
            yield text


def drive_lines(result):
    """The linearity verdicts."""
    for cell in result.cells:
        for kind, one in cell.drives.items():
            if len(cell.levels[kind]) > 1:
                yield f"{cell.temperature:g} K, {size_word(cell.supercell)}, {WORDS[kind]}: {shown(one.value)} without drive; {one.text}"


def tensor_lines(result):
    for cell in result.cells:
        for (kind, level), one in cell.tensors.items():
            elements = ", ".join(f"{name} {number(one.symmetric[a, b], one.symmetric_error[a, b])}" for name, a, b in
                                 (("xx", 0, 0), ("yy", 1, 1), ("zz", 2, 2), ("yz", 1, 2), ("xz", 0, 2), ("xy", 0, 1)))
            values = ", ".join(number(v, e) for v, e in zip(one.eigenvalues, one.eigen_errors))
            yield (f"{cell.temperature:g} K, {size_word(cell.supercell)}, {WORDS[kind]} {level}: {elements} S/m; eigenvalues {values}; a third of the trace "
                   f"{number(one.mean, one.mean_error, 'S/m')}; isotropic: chi-square {one.isotropy[0]:.2f} ({one.isotropy[1]}), p = {one.isotropy[2]:.2g}; "
                   f"symmetric: {one.onsager[0]:.2f} ({one.onsager[1]}), p = {one.onsager[2]:.2g}")


def speed_lines(result):
    """The speed-up of each driven point, and where the law reaches 100."""
    for one in result.speed.entries:
        text = (f"{one.temperature:g} K, {one.ions} ions, {WORDS[one.route]} {one.level} (x = {one.strength:.2f}{'' if one.linear else ', beyond linear response'}): law "
                f"{number(one.law.value, one.law.error)} at t* = {one.window / 1000:.3g} ps{' (a lower bound)' if one.bounded else ''}")
        if one.measured:
            text += f", measured {number(one.measured.value, one.measured.error)} (95 %: {one.measured.low:.3g} to {one.measured.high:.3g})"
        if one.over_tracers:
            text += f"; over Nernst-Einstein at equal error {number(one.over_tracers.value, one.over_tracers.error)}"
        yield text
    for size, one in result.speed.over_tracers.items():
        yield f"{size_word(size)}: over Nernst-Einstein at equal error {number(one.value, one.error)} ({one.estimator})"
    for one in result.speed.goals:
        yield f"{one.temperature:g} K: the law gives 100 with {one.ions:.3g} ions, {one.repeat:.2g} times the edge of {size_word(one.supercell)}, at this drive"
    for size, one in result.speed.crossings.items():
        yield f"{size_word(size)}: " + ("no temperature at which the law gives 100 can be told from these points" if one is None else
                                         f"the line of ln S against 1/T gives 100 at {one[0]:.0f} K (68 %: {one[1]:.0f} to {one[2]:.0f} K)")


def warnings(result):
    """What is missing, broken, or not as it should be."""
    yield from (f"no result yet: {name}" for name in result.missing)
    for cell in result.cells:
        for one in cell.readings:
            if one.numbers:
                yield from (f"{one.point.name}: {text}" for text in one.notes)
        if cell.agreement and cell.agreement[4] < USUAL_P:
            yield f"{cell.temperature:g} K, {size_word(cell.supercell)}: the routes disagree, p = {cell.agreement[4]:.2g}"
        if cell.left_out:
            yield f"{cell.temperature:g} K, {size_word(cell.supercell)} is left out of the fit: {cell.left_out}"


def summary_lines(result):
    """The text for the terminal, plain ASCII: list of lines."""
    columns, rows = table(result)
    widths = [max(len(row[k]) for row in [columns, *rows]) for k in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [columns, *rows]]
    for title, texts in (("drives", drive_lines(result)), ("tensors", tensor_lines(result)), ("Arrhenius lines", fit_lines(result)), ("speed-up over equilibrium", speed_lines(result))):
        texts = list(texts)
        lines += [f"{title}:", *(f"  {text}" for text in texts)] if texts else []
    lines += [f"WARN {text}" for text in warnings(result)]
    return [line.replace("±", "+-").replace("×", "x") for line in lines]


def write(result, folder):
    """Figures, numbers.json and report.html in `folder`/report; the path of the page."""
    pictures = draw_figures(result, folder / "report", PLOTS)
    (folder / "report" / "numbers.json").write_text(result.to_json(), encoding="utf-8")
    page, new = folder / "report" / "report.html", folder / "report" / ".report.html.new"
    new.write_text(_page(result, pictures, (folder / "deck.toml").read_text(encoding="utf-8")), encoding="utf-8")
    return new.replace(page)


def _page(result, pictures, deck):
    e, title = html.escape, "A series of ionic conductivities"
    there = sum(1 for cell in result.cells for one in cell.readings if one.state == "complete")
    total = sum(len(cell.readings) for cell in result.cells)
    warned = list(warnings(result))
    parts = [f"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>"
             f"<style>{CSS}</style></head><body><h1>{title}</h1><p class=\"sigma{' refused' if result.missing else ''}\">{there} of {total} points complete"
             f"<small>{''.join(f'<br>{e(text)}.' for text in warned)}</small></p><p>{LAWS}</p><h2>Conductivities</h2>", _html_table(*table(result))]
    for head, texts in (("Arrhenius lines", fit_lines(result)), ("Drives", drive_lines(result)), ("Tensors", tensor_lines(result)), ("Speed-up over equilibrium", speed_lines(result))):
        items = "".join(f"<li>{e(text)}.</li>" for text in texts)
        parts.append(f"<h2>{head}</h2><ul>{items}</ul>" if items else "")
    parts.append("<h2>Figures</h2>" + "".join(figure_html(k, picture) for k, picture in enumerate(pictures, 1)))
    points = [[one.point.name, one.state, f"{one.time / 1000:g} ps" if one.numbers else "", shown(one.sigma) if one.sigma else "", "; ".join(one.notes)]
              for cell in result.cells for one in cell.readings]
    parts.append("<h2>Points</h2>" + _html_table(["point", "state", "measured", "conductivity", "notes"], points))
    parts.append(f"<h2>Deck</h2><pre>{e(deck)}</pre>")
    return "\n".join(parts) + "</body></html>\n"


def _html_table(columns, rows):
    e = html.escape
    body = "".join("<tr>" + "".join(f"<td class=\"n\">{e(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{e(one)}</th>' for one in columns)}</tr>{body}</table>"
