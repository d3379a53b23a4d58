#!/bin/sh
# The annotated files of the section 5 pages are samples that are in the tests.
. "$(dirname "$0")/../lib.sh"
man=$data/../../man

# same PAGE FILE
same () {
	od -A x -t x1 -v "$data/$2" | grep ' ' >"$tmp/file"
	grep -E '^[0-9a-f]{6}( [0-9a-f]{2}){1,16}$' "$man/$1" >"$tmp/page"
	test "$(wc -l <"$tmp/page")" -gt 5
	result "$1 has lines of bytes" $?
	test "$(grep -c -x -F -f "$tmp/file" "$tmp/page")" -eq "$(wc -l <"$tmp/page")"
	result 'each is in the file' $?
	test -z "$(grep -v -x -F -f "$tmp/page" "$tmp/file" | grep -v -E '^[0-9a-f]{6}( 00)+$')"
	result 'what is not on the page is zero' $?
}

same llm-shard.5 shard/good/tiny.shard
same llm-cache.5 cache/good/tiny.cache
same llm-model.5 safetensors/good/tiny.safetensors
same llm-dedup-index.5 signs/good/tiny.signs

# shown PAGE FILE: the text of a file is on the page
shown () {
	sed -n '/^[{]$/,/^[}]$/p' "$man/$1" | cmp -s - "$2"
	result "$1 shows the file" $?
}

{ cat "$data/checkpoint/good/one.json"; echo; } >"$tmp/one"
shown llm-checkpoint.5 "$tmp/one"

done_testing
