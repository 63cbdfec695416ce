#!/bin/bash
# The README's second command: sets up on the first call, then runs all default tests, without MPI and under mpirun on 1, 2, 3 and 4 ranks.
#   bash tests/run.sh -m slow            the long physics checks          bash tests/run.sh tests/mpi -k halo     a part
# The files of tests without MPI are shared out over the cores, four at most, or over HPCNEMD_TEST_WORKERS processes. HPCNEMD_TEST_TIMEOUT (s) kills a launch that hangs. The last line counts all launches together.
. "$(dirname "${BASH_SOURCE[0]}")/../jobs/env.sh"
cd "$ROOT" || exit 1
limit=${HPCNEMD_TEST_TIMEOUT:-2400} patience=()
cores=$(env -u OMP_NUM_THREADS nproc)           # with that variable set, nproc tells of it and not of the cores
spread=(-n "${HPCNEMD_TEST_WORKERS:-$((cores < 4 ? cores : 4))}" --dist loadfile --no-loadscope-reorder)     # in the order of folders: the long files of tests/cli first
case " $* " in *" -m slow"*)                    # one long test is not a hang
    limit=${HPCNEMD_TEST_TIMEOUT:-14400} patience=(-o faulthandler_timeout=7200) spread=()     # these use the cores themselves
    export HPCNEMD_TEST_LIMIT=7200;;
esac
HPCNEMD_TEST_COUNTS=$(mktemp) || exit 1
export HPCNEMD_TEST_COUNTS
trap 'rm -f "$HPCNEMD_TEST_COUNTS"' EXIT
bad=0

launch() {                                      # title, command ...
    local title=$1 start=$SECONDS rc before failed
    shift
    echo "== $title"
    before=$(wc -l <"$HPCNEMD_TEST_COUNTS")
    timeout -k 10 "$limit" "$@" </dev/null; rc=$?
    echo "== $title: exit $rc after $((SECONDS - start)) s"
    [ $rc != 124 ] && [ $rc != 137 ] || echo "== $title: KILLED after $limit s (HPCNEMD_TEST_TIMEOUT)"
    [ $rc != 0 ] && [ $rc != 5 ] || return 0                        # 5: no test selected
    bad=1
    failed=$(tail -n +$((before + 1)) "$HPCNEMD_TEST_COUNTS" | awk '{ n += $2 } END { print n + 0 }')
    [ "$failed" != 0 ] || echo "0 1" >>"$HPCNEMD_TEST_COUNTS"       # it died without a failed test: that is one failure too
}

launch "without MPI" "$PY" -m pytest -q --color=no --durations=10 "${spread[@]}" "${patience[@]}" "$@"
for n in 1 2 3 4; do
    launch "$n ranks" "$MPIRUN" -n $n "$PY" -m pytest --only-mpi -q --color=no --durations=10 -p no:cacheprovider "${patience[@]}" "$@"
done
awk '{ passed += $1; failed += $2 } END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }' "$HPCNEMD_TEST_COUNTS" && exit $bad
exit 1
