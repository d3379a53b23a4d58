#!/bin/sh
. "$(dirname "$0")/../lib.sh"
good=$data/shard/good bad=$data/shard/bad foreign=$data/shard/foreign

# What an independent writer made is read (tests/golden/shard.py).
for f in "$good"/*.shard
do
	exits 0 "$(basename "$f") verifies" llm-shard -t verify "$f"
	exits 0 'and from a pipe' sh -c 'cat "$1" | llm-shard -t verify' sh "$f"
	exits 0 'and compressed' sh -c 'gzip -c "$1" | llm-shard -t verify' sh "$f"
done
for f in "$bad"/*.shard
do
	exits 1 "bad $(basename "$f")" llm-shard -t verify "$f"
	grep -q "^llm-shard: $f: " "$tmp/err"
	result 'is named' $?
done
exits 1 'one bad of three' llm-shard -t verify -v "$good/tiny.shard" "$bad/flip.shard" \
    "$good/rows.shard"
test "$(grep -c ': good$' "$tmp/err")" = 2
result 'the others are read' $?
exits 1 'a bad one quietly' llm-shard -q -t verify "$bad/flip.shard"
test ! -s "$tmp/err"
result 'says nothing' $?

exits 0 'info' llm-shard "$good/rows.shard"
sed 's,^/.*/,,' "$tmp/out" >"$tmp/o" && mv "$tmp/o" "$tmp/out"
prints 'for people' <<'END'
rows.shard:
  rows          4 of 8 tokens, 53.12% full
  documents     3 in 4 segments
  tokens        17 of 16 bits
  source bytes  30 (1.765 a token)
  vocabulary    256
  end token     0
  tokenizer     00000000000000991122334455667788
END
exits 0 'info as JSON from a pipe' sh -c 'llm-shard -F json <"$1"' sh "$good/joined.shard"
prints 'with totals of all parts' <<'END'
{"file":"-","kind":"documents","documents":4,"segments":4,"tokens":14,"trained":14,"source_bytes":10,"vocab":256,"eos":0,"tokenizer":"00000000000000991122334455667788","provenance":{"tool":"golden"}}
END

exits 0 'head' llm-shard -t head -n 2 "$good/wide.shard"
prints 'prints ids' <<'END'
70000 5 65536 0
99999 0
END
exits 0 'head of rows' llm-shard -t head "$good/rows.shard"
prints 'shows segments' <<'END'
72 105 0 | 66 121 101 0
9 8 7 6 5 4 3 2
1 0

END

# Split and join give the same documents.
llm-shard -t head -n 1000 "$good/docs.shard" >"$tmp/ids"
for n in 1 3 7 100
do
	exits 0 "split in $n" llm-shard -t split -n $n -o "$tmp/parts$n" "$good/docs.shard"
	test "$(ls "$tmp/parts$n" | wc -l)" -eq $n
	result 'makes as many files' $?
	exits 0 'and join' sh -c 'llm-shard -t join "$1"/*.shard >"$2"' sh "$tmp/parts$n" \
	    "$tmp/joined"
	llm-shard -t head -n 1000 "$tmp/joined" | cmp -s - "$tmp/ids"
	result 'gives the same documents' $?
done
exits 0 'split by size' llm-shard -t split --size 50 -o "$tmp/sized" "$good/docs.shard"
llm-shard -F json "$tmp"/sized/*.shard | tr ',' '\n' | sed -n 's/"tokens"://p' >"$tmp/sizes"
awk 'NR > 1 && last < 50 { bad = 1 } { last = $1; n += $1 } END { exit bad || n != 345 }' \
    "$tmp/sizes"
result 'ends files after as many tokens' $?
exits 0 'split rows' llm-shard -t split -n 2 -o "$tmp/rows" "$good/rows.shard"
exits 0 'join rows' llm-shard -t join -o "$tmp/rows.shard" "$tmp/rows/00000.shard" \
    "$tmp/rows/00001.shard"
llm-shard -t head "$good/rows.shard" >"$tmp/want"
exits 0 'rows again' llm-shard -t head "$tmp/rows.shard"
cmp -s "$tmp/want" "$tmp/out"
result 'are the same' $?
llm-shard -F json "$tmp/rows.shard" | grep -q '"documents":3,"segments":4'
result 'pieces are still pieces' $?
exits 0 'joining is' llm-shard -t join --no-provenance -o "$tmp/a" "$good/docs.shard"
exits 0 'deterministic' llm-shard -t join --no-provenance -o "$tmp/b" "$tmp/a"
cmp -s "$tmp/a" "$tmp/b"
result 'and stable' $?

# Other programs' files: written by numpy, read here, and back byte for byte.
exits 0 'export to nanogpt' llm-shard -t export -F nanogpt -o "$tmp/n.bin" "$good/docs.shard"
cmp -s "$tmp/n.bin" "$foreign/nanogpt.bin"
result 'is what numpy writes' $?
exits 0 'and from a pipe to a pipe' sh -c 'llm-shard -t export -F nanogpt <"$1"' sh \
    "$good/docs.shard"
cmp -s "$tmp/out" "$foreign/nanogpt.bin"
result 'too' $?
exits 0 'export to llmc' llm-shard -t export -F llmc -o "$tmp/l.bin" "$good/docs.shard"
cmp -s "$tmp/l.bin" "$foreign/llmc.bin"
result 'is what numpy writes' $?
exits 0 'export of u32 to llmc' llm-shard -t export -F llmc -o "$tmp/lw.bin" "$good/wide.shard"
cmp -s "$tmp/lw.bin" "$foreign/llmc-wide.bin"
result 'is what numpy writes' $?
for m in megatron:docs megatron-wide:wide
do
	exits 0 "export to $m" llm-shard -t export -F megatron -o "$tmp/m" \
	    "$good/${m#*:}.shard"
	cmp -s "$tmp/m.bin" "$foreign/${m%:*}.bin" && cmp -s "$tmp/m.idx" "$foreign/${m%:*}.idx"
	result 'is what numpy writes' $?
	exits 0 'and import' llm-shard -t import -F megatron -o "$tmp/m.shard" "$tmp/m"
	llm-shard -t head -n 1000 "$good/${m#*:}.shard" >"$tmp/want"
	exits 0 'has' llm-shard -t head -n 1000 "$tmp/m.shard"
	cmp -s "$tmp/want" "$tmp/out"
	result 'the same documents' $?
done
exits 0 'import of nanogpt' llm-shard -t import -F nanogpt --eos 0 --vocab 300 \
    -o "$tmp/n.shard" "$foreign/nanogpt.bin"
exits 0 'has' llm-shard -t head -n 1000 "$tmp/n.shard"
cmp -s "$tmp/ids" "$tmp/out"
result 'the same documents' $?
for f in nanogpt llmc llmc-wide
do
	exits 0 "import of $f" llm-shard -t import -F ${f%-wide} --eos 0 -o "$tmp/f.shard" \
	    "$foreign/$f.bin"
	exits 0 'and back' llm-shard -t export -F ${f%-wide} -o "$tmp/f.bin" "$tmp/f.shard"
	cmp -s "$tmp/f.bin" "$foreign/$f.bin"
	result 'is the same file' $?
done
exits 0 'without an end token' llm-shard -t import -F llmc -o "$tmp/f.shard" \
    "$foreign/llmc-wide.bin"
exits 0 'it is' llm-shard -t head "$tmp/f.shard"
prints 'one document' <<'END'
70000 5 65536 0 99999 0
END
head -c 1023 "$foreign/llmc.bin" >"$tmp/short.bin"
exits 2 'a short header' llm-shard -t import -F llmc -o "$tmp/x" "$tmp/short.bin"
head -c 1100 "$foreign/llmc.bin" >"$tmp/short.bin"
exits 2 'fewer tokens than said' llm-shard -t import -F llmc -o "$tmp/x" "$tmp/short.bin"
head -c 13 "$foreign/nanogpt.bin" >"$tmp/short.bin"
exits 2 'half a token' llm-shard -t import -F nanogpt -o "$tmp/x" "$tmp/short.bin"
cp "$foreign/megatron.bin" "$tmp/short.bin"
for n in 5 33 34 500
do
	head -c $n "$foreign/megatron.idx" >"$tmp/short.idx"
	exits 2 "an index of $n bytes" llm-shard -t import -F megatron -o "$tmp/x" "$tmp/short"
done
cp "$foreign/megatron.idx" "$tmp/short.idx"
head -c 100 "$foreign/megatron.bin" >"$tmp/short.bin"
exits 2 'an index of more than there is' llm-shard -t import -F megatron -o "$tmp/x" "$tmp/short"
exits 2 'an id too high' llm-shard -t import -F nanogpt --vocab 10 -o "$tmp/x" \
    "$foreign/nanogpt.bin"
exits 2 'u32 into nanogpt' llm-shard -t export -F nanogpt -o "$tmp/x" "$good/wide.shard"
test ! -e "$tmp/x"
result 'none leaves a file' $?

exits 2 'empty input' llm-shard /dev/null
exits 1 'to verify nothing' llm-shard -t verify /dev/null
exits 2 'missing file' llm-shard "$tmp/nothing"
exits 2 'missing file to verify' llm-shard -t verify "$tmp/nothing"
exits 2 'unknown action' llm-shard -t mend
exits 2 'unknown option' llm-shard --mend
exits 2 'unknown format' llm-shard -F xml "$good/tiny.shard"
exits 2 'export to nowhere' llm-shard -t export "$good/tiny.shard"
exits 2 'an option of another action' llm-shard -t head --eos 3 "$good/tiny.shard"
grep -q "^llm-shard: --eos means nothing to 'head'" "$tmp/err"
result 'is not ignored' $?
exits 2 'split into pieces and sizes' llm-shard -t split -n 2 --size 3 -o "$tmp/y" \
    "$good/tiny.shard"
exits 2 'split of a pipe' sh -c 'llm-shard -t split -n 2 -o "$1" -' sh "$tmp/y"
exits 2 'join of two kinds' llm-shard -t join -o "$tmp/x" "$good/tiny.shard" "$good/rows.shard"
exits 2 'full disk' sh -c 'exec llm-shard "$1" >/dev/full' sh "$good/tiny.shard"
exits 2 'full disk for a shard' sh -c 'exec llm-shard -t join "$1" >/dev/full' sh \
    "$good/docs.shard"
exits 2 'full disk for ids' sh -c 'exec llm-shard -t head "$1" >/dev/full' sh "$good/docs.shard"

# Calls that fail: a message and exit 2, and every file whole or not there.
cd "$tmp" || exit 1
for kind in malloc read write fsync mmap open
do
	faults $kind - "info: no $kind is trusted" llm-shard -F json "$good/rows.shard"
	faults $kind - "head: no $kind is trusted" llm-shard -t head "$good/rows.shard"
	faults $kind out "split: no $kind is trusted" \
	    llm-shard -t split -n 3 -o out "$good/docs.shard"
	faults $kind out "join: no $kind is trusted" \
	    llm-shard -t join -o out "$good/docs.shard" "$good/docs.shard"
	faults $kind out "import: no $kind is trusted" \
	    llm-shard -t import -F megatron -o out "$foreign/megatron"
	faults $kind out "export: no $kind is trusted" \
	    llm-shard -t export -F llmc -o out "$good/docs.shard"
done

done_testing
