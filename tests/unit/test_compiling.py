"""Compiling ahead of a run: every kernel that it needs, each once, and by processes of which none does the work of another."""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hpcnemd.experiments import compiling

ROOT = Path(__file__).resolve().parents[2]

# A process of its own, since other tests call kernels with other signatures.
PROGRAM = """
import json, pickle, sys
from numba.core.dispatcher import Dispatcher
from hpcnemd.dynamics.drive import Drive
from hpcnemd.dynamics.loop import advance
from hpcnemd.dynamics.colour import Colour
from hpcnemd.dynamics.thermostat import make_thermostat
from hpcnemd.experiments import compiling
from hpcnemd.experiments.structures import load_structure
from hpcnemd.experiments.system import prepare_system, simulation_of
from hpcnemd.experiments.tables import StructureTable
from hpcnemd.forces.forcefield import load_forcefield
from hpcnemd.parallel.domain import scatter
from hpcnemd.parallel.serial import SerialComm

def signatures():
    return {f"{name}.{key}": len(value.signatures) for name, module in list(sys.modules.items()) if name.startswith(("hpcnemd.kernels", "hpcnemd_generated"))
            for key, value in vars(module).items() if isinstance(value, Dispatcher)}

system = prepare_system(load_structure(StructureTable(build="nacl", supercell=(3, 3, 3))), load_forcefield("nacl_tosi_fumi"), accuracy=1e-3, cutoff=7.0)
given = pickle.loads(pickle.dumps(compiling.fewer(system)))        # as a helper gets it
for part in compiling.PARTS:
    compiling.compile_part(part, given)
ahead = signatures()
colour = Colour.of(system.kinds, system.counts, "all")
sim = simulation_of(system, colour, SerialComm(), (1, 1, 1), 1.0, 1, 0)
scatter(sim.domain, sim.state, {"species": system.species, "position": system.position})
sim.enter_phase(Drive(), *make_thermostat("nose_hoover", 700.0, colour, False, 1.0))
sim.start()
advance(sim, 40)
print(json.dumps({"late": {name: count for name, count in signatures().items() if count > ahead.get(name, 0)}, "compiled": sum(ahead.values())}))
"""


def test_all_kernels_of_a_run_are_compiled_ahead_and_none_twice():
    done = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], env=dict(os.environ, PYTHONPATH=str(ROOT)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["late"] == {} and said["compiled"] > 24


LEAF = """
import numpy as np
from hpcnemd.kernels import inner
from hpcnemd.kernels.integrate import largest_displacement
from numba import njit

@inner
def between(n, position, reference, stretch):
    return largest_displacement(n, position, reference, stretch)

@njit
def outermost(n, position, reference, stretch):
    return between(n, position, reference, stretch)

numbers = 2, np.ones((2, 3)), np.zeros((2, 3)), np.ones(3)
print(outermost(*numbers), largest_displacement(*numbers))
"""


def test_a_kernel_that_another_one_takes_from_the_cache_keeps_its_entry(tmp_path):
    for _ in range(2):                                                  # the second process finds it there
        done = subprocess.run([sys.executable, "-c", LEAF], env=dict(os.environ, PYTHONPATH=str(ROOT), NUMBA_CACHE_DIR=str(tmp_path)), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["3.0", "3.0"]


def test_an_entry_does_what_its_kernel_does():
    from hpcnemd.kernels import entry
    from hpcnemd.kernels.integrate import largest_displacement
    numbers = 3, np.arange(12.0).reshape(4, 3), np.ones((3, 3)), np.array([1.0, 2.0, 3.0])
    assert entry(largest_displacement, *numbers)(*numbers) == largest_displacement(*numbers) == 25 + 25 + 25


def adding(number):
    from hpcnemd.kernels import inner

    @inner
    def add(x):
        return x + number
    return add


def test_functions_of_one_name_and_signature_are_not_mistaken_for_each_other():
    """Ours, and numba's own: its random numbers are made of several such."""
    from hpcnemd.kernels import njit
    one, two = adding(1.0), adding(2.0)

    @njit
    def both(x):
        return one(x), two(x)

    @njit
    def normal(generator):
        return generator.normal(1.0, 2.0)
    assert both(0.0) == (1.0, 2.0)
    assert normal(np.random.default_rng(3)) == np.random.default_rng(3).normal(1.0, 2.0)


def test_what_only_kernels_call_has_no_entry_from_python():
    from hpcnemd.kernels.neighbours import column_number
    with pytest.raises(TypeError):
        column_number(1, 2, 3)


@pytest.mark.parametrize("number", [1, 2, 3, 8])
def test_parts_are_shared_out_once_and_evenly(number):
    shares = compiling.shares(number)
    assert len(shares) == number and sorted(sum(shares, [])) == sorted(compiling.PARTS)
    busy = [sum(compiling.PARTS[part] for part in share) for share in shares]
    assert max(busy) <= max(max(compiling.PARTS.values()), 1.35 * sum(busy) / number)


def test_another_version_of_any_kernel_file_has_a_cache_of_its_own(monkeypatch, tmp_path):
    from numba import config

    import hpcnemd.kernels as kernels
    assert Path(config.CACHE_DIR).name == f"kernels-{kernels._digest()}"
    for path in Path(kernels.__file__).parent.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = kernels._digest()
    monkeypatch.setattr(kernels, "__file__", str(tmp_path / "__init__.py"))
    assert kernels._digest() == before
    (tmp_path / "splines.py").write_text((tmp_path / "splines.py").read_text() + "\n")
    assert kernels._digest() != before
