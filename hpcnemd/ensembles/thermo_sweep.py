"""Thermodynamic sweeps over ranks: runs of blocks of grid points in turn to every rank, all into one HDF5 file that does not depend on the number of ranks.

Points are independent, so this is the easy case of scaling. A point that fails is stored with its reason; a file that exists is continued."""
import os
import sys
import time

import numpy as np

from ..core.errors import InputError
from ..parallel.reduce import ordered_sum, vote_any, vote_max
from ..storage import provenance
from ..storage.ensemble import EnsembleFile, read
from ..thermo.sweep_grid import Sweep

POINT_STATUS = ("missing", "ok", "failed")
FLUSH_SECONDS = 5.0         # a killed sweep loses about this much


def run_sweep(comm, deck, output, writer="auto", progress=None):
    """Collective. Runs, or continues, the sweep of a deck file into `output` (HDF5). Returns (points ok, points failed, {point: reason} on rank 0).

    Raises InputError where the deck or the data file is not the one that the output was begun with, or where pycalphad would give each rank other last digits.
    """
    sweep = Sweep(deck)
    if vote_any(comm, sweep.needs_fixed_hashes and sys.flags.hash_randomization):
        raise InputError("this sweep uses pycalphad, whose last digits follow the order of Python's string hashes: start Python with PYTHONHASHSEED=0, "
                         "or use the command hpcnemd thermo sweep, which does so itself")
    n, block = len(sweep.points), sweep.block
    blocks = -(-n // block)
    schema = {name: ((block, *shape), dtype, unit, text) for name, (shape, dtype, unit, text) in sweep.schema.items()}
    schema["point_status"] = ((block,), "i1", "", "index into the attribute point_status_names")
    schema["reason"] = ((block,), "S200", "", "why a point failed")
    exists = comm.bcast(os.path.exists(output) if comm.rank == 0 else None)
    attributes = {**sweep.attributes, "points": np.int64(n), "block": np.int64(block), "point_status_names": ",".join(POINT_STATUS)}
    if exists:
        done = comm.bcast(_finished(output, attributes, blocks) if comm.rank == 0 else None)
        if isinstance(done, str):
            raise InputError(done)
        file = EnsembleFile.resume(output, comm, blocks, schema, writer)
    else:
        done = set()
        with open(deck, encoding="utf-8") as stream:
            record = provenance.collect(comm, stream.read(), writer=writer)
        file = EnsembleFile.create(output, comm, blocks, schema, writer, attributes, record)
    todo = [b for b in range(blocks) if b not in done]
    last, begun, rounds = time.monotonic(), 0, 1
    while begun < len(todo):
        # neighbours in the grid go to one rank: points of one temperature share work
        mine = todo[begun + comm.rank * rounds:begun + (comm.rank + 1) * rounds]
        begun = min(begun + rounds * comm.size, len(todo))
        for b in mine:
            _one_block(sweep, file, b, n, block)
        # ranks wait for each other here: seldom where blocks are quick, the same number of rounds on all
        waited = vote_max(comm, time.monotonic() - last)
        if waited >= FLUSH_SECONDS:
            file.flush()
            last, rounds = time.monotonic(), max(1, rounds // 2)
        elif waited < FLUSH_SECONDS / 8:
            rounds *= 2
        if progress and comm.rank == 0:
            progress(begun, len(todo))
    file.flush()
    provenance.stamp_end(file)
    file.close()
    return _count(comm, output, n)


def _one_block(sweep, file, b, n, block):
    """Answers the points of block b and queues its rows."""
    first, last = b * block, min(n, (b + 1) * block)
    rows = {name: np.zeros((last - first, *shape), dtype) if np.dtype(dtype).kind != "f" else np.full((last - first, *shape), np.nan)
            for name, (shape, dtype, _, _) in sweep.schema.items()}
    status, reasons = np.zeros(last - first, "i1"), np.zeros(last - first, "S200")
    for i in range(first, last):
        found = sweep.answer(i)
        rows["conditions"][i - first] = sweep.points[i]
        status[i - first] = 2 if found.reason else 1
        reasons[i - first] = found.reason.encode()[:200]
        for name, value in found.row.items():
            rows[name][i - first] = value
    for name, values in rows.items():
        file.write_rows(b, name, 0, values)
    file.write_rows(b, "point_status", 0, status)
    file.write_rows(b, "reason", 0, reasons)
    failed = int((status == 2).sum())
    file.set_status(b, "failed" if failed else "complete", f"{failed} of {last - first} points failed" if failed else "")


def _finished(output, attributes, blocks):
    """Blocks that are there already, or the message why this file cannot be continued."""
    try:
        held = read(output)
    except (OSError, KeyError):
        return f"{output}: exists and is not a sweep file; choose another name"
    for key, want in attributes.items():
        have = held.attributes.get(key)
        if have is None or str(have) != str(want):
            return (f"{output}: {key} is {have}, and now {want}: the deck, its data or the engine changed since the file was begun; restore them, or choose another output")
    return {b for b in range(blocks) if held.status[b] in ("complete", "failed")}


def _count(comm, output, n):
    """(ok, failed, reasons) of the whole file."""
    counts, reasons = np.zeros(2), {}
    if comm.rank == 0:
        held = read(output)
        status = held.arrays["point_status"].reshape(-1)[:n]
        counts[:] = (status == 1).sum(), (status == 2).sum()
        texts = held.arrays["reason"].reshape(-1)[:n]
        reasons = {int(k): texts[k].decode(errors="replace") for k in np.flatnonzero(status == 2)}
    ok, failed = ordered_sum(comm, counts)
    return int(ok), int(failed), reasons
