"""Disk errors as the ranks meet them: an error on one rank is an error on all, with a message that says what to do."""
import errno
import os
import resource

from ..core.errors import HpcnemdError, InputError, StoppedEarly

FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
FEW = 1 << 20               # bytes: a file system with less room than this is a full one
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


def explain(problem, path, starting):
    """The OSError `problem` as an InputError (before any work) or a StoppedEarly (while running)."""
    number = problem.errno if problem.errno in FULL + REFUSED else _limit_met(path) or problem.errno
    if number in FULL:
        reason = {errno.EFBIG: "the limit on file sizes is reached (ulimit -f)", errno.EDQUOT: "the disk quota is used up"}.get(number, "the disk is full")
        advice = "make room, or choose another output folder"
    elif number in REFUSED:
        reason, advice = problem.strerror or str(problem), "choose an output folder that can be written"
    else:
        reason, advice = str(problem), "look at the file system of the output folder"
    text = f"{path}: {reason}; {advice}"
    return InputError(text) if starting else StoppedEarly(f"{text}, then start the same command again")


def _limit_met(path):
    """The errno of a limit that the file or folder `path` has met, or None: MPI-IO and HDF5 tell no more than that a write failed."""
    try:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        if limit != resource.RLIM_INFINITY and max(os.path.getsize(one) for one in _files(path)) >= limit:
            return errno.EFBIG
        disk = os.statvfs(path)
        return errno.ENOSPC if disk.f_bavail * disk.f_frsize < FEW else None
    except (OSError, ValueError):
        return None


def _files(path):
    return [entry.path for entry in os.scandir(path) if entry.is_file()] if os.path.isdir(path) else [path]


def on_root(comm, work, path, starting=False):
    """Collective. The result of `work()` on rank 0, on all ranks. An OSError or HpcnemdError of it is raised on all ranks
    (OSErrors as InputError where `starting`, else as StoppedEarly)."""
    result, problem = None, None
    if comm.rank == 0:
        try:
            result = work()
        except OSError as error:
            problem = explain(error, path, starting)
        except HpcnemdError as error:
            problem = error
    result, problem = comm.bcast((result, _packed(problem)))
    if problem is not None:
        raise problem[0](problem[1])
    return result


def together(comm, problem, path, starting=False):
    """Collective. Raises on all ranks where any rank has a `problem` (None, OSError or HpcnemdError); the lowest such rank's is raised."""
    if isinstance(problem, OSError):
        problem = explain(problem, path, starting)
    for found in comm.allgather(_packed(problem)):
        if found is not None:
            raise found[0](found[1])


def closed(writer, problem):
    """Collective. Closes `writer`; the `problem` met before, or the OSError that closing met, or None."""
    try:
        writer.close()
    except OSError as error:
        return problem or error
    return problem


def _packed(problem):
    return None if problem is None else (type(problem), getattr(problem, "problems", None) or str(problem))
