"""Group /provenance: where a file comes from. It is the one group that may differ between two runs of equal results."""
import os
import socket
import subprocess
import sys
from datetime import datetime, timezone
from functools import cache
from importlib import metadata
from pathlib import Path

import h5py
import numpy as np

from ..parallel.mpi_io import library_version
from .blueprint import Fixed
from .raw_bytes import open_to_read

GROUP = "provenance"
RESTARTS = 64               # that are kept one by one; later ones are counted
SLOTS = (Fixed(f"{GROUP}/ended", (), "S32", description="UTC; empty while the run lasts, and after a kill"),
         Fixed(f"{GROUP}/restart_count", (), "<i8"),
         Fixed(f"{GROUP}/restarts", (RESTARTS,), "S192", description="time, step, ranks, host, job"))


def now():
    """UTC to the second, ISO 8601."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def versions():
    """name -> version of everything that can change a bit of the result."""
    return dict(_versions())


@cache
def _versions():
    """Looked up once: every checkpoint tells them."""
    found = {"python": sys.version.split()[0], "hdf5": h5py.version.hdf5_version, "h5py_has_mpi": str(bool(h5py.get_config().mpi))}
    for package in ("hpcnemd", "numpy", "numba", "llvmlite", "h5py", "mpi4py", "scipy", "ase"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def git_revision():
    """Commit of the source tree that runs, with "+changes" where files differ from it; "" outside a repository."""
    home = Path(__file__).resolve().parents[2]
    if not (home / ".git").exists():
        return ""

    def ask(*words):
        return subprocess.run(["git", "-C", str(home), *words], capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    try:
        return ask("rev-parse", "HEAD") + ("+changes" if ask("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def job_id():
    """Of the batch system; "" outside one."""
    for name in ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"):
        if os.environ.get(name):
            return os.environ[name]
    return ""


def collect(comm, deck="", seed=0, grid=(), kernel_path="", writer="", threads=1):
    """Collective. dict of what /provenance holds: strings, numbers and arrays. `deck`: its resolved text; `grid`: replicas and rank grid; `threads` of each rank."""
    hosts = comm.gather(socket.gethostname())
    revision = git_revision() if comm.rank == 0 else ""
    return {"deck": deck, "seed": int(seed), "ranks": comm.size, "threads": int(threads), "grid": np.asarray(grid, np.int64), "kernel_path": kernel_path,
            "writer": writer, "hosts": " ".join(dict.fromkeys(hosts or ())), "job": job_id(), "git": comm.bcast(revision),
            "mpi_library": library_version(), "command": " ".join(sys.argv), "started": now(), "versions": versions()}


def write(f, record):
    """Puts the record into an open file that is being composed. The deck is a dataset: attributes end at 64 KiB."""
    group = f.require_group(GROUP)
    for key, value in record.items():
        if key == "deck":
            group["deck"] = value
        elif isinstance(value, dict):
            for name, text in value.items():
                group.require_group(key).attrs[name] = text
        else:
            group.attrs[key] = value[:60000] if isinstance(value, str) else value


def read(path):
    """dict of a file's /provenance: the record, with `ended`, `restart_count` and `restarts` (list of str)."""
    with open_to_read(path) as f:
        group = f[GROUP]
        record = {key: value for key, value in group.attrs.items()}
        record["deck"] = group["deck"][()].decode() if "deck" in group else ""
        record["versions"] = dict(group["versions"].attrs.items()) if "versions" in group else {}
        record["ended"] = group["ended"][()].decode()
        record["restart_count"] = int(group["restart_count"][()])
        record["restarts"] = [text.decode() for text in group["restarts"][:] if text]
        return record


def stamp_end(file):
    """Collective. Notes the end of a run in an open file (anything with a collective `update(name, change)`)."""
    file.update(f"{GROUP}/ended", lambda _: np.bytes_(now()))


def stamp_restart(file, step):
    """Collective. Notes that the run went on from `step`."""
    text = f"{now()} step {step} ranks {file.comm.size} host {socket.gethostname()} job {job_id()}".encode()[:191]

    def note(lines):
        free = [i for i, line in enumerate(lines) if not line]
        lines[free[0] if free else -1] = text
        return lines
    file.update(f"{GROUP}/restarts", note)
    file.update(f"{GROUP}/restart_count", lambda count: count + 1)
    file.update(f"{GROUP}/ended", lambda _: np.bytes_(b""))
