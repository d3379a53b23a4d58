# lang: against CLD2 alone, by CPU time (tests/bench/lang)
head -c 20000000 "$corpus" | sed '$d' >"$tmp/lang.jsonl"
make -s obj/tests/bench/lang >&2 || exit 2
row lang $($cpu obj/tests/bench/lang "$tmp/lang.jsonl" llm-lang) 0.9
row lang-lines $($cpu obj/tests/bench/lang "$tmp/lang.jsonl" llm-lang --lines mark) 0.3
