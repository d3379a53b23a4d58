#!/bin/sh
. "$(dirname "$0")/../lib.sh"

good='The cat sat on the mat, and it was glad to be there with all of its friends.\nWhen the sun rose, they went out to the field and played until noon.\nIs that not a good life? I think that it is, but others may not agree.\nSome cats have a house of their own; most have to share it with people.\nThey like it that way, and so do we.\nThat is all there is to say about cats today.'
{
	printf '{"id":"good","text":"%s","n":1}\n' "$good"
	printf '{"id":"short","text":"Too short."}\n'
	printf '{"id":"edit","text":"menu\\n%s[12]\\nAccept our cookie policy to go on."}\n' "$good"
	printf '{"id":"curly","llm":{"x":1,"filter":2},"text":"%s\\nif (x) { return y; }."}\n' "$good"
	printf '{"id":"again","text":"%s\\n%s"}\n' "$good" "$good"
} >"$tmp/in"

exits 0 'gopher and c4' llm-filter -r gopher,c4 --rest "$tmp/rest" --stats "$tmp/stats" "$tmp/in"
grep -c . "$tmp/out" >"$tmp/n"
test "$(cat "$tmp/n")" -eq 2
result 'two of five are kept' $?
sed -n 1p "$tmp/out" >"$tmp/one"
sed -n 1p "$tmp/in" | cmp -s - "$tmp/one"
result 'a good record keeps its bytes' $?
sed -n 2p "$tmp/out" | sed 's/"id":"edit"/"id":"good"/;s/}$/,"n":1}/' | cmp -s - "$tmp/one"
result 'the edited text is the good one' $?
grep -q '^{"id":"short","text":"Too short.","llm":{"filter":{"rule":"gopher.min-words","value":2,"limit":50}}}$' "$tmp/rest"
result 'the rest says why' $?
grep -q '"llm":{"x":1,"filter":{"rule":"c4.curly-bracket","value":1,"limit":0}}' "$tmp/rest"
result 'other keys of llm stay' $?
grep -q '"id":"again".*gopher-rep.max-dup-' "$tmp/rest"
result 'repetition is seen' $?
for want in '"c4.curly-bracket": 1' '"gopher.min-words": 1' '"c4.policy": 1' '"c4.terminal": 1' \
    '"c4.citations": 1'
do
	grep -q "$want" "$tmp/stats"
	result "stats have $want" $?
done

exits 0 'explain' llm-filter --explain -r gopher,c4 "$tmp/in"
test "$(wc -l <"$tmp/out")" -eq 5 && test "$(grep -c '"rule"' "$tmp/out")" -eq 3
result 'nothing is dropped, three have a reason' $?
exits 0 'a limit' llm-filter -r gopher.words --set gopher.min-words=2 --set gopher.max-words=2 "$tmp/in"
prints 'two words' <<'EOT'
{"id":"short","text":"Too short."}
EOT
exits 0 'a rule taken back' llm-filter -r c4,-c4.curly-bracket,-c4.min-sentences "$tmp/in"
test "$(wc -l <"$tmp/out")" -eq 5
result 'all stay' $?

exits 0 'list' llm-filter --list
test "$(awk -F '\t' 'NF != 5' "$tmp/out" | wc -l)" -eq 0
result 'five columns' $?
awk -F '\t' '$1 == "gopher-rep.max-top-2gram" && $2 == "at most" && $3 == 0.2' "$tmp/out" | grep -q .
result 'with the default limit' $?
cp "$tmp/out" "$tmp/list"
page=$(dirname "$0")/../../man/llm-filter.1
missing=0
for rule in $(sed 1d "$tmp/list" | cut -f 1)
do
	grep -q "^\.It Li $rule " "$page" || missing=1
done
result 'every rule is on the page' "$missing"
exits 0 'list shows --set' llm-filter --set gopher.min-words=7 --list
grep -q '^gopher.min-words	at least	7	' "$tmp/out"
result 'and its value' $?

i=0
while test $i -lt 300
do
	sed "s/cats today/cats on day $i/" "$tmp/in"
	i=$((i + 1))
done >"$tmp/many"
llm-filter -r gopher,c4,fineweb --rest "$tmp/r1" "$tmp/many" >"$tmp/j1"
llm-filter -r gopher,c4,fineweb --rest "$tmp/r4" -j 4 "$tmp/many" >"$tmp/j4"
cmp -s "$tmp/j1" "$tmp/j4" && cmp -s "$tmp/r1" "$tmp/r4" && test -s "$tmp/j4" && test -s "$tmp/r4"
result '-j4 gives the bytes of -j1' $?
llm-filter -r c4 "$tmp/many" >"$tmp/c4"
llm-filter -r c4 "$tmp/c4" | cmp -s - "$tmp/c4"
result 'editing twice is editing once' $?
llm-sample -n 100% "$tmp/c4" >/dev/null
result 'the output is read back' $?

llm-filter --signals --stats "$tmp/stats" "$tmp/in" >"$tmp/measured"
test "$(grep -c '"signals":{"hash":"[0-9a-f]\{16\}","gopher.words":' "$tmp/measured")" -eq 5
result 'signals are in every record' $?
sed 's/,"signals":{[^}]*}//' "$tmp/measured" | cmp -s - "$tmp/in"
result 'the rest of it is as it was' $?
llm-filter --signals --stats "$tmp/stats" "$tmp/measured" | cmp -s - "$tmp/measured"
result 'signals are written once' $?
grep -q '"signals_stored": 5, "signals_computed": 0' "$tmp/stats"
result 'and said to be there' $?
llm-filter -r gopher,fineweb --rest "$tmp/r1" "$tmp/in" >"$tmp/o1"
llm-filter -r gopher,fineweb --rest "$tmp/r2" --stats "$tmp/stats" "$tmp/measured" |
    sed 's/,"signals":{[^}]*}//' >"$tmp/o2"
cmp -s "$tmp/o1" "$tmp/o2" && sed 's/,"signals":{[^}]*}//' "$tmp/r2" | cmp -s - "$tmp/r1"
result 'verdicts by signals are those by texts' $?
grep -q '"signals_stored": 5, "signals_computed": 0' "$tmp/stats"
result 'no text was read' $?
sed 's/Too short/Far too short/' "$tmp/measured" >"$tmp/touched"
exits 0 'a changed text' llm-filter -r gopher.words --set gopher.min-words=3 --stats "$tmp/stats" \
    "$tmp/touched"
grep -q '"id":"short"' "$tmp/out" && grep -q '"signals_stored": 4, "signals_computed": 1' "$tmp/stats"
result 'is read again' $?
llm-filter -r c4 --signals "$tmp/in" >"$tmp/edited"
llm-filter -r c4 --stats "$tmp/stats" "$tmp/edited" | sed 's/,"signals":{[^}]*}//' >"$tmp/o1"
llm-filter -r c4 "$tmp/in" | cmp -s - "$tmp/o1" && grep -q '"signals_stored": 5' "$tmp/stats"
result 'signals of edited texts are theirs' $?
llm-filter --signals "$tmp/many" >"$tmp/j1"
llm-filter --signals -j 4 "$tmp/many" | cmp -s - "$tmp/j1"
result 'signals are the same for every -j' $?

cat >"$tmp/my.rules" <<'EOT'
# what is kept
set fineweb.short-line-chars = 20
keep gopher.words > 150
drop gopher.words < 50
tag  quoted c4.citations > 0
tag  many gopher.stop-words >= 5 and tokens.count > 3%
EOT
exits 0 'a file of rules' llm-filter --rules-file "$tmp/my.rules" --stats "$tmp/stats" --rest "$tmp/rest" "$tmp/in"
grep -q '"id":"edit".*,"llm":{"filter":{"tags":\["quoted","many"\]}}}' "$tmp/out"
result 'tags are there' $?
grep -q '"id":"short".*"llm":{"filter":{"line":4,"rule":"gopher.words","value":2,"limit":50}}}' "$tmp/rest"
result 'the rest says which line' $?
grep -q '"by_line": {"3": 1, "4": 1}' "$tmp/stats"
result 'lines are counted' $?
llm-filter --signals "$tmp/in" | llm-filter --rules-file "$tmp/my.rules" | sed 's/,"signals":{[^}]*}//' |
    cmp -s - "$tmp/out"
result 'and the same from signals' $?
echo 'drop gopher.word < 5' >"$tmp/bad.rules"
exits 2 'a rule of nothing' llm-filter --rules-file "$tmp/bad.rules" "$tmp/in"
grep -q "bad.rules:1: no signal 'gopher.word'" "$tmp/err"
result 'is named with its line' $?
exits 2 'no such file of rules' llm-filter --rules-file "$tmp/none" "$tmp/in"

printf '%s\n' '# bad ones' '' 'polecat' 'great auk' >"$tmp/list"
printf '{"text":"%s"}\n' 'Polecats and cats' 'a POLECAT' 'the Great  auk' 'the great auk' >"$tmp/words.jsonl"
exits 0 'bad words' llm-filter -r words --words words.bad="$tmp/list" "$tmp/words.jsonl"
prints 'go, but not others' <<'EOT'
{"text":"Polecats and cats"}
{"text":"the Great  auk"}
EOT
echo example.org >"$tmp/list"
printf '{"text":"x","url":"%s"}\n' http://example.org http://a.example.org/x http://example.com >"$tmp/urls.jsonl"
echo '{"text":"no url"}' >>"$tmp/urls.jsonl"
exits 0 'URLs' llm-filter -r url --words url.domains="$tmp/list" "$tmp/urls.jsonl"
prints 'of listed domains go' <<'EOT'
{"text":"x","url":"http://example.com"}
{"text":"no url"}
EOT
exits 2 'no list' llm-filter -r url "$tmp/urls.jsonl"
exits 2 'a list of nothing' llm-filter -r words --words words.bad=/dev/null "$tmp/words.jsonl"
exits 2 'a list for no rule' llm-filter -r words --words words.good="$tmp/list" "$tmp/words.jsonl"
exits 0 'words are tokens' llm-filter -r tokens --set tokens.min-count=3 "$tmp/words.jsonl"
test "$(wc -l <"$tmp/out")" -eq 3
result 'without a tokenizer' $?
tokenizer=$(dirname "$0")/../data/tokenizer_json
tokenizer=$(ls "$tokenizer"/good/*.json | head -n 1)
exits 0 'a tokenizer' llm-filter --signals -m "$tokenizer" "$tmp/in"
grep -q '"tokens":"[0-9a-f]\{16\}".*"code.token-chars":.*"tokens.count":' "$tmp/out"
result 'counts tokens' $?

exits 0 'empty input' llm-filter -r gopher /dev/null
prints 'nothing is printed' </dev/null
printf '%s\n' '{"text":"one two"}' '{"id":1}' 'bad' >"$tmp/bad"
exits 2 'a bad record' llm-filter -r gopher "$tmp/bad"
exits 1 'bad records with -k' llm-filter -k -r gopher.words --set gopher.min-words=1 "$tmp/bad"
prints 'the good one is there' <<'EOT'
{"text":"one two"}
EOT
exits 2 'no -r' llm-filter "$tmp/in"
exits 2 'an unknown rule' llm-filter -r gophers "$tmp/in"
grep -q "no rule 'gophers'" "$tmp/err"
result 'and it is named' $?
exits 2 'a bad limit' llm-filter --set gopher.min-words=x -r gopher "$tmp/in"
exits 2 'unknown option' llm-filter --nope
exits 2 'missing file' llm-filter -r c4 "$tmp/none"
exits 2 'full disk' sh -c 'exec llm-filter -r gopher "$1" >/dev/full' sh "$tmp/in"
llm-filter -r c4.policy "$tmp/many" "$tmp/many" | head -n 1 >/dev/null
result 'a closed pipe is no failure' $?

for kind in malloc read write
do
	faults $kind "$tmp/o" "a failing $kind is told" \
	    llm-filter -r gopher,c4,fineweb --rest "$tmp/fr" -o "$tmp/o" "$tmp/in"
	faults $kind "$tmp/o" "a failing $kind with rules, lists and signals is told" \
	    llm-filter -r lines,words --words words.bad="$tmp/list" --rules-file "$tmp/my.rules" \
	    --signals -o "$tmp/o" "$tmp/in"
done

done_testing
