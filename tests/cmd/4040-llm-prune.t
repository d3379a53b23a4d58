#!/bin/sh
# llm-prune: as many zeros as were asked for, where they hurt least
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
cd "$tmp" || exit 1
make_samples

# kl MODEL: its divergence from what it was
kl () {
	llm-eval -t kl -m "$1" --reference run/latest valid.jsonl |
	    sed 's/.*"kl": \([0-9.e-]*\),.*/\1/'
}

exits 0 'wanda' llm-prune --calibrate train.jsonl -n 2k -o wanda run/latest
grep -q '14 matrices, 50.00% of their [0-9]* weights are zeros' err
result 'leaves half of the weights' $?
exits 0 'it is a model' llm-generate -m wanda -p The -n 4 -T 0
exits 0 'magnitude' llm-prune -t magnitude -o small run/latest
exits 0 'by an importance matrix' llm-quantize --calibrate train.jsonl -n 2k -o im run/latest
exits 0 'too' llm-prune -q --imatrix im -o same run/latest
test ! -s err
result '-q says nothing' $?
cmp wanda/model.safetensors same/model.safetensors
result 'is the same' $?
cmp -s wanda/model.safetensors small/model.safetensors
result 'and other than by size' $((! $?))
exits 0 '2:4' llm-prune --imatrix im --pattern 2:4 -o pairs run/latest
grep -q '50.00%' err
result 'is half too' $?
exits 0 'a quarter' llm-prune --imatrix im --share 25% -o quarter run/latest
grep -q '25.00%' err
result 'is one' $?
exits 0 'no zeros' llm-prune --imatrix im --share 0 -o none run/latest
cmp none/model.safetensors run/latest/model.safetensors
result 'change nothing' $?
echo "$(kl quarter) $(kl wanda) $(kl pairs)" | awk '{ print "# " $0; exit !($1 > 0 && $1 < $2 && $2 < $3) }'
result 'more zeros, or less choice, are farther from the model' $?
exits 0 'from GGUF' sh -c 'llm-convert -o m.gguf run/latest && llm-prune -q --imatrix im -o g m.gguf'
exits 0 'four threads' llm-prune -q -j 4 --calibrate train.jsonl -n 2k -o four run/latest
cmp four/model.safetensors wanda/model.safetensors
result 'make the same' $?
exits 0 'experts' llm-init -q -a mixtral -m tok --layers 1 --width 64 --heads 2 --ffn 64 \
    --experts 4 --context 64 -o moe
exits 0 'too' llm-prune --calibrate train.jsonl -n 500 -o m moe

exits 2 'wanda without a text' llm-prune -o x run/latest
exits 2 'magnitude with one' llm-prune -t magnitude --calibrate train.jsonl -o x run/latest
exits 2 'two sources' llm-prune --imatrix im --calibrate train.jsonl -o x run/latest
exits 2 'another method' llm-prune -t luck -o x run/latest
exits 2 'another pattern' llm-prune --imatrix im --pattern 4:8 -o x run/latest
exits 2 'a share of a pattern' llm-prune --imatrix im --pattern 2:4 --share 0.2 -o x run/latest
exits 2 'everything' llm-prune --imatrix im --share 1 -o x run/latest
exits 2 'a directory that exists' llm-prune --imatrix im -o wanda run/latest
exits 2 'no output' llm-prune --imatrix im run/latest
test ! -e x -a -z "$(find . -name 'x.*')"
result 'failures leave nothing' $?
faults malloc x 'out of memory' llm-prune -q -j 1 -t magnitude -o x run/latest
faults write x 'a write that fails' llm-prune -q -j 1 -t magnitude -o x run/latest
done_testing
