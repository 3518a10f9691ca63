#!/usr/bin/env bash
# Runs each fuzz target on its committed corpus, and then on new inputs for FUZZ_SECONDS (20). Needs a
# stable Rust toolchain and a C++ compiler. Prints a line a target; fails at a finding.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v c++ >/dev/null && ! command -v g++ >/dev/null; then
    echo "no C++ compiler, so no libFuzzer: the corpora are replayed by cargo test, nothing more"
    exit 0
fi

bin=$(bash fuzz/build.sh)
work=${CARGO_TARGET_DIR:-target}/fuzz/smoke
seconds=${FUZZ_SECONDS:-20}
rm -rf "$work"
mkdir -p "$work"

fuzz() {
    local target=$1 bin=$2 work=$3 seconds=$4
    local log=$work/$target.log new=$work/$target.new
    local max_len=1280
    if [ "$target" = otl_framer ]; then
        max_len=4096
    fi
    mkdir -p "$new"
    if "$bin/$target" -max_total_time="$seconds" -max_len="$max_len" -timeout=10 \
        -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$work/$target-" \
        "$new" "fuzz/corpus/$target" >"$log" 2>&1; then
        local runs rate
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
        echo "fuzz: $target: ok, $runs runs, $rate a second"
    else
        tail -n 40 "$log"
        for input in "$work/$target"-*; do
            echo "fuzz: $target: $(basename "$input"): $(od -An -v -tx1 "$input" | tr -d ' \n')"
        done
        echo "fuzz: $target: FINDING; put the input into fuzz/corpus/$target and run cargo test"
        return 1
    fi
}
export -f fuzz

# Two at a time; xargs fails if one of them does.
for path in fuzz/fuzz_targets/*.rs; do
    basename "$path" .rs
done | xargs -P 2 -I '{}' bash -c 'fuzz "$@"' fuzz '{}' "$bin" "$work" "$seconds"
