#!/bin/sh
# What the cache has no room for: it comes back from memory and disk, and what a disk does
# not take, or gives back wrong, changes no text.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
. "$(dirname "$0")/../serve.sh"
cd "$tmp" || exit 1
need_curl
make_samples
mkdir work

# 100 prompts of 50 tokens
awk 'BEGIN {
	printf "{\"max_tokens\":4,\"temperature\":0,\"logprobs\":1,\"prompt\":["
	for (i = 0; i < 100; i++) {
		printf (i > 0 ? ",[" : "[")
		for (k = 0; k < 50; k++)
			printf "%s%d", (k > 0 ? "," : ""), (i * 37 + k * (i + 3)) % 200 + 20
		printf "]"
	}
	print "]}"
}' >body

# talk FILE: ask for them twice; what is answered is in FILE, and in FILE.cached how many
# tokens were there already the second time
talk () {
	: >"$1"
	for round in 1 2
	do
		ask /v1/completions @body
		sed 's/.*"choices":\(.*\),"usage".*/\1/' out >>"$1"
		echo >>"$1"
	done
	sed 's/.*"cached_tokens":\([0-9]*\).*/\1/' out >"$1.cached"
	grep -q 'token_logprobs' "$1"
}

cached () {
	cat "$1.cached"
}

# metric NAME: its value
metric () {
	curl -s "$url/metrics" | awk -v name="$1" '$1 == name { print $2 }'
}

small='-m tiny=run/latest --cache 64 --parallel 1'
# shellcheck disable=SC2086 # these are words
serve $small
talk plain
test $? -eq 0 && test "$(cached plain)" = 0
result 'a cache that is too small has nothing of a text that was long ago' $?
serve_end

serve $small --spill 64M
talk memory
cmp -s plain memory
result 'with memory beyond it, answers are the same, with their log-probabilities' $?
test "$(cached memory)" -ge 4500
result 'and prompts come back' $?
test "$(metric llm_spill_from_memory_blocks_total)" -ge 250 &&
    test "$(metric llm_spill_memory_blocks)" -ge 250 &&
    test "$(metric llm_spill_memory_bytes)" -gt 1000 &&
    test "$(metric llm_spill_disk_blocks)" = 0
result 'which is counted' $?
serve_end
result 'it ends with 0' $?

serve $small --spill-disk 64M --work work
ls -A work | wc -l | grep -qx 0
result 'a file on a disk has no name' $?
talk disk
cmp -s plain disk
result 'with a disk beyond it, answers are the same' $?
test "$(cached disk)" -ge 4500
result 'and prompts come back, too' $?
test "$(metric llm_spill_from_disk_blocks_total)" -ge 50 &&
    test "$(metric llm_spill_disk_blocks)" -ge 50
result 'from there' $?
kill -KILL "$server"
wait "$server" 2>/dev/null
ls -A work | wc -l | grep -qx 0
result 'and nothing of it is left when the server is killed' $?

# Its file may have 8 blocks of 512 or 1024 bytes.
(ulimit -f 8; exec llm-serve -q --port 0 --port-file port2 $small --spill-disk 64M --work work) \
    2>serve.err &
server=$!
for i in $(seq 100)
do
	test -s port2 && break
	sleep 0.05
done
url=http://127.0.0.1:$(cat port2)
talk full
cmp -s plain full
result 'a disk that is full changes no answer' $?
test "$(metric llm_spill_faults_total)" -ge 1 && grep -c 'computed again' serve.err | grep -qx 1
result 'is told once, and counted' $?
serve_end

exits 2 'no room for a block' llm-serve $small --spill 1 --dry-run
exits 2 'no such directory' llm-serve $small --spill-disk 1M --work none --dry-run
exits 0 'a dry run' llm-serve $small --spill 1M --spill-disk 2M --dry-run
grep -q '^spill	[1-9][0-9]*	bytes' out && grep -q '^spilled	[1-9][0-9]*	tokens' out
result 'tells of what goes beyond the cache' $?
done_testing
