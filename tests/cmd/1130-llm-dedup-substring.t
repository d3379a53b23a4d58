#!/bin/sh
# llm-dedup -t substring, sentence, line, paragraph: passages that were there before
. "$(dirname "$0")/../lib.sh"
cd "$tmp" || exit 2

cat >in.jsonl <<'EOS'
{"id":1,"text":"Alpha: one two three four five six. Omega","n":1}
{"id":2,"text":"Beta\n\nOne, one two three four five six! Then: one two three four five six?"}
{"id":3,"text":"one two three   four\nfive"}
{"id":4,"text":"one two three four"}
EOS
exits 0 'substring' llm-dedup -t substring --min-length 5 --rest rest --stats stats in.jsonl
prints 'repeats are cut, also within a text and over other white space' <<'EOS'
{"id":1,"text":"Alpha: one two three four five six. Omega","n":1}
{"id":2,"text":"Beta\n\nOne, ! Then?"}
{"id":4,"text":"one two three four"}
EOS
cp rest out
prints 'what nothing is left of goes to the rest as it was' <<'EOS'
{"id":3,"text":"one two three   four\nfive"}
EOS
grep -q '"windows": 22, .*"repeated_windows": 6, .*"repeats": 3, "repeated_bytes": 81' stats
result 'the statistics' $?
exits 0 'spans' llm-dedup -t substring --min-length 5 --spans seen in.jsonl
prints 'spans are in characters, and no text changes' <<'EOS'
{"id":1,"text":"Alpha: one two three four five six. Omega","n":1}
{"id":2,"text":"Beta\n\nOne, one two three four five six! Then: one two three four five six?","seen":[[11,38],[44,73]]}
{"id":3,"text":"one two three   four\nfive","seen":[[0,25]]}
{"id":4,"text":"one two three four"}
EOS
cat in.jsonl | llm-dedup -t substring --min-length 5 --spans seen - | cmp -s - out
result 'a pipe is read three times, too' $?
llm-dedup -t substring --min-length 5 --spans seen -j 4 <in.jsonl | cmp -s - out
result 'and a file as standard input' $?
mkfifo pipe
cat in.jsonl >pipe &
llm-dedup -t substring --min-length 5 --spans seen pipe | cmp -s - out
result 'and a named pipe' $?
exits 2 'a length of nothing' llm-dedup -t substring --min-length 0 in.jsonl
exits 2 'a length that is no number' llm-dedup -t substring --min-length 5x in.jsonl
exits 2 '--min-length without passages' llm-dedup --min-length 5 in.jsonl
exits 2 '--boundary for lines' llm-dedup -t line --boundary word in.jsonl
exits 2 'an unknown boundary' llm-dedup -t substring --boundary page in.jsonl
exits 2 '--clusters for passages' llm-dedup -t line --clusters c in.jsonl

# ---- where cuts fall ----

cat >in.jsonl <<'EOS'
{"text":"The rate of the dollar increased. It fell in May. Then came June, and summer."}
{"text":"No: rate of the dollar increased. It fell in May. Then came June, and snow."}
EOS
exits 0 'words' llm-dedup -t substring --min-length 10 in.jsonl
sed 1d out >two && mv two out
prints 'words' <<'EOS'
{"text":"No: snow."}
EOS
exits 0 'sentences' llm-dedup -t substring --min-length 10 --boundary sentence in.jsonl
sed 1d out >two && mv two out
prints 'only whole sentences' <<'EOS'
{"text":"No: rate of the dollar increased. Then came June, and snow."}
EOS
exits 0 'lines' llm-dedup -t substring --min-length 10 --boundary line in.jsonl
cp out got && cp in.jsonl out
cmp -s got in.jsonl
result 'no whole line is repeated' $?
exits 0 'bytes' llm-dedup -t substring --min-length 20B in.jsonl
sed 1d out >two && mv two out
prints 'bytes, at words' <<'EOS'
{"text":"No: snow."}
EOS
exits 0 'bytes and characters' llm-dedup -t substring --min-length 20B --boundary char in.jsonl
sed 1d out >two && mv two out
prints 'bytes, at characters' <<'EOS'
{"text":"No:now."}
EOS
# The bytes that are the same end in the middle of a character, or of a family.
printf '{"text":"%s"}\n' 'х Пока все хорошо Рж' 'х Пока все хорошо Сж' \
    '👨‍👩‍👧‍👦 ok 👩🏽‍🚀 and more 👨‍👩‍👧' 'b ok 👩🏽‍🚀 and more 👨‍👩‍👦' >in.jsonl
exits 0 'characters' llm-dedup -t substring --min-length 8B --boundary char in.jsonl
prints 'no character is broken, nor an emoji sequence' <<'EOS'
{"text":"х Пока все хорошо Рж"}
{"text":"Сж"}
{"text":"👨‍👩‍👧‍👦 ok 👩🏽‍🚀 and more"}
{"text":"b👨‍👩‍👦"}
EOS
printf '{"text":"%s"}\n' 'def f():\n    a = b(c, d, e)\n    return a' \
    'def g():\n    a = b(c, d, e)\n    return 1' 'p\n\na = b(c, d, e)\n\nq' >in.jsonl
exits 0 'white space' llm-dedup -t substring --min-length 10 --boundary line in.jsonl
prints 'white space over a cut' <<'EOS'
{"text":"def f():\n    a = b(c, d, e)\n    return a"}
{"text":"def g():\n    return 1"}
{"text":"p\n\nq"}
EOS
# The end of one text and the start of the next are no passage.
printf '{"text":"%s"}\n' 'a b c' 'd e f' 'a b c d e f' >in.jsonl
llm-dedup -t substring --min-length 4 in.jsonl | cmp -s - in.jsonl
result 'no passage reaches over the end of a text' $?

# ---- lines, paragraphs, sentences ----

printf '{"text":"%s"}\n' 'Menu\nOne.  Two. Three! Four.\n\n---\nPage 1' \
    'MENU:\n  one; two. Three! Four.\n---\nPagé 7\nNew. Four.\n\nA “B.” Ç' \
    'A “B.” Ç, one. Two. Three! Four.' '---' >in.jsonl
exits 0 'lines' llm-dedup -t line in.jsonl
prints 'lines are compared without case, accents, punctuation, digits' <<'EOS'
{"text":"Menu\nOne.  Two. Three! Four.\n\n---\nPage 1"}
{"text":"New. Four.\n\nA “B.” Ç"}
{"text":"A “B.” Ç, one. Two. Three! Four."}
{"text":"---"}
EOS
exits 0 'sentences' llm-dedup -t sentence --min-length 2 in.jsonl
prints 'sentences' <<'EOS'
{"text":"Menu\nOne.  Two. Three! Four.\n\n---\nPage 1"}
{"text":"MENU:\n  one; two.\nNew. Four.\n\nA “B.” Ç"}
{"text":"A “B.” Ç, one."}
{"text":"---"}
EOS
exits 0 'paragraphs' llm-dedup -t paragraph --min-bytes 5 --rest rest in.jsonl in.jsonl
prints 'paragraphs' <<'EOS'
{"text":"Menu\nOne.  Two. Three! Four.\n\n---\nPage 1"}
{"text":"MENU:\n  one; two. Three! Four.\n---\nPagé 7\nNew. Four.\n\nA “B.” Ç"}
{"text":"A “B.” Ç, one. Two. Three! Four."}
{"text":"---"}
{"text":"---"}
EOS

# ---- all that is planted is found ----

perl -CO -e '
srand 7;
sub words { my $n = shift; join " ", map { chr(97 + rand 26) . int rand 1e6 } 1 .. $n }
sub han { join "", map { chr(0x4e00 + int rand 20000) } 1 .. shift }
sub faces { join " ", map { (chr(0x1f468 + int rand 2) . chr(0x200d) . chr(0x1f469) .
    chr(0x200d) . chr(0x1f466)), han(1) } 1 .. shift }
for (0 .. 59) { my $k = $_ % 3; my $n = 50 + int rand 3 * ($_ % 7);
	push @planted, $k == 0 ? words($n) : $k == 1 ? han($n) : faces(($n + 1) / 2); }
open my $list, ">:utf8", "planted";
print $list "$_\n" for @planted;
for my $i (0 .. 999) {
	my @t;
	for (0 .. rand 5) {
		push @t, rand() < 0.5 ? words(rand 60) : han(rand 60);
		push @t, $planted[rand @planted] if rand() < 0.3;
	}
	print "{\"id\":$i,\"text\":\"", join($i % 2 ? " " : "\\n\\n", @t), "\"}\n";
}' >planted.jsonl
exits 0 'planted repeats' llm-dedup -t substring planted.jsonl
cp out one
iconv -f UTF-8 -t UTF-8 one >/dev/null
result 'the output is UTF-8' $?
cat planted.jsonl | perl -CSD -e '
open my $list, "<:utf8", "planted"; chomp(my @p = <$list>);
my $all = join "", <STDIN>; open my $f, "<:utf8", "one"; my $cut = join "", <$f>;
for (@p) { my ($was, $is) = (0, 0);
	$was++ while $all =~ /\Q$_\E/g; $is++ while $cut =~ /\Q$_\E/g;
	exit 1 if $is != ($was > 0); $more += $was > 1 }
exit($more < 30 ? 1 : 0)'
result 'each planted passage is there once' $?
for opts in '-j 4' '--memory 0' '-j 3 --memory 0'
do
	llm-dedup -t substring $opts planted.jsonl | cmp -s - one
	result "the same bytes with $opts" $?
done
llm-dedup -t substring -o one.jsonl planted.jsonl && cmp -s one one.jsonl
result 'the same with -o file' $?
split -l 300 planted.jsonl part. && mkdir dir
llm-dedup -t substring -o dir/ part.a? && cat dir/part.a? | cmp -s - one
result 'the same file to file' $?
llm-dedup -t substring -z zstd planted.jsonl >one.zst && llm-dedup -t substring one.zst | cmp -s - one
result 'what was cut once has nothing more to cut' $?

# Killed at any time, the next run goes on, and makes the same.
mkdir out.d
for i in 1 2 3 4 5 6 7 8; do cat planted.jsonl; done >eight.jsonl
llm-dedup -t substring eight.jsonl >whole
for seconds in 0.05 0.2 0.4
do
	timeout -s KILL $seconds llm-dedup -t substring --memory 0 --work work -o out.d/file eight.jsonl
done 2>/dev/null
test "$(ls -A out.d)" = '' || test "$(ls -A out.d)" = file
result 'a kill leaves no half output' $?
llm-dedup -t substring --memory 0 --work work -o out.d/file eight.jsonl && cmp -s out.d/file whole
result 'and the same bytes are made after it' $?
test "$(ls -A work)" = lock
result 'nothing but the lock is left' $?

# Killed when the last pass has begun, which writes to a pipe that nobody empties: what
# the second run has read by then tells that it did not begin anew.
mkfifo slow
for t in substring line
do
	for i in 1 2
	do
		llm-dedup -t $t --memory 0 --work work -o slow eight.jsonl &
		exec 3<slow
		cp /proc/$!/io io || echo 'rchar: 1' >io
		kill -KILL $!
		wait $!
		exec 3<&-
	done 2>/dev/null
	test "$(awk '/^rchar/ { print $2 }' io)" -lt "$(($(wc -c <eight.jsonl) * 3 / 2))"
	result "$t: passes that were done are not done again" $?
	llm-dedup -t $t eight.jsonl >whole
	llm-dedup -t $t --memory 0 --work work -o out.d/file eight.jsonl && cmp -s out.d/file whole
	result 'and the same bytes are made' $?
	test "$(ls -A work)" = lock
	result 'nothing but the lock is left' $?
done
llm-dedup -t line --memory 0 --work work -o slow eight.jsonl &
exec 3<slow
kill -KILL $!
wait $! 2>/dev/null
exec 3<&-
set -- work/*.passes
llm-dedup -t sentence --memory 0 --work work eight.jsonl >got
test "$(ls work | wc -l)" -eq 2 && llm-dedup -t sentence eight.jsonl | cmp -s - got
result 'what another command kept is left alone' $?
perl -e 'open my $f, "+<", $ARGV[0]; seek $f, 300, 0; print $f "x"' "$1"
exits 2 'a damaged file' llm-dedup -t line --memory 0 --work work -o out.d/file eight.jsonl
grep -q "^llm-dedup: $1: byte [0-9]*: " err
result 'file and byte are named' $?
rm -r work
head -20 planted.jsonl >few.jsonl
for kind in malloc write
do
	faults $kind o.jsonl "no $kind is trusted" \
	    llm-dedup -t line --memory 0 --work work -o o.jsonl few.jsonl
done

# ---- what every filter has ----

exits 0 'empty input' llm-dedup -t substring /dev/null
prints 'nothing is printed' </dev/null
printf '%s\n' '{"text":"a b"}' '{"text":' '{"n":1}' '{"text":"a b"}' '{"text":"b"}' >bad.jsonl
exits 2 'a bad record' llm-dedup -t line bad.jsonl
exits 1 'passed over' llm-dedup -t line --bad bad bad.jsonl
prints 'the rest is done' <<'EOS'
{"text":"a b"}
{"text":"b"}
EOS
test "$(grep -c '^llm-dedup: bad.jsonl:[23]: ' err)" -eq 2 && test "$(wc -l <bad)" -eq 2
result 'each is told once' $?
exits 2 'a full disk' sh -c 'exec llm-dedup -t line planted.jsonl >/dev/full'

done_testing
