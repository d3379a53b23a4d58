#!/bin/sh
. "$(dirname "$0")/../lib.sh"

i=0
while test $i -lt 2000
do
	printf '{"id":"doc-%d", "text":"text number %d"}\n' $i $i
	i=$((i + 1))
done >"$tmp/in"

exits 0 'a rate' llm-sample -n 10% --rest "$tmp/rest" "$tmp/in"
n=$(wc -l <"$tmp/out")
test "$n" -gt 150 && test "$n" -lt 250
result "about 200 of 2000 are taken ($n)" $?
sort "$tmp/out" "$tmp/rest" >"$tmp/both"
sort "$tmp/in" | cmp -s - "$tmp/both"
result 'taken and rest are all' $?
sort -t '"' -k 4.5n "$tmp/out" | cmp -s - "$tmp/out"
result 'in input order' $?
cp "$tmp/out" "$tmp/ten"
sort "$tmp/ten" >"$tmp/ten.sorted"

sort -r "$tmp/in" | llm-sample -n 10% | sort | cmp -s - "$tmp/ten.sorted"
result 'the order of the input does not matter' $?
llm-sample -j 4 -n 10% "$tmp/in" | cmp -s - "$tmp/ten"
result '-j4 gives the bytes of -j1' $?
llm-sample -n 10% -s 1 "$tmp/in" | cmp -s - "$tmp/ten"
test $? -eq 1
result 'another seed takes others' $?
llm-sample -n 20% "$tmp/in" | grep -cFxf "$tmp/ten" >"$tmp/n"
test "$(cat "$tmp/n")" -eq "$n"
result 'a higher rate takes the same and more' $?
sed 's/text number/other words/' "$tmp/in" | llm-sample -n 10% |
    sed 's/other words/text number/' | cmp -s - "$tmp/ten"
result 'the id decides, not the text' $?
sed 's/"id":"doc-[0-9]*", //' "$tmp/in" >"$tmp/noid"
n=$(llm-sample -n 10% "$tmp/noid" | wc -l)
test "$n" -gt 150 && test "$n" -lt 250
result "without an id the text decides ($n)" $?

llm-sample -n 300 --rest "$tmp/rest" "$tmp/in" >"$tmp/300"
test "$(wc -l <"$tmp/300")" -eq 300 && test "$(wc -l <"$tmp/rest")" -eq 1700
result 'a count is exact, the rest is the rest' $?
llm-sample -n 300 --rest "$tmp/rest2" <"$tmp/in" | cmp -s - "$tmp/300" &&
    cmp -s "$tmp/rest" "$tmp/rest2"
result 'the same from the standard input' $?
cat "$tmp/in" | llm-sample -n 300 | cmp -s - "$tmp/300"
result 'the same from a pipe' $?
mkfifo "$tmp/fifo"
cat "$tmp/in" >"$tmp/fifo" &
llm-sample -n 300 "$tmp/fifo" | cmp -s - "$tmp/300"
result 'the same from a fifo' $?
gzip -c "$tmp/in" | llm-sample -j 3 -n 0.3k | cmp -s - "$tmp/300"
result 'the same compressed' $?
sort "$tmp/300" >"$tmp/300.sorted"
sort -r "$tmp/in" | llm-sample -n 300 | sort | cmp -s - "$tmp/300.sorted"
result 'the same of another order' $?
cat "$tmp/in" "$tmp/in" "$tmp/in" | llm-sample -n 301 | wc -l >"$tmp/n"
test "$(cat "$tmp/n")" -eq 301
result 'exact with equal records, too' $?
test "$(cat "$tmp/in" "$tmp/in" | llm-sample -n 100% | wc -l)" -eq 4000
result 'all' $?
llm-sample -n 100% "$tmp/in" | cmp -s - "$tmp/in"
result '100% copies' $?
llm-sample -n 5000 "$tmp/in" | cmp -s - "$tmp/in"
result 'more than there are copies' $?
exits 0 'none' llm-sample -n 0 "$tmp/in"
prints 'nothing' </dev/null
mkdir "$tmp/dir"
exits 0 'file to file' llm-sample -n 300 -o "$tmp/dir/" "$tmp/in"
cmp -s "$tmp/dir/in" "$tmp/300" || cmp -s "$tmp/dir/in.jsonl" "$tmp/300"
result 'the same file to file' $?

exits 0 'empty input' llm-sample -n 3 /dev/null
exits 0 'empty input, a rate' llm-sample -n 3% /dev/null
printf '%s\n' '{"id":"a"}' '{"x":1}' '{"text":"b"}' '{"id":"c"' >"$tmp/bad"
exits 2 'a bad record' llm-sample -n 2 "$tmp/bad"
grep -q 'bad:2: ' "$tmp/err"
result 'message names file and line' $?
exits 1 'bad records with -k' llm-sample -k -n 2 "$tmp/bad"
test "$(wc -l <"$tmp/out")" -eq 2
result 'and the count is of good ones' $?
exits 2 'no -n' llm-sample "$tmp/in"
for n in x -1 101% 1.5 10x nan
do
	exits 2 "-n $n" llm-sample -n "$n" "$tmp/in"
done
exits 2 'missing file' llm-sample -n 3 "$tmp/none"
exits 2 'full disk' sh -c 'exec llm-sample -n 50% "$1" >/dev/full' sh "$tmp/in"
exits 2 'nowhere to spill' sh -c 'cat "$1" | TMPDIR="$2/none" llm-sample -n 5' sh "$tmp/in" "$tmp"
llm-sample -n 100% "$tmp/in" "$tmp/in" "$tmp/in" | head -n 1 >/dev/null
result 'a closed pipe is no failure' $?

head -n 50 "$tmp/in" >"$tmp/fifty"
for kind in malloc read write
do
	faults $kind "$tmp/o" "a failing $kind is told" \
	    llm-sample -n 20 -o "$tmp/o" "$tmp/fifty"
done

done_testing
