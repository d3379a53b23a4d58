#!/bin/sh
# llm-dedup keeps to --memory where the input has ten times as much, and drops the same
. "$(dirname "$0")/../lib.sh"
lib=$(cd "$(dirname "$0")/../lib" && pwd)
cd "$tmp" || exit 2

perl "$lib/large.pl" 80 >large.jsonl

# peak COMMAND...: run it, and print the most KiB that it had, as seen now and then
peak () {
	"$@" >out &
	while kill -0 $! 2>/dev/null
	do
		sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\).*/\1/p' /proc/$!/status 2>/dev/null
		sleep 0.02
	done | sort -n | tail -1
	wait $!
}

# A sanitizer's memory is not the tool's.
within () {
	test "$1" -gt 1000 || return 1
	test "$1" -le 8192 || ldd "$(command -v llm-dedup)" | grep -q asan
}

for t in near exact
do
	llm-dedup -t $t --clusters pairs large.jsonl >good
	test "$(wc -l <pairs)" -gt 500
	result "$t: $(wc -l <pairs) of $(wc -l <large.jsonl) repeat others" $?
	most=$(peak llm-dedup -t $t --memory 8M --stats s.json --clusters pairs.8 large.jsonl)
	cmp -s out good && cmp -s pairs pairs.8
	result "$t: the same in 8 MiB, in $(grep -o 'passes": [0-9]*' s.json | tr -dc 0-9) passes" $?
	within "$most"
	result "$t: $most KiB at most" $?
done
exits 0 'an index of all' llm-dedup -t near --memory 8M --index index large.jsonl
most=$(peak llm-dedup -t near --memory 8M --index index large.jsonl)
cmp -s out /dev/null
result 'knows all the next time' $?
within "$most"
result "in $most KiB" $?
done_testing
