#!/bin/sh
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
cd "$tmp" || exit 1
make_samples
run="llm-sweep -q -m model --batch 512"

exits 0 'a range test' $run -n 60 --from 1e-5 --to 100 -o range --plot range.svg train.shard
rate=$(sed -n 's/^# steepest.\(.*\)/\1/p' range)
awk -v r="$rate" 'BEGIN { exit !(r > 1e-4 && r < 1) }'
result "suggests a rate ($rate)" $?
awk 'NR > 1 && /^[0-9]/ { if (last && ($1 < 1.2 * last || $1 > 1.4 * last)) bad = 1; last = $1; n++ }
    END { exit bad || n < 10 || n > 60 }' range
result 'by rates that rise evenly' $?
test "$(head -c 5 range.svg)" = '<?xml' || grep -q '<svg' range.svg
result 'and draws it' $?
exits 0 'training at that rate' llm-train -q -m model -o good --steps 30 --batch 512 \
    --lr "$rate" train.shard
first=$(sed -n 's/.*"step":1,"loss":\([0-9.]*\).*/\1/p' good/log.jsonl)
last=$(sed -n 's/.*"step":30,"loss":\([0-9.]*\).*/\1/p' good/log.jsonl)
awk "BEGIN { exit !($last < 0.85 * $first) }"
result "lowers the loss ($first to $last)" $?

exits 0 'a grid' $run -t grid -n 12 --rates 1e-5,3e-3 --valid valid.shard train.shard
awk '/^# best/ { best = $3 } /^0|^1e/ { loss[$1 + 0] = $2 } END {
    exit !(best == 0.003 && loss[0.003] < loss[0.00001]) }' "$tmp/out"
result 'finds the better of two' $?
exits 0 'one thread' $run -j1 -t grid -n 5 --rates 1e-3 -o one train.shard
exits 0 'two threads' $run -j2 -t grid -n 5 --rates 1e-3 -o two train.shard
cmp one two
result 'find the same' $?
exits 0 'a grid in JSON' $run -t grid -n 3 --from 1e-3 --to 2e-3 -F json train.shard
grep -q '"points":\[{"rate":0.001,"loss":.*{"rate":0.002,.*"best":0.00[12]}' "$tmp/out"
result 'has its points' $?

exits 0 'the noise scale' $run -t batch -n 10 --micro 64 train.shard
awk '/^# noise_scale/ { n = $3 } END { exit !(n > 1 && n < 1e6) }' "$tmp/out"
result 'is a number of tokens' $?
exits 2 'of a step of one pass' $run -t batch -n 3 --micro 512 train.shard

exits 0 'the largest pass' $run -t memory --memory 64M train.shard
micro=$(sed -n 's/^# micro.\(.*\)/\1/p' "$tmp/out")
test "$((micro % 64))" -eq 0 && test "$micro" -ge 64
result "is of whole rows ($micro)" $?
exits 2 'in too little memory' $run -t memory --memory 10k train.shard

exits 2 'no model' llm-sweep train.shard
exits 2 'an unknown method' $run -t x train.shard
exits 2 'memory without a size' $run -t memory train.shard
exits 2 'bad rates' $run -t grid --rates 1e-3,x train.shard
exits 2 'a range upside down' $run --from 1 --to 0.1 train.shard
exits 2 'an image of another kind' $run --plot x.gif train.shard
exits 2 'a missing shard' $run none.shard
done_testing
