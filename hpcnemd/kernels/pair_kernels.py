"""Pair kernels from their plans. numba caches machine code only for functions in real files, so each kernel's source becomes a file of its own,
named after its contents, in a folder for caches; a second process finds the file and the machine code beside it. Nothing is ever rewritten: other
sources have other names, and a file appears whole (written aside, then renamed). Each file holds one kernel with one signature, so ranks that meet
the same plan at once write the same thing. The folder: that of numba's cache (kernels/__init__.py), or a temporary one."""
import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import numba
from numba import config

from . import coefficients, pair_arguments, pair_full, pair_slots, pair_slots_simd, pair_source, simd, simd_rows


@functools.cache
def folder():
    """The folder of generated sources, made on the first call."""
    tried = [Path(config.CACHE_DIR), Path(tempfile.gettempdir()) / f"hpcnemd-cache-{os.getuid()}"]
    for base in tried:
        place = base / "generated"
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place):
                return place
        except OSError:
            continue
    raise OSError(f"no folder for compiled kernels can be written ({', '.join(map(str, tried))}); set NUMBA_CACHE_DIR to one that can")


@functools.cache
def _base_digest():
    """Digest of what generated sources import: new intrinsics must not meet old machine code."""
    files = [module.__file__ for module in (simd, simd_rows, coefficients, pair_slots, pair_slots_simd, pair_arguments, pair_source, pair_full)] + [__file__]
    text = "".join(Path(file).read_text(encoding="utf-8") for file in files)
    return hashlib.sha256((text + numba.__version__).encode()).hexdigest()


@functools.cache
def pair_kernel(plan):
    """The compiled kernel of a KernelPlan (compiled on the first call ever, then read from the cache)."""
    text = pair_full.full_source(plan) if plan.full else pair_source.source(plan)
    name = "pair_" + hashlib.sha256((text + _base_digest()).encode()).hexdigest()[:20]
    path = folder() / f"{name}.py"
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=folder(), suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(temporary, 0o644)
        try:
            os.link(temporary, path)                # unlike a rename this leaves the file of a quicker process alone: its time stamp is in the cache's index
        except FileExistsError:
            pass
        except OSError:                             # a file system without links
            os.replace(temporary, path)
            temporary = None
        if temporary:
            os.unlink(temporary)
    spec = importlib.util.spec_from_file_location(f"hpcnemd_generated_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module                 # before execution: numba's cache finds the kernel's module by its name
    spec.loader.exec_module(module)
    return module.kernel
