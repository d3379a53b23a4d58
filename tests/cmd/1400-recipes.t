#!/bin/sh
# The recipes of curation, from a crawl and from several sources to records that train
. "$(dirname "$0")/../lib.sh"
recipes=$(cd "$(dirname "$0")/../../scripts/recipes" && pwd)
cd "$tmp" || exit 1

cats='The cat sat on the mat, and it was glad to be there with all of its friends.
When the sun rose, they went out to the field and played until noon.
Is that not a good life? I think that it is, but others may not agree.
Some cats have a house of their own; most have to share it with people.
They like it that way, and so do we, for what would an evening be without them?
Write to the keeper of cats at cats@example.com if you want to know more.'
ships='A harbour needs deep water, and somebody who knows where it is shallow.
Ships that came in before the storm were safe that night, and those that were late had to wait outside.
In the morning the pilots went out again to see who had been lost.
Nobody was, as it turned out, though one captain had to be told so twice.
That is how the story was told to me, by a man with no reason to lie.
I have kept it because of the captain, and because of what he said to the pilot.'

# page URL TEXT: a WARC record of a web page
page () {
	printf 'HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n%s' \
	    "<html lang=en><head><title>A page</title></head><body><nav><a href=/>home</a></nav><article><p>$(
	    echo "$2" | sed 's|$|</p><p>|')</p></article></body></html>" >response
	printf 'WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:x:%s>\r\n' "$1"
	printf 'WARC-Target-URI: %s\r\nWARC-Date: 2026-11-29T00:00:00Z\r\n' "$1"
	printf 'Content-Type: application/http; msgtype=response\r\nContent-Length: %d\r\n\r\n' \
	    "$(wc -c <response)"
	cat response
	printf '\r\n\r\n'
}
{ page http://a.example/cats "$cats"; page http://a.example/menu 'Home. Log in.'; } >a.warc
{ page http://b.example/cats "$cats"; page http://bad.example/x "$ships"
  page http://b.example/ships "$ships"; } | gzip -c >b.warc.gz
echo bad.example >block

if command -v llm-lang >/dev/null
then
	exits 0 'FineWeb' make -f "$recipes/fineweb.mk" D=crawl WARCS='a.warc b.warc.gz' BLOCK=block
	zstd -dc crawl/fineweb.jsonl.zst | grep -o '"url":"[^"]*"' >"$tmp/out"
	prints 'each good page once' <<'EOT'
"url":"http://a.example/cats"
"url":"http://b.example/ships"
EOT
	zstd -dc crawl/fineweb.jsonl.zst | grep -c 'cats@example.com' >n
	test "$(cat n)" -eq 0
	result 'without its mail addresses' $?
	exits 0 'made' make -q -f "$recipes/fineweb.mk" D=crawl WARCS='a.warc b.warc.gz' BLOCK=block

	# records FROM TO: what differs enough from each other
	records () {
		awk -v from="$1" -v to="$2" -v text="$(printf '%s\n%s' "$cats" "$ships" | tr '\n' '~')" '
		BEGIN { n = split(text, line, "~")
		for (i = from; i < to; i++) {
			printf "{\"id\":\"%d\",\"text\":\"", i
			for (k = 1; k <= n; k++) {
				s = line[(i * 7 + k * (2 * i + 1)) % n + 1]
				gsub(/,/, " number " i * k ",", s)
				printf "%s%s", s, k < n ? "\\n" : "\"}\n"
			}
		} }'
	}
	records 0 40 >web.jsonl
	records 40 60 >wiki.jsonl
	printf '{"question":"%s","answer":"no"}\n' 'Is the moon made of green cheese, and who has said so first?' \
	    >quiz.jsonl
	records 60 61 | sed 's/"id":"60"/"id":"leak"/; s/"}$/\\nIs the Moon made of green cheese, and who has said so first?"}/' \
	    >>web.jsonl
	exits 0 'a tokenizer' llm-vocab -q -n 300 -o tok web.jsonl
	exits 0 'Dolma 3' make -f "$recipes/dolma3.mk" D=dolma WEB=web.jsonl WIKI=wiki.jsonl \
	    EVALS=quiz.jsonl TOKENS=20k BEST=50% GOOD=100%
	zstd -dc dolma/mix.jsonl.zst | grep -o '"source":"[a-z]*"' | sort -u | tr '\n' ' ' >sources
	echo "# $(cat sources)"
	grep -q good sources
	result 'has the web' $?
	cat dolma/stats/*.decontam.jsonl | grep -q '"id":"leak"'
	result 'the question is found' $?
	cat dolma/*.pure.jsonl | grep -c 'green cheese' >n
	test "$(cat n)" -eq 0
	result 'and gone' $?
else
	echo '# no llm-lang: CLD2 is not here'
fi
done_testing
