"""Can results be written where the deck says? Tried before step 0, so that a run does not fail at its first checkpoint."""
import errno
import os
import shutil
import tempfile
from pathlib import Path


def folder_problems(folder, first, total=0):
    """Messages (empty where all is well): the folder, or the one that it will be made in, cannot be written, or has no room for the `first` bytes
    (the first checkpoint). Room is tried by reserving it, so that quotas and file size limits count too. `total`: of the whole run."""
    place = Path(folder)
    while not place.exists() and place != place.parent:
        place = place.parent
    name = f"output.folder = {str(folder)!r}"
    if not place.is_dir():
        return [f"{name}: {place} is a file, not a folder; write another output.folder"]
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".hpcnemd-room-") as probe:
            _reserve(probe, int(first))
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return [f"{name}: no room for the first checkpoint, {first / 2**20:.1f} MiB ({problem.strerror}; {shutil.disk_usage(place).free / 2**20:.1f} "
                    "MiB free there); make room, or write another output.folder"]
        return [f"{name}: cannot write in {place} ({problem.strerror}); write another output.folder"]
    free = shutil.disk_usage(place).free
    if free < total:
        return [f"{name}: the run needs about {total / 2**20:.0f} MiB, {free / 2**20:.0f} MiB are free there; write a longer output.trajectory interval "
                "or another output.folder"]
    return []


def _reserve(file, size):
    try:
        os.posix_fallocate(file.fileno(), 0, max(1, size))
    except OSError as problem:
        if problem.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
        for start in range(0, size, 1 << 20):               # a file system that cannot reserve
            file.write(bytes(min(1 << 20, size - start)))
        file.flush()
        os.fsync(file.fileno())
