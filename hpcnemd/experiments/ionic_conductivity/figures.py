"""Figures of a result as PNG and PDF. The same numbers give the same bytes: no time stamps, own style, no reader's settings."""
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import all_lags, cell_figure, correlated, current_map, methods, snapshot, zero_current

# Okabe and Ito's colours, told apart by colour-blind readers too
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PURPLE = "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
CYCLE = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY, BLACK)
STYLE = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#dddddd", "grid.linewidth": 0.6,
         "legend.frameon": False, "lines.linewidth": 1.6, "savefig.dpi": 150, "pdf.fonttype": 42}
WORDS = {"constant_current": "constant current", "constant_field": "constant field", "zero_current": "zero current", "none": "equilibrium"}


@dataclass(frozen=True)
class Picture:
    """One figure on disk: `png` and `pdf` are paths."""
    name: str
    title: str
    caption: str
    png: Path
    pdf: Path


def draw(result, folder, frame=None, formats=("png", "pdf"), only=None, flow=None):
    """Draws what the result has data for into `folder`; list of Pictures in the order of the report. `only`: names of PLOTS, all where None.

    `frame`: (positions (N, 3) angstrom wrapped, species (N,) rows of the names in the settings, cell vectors (3, 3) angstrom, grain (N,) or None)
    for the picture of the cell; `flow`: what `current_map.of_folder` found, for that of the current."""
    import matplotlib
    from matplotlib.figure import Figure
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    with matplotlib.rc_context({k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")}):
        matplotlib.rcParams.update(STYLE)
        for name, title, plot in PLOTS:
            if only is not None and name not in only:
                continue
            figure = Figure(figsize=(6.4, 4.2), layout="constrained")
            caption = plot(result, figure)
            if caption:
                pictures.append(_save(figure, folder, name, title, caption, formats))
        if frame is not None:
            figure = Figure(figsize=(6.4, 5.4), layout="constrained")
            caption = snapshot.plot(result, figure, *frame)
            pictures.append(_save(figure, folder, "snapshot", "The cell", caption, formats))
        if flow is not None:
            figure = Figure(figsize=(7.2, 6.0), layout="constrained")
            caption = current_map.plot(result, figure, *flow)
            pictures.append(_save(figure, folder, "current_map", "Where the current flows", caption, formats))
    return pictures


def _save(figure, folder, name, title, caption, formats):
    quiet = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
    paths = {kind: folder / f"{name}.{kind}" for kind in quiet}
    for kind in formats:
        figure.savefig(paths[kind], metadata=quiet[kind])
        figure.set_layout_engine("none")                        # the places are found once, for both
    return Picture(name, title, caption, paths["png"], paths["pdf"])


def conditions(result):
    """The parameters that every caption ends with."""
    s, length = result.numbers["settings"], result.numbers["length"]
    atoms = ", ".join(f"{n} {name}" for name, n in zip(s["species"], s["counts"]) if n)
    if "trajectory" in result.numbers:
        told = result.numbers["trajectory"]
        return f"{told['file']}: {atoms}, {s['temperature_K']:g} K, {told['frames']} frames, one every {told['interval_fs']:g} fs, {length['time_fs'] / 1000:g} ps."
    replicas = "one replica" if length["replicas"] == 1 else f"{length['replicas']} replicas"
    return (f"{WORDS[s['mode']].capitalize()}, {atoms}, {s['temperature_K']:g} K, time step {s['timestep_fs']:g} fs, "
            f"{replicas}, {length['time_fs'] / 1000:g} ps in blocks of {s['block_fs'] / 1000:g} ps.")


def _sigma_line(axis, result, x):
    """The result with its standard error across the plot."""
    sigma = result.sigma
    if sigma is not None:
        axis.axhspan(sigma.value - sigma.error, sigma.value + sigma.error, color=BLUE, alpha=0.15, lw=0)
        axis.plot(x, [sigma.value] * 2, color=BLUE, ls="--", lw=1.2, label=f"result {sigma.value:.4g} ± {sigma.error:.2g} S/m")


def _legend_above(figure, axis):
    """Clear of the data, which may lie anywhere."""
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9)


def _log_ps(axis, label):
    """A logarithmic time axis in ps with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(label)


def _ps(times):
    return np.asarray(times, dtype=np.float64) / 1000.0


def running(result, figure):
    """sigma from the data up to each time."""
    if "running" not in result.curves or result.sigma is None or not len(result.curves["running"][0]):
        return None
    time, value, error = result.curves["running"]
    axis = figure.add_subplot()
    _sigma_line(axis, result, [0, _ps(time)[-1]])
    axis.fill_between(_ps(time), value - error, value + error, color=RED, alpha=0.25, lw=0, label="± one standard error")
    axis.plot(_ps(time), value, color=RED, marker=".", ms=4, label="data up to this time")
    span = max(6 * result.sigma.error, 0.2 * abs(result.sigma.value))
    axis.set_ylim(result.sigma.value - span, result.sigma.value + span)
    axis.set_xlim(0, None)
    axis.set_xlabel("time measured, each replica (ps)")
    axis.set_ylabel("conductivity σ (S/m)")
    axis.legend()
    return (f"Running estimate of the conductivity; estimator {result.sigma.estimator}. The band uses the final variance per block, so that it "
            f"narrows as one over the root of the time. {conditions(result)}")


def block_length(result, figure):
    """The error against the block length (driven), or sigma against the window (equilibrium)."""
    if "block_length" in result.curves:
        return _block_error(result, figure)
    if "einstein" in result.curves and not result.numbers["settings"]["mode"].startswith("constant"):
        return _window(result, figure)
    return None


def _block_error(result, figure):
    table = result.curves["block_length"]
    if len(table) < 2:
        return None
    length, _, error, own = (np.array(column) for column in zip(*table))
    if result.sigma is None:
        axis = figure.add_subplot()
    else:
        top, axis = figure.subplots(2, 1, sharex=True)
        top.errorbar(_ps(length), np.full(len(length), result.sigma.value), error * result.sigma.value, fmt="o", ms=4, color=BLUE, capsize=2)
        top.set_ylabel("σ ± error (S/m)")
    axis.errorbar(_ps(length), 100 * error, 100 * own, fmt="o", ms=4, color=BLUE, capsize=2, label="from blocks of this length")
    bound = result.numbers["thermodynamic_relative_error"]
    if bound and result.sigma is not None:
        axis.axhline(100 * bound, color=RED, ls="--", label=r"thermodynamic: $\sqrt{2k_B/\Sigma}$")
    chosen = result.curves["level"] * result.numbers["settings"]["block_fs"]
    axis.axvline(_ps(chosen), color="#888888", ls=":", label="block length used")
    axis.set_ylim(0, None)
    _log_ps(axis, "block length (ps)")
    axis.set_ylabel("relative error (%)")
    _legend_above(figure, axis)
    return ("Standard error of the mean response against the length of the blocks it is estimated from (Flyvbjerg and Petersen), with its own uncertainty; "
            f"a level plateau means that blocks are independent. The dashed line is the error that the entropy production Σ allows. {conditions(result)}")


def _window(result, figure):
    window, value, error = (np.array(x) for x in result.curves["einstein"])
    axis = figure.add_subplot()
    axis.errorbar(_ps(window), value, error, fmt="o", ms=4, color=RED, capsize=2, label="Einstein-Helfand, independent windows")
    _sigma_line(axis, result, [_ps(window)[0], _ps(window)[-1]])
    axis.axvline(_ps(result.numbers["equilibrium"]["window_fs"]), color="#888888", ls=":", label="memory of the charge displacement")
    _log_ps(axis, "window (ps)")
    axis.set_ylim(0, None)
    axis.set_ylabel("conductivity σ (S/m)")
    axis.legend(loc="lower right")
    return ("Einstein-Helfand conductivity ⟨|ΔP|²⟩/(6 w V k_B T) against the window w; bars are one standard error. It carries the short-time "
            f"displacement as a bias that falls as 1/w; the Green-Kubo value (dashed) does not. {conditions(result)}")


def green_kubo(result, figure):
    """The running Green-Kubo integral."""
    if "green_kubo" not in result.curves:
        return None
    cut, value, error = result.curves["green_kubo"]
    found = result.numbers["equilibrium"]
    axis = figure.add_subplot()
    axis.fill_between(_ps(cut), value - error, value + error, color=GREEN, alpha=0.25, lw=0, label="± one standard error")
    axis.plot(_ps(cut), value, color=GREEN, label="integral to this cut")
    window = found["window_fs"] / 1000
    axis.axvspan(window / 2, window, color="#888888", alpha=0.2, lw=0, label="cuts that are averaged")
    axis.set_xlim(0, None)
    axis.set_ylim(min(0.0, float(value.min())), None)
    axis.set_xlabel("cut of the Green-Kubo integral (ps)")
    axis.set_ylabel("conductivity σ (S/m)")
    axis.legend()
    across = "" if found["axes"] == "xyz" else " From the axes across the drive."
    return f"Running Green-Kubo integral of the charge current, from the charge displacement.{across} {conditions(result)}"


def displacement(result, figure):
    """Collective and tracer displacements."""
    if "collective_msd" not in result.curves:
        return None
    lag, square = result.curves["collective_msd"]
    settings = result.numbers["settings"]
    carriers = sum(z * z * n for name, z, n in zip(settings["species"], settings["formal_charges_e"], settings["counts"]) if name in settings["mobile"])
    axis = figure.add_subplot()
    axis.plot(_ps(lag)[1:], 3 * square[1:] / carriers, color=BLACK, label="charge, ⟨|ΔP|²⟩ / Σ z²")
    for colour, (name, (lags, msd)) in zip(CYCLE, result.curves.get("tracer_msd", {}).items()):
        axis.plot(_ps(lags), 3 * msd, color=colour, marker=".", ms=3, lw=1, label=f"{name} tracer")
        long, square = result.curves.get("tracer_long", {}).get(name, (lags[:0], lags[:0]))
        beyond = long > lags[-1]
        axis.plot(_ps(long[beyond]), 3 * square[beyond], color=colour, marker="o", mfc="none", ms=3.5, lw=0.8)
    axis.set_yscale("log")
    _log_ps(axis, "lag (ps)")
    axis.set_ylabel("mean squared displacement (Å²)")
    axis.legend()
    across = "" if settings["mode"] == "none" else " From the axes across the drive, times 3/2."
    return ("Mean squared displacement of tracers (open circles: lags that only the correlator of the run holds), and of the charge per mobile charge squared; where the charge lies above the mobile tracer, "
            f"ions move together and the Haven ratio is below 1.{across} {conditions(result)}")


def driving_force(result, figure):
    """The field at constant current, the current at constant field: block means of every replica."""
    mode = result.numbers["settings"]["mode"]
    if "field" not in result.curves:
        return None
    held = mode == "constant_current"
    rows = result.curves["field" if held else "current"]
    scale = 1e3         # V/angstrom to mV/angstrom; per fs to per ps
    axis = figure.add_subplot()
    block = result.numbers["settings"]["block_fs"] / 1000
    for k, row in enumerate(rows):
        axis.plot((np.arange(len(row)) + 0.5) * block, scale * row, color=CYCLE[k % len(CYCLE)], marker=".", ms=4, lw=0.7, alpha=0.8,
                  label=f"replica {k}" if len(rows) <= 6 else None)
    response = result.numbers["drive"]["response"]
    centre, error = scale * response["value"], scale * (response["error"] or 0.0)
    axis.axhspan(centre - error, centre + error, color=BLACK, alpha=0.2, lw=0)
    axis.axhline(centre, color=BLACK, ls="--", lw=1.2, label=f"mean {centre:.4g} ± {error:.2g}")
    axis.axhline(0, color="#888888", lw=0.8)
    axis.set_xlim(0, None)
    axis.set_xlabel("time (ps)")
    axis.set_ylabel("driving field λ (mV/Å)" if held else "current J (e Å/ps)")
    axis.legend(fontsize=8, ncols=2)
    what = "field that keeps the current constant (Norton projection)" if held else "charge current at constant field"
    return f"Block means of the {what}; the band is the mean with its standard error. {conditions(result)}"


def temperatures(result, figure):
    """Block means per species, averaged over replicas."""
    species = result.curves.get("temperature_species")
    if not species:
        return None
    axis = figure.add_subplot()
    block = result.numbers["settings"]["block_fs"] / 1000
    for colour, (name, (rows, mean)) in zip(CYCLE, species.items()):
        longest = max(len(row) for row in rows)
        values = [np.mean([row[k] for row in rows if len(row) > k]) for k in range(longest)]
        axis.plot((np.arange(longest) + 0.5) * block, values, color=colour, marker=".", ms=3, lw=0.9, label=f"{name}: {mean.value:.1f} ± {mean.error:.1f} K")
    axis.axhline(result.numbers["settings"]["temperature_K"], color=BLACK, ls="--", lw=1.2, label="bath")
    axis.set_xlim(0, None)
    axis.set_xlabel("time (ps)")
    axis.set_ylabel("temperature, peculiar velocities (K)")
    axis.legend(fontsize=8)
    return f"Kinetic temperature of each species about its streaming velocity, block means averaged over replicas. {conditions(result)}"


def quality(result, figure):
    """Q_TUR against the block length."""
    table = result.curves.get("quality")
    if not table or result.sigma is None:
        return None
    table = [(length, q) for length, q in table if np.isfinite(q.low) and np.isfinite(q.high)]
    if not table:
        return None
    axis = figure.add_subplot()
    length = _ps([l for l, _ in table])
    value = np.array([q.value for _, q in table])
    axis.errorbar(length, value, [value - [q.low for _, q in table], [q.high for _, q in table] - value], fmt="o", ms=4, color=BLUE, capsize=2,
                  label="measured, 95 % interval")
    axis.axhline(1.0, color=RED, ls="--", label="linear response")
    axis.axvline(_ps(result.curves["level"] * result.numbers["settings"]["block_fs"]), color="#888888", ls=":", label="block length used")
    axis.set_ylim(0, min(4.0, 1.1 * max(q.high for _, q in table)))
    _log_ps(axis, "block length (ps)")
    axis.set_ylabel(r"$Q_{TUR}=\epsilon^2\,\Sigma/2k_B$ per block")
    _legend_above(figure, axis)
    return ("Relative variance of one block's response times the entropy produced in the block, over 2 k_B. It is 1 in linear response; overdamped steady "
            f"states cannot go below 1 (a diagnostic here, no bound is proved for this dynamics). {conditions(result)}")


def ledger(result, figure):
    """Work, heat, energy change and what is missing, summed from the start."""
    sums = result.curves["ledger"]
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    block = result.numbers["settings"]["block_fs"] / 1000
    for name, text, colour, dashes in (("heat", "heat to the thermostat", SKY, "-"), ("work", "work of the drive", RED, "--"), ("energy_change", "energy change", GREEN, "-")):
        for k, row in enumerate(sums[name]):
            top.plot(np.arange(1, len(row) + 1) * block, row, color=colour, ls=dashes, lw=1.2, label=text if k == 0 else None)
    for row in sums["ledger_error"]:
        bottom.plot(np.arange(1, len(row) + 1) * block, 1e3 * row, color=BLACK, lw=1)
    top.set_ylabel("energy (eV)")
    _legend_above(figure, top)
    bottom.set_ylabel("error (meV)")
    bottom.set_xlabel("time (ps)")
    bottom.set_xlim(0, None)
    return ("Energy ledger of every replica, summed from the start of the measurement. Below: what does not close, the energy error of the "
            f"finite time step. {conditions(result)}")


def _told(draw):
    """The same figure with the conditions at the end of its caption."""
    def plot(result, figure):
        caption = draw(result, figure)
        return caption and f"{caption} {conditions(result)}"
    return plot


PLOTS = (("running_estimate", "Running estimate", running), ("block_length", "Block length", block_length), ("driving_force", "Driving force", driving_force),
         ("quality", "Error bar against entropy production", quality), ("temperatures", "Temperatures", temperatures), ("energy_ledger", "Energy ledger", ledger),
         ("zero_current", "Conductivity at zero current", _told(zero_current.draw)), ("green_kubo", "Equilibrium conductivity", green_kubo),
         ("displacement", "Displacements", displacement), ("current_correlation", "Current correlation", _told(all_lags.draw)),
         ("error_methods", "Error methods", _told(methods.draw)),
         ("onsager", "Who carries the current with whom", _told(correlated.draw)), ("cell", "Cell and order of the sites", cell_figure.plot))
