#!/bin/sh
# llm-dedup -t url: addresses that lead to one page
. "$(dirname "$0")/../lib.sh"
cd "$tmp" || exit 2

# Are the addresses after the first all its like, or with -n, all others?
same () {
	what=$1 n=1
	shift
	if test "$1" = -n
	then
		shift
		n=$#
	fi
	printf '{"url":"%s"}\n' "$@" | llm-dedup -t url >out
	test "$(wc -l <out)" -eq $n
	result "$what" $?
}
same 'scheme, user, www, port, dot' https://example.org/a http://example.org/a \
    HTTPS://Example.ORG:443/a http://www.example.org.:80/a//// //example.org/a example.org/a \
    https://me:secret@example.org/a ' https://example.org/a\n'
same 'the front page' https://example.org https://example.org/ 'https://example.org?' \
    'http://example.org/#top' 'example.org/.'
same 'segments' https://example.org/a/c https://example.org/a/./b/../c https://example.org/x/../a/c/
same 'too many ..' https://example.org/a https://example.org/../../a
same 'parameters in any order, none that track' 'https://example.org/p?a=1&b=2' \
    'https://example.org/p?b=2&a=1' 'https://example.org/p?utm_source=x&a=1&b=2&UTM_id=3' \
    'https://example.org/p?a=1&fbclid=Ab&&b=2&gclid=' 'https://example.org/p/?a=1&b=2#x'
same 'session ids' https://example.org/p 'https://example.org/p;jsessionid=1F' \
    'https://example.org/p?PHPSESSID=7'
same '%XX' https://example.org/~me/%E4 'https://example.org/%7eme/%e4' 'https://example.org/%7Em%65/%E4'
same 'what counts' -n https://example.org/a https://example.org/A https://example.org/a.html \
    https://example.org:8080/a http://example.org:443/a 'https://example.org/a?b' \
    'https://example.org/a?b=' 'https://example.org/a?fb=1' 'https://example.org/%2Fa' \
    https://sub.example.org/a 'https://example.org/#!/a' mailto:me@example.org \
    ftp://example.org/a '' '%' 'https://example.org/%' 'https://example.org/a%2'
same 'other schemes' mailto:me@example.org MAILTO:me@example.org#x
printf '%s\n' '{"id":1,"link":"a.org/x"}' '{"id":2,"link":"https://a.org/x#y"}' >in.jsonl
exits 0 'another key' llm-dedup -t url -f link --clusters pairs in.jsonl
prints 'the first is kept' <<'EOS'
{"id":1,"link":"a.org/x"}
EOS
cp pairs out
prints 'the clusters' <<'EOS'
{"id":2,"index":1,"kept_id":1,"kept_index":0,"jaccard":1,"method":"url"}
EOS
exits 0 'an index' llm-dedup -t url -f link --index seen -o first.jsonl in.jsonl
exits 0 'the index again' llm-dedup -t url -f link --index seen -o second.jsonl in.jsonl
test -f second.jsonl && ! test -s second.jsonl
result 'what earlier runs kept is dropped' $?

done_testing
