"""The start and the end of a parallel run: the only place that knows COMM_WORLD.

MPI starts when `world()` is called, not when a module is imported. However a rank ends, the whole run ends within seconds, with the reason
on the screen: an exception aborts (`install_abort_hook`), an error that all ranks share leaves quietly with its exit code (`run_to_end`, which a console script calls).
"""
import os
import signal
import sys
import time
import traceback

from ..core.errors import HpcnemdError, InputError
from .reduce import vote_any, vote_max
from .serial import SerialComm

COUNT_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")     # SLURM_NTASKS is also set where no srun was used
GRACE = 5.0         # s that a failed rank waits for the others to fail too


def launcher_count():
    """(number of ranks that mpirun or srun says it started, name of the variable that says so), or (None, None)."""
    for name in COUNT_VARIABLES:
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name]), name
    return None, None


def world():
    """Starts MPI and returns the communicator of all ranks; a `SerialComm` where there is no MPI library and nothing launched one.

    Raises InputError where MPI counts other ranks than the launcher: each of them would run the whole deck alone.
    """
    import mpi4py
    count, name = launcher_count()
    mpi4py.rc.thread_level = "serialized"   # MPI_THREAD_MULTIPLE would add locks to every message
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as problem:
        if (count or 1) > 1:
            raise InputError(f"{name} = {count}, but no MPI library could be loaded ({problem}); load the MPI module of this machine, "
                             "or set MPI4PY_LIBMPI to the file of its libmpi") from problem
        return SerialComm()
    if not MPI.Is_initialized():
        MPI.Init_thread(MPI.THREAD_SERIALIZED)
    comm = MPI.COMM_WORLD
    if count is not None and count != comm.size:
        library = MPI.Get_library_version().split("\n")[0].split(",")[0].strip("\0 ")
        raise InputError(f"{name} = {count}, but MPI counts {comm.size} rank{'s' * (comm.size > 1)}: the launcher does not belong to the MPI library "
                         f"that mpi4py loaded ({library}). Start with the mpirun of that library (under Slurm: srun --mpi=pmix), "
                         "or build mpi4py with the launcher's own")
    return comm


def install_abort_hook(comm=None):
    """From here on an uncaught exception on any rank prints its traceback with the rank and ends the run on all ranks, within seconds.

    `comm`: the world, by default that of `world()`."""
    comm = world() if comm is None else comm
    if comm.size == 1:
        return

    def abort(kind, error, trace):
        text = "".join(traceback.format_exception(kind, error, trace))
        _last_words(comm, text)
        comm.Abort(getattr(error, "exit_code", 1))

    sys.excepthook = abort


def _last_words(comm, text):
    sys.stdout.flush()
    lines = "".join(f"[rank {comm.rank} of {comm.size}] {line}\n" for line in text.rstrip().split("\n"))
    sys.stderr.write("\n" + lines)
    sys.stderr.flush()
    time.sleep(0.2)                         # mpirun must forward the text before it kills


def finish(code=0):
    """Collective over the world. Ends MPI on all ranks, then the process: mpirun returns `code` without a word of its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    module = sys.modules.get("mpi4py.MPI")
    if module is not None and module.Is_initialized() and not module.Is_finalized():
        module.Finalize()
    sys.exit(code)


def run_to_end(work, comm=None):
    """Collective over the world. Starts MPI, calls `work(comm)`, ends the process; never returns. For the console script.

    The exit code is what `work` returns (None: 0), that of the HpcnemdError that it raised, or that of its sys.exit. Where all ranks end, rank 0
    prints each message once and the run ends quietly; a rank that fails alone waits `GRACE` seconds, prints its message and aborts the others.
    Any other exception aborts at once with its traceback.
    """
    try:
        comm = world() if comm is None else comm
    except InputError as error:             # each process believes that it is alone
        print(error, file=sys.stderr)
        finish(error.exit_code)
    install_abort_hook(comm)
    quiet = comm.Dup()                      # its messages cannot meet those of the code that broke off
    code, message = _outcome(work, comm)
    if comm.size > 1:
        _wait_for_all(comm, quiet, code, message)
        code = int(vote_max(quiet, code))
    messages = quiet.gather(message)
    if comm.rank == 0:
        for text in dict.fromkeys(text for text in messages if text):
            print(text, file=sys.stderr)
    quiet.Free()
    finish(code)


def _outcome(work, comm):
    """(exit code, message) of work(comm)."""
    try:
        return int(work(comm) or 0), ""
    except HpcnemdError as error:
        return error.exit_code, str(error)
    except SystemExit as end:               # argparse, or a library: no excepthook sees it
        if end.code is None or isinstance(end.code, int):
            return end.code or 0, ""
        return 1, str(end.code)


def _wait_for_all(comm, quiet, code, message):
    request, start = quiet.Ibarrier(), time.monotonic()
    while not request.Test():
        if code and time.monotonic() - start > GRACE:
            _last_words(comm, message or f"ended with code {code}, the other ranks did not")
            comm.Abort(code)
        time.sleep(1e-3)


def agree_on_errors(comm, problem):
    """Collective. Raises on every rank, with the same message, where any rank has a problem; returns None where none has.

    `problem`: None, an HpcnemdError, or one or more messages of bad input (str or list of str). Of errors of several kinds the kind of the
    lowest rank wins; all distinct messages are kept, in the order of ranks.
    """
    if isinstance(problem, (str, list, tuple)):
        problem = InputError(problem) if len(problem) else None
    if problem is None and comm.size == 1 or not vote_any(comm, problem is not None):
        return
    found = None if problem is None else (type(problem), getattr(problem, "problems", [str(problem)]))
    found = [one for one in comm.allgather(found) if one is not None]
    kind = found[0][0]
    messages = list(dict.fromkeys(text for _, texts in found for text in texts))
    raise kind(messages if issubclass(kind, InputError) else "\n".join(messages))


def node_of(comm):
    """Collective. A communicator of the ranks of `comm` that share this rank's node, to be freed by the caller."""
    if comm.size == 1:
        return SerialComm()
    from mpi4py import MPI
    return comm.Split_type(MPI.COMM_TYPE_SHARED)


def compile_once(comm, *warm_ups):
    """Collective. The first rank of each node calls the functions, which compile kernels into numba's cache; then the others, which load them.

    Ranks that compile different signatures of one cached function at once can spoil its cache for good (numba #4807).
    """
    node = node_of(comm)
    first = node.rank == 0
    node.Free()
    for turn in (True, False):
        if first == turn:
            for warm_up in warm_ups:
                warm_up()
        comm.Barrier()


_held = []              # warnings of a batch system that came before the loop which can heed them


def hold_warnings():
    """From here on SIGUSR1 and SIGUSR2 end the process no more: the next StopFlag finds those that came, and after it they tell nothing new (main thread only)."""
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda came, frame: _held.append(came))


class StopFlag:
    """Remembers that a signal asked the run to stop; the time loop votes on it. The second SIGINT gets its usual meaning back.

    Slurm sends SIGUSR1 or SIGTERM before the limit; mpirun hands SIGUSR1 and SIGUSR2 on to all ranks, other launchers to one of them only.
    """
    SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)

    def __init__(self):
        self.received = 0
        self._before = {}

    def install(self):
        """Sets the handlers (main thread only) and returns self."""
        for number in self.SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        if _held:
            self.received = _held.pop()
        return self

    def restore(self):
        """Puts the handlers back that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _note(self, number, frame):
        self.received = number
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)

    def poll(self, comm):
        """Collective. The name of the signal that any rank received (the highest number), or "" where none did."""
        number = int(vote_max(comm, self.received))
        return signal.Signals(number).name if number else ""
