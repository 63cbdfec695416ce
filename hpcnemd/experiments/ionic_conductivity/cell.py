"""The cell at the temperature: what the phase at constant pressure records, and the mean cell that all replicas take from it."""
import math

import numpy as np

from ...analysis import blocks
from ...core.errors import HpcnemdError, PhysicsError
from ...core.units import PRESSURE_GPA
from ...dynamics.barostat import Barostat
from ...dynamics.observers import Observer, pressure_tensor
from ...parallel.launch import agree_on_errors
from ...parallel.reduce import vote_any
from ...storage import checkpoint
from ..site_order import order_parameters
from ..tables import CELL_BLOCKS

COLUMNS = 7                     # edges angstrom, diagonal of the pressure GPa, temperature K
KEPT = slice(CELL_BLOCKS // 2, CELL_BLOCKS)         # blocks that make up the mean
MEMORY = 4.0                    # relaxation times of the barostat: shorter blocks are never taken for independent


def barostat_of(run, lengths):
    """The Barostat of a RunTable for a cell of `lengths` (3,)."""
    table = run.barostat
    return Barostat(table.pressure, run.temperature, table.time, table.compressibility, table.coupling, table.every, run.timestep, lengths)


class CellRecord(Observer):
    """Averages over CELL_BLOCKS blocks of a phase of `steps` steps after step `first`, sampled after each change of the cell. `moves` (5,): the barostat's variables at the end;
    `ledger` eV: change of the energy + heat - what the changes of the cell brought in, since the phase began."""
    needs_energy = True

    def __init__(self, every, first, steps):
        super().__init__(every)
        self.first, self.steps, self.block = first, steps, max(1, steps // CELL_BLOCKS)
        self.sums, self.counts = np.zeros((CELL_BLOCKS, COLUMNS)), np.zeros(CELL_BLOCKS)
        self.moves, self.ledger, self.energy_start = np.zeros(5), np.nan, np.nan

    def due(self, step):
        return step % self.every == 0 and 0 < step - self.first <= self.steps

    def begin(self, sim):
        self.energy_start = sim.energy

    def observe(self, sim):
        block = min((sim.step - self.first - 1) // self.block, CELL_BLOCKS - 1)
        self.sums[block] += (*sim.state.box.lengths, *(np.diag(pressure_tensor(sim)) * PRESSURE_GPA), sim.temperature)
        self.counts[block] += 1
        self.moves = sim.barostat.variables()
        self.ledger = sim.energy - self.energy_start + sim.shared.heat - sim.barostat.energy

    def averages(self):
        """(CELL_BLOCKS, COLUMNS), nan where nothing was sampled yet."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.sums / self.counts[:, None]

    def tree(self):
        return {"sums": self.sums, "counts": self.counts, "moves": self.moves, "ledger": np.float64(self.ledger), "energy_start": np.float64(self.energy_start)}

    def restore(self, tree):
        self.sums, self.counts, self.moves = (np.array(tree[name]) for name in ("sums", "counts", "moves"))
        self.ledger, self.energy_start = float(tree["ledger"]), float(tree["energy_start"])


def mean_cell(averages):
    """(3,) angstrom: the mean over replicas of the second half of their `averages` (R, CELL_BLOCKS, COLUMNS)."""
    return np.mean([rows[KEPT, :3].mean(axis=0) for rows in averages], axis=0)


def collect(result, arrays, attrs, memory):
    """Numbers and curves of the cell and of the site classes into the Result, where the run has them. `memory` fs: of the ions."""
    if "cell_edges" in arrays:
        length = float(attrs["npt"]) / CELL_BLOCKS
        found = estimate(*(np.asarray(arrays[f"cell_{name}"]) for name in ("edges", "pressure", "temperature", "moves", "ledger")),
                         least=math.ceil(MEMORY * float(attrs["barostat_time"]) / length))
        if found is not None:
            result.numbers["cell"] = found | ({"skew": np.asarray(attrs["skew"]).tolist()} if "skew" in attrs else {})
            good = np.isfinite(arrays["cell_edges"]).all(axis=(1, 2))
            result.curves["cell"] = _middles(float(attrs.get("anneal", 0.0)), length, CELL_BLOCKS), np.asarray(arrays["cell_edges"])[good]
    if "site_occupation" in arrays:
        result.numbers["sites"], result.curves["order"] = sites(arrays, attrs, memory)


def _middles(start, length, count):
    return start + length * (np.arange(count) + 0.5)


def estimate(edges, pressure, temperature, moves, ledger, least=1):
    """Numbers of the cell from the arrays of the ensemble file, (R, CELL_BLOCKS, 3) angstrom and GPa and (R, CELL_BLOCKS) K, (R, 5), (R,): means of the
    second half with standard errors, from blocks of at least `least` written ones. Replicas that did not finish the phase are left out; None where none did."""
    good = [r for r in range(len(edges)) if np.isfinite(edges[r]).all()]
    if not good:
        return None

    def told(values, unit, what):
        rows = [np.ascontiguousarray(values[r][KEPT]) for r in good]
        return blocks.mean_estimate(rows, unit, blocks.choose_level(rows, least=least), what).as_dict()
    unique = int(np.argmax(np.abs(edges[good].mean(axis=(0, 1)) - np.median(edges[good].mean(axis=(0, 1))))))
    others = [axis for axis in range(3) if axis != unique]
    tried, accepted = (sum(float(moves[r][k]) for r in good) for k in (0, 1))
    return {"edges": [told(edges[:, :, k], "angstrom", "mean of the second half at constant pressure") for k in range(3)],
            "volume": told(edges.prod(axis=2), "angstrom^3", "mean of the second half at constant pressure"),
            "pressure": [told(pressure[:, :, k], "GPa", "virial, at constant pressure") for k in range(3)],
            "temperature": told(temperature, "K", "kinetic, at constant pressure"),
            "unique_axis": "xyz"[unique], "axis_ratio": told(edges[:, :, unique] / edges[:, :, others].mean(axis=2), "", "odd edge over the mean of the others"),
            "accepted": accepted / tried if tried else None, "effective_energy_drift_eV": sum(float(moves[r][4]) for r in good),
            "ledger_error_eV": max((abs(float(ledger[r])) for r in good)), "replicas": len(good)}


def _stored(comm, folder, schedule):
    """Collective. (averages, common cell) of a replica whose checkpoint is beyond the phase, else None."""
    saved = checkpoint.load_latest(comm, folder)
    if saved is None or saved.step < schedule.npt or "cell" not in saved.tree:
        return None
    record = CellRecord(1, schedule.anneal, schedule.constant_pressure)
    record.restore(saved.tree["cell"])
    return record.averages(), np.array(saved.tree["common_cell"])


def settle(prepared, layout, stop, place, build, journal, tell):
    """Collective over layout.world. Takes all replicas through the phase at constant pressure.

    `place(index)`: the folder of a replica's checkpoint; `build(index)`: the Replica, begun; `tell(replica)` is called after every stretch. Returns
    (PreparedRun in the common mean cell, stopped). The cell is that of the replicas of the first start that came so far: replicas that are added later take
    it too. Raises PhysicsError where a replica broke."""
    mine, stopped, problem, schedule, comm = {}, False, None, prepared.schedule, layout.domain_comm
    for turn, index in enumerate(layout.replicas):
        if stopped or turn and vote_any(comm, stop()):
            stopped = True
            break
        try:
            mine[index] = _stored(comm, place(index), schedule)
            if mine[index] is None:
                replica = build(index)
                if replica.resumed_from is None:
                    replica.save(first=True)
                stopped = not replica.run(stop, tell, npt=True)
                mine[index] = replica.cell.averages(), np.full(3, np.nan)
                journal.note("cell", replica=index, step=replica.sim.step, edges=mine[index][0][KEPT, :3].mean(axis=0).tolist())
        except PhysicsError as error:
            problem = PhysicsError("\n".join(filter(None, (str(problem or ""), f"replica {index}: {error}"))))
            journal.note("failed", replica=index, cause=str(error))
        except HpcnemdError as error:
            problem = error
            break
    agree_on_errors(layout.world, problem)
    if vote_any(layout.world, stopped):
        return prepared, True
    found = {index: one for part in layout.world.allgather(mine) for index, one in part.items()}
    agreed = [found[index][1] for index in sorted(found) if np.isfinite(found[index][1]).all()]
    lengths = agreed[0] if agreed else mean_cell([found[index][0] for index in sorted(found)])
    return prepared.in_cell(lengths), False


def sites(arrays, attrs, memory):
    """(numbers, curves) of the site classes: mean occupation and order parameter of each with standard errors, in the measurement and (second half) at constant
    pressure; `ordered_along`: the class whose order parameter is above 1/2, half way from the disordered to the ordered crystal, or None."""
    labels, sets = ([name.decode() for name in np.asarray(attrs[key])] for key in ("site_classes", "site_sets"))
    done = np.asarray(arrays["blocks_done"])
    parts = {"measurement": [np.asarray(row)[:int(n)] for row, n in zip(arrays["site_occupation"], done) if n > 0]}
    if "cell_site_occupation" in arrays:
        parts["constant_pressure"] = [np.asarray(row)[KEPT] for row in arrays["cell_site_occupation"] if np.isfinite(row).all()]
    out, lines = {}, []
    begun = sum(float(attrs.get(name, 0.0)) for name in ("anneal", "npt", "equilibrate", "settle"))
    spans = {"measurement": (begun, float(attrs["block"])), "constant_pressure": (float(attrs.get("anneal", 0.0)) + float(attrs.get("npt", 0.0)) / 2, float(attrs.get("npt", 0.0)) / CELL_BLOCKS)}
    for part, rows in sorted(parts.items()):
        if not rows:
            continue
        order = [order_parameters(row, sets) for row in rows]
        table, least = {}, math.ceil(memory / spans[part][1])

        def told(series, what):
            return blocks.mean_estimate(series, "", blocks.choose_level(series, least=least), what).as_dict()
        for k, label in enumerate(labels):
            table[label] = {"occupation": told([row[:, k].copy() for row in rows], "ions per site")}
            if np.isfinite(order[0][:, k]).all():
                table[label]["order"] = told([row[:, k].copy() for row in order], "occupation less that of the others of its set")
        shown = [k for k in range(len(labels)) if np.isfinite(order[0][:, k]).all()]
        common = min(len(row) for row in order)
        lines.append((_middles(*spans[part], common), np.array([row[:common, shown] for row in order])))
        values = {label: entry["order"]["value"] for label, entry in table.items() if "order" in entry}
        highest = max(values, key=values.get, default=None)
        out[part] = {"classes": table, "ordered_along": highest if highest is not None and values[highest] > 0.5 else None}
    return out, ([labels[k] for k in shown], lines) if lines and lines[0][1].shape[2] else None
