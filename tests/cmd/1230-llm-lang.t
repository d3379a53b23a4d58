#!/bin/sh
. "$(dirname "$0")/../lib.sh"
if ! llm-lang --list >/dev/null 2>&1
then
	echo '1..0 # SKIP built without CLD2'
	exit 0
fi
library=$data/lang/library.jsonl

exits 0 'texts in forty languages' llm-lang "$library"
sed 's/^{"want":"\([^ ]*\) \([^"]*\)".*"language":"\([^"]*\)","language_score":\(.*\),"language_script":"\(.*\)"}$/\1 \2 \3 \5 \4/' \
    "$tmp/out" >"$tmp/got"
awk '$1 == $3 && $2 == $4 && $5 >= 0.9 && $5 <= 1 { n++ } END { exit n != 40 }' "$tmp/got"
result 'language, script and score of each are right' $?

en='The library in our town opens at eight, and children come there to read their books.'
de='Im Winter ist es dort warm, und niemand muss etwas bezahlen, wenn er die Zeitung liest.'
cat >"$tmp/in" <<EOT
{"id":"en","text":"$en"}
{"id":"de","text":"$de","llm":{"x":1}}
{"id":"mix","text":"$en\\n\\n$de\\nx = 3;\\n$en"}
{"id":"none","text":"3 + 4 = 7"}
{"id":"empty","text":""}
EOT
exits 0 'fields' llm-lang "$tmp/in"
prints 'other keys stay, what has no language is und' <<EOT
{"id":"en","text":"$en","language":"en","language_score":0.98,"language_script":"Latn"}
{"id":"de","text":"$de","llm":{"x":1},"language":"de","language_score":0.98,"language_script":"Latn"}
{"id":"mix","text":"$en\\n\\n$de\\nx = 3;\\n$en","language":"en","language_score":0.66,"language_script":"Latn"}
{"id":"none","text":"3 + 4 = 7","language":"und","language_score":0,"language_script":"Zyyy"}
{"id":"empty","text":"","language":"und","language_score":0,"language_script":"Zyyy"}
EOT
llm-lang "$tmp/out" >"$tmp/again" && cmp -s "$tmp/out" "$tmp/again"
result 'again, nothing changes' $?

exits 0 'keep' llm-lang --keep de:0.5,en:0.7 --rest "$tmp/rest" --stats "$tmp/stats" "$tmp/in"
test "$(grep -o '"id":"[a-z]*"' "$tmp/out" | tr -d '\n')" = '"id":"en""id":"de"'
result 'two are kept' $?
grep -q '"id":"mix".*"llm":{"lang":{"rule":"lang.score","value":0.66,"limit":0.7}}}$' "$tmp/rest"
result 'the rest says by how much' $?
grep -q '"id":"none".*"llm":{"lang":{"rule":"lang.language","value":"und"}}}$' "$tmp/rest"
result 'or what it is' $?
grep -q '"languages_in": {"en": 2, "de": 1, "und": 2}, "languages_out": {"en": 1, "de": 1}' "$tmp/stats"
result 'stats by language' $?
exits 0 'any language' llm-lang --keep '*:0.7,de:1' "$tmp/in"
test "$(grep -c . "$tmp/out")" -eq 1 && grep -q '"id":"en"' "$tmp/out"
result 'but where one is named' $?
exits 0 'zh has zh-Hant' llm-lang --keep zh:0.5 "$library"
test "$(grep -c '"language":"zh' "$tmp/out")" -eq 2 && test "$(grep -c . "$tmp/out")" -eq 2
result 'both are kept' $?

exits 0 'mark lines' llm-lang --lines mark "$tmp/in"
sed -n 3p "$tmp/out" | grep -q '"language_lines":\[\[1,2,"en"\],\[3,3,"de"\],\[4,5,"en"\]\]'
result 'runs of lines' $?
exits 0 'cut lines' llm-lang --lines cut --keep en:0.9 --stats "$tmp/stats" "$tmp/in"
prints 'the text that is left is judged' <<EOT
{"id":"en","text":"$en","language":"en","language_score":0.98,"language_script":"Latn"}
{"id":"mix","text":"$en\\n\\nx = 3;\\n$en","language":"en","language_score":0.99,"language_script":"Latn"}
EOT
grep -q '"lines_cut": 1,' "$tmp/stats"
result 'and the line counted' $?
exits 0 'lines of languages that are kept' llm-lang --lines cut --keep en,de "$tmp/in"
grep -q "\"id\":\"mix\".*$de" "$tmp/out"
result 'stay' $?

exits 0 'detail' llm-lang --detail "$tmp/in"
sed -n 3p "$tmp/out" | grep -q '"llm":{"lang":{"reliable":true,"letters":2[0-9]*,"top":\[{"language":"en","percent":66,"density":[0-9]*},{"language":"de","percent":33,"density":[0-9]*}\]}}}$'
result 'shares of both languages' $?
sed -n 2p "$tmp/out" | grep -q '"llm":{"x":1,"lang":{"reliable":true'
result 'other keys of llm stay' $?
exits 0 'key' llm-lang --key lid --lines mark "$tmp/in"
sed -n 1p "$tmp/out" | grep -q '"lid_lines":\[\[1,1,"en"\]\],"lid":"en","lid_score":0.98,"lid_script":"Latn"}$'
result 'begins the names of all' $?
printf '{"text":"hello"}\n' >"$tmp/short"
exits 0 'guess' llm-lang --guess "$tmp/short"
grep -q '"language":"en","language_score":0.[1-9]' "$tmp/out"
result 'a word has a language' $?
exits 0 'list' llm-lang --list
awk -F '\t' 'NF != 2 { bad = 1 } $1 == "he" && $2 == "HEBREW" { he = 1 } END { exit bad || !he || NR < 150 }' "$tmp/out"
result 'codes and names' $?

i=0
while test $i -lt 60
do
	cat "$library" "$tmp/in"
	i=$((i + 1))
done >"$tmp/many"
llm-lang --lines cut --detail --keep '*:0.9' --rest "$tmp/r1" "$tmp/many" >"$tmp/j1"
llm-lang -j 4 --lines cut --detail --keep '*:0.9' --rest "$tmp/r4" "$tmp/many" >"$tmp/j4"
cmp -s "$tmp/j1" "$tmp/j4" && cmp -s "$tmp/r1" "$tmp/r4" && test -s "$tmp/j4" && test -s "$tmp/r4"
result '-j4 gives the bytes of -j1' $?
mkdir "$tmp/dir"
exits 0 'file to file' llm-lang -o "$tmp/dir/" "$tmp/in"
exits 0 'again' llm-lang --stats "$tmp/stats" -o "$tmp/dir/" "$tmp/in"
grep -q '"files_skipped": 1' "$tmp/stats"
result 'is done' $?

exits 0 'empty input' llm-lang /dev/null
prints 'nothing is printed' </dev/null
printf '%s\n' '{"text":"one two"}' '{"id":1}' 'bad' >"$tmp/bad"
exits 2 'a bad record' llm-lang "$tmp/bad"
exits 1 'bad records with -k' llm-lang -k "$tmp/bad"
test "$(grep -c . "$tmp/out")" -eq 1
result 'the good one is there' $?
exits 2 'no such language' llm-lang --keep en,xx "$tmp/in"
grep -q "no language 'xx' (--list names them)" "$tmp/err"
result 'it is named' $?
for keep in en: en:2 en:x en:-1 en:0.5x , en:nan
do
	exits 2 "--keep $keep" llm-lang --keep "$keep" "$tmp/in"
done
exits 2 'no such way with lines' llm-lang --lines drop "$tmp/in"
exits 2 'missing file' llm-lang "$tmp/none"
exits 2 'full disk' sh -c 'exec llm-lang "$1" >/dev/full' sh "$tmp/in"
llm-lang "$tmp/many" "$tmp/many" | head -n 1 >/dev/null
result 'a closed pipe is no failure' $?
# A sanitizer's library does.
ldd "$(command -v llm-filter)" | grep -q 'stdc++' && ! grep -q fsanitize "$BUILD/config"
test $? -ne 0
result 'other tools link no C++' $?

for kind in malloc read write
do
	faults $kind "$tmp/o" "a failing $kind is told" \
	    llm-lang --lines mark --rest "$tmp/fr" --keep en -o "$tmp/o" "$tmp/in"
done

done_testing
