#!/bin/sh
# Every "$ " line in the EXAMPLES of the section 1 pages runs and exits 0, in a
# directory with the samples that the pages speak of.  The samples are made by
# the suite's own tools, so this is its pipeline too.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
man=$(cd "$(dirname "$0")/../../man" && pwd)
s=$tmp/samples
mkdir -p "$s"
if ! command -v mandoc >/dev/null
then
	echo '1..0 # SKIP no mandoc'
	exit
fi
cd "$s" || exit 1
make_samples

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
