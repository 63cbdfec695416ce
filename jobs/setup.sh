#!/bin/bash
# Makes .venv. With Open MPI, parallel HDF5 and a C compiler on the system (installed by apt where that is possible), h5py is built
# against them; without, everything comes as wheels: Open MPI from its wheel, serial HDF5.
#   HPCNEMD_SETUP=wheels   leave the system alone             HPCNEMD_SETUP=system   fail rather than fall back to wheels
#   HDF5_DIR=... MPICC=... a parallel HDF5 and its compiler elsewhere, as loaded by a cluster's modules
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${HPCNEMD_VENV:-$ROOT/.venv} PYTHON=${PYTHON:-python3} WANT=${HPCNEMD_SETUP:-auto}
APT="openmpi-bin libopenmpi-dev libhdf5-openmpi-dev hdf5-tools pkg-config gcc libc6-dev python3-dev python3-venv"

step() { echo "[setup $(date +%T)] $*"; }
fail() { echo "setup: $*" >&2; exit 1; }
pip() { "$VENV/bin/python" -m pip --disable-pip-version-check -qq "$@"; }
have() { local c; for c; do command -v "$c" >/dev/null || return 1; done; }
have_headers() { "$PYTHON" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'; }
have_system() {
    have "$PYTHON" && have_headers || return 1
    if [ -n "${HDF5_DIR:-}" ]; then have "${MPICC:=mpicc}"; return; fi
    have mpicc.openmpi mpirun.openmpi pkg-config gcc && pkg-config --exists hdf5-openmpi
}
try_apt() {
    local root=
    have apt-get || return 1
    if [ "$(id -u)" != 0 ]; then
        have sudo || return 1
        root=sudo; [ -t 0 ] || root="sudo -n"                       # no question for a password where nobody can answer
    fi
    step "apt-get install $APT"
    $root apt-get update -qq &&
        $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $APT >/dev/null
}

mode=wheels
if [ "$WANT" != wheels ]; then
    have_system || try_apt || step "no package was installed here; for parallel HDF5 ask the administrator for: $APT"
    if have_system; then mode=system
    elif [ "$WANT" = system ]; then fail "no Open MPI with parallel HDF5; needed: $APT"
    else step "going on with wheels: Open MPI from its wheel, HDF5 without MPI"; fi
fi
have "$PYTHON" || fail "no $PYTHON; ask for the packages python3 and python3-venv (Python 3.11 or newer), or set PYTHON=/path/to/python3"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$("$PYTHON" -V) is too old: 3.11 or newer is needed (set PYTHON=/path/to/python3)"

if [ -e "$VENV" ] && [ ! -e "$VENV/.hpcnemd" ]; then fail "$VENV is there and was not made by this script: remove it, or set HPCNEMD_VENV"; fi
step "$VENV: $mode"
clear=; [ "$(head -n 1 "$VENV/.made" 2>/dev/null)" = "$mode" ] || clear=--clear        # --clear empties the folder: hence the mark above
mkdir -p "$VENV"; touch "$VENV/.hpcnemd"
"$PYTHON" -m venv $clear "$VENV" || fail "$PYTHON cannot make a virtual environment; ask for the package python3-venv"
touch "$VENV/.hpcnemd"; echo "$mode" >"$VENV/.made"                 # a set-up cut short goes on from here the next time
pip install -U "pip>=24"                                            # pip 23.0 keeps only the last of several -C options
if [ $mode = system ]; then
    pip install "numpy>=2.0,<2.5" "mpi4py>=4.1,<5" "setuptools>=77" "Cython>=3,<4" pkgconfig packaging wheel
    if ! "$VENV/bin/python" -c 'import h5py; assert h5py.get_config().mpi' 2>/dev/null; then
        step "h5py against parallel HDF5 (about a minute)"
        from=${HDF5_DIR:+HDF5_DIR=$HDF5_DIR}
        env CC="${MPICC:-mpicc.openmpi}" HDF5_MPI=ON "${from:-HDF5_PKGCONFIG_NAME=hdf5-openmpi}" CFLAGS="-O1 -g0" \
            "$VENV/bin/python" -m pip --disable-pip-version-check -qq install --force-reinstall --no-cache-dir --no-build-isolation \
            --no-deps --no-binary=h5py -C--build-option=build_ext "-C--build-option=-j$(nproc)" h5py==3.16.0 ||
            fail "h5py did not build; HPCNEMD_SETUP=wheels bash jobs/setup.sh does without a compiler"
    fi
    pip install -e "$ROOT[test]"
    "$VENV/bin/python" -c 'import h5py; assert h5py.get_config().mpi, "h5py came without MPI"'
else
    pip install -e "$ROOT[mpi,test]"
fi
"$VENV/bin/python" -c 'import platform, numba; print(f"python{platform.python_version()}-numba{numba.__version__}")' >"$VENV/.versions"
{ echo $mode; cat "$ROOT/jobs/setup.sh" "$ROOT/pyproject.toml" | cksum; } >"$VENV/.made"
step "done"
