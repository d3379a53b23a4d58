# decontam: the manual's pages as what is looked for, by what is asked for
llm-extract -q man >"$tmp/eval.jsonl"
row decontam "$(rate llm-decontam -q -e "$tmp/eval.jsonl" "$corpus")" 100 1
