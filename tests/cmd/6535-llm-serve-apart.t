#!/bin/sh
# What some ask is nothing to others: prefixes and salts, keys and adapters, who goes away.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
. "$(dirname "$0")/../serve.sh"
cd "$tmp" || exit 1
need_curl
make_model '' --layers 2 --width 64 --context 8192
llm-tokenize -q -m tok train.jsonl | llm-pack -q -l 64 -o train.shard
exits 0 'an adapter' llm-lora -q -m model --batch 256 --lr 1e-1 --steps 8 -o tuned train.shard

# text: that is in out
text () {
	sed 's/.*"text":"\(.*\)","logprobs.*/\1/' "${1:-out}"
}

# prefix LEAST MOST WHAT BODY [OPTION...]: so much of the long prompt is found again
prefix () {
	least=$1 most=$2 what=$3
	shift 3
	ask /v1/completions "$@"
	cached=$(sed 's/.*"cached_tokens":\([0-9]*\).*/\1/' out)
	test "$code" = 200 && test "$cached" -ge "$least" && test "$cached" -le "$most"
	result "$what" $?
	test "$code" = 200 || sed 's/^/# /' out
}

# Prefixes: found by who may, and by nobody else
long=$(prose 5 4 | tr '\n' ' ')
a="{\"prompt\":\"$long\",\"max_tokens\":8,\"temperature\":0"
alice=$(llm-serve --api-key-file keys --new-key alice)
bob=$(llm-serve --api-key-file keys --new-key bob)
serve -m base=model --lora tuned=tuned/latest --api-key-file keys
prefix 0 0 'a prompt that is new' "$a}" -H "Authorization: Bearer $alice"
first=$(text)
prefix 100 9999 'is found again' "$a}" -H "Authorization: Bearer $alice"
test "$(text)" = "$first"
result 'and has the same text' $?
prefix 100 9999 'by one that begins so' "{\"prompt\":\"$long Then\",\"max_tokens\":1}" \
    -H "Authorization: Bearer $alice"
prefix 0 0 'not by another key' "$a}" -H "Authorization: Bearer $bob"
test "$(text)" = "$first"
result 'whose text is the same' $?
prefix 0 0 'nor with a salt' "$a,\"cache_salt\":\"s\"}" -H "Authorization: Bearer $alice"
prefix 100 9999 'but with that again' "$a,\"cache_salt\":\"s\"}" -H "Authorization: Bearer $alice"
prefix 0 0 "nor with another key's same salt" "$a,\"cache_salt\":\"s\"}" -H "Authorization: Bearer $bob"
prefix 0 0 'nor by an adapter' "$a,\"model\":\"tuned\"}" -H "Authorization: Bearer $alice"
tuned=$(text)
test "$tuned" != "$first"
result 'which writes another text' $?
prefix 100 9999 'that finds its own' "$a,\"model\":\"tuned\"}" -H "Authorization: Bearer $alice"
test "$(text)" = "$tuned"
result 'and writes that again' $?
prefix 100 9999 'as the base does' "$a}" -H "Authorization: Bearer $alice"
test "$(text)" = "$first"
result 'untouched' $?
i=0 good=0
while test $i -lt 12
do
	model=$(test $((i % 2)) -eq 0 && echo base || echo tuned)
	curl -s -o many$i -d "$a,\"model\":\"$model\",\"cache_salt\":\"many\"}" \
	    -H "Authorization: Bearer $alice" "$url/v1/completions" &
	pids="$pids $!" i=$((i + 1))
done
wait $pids
for i in 0 1 2 3 4 5 6 7 8 9 10 11
do
	test "$(text many$i)" = "$(test $((i % 2)) -eq 0 && echo "$first" || echo "$tuned")" || good=1
done
result 'both at once are what they are alone' $good
serve_end

# Who goes away takes nothing with him, and leaves nothing
# slots N: wait until so many run or wait
slots () {
	for i in $(seq 200)
	do
		test "$(curl -s "$url/slots" | grep -o '"id"' | wc -l)" -eq "$1" && return
		sleep 0.05
	done
	return 1
}

# run NAME SEED TOKENS: ask for a text in the background; $run is its process
run () {
	curl -s -N -o "$1" -w '%{http_code}' -d "{\"prompt\":\"The kernel\",\"ignore_eos\":true,
	    \"seed\":$2,\"max_tokens\":$3,\"stream\":false}" "$url/v1/completions" >"$1.code" &
	run=$!
}
serve -m model --parallel 1 --waiting 2
run alone 1 6000
wait $run
run a 1 6000; a=$run
slots 1
run b 2 1500; b=$run
run c 3 4; c=$run
slots 3
run d 4 1; wait $run
test "$(cat d.code)" = 429
result 'two wait, and a third is refused' $?
kill $b
slots 2
result 'one that waited and left is gone' $?
run e 5 4; e=$run
slots 3
result 'and its place is free' $?
wait $a $c $e
test "$(cat a.code c.code e.code)" = 200200200 && test "$(text a)" = "$(text alone)"
result 'the one that ran has its text, and those that waited theirs' $?
run a 6 8000; a=$run
slots 1
run b 1 6000; b=$run
slots 2
kill $a
wait $b
test "$(text b)" = "$(text alone)"
result 'one that ran and left is followed by the next, with its text' $?
slots 0
result 'and all is over' $?
run a 7 4000; a=$run
slots 1
run b 7 4000; b=$run
sleep 0.3
kill $a
wait $b
test "$(cat b.code)" = 200 && grep -q '"completion_tokens":4000' b
result 'of two that share a text one left, and the other has it whole' $?
begun=$(curl -s "$url/metrics" | sed -n 's/^llm_generated_tokens_total //p')
run a 8 8000; a=$run
slots 1
kill $a
slots 0
sleep 0.2
test $(($(curl -s "$url/metrics" | sed -n 's/^llm_generated_tokens_total //p') - begun)) -lt 8000
result 'what nobody waits for is written no longer' $?
serve_end
result 'it ends with 0' $?
test ! -s serve.err
result 'and has said nothing' $?
done_testing
