#!/bin/sh
# Builds the unit tests as a libFuzzer program, with coverage of every crate in it, and prints its path.
set -eu
cd "$(dirname "$0")/../.."
host=$(rustc -vV | sed -n 's/^host: //p')
coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares'
RUSTFLAGS="--cfg fuzzing $coverage" ${CARGO:-cargo} test --locked --profile fuzz --lib --no-run --target "$host" \
    --target-dir "${CARGO_TARGET_DIR:-target}/fuzz" --message-format json-render-diagnostics |
    grep '"name":"throughway"' | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'
