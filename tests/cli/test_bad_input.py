"""Bad input: one clear message each, before step 0, and exit code 2. `check` and `run` make the same checks (`prepare_and_check`)."""
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import ase.build
import ase.io
import numpy as np
import pytest

from hpcnemd.app.main import main

MPIRUN = shutil.which("mpirun", path=Path(sys.executable).parent) or shutil.which("mpirun.openmpi") or shutil.which("mpirun")
DECK = """experiment = "ionic_conductivity"
[structure]
build = "nacl"
supercell = [2, 2, 2]
[forcefield]
table = "nacl_tosi_fumi"
cutoff = "7 angstrom"
[run]
temperature = "1100 K"
timestep = "4 fs"
measure = "1 ps"
blocks = 10
[drive]
kind = "constant_current"
drift_velocity = "0.04 angstrom/ps"
mobile = "all"
[output]
folder = "out"
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*changes):
    text = DECK
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    Path("deck.toml").write_text(text)


def refused(capsys, *command):
    """The messages of a command that must end with exit code 2."""
    with pytest.raises(SystemExit) as end:
        main(list(command))
    told = capsys.readouterr()
    assert end.value.code == 2, told
    return told.err.strip().splitlines()


def salt(**changes):
    atoms = ase.build.bulk("NaCl", "rocksalt", a=5.64, cubic=True).repeat(2)
    for index, position in changes.get("positions", {}).items():
        atoms.positions[index] = position
    if "without" in changes:
        del atoms[changes["without"]]
    ase.io.write("salt.extxyz", atoms)
    write(('build = "nacl"\nsupercell = [2, 2, 2]', 'file = "salt.extxyz"'))


def test_the_deck_of_these_tests_is_right(capsys):
    write()
    with pytest.raises(SystemExit) as end:
        main(["check", "deck.toml"])
    assert end.value.code == 0
    told = capsys.readouterr().out
    assert "64 ions: 32 Na, 32 Cl" in told and "limit for this cell" in told and "the input is right" in told
    assert "source" in told and "estimated rms error" in told                   # provenance marks; Coulomb settings with their error


@pytest.mark.parametrize("old, new, said", [
    ("temperature =", "temprature =", 'run.temprature: unknown key; did you mean "temperature"?'),
    ('"1100 K"', '"1100 fs"', "run.temperature = '1100 fs': fs is not a unit of this quantity; write it in K"),
    ('"nacl"', '"nacI"', 'structure.build = \'nacI\': did you mean "nacl"?'),
    ('"nacl"', '"caf2"', "the force field nacl_tosi_fumi has no parameters for Ca, F"),
    ('build = "nacl"', 'file = "nowhere.cif"', "there is no file nowhere.cif"),
    ('"nacl_tosi_fumi"', '"nacl_tosifumi"', "no shipped table and no file of that name; did you mean \"nacl_tosi_fumi\"?"),
    ('"7 angstrom"', '"70 angstrom"', "the limit for this cell is 33.84 angstrom"),
    ('mobile = "all"', 'mobile = ["Li"]', "drive.mobile = ['Li']"),
    ("ionic_conductivity", "ionic_conductvity", 'did you mean "ionic_conductivity"?'),
    ("[run]", "[run", "not TOML"),
    ('[output]', '[parallel]\nranks_per_replica = 3\n[output]', "parallel.ranks_per_replica = 3 does not divide the 4 ranks"),
    ('[output]', '[parallel]\nranks_per_replica = 4\ngrid = [2, 1, 1]\n[output]', "parallel.grid = [2, 1, 1] has 2 domains, but a replica has 4 ranks"),
])
def test_a_wrong_deck(capsys, old, new, said):
    write((old, new))
    told = refused(capsys, "check", "deck.toml", "-n", "4")
    missing = [line for line in told if "this key is missing" in line]          # the misspelt key is also a missing one
    assert len(told) - len(missing) == 1 and said in told[0] + told[-1], told


def test_the_cutoff_limit_that_check_prints_is_the_limit(capsys):
    write(('"7 angstrom"', '"33.8 angstrom"'))
    with pytest.raises(SystemExit) as end:
        main(["check", "deck.toml"])
    assert end.value.code == 0 and "limit for this cell: 33.84" in capsys.readouterr().out


def test_no_deck(capsys):
    assert "cannot be read (No such file or directory)" in refused(capsys, "check", "absent.toml")[0]


def test_charged_cell(capsys):
    salt(without=5)
    told = refused(capsys, "check", "deck.toml")
    assert len(told) == 1 and "the cell is charged" in told[0] and "add or take away ions" in told[0]


def test_positions_that_are_no_numbers(capsys):
    salt(positions={3: (0.0, np.nan, 0.0)})
    told = refused(capsys, "check", "deck.toml")
    assert len(told) == 1 and "1 ions have positions that are not numbers, ions 3 " in told[0]


def test_overlapping_ions(capsys):
    salt(positions={1: (0.1, 0.0, 11.2)})                                       # beside ion 0, through a face of the cell
    told = refused(capsys, "check", "deck.toml")
    assert len(told) == 1 and "ions 0 (Na) and 1 (Cl) are 0.128 angstrom apart" in told[0]


def test_several_errors_are_told_at_once(capsys):
    write(('"7 angstrom"', '"70 angstrom"'), ("[output]", "[parallel]\ngrid = [3, 1, 1]\n[output]"))
    told = refused(capsys, "check", "deck.toml")
    assert len(told) == 2 and "cutoff" in told[0] and "grid" in told[1]


def test_the_target_is_a_file(capsys):
    Path("out").write_text("")
    write()
    assert "out is a file, not a folder" in refused(capsys, "check", "deck.toml")[0]


# ---- run: MPI, limits, mounts: processes of their own -----------------------------------------------------------------

def launch(ranks=1, before=(), **options):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_COMM", "PMIX"))}
    env |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
            "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}
    mpirun = [MPIRUN, "-n", str(ranks)] if ranks > 1 else []
    return subprocess.run([*before, *mpirun, sys.executable, "-m", "hpcnemd", "run", "deck.toml"], env=env, capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL, **options)


def test_under_mpirun_rank_0_tells_and_all_leave():
    write(("temperature =", "temprature ="), ('"4 fs"', '"4 K"'))
    done = launch(2)
    assert done.returncode == 2
    assert done.stderr.count("unknown key") == 1 and done.stderr.count("is not a unit of this quantity") == 1 and "Traceback" not in done.stderr


def test_the_grid_must_have_as_many_domains_as_ranks():
    write(("[output]", "[parallel]\ngrid = [3, 1, 1]\n[output]"))
    done = launch(2)
    assert done.returncode == 2 and done.stderr.count("parallel.grid = [3, 1, 1] has 3 domains, but a replica has 2 ranks") == 1
    assert not Path("out").exists()                                             # nothing was begun


def test_no_room_for_the_first_checkpoint_by_a_limit_on_file_sizes():
    write(('"1 ps"', '"800 ps"\nsample = "4 fs"'))                             # a large checkpoint: MPI needs files of some MB itself
    limit = 16 << 20
    done = launch(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert done.returncode == 2 and "no room for the first checkpoint" in done.stderr and len(done.stderr.splitlines()) == 1


def can_mount():
    return shutil.which("unshare") and subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0


@pytest.mark.skipif("not can_mount()", reason="no right to mount")
@pytest.mark.parametrize("options, said", [("ro", "cannot write in out (Read-only file system)"), ("size=64k", "no room for the first checkpoint")])
def test_a_target_that_takes_nothing(options, said):
    write()
    Path("out").mkdir()
    done = launch(before=["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o {options} none out && exec "$@"', "-"])
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
