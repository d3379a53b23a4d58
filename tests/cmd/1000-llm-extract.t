#!/bin/sh
. "$(dirname "$0")/../lib.sh"
good=$data/archive/good
bad=$data/archive/bad
cd "$tmp" || exit 1

# field KEY FILE: the values of a key, a line each, without quotes
field () {
	sed -n "s/.*\"$1\":\"\(\([^\"\\\\]\|\\\\.\)*\)\".*/\1/p" "$2"
}

# Containers: two documents each, the same texts and names.
cat >two <<'END'
A note in plain text.\n
A page\n\nThe first paragraph of the page.\n
END
for f in "$good"/*.tar "$good"/*.tar.* "$good"/*.zip "$good"/*.7z "$good"/*.cpio "$good"/*.ar
do
	name=$(basename "$f")
	case $name in names.tar|nested.zip|utf8.zip) continue ;; esac
	llm-extract "$f" >out
	field text out | cmp -s - two && case $(field source out) in
	*"$name!a/b/note.txt"*"$name!a/page.html"|*"$name!note.txt"*"$name!page.html") ;;
	*) false ;;
	esac
	result "$name" $?
	# A pipe cannot seek, and a zip then shows its link as a file.
	case $name in *.7z|*.zip) continue ;; esac
	cat "$f" | llm-extract - | field text /dev/stdin | cmp -s - two
	result "$name from a pipe" $?
done
exits 2 'a 7z from a pipe' sh -c "cat '$good/lzma.7z' | llm-extract"

exits 0 'a compressed page' llm-extract "$good/page.html.gz" "$good/note.txt.xz"
test "$(field source out)" = "$good/page.html.gz
$good/note.txt.xz"
result 'a compressed file has its own name as source' $?
exits 0 'a Debian package' llm-extract "$good/x.deb"
test "$(field source out)" = "$good/x.deb!usr/share/doc/x/index.html"
result 'only the data of a package, without data.tar in the source' $?

exits 0 'archives in an archive' llm-extract "$good/nested.zip"
test "$(field source out | grep -c 'nested.zip!.*!a/page.html')" -eq 3 &&
    grep -q 'nested.zip!x.deb!usr' out && grep -q 'nested.zip!page.html.gz"' out
result 'all are entered' $?
exits 2 'archives deeper than --depth' llm-extract --depth 1 "$good/nested.zip"
grep -q 'nested.zip!ustar.tar.gz: archives in archives beyond 1 levels (--depth)' err
result 'the message names the inner archive' $?
exits 1 '--depth with -k' llm-extract -k --depth 2 "$good/nested.zip"
test "$(grep -c . out)" -eq 8 && test "$(grep -c . err)" -eq 1
result 'the rest is kept' $?

exits 0 'names that climb' llm-extract "$good/names.tar"
cat >want <<'END'
names.tar!etc/escape.txt
names.tar!absolute/path/x.txt
names.tar!?
END
field source out | sed 's|.*/archive/good/||' | cmp -s - want
result 'are labels without ".." and "/", and links are passed over' $?
LC_ALL=C llm-extract "$good/utf8.zip" | grep -q 'utf8.zip!café/naïve.txt'
result 'names are UTF-8 in any locale' $?

# Damage.
for f in "$bad"/truncated* "$bad"/crc.zip "$bad"/encrypted*
do
	name=$(basename "$f")
	exits 2 "$name" llm-extract "$f"
	grep -q "^llm-extract: .*$name[^:]*: ." err && test "$(grep -c . err)" -eq 1
	result "$name: one message with a cause" $?
	exits 1 "$name with -k" llm-extract -k "$f" "$good/note.txt.xz"
	tail -n 1 out | grep -q note.txt.xz
	result "$name: what follows is read" $?
done
exits 1 'a bad checksum' llm-extract -k "$bad/crc.zip"
test "$(field source out | sed 's/.*!//')" = a/page.html
result 'the other entries are read' $?
grep -q encrypted err || llm-extract "$bad/encrypted.zip" 2>&1 | grep -q ': encrypted$'
result 'an encrypted archive says so' $?
exits 1 '--bad' llm-extract -q --bad failures "$bad/crc.zip"
grep -q '^{"source":".*crc.zip!a/b/note.txt","error":"ZIP bad CRC.*"}$' failures && test ! -s err
result 'has source and cause, and -q is silent' $?
exits 0 '--max-bad' llm-extract -q --max-bad 0.5 "$bad/crc.zip"

# 290 MB of letters in 1.3 MB: a disk full, if it were written.
head -c 290000000 /dev/zero | tr '\0' 'a' | gzip -1 >letters.gz
exits 2 'a bomb of text' llm-extract --max-size 1G --max-ratio 200 letters.gz
grep -q 'letters.gz: content grows over 200 times (--max-ratio)' err
result 'says what it is' $?
exits 1 'a bomb with -k' llm-extract -k --max-size 1G --max-ratio 200 letters.gz "$good/x.deb"
test "$(grep -c . out)" -eq 1
result 'the next operand is read' $?
rm -f letters.gz
head -c 3000 /dev/zero | tr '\0' 'b' >long.txt
exits 2 'a document over --max-size' llm-extract --max-size 2k long.txt
grep -q 'long.txt: longer than 2048 bytes (--max-size)' err
result 'names the limit' $?

# Directories.
mkdir -p dir/b dir/a/deep empty
echo 'Second.' >dir/b/2.txt
echo 'First.' >dir/a/deep/1.txt
echo 'Third, with a dash.' >dir/b-3.txt
printf '\177ELF\2\1\1\0\0\0\0\0' >dir/program
echo 'body { color: red }' >dir/style.css
: >dir/nothing.txt
ln -s ../b dir/a/loop
ln -s . dir/self
ln -s /etc/passwd dir/passwd
mkfifo dir/fifo
exits 0 'a directory' llm-extract --stats stats dir
test "$(field source out)" = 'dir/a/deep/1.txt
dir/b/2.txt
dir/b-3.txt'
result 'in byte order of names' $?
for count in '"binary": 1' '"assets": 1' '"empty": 1' '"links": 3' '"special": 1' \
    '"records_out": 3' '"text_bytes_out": 35'
do
	grep -q "$count[,}]" stats
	result "--stats counts $count" $?
done
ln -s dir operand
llm-extract operand | grep -q operand/b/2.txt
result 'a link as an operand is followed' $?
exits 0 'an empty directory' llm-extract empty
test ! -s out
result 'gives nothing' $?
exits 0 '--exclude' llm-extract --exclude b dir
test "$(field source out)" = 'dir/a/deep/1.txt
dir/b-3.txt'
result 'passes over a directory' $?
exits 0 '--include' llm-extract --include '*-*.txt' --include style.css dir
test "$(field source out)" = 'dir/b-3.txt
dir/style.css'
result 'takes what is named' $?
exits 0 'in an archive' llm-extract --include b --exclude note.txt "$good/ustar.tar"
test ! -s out
result 'patterns hold for names inside' $?
exits 0 '--min-bytes' llm-extract --min-bytes 8 dir
test "$(grep -c . out)" -eq 2
result 'drops short documents' $?
if test "$(id -u)" -ne 0
then
	chmod 0 dir/b/2.txt
	exits 2 'an unreadable file' llm-extract dir
	exits 1 'an unreadable file with -k' llm-extract -k dir
	chmod 600 dir/b/2.txt
fi

# Formats and encodings, against what they should be.
for f in "$data"/html/good/*ml "$data"/roff/good/*.1 "$data"/encoding/good/*.txt \
    "$data"/encoding/good/*ml
do
	for form in text markdown
	do
		test -f "$f.$form" || continue
		llm-extract -F $form "$f" >out
		# As the golden file has it: the keys, a line of dashes, the text.
		{
			for key in title url language
			do
				field $key out | sed "s/^/$key: /"
			done
			test -s out && echo ---
			field text out | sed 's/\\n$//; s/\\"/"/g; s/\\n/\n/g; s/\\t/\t/g; s/\\\\/\\/g'
		} >got
		cmp -s got "$f.$form"
		result "$(basename "$f") as $form" $? || diff got "$f.$form" | sed 's/^/# /'
	done
done
for f in "$data"/encoding/bad/*
do
	case $f in *unknown.html) continue ;; esac
	exits 0 "$(basename "$f")" llm-extract "$f"
	test ! -s out
	result "$(basename "$f") is no text" $?
done

# Pages made to hurt: in time, and without a crash.
for i in div 'span><div></span' 'table><tr><td' 'b a=$i><font' '!--' svg select title '![CDATA['
do
	awk -v t="<$i>" 'BEGIN { for (i = 0; i < 200000; i++) printf "%s", t; print "x" }' >nest.html
	timeout 60 llm-extract nest.html >/dev/null
	result "200000 times <$i>" $?
done

# JSON lines.
cat >r.jsonl <<'END'
{"id": "a", "body": "One.", "n": 1.50}
{"body": "Two \u00e9.", "source": "there", "text": "old"}

{"body": 3}
END
exits 2 'JSON lines with a bad one' llm-extract -f body r.jsonl
grep -q 'r.jsonl:4: ' err
result 'the message has the line' $?
exits 1 'JSON lines with -k' llm-extract -k -f body r.jsonl
prints 'text is moved, the rest stays' <<'END'
{"id": "a", "n": 1.50,"text":"One.","source":"r.jsonl:1"}
{"source": "there", "text": "Two \u00e9.","id":"f55f1c4c1070e69b6d9f0b136431f3c1"}
END
echo '{"id":"x","text":"Kept.","source":"y"}' >same.jsonl
exits 0 'records that are whole' llm-extract same.jsonl
cmp -s out same.jsonl
result 'stay byte for byte' $?
awk 'BEGIN { for (i = 0; i < 60000; i++) printf "{\"n\":%d,\"text\":\"line number %d of a longer file\"}\n", i, i }' >many.jsonl
llm-extract many.jsonl >one
test "$(grep -c . one)" -eq 60000 && tail -n 1 one | grep -q '"source":"many.jsonl:60000"'
result 'a file in pieces keeps its line numbers' $?

# What every tool does.
llm-extract -j 4 many.jsonl dir "$good" >four
llm-extract -j 1 many.jsonl dir "$good" >one
cmp -s one four
result '-j4 gives the bytes of -j1' $?
llm-extract -j 3 -k "$bad" >four 2>err4
llm-extract -k "$bad" >one 2>err1
cmp -s one four && cmp -s err1 err4
result 'with failures too' $?
exits 0 'empty input' llm-extract /dev/null
test ! -s out
result 'gives nothing' $?
exits 0 'text from the standard input' sh -c 'echo Words. | llm-extract'
grep -q '"text":"Words.\\n","source":"-"' out
result 'has "-" as source' $?
exits 2 'a missing file' llm-extract nothing-here
grep -q '^llm-extract: nothing-here: ' err
result 'is named' $?
exits 1 'a missing file with -k' llm-extract -k nothing-here dir
test "$(grep -c . out)" -eq 3
result 'the rest is read' $?
exits 2 'an unknown option' llm-extract --no-such-option
exits 2 'an unknown format' llm-extract -F pdf dir
exits 2 'a full disk' sh -c 'llm-extract dir >/dev/full'
llm-extract many.jsonl 2>err | head -n 1 >/dev/null
test ! -s err
result 'a closed pipe is silent' $?
exits 0 '-o and -z' llm-extract -z gzip -o out.gz dir
test "$(gzip -dc out.gz | grep -c .)" -eq 3
result 'write a compressed file' $?
exits 2 'a failure with -o' llm-extract -o half.jsonl dir nothing-here
test ! -e half.jsonl
result 'leaves no file' $?
llm-extract -h | grep -q 'archives, web pages'
result '-h' $?
done_testing
