#!/bin/sh
. "$(dirname "$0")/../lib.sh"
cd "$tmp" || exit 1

# source NAME COUNT: records of 1 to 4 words, with a number of tokens and one to sort by
source () {
	awk -v name="$1" -v n="$2" 'BEGIN {
		for (i = 0; i < n; i++) {
			s = "some"
			for (j = 0; j < (i * 7) % 4; j++)
				s = s " words"
			printf "{\"id\":\"%s-%d\", \"text\":\"%s\", \"token_count\":%d,\"hard\":%s}\n",
			    name, i, s, 1 + (i * 7) % 4, (i * 7919) % 1000 / 8 - 60
		}
	}'
}
source web 1000 >web.jsonl
source code 400 >code.jsonl
head -n 60 code.jsonl >code1.jsonl
tail -n +61 code.jsonl >code2.jsonl
: >none.jsonl

# share FILE NAME: records of a source
share () {
	grep -c "\"id\":\"$2-" "$1"
}

exits 0 'two sources' llm-mix --by records web=0.7 web.jsonl code=0.3 code.jsonl
cp out two
test "$(share two code)" -eq 400 && test "$(share two web)" -eq 933
result 'the first that is used up ends it' $?
head -n 100 two >hundred
test "$(share hundred web)" -eq 70
result 'the shares hold at the start as well' $?
sed 's/.*"id":"web-\([0-9]*\)".*/\1/;t;d' two | sort -nc
result 'each source in the order of its file' $?
llm-mix --by records web=7 web.jsonl code=3 code1.jsonl code2.jsonl | cmp -s - two
result 'several files of a source, and weights of any sum' $?
llm-mix -j 4 --by records web=0.7 web.jsonl code=0.3 code.jsonl | cmp -s - two
result '-j4 gives the bytes of -j1' $?
gzip -c web.jsonl >web.gz && zstd -qc code.jsonl >code.zst
llm-mix --by records web=0.7 web.gz code=0.3 code.zst | cmp -s - two
result 'compressed inputs' $?
cat code.jsonl | llm-mix --by records web=0.7 web.jsonl code=0.3 - | cmp -s - two
result 'a source from a pipe' $?
mkfifo fifo
cat web.jsonl >fifo &
llm-mix --by records web=0.7 fifo code=0.3 - <code.jsonl | cmp -s - two
result 'from a fifo and a file as standard input' $?
exits 0 '-z and -o' llm-mix --by records -z zstd -o two.zst web=0.7 web.jsonl code=0.3 code.jsonl
zstd -qdc two.zst | cmp -s - two
result 'give the same compressed' $?
printf '# a mixture\nweb=0.7 web.jsonl # large\n\ncode=0.3\n\tcode[12].jsonl\n' >sources
llm-mix --by records --sources sources | cmp -s - two
result 'sources from a file, with a pattern' $?

exits 0 'a size' llm-mix -n 500 --by tokens web=0.5 web.jsonl code=0.5 code.jsonl
n=$(sed 's/.*"token_count":\([0-9]*\).*/\1/' out | paste -sd+ | bc)
test "$n" -ge 496 && test "$n" -le 504
result "500 tokens, to a record of each ($n)" $?
exits 2 'more than there is' llm-mix -n 5k --by records web=0.5 web.jsonl code=0.5 code.jsonl
grep -q '^llm-mix: web: 2500 records are asked for, and 1000 are there: 2.5 epochs, of at most 1$' err
result 'says what is missing' $?
test ! -s out
result 'before anything is written' $?
exits 0 'with --epochs it is not' llm-mix -n 5k --by records --epochs 7 web=0.5 web.jsonl \
    code=0.5 code.jsonl
test "$(share out web)" -eq 2500 && test "$(share out code)" -eq 2500
result 'upsampled, with a fraction' $?
test "$(grep '"code-' out | sort | uniq -c | awk '{ print $1 }' | sort -u | tr '\n' ' ')" = '6 7 '
result 'each record 6 or 7 times' $?
exits 2 'a source with a limit of its own' llm-mix -n 5k --by records --epochs 7 web=0.5 \
    web.jsonl code=0.5:6 code.jsonl
exits 0 '--fill' llm-mix -n 1200 --by records --fill web=0.5 web.jsonl code=0.5 code.jsonl
test "$(share out code)" -eq 400 && test "$(share out web)" -eq 800
result 'takes what there is, and more of the others' $?
exits 0 '--fill beyond all' llm-mix -n 2000 --by records --fill web=0.5 web.jsonl code=0.5 code.jsonl
grep -q '2000 records are asked for, and all sources at their most are 1400' err &&
    test "$(wc -l <out)" -eq 1400
result 'says so, and takes all' $?

exits 0 'times' llm-mix web=0.2x web.jsonl code=2x code.jsonl
llm-sample -n 20% web.jsonl >fifth
grep '"web-' out | cmp -s - fifth
result 'a part is what llm-sample takes' $?
llm-mix web=0.5x web.jsonl | grep -cFxf fifth >n
test "$(cat n)" -eq "$(wc -l <fifth)"
result 'a larger part has all of a smaller one' $?
test "$(share out code)" -eq 800
result 'twice is twice' $?

exits 0 'temperature' llm-mix --plan --epochs 9 -T 2 --by records web= web.jsonl code= code.jsonl
cut -f 1,4,6 out | sed 1d >shares
printf 'web\t0.612574\t5.6920\ncode\t0.387426\t9.0000\n' | cmp -s - shares
result 'sizes to the power of a half' $?
exits 0 'stages' llm-mix --by records --stages 80%,20% web=0.9,0.1 web.jsonl code=0.1,0.9 code.jsonl
n=$(wc -l <out)
head -n $((n * 8 / 10)) out >early
tail -n $((n / 5 - 1)) out >late
test "$(($(share early web) * 100 / $(wc -l <early)))" -ge 89 &&
    test "$(($(share late code) * 100 / $(wc -l <late)))" -ge 89
result 'shares change from stage to stage' $?

exits 0 'shuffle' llm-mix --shuffle --stats stats web.jsonl code.jsonl
cp out shuffled
sort shuffled >a && sort web.jsonl code.jsonl | cmp -s - a
result 'all records' $?
cat web.jsonl code.jsonl | cmp -s - shuffled
test $? -eq 1
result 'in another order' $?
llm-mix --shuffle -s 1 web.jsonl code.jsonl | cmp -s - shuffled
test $? -eq 1
result 'and in another with another seed' $?
awk '{ a[NR] = $0 } END { for (i = 0; i < 3000; i++) print a[1 + i % NR] }' web.jsonl |
    sed 's/"text":"/&'"$(printf '%2000s' '' | tr ' ' x)"'/' >large.jsonl
llm-mix --shuffle large.jsonl >large
for memory in 1M 2M 100M
do
	llm-mix -j 3 --shuffle --memory $memory --stats stats large.jsonl | cmp -s - large
	result "the same bytes in $memory of memory" $?
	test $memory = 100M || ! grep -q '"spilled": 0' stats
	result 'which does not hold them' $?
done
exits 2 'nowhere to spill' llm-mix --shuffle --memory 1M --work "$tmp/no" large.jsonl
exits 0 'shuffled shares' llm-mix --shuffle --by records --source-key of web=7 web.jsonl code=3 \
    code.jsonl
head -n 100 out | grep -c '"of":"web"' >n
test "$(cat n)" -eq 70
result 'hold at each point' $?

exits 0 'sort' llm-mix --sort hard web.jsonl code.jsonl
sed 's/.*"hard":\([-0-9.]*\).*/\1/' out | sort -gc
result 'by a number' $?
exits 0 'descending' llm-mix --sort hard --descending --memory 1M web.jsonl
sed 's/.*"hard":\([-0-9.]*\).*/\1/' out | sort -grc
result 'from the highest' $?

exits 0 '--plan' llm-mix --plan --by records web=3 web.jsonl code=1 code.jsonl
prints 'a table' <<'END'
source	records	size	asked	share	epochs	records_out	size_out
web	1000	1000	0.750000	0.750188	1.0000	1000	1000
code	400	400	0.250000	0.249812	0.8325	333	333
END
exits 0 '--stats' llm-mix --stats stats --by tokens web=1x web.jsonl code=2x code.jsonl
jq -e '.by == "tokens" and .records_out == 1800 and .sources[1].epochs == 2 and
    .sources[0].size == 2500 and .sources[0].records_in == 1000' stats >/dev/null
result 'tells of each source' $?

exits 0 'no input' llm-mix </dev/null
prints 'nothing' </dev/null
exits 2 'an empty source' llm-mix web=1 web.jsonl none=1 none.jsonl
grep -q 'none: no records' err
result 'is named' $?
exits 0 'an empty source with --fill' llm-mix --by records -n 10 --fill web=1 web.jsonl none=1 none.jsonl
test "$(wc -l <out)" -eq 10
result 'is left out' $?
{ cat code.jsonl; printf '%s\n' '{"id":3' '' '{"id":"x"}'; tail -n 3 web.jsonl; } >bad.jsonl
exits 2 'a bad record' llm-mix bad.jsonl
grep -q 'bad.jsonl:401: ' err
result 'is named' $?
exits 1 'bad records with --bad' llm-mix --bad rejected web=0.5 web.jsonl bad=0.5 bad.jsonl
test "$(wc -l <rejected)" -eq 2 && ! grep -q '"id":3$' out && test "$(share out web)" -gt 400
result 'are there, and not in the mixture' $?
exits 0 'few bad ones with --max-bad' llm-mix --max-bad 1% bad.jsonl
exits 2 'no number to sort by' llm-mix --sort none web.jsonl
grep -q "web.jsonl:1: no key 'none'" err
result 'names the key' $?
exits 2 'no tokens' llm-mix --by tokens --count-key hard web.jsonl
exits 2 'a missing file' llm-mix web=1 "$tmp/missing"
exits 2 'a bad weight' llm-mix web=0.5,x web.jsonl
exits 2 'a source without files' llm-mix web=1 code=1 code.jsonl
exits 2 'two of a name' llm-mix web=1 web.jsonl web=1 code.jsonl
exits 2 'weights and times' llm-mix web=1 web.jsonl code=2x code.jsonl
exits 2 'too few weights' llm-mix --stages 1,1 a=1,2,3 web.jsonl
exits 2 'a pattern without files' sh -c 'echo "web=1 no*.jsonl" >s; exec llm-mix --sources s'
exits 2 'shuffled and sorted' llm-mix --shuffle --sort hard web.jsonl
exits 2 'a full disk' sh -c 'exec llm-mix web.jsonl >/dev/full'
llm-mix web=20x web.jsonl | head -n 1 >/dev/null
result 'a closed pipe is no failure' $?

head -n 50 web.jsonl >fifty
for kind in malloc read write
do
	faults $kind o "a failing $kind is told" llm-mix --shuffle --memory 1M -o o a=1 fifty b=2 code.jsonl
done
done_testing
