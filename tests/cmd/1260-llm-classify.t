#!/bin/sh
. "$(dirname "$0")/../lib.sh"
cd "$tmp" || exit 1

# texts LABEL COUNT SEED: records of words of their own among common ones
texts () {
	awk -v label="$1" -v n="$2" -v seed="$3" 'BEGIN {
		srand(seed)
		for (i = 0; i < n; i++) {
			s = ""
			for (j = 0; j < 12; j++)
				s = s (rand() < 0.25 ? label int(rand() * 9) : "word" int(rand() * 90)) " "
			printf "{\"id\":\"%s-%s-%d\", \"text\":\"%s\",\"label\":\"%s\"}\n",
			    label, seed, i, s, label
		}
	}'
}
for label in good bad odd
do
	texts $label 500 1 >$label.jsonl
	texts $label 100 2 >$label.test
done
cat good.jsonl bad.jsonl >train.jsonl
cat good.test bad.test >test.jsonl

exits 0 'training' llm-classify -t train -m model --stats stats train.jsonl
jq -e '.records + .records_held_out == 1000 and .held_out.accuracy > 0.9 and
    .held_out.labels.good.auc > 0.97 and (.loss | length) == 3' stats >/dev/null
result 'reports on what was held out' $?
llm-classify -j 4 -t train -m model4 train.jsonl && cmp -s model model4
result '-j4 makes the bytes of -j1' $?
llm-classify -t train --memory 0 -m model0 train.jsonl && cmp -s model model0
result 'and so does no memory' $?
sed 's/,"label":"[a-z]*"//' good.jsonl >g
sed 's/,"label":"[a-z]*"//' bad.jsonl >b
llm-classify -t train -m model2 good= g bad= b && cmp -s model model2
result 'labels of files are as those of a key' $?
llm-classify -t train -s 1 -m model1 train.jsonl && ! cmp -s model model1
result 'another seed makes another' $?
sed 's/"good"/true/; s/"bad"/0/' train.jsonl | llm-classify -t train -m numbers
llm-classify -m numbers good.test | head -n 1 | grep -q '"label":"true"'
result 'numbers and truths are labels' $?

exits 0 'trying' llm-classify -t test -m model test.jsonl
jq -e '.records == 200 and .accuracy > 0.9 and .labels.good.auc > 0.97 and
    (.labels.bad.at_threshold | length) == 9 and .labels.good.at_rate[6].kept >= 0.5' \
    out >/dev/null
result 'gives numbers' $?
exits 2 'a label it does not know' llm-classify -t test -m model odd.test
grep -q "odd.test:1: the classifier does not know the label 'odd'" err
result 'is named' $?

exits 0 'applying' llm-classify -m model --label-key is --score-key p test.jsonl
grep -c '"label":"good","is":"good","p":0\.[0-9]*}' out >n
test "$(cat n)" -gt 90 && test "$(wc -l <out)" -eq 200
result 'writes label and probability' $?
llm-classify -m model --label-key is --score-key p -j 4 test.jsonl | cmp -s - out
result '-j4 gives the bytes of -j1' $?
exits 0 '--keep' llm-classify -m model --keep good:0.5 --rest rest test.jsonl
test "$(grep -c '"good-' out)" -gt 90 && test "$(grep -c '"bad-' rest)" -gt 90 &&
    test $(($(wc -l <out) + $(wc -l <rest))) -eq 200
result 'parts them' $?
jq -es 'all(.[]; .label == "good" and .score >= 0.5)' out >/dev/null
result 'by the probability of that label' $?
exits 0 '--keep-rate' llm-classify -m model --keep-rate good:10% --stats stats test.jsonl
test "$(wc -l <out)" -eq 20
result 'keeps so many' $?
cp out tenth
cat test.jsonl | llm-classify -j 3 -m model --keep-rate good:0.1 | cmp -s - tenth
result 'from a pipe, too' $?
llm-classify -m model --keep "good:$(jq .threshold stats)" test.jsonl | wc -l >n
test "$(cat n)" -eq 20
result 'and tells its threshold' $?
echo '{"text":""}' | llm-classify -m model >out
prints 'a text without words has no label' <<'END'
{"text":"","label":null,"score":0}
END

exits 0 'three labels' llm-classify -t train -m three --words 1 --chars 2-4 --bits 16 \
    train.jsonl odd.jsonl
exits 0 'of which each' llm-classify -t test -m three test.jsonl odd.test
jq -e '.accuracy > 0.9 and (.labels | keys) == ["bad", "good", "odd"]' out >/dev/null
result 'is found' $?

for m in softmax.bin hs.bin pruned.ftz
do
	exits 0 "fastText's $m" llm-classify -m "$data/fasttext/good/$m" test.jsonl
done
echo '{"text":"the small kernel"}' >kernel
exits 0 'one of them' llm-classify -m "$data/fasttext/good/softmax.bin" kernel
prints 'as it says' <<'END'
{"text":"the small kernel","label":"kernel","score":0.999729}
END
for m in $(ls -d "$data"/fasttext/bad/* | grep -v nan.bin)
do
	exits 2 "${m##*/}" llm-classify -m "$m" test.jsonl
done

llm-vocab -q -n 300 -o tok good.jsonl
cat good.test bad.test odd.test >three.jsonl
exits 0 'perplexity' llm-classify -t perplexity -m tok --reference good.jsonl --label-key part \
    --stats stats three.jsonl
jq -es 'length == 300 and (map(select(.part == "head")) | length) == 100 and
    (map(select(.part == "tail")) | length) == 100 and
    (map(select(.part == "head" and .label == "good")) | length) > 90 and
    (map(select(.part == "head") | .score) | max) <= (map(select(.part == "middle") | .score) | min)' \
    out >/dev/null
result 'makes thirds, the first of what is like the reference' $?
jq -e '.thirds[0] < .thirds[1]' stats >/dev/null
result 'and tells where they end' $?
cat three.jsonl | llm-classify -j 4 -t perplexity -m tok --reference good.jsonl --label-key part |
    cmp -s - out
result '-j4 and a pipe give the same' $?
exits 0 'the head' llm-classify -t perplexity -m tok --reference good.jsonl \
    --keep-rate head:20% --rest rest three.jsonl
test "$(grep -c '"good-' out)" -gt 55 && test "$(wc -l <out)" -eq 60 && test "$(wc -l <rest)" -eq 240
result 'is kept' $?
exits 2 'no reference' llm-classify -t perplexity -m tok three.jsonl
exits 2 'a missing reference' llm-classify -t perplexity -m tok --reference none three.jsonl
exits 2 '--keep by perplexity' llm-classify -t perplexity -m tok --reference good.jsonl \
    --keep head:0.5 three.jsonl
exits 0 'sums that overflow' llm-classify -m "$data/fasttext/bad/nan.bin" test.jsonl
jq -e '.score >= 0 and .score <= 1' out >/dev/null
result 'are no numbers, but scores are' $?
exits 2 'no model' llm-classify test.jsonl
exits 2 'a model that is none' llm-classify -m test.jsonl test.jsonl
exits 2 'a missing model' llm-classify -m missing test.jsonl
exits 2 'another type' llm-classify -t learn -m model test.jsonl
exits 2 'one label' llm-classify -t train -m one good.jsonl
test ! -e one
result 'leaves no file' $?
exits 2 'no input to train on' llm-classify -t train -m none /dev/null
exits 2 'a label without files' llm-classify -t train -m none good= g bad=
exits 2 '--keep of no label' llm-classify -m model --keep none:0.5 test.jsonl
for keep in good good:2 :1 good:x
do
	exits 2 "--keep $keep" llm-classify -m model --keep $keep test.jsonl
done
exits 2 '--chars' llm-classify -t train -m none --chars 5-3 train.jsonl
exits 0 'no input' llm-classify -m model </dev/null
{ head -n 3 train.jsonl; echo '{"text":"x"}'; tail -n 3 train.jsonl; } >few
exits 2 'a record without a label' llm-classify -t train -m none few
grep -q "few:4: no key 'label'" err
result 'is named' $?
exits 1 'passed over with -k' llm-classify -k -t train --bits 8 -m none few
exits 1 'kept with --bad' llm-classify -t test --bad rejected -m model few
test "$(cat rejected)" = '{"text":"x"}'
result 'as it was' $?
exits 2 'a full disk' sh -c 'exec llm-classify -m model test.jsonl >/dev/full'
exits 2 'nowhere to write' llm-classify -t train -m no/where few good= g

head -n 30 test.jsonl >thirty
for kind in malloc read write
do
	faults $kind o "a failing $kind is told" llm-classify -m model -o o thirty
	faults $kind o "a failing $kind is told in training" \
	    llm-classify -t train --bits 8 -m o thirty odd= odd.test
done
done_testing
