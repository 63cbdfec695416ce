#!/bin/bash
# The README's first command: sets up on the first call, then runs the main job, the ionic conductivity of Li7La3Zr2O12, on 2 ranks.
#   NP=4 bash jobs/demo.sh      other rank counts            bash jobs/demo.sh jobs/nacl_216.toml      another deck
# Called again it resumes what was interrupted, or prints the result that is there.
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$ROOT" || exit 1
exec "$MPIRUN" -n "${NP:-2}" "$PY" -m hpcnemd run "${1:-jobs/llzo_demo.toml}" </dev/null
