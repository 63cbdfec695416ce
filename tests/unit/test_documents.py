"""README and ARCHITECTURE name files, decks and commands: these must be there."""
import re
import tomllib
from pathlib import Path

import pytest

from hpcnemd.app.check import prepare_and_check
from hpcnemd.app.deck import parse_deck
from hpcnemd.app.main import build_parser

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = {"README.md": ROOT, "hpcnemd/ARCHITECTURE.md": ROOT / "hpcnemd"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name):
    text = (ROOT / name).read_text()
    named = set(re.findall(r"`((?:\.?[\w-]+/)+[\w.-]*)`", text)) | set(re.findall(r"\b(jobs/[\w/]+\.(?:toml|sh|sbatch))", text))
    missing = [path for path in named if not path.startswith(("checkpoint/", "report/"))
               and not (DOCUMENTS[name] / path).exists() and not (ROOT / path).exists()]
    assert len(named) > 5 and not missing, missing


def test_commands_in_the_readme_are_offered():
    text = (ROOT / "README.md").read_text()
    used = set(re.findall(r"hpcnemd (init|check|run|status|report|export|diff|energy|doctor|plan|analyse|explain|submit|thermo)\b", text))
    offered = next(action for action in build_parser()._actions if action.dest == "command").choices
    assert {"init", "check", "run", "energy"} <= used <= set(offered)


def test_the_deck_in_the_readme_is_valid():
    text = re.search(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
    assert parse_deck(text).deck.run.replicas == 4


@pytest.mark.parametrize("path", sorted((ROOT / "jobs").glob("*.toml")), ids=lambda path: path.name)
def test_shipped_decks_are_right(path):
    """Every deck of an experiment passes all checks of the input; a deck of another command names what it is for."""
    data = tomllib.loads(path.read_text())
    if "experiment" not in data:
        assert path.name.startswith("thermo_")
        return
    text = path.read_text()
    if "calculator" in data.get("forcefield", {}):      # a model that is not installed here: another calculator stands in for it
        text = re.sub(r"^arguments = .*\n", "", re.sub(r'^calculator = .*', 'calculator = "ase.calculators.lj.LennardJones"', text, flags=re.M), flags=re.M)
    loaded = parse_deck(text, path)
    prepared, problems = prepare_and_check(loaded, loaded.deck.parallel.ranks_per_replica or 1)
    assert problems == [] and loaded.folder.parts[0] == "runs"
    assert prepared.system is None or len(prepared.system.species) >= 188


def test_tantalum_takes_zirconium_and_lithium_away():
    deck = ROOT / "jobs" / "llzo_ta_doped.toml"
    prepared, _ = prepare_and_check(parse_deck(deck.read_text(), deck), 1)
    system = prepared.system
    assert dict(zip(system.kinds.names, system.counts.tolist())) == {"Li": 208, "La": 96, "Zr": 48, "Ta": 16, "O": 384}
    assert float(system.kinds.charge @ system.counts) == 0.0


def test_a_deck_from_init_is_right(tmp_path, monkeypatch, capsys):
    from hpcnemd.app.init import write_deck
    from hpcnemd.core.errors import InputError
    monkeypatch.chdir(tmp_path)
    for name, structure, forcefield, mobile in (("garnet", "llzo_cubic_box", "llzo_buckingham", ("Li",)), ("salt", "nacl_melt", "nacl_tosi_fumi", ("Na",)),
                                                ("fluorite", "caf2", "caf2_gillan", ("all",))):
        assert write_deck(name, structure, forcefield) == 0
        text = Path(f"{name}.toml").read_text()
        deck = parse_deck(text).deck
        assert deck.drive.mobile == mobile and deck.structure.build == structure
        with pytest.raises(InputError, match="is there already"):
            write_deck(name, structure, forcefield)
        assert Path(f"{name}.toml").read_text() == text
