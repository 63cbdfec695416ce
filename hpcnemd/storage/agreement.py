"""Disk errors as the ranks meet them: an error on one rank is an error on all, with a message that says what to do."""
import errno

from ..core.errors import HpcnemdError, InputError, StoppedEarly

FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


def explain(problem, path, starting):
    """The OSError `problem` as an InputError (before any work) or a StoppedEarly (while running)."""
    if problem.errno in FULL:
        reason = {errno.EFBIG: "the limit on file sizes is reached (ulimit -f)", errno.EDQUOT: "the disk quota is used up"}.get(problem.errno, "the disk is full")
        advice = "make room, or choose another output folder"
    elif problem.errno in REFUSED:
        reason, advice = problem.strerror or str(problem), "choose an output folder that can be written"
    else:
        reason, advice = str(problem), "look at the file system of the output folder"
    text = f"{path}: {reason}; {advice}"
    return InputError(text) if starting else StoppedEarly(f"{text}, then start the same command again")


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


def _packed(problem):
    return None if problem is None else (type(problem), getattr(problem, "problems", None) or str(problem))
