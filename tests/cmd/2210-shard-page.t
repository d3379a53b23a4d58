#!/bin/sh
# The annotated file of llm-shard(5) is the sample that is in the tests.
. "$(dirname "$0")/../lib.sh"
page=$data/../../man/llm-shard.5

od -A x -t x1 -v "$data/shard/good/tiny.shard" | grep ' ' >"$tmp/file"
grep -E '^[0-9a-f]{6}( [0-9a-f]{2}){16}$' "$page" >"$tmp/page"
test "$(wc -l <"$tmp/page")" -gt 20
result 'the page has lines of bytes' $?
test "$(grep -c -x -F -f "$tmp/file" "$tmp/page")" -eq "$(wc -l <"$tmp/page")"
result 'each is in the file' $?
test -z "$(grep -v -x -F -f "$tmp/page" "$tmp/file" | grep -v -E '^[0-9a-f]{6}( 00){16}$')"
result 'what is not on the page is zero' $?

done_testing
