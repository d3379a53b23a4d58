#!/bin/sh
# What is guessed changes no answer, of many clients at once.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
. "$(dirname "$0")/../serve.sh"
cd "$tmp" || exit 1
need_curl
make_samples
llm-init -q -m tok --layers 1 --width 32 --heads 2 --context 64 -s 9 -o other || exit 1

# clients DIR: eight at once, of all kinds; their answers, but for what tells when they were asked
clients () {
	mkdir -p "$1"
	asked=
	i=0
	while read -r body
	do
		i=$((i + 1))
		curl -s -d "$body" "$url/v1/completions" |
		    sed 's/"id":"[^"]*"//g; s/"created":[0-9]*//g; s/"cached_tokens":[0-9]*//g
		    s/^data: .*"text":"\([^"]*\)".*/\1/' | tr -d '\n' >"$1/$i" &
		asked="$asked $!"
	done <bodies
	wait $asked
}
quoted='The kernel reads a file. The kernel reads a page. The kernel reads a file. The kernel'
cat >bodies <<END
{"prompt":"$quoted","max_tokens":30,"temperature":0,"ignore_eos":true,"logprobs":3}
{"prompt":"$quoted","max_tokens":30,"temperature":1.3,"seed":1,"ignore_eos":true,"logprobs":1}
{"prompt":"$quoted","max_tokens":25,"temperature":0.7,"seed":2,"n":3,"ignore_eos":true}
{"prompt":"The","max_tokens":40,"temperature":0,"logit_bias":{"300":20,"301":19},"ignore_eos":true}
{"prompt":"The","max_tokens":40,"temperature":0.3,"seed":3,"presence_penalty":1,"stop":["er"]}
{"prompt":"A","max_tokens":40,"temperature":1,"seed":4,"structured_outputs":{"regex":"(the |file ){9,}"}}
{"prompt":"A page","max_tokens":40,"temperature":0,"stream":true,"ignore_eos":true}
{"prompt":"A page","max_tokens":40,"temperature":0.9,"seed":5,"repetition_penalty":1.2,"logprobs":5}
END

serve -m run/latest
clients plainly
serve_end
grep -q '"text":"' plainly/1 && grep -q '"text":"' plainly/8
result 'eight clients' $?
# Its own guesses are right, of the others' some.
for how in '--lookup 8' '--draft run/latest' '--draft other --lookup 16' '--draft other --cache 512'
do
	serve -m run/latest $how
	for again in 1 2 3
	do
		clients guessed
		diff -r plainly guessed >out
		result "with $how all is the same" $?
		sed 's/^/# /' out
	done
	ask /metrics
	says 200 'guesses are counted' '^llm_guessed_tokens_total [0-9]'
	says 200 'and the right ones' '^llm_guessed_right_tokens_total [0-9]'
	grep '^llm_guessed' out | sed 's/^/# /'
	serve_end
	result 'it ends with 0' $?
done
cp -RL other foreign && llm-vocab -q -n 300 -o foreign train.jsonl
exits 2 'a draft of another tokenizer' llm-serve -m run/latest --draft foreign --port 0
grep -q 'foreign: not the tokenizer of the model$' err
result 'says so' $?
exits 2 'a draft that is not there' llm-serve -m run/latest --draft nothing --port 0
exits 2 'a draft of nothing' llm-serve --draft other -m run/latest --port 0
exits 0 'a dry run' llm-serve -m run/latest --dry-run
cp out plain
exits 0 'with a draft' llm-serve -m run/latest --draft other --dry-run
test "$(sed -n 's/^engine.\([0-9]*\).*/\1/p' out)" -gt "$(sed -n 's/^engine.\([0-9]*\).*/\1/p' plain)"
result 'tells that it takes more' $?
done_testing
