# dedup: exact and near by what is asked for, also with a tenth of the memory; near against
# rensa and datasketch, and text-dedup on two processes, on a part of the corpus
row dedup-exact "$(rate llm-dedup -t exact "$corpus")" 500 1
near=$(rate llm-dedup -t near "$corpus")
row dedup-near "$near" 80 1
row dedup-near-external "$(rate llm-dedup -t near --memory "$((size / 10))M" "$corpus")" 40 1
head -c 8000000 "$corpus" | sed '$d' >"$tmp/part.jsonl"
for module in rensa datasketch
do
	peer "$module" || continue
	row "dedup-near-$module" "$near" \
	    "$($cpu "$python" tests/bench/near_peer.py "$module" "$tmp/part.jsonl")" 1
done
if peer text_dedup
then
	all=$corpus was=$cpu corpus=$tmp/part.jsonl cpu=
	set -- $("$python" tests/bench/textdedup.py "$corpus" 0.7)
	row dedup-near-text-dedup "$(rate llm-dedup -j2 -t near -J 0.7 "$corpus")" "$1" 20
	corpus=$all cpu=$was
	set --
fi
rm "$tmp/part.jsonl"
