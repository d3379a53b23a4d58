# dedup: exact, by what is asked for; near, against rensa and datasketch on a part of the corpus
row dedup-exact "$(rate llm-dedup -t exact "$corpus")" 333 1
near=$(rate llm-dedup -t near "$corpus")
for module in rensa datasketch
do
	peer "$module" || continue
	head -c 8000000 "$corpus" | sed '$d' >"$tmp/part.jsonl"
	row "dedup-near-$module" "$near" \
	    "$($cpu "$python" tests/bench/near_peer.py "$module" "$tmp/part.jsonl")" 1
done
