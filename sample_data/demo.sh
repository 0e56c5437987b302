#!/usr/bin/env bash
# Sends the sample night to a simulated platform on which things go wrong, and shows what became of every row.
#
# Works in .demo/ beside this folder, which it makes anew each time. Needs `backfill` on the PATH; takes under a minute.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
demo=$(dirname "$here")/.demo
date=2025-11-20
unset BACKFILL_CONFIG

main() {
    prepare
    start_simulator

    say "The night: four exports, some of whose rows and answers are not as they should be."
    expect 3 backfill run orders --date "$date"; orders=$run
    expect 3 backfill run tasks --date "$date"
    expect 3 backfill run states --date "$date"; states=$run
    expect 3 backfill run points --date "$date"; points=$run

    say "What was left: unknown rows go out again under the same keys, and what was blocked follows."
    expect 3 backfill rerun "$orders" --new-keys
    expect 0 backfill rerun "$states"
    expect 0 backfill rerun "$points"
    expect 0 backfill runs

    say "The platform's own account of the night:"
    python3 "$here/audit.py" "$url" reports
    say "Reports, with an HTML page and the rows to fix for each run: $demo/reports"
}

prepare() {
    # A key that others can read brings a warning, and git does not keep that bit.
    umask 077
    rm -rf "$demo"
    mkdir "$demo"
    cp -R "$here/exports" "$here/keys" "$here/faults.toml" "$demo"
    cd "$demo"
}

# A free port, so that nothing else on the machine is in the way; the config's copy names it.
start_simulator() {
    printf '$ backfill simulate --port 0 --faults faults.toml &\n'
    backfill simulate --port 0 --faults faults.toml >simulator.log 2>&1 &
    simulator=$!
    trap stop_simulator EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    url=
    until [ -n "$url" ]; do
        kill -0 "$simulator" 2>/dev/null || fail "the simulator did not start: $(cat simulator.log)"
        sleep 0.1
        url=$(sed -n 's/^simulator at \([^,]*\),.*/\1/p' simulator.log)
    done
    sed "s|http://127.0.0.1:8700|$url|" "$here/backfill.toml" >backfill.toml
}

stop_simulator() {
    kill "$simulator" 2>/dev/null || true
    wait "$simulator" 2>/dev/null || true
}

# expect CODE COMMAND...: shows the command and what it says, and goes on if it ends with that code.
# Leaves the run's id in $run.
expect() {
    local code=$1 ended=0 said
    shift
    printf '\n$ %s\n' "$*"
    said=$("$@") || ended=$?
    printf '%s\n' "$said"
    [ "$ended" = "$code" ] || fail "exit code $ended where $code was expected"
    run=$(printf '%s\n' "$said" | sed -n 's/^run \([0-9A-Z]*\) of job .*/\1/p')
}

say() {
    printf '\n== %s\n' "$*"
}

fail() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

main
