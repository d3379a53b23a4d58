# filter: all rules, and all values, by what is asked for; datatrove's rules against it;
# two threads beside two processes, as a calibration
all=gopher,c4,mc4,fineweb,lines,nemo,code
row filter-all "$(rate llm-filter -r $all "$corpus")" 60 1
row filter-signals "$(rate llm-filter --signals "$corpus")" 15 1
llm-filter --signals "$corpus" >"$tmp/signals.jsonl"
whole=$corpus corpus=$tmp/signals.jsonl
row filter-stored "$(rate llm-filter -r gopher,fineweb "$corpus")" 60 1
corpus=$whole
rm "$tmp/signals.jsonl"
if peer datatrove
then
	head -c 2000000 "$corpus" | sed '$d' >"$tmp/part.jsonl"
	row filter-datatrove "$(rate llm-filter -r gopher,c4,fineweb "$corpus")" \
	    "$($cpu "$python" tests/bench/filter_peer.py "$tmp/part.jsonl")" 20
fi
if test "$(nproc)" -ge 2
then
	pinned=$cpu cpu=
	both=$(rate sh -c 'llm-filter -r "$2" "$1" >/dev/null & llm-filter -r "$2" "$1"; wait' \
	    sh "$corpus" $all)
	row filter-j2 "$(rate llm-filter -j 2 -r $all "$corpus")" "$((2 * both))" 0.95
	cpu=$pinned
fi
