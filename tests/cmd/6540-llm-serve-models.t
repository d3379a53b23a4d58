#!/bin/sh
# Several models within a memory limit: who comes, who goes, who waits for whom.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
. "$(dirname "$0")/../serve.sh"
cd "$tmp" || exit 1
need_curl
prose 3 60 | awk '{ printf "{\"text\":\"%s\"}\n", $0 }' >train.jsonl
llm-vocab -q -n 400 -o tok train.jsonl || exit 1
for i in 1 2 3
do
	llm-init -q -a llama -m tok --layers 2 --width 64 --heads 4 --context 4096 -s $i -o m$i ||
	    exit 1
done
mkdir -p v
cp -r m3/. v/

# model I [SEED [MORE]]: a completion's body, which model I is asked
model () {
	printf '{"model":"m%s","prompt":"The kernel","seed":%s%s,"max_tokens":24,"logprobs":1}' \
	    "$1" "${2:-0}" "$3"
}

# text FILE: the answer in it, and its tokens' log-probabilities
text () {
	sed 's/.*"text":"\(.*\)"finish_reason.*/\1/' "$1"
}

# count NAME: a number of /metrics
count () {
	curl -s "$url/metrics" | sed -n "s/^$1 //p"
}

# loaded: the names of the models that are
loaded () {
	echo $(curl -s "$url/v1/models" | tr '{' '\n' |
	    sed -n 's/^"id":"\([^"]*\)".*"loaded":true.*"parent":null.*/\1/p')
}

# until_true COMMAND...: within some seconds
until_true () {
	for t in $(seq 200)
	do
		"$@" && return 0
		sleep 0.05
	done
	return 1
}

# is_loaded NAMES: exactly these
is_loaded () {
	test "$(loaded)" = "$1"
}

exits 0 'what all take' llm-serve -m m1 -m m2 -m m3 --embed v --memory 1G --dry-run
one=$(awk '$1 == "weights" || $1 == "engine" { n += $2 } $1 == "model" && $2 == "m2" { exit }
    END { print n }' out)
sed 's/^/# /' out
grep -q '^least	4	models at once' out
result 'all go into a gigabyte' $?
limit=$((one * 3 / 2))
exits 0 'with less' llm-serve -m m1 -m m2 -m m3 --memory $limit --dry-run
grep -q '^least	1	' out && grep -q '^most	1	' out
result 'there is one at a time' $?
exits 2 'too little for one' llm-serve -m m1 -m m2 --port 0 --memory $((one / 2))
grep -q "model 'm1' takes $one bytes" err
result 'says how much it takes' $?
exits 2 'a model that is not there' llm-serve -m m1 -m none --port 0 --memory $limit
cp -r m1 broken
echo '{' >broken/tokenizer.json
exits 2 'one without a tokenizer' llm-serve -m m1 -m broken --port 0 --memory $limit

# What each writes alone.
serve -m m1 -m m2 -m m3
for i in 1 2 3
do
	ask /v1/completions "$(model $i)"
	text out >want.$i
done
for i in $(seq 48)
do
	ask /v1/completions "$(model $((i % 3 + 1)) "$i")"
	text out >wanted.$i
done
test "$(loaded)" = 'm1 m2 m3'
result 'without a limit all are there' $?
serve_end
! cmp -s want.1 want.2 && ! cmp -s want.2 want.3
result 'three models have three texts' $?

serve -v -m m1 -m m2 -m m3 --embed v --memory $limit
test "$(loaded)$(count llm_model_loads_total)" = 0
result 'with one, none is at first' $?
ask /tokenize '{"model":"m2","content":"The kernel"}'
says 200 'tokens need none' '"count":2'
good=0
for i in 1 2 1 3 2 2 1
do
	ask /v1/completions "$(model $i)"
	test "$code" = 200 && text out | cmp -s - want.$i && is_loaded "m$i" || good=1
done
result 'each comes when it is asked for, and writes the same' $good
test "$(count llm_model_loads_total) $(count llm_model_evictions_total) $(count llm_models_loaded)" = '6 5 1'
result 'and that is counted' $?
test "$(count llm_model_bytes)" = "$one"
result 'with its size' $?
ask /v1/embeddings '{"model":"v","input":"The kernel"}'
says 200 'one that makes vectors comes too' '"embedding":'
ask /v1/completions "$(model 1)"

# Many at once, of all models: each answer is its model's.
for i in $(seq 48)
do
	m=$((i % 3 + 1))
	curl -s -o "got.$i" -d "$(model $m "$i")" "$url/v1/completions" &
	pids="$pids $!"
done
wait $pids
pids=
good=0
for i in $(seq 48)
do
	text "got.$i" | cmp -s - "wanted.$i" || { good=1; sed 's/^/# /' "got.$i"; }
done
result '48 at once of three models have their texts' $good
test "$(count llm_model_loads_total)" -lt 40
result 'and not each had its model loaded' $?
echo "# $(count llm_model_loads_total) loads"

stream=',"stream":true,"n":2,"max_tokens":1500,"ignore_eos":true,"stream_options":{"include_usage":true}'
# One that is written to is not unloaded: the other waits until it is whole.
ask /v1/completions "$(model 1)"
rm -f stream
curl -s -N -o stream -d "$(model 1 0 "$stream" | sed 's/"max_tokens":24,//')" "$url/v1/completions" &
long=$!
until_true test -s stream
ask /v1/completions "$(model 2)"
test "$code" = 200 && grep -q '^data: \[DONE\]' stream && text out | cmp -s - want.2
result 'another model waits' $?
wait $long
grep -q '"completion_tokens":3000,' stream && grep -q '^data: \[DONE\]' stream
result 'and breaks no stream off' $?

# A deadline, and a client that leaves.
rm -f stream
curl -s -N -o stream -d "$(model 2 0 "$stream" | sed 's/"max_tokens":24,//')" "$url/v1/completions" &
long=$!
until_true test -s stream
code=$(curl -s -D head -o out -w '%{http_code}' -d "$(model 3 0 ',"deadline":0.001')" \
    "$url/v1/completions")
test "$code" = 503 && grep -q 'deadline' out && grep -qi '^retry-after' head
result 'a deadline before there is room' $?
before=$(count llm_model_loads_total)
curl -s -m 0.2 -o /dev/null -d "$(model 3)" "$url/v1/completions"
wait $long
until_true test "$(count llm_requests_waiting)" = 0
result 'who leaves waits no more' $?
ask /v1/completions "$(model 2)"
text out | cmp -s - want.2
result 'and the others go on' $?

# Who asks for another model all the time does not keep it from coming.
stop=$(mktemp)
for i in 1 2 3 4
do
	while test -e "$stop"
	do
		curl -s -o /dev/null -d "$(model 1 $i)" "$url/v1/completions"
	done &
	pids="$pids $!"
done
good=0
for i in 1 2 3
do
	ask /v1/completions "$(model 3)" -m 20
	test "$code" = 200 && text out | cmp -s - want.3 || good=1
done
result 'a model that is asked for comes, whatever the others do' $good
rm "$stop"
wait $pids

# What is wrong with files is told, and over when it is mended.
ask /v1/completions "$(model 1)"
mv m3 away
ask /v1/completions "$(model 3)"
says 503 'a model that is gone' "model 'm3' cannot be loaded now"
grep -q "model 'm3' cannot be loaded: .*m3" serve.err
result 'is logged' $?
ask /v1/completions "$(model 1)"
says 200 'and the others are there' '"text"'
ask /v1/completions "$(model 3 0 ',"stream":true')"
says 503 'a stream has a status too' 'cannot be loaded'
mv away m3
ask /v1/completions "$(model 3)"
test "$code" = 200 && text out | cmp -s - want.3
result 'once it is back it is loaded' $?
cp m1/model.safetensors new && mv new m2/model.safetensors
ask /v1/completions "$(model 2)"
test "$code" = 200 && text out | cmp -s - want.1
result 'other weights in its place are what is loaded' $?
cp m1/config.json old.json
sed 's/"num_attention_heads": *4/"num_attention_heads":2/' old.json >m1/config.json
ask /v1/completions "$(model 1)"
says 503 'of other sizes they are not' "cannot be loaded"
cp old.json m1/config.json
ask /v1/completions "$(model 1)"
says 200 'until they are as they were' '"text"'
prlimit --pid "$server" --as=1000000:unlimited 2>/dev/null && {
	ask /v1/completions "$(model 3)"
	says 503 'without memory' "cannot be loaded"
	prlimit --pid "$server" --as=unlimited:unlimited
	ask /v1/completions "$(model 3)"
	test "$code" = 200 && text out | cmp -s - want.3
	result 'and with some again' $?
}
kill -0 $server && serve_end
result 'it ends with 0' $?

# As many as may wait do.
serve -m m1 -m m3 --memory $limit --waiting 2
rm -f stream
curl -s -N -o stream -d "$(model 1 0 "$stream" | sed 's/1500/3900/; s/"max_tokens":24,//')" \
    "$url/v1/completions" &
pids=$!
until_true test -s stream
for i in 1 2 3 4 5
do
	curl -s -D "head.$i" -o /dev/null -d "$(model 3 $i)" "$url/v1/completions" &
	pids="$pids $!"
	sleep 0.03
done
wait $pids
cat head.[1-5] >heads
test "$(grep -c '^HTTP/1.1 200' heads)" -ge 2 && grep -q '^HTTP/1.1 429' heads &&
    grep -qi '^retry-after: [1-9]' heads
result 'more than may wait for a model are refused' $?
serve_end

# What takes memory gives it back; what was answered is kept when its model is not.
llm-init -q -a llama -m tok --layers 4 --width 512 --heads 8 --context 512 -o large || exit 1
large='{"model":"large","prompt":"The kernel","seed":0,"max_tokens":4}'
llm-serve --api-key-file keys --new-key 'one models=m3' >one
llm-serve --api-key-file keys --new-key all >all
serve -m large -m m3 --memory 150M --cache 1024 --unload-after 3s --keep-answers 1M \
    --api-key-file keys

# as KEY PATH [BODY]: ask with a key
as () {
	key=$(cat "$1")
	shift
	ask "$@" -H "Authorization: Bearer $key"
}

# memory: kilobytes of the server
memory () {
	awk '/^VmRSS/ { print $2 }' "/proc/$server/status"
}

# small: it has let go of the large one
small () {
	test "$(memory)" -lt $((before + 12000))
}

before=$(memory)
as one /v1/completions "$large"
says 404 'a key has its models alone' model_not_found
as all /v1/completions "$large"
says 200 'the large one' '"text"'
text out >want
more=$(memory)
test "$more" -gt $((before + 40000))
result 'takes memory' $?
until_true small
result 'and gives it back when it was idle' $?
echo "# $before KiB, $more with it, $(memory) without"
code=$(curl -s -D head -o out -w '%{http_code}' -H "Authorization: Bearer $(cat all)" -d "$large" \
    "$url/v1/completions")
test "$code" = 200 && grep -qi '^x-cache: hit' head && text out | cmp -s - want && small
result 'its answer is kept without it' $?
serve_end

# Adapters, and files that are others now.
llm-tokenize -q -m tok train.jsonl | llm-pack -q -l 32 -o train.shard
for i in 1 2
do
	exits 0 "adapter $i" llm-lora -q -m m3 --batch 256 --lr 3e-2 --steps 6 -s $i -o run$i train.shard
done
long='The small kernel reads the old file, and a page is in the table of the slow driver'
by () {
	printf '{"model":"%s","prompt":"%s","seed":0,"max_tokens":24,"logprobs":1}' "$1" "$long"
}
for n in 1 2
do
	serve -m m3 --lora a=run$n/latest
	ask /v1/completions "$(by a)"
	text out >want.$n
	ask /v1/completions "$(by a | sed 's/"max_tokens":24,"logprobs":1/"max_tokens":1500,"ignore_eos":true/')"
	sed 's/.*"text":"\(.*\)","logprobs.*/\1/' out >long.$n
	serve_end
done
! cmp -s want.1 want.2
result 'write differently' $?
for limit in '' "--memory $limit"
do
	rm -rf adapter
	cp -rL run1/latest adapter
	serve -m m3 --lora a=adapter --keep-answers 1M $limit
	ask /v1/completions "$(by a)"
	text out | cmp -s - want.1
	result "one of them${limit:+, within a limit}" $?
	rm -f stream
	curl -s -N -o stream -d "$(by a | sed 's/"max_tokens":24,"logprobs":1/"max_tokens":1500,"ignore_eos":true,"stream":true/')" \
	    "$url/v1/completions" &
	writes=$!
	until_true test -s stream
	cp run2/latest/adapter_model.safetensors new
	mv new adapter/adapter_model.safetensors
	kill -HUP $server
	sleep 0.1
	ask /v1/completions "$(by a)"
	test "$code" = 200 && text out | cmp -s - want.2
	result 'SIGHUP brings the other one' $?
	grep -q '"cached_tokens":0' out
	result 'nothing that was computed with the one is found by it' $?
	wait $writes
	test "$(sed -n 's/^data: .*"text":"\(.*\)","logprobs.*/\1/p' stream | tr -d '\n')" = "$(cat long.1)"
	result 'and what was being written ends with the one' $?
	echo '{' >adapter/adapter_config.json
	kill -HUP $server
	until_true test -s serve.err
	grep -q adapter_config.json serve.err
	result 'one that is broken is told of' $?
	ask /v1/completions "$(by a)"
	test "$code" = 200 && text out | cmp -s - want.2
	result 'and changes nothing' $?
	serve_end
	result 'it ends with 0' $?
done

# Asked to end while models come and go.
good=0
for wait in 0.02 0.05 0.1 0.15
do
	serve -m m1 -m m3 -m large --memory 150M --cache 1024 --grace 2s
	pids=
	for i in $(seq 24)
	do
		m=$(echo m1 m3 large | cut -d ' ' -f $((i % 3 + 1)))
		curl -s -o "got.$i" -w '%{http_code}\n' -d "$(by $m)" "$url/v1/completions" \
		    >"code.$i" &
		pids="$pids $!"
	done
	sleep $wait
	kill $server
	wait $pids
	wait $server || { good=1; echo "# $?"; }
	test -s serve.err && { good=1; sed 's/^/# /' serve.err; }
done
result 'SIGTERM while models come and go' $good
done_testing
