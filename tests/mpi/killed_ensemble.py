"""A launch of the work theorems that says after each batch how far it is, for test_ensembles_kill.py: killed_ensemble.py FOLDER SECONDS_PER_BATCH CHECKPOINT_SECONDS."""
import sys
import time
from pathlib import Path

from hpcnemd.experiments import work_theorems
from hpcnemd.experiments.work_theorems.launched import run
from hpcnemd.parallel.launch import run_to_end
from hpcnemd.parallel.layout import Layout

DECK = {"experiment": "work_theorems", "stiffened_trap": {"duration": 1.0, "steps": 8}, "run": {"replicas": 1000, "batch": 64, "samples": 4}}


def work(comm):
    prepared = work_theorems.prepare(work_theorems.Deck.model_validate(DECK | {"output": {"checkpoint": f"{sys.argv[3]} s"}}))

    def rows(group, branch, ids):
        found = prepared.model.rows(group, branch, ids)
        time.sleep(float(sys.argv[2]))
        with open(Path(sys.argv[1]) / f"computed_{comm.rank}", "a") as out:
            out.write("".join(f"{branch.first + one}\n" for one in ids))
        return found
    run(prepared, Layout(comm, 1000, 1), Path(sys.argv[1]), work=rows)


if __name__ == "__main__":
    run_to_end(work)
