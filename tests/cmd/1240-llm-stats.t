#!/bin/sh
. "$(dirname "$0")/../lib.sh"

cat >"$tmp/in" <<'EOT'
{"id":1,"text":"one two three\nfour\n\nfour","url":"https://www.Example.org:80/a","language":"en","language_score":0.5}
{"id":2,"text":"one two three","url":"http://user@example.org?x","language":"de","language_score":0.9,"q":{"n":-3}}
{"id":3,"text":"one two three","url":"ftp://b.net","source":"s \"1\""}
{"id":4,"text":"","llm":{"x":1,"filter":{"rule":"a.b","value":2,"limit":3}}}
EOT

# value CORPUS WHAT KEY MEASURE WANT: a row of the table in $tmp/out
value () {
	got=$(awk -F '\t' -v c="$1" -v w="$2" -v k="$3" -v m="$4" \
	    '$1 == c && $2 == w && $3 == k && $4 == m { print $5 }' "$tmp/out")
	test "$got" = "$5"
	result "$1: $2 $3 $4 is $5" $?
	test "$got" = "$5" || echo "# it is '$got'"
}

exits 0 'a table' llm-stats -F tsv a="$tmp/in"
awk -F '\t' 'NF != 5' "$tmp/out" | grep -q .
test $? -eq 1
result 'five columns' $?
value a records '' total 4
value a bytes '' total "$(wc -c <"$tmp/in")"
value a text_bytes '' total 50
value a words '' total 11
value a lines '' total 5
value a texts '' repeats 1
value a texts '' repeated_bytes 13
value a text_lines '' repeats 3
value a text_lines '' repeated_bytes 30
value a vocabulary '' distinct 4
value a domains example.org count 2
value a domains b.net count 1
value a languages de count 1
value a sources 's "1"' count 1
value a repeated_lines 'one two three' count 3
value a repeated_lines four count 2
value a field characters max 24
value a field characters min 0
value a field characters p50 13
value a field words mean 2.75
value a field .language_score mean 0.7
value a field .q.n min -3
value a field .llm.filter.value max 2
value a rules a.b records 1

head -n 2 "$tmp/in" >"$tmp/less"
exits 0 'two corpora' llm-stats -F tsv "$tmp/in" less="$tmp/less"
value less records '' total 2
value "$tmp/in" records '' total 4
exits 0 'joined' llm-stats -F tsv --join "$tmp/in" "$tmp/less"
value corpus records '' total 6
exits 0 'standard input' sh -c 'cat "$1" | llm-stats -F tsv --dropped "$2"' sh "$tmp/in" "$tmp/less"
value corpus records '' total 4
value dropped records '' total 2
exits 0 'joined, and dropped' llm-stats -F tsv --join --dropped "$tmp/less" "$tmp/in" "$data/lang/library.jsonl"
value corpus records '' total 44
value dropped records '' total 2

# A known distribution: 1 to 10000 characters, one each.
awk 'BEGIN { for (i = 1; i <= 10000; i++) { s = s (i % 60 ? "a" : " "); if (i % 10 == 0) printf "{\"text\":\"%s\",\"n\":%d}\n", s, i } }' >"$tmp/known"
exits 0 'quantiles' llm-stats -F tsv k="$tmp/known"
for q in 5:500 25:2500 50:5000 75:7500 95:9500 99:9900
do
	awk -F '\t' -v m="p${q%:*}" -v want="${q#*:}" '$2 == "field" && $3 == ".n" && $4 == m {
		found = $5 <= want && $5 >= want * (1 - 1 / 128) } END { exit !found }' "$tmp/out"
	result "p${q%:*} is within 1/128" $?
done
value k field .n mean 5005

# More distinct words than are counted exactly, each twice.
awk 'BEGIN { for (k = 0; k < 2; k++) for (i = 0; i < 20000; i++) {
	printf "{\"text\":\""
	for (j = 0; j < 60; j++) printf "w%d ", i * 60 + j
	print "\",\"url\":\"http://h" i ".org/\"}"
} }' >"$tmp/big"
exits 0 'many words' llm-stats -F tsv b="$tmp/big"
awk -F '\t' '$2 == "vocabulary" && $4 == "distinct" { x = $5 } END { exit !(x > 0.99 * 1200000 && x < 1.01 * 1200000) }' "$tmp/out"
result 'distinct ones within 1 percent' $?
awk -F '\t' '$2 == "domains" && $4 == "error" && $5 > 0 { e++ } END { exit !e }' "$tmp/out"
result 'domains have an error' $?
value b texts '' repeats 20000
cp "$tmp/out" "$tmp/j1"
llm-stats -j 4 -F tsv b="$tmp/big" | cmp -s - "$tmp/j1"
result '-j4 gives the bytes of -j1' $?

llm-filter -r gopher --rest "$tmp/rest" "$tmp/in" >"$tmp/kept"
for form in text json tsv html
do
	llm-stats -F $form --dropped "$tmp/rest" "$tmp/in" "$tmp/kept" >"$tmp/$form.1" &&
	    llm-stats -j 3 -F $form --dropped "$tmp/rest" "$tmp/in" "$tmp/kept" | cmp -s - "$tmp/$form.1"
	result "$form: -j3 gives the bytes of -j1" $?
done
grep -q '^dropped, by rule, of 4' "$tmp/text.1" && grep -q 'gopher.min-words' "$tmp/text.1"
result 'text says why' $?
perl -MJSON::PP -0777 -ne '$r = decode_json($_); exit !($r->{dropped}{rules}[0]{examples}[0]{value} eq "0, limit 50" || @{$r->{dropped}{rules}} >= 1); ' "$tmp/json.1"
result 'JSON is read' $?
printf '{"text":"<script>alert(1)</script> & \\"x\\"","url":"http://<b>/"}\n' >"$tmp/evil"
exits 0 'HTML' llm-stats -F html --dropped "$tmp/evil" "$tmp/evil"
! grep -q '<script\|http://\|https://\|<b>/' "$tmp/out" && grep -q '&lt;script&gt;alert' "$tmp/out"
result 'texts are escaped, and nothing comes from elsewhere' $?
exits 0 'empty input' llm-stats /dev/null
exits 0 'empty input as HTML' llm-stats -F html /dev/null
printf '%s\n' '{"text":"one two"}' '{"id":1}' 'bad' >"$tmp/bad"
exits 2 'a bad record' llm-stats "$tmp/bad"
exits 1 'bad records with -k' llm-stats -k -F tsv bad="$tmp/bad"
value bad records '' total 1
exits 2 'no such format' llm-stats -F xml "$tmp/in"
exits 2 'the same file twice' llm-stats "$tmp/in" "$tmp/in"
exits 2 'nine corpora' llm-stats 1 2 3 4 5 6 7 8 9
exits 2 'no such tokenizer' llm-stats -m "$tmp/none" "$tmp/in"
exits 2 'unknown option' llm-stats --nope
exits 2 'missing file' llm-stats "$tmp/none"
exits 2 'full disk' sh -c 'exec llm-stats "$1" >/dev/full' sh "$tmp/in"
exits 0 'to a file' llm-stats -o "$tmp/o" "$tmp/in"
test -s "$tmp/o"
result 'it is there' $?

for kind in malloc read write
do
	faults $kind "$tmp/o" "a failing $kind is told" \
	    llm-stats -F html --dropped "$tmp/less" -o "$tmp/o" "$tmp/in"
done

done_testing
