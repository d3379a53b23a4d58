#!/bin/sh
. "$(dirname "$0")/../lib.sh"
exec </dev/null
cd "$tmp" || exit 1

llm-init -q --vocab 300 --layers 2 --width 64 --context 32 -o m
exits 0 'a profile' llm-profile -m m -b 2 -c 16 -n 2 -o trace.json
grep -v '^#' out >table
head -n 1 table | grep -q '^phase	op	shape	calls	ms	share %	rate	of the limit %$'
result 'a header' $?
# Two steps of two layers: q, k, v and o, gate, up and down, and the head.
awk -F '\t' '$1 == "forward" && $2 == "attention" { n = $4 } END { exit n != 4 }' table
result 'attention once a layer and step' $?
awk -F '\t' '$1 == "all" && $2 == "all" { all = $5; n = $4 }
    $1 != "all" && $2 == "all" { sum += $5; calls += $4 }
    END { d = all - sum; exit !(n == calls && n > 50 && d < 0.01 && d > -0.01) }' table
result 'phases add up' $?
grep -c '"ph":"X"' trace.json >n
awk -F '\t' '$1 == "all" && $2 == "all" { print $4 }' table | cmp -s - n
result 'the trace has each launch' $?
exits 0 'one of its own models' llm-profile -m tiny -b 1 -c 8 -n 1 --recompute block
grep -q '^# tiny, 1 x 8 tokens' out
result 'says what was run' $?

exits 2 'rows longer than the context' llm-profile -m m -c 64
exits 2 'no model' llm-profile -m none
exits 2 'a bad type' llm-profile --dtype fp8
exits 2 'nowhere to write' llm-profile -m tiny -b 1 -c 8 -n 1 -o none/trace
done_testing
