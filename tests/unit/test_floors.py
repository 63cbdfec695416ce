"""The walls of the house, read from the source: who may import whom, and what may not be imported at import time."""
import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "hpcnemd"
FLOOR = {"core": 1, "kernels": 2, "thermo": 2, "parallel": 3, "storage": 4, "forces": 5, "dynamics": 6, "ensembles": 7, "analysis": 7,
         "experiments": 8, "app": 9}
TOP = 9                                                     # hpcnemd/__init__.py and __main__.py stand above all floors
ONLY_ON = {"mpi4py": "parallel", "mpi4py_fft": "parallel", "h5py": "storage"}
IN_FUNCTIONS = {"scipy", "matplotlib", "ase", "mpi4py", "mpi4py_fft", "pymbar", "pycalphad", "CoolProp", "cantera", "MDAnalysis", "rich"}
KERNELS = {"numpy", "numba", "llvmlite"}
DRAWERS = {"utils", "helpers", "misc", "common", "util", "helper"}
FILES = sorted(PACKAGE.rglob("*.py"))


def floor(parts):
    """The floor's name of a module path below the package, or None for the package's own two files."""
    return parts[0] if parts and parts[0] in FLOOR else None


def imports(path):
    """(module as a tuple, line, inside a function) of every import, with relative ones made absolute."""
    relative_to = ("hpcnemd",) + path.relative_to(PACKAGE).with_suffix("").parts
    package = relative_to[:-1]
    found = []

    def visit(node, inside):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((tuple(alias.name.split(".")), child.lineno, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = package[:len(package) - child.level + 1] if child.level else ()
                module = base + tuple((child.module or "").split(".") if child.module else ())
                if len(module) == 1:                        # `from hpcnemd import forces` names the floor in the alias
                    found.extend((module + (alias.name,), child.lineno, inside) for alias in child.names)
                else:
                    found.append((module, child.lineno, inside))
            visit(child, inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))

    visit(ast.parse(path.read_text()), False)
    return found


def violations(path):
    mine = floor(path.relative_to(PACKAGE).parts)
    height = FLOOR.get(mine, TOP)
    for module, line, inside in imports(path):
        where = f"{path.relative_to(PACKAGE.parent)}:{line} imports {'.'.join(module)}"
        if module[0] == "hpcnemd":
            other = floor(module[1:])
            if other and FLOOR[other] > height:
                yield f"{where}: floor {FLOOR[other]} from floor {height}"
            if mine == "kernels" and other != "kernels":
                yield f"{where}: a kernel knows arrays only"
            continue
        if module[0] in ONLY_ON and mine != ONLY_ON[module[0]]:
            yield f"{where}: only {ONLY_ON[module[0]]}/ may"
        if module[0] in IN_FUNCTIONS and not inside:
            yield f"{where} at import time: a thousand ranks import this; move it into the function"
        if mine == "kernels" and module[0] not in KERNELS | sys.stdlib_module_names:
            yield f"{where}: kernels import numpy and numba only"
        if mine == "core" and module[0] in {"numba", "pydantic"}:
            yield f"{where}: core imports numpy only"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_stay_on_their_floor(path):
    assert not list(violations(path))


def test_every_folder_has_a_floor():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(FLOOR)


def test_files_are_short_and_have_a_name():
    """450 lines are the limit; a drawer such as utils.py collects what nobody named."""
    long = [f"{path.relative_to(PACKAGE)}: {n} lines" for path in FILES if (n := len(path.read_text().splitlines())) > 450]
    drawers = [str(path.relative_to(PACKAGE)) for path in FILES if path.stem in DRAWERS]
    assert not long and not drawers


def test_the_world_communicator_has_one_place():
    """Communicators are arguments; only launch.py names COMM_WORLD."""
    def names(path):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr == "COMM_WORLD":
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}"
    found = [where for path in FILES if path != PACKAGE / "parallel" / "launch.py" for where in names(path)]
    assert not found


def test_the_reader_of_imports_sees_what_it_should(tmp_path, monkeypatch):
    """The oracle of this file: a module that breaks each rule once."""
    bad = tmp_path / "hpcnemd" / "forces" / "bad.py"
    bad.parent.mkdir(parents=True)
    bad.write_text("import mpi4py.MPI\nfrom ..dynamics import loop\nfrom hpcnemd import app\nimport ase\n\ndef f():\n    import h5py\n    import ase.io\n")
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "hpcnemd")
    text = "\n".join(violations(bad))
    assert text.count("only parallel/ may") == 1 and text.count("only storage/ may") == 1
    assert "floor 6 from floor 5" in text and "floor 9 from floor 5" in text
    assert text.count("at import time") == 2, text
