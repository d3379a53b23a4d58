#!/bin/sh
# A disk that is full, and a run that is cut short: a tool says why and exits 2,
# or dies of the signal, and no half file is under the final name.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
mkdir "$tmp/samples" "$tmp/small"
cd "$tmp/samples" || exit 1
make_samples
seq 40 | while read -r i; do sed "s/\"id\":\"/&$i-/" corpus.jsonl; done >large.jsonl
llm-tokenize -m tok large.jsonl >large.shard
exec </dev/null

# each FUNCTION DIR: call it with the tool and the output in DIR that it is to write
each () {
	"$1" llm-extract "$2/out" -o "$2/out" large.jsonl
	"$1" llm-normalize "$2/out" -o "$2/out" large.jsonl
	"$1" llm-filter "$2/out" --explain -r gopher -o "$2/out" large.jsonl
	"$1" llm-redact "$2/out" --spans s -o "$2/out" large.jsonl
	"$1" llm-dedup "$2/out" -f id -t exact -o "$2/out" large.jsonl
	"$1" llm-decontam "$2/out" -e quiz.jsonl -o "$2/out" large.jsonl
	"$1" llm-sample "$2/out" -n 90% -o "$2/out" large.jsonl
	"$1" llm-classify "$2/out" -t train --bits 20 -m "$2/out" good= large.jsonl bad= large.jsonl
	"$1" llm-mix "$2/out" --by records -o "$2/out" large.jsonl
	"$1" llm-vocab "$2/tok/tokenizer.json" -n 370 -o "$2/tok" large.jsonl
	"$1" llm-tokenize "$2/out" -m tok -o "$2/out" large.jsonl
	"$1" llm-detokenize "$2/out" -m tok -o "$2/out" large.shard
	"$1" llm-pack "$2/out" -l 64 -o "$2/out" large.shard
	"$1" llm-shard "$2/out" -t join -o "$2/out" large.shard large.shard
	"$1" llm-init "$2/model" -a llama -m tok --layers 2 --width 64 --heads 2 \
	    --context 64 -o "$2/model"
	"$1" llm-eval "$2/out" -t logits -m model -o "$2/out" valid.shard
	"$1" llm-train "$2/run/latest" -q -m model -o "$2/run" --steps 40 --batch 256 \
	    --lr 1e-3 --save-every 10 train.shard
}

# full TOOL FILE ARGUMENTS...
full () {
	tool=$1 file=$2
	shift 2
	# A tokenizer of so little text is small.
	test "$tool" != llm-vocab || head -c 60k /dev/zero >"$tmp/small/ballast"
	exits 2 "$tool on a full disk" "$tool" "$@"
	grep -q "^$tool: .*No space left" "$tmp/err"
	result "$tool says that it is full" $?
	test ! -e "$file"
	result "$tool leaves no $(basename "$file")" $?
	find "$tmp/small" -mindepth 1 -delete
}

# cut_short TOOL FILE ARGUMENTS...: a whole run, then runs that SIGINT cuts
cut_short () {
	tool=$1 file=$2 bad=0
	shift 2
	rm -rf want cut
	mkdir cut
	exits 0 "$tool" "$tool" "$@"
	mv cut want
	for delay in 0 0.01 0.03 0.1
	do
		mkdir cut
		# A shell without job control ignores SIGINT in what it starts with &.
		perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' "$tool" "$@" >/dev/null 2>&1 &
		sleep $delay
		kill -INT $! 2>/dev/null
		wait $!
		got=$?
		case $got in
		0|130)	whole ;;
		*)	false ;;
		esac || { echo "# exit $got after $delay s"; ls -l cut | sed 's/^/# /'; bad=1; }
		rm -rf cut
	done
	result "$tool, cut short, leaves no half file" $bad
}

# whole: $file is not there, or as the whole run made it; of a training run,
# that is a checkpoint with which it can go on
whole () {
	test -e "$file" || return 0
	case $tool in
	llm-train)	"$tool" -q -o cut/run --continue &&
			    diff -r cut/run/latest want/run/latest ;;
	*)		diff -r "$file" "want/${file#*/}" ;;
	esac
}

if test "$(id -u)" -eq 0 && mount -t tmpfs -o size=64k none "$tmp/small" 2>/dev/null
then
	trap 'umount "$tmp/small"; rm -rf "$tmp"' EXIT
	each full "$tmp/small"
else
	result 'a full disk # SKIP only root can mount one' 0
fi
each cut_short cut
done_testing
