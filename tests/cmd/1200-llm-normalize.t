#!/bin/sh
. "$(dirname "$0")/../lib.sh"

printf '%s\n' '{"id":1,"text":"caf\u00c3\u00a9   au lait\r\n\r\n\r\nend \t","z":[1, 2]}' \
    '{ "text" : "plain \u00e9", "id":2 }' '{"text":""}' >"$tmp/in"

exits 0 'three texts' llm-normalize "$tmp/in"
prints 'changed where needed, bytes kept where not' <<'EOT'
{"id":1,"text":"café au lait\n\nend","z":[1, 2]}
{ "text" : "plain \u00e9", "id":2 }
{"text":""}
EOT
cp "$tmp/out" "$tmp/once"
exits 0 'again' llm-normalize "$tmp/once"
cmp -s "$tmp/once" "$tmp/out"
result 'normalizing twice is normalizing once' $?

echo '{"text":"\ufb01ne"}' >"$tmp/lig"
exits 0 'nfc' llm-normalize "$tmp/lig"
prints 'a ligature stays' <"$tmp/lig"
exits 0 'nfkc' llm-normalize -t nfkc "$tmp/lig"
prints 'a ligature goes' <<'EOT'
{"text":"fine"}
EOT
echo '{"text":"e\u0301"}' >"$tmp/nfd"
exits 0 'none' llm-normalize -t none "$tmp/nfd"
prints 'no form' <"$tmp/nfd"
exits 0 'another key' llm-normalize -f body --stats "$tmp/stats" - <<'EOT'
{"body":"a  b","text":"a  b"}
EOT
prints 'only that key' <<'EOT'
{"body":"a b","text":"a  b"}
EOT
grep -q '"changed": 1' "$tmp/stats"
result 'stats count the change' $?

exits 0 'empty input' llm-normalize /dev/null
prints 'nothing is printed' </dev/null
printf '%s\n' '{"text":"a  b"}' '{"id":1}' 'bad' >"$tmp/bad"
exits 2 'a bad record' llm-normalize "$tmp/bad"
grep -q "bad:2: .*'text'" "$tmp/err"
result 'message names file and line' $?
exits 1 'bad records with -k' llm-normalize -k "$tmp/bad"
prints 'the good one is there' <<'EOT'
{"text":"a b"}
EOT
exits 2 'an unknown form' llm-normalize -t nfd "$tmp/in"
exits 2 'unknown option' llm-normalize --nope
exits 2 'missing file' llm-normalize "$tmp/none"
exits 2 'full disk' sh -c 'exec llm-normalize "$1" >/dev/full' sh "$tmp/in"
i=0
while test $i -lt 400
do
	sed "s/lait/lait $i/" "$tmp/in"
	i=$((i + 1))
done >"$tmp/many"
llm-normalize "$tmp/many" >"$tmp/j1"
llm-normalize -j 4 "$tmp/many" >"$tmp/j4"
cmp -s "$tmp/j1" "$tmp/j4" && test -s "$tmp/j4"
result '-j4 gives the bytes of -j1' $?
llm-normalize "$tmp/many" "$tmp/many" "$tmp/many" | head -n 1 >/dev/null
result 'a closed pipe is no failure' $?

for kind in malloc read write
do
	faults $kind "$tmp/o" "a failing $kind is told" llm-normalize -o "$tmp/o" "$tmp/in"
done

done_testing
