#!/bin/sh
. "$(dirname "$0")/../lib.sh"
LC_ALL=C export LC_ALL
mkdir "$tmp/a" "$tmp/b" "$tmp/it's \`id\` \$(id)"
cd "$tmp" || exit 1

# log NAME OFFSET: 100 steps, one skipped, and validations
log () {
	awk -v up="$2" 'BEGIN {
		for (i = 1; i <= 100; i++) {
			printf "{\"step\":%d,\"loss\":%.4f,\"norm\":1.5,\"rate\":0.001,\"tokens\":64,", i,
			    up + 5 / sqrt(i)
			print "\"tokens_per_second\":51000.5" (i == 50 ? ",\"skipped\":\"loss spike\"}" : "}")
			if (i % 25 == 0)
				printf "{\"step\":%d,\"valid_loss\":%.4f,\"best\":true}\n", i, up + 5.5 / sqrt(i)
		}
	}' >"$1"
}
log a/log.jsonl 2
log b/log.jsonl 3
log "it's \`id\` \$(id)/log.jsonl" 4

# contains DESCRIPTION PATTERN FILE
contains () {
	grep -q -e "$2" "$3"
	result "$1" $?
}

exits 0 'a chart' llm-plot a/log.jsonl
contains 'has a legend' 'loss, nats a token:  [.] loss  b valid_loss  x skipped' out
contains 'and an axis' ' 100  step$' out
test "$(awk 'length > 80' out | wc -l)" -eq 0
result 'and at most 80 columns' $?
test "$(tr -d '\n\040-\176' <out | wc -c)" -eq 0
result 'of ASCII in the C locale' $?
cp out chart
exits 0 'the same from a pipe' sh -c 'cat a/log.jsonl | llm-plot'
cmp -s out chart
result 'is the same' $?
exits 0 'the same from gzip, into a file' sh -c 'gzip <a/log.jsonl | llm-plot -o c.txt -'
cmp -s c.txt chart
result 'is the same' $?
exits 0 'in UTF-8' env LC_ALL=C.UTF-8 llm-plot a/log.jsonl
contains 'is in Braille' "$(printf '\342\240')" out
test -z "$(tr -dc '\033' <out)"
result 'without colours in a file' $?
exits 0 'all keys' llm-plot --keys loss,valid_loss,norm,rate,tokens_per_second --smooth 5 \
    a/log.jsonl
contains 'with a panel each' 'tokens a second:  [.] tokens_per_second' out
exits 0 'over tokens' llm-plot -x tokens --log-y a/log.jsonl
contains 'says so' ' tokens$' out
exits 0 'two runs' llm-plot a/log.jsonl b/log.jsonl
contains 'have their names' 'a a loss  b a valid_loss  c b loss  d b valid_loss' out
mkdir c c/a && cp a/log.jsonl c/a
exits 0 'two runs of one name' llm-plot a/log.jsonl c/a/log.jsonl
contains 'have their paths' 'c c/a/log.jsonl loss' out

if command -v script >/dev/null
then
	script -qec 'stty cols 50; llm-plot a/log.jsonl' /dev/null >out </dev/null
	contains 'a terminal gets colours' "$(printf '\033\\[34m')" out
	test "$(sed 's/.\[[0-9]*m//g; s/\r$//' out | awk 'length > 50' | wc -l)" -eq 0
	result 'and its own width' $?
	script -qec 'NO_COLOR=1 llm-plot a/log.jsonl' /dev/null >out </dev/null
	test -z "$(tr -dc '\033' <out)"
	result 'NO_COLOR is respected' $?
fi

# Bad input.
: >empty
exits 2 'an empty log' llm-plot empty
contains 'says so' "^llm-plot: empty: no step has a value of 'loss'$" err
exits 2 'a missing key' llm-plot --keys accuracy a/log.jsonl
contains 'is named' "^llm-plot: a/log.jsonl: no step has a value of 'accuracy'$" err
{ head -n 3 a/log.jsonl; echo nonsense; tail -n +4 a/log.jsonl; } >bad
exits 2 'a bad line' llm-plot bad
contains 'is named' '^llm-plot: bad:4: ' err
test ! -s out
result 'and nothing is drawn' $?
exits 1 'a bad line and -k' llm-plot -k bad
contains 'is named' '^llm-plot: bad:4: ' err
cmp -s out chart
result 'and passed over' $?
printf '{"step":101,"lo' | cat a/log.jsonl - >growing
exits 0 'a line that is being written' llm-plot growing
exits 2 'a name without a format' llm-plot -o c.gif a/log.jsonl
exits 2 'an unknown format' llm-plot -F gif a/log.jsonl
exits 2 'an unknown axis' llm-plot -x time a/log.jsonl
exits 2 'empty keys' llm-plot --keys loss,,norm a/log.jsonl
exits 2 'a key twice' llm-plot --keys loss,loss a/log.jsonl
exits 2 'too many keys' llm-plot --keys a,b,c,d,e,f,g,h,i a/log.jsonl
exits 2 'a full disk' sh -c 'llm-plot a/log.jsonl >/dev/full'

# Without gnuplot: a directory that holds only our tool.
mkdir only && ln -s "$(command -v llm-plot)" only
exits 2 'no gnuplot' env PATH="$tmp/only" llm-plot -o x.png a/log.jsonl
contains 'says what to install' 'no gnuplot .* install the package gnuplot-nox' err
test ! -e x.png
result 'and leaves no file' $?
printf '#!/bin/sh\necho "half an image"\necho "  line 3: no such terminal" >&2\nexit 1\n' >only/gnuplot
chmod +x only/gnuplot
exits 2 'a gnuplot that fails' env PATH="$tmp/only:/bin:/usr/bin" llm-plot -o x.png a/log.jsonl
contains 'is quoted' '^llm-plot: gnuplot failed with status 1: line 3: no such terminal$' err
test ! -e x.png
result 'and leaves no file' $?

if command -v gnuplot >/dev/null
then
	exits 0 'a PNG' llm-plot -o loss.png a/log.jsonl
	test "$(head -c 8 loss.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a &&
	    test "$(tail -c 8 loss.png | od -An -tx1 | tr -d ' ')" = 49454e44ae426082
	result 'is whole' $?
	exits 0 'an SVG on the standard output' llm-plot -F svg --smooth 5 a/log.jsonl b/log.jsonl
	contains 'is one' '</svg>' out
	contains 'has a legend' '>b valid_loss<' out
	exits 0 'a name with quotes' llm-plot -o x.svg "it's \`id\` \$(id)/log.jsonl" a/log.jsonl
	contains 'is text' '>it.*s `id` $(id) loss<' x.svg
	exits 2 'a full disk' sh -c 'llm-plot -F png a/log.jsonl >/dev/full'
	exits 2 'no directory' llm-plot -o nowhere/x.png a/log.jsonl
	exits 0 'a run of many steps' sh -c "awk 'BEGIN { for (i = 1; i <= 60000; i++) \
	    printf \"{\\\"step\\\":%d,\\\"loss\\\":%d}\\n\", i, i % 7 }' | llm-plot -o many.svg"
	test "$(wc -c <many.svg)" -lt 300000
	result 'is thinned' $?
	for kind in malloc read write fsync open
	do
		faults $kind out.svg "no $kind is trusted" llm-plot -o out.svg a/log.jsonl
	done
fi
done_testing
