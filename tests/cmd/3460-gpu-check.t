#!/bin/sh
# The check for machines with a GPU, where there is none: its steps, its report, and that
# it does not call good what could not run.
. "$(dirname "$0")/../lib.sh"
exec </dev/null
top=${data%/tests/data}
bin=$(dirname "$(command -v llm-bench)")
export BIN="${bin#"$top"/}" O="${BUILD#"$top"/}"

# check STATUS DESCRIPTION ARGUMENT...
check () {
	exits "$1" "$2" "$top/scripts/gpu-check" -o "$tmp/report" "$3" ${4+"$4"}
}

exits 0 'its steps' "$top/scripts/gpu-check" --list
awk '{ if (NF < 3 || $2 !~ /^[0-9]+$/) exit 1 }' "$tmp/out"
result 'each has a time and a description' $?
grep -q '^torch 90 ' "$tmp/out"
result 'one of them is PyTorch' $?
check 2 'an unknown step' nothing
grep -q '^gpu-check: nothing: no such step' "$tmp/err"
result 'is told' $?

check 0 'one that needs no GPU' machine
grep -q '^== machine$' "$tmp/report" && grep -q '^machine: good, [0-9]* s$' "$tmp/report" &&
    grep -q 'processors$' "$tmp/report"
result 'stands in the report' $?
PYTHON=/nonexistent check 0 'one that lacks something' torch
grep -q '^torch: skipped' "$tmp/report"
result 'is skipped' $?
mkdir "$tmp/none"
echo 'int cuInit(unsigned f) { (void)f; return 100; }' >"$tmp/none/d.c"
# shellcheck disable=SC2086 # a compiler may have words
$CC -shared -fPIC -o "$tmp/none/libcuda.so.1" "$tmp/none/d.c"
LD_LIBRARY_PATH=$tmp/none check 1 'without a GPU, a step that needs one' hot machine
grep -q '^hot: FAILED: exit 1' "$tmp/report" && grep -q '^machine: good' "$tmp/report"
result 'fails, and the next one goes on' $?

if test -e "$BUILD/tests/cuda/libcuda.so.1"
then
	LD_LIBRARY_PATH=$BUILD/tests/cuda check 0 'on the stand-in driver, a step' hot
	grep -q '^hot: good' "$tmp/report"
	result 'is good' $?
fi
done_testing
