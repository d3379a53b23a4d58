#!/bin/sh
# What every tool has in common, for each one in bin/: help, version, usage
# errors, missing files, full disks, closed pipes, closed streams, libraries.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
cmd=$(cd "$(dirname "$0")/../../cmd" && pwd)
mkdir "$tmp/samples"
cd "$tmp/samples" || exit 1
make_samples
exec </dev/null

# with TOOL: options and operand of a run that writes to the standard output.
# A tool without a line here gets the common tests only.
with () {
	case $1 in
	llm-extract)	set -- pages ;;
	llm-normalize)	set -- corpus.jsonl ;;
	llm-filter)	set -- -r gopher,c4 --explain corpus.jsonl ;;
	llm-redact)	set -- corpus.jsonl ;;
	llm-lang)	llm-lang --list >/dev/null 2>&1 || return
			set -- --detail corpus.jsonl ;;
	llm-dedup)	set -- -t exact corpus.jsonl ;;
	llm-decontam)	set -- -q -e quiz.jsonl corpus.jsonl ;;
	llm-stats)	set -- corpus.jsonl ;;
	llm-sample)	set -- -n 50% corpus.jsonl ;;
	llm-classify)	set -- -m quality corpus.jsonl ;;
	llm-mix)	set -- --shuffle --by records corpus.jsonl ;;
	llm-chunk)	set -- -m tok corpus.jsonl ;;
	llm-tokenize)	set -- -m tok train.jsonl ;;
	llm-detokenize)	set -- -m tok tokens.shard ;;
	llm-pack)	set -- -l 32 tokens.shard ;;
	llm-shard)	set -- -F json train.shard ;;
	llm-eval)	set -- -t perplexity -m run/latest valid.shard ;;
	llm-generate)	set -- -n 4 -T 0 -p The -m run/latest ;;
	llm-embed)	set -- -m run/latest valid.jsonl ;;
	llm-plot)	set -- run/log.jsonl ;;
	llm-sweep)	set -- -n 3 --batch 64 -t grid --rates 1e-3 -m model train.shard ;;
	llm-bench)	set -- -n 1 -b 1 -c 8 step -m model ;;
	llm-profile)	set -- -n 1 -b 1 -c 8 -m model ;;
	*)		return ;;
	esac
	printf '%s ' "$@"
}

# check DESCRIPTION COMMAND...: succeeds
check () {
	what=$1
	shift
	"$@"
	result "$what" $?
}

# says_why TOOL: a message "tool: cause", without control characters
says_why () {
	grep -q "^$1: ." "$tmp/err" &&
	    test "$(tr -d '\t\n\040-\176\200-\377' <"$tmp/err" | wc -c)" -eq 0
}

for tool in $(cd "$cmd" && ls | sed 's/\.c$//')
do
	exits 0 "$tool -h" "$tool" -h
	check "$tool -h is a usage line and more, on the standard output" \
	    test "$(head -n 1 "$tmp/out" | cut -d ' ' -f 1-3)" = "usage: $tool [options]" \
	    -a ! -s "$tmp/err"
	exits 0 "$tool -V" "$tool" -V
	check "$tool -V names the tool" grep -qE "^$tool [0-9]+\.[0-9]" "$tmp/out"
	exits 2 "$tool with an unknown option" "$tool" --no-such-option
	check "$tool says which" grep -q "^$tool: unknown option '--no-such-option'" "$tmp/err"
	check "$tool writes no product then" test ! -s "$tmp/out"
	exits 2 "$tool -h into a full disk" sh -c "$tool -h >/dev/full"
	exits 2 "$tool -h without a standard output" sh -c "$tool -h >&-"
	check "$tool says so" says_why "$tool"
	exits 0 "$tool --completion bash" "$tool" --completion bash
	check "$tool needs no GPU library, BLAS or MPI" sh -c \
	    "! ldd \$(command -v $tool) | grep -E 'libcuda|cublas|nccl|blas|mkl|libmpi|gomp'"
	missing=/no/such/$(printf '\033')[31mfile
	exits 2 "$tool with a missing file" "$tool" "$missing"
	check "$tool says why" says_why "$tool"

	args=$(with "$tool") args=${args% }
	test -n "$args" || continue
	last=${args##* }
	if ! test -e "$last"
	then
		echo "# no $last yet"
		continue
	fi
	# shellcheck disable=SC2086 # words are wanted
	{
	exits 0 "$tool $args" "$tool" $args
	check "$tool has a product" test -s "$tmp/out"
	exits 2 "$tool $args into a full disk" sh -c "$tool $args >/dev/full"
	check "$tool says that it is full" grep -q "^$tool: .*No space left" "$tmp/err"
	}
	# The reader is gone before the first byte: death by SIGPIPE, in silence.
	{ sleep 0.1; sh -c "exec $tool $args" 2>"$tmp/err"; echo $? >"$tmp/status"; } | true
	sleep 0.2
	for i in 1 2 3 4 5 6 7 8 9
	do
		test -s "$tmp/status" && break
		sleep 0.2
	done
	check "$tool dies of SIGPIPE" test "$(cat "$tmp/status")" -eq 141
	check "$tool does so silently" test ! -s "$tmp/err"
	rm -f "$tmp/status"
	test "$tool" = llm-generate && continue
	exits 2 "$tool with its options and a missing file" "$tool" ${args% *} "$missing"
	check "$tool names it, without control characters" sh -c \
	    'grep -q "^$1: /no/such/?\[31mfile: " "$2"' - "$tool" "$tmp/err"
done
done_testing
