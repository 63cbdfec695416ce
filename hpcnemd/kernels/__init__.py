"""Numba loops on plain arrays, and where their machine code is kept.

numba takes a kernel's machine code from its cache while the kernel's own file is unchanged, whatever has become of the kernels in other files that are
compiled into it. So the folder of the cache is named after the contents of all files here: another version of any of them finds an empty folder.
It lies in NUMBA_CACHE_DIR where that is set, else in the user's cache folder, else in a temporary one."""
import hashlib
import os
import tempfile
from pathlib import Path

from numba import config


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
