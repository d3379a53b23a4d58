#!/bin/sh
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
cd "$tmp" || exit 1
make_samples
model=run/latest
llm-tokenize -m tok valid.jsonl >valid.docs
llm-pack -l 1024 -o wide.shard valid.docs

# value KEY FILE: a number of a report
value () {
	sed -n "s/.*\"$1\": *\\([-0-9.e+]*\\).*/\\1/p" "$2"
}

# near A B: as close as the order of a sum of doubles lets them be
near () {
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a - b < 1e-6 && b - a < 1e-6 && a != "") }'
}

exits 0 'a shard' llm-eval -j 1 -m $model valid.docs
cp out docs.json
awk -v l="$(value loss docs.json)" 'BEGIN { exit !(l > 1 && l < 7) }'
result 'the loss of a model with 400 tokens is near ln 400 or below' $?
awk -v p="$(value perplexity docs.json)" -v l="$(value loss docs.json)" \
    'BEGIN { d = p / exp(l) - 1; exit !(d < 1e-7 && d > -1e-7) }'
result 'perplexity is its exponential' $?
awk -v b="$(value bits_per_byte docs.json)" -v l="$(value loss docs.json)" \
    -v t="$(value targets docs.json)" -v n="$(value source_bytes docs.json)" \
    'BEGIN { d = b - l * t / log(2) / n; exit !(d < 1e-7 && d > -1e-7) }'
result 'bits per byte are its nats over the bytes' $?
test "$(value tokens docs.json)" -eq "$(llm-shard -F json valid.docs | tr -d ' \n' |
    sed 's/.*"tokens":\([0-9]*\).*/\1/')"
result 'tokens are those of the shard' $?
test "$(value targets docs.json)" -eq $(($(value tokens docs.json) - $(wc -l <valid.jsonl)))
result 'all but the first of each document are targets' $?

exits 0 'four threads' llm-eval -j 4 -m $model valid.docs
prints 'the same bytes for any number of threads' <docs.json
exits 0 'through a cache' llm-eval --kv f32 -m $model valid.docs
awk -v a="$(value loss out)" -v b="$(value loss docs.json)" 'BEGIN { exit !(a / b - 1 < 1e-5 && b / a - 1 < 1e-5) }'
result 'the same loss but for the order of sums' $?
test "$(value targets out)" = "$(value targets docs.json)"
result 'of as many tokens' $?
exits 2 'no such type of a cache' llm-eval --kv q5 -m $model valid.docs
for option in 'kl --kv f16' 'logits --stride 4' 'perplexity --order 2' 'ngram --reference run/latest'
do
	# shellcheck disable=SC2086 # words are wanted
	exits 2 "an option of another task: $option" llm-eval -m $model -t $option valid.docs
	grep -q ': --[a-z]* goes with -t [a-z]*$' "$tmp/err"
	result 'is named' $?
done
exits 0 'the records' llm-eval -m $model valid.jsonl
prints 'the same as the shard of them' <docs.json
exits 0 'compressed records' sh -c 'gzip <valid.jsonl >valid.gz && llm-eval -m run/latest valid.gz'
prints 'the same again' <docs.json
exits 0 'from a pipe' sh -c 'llm-eval -m run/latest <valid.docs'
prints 'the same from a pipe' <docs.json
exits 0 'into a file' llm-eval -m $model -o report.json valid.docs
cmp -s report.json docs.json
result 'the same in a file' $?
sed 's/"text"/"body"/' valid.jsonl >body.jsonl
exits 0 'another field' llm-eval -m $model -f body body.jsonl
prints 'the same of another field' <docs.json
exits 0 'two files' llm-eval -m $model valid.docs valid.jsonl
test "$(value targets out)" -eq $(($(value targets docs.json) * 2)) &&
    near "$(value loss out)" "$(value loss docs.json)"
result 'their mean' $?

# Rows that hold whole documents lose nothing; rows of 64 cut them.
exits 0 'rows of whole documents' llm-eval -m $model wide.shard
near "$(value loss out)" "$(value loss docs.json)" &&
    test "$(value targets out)" -eq "$(value targets docs.json)"
result 'the same loss of the same targets' $?
exits 0 'rows that cut documents' llm-eval -m $model valid.shard
test "$(value tokens out)" -eq "$(value tokens docs.json)" &&
    test "$(value source_bytes out)" -eq "$(value source_bytes docs.json)" &&
    test "$(value targets out)" -lt "$(value targets docs.json)"
result 'the same tokens and bytes, and a target less a cut' $?
near "$(value loss out)" "$(sed -n 's/.*"valid_loss": *\([0-9.]*\).*/\1/p' run/log.jsonl | tail -n 1)"
result 'what llm-train said of this checkpoint' $?

exits 0 'a small stride' llm-eval -m $model --context 32 --stride 4 valid.docs
cp out small.json
test "$(value targets small.json)" -eq "$(value targets docs.json)"
result 'predicts the same targets' $?
exits 0 'a stride as long as can be' llm-eval -m $model --context 32 --stride 31 valid.docs
test "$(value targets out)" -eq "$(value targets docs.json)" &&
    ! near "$(value loss out)" "$(value loss small.json)"
result 'predicts them with less before them' $?
exits 2 'a context longer than the model' llm-eval -m $model --context 65 valid.docs
exits 2 'a stride as long as the context' llm-eval -m $model --context 32 --stride 32 valid.docs
exits 2 'a context of one' llm-eval -m $model --context 1 valid.docs

# Logits: the loss that follows from them is the loss.
head -n 3 valid.jsonl >few.jsonl
llm-tokenize -m tok few.jsonl | llm-pack -l 64 -o few.shard
exits 0 'logits' llm-eval -t logits -j 1 -m $model -o one.st few.shard
exits 0 'logits with four threads' llm-eval -t logits -j 4 -m $model -o four.st few.shard
cmp -s one.st four.st
result 'are the same bytes' $?
exits 0 'their loss' llm-eval -m $model few.shard
cat >loss.pl <<'END'
open F, "<:raw", $ARGV[0]; local $/; $_ = <F>;
$n = unpack "Q<", $_; $head = substr $_, 8, $n; $data = substr $_, 8 + $n;
sub part { $head =~ /"$_[0]":\{[^}]*"data_offsets":\[(\d+),(\d+)\]/; substr $data, $1, $2 - $1 }
@token = unpack "l<*", part "tokens"; @cu = unpack "l<*", part "cu_seqlens";
$logits = part "logits"; $v = length($logits) / 4 / @token;
for $s (0 .. $#cu - 1) {
	for $i ($cu[$s] .. $cu[$s + 1] - 2) {
		@row = unpack "f<*", substr $logits, $i * $v * 4, $v * 4;
		$max = (sort { $b <=> $a } @row)[0]; $sum = 0;
		$sum += exp($_ - $max) for @row;
		$nats += $max + log($sum) - $row[$token[$i + 1]]; $targets++;
	}
}
printf "%.9f %d\n", $nats / $targets, $targets;
END
perl loss.pl one.st >mine
# A log of a sum of 400 floats: within 1e-5 of what the head computes in pieces.
awk -v l="$(value loss out)" -v t="$(value targets out)" \
    '{ d = $1 - l; exit !(d < 1e-5 && d > -1e-5 && $2 == t) }' mine
result 'follows from the logits' $?
exits 2 'logits of documents beyond the context' llm-eval -t logits -m $model -o no.st valid.docs
test ! -e no.st
result 'and no file' $?
exits 2 'logits without a file' llm-eval -t logits -m $model few.shard

# N-grams.
exits 0 'triples' llm-eval -t ngram --train train.shard valid.docs
cp out three.json
awk -v l="$(value loss out)" 'BEGIN { exit !(l > 0 && l < log(400)) }'
result 'are better than nothing' $?
test "$(value targets out)" -eq "$(value targets docs.json)"
result 'and predict the same targets' $?
exits 0 'triples of records' llm-eval -t ngram -m tok --train train.shard valid.jsonl
prints 'the same' <three.json
exits 0 'pairs' llm-eval -t ngram --order 2 --train train.shard valid.docs
! near "$(value loss out)" "$(value loss three.json)"
result 'differ' $?
exits 2 'order 4' llm-eval -t ngram --order 4 --train train.shard valid.docs
exits 2 'n-grams of nothing' llm-eval -t ngram valid.docs
exits 2 'records without a tokenizer' llm-eval -t ngram --train train.shard valid.jsonl

# What is refused.
llm-vocab -q -n 300 -o other train.jsonl
llm-tokenize -m other valid.jsonl >other.docs
exits 2 'another tokenizer' llm-eval -m $model other.docs
grep -q "^llm-eval: other.docs: made with another tokenizer than the model's$" err
result 'is named' $?
exits 2 'n-grams of another tokenizer' llm-eval -t ngram --train train.shard other.docs
cp -RL $model bare && rm bare/tokenizer*
exits 0 'a shard and no tokenizer' llm-eval -m bare valid.docs
prints 'the same' <docs.json
exits 2 'records and no tokenizer' llm-eval -m bare valid.jsonl
echo '{' >bare/tokenizer.json
exits 2 'a broken tokenizer' llm-eval -m bare valid.docs
exits 2 'empty records' llm-eval -m $model /dev/null
grep -q '^llm-eval: no token to predict' err
result 'have no loss' $?
exits 2 'an empty pipe' sh -c ': | llm-eval -m run/latest'
{ head -n 2 valid.jsonl; echo '{"id":1}'; } >bad.jsonl
exits 2 'a bad record' llm-eval -m $model bad.jsonl
grep -q "^llm-eval: bad.jsonl:3: " err
result 'is named' $?
head -c 500 valid.docs >cut.docs
exits 2 'a shard that is cut off' llm-eval -m $model cut.docs
exits 2 'a missing file' llm-eval -m $model nothing
grep -q '^llm-eval: nothing: cannot open' err
result 'is named' $?
exits 2 'a missing model' llm-eval -m nothing valid.docs
exits 2 'no model' llm-eval valid.docs
exits 2 'an unknown task' llm-eval -t luck -m $model valid.docs
exits 2 'a full disk' sh -c 'llm-eval -m run/latest valid.docs >/dev/full'
exits 2 'a file in no directory' llm-eval -m $model -o no/report valid.docs
for kind in malloc read open
do
	faults $kind o.st "logits: no $kind is trusted" llm-eval -t logits -m $model -o o.st few.shard
done
done_testing
