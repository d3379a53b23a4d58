#!/bin/sh
. "$(dirname "$0")/../lib.sh"

cat >"$tmp/quiz.jsonl" <<'EOT'
{"query":"Question: Which statement best explains why photosynthesis is the foundation of most food webs?","choices":["Sunlight is the source of energy.","Most ecosystems are found on land."],"gold":0}
{"query":"What causes sound?","choices":["light","vibrations of the air around us"],"gold":1}
{"query":"Why?","choices":["so"],"gold":0}
EOT
cat >"$tmp/arc.jsonl" <<'EOT'
{"id":"x","question":"Which factor will most likely cause a person to develop a fever?","choices":{"text":["a leg muscle relaxing after exercise","a bacterial population in the bloodstream"],"label":["A","B"]},"answerKey":"B"}
EOT
fill='Plain words stand here and there that no question has, so that something is left when a part of the text is cut out of it; two hundred characters are what a piece needs to have to be kept, and this is a little longer than that.'
{
	printf '{"id":"clean","text":"Nothing is asked here. %s"}\n' "$fill"
	printf '{"id":"quiz","llm":{"x":1},"text":"Über alles: WHICH statement (best) explains — why photosynthesis is the basis of most food webs? Yes."}\n'
	printf '{"id":"sound","text":"Quiz: what causes sound? A light. B vibrations of the air around us"}\n'
	printf '{"id":7,"text":"%s Which factor will most likely cause a person to develop a fever? %s"}\n' "$fill" "$fill"
	printf '{"text":"What causes a sound in the night, said the owl, is the light of vibrations"}\n'
} >"$tmp/in"
evals="-e $tmp/quiz.jsonl -e ARC=$tmp/arc.jsonl"

# shellcheck disable=SC2086 # words are wanted
exits 0 'drop' llm-decontam -q $evals --report "$tmp/report" --rest "$tmp/rest" \
    --stats "$tmp/stats" "$tmp/in"
grep -o '"id":"clean"\|said the owl' "$tmp/out" | tr '\n' ' ' >"$tmp/kept"
test "$(cat "$tmp/kept")" = '"id":"clean" said the owl ' && test "$(wc -l <"$tmp/out")" -eq 2
result 'what has no question is kept' $?
grep -q '^{"id":"quiz","llm":{"x":1,"decontam":\[{"eval":"quiz","line":1,"score":0.9231,"start":12,"end":95}\]},' "$tmp/rest"
result 'the rest says why' $?
sed 's/,"file":"[^"]*"//' "$tmp/report" | cut -c 1-130 >"$tmp/out"
prints 'so does the report' <<'EOT'
{"id":"quiz","record_line":2,"eval":"quiz","line":1,"score":0.9231,"start":12,"end":95,"text":"WHICH statement (best) explains —
{"id":"sound","record_line":3,"eval":"quiz","line":2,"score":1,"start":6,"end":67,"text":"what causes sound? A light. B vibrations
{"id":7,"record_line":4,"eval":"ARC","line":1,"score":1,"start":228,"end":291,"text":"Which factor will most likely cause a person
EOT
for want in '"questions": 3' '"questions_short": 1' '"quiz": 2' '"ARC": 1' '"dropped": 3'
do
	grep -q "$want" "$tmp/stats"
	result "stats have $want" $?
done

# shellcheck disable=SC2086
exits 0 'flag' llm-decontam -q --action flag $evals "$tmp/in"
test "$(wc -l <"$tmp/out")" -eq 5 && test "$(grep -c decontam "$tmp/out")" -eq 3
result 'all are kept, three have a flag' $?
# shellcheck disable=SC2086
exits 0 'cut' llm-decontam -q --action cut --margin 0 $evals "$tmp/in"
grep '^{"id":7' "$tmp/out" >"$tmp/cut"
printf '{"id":7,"text":"%s\\n\\n? %s"}\n' "$fill" "$fill" | cmp -s - "$tmp/cut"
result 'the question is cut out' $?
test "$(wc -l <"$tmp/out")" -eq 3
result 'what is too short then is dropped' $?
# shellcheck disable=SC2086
llm-decontam -q --action cut $evals "$tmp/in" | grep -q '"id":7'
test $? -eq 1
result 'a margin takes the rest too' $?

exits 0 'n-grams' llm-decontam -q -t ngram --ngram 6 --report "$tmp/report" -e "$tmp/quiz.jsonl" "$tmp/in"
grep -c '"id":"quiz".*"text":"[^"]*WHICH statement (best) explains — why photosynthesis is the"' \
    "$tmp/report" >"$tmp/n"
test "$(cat "$tmp/n")" -eq 1
result 'all that is the same in a row' $?
exits 0 'a word changed, all asked for' llm-decontam -q --score 1 -e "$tmp/quiz.jsonl" "$tmp/in"
grep -q '"id":"quiz"' "$tmp/out"
result 'is not found' $?

i=0
while test $i -lt 300
do
	sed "s/alles/alles $i/" "$tmp/in"
	i=$((i + 1))
done >"$tmp/many"
# shellcheck disable=SC2086
llm-decontam -q $evals --report "$tmp/r1" "$tmp/many" >"$tmp/j1"
# shellcheck disable=SC2086
llm-decontam -q -j 4 $evals --report "$tmp/r4" "$tmp/many" >"$tmp/j4"
cmp -s "$tmp/j1" "$tmp/j4" && cmp -s "$tmp/r1" "$tmp/r4" && test -s "$tmp/r4"
result '-j4 gives the bytes of -j1' $?

exits 0 'other keys' llm-decontam --question q --answer a -e - "$tmp/in" <<'EOT'
{"q":["Which factor will most likely cause a person to develop a fever?"],"a":null}
EOT
test "$(wc -l <"$tmp/out")" -eq 4
result 'are looked at' $?
exits 0 'empty input' llm-decontam -q -e "$tmp/quiz.jsonl" /dev/null
prints 'nothing is printed' </dev/null
exits 0 'no question at all' llm-decontam -e /dev/null "$tmp/in"
cmp -s "$tmp/in" "$tmp/out"
result 'all is kept' $?
exits 2 'no -e' llm-decontam "$tmp/in"
exits 2 'a file that is not there' llm-decontam -e "$tmp/none" "$tmp/in"
echo '{"q":1}' >"$tmp/other"
exits 2 'no question' llm-decontam -e "$tmp/other" "$tmp/in"
grep -q "other:1: no question (keys question,query" "$tmp/err"
result 'is told' $?
echo '{"query":1' >"$tmp/other"
exits 2 'no JSON' llm-decontam -e "$tmp/other" "$tmp/in"
grep -q "other:1: " "$tmp/err"
result 'is told' $?
exits 2 'a score of another type' llm-decontam -t ngram --score 0.9 -e "$tmp/quiz.jsonl" "$tmp/in"
exits 2 'an unknown action' llm-decontam --action burn -e "$tmp/quiz.jsonl" "$tmp/in"

# A question of common words, a million times: still linear.
awk 'BEGIN { printf "{\"text\":\""; for (i = 0; i < 300000; i++) printf "which statement best explains why "; print "\"}" }' >"$tmp/same"
exits 0 'a text of one seed' timeout 20 llm-decontam -q -e "$tmp/quiz.jsonl" "$tmp/same"

for kind in malloc read write
do
	faults $kind "$tmp/o" "a failing $kind is told" llm-decontam -q -e "$tmp/quiz.jsonl" \
	    --report "$tmp/fr" --rest "$tmp/rest" -o "$tmp/o" "$tmp/in"
done
done_testing
