#!/bin/sh
# llm-vocab --report
. "$(dirname "$0")/../lib.sh"
in=$data/tokenizer_json/train.jsonl good=$data/tokenizer_json/good
cd "$tmp" || exit 2

cat >few.jsonl <<'EOF'
{"text":"The kernel writes a page.","language":"en"}
{"text":"Привет, мир","language":"ru"}
{"text":"漢字 \u3000かな","language":"ja"}
{"text":"a1 b2"}
{"text":"","language":"en"}
EOF
llm-vocab -q -n 300 -o tok "$in"
exits 0 'a report' llm-vocab --report -m tok few.jsonl
cp out table
cut -f 2-6 table | sed '/vocabulary/d' >out
prints 'what is counted of texts' <<'EOF'
group	name	bytes	characters	words
all	all	66	47	11
language	en	25	25	5
language	ja	16	6	2
language	ru	20	11	2
script	Common	14	12	0
script	Latin	22	22	7
script	Han	6	2	1
script	Hiragana	6	2	1
script	Cyrillic	18	9	2
EOF
n=$(llm-tokenize -q -m tok -F ids few.jsonl | wc -w)
awk -F '\t' -v n="$n" '$2 == "all" { all = $7 } $2 == "script" { s += $7 }
    $2 == "language" { l += $7 } END { exit !(all == n && s == n && l < n && l > 0) }' table
result 'tokens are those of llm-tokenize, each of one script' $?
awk -F '\t' '$2 == "all" { exit !($8 == sprintf("%.4f", $4 / $7) &&
    $9 == sprintf("%.4f", $7 / $6)) }' table
result 'bytes a token, tokens a word' $?

# A token without merges, one that the pattern cuts, and one that is only unused.
sed 's/^      "\([^"]*\)": 299$/      "\1": 299, "zqj": 300, "eĠt": 301/' tok/tokenizer.json >odd.json
sed -i 's/^    "merges": \[/&["e", "Ġt"],/' odd.json
exits 0 'several tokenizers' llm-vocab --report -F json -m odd.json -m "$good/llama2.json" \
    -m "$good/bert.json" few.jsonl
tr -d '\n' <out | grep -o '"vocab": [0-9]*\|"unreachable": \[[^]]*\]' | head -n 3 >found
grep -qx '"vocab": 302' found && grep -qx '"unreachable": \[300, 301\]' found
result 'tokens that are never made' $?
for type in bpe unigram
do
	llm-vocab -q -t $type -n 350 -o $type "$in"
	llm-vocab --report -m $type few.jsonl | grep -q "vocabulary	unreachable	-	-	-	0"
	result "$type: all are made" $?
	llm-vocab --report -m $type "$in" >a
	llm-vocab --report -m $type -j4 "$in" | cmp -s - a && test -s a
	result "$type: -j4 tells the same" $?
done
exits 0 'a key of the language' llm-vocab --report -m tok --language lang -o file few.jsonl
grep -q language file
result 'that no record has' $(($? != 1))
exits 0 'empty input' llm-vocab --report -m tok /dev/null
grep -q '	all	all	0	0	0	0	-	-$' out
result 'has no ratios' $?
exits 2 'no tokenizer' llm-vocab --report few.jsonl
exits 2 'a missing tokenizer' llm-vocab --report -m none few.jsonl
exits 2 'an unknown format' llm-vocab --report -F xml -m tok few.jsonl
exits 2 'a tokenizer for training' llm-vocab -m tok -o x few.jsonl
exits 2 'a full disk' sh -c 'exec llm-vocab --report -m tok few.jsonl >/dev/full'
echo bad >>few.jsonl
exits 1 'a bad record with -k' llm-vocab -q -k --report -m tok few.jsonl
cmp -s out table
result 'is passed over' $?
done_testing
