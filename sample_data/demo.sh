#!/usr/bin/env bash
# Sends the sample exports to a simulated platform with faults, and shows the outcome of every row.
#
# Works in .demo/ beside this folder and replaces it each time. Needs `backfill` on the PATH; takes under a minute.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
demo=$(dirname "$here")/.demo
date=2025-11-20
unset BACKFILL_CONFIG

main() {
    prepare
    start_simulator

    say "1. Send 5 exports. Some rows are wrong, and the platform has faults."
    expect 3 backfill run orders --date "$date"; orders=$run
    expect 3 backfill run tasks --date "$date"
    expect 3 backfill run states --date "$date"; states=$run
    expect 3 backfill run points --date "$date"; points=$run
    expect 3 backfill run brand --date "$date"

    say "2. Send the open rows again: unknown rows with the same keys, then the rows that they blocked."
    expect 3 backfill rerun "$orders" --new-keys
    expect 0 backfill rerun "$states"
    expect 0 backfill rerun "$points"
    expect 0 backfill runs

    say "3. Compare the reports with the platform's journal."
    python3 "$here/audit.py" "$url" reports
    say "Reports (HTML page, outcomes, rows to fix) of each run: $demo/reports"
}

prepare() {
    # Git does not keep file modes, and a key that others can read causes a warning.
    umask 077
    rm -rf "$demo"
    mkdir "$demo"
    cp -R "$here/exports" "$here/keys" "$here/faults.toml" "$demo"
    cd "$demo"
}

# Use a free port, and put it into the copy of the config.
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

# expect CODE COMMAND...: prints the command and its output; fails unless it exits with CODE.
# Sets $run to the run's id.
expect() {
    local code=$1 ended=0 output
    shift
    printf '\n$ %s\n' "$*"
    output=$("$@") || ended=$?
    printf '%s\n' "$output"
    [ "$ended" = "$code" ] || fail "exit code $ended, expected $code"
    run=$(printf '%s\n' "$output" | sed -n 's/^run \([0-9A-Z]*\) of job .*/\1/p')
}

say() {
    printf '\n== %s\n' "$*"
}

fail() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

main
