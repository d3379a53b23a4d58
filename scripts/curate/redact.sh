# redact: all kinds by what is asked for; e-mail and IPv4 against datatrove's formatter
row redact-all "$(rate llm-redact "$corpus")" 150 1
if peer datatrove
then
	head -c 20000000 "$corpus" | sed '$d' >"$tmp/part.jsonl"
	row redact-datatrove "$(rate llm-redact -r email,ipv4 "$corpus")" \
	    "$($cpu "$python" tests/bench/redact_peer.py "$tmp/part.jsonl")" 1
fi
