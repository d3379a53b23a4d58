#!/bin/sh
# Every fuzz target over its samples, good and bad ones: none may crash.
. "$(dirname "$0")/../lib.sh"

for target in "$(dirname "$0")"/../fuzz/*.c
do
	name=$(basename "$target" .c)
	test "$name" = replay && continue
	set -- $(find "$data/$name/good" "$data/$name/bad" -type f 2>/dev/null)
	test $# -gt 0
	result "$name has samples" $?
	# One by one, so that a crash names its file.
	for sample
	do
		"$BUILD/tests/fuzz/$name" "$sample" >"$tmp/out" 2>&1 && continue
		echo "# $name: $sample"
		sed 's/^/# /' "$tmp/out"
		crashed=1
	done
	result "$name: $# samples" "${crashed:-0}"
	crashed=
done
done_testing
