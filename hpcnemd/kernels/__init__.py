"""Numba loops on plain arrays, and where their machine code is kept.

numba takes a kernel's machine code from its cache while the kernel's own file is unchanged, whatever has become of the kernels in other files that are
compiled into it. So the folder of the cache is named after the contents of all files here: another version of any of them finds an empty folder.
It lies in NUMBA_CACHE_DIR where that is set, else in the user's cache folder, else in a temporary one."""
import functools
import hashlib
import importlib
import os
import sys
import tempfile
from pathlib import Path

_COVERAGE = sys.modules.setdefault("coverage", None)        # numba imports it where it is installed, for a tenth of a second, to tell it of compiled lines
import numba                                                # noqa: E402
from numba import config                                    # noqa: E402

from . import quick_compiler                                # noqa: E402

if _COVERAGE is None:
    del sys.modules["coverage"]


njit = functools.partial(numba.njit, no_cfunc_wrapper=True)     # nobody calls kernels from C, and an entry for that takes time to compile
# For functions that only kernels call: neither have they an entry from Python, nor (see quick_compiler) machine code of their own.
inner = functools.partial(njit, error_model="numpy", no_cpython_wrapper=quick_compiler.KNOWN)


def entry(kernel, *arguments):
    """The entry of a kernel for arguments of these types: a function that does the same and does not look at types, on which numba spends half of the time of a call with
    many arrays. For those who own the arrays and know that their types stay: others would be read as if they were of these."""
    return kernel.compile(tuple(map(numba.typeof, arguments)))


class Call:
    """A kernel with arguments that stay, called by its entry. `calls`: [(kernel, arguments)]."""

    def __init__(self, kernel, *arguments):
        self.calls, self._entry = [(kernel, arguments)], None

    def __call__(self):
        kernel, arguments = self.calls[0]
        if self._entry is None:
            self._entry = entry(kernel, *arguments)
        return self._entry(*arguments)


def calls_of(things):
    """[(kernel, arguments)] of things with `calls`, all in turn; None where one of them needs more than kernels."""
    if any(thing.calls is None for thing in things):
        return None
    return [call for thing in things for call in thing.calls]


def _without_blas():
    """numba's array functions, which import scipy's linear algebra (a quarter of a second) to see that it is there; a kernel that wants it asks once more."""
    linalg = importlib.import_module("numba.np.linalg")
    ensure, linalg.ensure_blas = linalg.ensure_blas, lambda: None
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = ensure


_without_blas()
quick_compiler.install()


def _digest():
    """Of names and contents of the sources of this package."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def _writable(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.W_OK)
    except OSError:
        return False


def _base():
    if config.CACHE_DIR:
        return Path(config.CACHE_DIR)
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "hpcnemd"
    return home if _writable(home) else Path(tempfile.gettempdir()) / f"hpcnemd-cache-{os.getuid()}"


config.CACHE_DIR = str(_base() / f"kernels-{_digest()}")
