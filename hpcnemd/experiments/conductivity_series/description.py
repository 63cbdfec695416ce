"""What `hpcnemd check` says of a series."""
import math

import numpy as np

from ...core.units import in_unit
from .assignment import assign


def sections(loaded, prepared, ranks):
    """[(title, lines)]: the points, and how the ranks share them."""
    return [(f"points, in {loaded.folder}", point_lines(prepared)), (f"on {ranks} rank{'s' * (ranks > 1)}", rank_lines(prepared, ranks)),
            ("one point", [f"hpcnemd run {loaded.path} --point K runs point K alone; in a Slurm array --point without a number takes the task's"])]


def point_lines(prepared):
    for k, (point, run) in enumerate(zip(prepared.points, prepared.runs)):
        deck = run.deck.run
        yield (f"{k:3d}  {point.name}: {len(run.system.species)} ions, cell {' x '.join(f'{edge:.5g}' for edge in run.system.box.edges)} angstrom, "
               f"{deck.replicas} x {deck.measure / 1e3:g} ps after {(deck.anneal + deck.npt + deck.equilibrate + deck.settle) / 1e3:g} ps{_drive(run)}")


def _drive(run):
    if run.deck.drive.kind == "constant_field":
        return f", field {run.drive_value:.4g} V/angstrom"
    if run.deck.drive.kind == "constant_current":
        if np.isnan(run.drive_value):
            return ", current chosen by a pilot"
        return (f", current {in_unit(run.drive_value / run.system.box.volume, 'A/cm^2'):.4g} A/cm^2, "
                f"drift {in_unit(run.drive_value / run.colour.mobile_charge, 'angstrom/ps'):.3g} angstrom/ps")
    return ""


def rank_lines(prepared, ranks):
    work = prepared.work()
    size, shares = assign(work, ranks, prepared.deck.parallel.ranks_per_replica)
    each = [math.prod(one) for one in work]
    total = sum(each)
    yield f"{len(work)} points on {len(shares)} team{'s' * (len(shares) > 1)} of {size} rank{'s' * (size > 1)}, the longest first; {total:.3g} ion steps in all"
    for team, share in enumerate(shares):
        yield f"team {team}: {100 * sum(each[k] for k in share) / total:.0f} % of the work, points {', '.join(map(str, share))}"
