"""Runs in which one species is driven: a column of the Onsager matrix. No MPI, no files."""
import numpy as np

from ...analysis import blocks, column, onsager


def collect(result, arrays, attrs, settings, rows, done):
    """Fills numbers["onsager_column"] of a run with a driven species."""
    if settings.only is None or "species_displacement" not in arrays or "mass" not in attrs or "blocks" not in result.numbers:
        return
    counts = np.array(settings.counts)
    mobile = np.array([name in settings.mobile for name in settings.species]) & (counts > 0)
    frame = ~mobile & (counts > 0)
    moved = onsager.referenced(np.asarray(arrays["species_displacement"], dtype=np.float64), counts, attrs["mass"], frame if frame.any() else counts > 0)
    step = round(settings.block / settings.sample)
    keep = [r for r, n in enumerate(done) if n > 0]
    edges = [np.arange(int(done[r]) + 1) * step for r in keep]
    names = [name for name, moves in zip(settings.species, mobile) if moves]
    flux = column.fluxes(moved[keep][:, :, mobile], settings.axis, edges, settings.block)
    charge = dict(zip(settings.species, settings.charges))
    chosen = blocks.Level(result.numbers["blocks"]["merged"], result.numbers["blocks"]["independent"], 1.0)
    found = column.column(flux, [row / settings.block for row in rows["impulse"]], charge[settings.only], settings.volume, chosen, names)
    result.numbers["onsager_column"] = {
        "driven": settings.only, "reference": "framework" if frame.any() else "centre of mass of all ions",
        "coefficients": {name: one.as_dict() for name, (one, _) in found.items()},
        "parts": {name: _times(part, charge[name]).as_dict() for name, (_, part) in found.items()}}


def _times(estimate, factor):
    return blocks.student(estimate.value * factor, estimate.error * abs(factor), estimate.dof, estimate.unit, estimate.estimator)


def rows(numbers):
    """(name, entry, how it was obtained) for the table of the report."""
    found = numbers.get("onsager_column")
    if not found:
        return
    where = f"{found['driven']} driven alone, fluxes relative to the {found['reference']}; "
    for name, entry in found["coefficients"].items():
        yield f"Onsager coefficient L, {name}-{found['driven']}, driven", entry, where + entry["estimator"]
    for name, entry in found["parts"].items():
        yield f"part e²zzL of the conductivity, {name}-{found['driven']}, driven", entry, where + entry["estimator"]
