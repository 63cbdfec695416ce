"""The command line. `hpcnemd --help` imports nothing heavy; MPI starts in the commands that need it and nowhere else.

Exit codes: 0 done, 1 a bug, 2 bad input, 3 the physics broke, 75 stopped early with a checkpoint (start the same command again)."""
import argparse
import os
import sys

from .. import __version__
from ..core.errors import HpcnemdError

EPILOG = """examples
  hpcnemd init llzo                          write a commented deck, llzo.toml
  hpcnemd check llzo.toml -n 8               what would run, on 8 ranks, and whether the input is right
  mpirun -n 8 hpcnemd plan llzo.toml         current, length and cost for an error of 5 %, from a short pilot
  mpirun -n 8 hpcnemd run llzo.toml          run it; the same command resumes an interrupted run
  hpcnemd report llzo                        figures, tables and report.html of a run's folder
  hpcnemd energy cell.cif --forcefield llzo_buckingham --json out.json

exit codes
  0 done    1 a bug    2 bad input    3 the physics broke (NaN, lost particles)    75 stopped early, with a checkpoint: start it again"""


def one_thread():
    """Ranks are the parallelism: a thread pool in each of them would fight for the cores. Before numpy is imported; the user's own choice stays."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")


class Parser(argparse.ArgumentParser):
    """Under a launcher every rank reads the same command line: only the first one complains."""

    def _print_message(self, message, file=None):
        if all(os.environ.get(name, "0") == "0" for name in ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID")):
            super()._print_message(message, file)


def build_parser():
    parser = Parser(prog="hpcnemd", description="Nonequilibrium molecular dynamics on MPI ranks: ionic conductivity by constant current.",
                                     epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"hpcnemd {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name, summary, **options):
        return commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".",
                                   formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    init = command("init", "write a commented deck")
    init.add_argument("name", help="name of the run; the deck is NAME.toml")
    init.add_argument("--structure", metavar="FILE|BUILT-IN", default="llzo_cubic_box", help="a structure file or a built-in name (default: %(default)s)")
    init.add_argument("--forcefield", metavar="NAME", default="llzo_buckingham", help="force field (default: %(default)s)")

    check = command("check", "say what a deck amounts to, without running it")
    check.add_argument("deck")
    check.add_argument("-n", "--ranks", type=int, default=1, help="number of ranks to plan for (default: 1)")
    check.add_argument("--write", metavar="FILE", help="write the cell that the deck builds: .cif, .vasp (or POSCAR), .extxyz, .data (LAMMPS), or a picture, .png")

    plan = command("plan", "current, length, ranks and cost of a run with a wished error, from a short pilot; under mpirun on all ranks")
    plan.add_argument("deck")
    plan.add_argument("--error", default="5%", metavar="EPS", help="relative error of the conductivity (default: 5%%)")
    plan.add_argument("--ranks", type=int, metavar="N", help="ranks to plan for (default: those at work)")
    plan.add_argument("--pilot", metavar="FOLDER", help="go by an earlier run instead of a pilot")
    plan.add_argument("--length", metavar="TIME", help="of each part of the pilot, \"50 ps\" (default: chosen, and told)")
    plan.add_argument("--write", metavar="FILE", help="write the planned deck")

    run = command("run", "run a deck, or the rest of it; under mpirun or srun on all ranks")
    run.add_argument("deck")
    run.add_argument("--point", nargs="?", const="task", metavar="K", help="of a series: run point K alone; without a number that of SLURM_ARRAY_TASK_ID")
    run.add_argument("--no-report", action="store_true", help="write the result files only; hpcnemd report draws them later, on any machine")

    energy = command("energy", "energy, forces and pressure of one configuration; under mpirun on any number of ranks")
    energy.add_argument("structure", help="a structure file, or a built-in name")
    energy.add_argument("--forcefield", required=True, metavar="NAME", help="a shipped force field, or the path of a table")
    energy.add_argument("--cutoff", metavar="R", help="range of the pair forces, angstrom (default: the force field's)")
    energy.add_argument("--accuracy", type=float, default=1e-6, metavar="A", help="rms error of Coulomb forces over their rms (default: %(default)g)")
    energy.add_argument("--coulomb", choices=("ewald", "spme", "dsf", "none"), default="spme", help="default: %(default)s")
    energy.add_argument("--damping", metavar="D", help="damping parameter of dsf, 1/angstrom")
    energy.add_argument("--truncation", choices=("plain", "shift", "switch", "shift_force"), default="plain", help="default: %(default)s")
    energy.add_argument("--precision", choices=("double", "mixed"), default="double", help="of the pair forces (default: %(default)s)")
    energy.add_argument("--json", metavar="OUT", help="write everything, forces included, to this file")

    status = command("status", "how far a run is")
    status.add_argument("folder", help="output folder of a run, or its deck")

    report = command("report", "figures, tables and report.html of a run")
    report.add_argument("folder", help="output folder of a run, or its deck")

    analyse = command("analyse", "conductivity, tracers and Onsager matrix from a stored trajectory, of any program")
    from .analyse import add_arguments
    add_arguments(analyse)

    export = command("export", "the trajectory for other programs (OVITO, ASE, LAMMPS)")
    export.add_argument("folder", help="output folder of a run, its deck, or one trajectory file")
    export.add_argument("--format", choices=("extxyz", "lammps"), default="extxyz", help="default: %(default)s")
    export.add_argument("--output", metavar="FILE", help="default: beside the trajectory")

    diff = command("diff", "compare two result files, or two folders, outside provenance")
    diff.add_argument("a")
    diff.add_argument("b")
    diff.add_argument("--relative", type=float, default=0.0, metavar="EPS", help="tolerance relative to the largest value of a dataset (default: none)")

    bvse = command("bvse", "sites, paths and percolation barriers of a mobile ion from bond-valence site energies (a rigid framework)")
    bvse.add_argument("structure", help="a structure file, or a built-in name")
    bvse.add_argument("--mobile", required=True, metavar="ELEMENT", help="the mobile ion, for example Li")
    bvse.add_argument("--resolution", type=float, default=0.2, metavar="A", help="angstrom between grid points (default: %(default)g)")
    bvse.add_argument("--charges", action="append", metavar="X=N", help="charges of elements that the table does not know, La=3,Zr=4")
    bvse.add_argument("--output", default="bvse", metavar="FOLDER", help="default: %(default)s")

    doctor = command("doctor", "test this machine: MPI, HDF5 writers, compiled kernels, disk; under mpirun too")
    doctor.add_argument("--folder", default=".", help="where result files would go (default: here)")
    doctor.add_argument("--time-limit", type=float, default=30.0, metavar="S", help="per writer (default: %(default)g s)")

    from .thermo import add_parser
    add_parser(commands)
    return parser


def dispatch(arguments):
    """Runs one command that needs no MPI and returns its exit code."""
    name = arguments.command
    if name == "thermo":
        from .thermo import dispatch as calculate
        return calculate(arguments)
    if name == "init":
        from .init import write_deck
        return write_deck(arguments.name, arguments.structure, arguments.forcefield)
    if name == "check":
        from .check import check_deck
        return check_deck(arguments.deck, arguments.ranks, arguments.write)
    if name == "bvse":
        from .bond_valence import bond_valence_map
        return bond_valence_map(arguments.structure, arguments.mobile, arguments.resolution, arguments.charges, arguments.output)
    if name == "status":
        from .results import show_status
        return show_status(arguments.folder)
    if name == "report":
        from .results import write_report
        return write_report(arguments.folder)
    if name == "analyse":
        from .analyse import analyse_trajectory
        return analyse_trajectory(arguments)
    if name == "export":
        from .results import export_trajectory
        return export_trajectory(arguments.folder, arguments.format, arguments.output)
    from .results import show_differences
    return show_differences(arguments.a, arguments.b, arguments.relative)


def parallel_work(arguments):
    """The function of a communicator that a parallel command runs."""
    if arguments.command == "thermo":
        from .thermo import parallel_work as sweep
        return sweep(arguments)
    if arguments.command == "run":
        from .run import run_deck
        return lambda comm: run_deck(comm, arguments.deck, report=not arguments.no_report, point=arguments.point)
    if arguments.command == "plan":
        from .plan import plan_deck
        return lambda comm: plan_deck(comm, arguments.deck, arguments.error, arguments.ranks, arguments.pilot, arguments.length, arguments.write)
    if arguments.command == "energy":
        from .energy import single_point
        return lambda comm: single_point(comm, arguments)
    from .doctor import examine
    return lambda comm: examine(comm, arguments.folder, arguments.time_limit)


def starts_mpi(arguments):
    """Whether a command runs on ranks."""
    return arguments.command in ("run", "plan", "energy", "doctor") or arguments.command == "thermo" and arguments.thermo_command == "sweep"


def main(argv=None):
    one_thread()
    arguments = build_parser().parse_args(argv)
    try:
        if starts_mpi(arguments):
            from ..parallel.launch import hold_warnings, run_to_end
            if arguments.command == "run":          # the loop heeds them; while it is prepared and drawn nothing is lost by going on
                hold_warnings()
            run_to_end(parallel_work(arguments))
        sys.exit(dispatch(arguments) or 0)
    except HpcnemdError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:                 # `hpcnemd check ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
