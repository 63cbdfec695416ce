"""Who carries the current together with whom: the Onsager matrix, its self and distinct parts, transference numbers. No MPI, no files."""
import numpy as np

from ...analysis import onsager


def collect(result, arrays, attrs, settings, still, diffusion):
    """Fills numbers["onsager"] and its curve. `still`: what the equilibrium estimate left (window, axes), or None; `diffusion`
    {species: Estimate of D}. Does nothing where a file has no displacements of species, or no masses."""
    if still is None or "species_displacement" not in arrays or "mass" not in attrs:
        return
    counts = np.array(settings.counts)
    mobile = np.array([name in settings.mobile for name in settings.species]) & (counts > 0)
    frame = ~mobile & (counts > 0)
    reference = frame if frame.any() else counts > 0
    moved = onsager.referenced(np.asarray(arrays["species_displacement"], dtype=np.float64), counts, attrs["mass"], reference)
    names = [name for name, moves in zip(settings.species, mobile) if moves]
    charges = np.array(settings.charges)[mobile]
    paths = onsager.paths_of(moved[:, :, mobile], settings.still_axes()[0])
    found = onsager.onsager(paths, settings.sample, settings.volume, settings.temperature, still["window"].samples, names, charges)
    pairs = [(a, b) for a in range(len(names)) for b in range(a + 1)]
    told = ("framework (" + ", ".join(name for name, fixed in zip(settings.species, frame) if fixed) + ")") if frame.any() else "centre of mass of all ions"
    numbers = {"reference": told, "axes": settings.still_axes()[1], "window_fs": still["window"].samples * settings.sample, "species": names,
               "coefficients": {f"{names[b]}-{names[a]}": found.entry(b, a).as_dict() for a, b in pairs},
               "parts": {f"{names[b]}-{names[a]}": found.part(b, a).as_dict() for a, b in pairs},
               "conductivity": found.conductivity().as_dict(),
               "transference": {name: found.transference(a).as_dict() for a, name in enumerate(names)}}
    bars = []
    for a, name in enumerate(names):
        if name not in diffusion:
            continue
        own = onsager.self_part(diffusion[name], charges[a], counts[settings.species.index(name)], settings.volume, settings.temperature)
        rest = onsager.distinct_part(found.part(a, a), own)
        numbers.setdefault("self", {})[name], numbers.setdefault("distinct", {})[name] = own.as_dict(), rest.as_dict()
        bars += [(f"{name}\nself", own), (f"{name}-{name}\ndistinct", rest)]
    bars += [(f"{names[b]}-{names[a]}\ntwice", _twice(found.part(b, a))) for a, b in pairs if a != b]
    if not frame.any() and len(names) == 2:
        masses = [float(np.asarray(attrs["mass"])[settings.species.index(name)]) for name in names]
        numbers["fixed_transference"] = {names[a]: masses[1 - a] / sum(masses) for a in (0, 1)}
    result.numbers["onsager"] = numbers
    result.curves["onsager"] = [*bars, ("sum", found.conductivity())]


def _twice(estimate):
    from ...analysis.blocks import student
    return student(2 * estimate.value, 2 * estimate.error, estimate.dof, estimate.unit, estimate.estimator)


def rows(numbers):
    """(name, entry or text, how it was obtained) for the table of the report."""
    if "onsager" not in numbers:
        return
    found = numbers["onsager"]
    where = f"relative to the {found['reference']}"
    for pair, entry in found["coefficients"].items():
        yield f"Onsager coefficient L, {pair}", entry, where
    for pair, entry in found["parts"].items():
        yield f"part e²zzL of the conductivity, {pair}", entry, where if len(set(pair.split("-"))) == 1 else where + "; it counts twice in the sum"
    yield "sum of the parts e²zzL", found["conductivity"], f"over all pairs, window {found['window_fs'] / 1000:g} ps"
    for kind, text in (("self", "self part, z²ND/(V k_B T)"), ("distinct", "distinct part, pairs of different ions")):
        for name, entry in found.get(kind, {}).items():
            yield f"{text}, {name}", entry, entry["estimator"]
    if len(found["species"]) > 1:
        fixed = found.get("fixed_transference")
        for name, entry in found["transference"].items():
            note = f"; two species about their centre of mass: momentum conservation alone gives {fixed[name]:.4f}" if fixed else ""
            yield f"transference number, {name}", entry, where + note


def draw(result, figure):
    """Self, distinct and cross parts beside their sum; the caption, or None where there is nothing to draw."""
    bars = result.curves.get("onsager")
    if not bars:
        return None
    axis = figure.add_subplot()
    value = np.array([entry.value for _, entry in bars])
    error = np.array([entry.error if np.isfinite(entry.error) else 0.0 for _, entry in bars])
    colour = ["#0072B2" if name.endswith("self") else "#E69F00" if name.endswith("distinct") else "#009E73" if name.endswith("twice") else "#000000" for name, _ in bars]
    axis.bar(range(len(bars)), value, yerr=error, color=colour, alpha=0.75, capsize=3, width=0.6)
    axis.axhline(0, color="#444444", lw=0.8)
    axis.set_xticks(range(len(bars)), [name for name, _ in bars])
    axis.set_ylabel(r"part of the conductivity, $e^2 z_a z_b L_{ab}$ (S/m)")
    axis.grid(axis="x", visible=False)
    found = result.numbers["onsager"]
    return (f"Parts of the equilibrium conductivity: single ions (self), pairs of one species (distinct), pairs of two species (both orders), and their sum; bars are one "
            f"standard error. Displacements relative to the {found['reference']}, axes {found['axes']}, Green-Kubo window {found['window_fs'] / 1000:g} ps.")
