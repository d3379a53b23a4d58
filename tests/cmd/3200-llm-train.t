#!/bin/sh
. "$(dirname "$0")/../lib.sh"
cd "$tmp" || exit 1

# A small corpus, tokenizer and model.
documents 300 >all.jsonl
llm-sample -n 10% --rest train.jsonl all.jsonl >valid.jsonl
llm-vocab -n 300 -o tok train.jsonl
for s in train valid
do
	llm-tokenize -m tok $s.jsonl | llm-pack -q -l 32 -o $s.shard
done
exits 0 'a model' llm-init -a llama -m tok --layers 2 --width 32 --heads 2 --kv-heads 1 \
    --ffn 64 --context 32 -o model

# same RUN RUN: the newest checkpoints have the same bytes
same () {
	for f in model.safetensors optimizer.safetensors state.json config.json tokenizer.json
	do
		cmp "$1/latest/$f" "$2/latest/$f" || return 1
	done
}
train="llm-train -q -m model --steps 40 --batch 256 --lr 3e-3 --save-every 10
    --valid valid.shard --keep 0"

exits 0 'a run' $train -o whole -j1 train.shard
test "$(readlink whole/latest)" = step-00000040
result 'latest is the last step' $?
test "$(grep -c '"norm"' whole/log.jsonl)" -eq 40
result 'each step is logged' $?
test "$(grep -c '"bits_per_byte"' whole/log.jsonl)" -eq 4
result 'each validation is logged' $?
first=$(sed -n 's/.*"step":1,"loss":\([0-9.]*\).*/\1/p' whole/log.jsonl)
last=$(sed -n 's/.*"step":40,"loss":\([0-9.]*\).*/\1/p' whole/log.jsonl)
awk "BEGIN { exit !($last < 0.7 * $first) }"
result "the loss falls ($first to $last)" $?
exits 2 'a run that exists' $train -o whole train.shard
grep -q 'continue goes on' "$tmp/err"
result 'the message says how to go on' $?
cp whole/log.jsonl log
exits 0 'a run that is done, continued' llm-train -q -o whole --continue
cmp -s log whole/log.jsonl
result 'which does nothing' $?

exits 0 'the same with two threads' $train -o two -j2 train.shard
same whole two
result 'gives the same bytes' $?

# kill -9 at five moments, each time a little later, and go on.
i=0
while test $i -lt 5
do
	$train -o killed --continue train.shard 2>/dev/null &
	pid=$!
	n=0
	while test "$(grep -c '"norm"' killed/log.jsonl 2>/dev/null || :)" -lt $((i * 7 + 2)) 2>/dev/null ||
	    ! test -f killed/log.jsonl
	do
		n=$((n + 1))
		test $n -lt 2000 || break
		sleep 0.005
	done
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	i=$((i + 1))
done
exits 0 'a run killed five times' llm-train -q -o killed --continue
same whole killed
result 'has the bytes of one that was not' $?
test "$(grep -c '"norm"' killed/log.jsonl)" -eq 40
result 'its log has each step once' $?

# A signal saves, and the process dies of it.
$train -o term --max-time 1h train.shard &
pid=$!
while ! grep -q '"step":3,' term/log.jsonl 2>/dev/null; do sleep 0.005; done
kill -TERM $pid
wait $pid 2>/dev/null
test $? -eq 143
result 'SIGTERM ends with that signal' $?
test -L term/latest
result 'after saving' $?
exits 0 'going on' llm-train -q -o term --continue
same whole term
result 'to the same bytes' $?

# A run that goes on outlives the checkpoint that it came from.
mkdir pruned
cp -r whole/run.json whole/log.jsonl whole/step-00000010 pruned
exits 0 'going on' llm-train -q -o pruned --continue --override --keep 1
test ! -e pruned/step-00000010 && same whole pruned
result 'past the end of its first checkpoint' $?

# Damage, locks, changed settings.
printf x | dd of=killed/step-00000040/model.safetensors bs=1 seek=900 conv=notrunc 2>/dev/null
exits 0 'a damaged checkpoint' llm-train -q -o killed --continue
grep -q 'step-00000040' "$tmp/err"
result 'is named' $?
same whole killed
result 'and made again from the one before' $?
exits 2 'a changed setting' llm-train -q -o whole --continue --lr 1e-2
grep -q 'lr 0.003' "$tmp/err"
result 'is told with both values' $?
exits 0 'with --override' llm-train -q -o whole --continue --override --steps 44
test "$(readlink whole/latest)" = step-00000044
result 'the run goes on' $?
exits 2 'another shard under the name' sh -c 'cp train.shard keep; cp valid.shard train.shard
    llm-train -q -o two --continue; e=$?; mv keep train.shard; exit $e'
exec 9>>two/lock
flock 9
exits 2 'a locked run' llm-train -q -o two --continue
exec 9>&-

# Options.
exits 2 'no output' llm-train -m model --steps 1 train.shard
exits 2 'no steps' llm-train -m model -o none train.shard
exits 2 'nothing to go on with' llm-train -o none2 --continue
exits 2 'a batch that does not fit' llm-train -q -m model -o none3 --steps 1 --batch 100 train.shard
exits 2 'a missing shard' llm-train -q -m model -o none4 --steps 1 none.shard
exits 2 'a missing model' llm-train -q -m none -o none5 --steps 1 train.shard
exits 2 'an unknown optimizer' llm-train -q -m model -o none6 --steps 1 --batch 64 --optimizer x train.shard
exits 0 'a dry run' llm-train -m model -o dry --steps 9 --batch 64 --dry-run train.shard
result 'a dry run leaves nothing' "$(test ! -e dry; echo $?)"
grep -q "^memory	.*[0-9]$" "$tmp/out"
result 'prints the memory' $?
# Each optimizer, moments, ramp and average go on to the same bytes.
resumes () {
	name=$1
	shift
	exits 0 "$*" $train -o $name "$@" train.shard
	mkdir $name-half
	cp -r $name/run.json $name/log.jsonl $name/step-00000020 $name-half
	exits 0 'going on half-way' llm-train -q -j1 -o $name-half --continue
	same $name $name-half && { ! test -d $name/latest/ema ||
	    cmp $name/latest/ema/model.safetensors $name-half/latest/ema/model.safetensors; }
	result 'to the same bytes' $?
}
resumes muon --optimizer muon --moments bf16 --ema 0.99
resumes lion --optimizer lion --moments 8bit --lr 1e-3
resumes adafactor --optimizer adafactor --z-loss 1e-3 --lr 1e-2
resumes ramp --batch-ramp 64:12,128:13 --ema 0.9 --moments bf16
exits 0 'a GPT-2' llm-init -q -a gpt2 -m tok --layers 2 --width 32 --heads 2 --context 32 -o gpt2
llama=$train
train="llm-train -q -m gpt2 --steps 40 --batch 256 --micro 64 --lr 3e-3 --save-every 10 --keep 0"
resumes drops --dropout 0.2
exits 0 'computed again' $train -o again --dropout 0.2 --recompute block -j2 train.shard
same drops again
result 'drops the same' $?
exits 0 'without' $train -o kept train.shard
cmp -s drops/latest/model.safetensors kept/latest/model.safetensors
test $? -eq 1
result 'the model is another' $?
train=$llama
exits 2 'dropout in a family without' $train -o none11 --dropout 0.1 train.shard
sed -n 's/.*"step":\([0-9]*\),.*"tokens":\([0-9]*\),.*/\1 \2/p' ramp/log.jsonl |
    awk '{ most = $1 <= 12 ? 64 : $1 <= 25 ? 128 : 256
	if ($2 > most || $2 <= 0.6 * most) bad = 1 } END { exit bad || NR != 40 }'
result 'the ramp takes its steps' $?
exits 0 'the average is a model' llm-eval -t perplexity -m ramp/latest/ema -o ppl valid.shard
sed -n 's/.*"ema_loss":\([0-9.]*\).*/\1/p' ramp/log.jsonl | tail -n 1 >logged
awk -v logged="$(cat logged)" '{ if (match($0, /"loss": *[0-9.]+/)) {
	x = substr($0, RSTART, RLENGTH); sub(/.*: */, "", x); d = x - logged
	found = d * d < 1e-10 } } END { exit !found }' ppl
result 'of the loss that was logged' $?
exits 2 'a ramp that does not fit' llm-train -q -m model -o none7 --steps 1 --batch 64 \
    --batch-ramp 33:2 train.shard
exits 2 'a ramp that is none' llm-train -q -m model -o none8 --steps 1 --batch 64 \
    --batch-ramp 32:2,x train.shard
exits 2 'unknown moments' llm-train -q -m model -o none9 --steps 1 --batch 64 --moments int4 train.shard
exits 2 'betas of Adafactor' llm-train -q -m model -o none10 --steps 1 --batch 64 \
    --optimizer adafactor --beta2 0.9 train.shard
for keep in cheap block
do
	exits 0 "recompute $keep" $train -o $keep --recompute $keep train.shard
	same two $keep
	result 'gives the same bytes' $?
done
exits 2 'nothing of the kind' llm-train -q -m model -o none7 --steps 1 --recompute x train.shard
exits 0 'samples' llm-train -q -m model -o sampled --steps 6 --batch 64 --sample-every 3 \
    --prompt 'the kernel' train.shard
test "$(grep -c '"sample":"' sampled/log.jsonl)" -eq 2
result 'are in the log' $?
exits 0 'epochs, weights, passes' llm-train -q -m model -o mix --epochs 0.5 --batch 128 --micro 32 \
    --weights 3,1 --schedule wsd train.shard valid.shard
exits 0 'early stop' llm-train -q -m model -o early --steps 60 --batch 64 --lr 0 --valid valid.shard \
    --valid-every 2 --patience 2 train.shard
test "$(readlink early/latest)" = step-00000006
result 'after two validations without gain' $?

exits 0 'a profile' llm-train -q -m model -o timed --steps 2 --batch 256 --profile t.json train.shard
grep -q '^update	adamw		' "$tmp/err"
result 'a table says where time goes' $?
grep -q '"traceEvents"' t.json
result 'and a trace' $?
exits 2 'a device that is not there' $train -o nowhere -d none train.shard
test ! -e nowhere
result 'leaves no run behind' $?
done_testing
