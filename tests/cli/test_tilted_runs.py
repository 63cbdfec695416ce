"""A deck with a tilted cell, from the file to the report: at constant pressure first, then under a current; stopped, resumed, exported."""
import json
import signal

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from whole_runs import assert_same, run_deck, stop_by, write_deck

from hpcnemd.app.results import export_trajectory
from hpcnemd.storage.trajectory import Trajectory

CHANGES = (('build = "llzo_cubic_box"', 'file = "primitive.cif"\nsupercell = [3, 3, 3]'), ("llzo_buckingham", "nacl_tosi_fumi"), ('mobile = ["Li"]', 'mobile = "all"\ndirection = "z"'),
           ('equilibrate = "0.04 ps"', 'npt = "0.8 ps"\nequilibrate = "0.04 ps"'), ("checkpoint = 20", "checkpoint = 60"))


@pytest.mark.slow
def test_a_tilted_cell_from_its_file_to_the_report(tmp_path):
    """Stopped in the measurement and resumed: bit for bit the run that nothing stopped. The cell has changed its size, not its shape."""
    ase.io.write(tmp_path / "primitive.cif", bulk("NaCl", "rocksalt", a=5.64))
    whole, parted = (write_deck(tmp_path / f"{name}.toml", *CHANGES) for name in ("whole", "parted"))
    said = run_deck(whole, 2, report=True)
    assert "lx, ly, lz" in said and (tmp_path / "whole" / "report" / "snapshot.png").exists()
    code, said = stop_by(signal.SIGUSR1, parted, 2, 2)
    assert code == 75, said
    run_deck(parted, 2, report=True)
    assert_same(tmp_path / "whole", tmp_path / "parted")
    numbers = json.loads((tmp_path / "whole" / "report" / "numbers.json").read_text())
    assert numbers["cell"]["skew"] == pytest.approx([0.5, 0.5, 1 / 3], abs=1e-6)
    with Trajectory(tmp_path / "whole" / "trajectory.h5md") as frames:
        assert frames.edges.shape == (len(frames), 3, 3) and len(frames) == 41
        edges = np.linalg.norm(frames.cell(0), axis=1)
        assert np.ptp(edges) < 1e-6 * edges[0] and abs(edges[0] - 3 * 5.64 / np.sqrt(2)) > 1e-3 and np.array_equal(frames.cell(-1), frames.cell(0))
    export_trajectory(tmp_path / "whole", "extxyz")
    last = ase.io.read(next((tmp_path / "whole").glob("*.extxyz")), index=-1)
    assert last.cell.cellpar() == pytest.approx([*edges, 60, 60, 60], rel=1e-6)
