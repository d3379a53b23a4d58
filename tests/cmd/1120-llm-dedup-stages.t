#!/bin/sh
# llm-dedup in stages: what a run in memory drops, whatever the memory, the split and the kills
. "$(dirname "$0")/../lib.sh"
lib=$(cd "$(dirname "$0")/../lib" && pwd)
cd "$tmp" || exit 2

perl "$lib/planted.pl" 200 1 >plain.jsonl
# Some without an id, and copies, near and exact, far apart.
{ cat plain.jsonl; head -150 plain.jsonl | sed 's/"id":"[^"]*",//'; tail -30 plain.jsonl; } >in.jsonl
split -n l/4 -a 1 --additional-suffix=.jsonl in.jsonl part.
lists () { grep -hv '"records"' "$@"; }

for t in exact near
do
	llm-dedup -t $t --clusters pairs --rest rest in.jsonl >good
	test -s pairs && test -s rest
	result "$t: there is something to drop" $?
	for memory in 0 8M 1G
	do
		exits 0 "$t in $memory, in stages" llm-dedup -t $t --memory $memory --work work \
		    --clusters pairs1 --rest rest1 --stats s.json in.jsonl
		cmp -s out good && cmp -s pairs1 pairs && cmp -s rest1 rest
		result 'drops the same, and tells the same' $?
		test "$(ls -A work)" = lock
		result 'nothing but the lock is left' $?
	done
	exits 0 "$t, from many files and a pipe" llm-dedup -t $t --index fresh.$t --memory 0 \
	    --clusters pairs1 part.a.jsonl part.b.jsonl - part.d.jsonl <part.c.jsonl
	cmp -s out good && cmp -s pairs1 pairs
	result 'drops the same' $?

	# many machines
	rm -rf signs drop out.d
	for i in a b c d
	do
		llm-dedup -t $t -j 2 --stage map -o signs/ part.$i.jsonl || exit 1
	done
	exits 0 "$t: merge" llm-dedup --stage merge --memory 0 -o drop/ signs/*.signs
	lists drop/*.drop | cmp -s - pairs
	result 'the lists are the clusters' $?
	for i in d b a c
	do
		llm-dedup --stage apply --drop drop -o out.d/ part.$i.jsonl || exit 1
	done
	cat out.d/part.*.jsonl | cmp -s - good
	result "$t: map, merge, apply give the same" $?
	llm-dedup --stage apply --drop drop/part.b.drop part.b.jsonl | cmp -s - out.d/part.b.jsonl
	result 'one list, one file' $?
	exits 2 'a list of another file' llm-dedup --stage apply --drop drop/part.b.drop \
	    -o other.jsonl part.c.jsonl
	grep -q 'drop/part.b.drop: made for [0-9]* records' err && ! test -e other.jsonl
	result 'it is told, and nothing is written' $?
	sed '$d' drop/part.b.drop >short.drop
	exits 2 'a list that is cut short' llm-dedup --stage apply --drop short.drop -o other.jsonl \
	    part.b.jsonl
	exits 2 'lists into one file' llm-dedup --stage merge -o one signs/*.signs

	# an index: the days after the first
	rm -rf index
	for i in a b c d
	do
		llm-dedup -t $t --index index --memory 0 part.$i.jsonl >day.$i || exit 1
	done
	cat day.a day.b day.c day.d | cmp -s - good
	result "$t: day by day with an index" $?
	exits 0 'the last day once more' llm-dedup -t $t --index index --clusters pairs1 part.d.jsonl
	prints 'all is known' </dev/null
	test "$(wc -l <pairs1)" -eq "$(wc -l <part.d.jsonl)" && grep -q '"kept_index":null' pairs1
	result 'each is told, by the id of the record in the index' $?
	exits 0 'an index in stages' llm-dedup --stage merge --index index -o known/ \
	    signs/part.a.signs
	test "$(lists known/part.a.drop | wc -l)" -eq "$(wc -l <part.a.jsonl)"
	result 'all is known there' $?
	rm -rf index.stages
	for i in a b c d
	do
		llm-dedup --stage merge --index index.stages -o days/ signs/part.$i.signs || exit 1
		llm-dedup --stage apply --drop days part.$i.jsonl
	done | cmp -s - good
	result "$t: day by day in stages" $?
done

# ---- the index ----

exits 2 'another similarity' llm-dedup -t near -J 0.7 --index index part.a.jsonl
grep -q '^llm-dedup: index: the index was made with {.*"jaccard":0.8.*not with {.*0.7' err
result 'both are told' $?
exits 2 'another type' llm-dedup -t exact --index index part.a.jsonl
exits 2 'another field' llm-dedup -t near -f body --index index part.a.jsonl
flock index/lock sh -c 'llm-dedup -t near --index index part.a.jsonl 2>err >out; echo $? >status'
test "$(cat status)" = 2 && grep -q '^llm-dedup: index: in use by ' err
result 'an index that is in use is refused' $?
cp -r index broken
set -- broken/*.signs
perl -e 'open my $f, "+<", $ARGV[0]; seek $f, 5000, 0; print $f "x"' "$1"
exits 2 'a damaged segment' llm-dedup -t near --index broken part.a.jsonl
grep -q "^llm-dedup: $1: byte [0-9]*: .*damaged" err
result 'file and byte are named' $?
rm "$1"
exits 2 'a segment that is missing' llm-dedup -t near --index broken part.a.jsonl
sed 's/"version": 1/"version": 9/' index/index.json >broken/index.json
exits 2 'an index of the future' llm-dedup -t near --index broken part.a.jsonl
echo '{' >broken/index.json
exits 2 'no index' llm-dedup -t near --index broken part.a.jsonl
cp index/index.json before
ls index >names
cp index/000001.signs index/000777.signs
exits 0 'what a killed run left' llm-dedup -t near --index index /dev/null
ls index | cmp -s - names && cmp -s before index/index.json
result 'is removed, and no record adds nothing' $?
perl "$lib/planted.pl" 20 7 >more.jsonl
exits 2 'a full disk' sh -c 'exec llm-dedup -t near --index index more.jsonl >/dev/full'
cmp -s before index/index.json
result 'the index is as it was' $?

# ---- kills ----

for t in exact near
do
	llm-dedup -t $t in.jsonl >good
	rm -rf index.k work
	n=0
	for wait in 0.002 0.005 0.01 0.02 0.03 0.05 0.08 0.12
	do
		rm -f got
		timeout -s KILL $wait llm-dedup -t $t --memory 0 --work work --index index.k -o got \
		    in.jsonl 2>/dev/null
		test -e got || n=$((n + 1))
		test ! -e work/lock || flock work/lock true
		# Killed behind its end, the index may have all of it.
		test -e index.k/index.json && break
	done
	# Then the next run has only to take away what is left.
	to=got
	test -e index.k/index.json && to=nothing
	llm-dedup -t $t --memory 0 --work work --index index.k -o $to in.jsonl
	cmp -s got good
	result "$t: after $n kills the same" $?
	test "$(ls -A work)" = lock
	result 'nothing is left' $?
done

mkdir hidden
left=
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
do
	TMPDIR=hidden timeout -s KILL "$(awk "BEGIN { print 0.004 * $i }")" llm-dedup -t exact \
	    --index index.h -o got in.jsonl 2>/dev/null
	left="$left$(ls -A hidden)"
done
test "$left" = ''
result 'signs that are not kept never have a name' $?

# ---- what cannot be ----

exits 2 'an unknown stage' llm-dedup --stage reduce in.jsonl
exits 2 'apply without a list' llm-dedup --stage apply in.jsonl
exits 2 'a list for all' llm-dedup --drop drop in.jsonl
exits 2 'no such list' llm-dedup --stage apply --drop none in.jsonl
exits 2 'merge of records' llm-dedup --stage merge -o drop/ in.jsonl
grep -q '^llm-dedup: in.jsonl: not a file of signs but JSON' err
result 'that is told' $?
exits 2 'merge of nothing' llm-dedup --stage merge -o drop/
exits 2 'signs for another type' llm-dedup --stage merge -t exact -o drop/ signs/*.signs
llm-dedup -t near -J 0.7 --stage map -o other.signs part.a.jsonl
exits 2 'signs that differ' llm-dedup --stage merge -o drop/ signs/part.b.signs other.signs
printf '%s\n' '{"text":"a"}' '{"text":' '{"text":"a"}' '{"text":"b"}' >bad.jsonl
exits 2 'a bad record' llm-dedup --work work bad.jsonl
exits 1 'a bad record that is passed over' llm-dedup --work work -k bad.jsonl
prints 'the others are judged' <<'EOS'
{"text":"a"}
{"text":"b"}
EOS
for kind in malloc mmap write
do
	faults $kind o.jsonl "stages: no $kind is trusted" \
	    llm-dedup -t near --work work -o o.jsonl part.a.jsonl
done
done_testing
