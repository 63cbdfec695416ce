# Sourced by every launch script: makes .venv when it is missing or older than its recipe, then sets the run environment.
# It is found by its own path, so that a batch script (which Slurm copies elsewhere) can source "$SLURM_SUBMIT_DIR/jobs/env.sh".
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${HPCNEMD_VENV:-$ROOT/.venv}
made() { [ "$(tail -n 1 "$VENV/.made" 2>/dev/null)" = "$(cat "$ROOT/jobs/setup.sh" "$ROOT/pyproject.toml" | cksum)" ]; }
if ! made; then
    ( flock 9; made || bash "$ROOT/jobs/setup.sh" ) 9>"$ROOT/.setup.lock" || exit 1    # a process of its own: `||` would switch its set -e off
fi
PY=$VENV/bin/python
MPIRUN=$VENV/bin/mpirun
[ -x "$MPIRUN" ] || MPIRUN=$(command -v mpirun.openmpi || echo mpirun)
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1         # Open MPI 4 and 5
[ -n "${SLURM_JOB_ID:-}" ] || export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe   # 4, 5
# Compiled kernels: beside the environment on one machine; on several nodes a folder of each node's own, so that they do not race on a shared disk.
if [ -z "${NUMBA_CACHE_DIR:-}" ]; then
    NUMBA_CACHE_DIR=$VENV/numba
    if [ "${SLURM_JOB_NUM_NODES:-1}" -gt 1 ] || [ ! -w "$VENV" ]; then NUMBA_CACHE_DIR=${TMPDIR:-/tmp}/hpcnemd-$(id -u); fi
    export NUMBA_CACHE_DIR=$NUMBA_CACHE_DIR/$(cat "$VENV/.versions")
fi
