#!/bin/sh
# Lets libFuzzer look for findings, one target after the other, for so many minutes in all.
# FUZZ_TARGETS names some of them. With FUZZ_COUNT it looks for nothing: it asks each about so many inputs, made from those that
# are kept and FUZZ_SEED, the same on each machine.
set -eu
minutes=${1:-1}
cd "$(dirname "$0")/../.."
corpus=tests/fuzz/corpus
found=${CARGO_TARGET_DIR:-target}/fuzz
program=$(tests/fuzz/build.sh)
targets=${FUZZ_TARGETS:-$(ls $corpus)}
count=$(echo $targets | wc -w)
seconds=$((minutes * 60 / count))
[ "$seconds" -gt 0 ] || seconds=1
seen=$found/corpus
limit="-max_total_time=$seconds"
if [ -n "${FUZZ_COUNT:-}" ]; then
    # The same ones in the same order too.
    limit="-runs=0 -shuffle=0 -seed=1"
    export FUZZ_SEED="${FUZZ_SEED:-1}"
    seen=$(mktemp -d)
    trap 'rm -r "$seen"' EXIT
fi
failed=
for target in $targets; do
    mkdir -p "$seen/$target" "$found/findings"
    dictionary=
    [ ! -e "tests/fuzz/dictionaries/$target" ] || dictionary=-dict=tests/fuzz/dictionaries/$target
    log=$found/$target.log
    # With a file it asks once; this one is as good as any.
    [ -z "${FUZZ_COUNT:-}" ] || FUZZ_TARGET=$target FUZZ_MADE=$seen/$target "$program" tests/fuzz/run.sh >"$log" 2>&1
    # What one target finds keeps nobody from looking at the others.
    if ! FUZZ_TARGET=$target nice -n 19 "$program" $limit -timeout=300 \
        -rss_limit_mb=2048 -max_len=8192 -print_final_stats=1 -artifact_prefix="$found/findings/$target-" $dictionary \
        "$seen/$target" "$corpus/$target" >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "fuzz: $target has a finding: the file above. Mend it, and keep the file as $corpus/$target/NAME" >&2
        failed="$failed $target"
    fi
    asked=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    echo "$target: ${asked:-?} inputs, ${rate:-?} a second"
done
[ -z "$failed" ]
