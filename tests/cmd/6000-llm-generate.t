#!/bin/sh
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
cd "$tmp" || exit 1
make_samples
model=run/latest

# field KEY: a value in the last record, raw
field () {
	sed -n "\$s/.*\"$1\":\\(\"[^\"]*\"\\|[^,}]*\\).*/\\1/p" out
}

exits 0 'the likeliest text' llm-generate -m $model -p 'The kernel' -T 0 -n 20 -j 1
cp out greedy
test "$(tail -c 1 greedy | od -An -tx1 | tr -d ' ')" = 0a
result 'ends with a newline' $?
exits 0 'with two threads' llm-generate -m $model -p 'The kernel' -T 0 -n 20 -j 2
prints 'is the same' <greedy
exits 0 'with another seed' llm-generate -m $model -p 'The kernel' -T 0 -n 20 -s 9
prints 'is the same' <greedy
exits 0 'top-k 1' llm-generate -m $model -p 'The kernel' -T 2 --top-k 1 -n 20
prints 'is the same' <greedy
exits 0 'top-p 0' llm-generate -m $model -p 'The kernel' -T 2 --top-p 0 -n 20
prints 'is the same' <greedy
exits 0 'min-p 1' llm-generate -m $model -p 'The kernel' -T 2 --min-p 1 -n 20
prints 'is the same' <greedy
exits 0 'the prompt from a pipe' sh -c "printf 'The kernel' | llm-generate -m $model -T 0 -n 20"
prints 'is the same' <greedy

exits 0 'a drawn text' llm-generate -m $model -p 'The kernel' -s 5 -n 20 -j 1
cp out drawn
exits 0 'the same seed' llm-generate -m $model -p 'The kernel' -s 5 -n 20 -j 2
prints 'gives the same text' <drawn
exits 0 'another seed' llm-generate -m $model -p 'The kernel' -s 6 -n 20
! cmp -s out drawn
result 'gives another' $?
exits 0 'three texts' llm-generate -m $model -p 'The kernel' -s 5 -n 20 --texts 3 -F jsonl
cp out three
test "$(sort -u three | wc -l)" -eq 3
result 'are three' $?
exits 0 'two of them' llm-generate -m $model -p 'The kernel' -s 5 -n 20 --texts 2 -F jsonl
head -n 2 three | cmp -s - out
result 'are the first two' $?

exits 0 'a record' llm-generate -m $model -p 'The "kernel"' -n 7 -T 0 --ignore-eos -F jsonl
test "$(field token_count)" = 7 && test "$(field end)" = '"count"'
result 'has its counts and its end' $?
grep -q '^{"prompt":"The \\"kernel\\"","completion":".*","token_count":7,"mean_logprob":-[0-9.]*,"end":"count"}$' out
result 'and is JSON with quotes escaped' $?
exits 0 'records' llm-filter -r gopher -f completion --explain out

exits 0 '--echo' llm-generate -m $model -p 'The kernel' -T 0 -n 20 --echo
{ printf 'The kernel'; cat greedy; } | cmp -s - out
result 'writes the prompt, too' $?

# Stop before a text in the middle of the likeliest one, in any cut of it.
whole=$(cat greedy)
for from in 1 2 3 4 5
do
	stop=$(printf %s "$whole" | cut -c "$((from + 4))-$((from + 7))")
	exits 0 "--stop '$stop'" llm-generate -m $model -p 'The kernel' -T 0 -n 20 --stop "$stop"
	printf '%s\n' "${whole%%"$stop"*}" | cmp -s - out
	result 'ends before it' $?
done
exits 0 'a stop text in records' llm-generate -m $model -p 'The kernel' -T 0 -n 20 \
    --stop "$stop" -F jsonl
test "$(field end)" = '"stop"'
result 'is their end' $?
exits 0 'a stop text that never comes' llm-generate -m $model -p 'The kernel' -T 0 -n 20 \
    --stop "$whole, and more"
prints 'takes nothing away' <greedy

exits 0 'a full context' llm-generate -m $model -p 'The kernel' -n 1000 --ignore-eos -F jsonl
test "$(field end)" = '"context"'
result 'ends the text' $?
grep -q '^llm-generate: the context of 64 tokens is full$' err
result 'and is told' $?
exits 2 'a prompt beyond the context' llm-generate -m $model \
    -p "$(prose 1 1)$(prose 2 1)$(prose 3 1)" -n 1
grep -q "tokens are more than the model's context of 64$" err
result 'says so' $?
exits 0 'an empty prompt' llm-generate -m $model -p '' -n 5
test -s out
result 'begins a text' $?
exits 0 'an empty pipe' sh -c ": | llm-generate -m $model -n 5"
exits 0 'speed and counts' llm-generate -m $model -p 'The kernel' -n 5 --ignore-eos -v
grep -q '^llm-generate: prompt [0-9]* tokens in .* s, 5 more at ' err
result 'are told' $?

# Seven of the 400 tokens end a text: drawn evenly, of 20 texts of 60 tokens
# one in three has none of them, and all 20 have none once in 10^9 such runs.
cp -RL $model ends
sed -i 's/"eos_token_id": *[0-9]*/"eos_token_id": [0,1,2,3,4,5,6]/' ends/config.json
rm -f ends/generation_config.json
exits 0 'texts that may end' llm-generate -m ends -p The -n 60 --texts 20 -T 50 --top-p 1 -F jsonl
grep -q '"end":"eos"}$' out
result 'do end' $?
exits 0 '--ignore-eos' llm-generate -m ends -p The -n 60 --texts 20 -T 50 --top-p 1 -F jsonl \
    --ignore-eos
! grep -q '"end":"eos"}$' out
result 'goes on' $?

exits 2 'a prompt that is no UTF-8' llm-generate -m $model -p "$(printf 'ab\377')" -n 1
grep -q '^llm-generate: the prompt is no UTF-8 at byte 2$' err
result 'says where' $?
cp -RL $model bare && rm bare/tokenizer*
exits 2 'a model without a tokenizer' llm-generate -m bare -p The
grep -q 'tokenizer.json' err
result 'says what is missing' $?
rm -rf small && llm-init -q --vocab 300 --layers 1 --width 32 --heads 1 --context 16 -o small
cp tok/tokenizer.json small
exits 2 'a tokenizer of more tokens than the model' llm-generate -m small -p The
exits 2 'a missing model' llm-generate -m nothing -p The
exits 2 'no model' llm-generate -p The
exits 2 'an operand' llm-generate -m $model The
exits 2 'an unknown format' llm-generate -m $model -p The -F xml
exits 2 'a negative temperature' llm-generate -m $model -p The -T -1
exits 2 'a top-p beyond 1' llm-generate -m $model -p The --top-p 1.5
exits 2 'no tokens' llm-generate -m $model -p The -n 0
exits 2 'a full disk' sh -c "llm-generate -m $model -p The -n 4 >/dev/full"
grep -q 'No space left' err
result 'says so' $?
sh -c "llm-generate -m $model -p The -n 60 --texts 50; echo \$? >status" 2>err | head -c 1 >first
test "$(cat status)" -eq 141 && test ! -s err
result 'a closed pipe ends it silently' $?
for kind in malloc read open
do
	faults $kind - "no $kind is trusted" llm-generate -m $model -p The -n 2 -T 0
done
done_testing
