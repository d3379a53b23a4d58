#!/bin/sh
# llm-quantize -t w4a16: directories of integers in groups, of each family, by rounding, importance,
# AWQ and GPTQ, read back
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
cd "$tmp" || exit 1
make_samples

# kl MODEL REFERENCE: its divergence
kl () {
	llm-eval -t kl -m "$1" --reference "$2" valid.jsonl | sed 's/.*"kl": \([0-9.e-]*\),.*/\1/'
}

# near DIVERGENCE LIMIT: it is above zero and below that
near () {
	echo "# $1"
	awk "BEGIN { exit !(0 < $1 + 0 && $1 < $2) }"
}

# types FILE: how many tensors of which type
types () {
	awk 'NR > 1 { n[$3]++ } END { for (t in n) print t, n[t] }' "$1" | sort
}

exits 0 'a model' llm-init -q -m tok --layers 2 --width 192 --heads 4 --kv-heads 2 --ffn 256 \
    --context 64 -o model4
exits 0 'w4a16' llm-quantize -q -t w4a16 --report report -o q model4
types report >"$tmp/out"
prints 'groups are as large as rows allow' <<'EOF'
F32 6
I4_128 2
I4_64 12
EOF
cat >"$tmp/config.pl" <<'EOF'
use JSON::PP;
local $/;
my $c = decode_json(<>);
my $q = $c->{quantization_config};
print "$q->{quant_method} $q->{format} @{$q->{ignore}}\n";
for (sort keys %{$q->{config_groups}}) {
	my $g = $q->{config_groups}{$_};
	my $w = $g->{weights};
	print "@{$g->{targets}}: $w->{num_bits} $w->{type} $w->{strategy} $w->{group_size} ",
	    $w->{symmetric} ? "symmetric" : "not", $w->{actorder} ? " $w->{actorder}" : "", "\n";
}
EOF
perl "$tmp/config.pl" q/config.json >"$tmp/out"
prints 'config.json says so' <<'EOF'
compressed-tensors pack-quantized lm_head model.embed_tokens
model.layers.0.mlp.down_proj model.layers.1.mlp.down_proj: 4 int group 128 symmetric
Linear: 4 int group 64 symmetric
EOF
near "$(kl q model4)" 0.01
result 'it is near to what it was' $?
exits 0 'as numbers' llm-convert -t f32 -o back q
exits 0 'these again' llm-quantize -q -t w4a16 -o again back
cmp q/model.safetensors again/model.safetensors && cmp q/config.json again/config.json
result 'are the same integers and scales' $?
exits 0 'of a GGUF file' llm-convert -o model4.gguf model4
exits 0 'too' llm-quantize -q -t w4a16 -o of.gguf model4.gguf
cmp q/model.safetensors of.gguf/model.safetensors
result 'are the same' $?
exits 0 'one thread' llm-quantize -q -j 1 -t w4a16 -o one model4
exits 0 'four threads' llm-quantize -q -j 4 -t w4a16 -o four model4
cmp one/model.safetensors four/model.safetensors && cmp one/model.safetensors q/model.safetensors
result 'make the same bytes' $?
exits 0 'a report by layer' llm-quantize -q -t w4a16 --report report --valid valid.jsonl -o r \
    model4.gguf
awk -F '\t' '$1 ~ /^layer/ { n++; bad += !(0 < $8 && $8 < 0.01) } $1 == "embedding" { n += $8 < 1e-9 }
    END { exit bad || n != 3 }' report
result 'though heads lie otherwise in the file' $?
exits 0 'smaller groups' llm-quantize -q -t w4a16 --group 32 --report report -o q32 model4
types report >"$tmp/out"
prints 'all alike' <<'EOF'
F32 6
I4_32 14
EOF
echo "$(kl q32 model4) $(kl q model4)" | awk '{ print "# " $0; exit !($1 < $2) }'
result 'are nearer' $?

by='--calibrate train.jsonl -n 2k --context 32'
exits 0 'by importance' llm-quantize -q $by -t w4a16 -o imp model4
exits 0 'AWQ' llm-quantize -q $by --awq -t w4a16 -o awq model4
exits 0 'GPTQ' llm-quantize -q $by --gptq -t w4a16 -o gptq model4
perl "$tmp/config.pl" gptq/config.json | grep -q '^Linear: .* weight$'
result 'GPTQ: its order of columns is said' $?
exits 0 'both' llm-quantize -q $by --awq --gptq -t w4a16 -o both model4
for how in awq gptq both
do
	echo "$(kl $how model4) $(kl q model4)" | awk '{ print "# " $0; exit !($1 < $2) }'
	result "$how: nearer to the model than by rounding" $?
	! cmp -s $how/model.safetensors imp/model.safetensors
	result "$how: not what importance alone makes" $?
done
exits 0 'AWQ by the importance alone' llm-quantize -q $by -o im model4
exits 0 'clips nothing' llm-quantize -q --imatrix im --awq -t w4a16 -o unclipped model4
echo "$(kl awq model4) $(kl unclipped model4)" | awk '{ print "# " $0; exit !($1 < $2) }'
result 'with a text AWQ clips, and comes nearer' $?
exits 0 'with little memory' llm-quantize -q $by --awq --memory 1M -j 1 -t w4a16 -o little model4
cmp awq/model.safetensors little/model.safetensors
result 'it is the same' $?
rm -r little
exits 0 'GPTQ with little memory' llm-quantize -q $by --gptq --memory 1M -t w4a16 -o little model4
cmp gptq/model.safetensors little/model.safetensors
result 'is the same' $?
exits 0 'GPTQ of a GGUF file' llm-quantize -q $by --gptq --awq -t w4a16 -o both.gguf model4.gguf
near "$(kl both.gguf model4)" "$(kl q model4)"
result 'is as near' $?

exits 0 'a model whose rows are all of groups of 128' llm-init -q -m tok --layers 2 --width 256 \
    --heads 4 --kv-heads 2 --ffn 512 --context 64 -o wide
exits 0 'by rounding' llm-quantize -q -t w4a16 --report report -o wide-rtn wide
types report >"$tmp/out"
prints 'it has them' <<'EOF'
F32 6
I4_128 14
EOF
for how in awq gptq
do
	exits 0 "$how" llm-quantize -q $by --$how -t w4a16 -o wide-$how wide
done
# 0.6 and 0.12 of it with this text.
echo "$(kl wide-awq wide) $(kl wide-gptq wide) $(kl wide-rtn wide)" |
    awk '{ print "# " $0; exit !($1 < 0.8 * $3 && $2 < 0.3 * $3) }'
result 'AWQ and GPTQ are much nearer' $?

llm-init -a none --vocab 300 -o no 2>err
for a in $(sed "s/.*'none': //; s/,//g; 1q" err)
do
	llm-init -q -a "$a" -m tok --layers 2 --width 64 --context 64 -o "m-$a" || exit 1
	if test "$a" = gpt2
	then
		exits 2 "$a" llm-quantize -q -t w4a16 -o "q-$a" "m-$a"
		grep -q 'transposed' err
		result "$a: refused" $?
		continue
	fi
	exits 0 "$a" llm-quantize -q -t w4a16 --group 32 -o "q-$a" "m-$a"
	exits 0 "$a: AWQ" llm-quantize -q $by --awq -t w4a16 --group 32 -o "awq-$a" "m-$a"
	exits 0 "$a: SmoothQuant" llm-quantize -q $by --smooth 0.5 -t w8a8 -o "smooth-$a" "m-$a"
	near "$(kl "smooth-$a" "m-$a")" "0.1 * $(kl "q-$a" "m-$a")"
	result "$a: much nearer than four bits" $?
	# Random layers gain nothing by it, and would lose much if a factor were taken back wrongly.
	near "$(kl "awq-$a" "m-$a")" "1.25 * $(kl "q-$a" "m-$a")"
	result "$a: as near to what it was as by rounding" $?
done

exits 2 'what is quantized' llm-quantize -t w4a16 -o none q
grep -q "_proj.weight' is quantized already: --allow-requantize takes it" err
result 'is refused' $?
exits 0 'unless one insists' llm-quantize -q --allow-requantize -t w4a16 -o t q
exits 0 'SmoothQuant of GGUF' llm-quantize -q $by --smooth 0.5 -t q8_0 -o smooth.gguf model4
exits 0 'or not' llm-quantize -q $by -t q8_0 -o plain.gguf model4
cmp -s smooth.gguf plain.gguf
result 'makes a difference' $((! $?))
near "$(kl smooth.gguf model4)" 1e-4
result 'and is near to the model' $?
exits 2 'SmoothQuant without a text' llm-quantize -t q8_0 --smooth 0.5 -o none model4
exits 2 'or to no power' llm-quantize $by -t q8_0 --smooth 1 -o none model4
exits 2 'memory for AWQ without a text' llm-quantize --imatrix im --awq --memory 1M -t q4_0 -o none model4
exits 2 'or with AWQ' llm-quantize $by -t q8_0 --smooth 0.5 --awq -o none model4
exits 2 'other groups' llm-quantize -t w4a16 --group 48 -o none model4
exits 2 'groups of GGUF' llm-quantize -t q4_0 --group 32 -o none model4
exits 2 'a budget' llm-quantize -t w4a16 --bits 4 -o none model4
exits 2 'what is there' llm-quantize -t w4a16 -o q model4
exits 2 'rows that are too short' llm-quantize -t w4a16 -o none "$data/model/llama"
test ! -e none
result 'failures leave nothing' $?
faults malloc none 'out of memory' llm-quantize -q -j 1 -t w4a16 -o none model
faults write none 'a write that fails' llm-quantize -q -j 1 -t w4a16 -o none model
done_testing
