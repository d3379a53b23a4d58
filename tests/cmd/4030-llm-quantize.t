#!/bin/sh
# llm-quantize: types, budgets, importance; what it writes is read back
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
cd "$tmp" || exit 1
make_samples
exits 0 'a model with rows of 256' llm-init -q -m tok --layers 4 --width 256 --heads 4 --kv-heads 1 \
    --ffn 512 --context 64 -o wide

# types FILE: how many tensors of which type
types () {
	awk 'NR > 1 { n[$3]++ } END { for (t in n) print t, n[t] }' "$1" | sort
}

exits 0 'q4_k_m' llm-quantize -t q4_k_m --report report -o small.gguf wide
types report >"$tmp/out"
prints 'mixes these types' <<'EOF'
F32 9
Q4_K 24
Q6_K 5
EOF
test "$(awk '$3 ~ /Q/ && !($6 > 1e-5 && $6 < 1e-2)' report | wc -l)" -eq 0
result 'errors are those of four and six bits' $?
exits 0 'it is a model' llm-generate -m small.gguf -p The -n 4 -T 0
exits 0 'it is compared with what it was' llm-eval -t kl -m small.gguf --reference wide valid.jsonl
sed 's/.*"kl": \([0-9.e-]*\),.*/\1/' out | awk '{ exit !($1 > 0 && $1 < 0.01) }'
result 'and is near to it' $?
exits 0 'a model compared with itself' llm-eval -t kl -m wide --reference wide valid.jsonl
grep -q '"kl": 0.0, .*"same_top": 1.0' out
result 'is the same' $?

for type in f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k_s q3_k_m q3_k_l q4_k_s q5_k_s q5_k_m \
    q6_k iq4_nl iq4_xs
do
	exits 0 "$type" llm-quantize -t $type -o t.gguf wide
	exits 0 "$type is read" llm-generate -m t.gguf -p The -n 1 -T 0
done
for type in fp8 w8a8
do
	exits 0 "$type" llm-quantize -q -t $type --report table --valid valid.jsonl -o $type wide
	grep -q '"format": "\(float\|int\)-quantized"' $type/config.json
	result 'says what it is' $?
	exits 0 'is read' llm-eval -t kl -m $type --reference wide valid.jsonl
	sed 's/.*"kl": \([0-9.e-]*\),.*/\1/' out | awk '{ exit !($1 > 0 && $1 < 0.001) }'
	result 'and is near to it' $?
	awk -F '\t' '$3 ~ /8/ { n++; bad += !(1e-6 < $6 && $6 < 2e-3) || $7 > 8.2 }
	    $1 ~ /^layer/ { n++; bad += !($8 > 0 && $8 < 0.001) } END { exit bad || n != 32 }' table
	result 'so is each layer' $?
	exits 0 'again' llm-quantize -t $type --allow-requantize -o again $type
	exits 0 'is read' llm-eval -t kl -m again --reference $type valid.jsonl
	sed 's/.*"kl": \([0-9.e-]*\),.*/\1/' out | awk '{ exit !($1 < 1e-9) }'
	result 'and the same' $?
	exits 0 'one thread' llm-quantize -j 1 -t $type -o one wide
	cmp one/model.safetensors $type/model.safetensors
	result 'makes the same bytes' $?
	rm -r again one
	exits 2 "$type with a budget" llm-quantize -t $type --bits 4 -o t wide
	exits 2 'or what columns count' llm-quantize -t $type --calibrate train.jsonl -o t wide
	exits 2 'or memory as it is anyway' llm-quantize -t $type --memory 1G -o t wide
	grep -q 'no use for --memory' err
	result 'named' $?
done
exits 0 'a model of no such layers' llm-init -q -a gpt2 --layers 1 --width 32 --heads 2 --vocab 64 --context 16 -o plain
exits 2 'refused' llm-quantize -t fp8 -o t plain
test ! -e t
result 'and nothing is left' $?
exits 0 'one thread' llm-quantize -j 1 -t q4_k_m -o one.gguf wide
exits 0 'four threads' llm-quantize -j 4 -t q4_k_m -o four.gguf wide
cmp one.gguf four.gguf && cmp one.gguf small.gguf
result 'make the same bytes' $?
exits 0 'from GGUF' llm-quantize -t f32 -o wide.gguf wide
exits 0 'too' llm-quantize -t q4_k_m --report again -o again.gguf wide.gguf
sort again >b && sort report | cmp - b
result 'the same weights come to the same' $?

exits 0 '--pure' llm-quantize -t q4_k_m --pure --report report -o t.gguf wide
types report >"$tmp/out"
prints 'is one type' <<'EOF'
F32 9
Q4_K 29
EOF
exits 0 '--tensor' llm-quantize -t q8_0 --tensor 'attn_[qk]=q5_k' --tensor 'attn=f16' \
    --report report -o t.gguf wide
types report >"$tmp/out"
prints 'overrides, the first first' <<'EOF'
F16 8
F32 9
Q5_K 8
Q8_0 13
EOF
for bits in 3 4.5 7
do
	exits 0 "--bits $bits" llm-quantize --bits $bits --report report -o t.gguf wide
	awk -v b=$bits 'NR > 1 { n += $4; s += 8 * $5 } END { exit !(s <= b * n && s > (b - 0.3) * n) }' report
	result 'is what it has, nearly' $?
done
exits 2 'too few bits' llm-quantize --bits 1 -o none.gguf wide
grep -q 'too few: [0-9.]* is the least' err
result 'says how many it takes' $?

# field COLUMN PART: of the report
field () {
	awk -F '\t' -v c="$1" -v part="$2" '$1 == part { print $c }' report
}
exits 0 'a report by layer' llm-quantize -q -t f32 --tensor 'blk\.2\.=q4_0' --report report \
    --valid valid.jsonl -o t.gguf wide
awk -F '\t' '$2 == "-" { print $1 }' report >"$tmp/out"
prints 'has these parts' <<'EOF'
layer 0
layer 1
layer 2
layer 3
embedding
all
original
EOF
test "$(field 8 'layer 2')" = "$(field 8 all)" && test "$(field 10 'layer 2')" = "$(field 10 all)"
result 'all is the one layer that was rounded' $?
for part in 'layer 0' 'layer 1' 'layer 3' embedding
do
	field 8 "$part"
done >"$tmp/out"
awk -v most="$(field 8 all)" '!($1 < 1e-9) { bad = 1 } END { exit bad || NR != 4 || !(most > 1e-7) }' out
result 'the others did not change' $?
awk -F '\t' '$1 ~ /^layer/ || $1 == "embedding" { e += $4; n += $5 }
    $1 == "all" { same = n == $5 && e == $4 } END { exit !same }' report
result 'sizes add up' $?
exits 2 'a report in no directory' llm-quantize -q -t q4_0 --report nowhere/report -o none.gguf wide
test ! -e none.gguf
result 'is refused before the model is written' $?
head -n 2 valid.jsonl >few.jsonl
exits 0 'of a text that is all used' llm-quantize -q -t q4_0 --report report --valid few.jsonl \
    -o t.gguf wide
llm-eval -t kl -m t.gguf --reference wide --context 64 few.jsonl | tr -d '{}",:' >"$tmp/out"
awk -v k="$(field 8 all)" -v s="$(field 9 all)" -v p="$(field 10 all)" \
    -v r="$(field 10 original)" 'function near(a, b) { return a > 0.9999 * b && a < 1.0001 * b }
    { for (i = 1; i < NF; i += 2) v[$i] = $(i + 1) }
    END { exit !(v["tokens"] <= 1024 && near(k, v["kl"]) && near(s, v["same_top"]) &&
    near(p, v["perplexity"]) && near(r, v["reference_perplexity"])) }' out
result 'it is what llm-eval says' $?
exits 2 'a text without a report' llm-quantize -t q4_0 --valid valid.jsonl -o none.gguf wide
exits 2 'a report of nothing' llm-quantize --calibrate train.jsonl --report report -o none wide
exits 2 'an empty text' llm-quantize -t q4_0 --report report --valid /dev/null -o none.gguf wide

exits 0 'rows of 32' llm-quantize -t q4_k_m --report report -o t.gguf model
types report | grep -q 'Q5_0' && ! types report | grep -q Q4_K
result 'are of other types' $?

exits 0 'an importance matrix' llm-quantize --calibrate train.jsonl -n 2k --context 32 -o im wide
exits 0 'is used' llm-quantize --imatrix im -t q4_0 -o by.gguf wide
exits 0 'or not' llm-quantize -t q4_0 -o without.gguf wide
cmp -s by.gguf without.gguf
result 'which makes a difference' $((! $?))
exits 0 'both at once' llm-quantize --calibrate train.jsonl -n 2k --context 32 -t q4_0 -o once.gguf wide
cmp by.gguf once.gguf
result 'are the same' $?
exits 0 '--gptq' llm-quantize --calibrate train.jsonl -n 2k --context 32 --gptq -t q4_0 -o gptq.gguf wide
cmp -s gptq.gguf once.gguf
result 'makes a difference' $((! $?))
exits 0 'with little memory' llm-quantize --calibrate train.jsonl -n 2k --context 32 --gptq --memory 1M \
    -j 1 -t q4_0 -o little.gguf wide
cmp gptq.gguf little.gguf
result 'it is the same' $?
# kl FILE: its divergence from the model
kl () {
	llm-eval -t kl -m "$1" --reference wide valid.jsonl | sed 's/.*"kl": \([0-9.e-]*\),.*/\1/'
}
echo "$(kl gptq.gguf) $(kl without.gguf)" | awk '{ print "# " $0; exit !($1 < $2) }'
result 'and is nearer to the model' $?
exits 0 '--awq' llm-quantize --imatrix im --awq -t q4_0 -o awq.gguf wide
cmp -s awq.gguf by.gguf
result 'makes a difference' $((! $?))
echo "$(kl awq.gguf) $(kl without.gguf)" | awk '{ print "# " $0; exit !($1 < $2) }'
result 'and is nearer to the model' $?
exits 0 'of a GPT-2, with biases' llm-init -q -a gpt2 -m tok --layers 2 --width 64 --heads 2 \
    --context 64 -o gpt2
exits 0 'and --gptq' llm-quantize --calibrate train.jsonl -n 1k --awq --gptq -t q8_0 -o t.gguf gpt2
llm-eval -t kl -m t.gguf --reference gpt2 valid.jsonl | sed 's/.*"kl": \([0-9.e-]*\),.*/\1/' >out
awk '{ print "# " $0; exit !($1 < 1e-4) }' out
result 'is the same model, but for eight bits' $?
exits 2 '--awq without importance' llm-quantize --awq -t q4_0 -o none.gguf wide
exits 2 '--gptq without a text' llm-quantize --gptq -t q4_0 -o none.gguf wide
exits 0 'of experts' llm-init -q -a mixtral -m tok --layers 1 --width 64 --heads 2 --ffn 64 \
    --experts 4 --context 64 -o moe
exits 0 'too' llm-quantize --calibrate train.jsonl -n 200 --gptq -t q4_0 -o t.gguf moe
exits 0 'are read' llm-generate -m t.gguf -p The -n 1 -T 0

exits 2 'what is quantized' llm-quantize -t q8_0 -o none.gguf small.gguf
grep -q "is Q4_K already" err
result 'is refused' $?
exits 0 'unless one insists' llm-quantize --allow-requantize -t q8_0 -o t.gguf small.gguf
exits 2 'for fp8 too' llm-quantize -t fp8 -o none small.gguf
grep -q "tensor 'model.embed_tokens.weight' is quantized already: --allow-requantize" err
result 'says which tensor, and the option' $?
exits 0 'unless one insists' llm-quantize --allow-requantize -t fp8 -o t.fp8 small.gguf
for dir in fp8 "$data/packed/gptq" "$data/packed/awq" "$data/packed/packed" "$data/packed/int8"
do
	for type in q8_0 f32 fp8
	do
		exits 2 "$type of $(basename "$dir")" llm-quantize -t $type -o none "$dir"
		grep -q "_proj.weight' is quantized already: --allow-requantize takes it" err
		result 'is refused' $?
	done
done
exits 0 'unless one insists' llm-quantize --allow-requantize -t q8_0 -o t.gguf "$data/packed/gptq"
exits 2 'no type of ours' llm-quantize -t q9 -o none.gguf wide
exits 2 'a rule without a type' llm-quantize -t q4_0 --tensor attn -o none.gguf wide
exits 2 'a rule with another type' llm-quantize -t q4_0 --tensor 'attn=q4_k_m' -o none.gguf wide
exits 2 'a bad expression' llm-quantize -t q4_0 --tensor '(=q4_k' -o none.gguf wide
exits 2 'nothing to do' llm-quantize -o none.gguf wide
exits 2 'no output' llm-quantize -t q4_0 wide
exits 2 'two sources of importance' llm-quantize -t q4_0 --imatrix im --calibrate train.jsonl -o none.gguf wide
exits 2 'no importance matrix' llm-quantize -t q4_0 --imatrix corpus.jsonl -o none.gguf wide
exits 2 'no text' llm-quantize --calibrate /dev/null -o none.gguf wide
exits 2 'memory for nothing' llm-quantize -t q4_0 --memory 1M -o none.gguf wide
test ! -e none.gguf && test ! -e none
result 'failures leave no file' $?
faults malloc none.gguf 'out of memory' llm-quantize -j 1 -t q4_0 -o none.gguf model
faults write none.gguf 'a write that fails' llm-quantize -j 1 -t q4_0 -o none.gguf model
done_testing
