"""The ways in which a run may end early, with their exit codes (0 done, 1 a bug)."""


class HpcnemdError(Exception):
    """An end with a reason that the user can act on."""
    exit_code = 1


class InputError(HpcnemdError):
    """Bad input, found before any work. `problems` holds every message: key, value, what is allowed, what to type next."""
    exit_code = 2

    def __init__(self, problems):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class PhysicsError(HpcnemdError):
    """The simulation broke: NaN, a lost particle, no convergence. The message names the step and the particles."""
    exit_code = 3


class StoppedEarly(HpcnemdError):
    """Stopped with a checkpoint before the end (signal, wall time, disk full): start the same command again."""
    exit_code = 75
