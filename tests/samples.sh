# tests/samples.sh - small samples of everything, made by the suite's own tools;
# source it after lib.sh.  make_samples fills the working directory with what
# the examples of the manual speak of.

# have TOOL...: are they built?
have () {
	for tool
	do
		command -v "$tool" >/dev/null || return 1
	done
}

# prose SEED COUNT: documents of a small made-up English, one a line
prose () {
	awk -v seed="$1" -v count="$2" '
	function pick(n) {
		seed = (seed * 16807) % 2147483647
		return 1 + int(seed / 2147483647 * n)
	}
	BEGIN {
		a = split("kernel file system user memory driver network process page table", noun)
		b = split("reads writes maps opens finds keeps moves checks holds returns", verb)
		c = split("small large new old fast slow whole other first last", like)
		for (i = 0; i < count; i++) {
			for (j = 0; j < 6; j++)
				printf "The %s %s %s the %s %s, and a %s is in the %s.%s",
				    like[pick(c)], noun[pick(a)], verb[pick(b)], like[pick(c)],
				    noun[pick(a)], noun[pick(a)], noun[pick(a)], j < 5 ? " " : "\n"
		}
	}'
}

# make_sample TOOLS COMMAND: run it where its tools are built
make_sample () {
	if have $1
	then
		exits 0 "sample:$(echo " $2" | tr -s '\\\n\t ' ' ')" sh -ec "$2"
	else
		echo "# no $1 yet"
	fi
}

make_samples () {
	mkdir -p pages
	prose 7 40 | sed 's|.*|<p>&</p>|' >paragraphs
	{ echo '<html><head><title>A page</title></head><body><nav><a href="/">home</a></nav>'
	  cat paragraphs
	  echo '</body></html>'; } >pages/one.html
	rm paragraphs
	prose 8 20 >pages/two.txt
	prose 6 20 | sed 's/$/<|endoftext|>/' >stories.txt
	prose 9 300 | awk '{ printf "{\"id\":\"doc-%d\",\"text\":\"%s\",\"source\":\"made\"}\n", NR, $0 }' \
	    >corpus.jsonl

	echo '{"question":"Which small kernel reads the file, and who finds the old table?","answer":"a driver"}' \
	    >quiz.jsonl

	make_sample llm-sample \
	    'llm-sample -n 10% -s 1 --rest train.jsonl corpus.jsonl >valid.jsonl'
	make_sample llm-classify \
	    'llm-classify -t train --bits 12 -m quality good= train.jsonl bad= valid.jsonl'
	make_sample llm-vocab 'llm-vocab -n 400 -o tok train.jsonl'
	make_sample llm-tokenize 'llm-tokenize -m tok train.jsonl >tokens.shard'
	make_sample 'llm-tokenize llm-pack' \
	    'llm-tokenize -m tok train.jsonl | llm-pack -l 64 -o train.shard'
	make_sample 'llm-tokenize llm-pack' \
	    'llm-tokenize -m tok valid.jsonl | llm-pack -l 64 -o valid.shard'
	make_sample llm-init 'llm-init -a llama -m tok --layers 2 --width 32 --heads 2 --kv-heads 1 \
	    --context 64 -o model'
	make_sample 'llm-init llm-train' 'llm-train -q -m model -o run --steps 4 --batch 256 --lr 1e-3 \
	    --valid valid.shard --save-every 2 train.shard'
}
