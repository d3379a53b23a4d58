#!/bin/sh
. "$(dirname "$0")/../lib.sh"

cat >"$tmp/in" <<'EOT'
{"id":1,"text":"Write to jane@acme.com or call (415) 867-5309.","n": 1}
{"id":2, "text" : "Nothing h\u0065re: v1.2.3.4, ISBN 978-0-19-853453-1."}
{"id":3,"text":"é «jane@acme.com»\t\ud83d\ude00 81.2.69.142\n","x":"jane@acme.com"}
{"id":4,"text":"10.1.2.3 4111 1111 1111 1111"}
EOT
exits 0 'by default' llm-redact "$tmp/in"
prints 'tags, and all else as it was' <<'EOT'
{"id":1,"text":"Write to <EMAIL> or call <PHONE>.","n": 1}
{"id":2, "text" : "Nothing h\u0065re: v1.2.3.4, ISBN 978-0-19-853453-1."}
{"id":3,"text":"é «<EMAIL>»\t😀 <IPV4>\n","x":"jane@acme.com"}
{"id":4,"text":"10.1.2.3 <CARD>"}
EOT
llm-redact "$tmp/out" >"$tmp/twice"
cmp -s "$tmp/out" "$tmp/twice"
result 'twice is once' $?
exits 0 'mask' llm-redact -t mask -r email "$tmp/in"
grep -q '"Write to \*\*\*\* or call (415) 867-5309."' "$tmp/out"
result 'one kind, masked' $?
exits 0 'drop' llm-redact -t drop -r -email "$tmp/in"
grep -q '"Write to jane@acme.com or call ."' "$tmp/out"
result 'all kinds but one, cut out' $?
exits 0 'tags of our own' llm-redact --tag 'email= |||EMAIL_ADDRESS||| ' --tag 'phone=' "$tmp/in"
grep -q '"Write to  |||EMAIL_ADDRESS|||  or call ."' "$tmp/out"
result 'are written' $?
exits 0 'local' llm-redact --local "$tmp/in"
grep -q '"<IPV4> <CARD>"' "$tmp/out"
result 'private addresses too' $?

exits 0 'keep and record' llm-redact -t keep --spans pii --stats "$tmp/stats" "$tmp/in"
prints 'places are characters' <<'EOT'
{"id":1,"text":"Write to jane@acme.com or call (415) 867-5309.","n": 1,"pii":[{"kind":"email","start":9,"end":22},{"kind":"phone","start":31,"end":45}]}
{"id":2, "text" : "Nothing h\u0065re: v1.2.3.4, ISBN 978-0-19-853453-1.","pii":[]}
{"id":3,"text":"é «jane@acme.com»\t\ud83d\ude00 81.2.69.142\n","x":"jane@acme.com","pii":[{"kind":"email","start":3,"end":16},{"kind":"ipv4","start":20,"end":31}]}
{"id":4,"text":"10.1.2.3 4111 1111 1111 1111","pii":[{"kind":"card","start":9,"end":28}]}
EOT
grep -q '"email": 2' "$tmp/stats" && grep -q '"iban": 0' "$tmp/stats"
result 'and counted' $?
exits 0 'record what is written' llm-redact --spans pii "$tmp/in"
grep -q '"pii":\[{"kind":"email","start":9,"end":16},{"kind":"phone","start":25,"end":32}\]' "$tmp/out"
result 'places are those of the output' $?
exits 0 'at most one' llm-redact --max-spans 1 --spans pii --rest "$tmp/rest" "$tmp/in"
test "$(wc -l <"$tmp/out")" -eq 2 && grep -q '"id":3.*jane@acme.com»' "$tmp/rest" &&
    grep -q '"id":4,"text":"10.1.2.3 <CARD>"' "$tmp/out"
result 'two are dropped as they were' $?
exits 0 'at most none' llm-redact --max-spans 0 "$tmp/in"
test "$(wc -l <"$tmp/out")" -eq 1
result 'one is left' $?

printf 'a secret of some length' >"$tmp/key"
printf 'another secret of some length' >"$tmp/key2"
exits 0 'pseudonyms' llm-redact -t pseudonym --key "$tmp/key" "$tmp/in"
cp "$tmp/out" "$tmp/p1"
! sed 's/"x":"jane@acme.com"//' "$tmp/p1" | grep -q 'acme\|867-53\|4111 1111\|81\.2\.69'
result 'no value is left' $?
grep -oE '[a-z]+\.[a-z]+@example\.(com|net|org)' "$tmp/p1" | sort | uniq -c | grep -q '^ *2 '
result 'one address has one pseudonym' $?
grep -qE '\([2-9][0-9]{2}\) 555-01[0-9]{2}\.' "$tmp/p1" &&
    grep -qE '"10\.1\.2\.3 4[0-9]{3}( [0-9]{4}){3}"' "$tmp/p1"
result 'and each its form' $?
llm-redact -t keep --spans s "$tmp/p1" | grep -q '"kind":"card"'
result 'a card number passes the check' $?
llm-redact -t pseudonym --key "$tmp/key" -j 4 "$tmp/in" | cmp -s - "$tmp/p1"
result 'the same again' $?
! llm-redact -t pseudonym --key "$tmp/key2" "$tmp/in" | cmp -s - "$tmp/p1"
result 'another key gives others' $?
exits 2 'no key' llm-redact -t pseudonym "$tmp/in"
printf short >"$tmp/short"
exits 2 'a short key' llm-redact -t pseudonym --key "$tmp/short" "$tmp/in"
grep -q 'short: a key has at least 16 bytes' "$tmp/err"
result 'is named' $?
exits 2 'a key that is not there' llm-redact -t pseudonym --key "$tmp/none" "$tmp/in"
exits 2 'a key without pseudonyms' llm-redact --key "$tmp/key" "$tmp/in"

# The labelled sets: their text is as it was but for the labels.
gzip -dc "$data/pii/seen.jsonl.gz" | head -n 300 >"$tmp/set"
llm-redact -t keep --spans s "$tmp/set" >"$tmp/kept"
perl -e '
	use strict; use warnings;
	open my $kept, "<:utf8", $ARGV[0] or die; open my $cut, "<:utf8", $ARGV[1] or die;
	my $bad = 0;
	while (my $k = <$kept>) {
		my $c = <$cut>;
		my ($text) = $k =~ /"text": "((?:[^"\\]|\\.)*)"/;
		my ($left) = $c =~ /"text": ?"((?:[^"\\]|\\.)*)"/;
		my @s;
		push @s, [$1, $2] while $k =~ /"start":(\d+),"end":(\d+)/g;
		s/\\u([0-9a-f]{4})/chr hex $1/ge, s/\\([\\"\/nt])/{ n => "\n", t => "\t" }->{$1} || $1/ge
		    for $text, $left;
		substr($text, $_->[0], $_->[1] - $_->[0]) = "" for reverse @s;
		$bad++ if $text ne $left;
	}
	exit($bad != 0)' "$tmp/kept" /dev/stdin <<EOT
$(llm-redact -t drop "$tmp/set")
EOT
result 'text is what is left of it without the spans' $?

i=0
while test $i -lt 300
do
	sed "s/jane/jane$i/" "$tmp/in"
	i=$((i + 1))
done >"$tmp/many"
llm-redact --spans s --max-spans 1 --rest "$tmp/r1" "$tmp/many" >"$tmp/j1"
llm-redact --spans s --max-spans 1 --rest "$tmp/r4" -j 4 "$tmp/many" >"$tmp/j4"
cmp -s "$tmp/j1" "$tmp/j4" && cmp -s "$tmp/r1" "$tmp/r4" && test -s "$tmp/r4"
result '-j4 gives the bytes of -j1' $?
llm-sample -n 100% "$tmp/j1" >/dev/null
result 'the output is read back' $?

exits 0 'list' llm-redact --list
test "$(awk -F '\t' 'NF != 2' "$tmp/out" | wc -l)" -eq 0
result 'two columns' $?
missing=0
for kind in $(sed 1d "$tmp/out" | cut -f 1)
do
	grep -qE "^\.It Cm ([a-z0-9]+ , )?$kind( ,.*)?$" "$(dirname "$0")/../../man/llm-redact.1" || missing=1
done
result 'every kind is on the page' "$missing"

exits 0 'empty input' llm-redact /dev/null
prints 'nothing is printed' </dev/null
printf '%s\n' '{"text":"a@b.com"}' '{"id":1}' 'bad' >"$tmp/bad"
exits 2 'a bad record' llm-redact "$tmp/bad"
exits 1 'bad records with -k' llm-redact -k "$tmp/bad"
prints 'the good one is there' <<'EOT'
{"text":"<EMAIL>"}
EOT
exits 2 'an unknown kind' llm-redact -r email,name "$tmp/in"
grep -q "no kind 'name'" "$tmp/err"
result 'and it is named' $?
exits 2 'an unknown method' llm-redact -t hash "$tmp/in"
exits 2 'a tag without text' llm-redact --tag email "$tmp/in"
exits 2 'a tag of no kind' llm-redact --tag name=x "$tmp/in"
exits 2 'fewer than none' llm-redact --max-spans -1 "$tmp/in"
exits 2 'unknown option' llm-redact --nope
exits 2 'missing file' llm-redact "$tmp/none"
exits 2 'full disk' sh -c 'exec llm-redact "$1" >/dev/full' sh "$tmp/in"
llm-redact "$tmp/many" "$tmp/many" | head -n 1 >/dev/null
result 'a closed pipe is no failure' $?

for kind in malloc read write
do
	faults $kind "$tmp/o" "a failing $kind is told" \
	    llm-redact -t pseudonym --key "$tmp/key" --spans s -o "$tmp/o" "$tmp/in"
done

done_testing
