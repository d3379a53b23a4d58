#!/bin/sh
# Vectors of texts: forms, options, any threads, bad input; real models where they are.
. "$(dirname "$0")/../lib.sh"
data=$(cd "$data" && pwd)
bert=$data/encoder/bert gguf=$data/gguf/good/bert.gguf table=$data/encoder/table
shared=$(cd "$(dirname "$0")/../../../shared/data" 2>/dev/null && pwd)
cd "$tmp" || exit 1

printf '%s\n' '{"id":1,"text":"the kernel writes a page of memory"}' '{"text":"","x":[1]}' \
    '{"text":"Don'"'"'t! na\u00efve","embedding":0}' >in.jsonl
for i in 1 2 3 4 5 6 7 8 9 10 11 12
do
	cat in.jsonl
done >many.jsonl

exits 0 'an encoder' llm-embed -m "$bert" in.jsonl
cp out vectors
test "$(wc -l <vectors)" -eq 3 && test "$(sed 1q vectors | tr , '\n' | wc -l)" -eq 18
result 'a line for each text, and a number for each dimension' $?
grep -q '^{"id":1,"text":"the kernel writes a page of memory","embedding":\[-*[0-9]' vectors &&
    grep -q '^{"text":"","x":\[1\],"embedding":\[' vectors &&
    test "$(tail -n 1 vectors | grep -o embedding | wc -l)" -eq 1
result 'records are as they were, and a key that was there is replaced' $?
exits 0 'from a pipe' sh -c "cat in.jsonl | llm-embed -m $bert"
prints 'is the same' <vectors
for j in 1 2 4
do
	exits 0 "many with -j $j" llm-embed -m "$bert" -j $j many.jsonl
	test "$(sort -u out | wc -l)" -eq 3 && head -n 3 out | cmp -s - vectors
	result 'are those of each alone' $?
	exits 0 "a table with -j $j" llm-embed -m "$table" -j $j many.jsonl
	test -f table.out || cp out table.out
	prints 'is the same' <table.out
done
exits 0 'another key' llm-embed -m "$bert" --key v in.jsonl
sed '1,2s/"embedding":/"v":/; 3s/"embedding":/"embedding":0,"v":/' vectors | cmp -s - out
result 'has the vector' $?
exits 0 'another field' sh -c "sed 's/\"text\"/\"t\"/' in.jsonl | llm-embed -m $bert -f t"
sed 's/"text"/"t"/' vectors | cmp -s - out
result 'has the text' $?
exits 0 'a prefix' sh -c "echo '{\"text\":\"writes a page of memory\"}' |
    llm-embed -m $bert --prefix 'the kernel '"
test "$(sed 's/.*\[//' out)" = "$(sed 's/.*\[//; 1q' vectors)"
result 'stands before the text' $?
exits 0 'at most 6 tokens' sh -c "echo '{\"text\":\"the kernel writes a disk\"}' |
    llm-embed -m $bert --max-tokens 4"
cp out cut
exits 0 'of another text' sh -c "echo '{\"text\":\"the kernel in\"}' |
    llm-embed -m $bert --max-tokens 4"
test "$(sed 's/.*\[//' out)" = "$(sed 's/.*\[//' cut)"
result 'are the same' $?

# Numbers are the same in every form.
exits 0 'bare floats' llm-embed -m "$bert" -F f32 -o v.f32 in.jsonl
test "$(wc -c <v.f32)" -eq $((3 * 16 * 4))
result '16 for each text' $?
exits 0 'npy' llm-embed -m "$bert" -F npy -o v.npy in.jsonl
head -c 128 v.npy | tail -c 118 | grep -q "^{'descr': '<f4', 'fortran_order': False, 'shape': (3, 16), } *$" &&
    tail -c +129 v.npy | cmp -s - v.f32
result 'a header, and the same floats' $?
exits 0 'safetensors' llm-embed -m "$bert" -F safetensors -o v.safetensors in.jsonl
grep -aq '"embeddings":{"dtype":"F32","shape":\[3,16\]' v.safetensors &&
    tail -c 192 v.safetensors | cmp -s - v.f32
result 'a tensor of the same floats' $?
first=$(od -An -tf4 -N4 v.f32 | tr -d ' ')
grep -q "\[$(echo "$first" | cut -c 1-7)" vectors
result 'which are those of the records' $?
exits 0 'each token' llm-embed -m "$bert" --pooling none -F safetensors -o t.safetensors in.jsonl
grep -aq '"cu_seqlens":{"dtype":"I64","shape":\[4\]' t.safetensors
result 'and where those of a text begin' $?
exits 0 'in records' llm-embed -m "$bert" --pooling none in.jsonl
grep -q '"embedding":\[\[' out
result 'an array of arrays' $?
exits 0 'length 1' llm-embed -m "$bert" --normalize yes in.jsonl
sed 's/.*"embedding":\[//; s/\].*//' out | awk -F, '
{ s = 0; for (i = 1; i <= NF; i++) s += $i * $i; if (s < 0.99999 || s > 1.00001) bad = 1 }
END { exit bad || NR != 3 }'
result 'it is' $?
for p in cls last
do
	exits 0 "--pooling $p" llm-embed -m "$bert" --pooling $p in.jsonl
	! cmp -s out vectors
	result 'is something else' $?
done
exits 0 'no input' llm-embed -m "$bert" /dev/null
test ! -s out
result 'no output' $?
exits 0 'no input as an array' llm-embed -m "$bert" -F npy /dev/null
grep -aq "'shape': (0, 16)" out
result 'of no rows' $?
exits 0 'files to files' llm-embed -m "$bert" -F f32 -o d/ in.jsonl many.jsonl
cmp -s d/in.f32 v.f32 && test "$(wc -c <d/many.f32)" -eq $((36 * 64))
result 'each has its own' $?
exits 0 '--stats' llm-embed -m "$bert" --stats stats in.jsonl
grep -q '"vectors": *3' stats && grep -q '"width": *16' stats
result 'counts them' $?

# GGUF: as llama.cpp's converter writes it, which says cls, and there and back.
exits 0 'an encoder as GGUF' llm-embed -m "$gguf" --pooling mean --normalize no in.jsonl
prints 'is the same' <vectors
exits 0 'as the file says' llm-embed -m "$gguf" in.jsonl
cp out cls
exits 0 'the first token' llm-embed -m "$bert" --pooling cls --normalize yes in.jsonl
prints 'of length 1' <cls
exits 0 'as a directory' llm-convert -o back "$gguf"
exits 0 'and again' llm-embed -m back in.jsonl
prints 'is the same' <cls
printf '{\n  "max_seq_length": 6\n}' >back/sentence_bert_config.json
exits 0 'as GGUF' llm-convert -o back.gguf back
exits 0 'and again' llm-embed -m back.gguf in.jsonl
prints 'is the same' <cls
exits 0 'from a directory to one' llm-convert -o again back
exits 0 'with all that is beside it' cmp again/sentence_bert_config.json \
    back/sentence_bert_config.json
exits 0 'and' cmp again/modules.json back/modules.json
exits 2 'words of another length than 100, which has no name there' llm-convert -o x.gguf "$bert"
for change in 's/"lowercase": *true/"lowercase":false/' \
    's/"continuing_subword_prefix": *"##"/"continuing_subword_prefix":"@@"/'
do
	cp -r back other
	sed "$change" back/tokenizer.json >other/tokenizer.json
	! cmp -s back/tokenizer.json other/tokenizer.json
	result "with $change" $?
	exits 2 'neither has' llm-convert -o x.gguf other
	rm -r other
done
llm-init -q -m back --layers 1 --width 32 --heads 2 --context 64 --vocab 300 -o decoder
mkdir decoder/1_Pooling
echo '{"pooling_mode_lasttoken":true,"pooling_mode_mean_tokens":false}' \
    >decoder/1_Pooling/config.json
exits 0 'a decoder that pools the last' llm-convert -o decoder.gguf decoder
exits 0 'from it' llm-embed -m decoder.gguf in.jsonl
cp out last
exits 0 'as asked for' llm-embed -m decoder --pooling last --normalize yes in.jsonl
prints 'is the same' <last

# What does not go.
exits 2 'no model' llm-embed in.jsonl
exits 2 'floats of each token' llm-embed -m "$bert" --pooling none -F f32 in.jsonl
exits 2 'safetensors into a pipe' llm-embed -m "$bert" -F safetensors in.jsonl
exits 2 'a pooling that is none' llm-embed -m "$bert" --pooling sum in.jsonl
exits 2 'the last of a table' llm-embed -m "$table" --pooling last in.jsonl
exits 2 'more tokens than the context' llm-embed -m "$bert" --max-tokens 41 in.jsonl
exits 2 'a bad record' sh -c "echo '{\"t\":1}' | llm-embed -m $bert"
exits 1 'a bad record with -k' sh -c "{ echo '{\"t\":1}'; cat in.jsonl; } | llm-embed -q -k -m $bert"
prints 'the others are there' <vectors
exits 2 'an encoder that is to generate' llm-generate -m "$bert" -p a
exits 2 'an encoder by llm-init' llm-init -a bert --vocab 300 -o bert
sed 's/"normalize"/"n"/' "$table/config.json" >config.json
mkdir broken && cp "$table"/* broken && head -c 3000 "$table/model.safetensors" >broken/model.safetensors
exits 2 'a table that is cut off' llm-embed -m broken in.jsonl

potion=$shared/models/potion-base-4m
if test -d "$potion"
then
	exits 0 'a real table' sh -c "printf '%s\n' '{\"text\":\"A cat sat on the mat.\"}' \
	    '{\"text\":\"The kitten rests on a rug.\"}' '{\"text\":\"Interest rates rose again.\"}' |
	    llm-embed -m $potion"
	sed 's/.*"embedding":\[//; s/\].*//' out | awk -F, '
	{ for (i = 1; i <= NF; i++) v[NR, i] = $i }
	END {
		for (i = 1; i <= NF; i++) { near += v[1, i] * v[2, i]; far += v[1, i] * v[3, i] }
		exit !(near > far + 0.2)
	}'
	result 'knows what is near' $?
else
	echo '# no ../shared/data/models/potion-base-4m'
fi
done_testing
