#!/bin/sh
# Calls that fail, one after the other, in each tool: it must say so and exit 2,
# or do its work, and leave no half file under the final name.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
if ! can_fault
then
	echo '1..0 # SKIP no fault injection in this build'
	exit
fi
mkdir "$tmp/samples"
cd "$tmp/samples" || exit 1
make_samples
head -n 40 corpus.jsonl >few.jsonl
gzip -c few.jsonl >few.jsonl.gz
have llm-tokenize && llm-tokenize -m tok few.jsonl >few.shard

# all FILE COMMAND...: each kind of call; FILE as for faults
all () {
	file=$1
	shift
	have "$1" || return
	for kind in malloc read write fsync mmap open thread
	do
		faults $kind "$file" "$1 $2 $3: $kind" "$@"
	done
}

# Files, for fts_open() of glibc does not check its own malloc().
all - llm-extract pages/one.html pages/two.txt few.jsonl.gz
all out llm-normalize -j 2 -o out -z zstd few.jsonl.gz
all - llm-filter -r gopher,c4 few.jsonl
all - llm-redact --spans s few.jsonl
all - llm-lang --lines mark few.jsonl
all - llm-dedup -t near few.jsonl
all - llm-decontam -e quiz.jsonl --report found few.jsonl
all out llm-stats -F html -o out few.jsonl
all out llm-sample -n 50% -o out few.jsonl
all out llm-classify -t train --bits 8 -m out good= few.jsonl bad= few.jsonl.gz
all out llm-mix --by records -o out a=0.5x few.jsonl b=2x few.jsonl.gz
all out llm-vocab -n 300 -o out few.jsonl
all - llm-tokenize -m tok few.jsonl
all - llm-detokenize -m tok few.shard
all out llm-pack -l 32 -o out few.shard
all - llm-shard -t verify few.shard
all out llm-init -a llama -m tok --layers 1 --width 16 --heads 1 --context 32 -o out
all - llm-eval -t perplexity -m model few.shard
all - llm-generate -m model -n 4 -T 0 -p The
all out.svg llm-plot -o out.svg run/log.jsonl
done_testing
