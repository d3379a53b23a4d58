# mix: by what is asked for; a shuffle beside that of coreutils, and with a tenth of the memory
sed -n '1~2p' "$corpus" >"$tmp/odd.jsonl"
sed -n '2~2p' "$corpus" >"$tmp/even.jsonl"
row mix-interleave "$(rate llm-mix odd=0.6 "$tmp/odd.jsonl" even=0.4 "$tmp/even.jsonl")" 500 1
shuffle=$(rate llm-mix --shuffle "$corpus")
row mix-shuffle "$shuffle" 150 1
row mix-shuffle-shuf "$shuffle" "$(rate shuf "$corpus")" 1
row mix-shuffle-external "$(rate llm-mix --shuffle --memory "$((size / 10))M" "$corpus")" 100 1
rm "$tmp/odd.jsonl" "$tmp/even.jsonl"
