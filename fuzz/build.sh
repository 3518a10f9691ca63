#!/usr/bin/env bash
# Builds the fuzz targets with a stable Rust toolchain and a C++ compiler, and prints the folder of the
# binaries. What cargo-fuzz does, without it: coverage instrumentation is a pass of LLVM, which needs no
# unstable option. AddressSanitizer would need one; this workspace has no unsafe code for it to watch.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
target_dir=${CARGO_TARGET_DIR:-target}/fuzz

# With a named target the flags are not those of build scripts and macros.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares \
-Cllvm-args=-simplifycfg-branch-fold-threshold=0"
export CARGO_INCREMENTAL=0
# Fast code that still stops at overflows.
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true
export CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true
export CARGO_PROFILE_RELEASE_LTO=off

cargo build --quiet --locked --release --package kenshin-fuzz --bins --features libfuzzer \
    --target "$host" --target-dir "$target_dir" >&2
echo "$target_dir/$host/release"
