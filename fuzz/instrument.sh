#!/bin/sh
# cargo's RUSTC_WRAPPER for the fuzz targets: Ottla's own crates are built with the coverage that steers libFuzzer.
#
# Dependencies are built as they are. Instrumenting them costs minutes (one codec takes four), and where in a codec an input
# leads says little about the code around it, which is what is tested here.
rustc=$1
shift
case " $* " in
*" --crate-name ottla_protocol "* | *" --crate-name ottla_fuzzing "* | *" --crate-name ottla_fuzz "*)
    exec "$rustc" "$@" -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares \
        -Cllvm-args=-simplifycfg-branch-fold-threshold=0
    ;;
esac
exec "$rustc" "$@"
