#!/bin/sh
# llm-extract: web archives, PDF, and what is made to hurt.
. "$(dirname "$0")/../lib.sh"
good=$data/warc/good
bad=$data/warc/bad
cd "$tmp" || exit 1

field () {
	sed -n "s/.*\"$1\":\"\(\([^\"\\\\]\|\\\\.\)*\)\".*/\1/p" "$2"
}

# What warcio reads, without the failure and the picture.
grep -v 'missing\|picture' "$data/warc/x.warc.tsv" | cut -f 1-3 >want
for f in x.warc x.warc.gz
do
	exits 0 "$f" llm-extract --stats stats "$good/$f"
	for key in id url date
	do
		field $key out >$key
	done
	paste id url date | cmp -s - want
	result "$f: identifiers, addresses and dates as warcio reads them" $?
	test "$(field text out | sort -u | grep -c .)" -eq 3
	result "$f: chunks, compression and charsets are undone" $?
	grep -q '"text":"Вода приходит' out
	result "$f: the charset of the header" $?
	for count in '"records_out": 10' '"status": 1' '"types": 1' '"other_records": 2'
	do
		grep -q "$count[,}]" stats
		result "$f: --stats counts $count" $?
	done
done
test "$(field source out | sed 's/.*!//' | head -n 2)" = '504
1014'
result 'the source has the offset of the gzip member' $?
llm-extract "$good/x.warc" | sed 's/"source":"[^"]*",//' >plain
gzip -dc "$good/x.warc.gz" | zstd -q >x.zst
gzip -dc "$good/x.warc.gz" | gzip >whole.gz
tar -cf in.tar -C "$good" x.warc.gz
for f in x.zst whole.gz in.tar
do
	llm-extract "$f" | sed 's/"source":"[^"]*",//' | cmp -s - plain
	result "$f gives the same" $?
done
llm-extract whole.gz | head -n 1 | grep -q '"source":"whole.gz!0+'
result 'in one gzip member the offset is that in it' $?
for f in v1 v2
do
	exits 0 "$f.arc" llm-extract "$good/$f.arc"
	test "$(field url out)" = 'http://example.com/one
http://example.com/two' && test "$(field date out | sort -u)" = 2002-01-02T03:04:05Z
	result "$f.arc: addresses and dates" $?
	sed 's/"source":"[^"]*",//' out >one
	llm-extract "$good/$f.arc.gz" | sed 's/"source":"[^"]*",//' | cmp -s - one
	result "$f.arc.gz is the same" $?
done
exits 0 'patterns of addresses' llm-extract --include '*.org/[a-d]*' --exclude '*/both' \
    "$good/x.warc"
test "$(field url out)" = 'http://example.org/chunked
http://example.org/deflate
http://example.org/decoded'
result 'choose records' $?
exits 0 'a record over --max-size' llm-extract --max-size 8k --stats stats "$good/x.warc.gz"
grep -q '"records_out": 9,.*"large_records": 1[,}]' stats
result 'is passed over and counted' $?

# Damage: a message with file and offset, and the records behind it.
while read -r name records offset
do
	exits 2 "$name" llm-extract "$bad/$name"
	grep -q "^llm-extract: .*$name!$offset: ." err && test "$(grep -c . err)" -eq 1
	result "$name: one message, with the offset" $?
	exits 1 "$name with -k" llm-extract -k "$bad/$name"
	test "$(grep -c . out)" -eq "$records"
	result "$name: the $records records before and behind are read" $?
done <<'END'
damaged.warc.gz 9 2173
garbage.warc.gz 10 504
header.warc 1 1382
length.arc 2 591
long.warc 3 11889
nolength.warc 9 2201
short.warc 9 2574
truncated.warc 5 4343
truncated.warc.gz 4 2824
END
for j in 1 4
do
	llm-extract -j $j -k "$bad" "$good" >out$j 2>err$j
done
cmp -s out1 out4 && cmp -s err1 err4
result '-j4 gives the bytes and messages of -j1' $?

# Made to hurt.
head -c 300000000 /dev/zero >zeros
{
	printf 'WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 300000000\r\n\r\n'
	cat zeros
	printf '\r\n\r\n'
} | gzip -1 >bomb.warc.gz
cat "$good/x.warc.gz" >>bomb.warc.gz
exits 2 'a record that is a bomb' llm-extract --max-ratio 100 bomb.warc.gz
grep -q 'bomb.warc.gz![0-9]*: content grows over 100 times (--max-ratio)' err
result 'says so' $?
exits 0 'a record of 300 MB' llm-extract bomb.warc.gz
test "$(grep -c . out)" -eq 10
result 'is passed over' $?
gzip -1 <zeros >zeros.gz
{
	printf 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n'
	cat zeros.gz
} >block
{
	printf 'WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x/\r\n'
	printf 'Content-Type: application/http\r\nContent-Length: %d\r\n\r\n' "$(wc -c <block)"
	cat block
	printf '\r\n\r\n'
	cat "$good/x.warc"
} >inside.warc
exits 1 'a bomb in a response' llm-extract -k inside.warc
grep -q 'inside.warc!0: longer than 67108864 bytes (--max-size) when inflated' err &&
    test "$(grep -c . out)" -eq 10
result 'ends in a message, and the rest is read' $?
rm -f zeros zeros.gz block bomb.warc.gz inside.warc
yes 'no line ends here ' | tr -d '\n' | head -c 1000000000 >line.txt
for lead in '' 'WARC/1.0 ' '{"text":"' '<html>'
do
	{ printf '%s' "$lead"; cat line.txt; } | llm-extract >out 2>err
	test $? -eq 2 && grep -q '^llm-extract: -[!0-9]*: \(longer than\|truncated header\|a line of more\)' \
	    err
	result "a line of 1 GB after '$lead' ends in a message" $? || sed 's/^/# /' err
done
rm -f line.txt
awk 'BEGIN { for (i = 0; i < 3000000; i++) printf "<b><i><a href=x><div>" }' >slow.html
exits 2 '--timeout' llm-extract --timeout 0.05 slow.html
grep -q '^llm-extract: slow.html: takes more than 0.05 seconds (--timeout)$' err
result 'names the document' $?
exits 1 '--timeout with -k' llm-extract -j 2 -k --timeout 0.05 slow.html "$good/x.warc" slow.html
test "$(grep -c . out)" -eq 10 && test "$(grep -c timeout err)" -eq 2
result 'the rest is read' $?
rm -f slow.html

# PDF: one page, written by hand; and where there is no pdftotext.
cat >page.pdf <<'END'
%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>endobj
4 0 obj<</Length 51>>stream
BT /F 12 Tf 20 100 Td (A page of a document.) Tj ET
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
trailer<</Root 1 0 R>>
END
mkdir -p path
ln -s "$(command -v llm-extract)" path/
exits 0 'PDF without pdftotext' env PATH="$tmp/path" llm-extract page.pdf "$good/x.warc"
grep -q 'PDF files passed over, for there is no pdftotext' err && test "$(grep -c . out)" -eq 10
result 'is said, and passed over' $?
if command -v pdftotext >/dev/null
then
	exits 0 'PDF' llm-extract page.pdf
	grep -q '"text":"A page of a document\.\\n"' out
	result 'is text' $?
	head -c 60 page.pdf >bad.pdf
	exits 2 'a damaged PDF' llm-extract bad.pdf
	grep -q '^llm-extract: bad.pdf: a PDF that pdftotext cannot read$' err
	result 'is named' $?
fi
printf '#!/bin/sh\nexec sleep 100\n' >path/pdftotext
chmod +x path/pdftotext
exits 2 'a PDF that never ends' env PATH="$tmp/path:$PATH" llm-extract --timeout 0.2 page.pdf
grep -q 'page.pdf: takes more than 0.2 seconds (--timeout)' err
result 'is left' $?
printf '#!/bin/sh\nexec yes\n' >path/pdftotext
exits 2 'a PDF of endless text' env PATH="$tmp/path:$PATH" llm-extract --max-size 1M page.pdf
grep -q 'page.pdf: text of more than 1048576 bytes (--max-size)' err
result 'is left too' $?
done_testing
