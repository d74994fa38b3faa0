# SPDX-License-Identifier: Apache-2.0
# lib.sh - what the scripts share: where things are, sections, and one way to count results.
# Sourced by bash scripts only.

SL_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SL_CACHE=${SLUICE_CACHE:-$SL_ROOT/.cache}
SL_JOBS=${SLUICE_JOBS:-$(nproc)}
export LC_ALL=C.UTF-8
cd "$SL_ROOT"
exec </dev/null

sl_say() { printf '%s\n' "$*"; }
sl_die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# A scratch directory, removed at exit together with every process started in it.
sl_scratch() {
    SL_TMP=$(mktemp -d "${TMPDIR:-/tmp}/sluice-XXXXXX")
    SL_LOGS=$SL_TMP/logs
    SL_RESULTS=$SL_TMP/results
    SL_STARTED=$SECONDS
    mkdir -p "$SL_LOGS"
    : >>"$SL_RESULTS"
    export SL_TMP
    trap sl_cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# Everything a test starts is found by its environment, which children inherit: SL_TMP=...
sl_cleanup() {
    local entry pid signal
    for signal in TERM KILL; do
        for entry in /proc/[0-9]*; do
            pid=${entry#/proc/}
            [ "$pid" = "$$" ] || [ "$pid" = "$BASHPID" ] && continue
            if grep -qzxF "SL_TMP=$SL_TMP" "$entry/environ" 2>/dev/null; then
                kill -"$signal" "$pid" 2>/dev/null
            fi
        done
        [ "$signal" = TERM ] && sleep 0.2
    done
    rm -rf "$SL_TMP"
}

sl_section() { printf '\n== %s  [%ds]\n' "$*" "$((SECONDS - SL_STARTED))"; }

# The three ways a check ends. Results are lines in a file, so that parallel checks can be counted.
sl_ok() { printf 'ok - %s\n' "$*" | tee -a "$SL_RESULTS"; }
sl_not_ok() { printf 'not ok - %s\n' "$*" | tee -a "$SL_RESULTS"; }
sl_skip() { printf 'skip - %s\n' "$*" | tee -a "$SL_RESULTS"; }

# sl_check NAME COMMAND...: one check, which holds when the command exits 0.
sl_check() {
    local name=$1 log
    shift
    log=$(mktemp "$SL_LOGS/check-XXXXXX")
    if "$@" >"$log" 2>&1; then
        sl_ok "$name"
    else
        sl_not_ok "$name (exit $?)"
        tail -n "${SL_TAIL:-40}" "$log" | sed 's/^/    /'
        return 1
    fi
}

# sl_absorb NAME COMMAND...: many checks. The command prints `ok - `, `not ok - ` and `skip - `
# lines; no such line at all, or a bad exit that no line explains, is a failure of its own.
sl_absorb() {
    local name=$1 log status=0
    shift
    log=$(mktemp "$SL_LOGS/absorb-XXXXXX")
    "$@" >"$log" 2>&1 || status=$?
    grep -E '^(ok|not ok|skip) - ' "$log" | sed "s|^\([a-z ]*\) - |\1 - $name: |" |
        tee -a "$SL_RESULTS"
    if ! grep -qE '^(ok|not ok|skip) - ' "$log"; then
        sl_not_ok "$name reported nothing (exit $status)"
    elif [ "$status" != 0 ] && ! grep -q '^not ok - ' "$log"; then
        sl_not_ok "$name ended with exit $status"
    fi
    if [ "$status" != 0 ] || grep -q '^not ok - ' "$log"; then
        grep -vE '^(ok|skip) - ' "$log" | tail -n "${SL_TAIL:-40}" | sed 's/^/    /'
    fi
}

# sl_lanes COUNT FUNCTION ITEM...: FUNCTION ITEM for each, COUNT at a time, each in a subshell. What
# one prints comes in one piece, once it has ended.
sl_lanes() {
    local count=$1 each=$2 item
    shift 2
    for item; do
        while [ "$(jobs -rp | wc -l)" -ge "$count" ]; do wait -n; done
        (
            text=$("$each" "$item" 2>&1)
            flock 9
            printf '%s\n' "$text"
        ) 9>"$SL_TMP/lane" &
    done
    wait
}

# sl_build PRESET [TARGET...]: configure and build; one check.
sl_build() {
    local preset=$1
    shift
    sl_check "build $preset" sl_build_quietly "$preset" "$@"
}
sl_build_dir() { if [ "$1" = release ]; then echo build; else echo "build-$1"; fi; }
sl_build_quietly() {
    local preset=$1
    shift
    cmake --preset "$preset" && ninja -C "$(sl_build_dir "$preset")" -j "$SL_JOBS" "$@"
}

# Sanitizers write to files: under Criterion's forks a leak or an undefined behaviour otherwise
# passes unseen. sl_sanitizer_env DIR makes every program report into DIR.
sl_sanitizer_env() {
    mkdir -p "$1"
    export ASAN_OPTIONS="log_path=$1/asan:detect_leaks=1:abort_on_error=0:allocator_may_return_null=1"
    export LSAN_OPTIONS="report_objects=1"
    export UBSAN_OPTIONS="log_path=$1/ubsan:print_stacktrace=1:halt_on_error=1"
    export TSAN_OPTIONS="log_path=$1/tsan:halt_on_error=1:second_deadlock_stack=1"
}
sl_sanitizer_off() { unset ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS; }
# sl_sanitizer_clean NAME DIR: one check, which holds when no sanitizer has written anything.
sl_sanitizer_clean() {
    if [ -z "$(ls -A "$2")" ]; then
        sl_ok "$1"
    else
        sl_not_ok "$1"
        for file in "$2"/*; do head -n 40 "$file" | sed 's/^/    /'; done
        rm -f "$2"/*
    fi
}

# sl_unit PROGRAM: run one Criterion program, a line for each of its tests.
sl_unit() {
    local name tap status=0
    name=$(basename "$1")
    tap=$(mktemp "$SL_LOGS/tap-XXXXXX")
    timeout -k 5 "${SL_UNIT_SECONDS:-600}" "$1" --tap="$tap" >"$tap.out" 2>&1 || status=$?
    sed -nE 's/^ok - (.*) # SKIP.*/skip - \1/p; t; s/^(ok|not ok) - ([^ ]+).*/\1 - \2/p' "$tap"
    # gcc's UBSan has no report file next to ASan: it writes to stderr and ends the process.
    if [ "$status" = 0 ] && grep -q 'runtime error: ' "$tap.out"; then
        status=1
    fi
    if [ "$status" != 0 ]; then
        grep -q '^not ok' "$tap" || echo "not ok - $name ended with exit $status"
        tail -n 30 "$tap.out"
        return 1
    fi
}

# sl_simulate SEEDS|random:COUNT [OPTION...]: one check, whose name tells the seeds: a failure says
# how to replay it.
sl_simulate() {
    local seeds=$1 first
    shift
    if [ "${seeds%%:*}" = random ]; then
        first=$((1000000 + RANDOM * 32768 + RANDOM))
        seeds=$first..$((first + ${seeds#*:} - 1))
    fi
    sl_check "simulation, seeds $seeds${*:+ $*}, all faults" \
        timeout 600 build/bin/sluice simulate --seeds "$seeds" --faults all "$@"
}

# sl_fuzz SECONDS: build every fuzz target and run each for that long; one check per target.
sl_fuzz() {
    local targets target name seeds work
    if ! cmake --preset fuzz >"$SL_LOGS/fuzz" 2>&1; then
        sl_check "configure fuzz" cat "$SL_LOGS/fuzz" /nonexistent
        return
    fi
    targets=$(ninja -C build-fuzz -t targets all | sed -n 's/^\(fuzz-[^:/]*\): phony$/\1/p')
    if [ -z "$targets" ]; then
        sl_skip "fuzz: there are no fuzz targets"
        return
    fi
    sl_build fuzz $targets || return
    export SL_FUZZ_SECONDS=$1
    export -f sl_fuzz_one
    sl_absorb fuzz xargs -P "$SL_JOBS" -n 1 bash -c 'sl_fuzz_one "$0"' <<<"$targets"
}
sl_fuzz_one() {
    local name=${1#fuzz-} folder seeds work=$SL_TMP/$1
    # fuzz-object-store-safetensors has its seeds in tests/object-store/corpus/safetensors.
    for folder in tests/*/; do
        folder=$(basename "$folder")
        case $name in "$folder"-*) seeds=tests/$folder/corpus/${name#"$folder"-} ;; esac
    done
    mkdir -p "$work"
    if build-fuzz/fuzz/"$1" -max_total_time="$SL_FUZZ_SECONDS" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=0 -artifact_prefix="$work/" "$work" $([ -d "$seeds" ] && echo "$seeds") \
        >"$work.log" 2>&1; then
        echo "ok - $name, $(sed -nE 's/^Done ([0-9]+) runs.*/\1 runs/p' "$work.log")"
    else
        echo "not ok - $name"
        grep -m 1 -A 20 -E 'ERROR: |runtime error: |assert' "$work.log" || tail -n 30 "$work.log"
        for crash in "$work"/crash-* "$work"/leak-* "$work"/oom-* "$work"/timeout-*; do
            [ -f "$crash" ] && echo "input (base64): $(base64 -w0 "$crash" | head -c 2000)"
        done
        return 1
    fi
}

sl_count() { grep -c "^$1 - " "$SL_RESULTS" || true; }
# The last line of every test command; the exit status follows from it.
sl_finish() {
    local failed
    failed=$(sl_count 'not ok')
    sl_section "done in $((SECONDS - SL_STARTED)) s"
    grep '^skip - ' "$SL_RESULTS"
    grep '^not ok - ' "$SL_RESULTS"
    sl_say "$(sl_count ok) passed, $failed failed, $(sl_count skip) skipped"
    [ "$failed" = 0 ]
}
