#!/bin/sh
# Models with experts: made, trained, gone on with, and let write.
. "$(dirname "$0")/../lib.sh"
cd "$tmp" || exit 1

documents 200 >train.jsonl
llm-vocab -n 300 -o tok train.jsonl
llm-tokenize -m tok train.jsonl | llm-pack -q -l 32 -o train.shard
small='-m tok --layers 2 --width 32 --heads 2 --ffn 64 --context 64'

for arch in mixtral qwen3-moe deepseek-v2 deepseek-v3
do
	exits 0 "a $arch" llm-init -a $arch $small --experts 6 --experts-per-token 2 -o $arch
	awk '$1 == "parameters" { all = $2 } $1 == "active_parameters" { active = $2 }
	    $1 == "experts" { e = $2 } END { exit !(e == 6 && active < all && active > 0) }' out
	result 'counts what a token uses' $?
	exits 0 'trained' llm-train -q -m $arch --steps 30 --batch 256 --lr 5e-3 --save-every 15 \
	    --router-z-loss 1e-3 --keep 0 -o $arch.run train.shard
	first=$(sed -n 's/.*"step":1,"loss":\([0-9.]*\).*/\1/p' $arch.run/log.jsonl)
	last=$(sed -n 's/.*"step":30,"loss":\([0-9.]*\).*/\1/p' $arch.run/log.jsonl)
	awk "BEGIN { exit !($last < 0.8 * $first) }"
	result "its loss falls ($first to $last)" $?
	grep -q '"step":30,.*"balance_loss":[0-9.]*,"router_z_loss":' $arch.run/log.jsonl
	result 'the losses of its routers are logged' $?
	exits 0 'it writes' llm-generate -m $arch.run/latest -n 20 -p 'the kernel'
	test -s out
	result 'something' $?
done

# What balances experts is part of a checkpoint: going on gives the bytes of a whole run.
train='--steps 30 --batch 256 --lr 5e-3 --save-every 15 --keep 0 -j 1'
exits 0 'stopped half way' llm-train -q -m deepseek-v3 $train --router-z-loss 1e-3 \
    --override -o half train.shard
rm -rf half/step-00000030 half/latest
ln -s step-00000015 half/latest
exits 0 'and gone on with' llm-train -q -o half --continue
cmp half/latest/model.safetensors deepseek-v3.run/latest/model.safetensors
result 'the same weights as in one go' $?

exits 0 'a model that predicts ahead' llm-init -q -a deepseek-v3 $small --mtp 1 -o ahead
exits 0 'trained' llm-train -q -m ahead --steps 3 --batch 256 -o ahead.run train.shard
test "$(grep -c '"mtp_loss"' ahead.run/log.jsonl)" -eq 3
result 'the loss of tokens ahead is logged' $?
grep -q '"num_nextn_predict_layers": 1' ahead.run/latest/config.json
result 'its config says so' $?
exits 0 'it writes, without that layer' llm-generate -m ahead.run/latest -n 5 \
    -p 'the kernel'

# A latent of 64 and 32 turned elements is what the cache has of a token, not two heads.
exits 0 'latents of whole blocks' llm-init -a deepseek-v2 $small --width 128 --seed 5 -o latent
awk '$1 == "cache_bytes" { exit $2 != 64 * 2 * (64 + 32) * 4 }' out
result 'are what its cache takes' $?
llm-generate -m latent -n 30 -T 0 -p 'the kernel reads' >want 2>&1
exits 0 'it writes, and keeps the cache' llm-generate -m latent -n 30 -T 0 \
    -p 'the kernel reads' --prompt-cache kept
exits 0 'and again, with it' llm-generate -m latent -n 30 -T 0 -p 'the kernel reads' \
    --prompt-cache kept
cmp -s out want
result 'the same' $?
exits 0 'as GGUF, whose keys and values are in two' llm-convert -o latent.gguf latent
llm-generate -m latent.gguf -n 30 -T 0 -p 'the kernel reads' >out
cmp -s out want
result 'the same' $?
for kv in f32 q8 q4
do
	exits 0 "with $kv" llm-generate -m latent -n 30 -T 0 -p 'the kernel reads' --kv $kv
done
exits 0 'without end' llm-generate -m latent -n 200 --ignore-eos --window 32 --kv q8 \
    -p 'the kernel reads'

exits 2 'experts of a llama' llm-init -q $small --experts 4 -o no
exits 2 'tokens ahead of a llama' llm-init -q $small --mtp 1 -o no
exits 2 'more experts a token than there are' llm-init -q -a mixtral $small --experts 2 \
    --experts-per-token 3 -o no
exits 2 'shared experts of a mixtral' llm-init -q -a mixtral $small --shared-experts 1 -o no
exits 2 'a rate of balance without biases' llm-train -q -m mixtral --balance-rate 1e-3 \
    --steps 1 --batch 256 -o no train.shard
exits 2 'a loss of tokens ahead without them' llm-train -q -m mixtral --mtp 0.1 --steps 1 \
    --batch 256 -o no train.shard
llm-init -q $small -o llama
exits 2 'a balance loss without experts' llm-train -q -m llama --aux-loss 0.1 --steps 1 \
    --batch 256 -o no train.shard
done_testing
