#!/bin/sh
# Every "$ " line in the EXAMPLES of the section 1 pages runs and exits 0, in a
# directory with the samples that the pages speak of.  The samples are made by
# the suite's own tools, so this is its pipeline too.
. "$(dirname "$0")/../lib.sh"
man=$(cd "$(dirname "$0")/../../man" && pwd)
s=$tmp/samples
mkdir -p "$s/pages" "$tmp/home"
cd "$s" || exit 1
if ! command -v mandoc >/dev/null
then
	echo '1..0 # SKIP no mandoc'
	exit
fi

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

# The heap of documents.
prose 7 40 | sed 's|.*|<p>&</p>|' >"$tmp/paragraphs"
{ echo '<html><head><title>A page</title></head><body><nav><a href="/">home</a></nav>'
  cat "$tmp/paragraphs"
  echo '</body></html>'; } >pages/one.html
prose 8 20 >pages/two.txt
prose 9 300 | awk '{ printf "{\"id\":\"doc-%d\",\"text\":\"%s\",\"source\":\"made\"}\n", NR, $0 }' \
    >corpus.jsonl

# make_sample TOOLS COMMAND: run it where its tools are built
make_sample () {
	if have $1
	then
		exits 0 "sample:$(echo " $2" | tr -s '\\\n\t ' ' ')" sh -ec "$2"
	else
		echo "# no $1 yet"
	fi
}
make_sample llm-sample \
    'llm-sample -n 10% -s 1 --rest train.jsonl corpus.jsonl >valid.jsonl'
make_sample llm-vocab 'llm-vocab -n 400 -o tok train.jsonl'
make_sample 'llm-tokenize llm-pack' \
    'llm-tokenize -m tok train.jsonl | llm-pack -l 64 -o train.shard'
make_sample 'llm-tokenize llm-pack' \
    'llm-tokenize -m tok valid.jsonl | llm-pack -l 64 -o valid.shard'
make_sample llm-init 'llm-init -a llama -m tok --layers 2 --width 32 --heads 2 --kv-heads 1 \
    --context 64 -o model'
make_sample 'llm-init llm-train' 'llm-train -q -m model -o run --steps 4 --batch 256 --lr 1e-3 \
    --valid valid.shard --save-every 2 train.shard'

# examples PAGE: its commands, continued lines joined
examples () {
	mandoc -Tascii -O width=200 "$1" | sed 's/.\x08//g' | awk '
	/^[A-Z]/ { on = /^EXAMPLES/ }
	!on { next }
	more { sub(/^ *(> )?/, ""); line = line $0 }
	!more && /^ *\$ / { sub(/^ *\$ /, ""); line = $0; got = 1 }
	!more && !got { next }
	line ~ /\\$/ { sub(/\\$/, "", line); more = 1; next }
	{ print line; more = got = 0 }'
}

# missing COMMAND: the first tool or sample in it that is not there
missing () {
	for word in $(echo "$1" | grep -oE '\bllm-[a-z]+\b' | sort -u)
	do
		have "$word" || { echo "$word"; return; }
	done
	for word in corpus.jsonl train.jsonl valid.jsonl tok train.shard valid.shard model run
	do
		case " $1 " in
		*" $word "* | *" $word/"*)
			test -e "$s/$word" || { echo "$word"; return; } ;;
		esac
	done
}

for page in "$man"/*.1
do
	name=$(basename "$page" .1)
	if ! have "$name"
	then
		echo "# no $name yet"
		continue
	fi
	examples "$page" >"$tmp/commands"
	test -s "$tmp/commands"
	result "$name: the page has examples" $?
	cp -a "$s" "$tmp/at"
	cd "$tmp/at" || exit 1
	lacks=
	while IFS= read -r command
	do
		# What comes after builds on it.
		test -n "$lacks" || lacks=$(missing "$command")
		if test -n "$lacks"
		then
			result "$name: $command # SKIP no $lacks" 0
			continue
		fi
		exits 0 "$name: $command" timeout 60 sh -ec "$command" </dev/null
	done <"$tmp/commands"
	cd "$s" || exit 1
	rm -rf "$tmp/at"
done
done_testing
