#!/bin/sh
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
cd "$tmp" || exit 1
make_samples
model=run/latest

# field KEY: a value in the last record, raw
field () {
	sed -n "\$s/.*\"$1\":\\(\"[^\"]*\"\\|[^,}]*\\).*/\\1/p" out
}

exits 0 'the likeliest text' llm-generate -m $model -p 'The kernel' -T 0 -n 20 -j 1
cp out greedy
test "$(tail -c 1 greedy | od -An -tx1 | tr -d ' ')" = 0a
result 'ends with a newline' $?
exits 0 'with two threads' llm-generate -m $model -p 'The kernel' -T 0 -n 20 -j 2
prints 'is the same' <greedy
exits 0 'a cache of floats' llm-generate -m $model -p 'The kernel' -T 0 -n 20 --kv f32
prints 'gives the same text as one of halves' <greedy
exits 2 'no such type of a cache' llm-generate -m $model -p 'The kernel' --kv q5
exits 0 'with another seed' llm-generate -m $model -p 'The kernel' -T 0 -n 20 -s 9
prints 'is the same' <greedy
exits 0 'top-k 1' llm-generate -m $model -p 'The kernel' -T 2 --top-k 1 -n 20
prints 'is the same' <greedy
exits 0 'top-p 0' llm-generate -m $model -p 'The kernel' -T 2 --top-p 0 -n 20
prints 'is the same' <greedy
exits 0 'min-p 1' llm-generate -m $model -p 'The kernel' -T 2 --min-p 1 -n 20
prints 'is the same' <greedy
exits 0 'the prompt from a pipe' sh -c "printf 'The kernel' | llm-generate -m $model -T 0 -n 20"
prints 'is the same' <greedy

exits 0 'a drawn text' llm-generate -m $model -p 'The kernel' -s 5 -n 20 -j 1
cp out drawn
exits 0 'the same seed' llm-generate -m $model -p 'The kernel' -s 5 -n 20 -j 2
prints 'gives the same text' <drawn
exits 0 'another seed' llm-generate -m $model -p 'The kernel' -s 6 -n 20
! cmp -s out drawn
result 'gives another' $?
exits 0 'three texts' llm-generate -m $model -p 'The kernel' -s 5 -n 20 --texts 3 -F jsonl
cp out three
test "$(sort -u three | wc -l)" -eq 3
result 'are three' $?
exits 0 'two of them' llm-generate -m $model -p 'The kernel' -s 5 -n 20 --texts 2 -F jsonl
head -n 2 three | cmp -s - out
result 'are the first two' $?

exits 0 'a record' llm-generate -m $model -p 'The "kernel"' -n 7 -T 0 --ignore-eos -F jsonl
test "$(field token_count)" = 7 && test "$(field end)" = '"count"'
result 'has its counts and its end' $?
grep -q '^{"prompt":"The \\"kernel\\"","completion":".*","token_count":7,"mean_logprob":-[0-9.]*,"end":"count"}$' out
result 'and is JSON with quotes escaped' $?
exits 0 'records' llm-filter -r gopher -f completion --explain out

exits 0 '--echo' llm-generate -m $model -p 'The kernel' -T 0 -n 20 --echo
{ printf 'The kernel'; cat greedy; } | cmp -s - out
result 'writes the prompt, too' $?

# Stop before a text in the middle of the likeliest one, in any cut of it.
whole=$(cat greedy)
for from in 1 2 3 4 5
do
	stop=$(printf %s "$whole" | cut -c "$((from + 4))-$((from + 7))")
	exits 0 "--stop '$stop'" llm-generate -m $model -p 'The kernel' -T 0 -n 20 --stop "$stop"
	printf '%s\n' "${whole%%"$stop"*}" | cmp -s - out
	result 'ends before it' $?
done
exits 0 'a stop text in records' llm-generate -m $model -p 'The kernel' -T 0 -n 20 \
    --stop "$stop" -F jsonl
test "$(field end)" = '"stop"'
result 'is their end' $?
exits 0 'a stop text that never comes' llm-generate -m $model -p 'The kernel' -T 0 -n 20 \
    --stop "$whole, and more"
prints 'takes nothing away' <greedy

exits 0 'two stop texts' llm-generate -m $model -p 'The kernel' -T 0 -n 20 --stop "$stop" \
    --stop 'never there'
printf '%s\n' "${whole%%"$stop"*}" | cmp -s - out
result 'end before the first that comes' $?

# What the likeliest text begins with is banned: it begins with something else.
exits 0 'log-probabilities' llm-generate -m $model -p 'The kernel' -T 0 -n 3 --ignore-eos \
    --logprobs 2 -F jsonl
cp out logprobs
grep -Eq '"tokens":\[(\{"token":"[^"]*","id":[0-9]+,"logprob":-[0-9.]+,"top_logprobs":\[(\{"token":"([^"]|\\")*","id":[0-9]+,"logprob":-[0-9.]+\},?){2}\]\},?){3}\]\}$' out
result 'are in the record, with those of two more' $?
id=$(sed 's/.*"tokens":\[{"token":"[^"]*","id":\([0-9]*\).*/\1/' logprobs)
next=$(sed 's/.*"tokens":\[[^]]*"id":\([0-9]*\),"logprob":[-0-9.]*}\]}.*/\1/; q' logprobs)
first () {
	sed 's/.*"tokens":\[{"token":"[^"]*","id":\([0-9]*\).*/\1/' out
}
for ban in "--ban $id" "--bias $id=-50" "--bias $id=-inf"
do
	exits 0 "$ban" llm-generate -m $model -p 'The kernel' -T 0 -n 1 --logprobs 0 -F jsonl $ban
	test "$(first)" != "$id"
	result 'another token is drawn' $?
done
exits 0 'a bias' llm-generate -m $model -p 'The kernel' -T 0 -n 1 --logprobs 0 -F jsonl \
    --bias e=100
exits 0 'the token of a text' llm-tokenize -m tok --bos no --eos no -F ids -f t - <<END
{"t":"e"}
END
id=$(cat out)
exits 0 'and of a bias' llm-generate -m $model -p 'The kernel' -T 0 -n 1 --logprobs 0 -F jsonl \
    --bias e=100
test "$(first)" = "$id"
result 'is what is drawn' $?
exits 2 'a bias of two tokens' llm-generate -m $model -p The --bias 'zqxzqx=1'
grep -q "^llm-generate: --bias zqxzqx=1: 'zqxzqx' is [0-9]* tokens, not one$" err
result 'says so' $?
exits 2 'a token beyond the vocabulary' llm-generate -m $model -p The --ban 99999999999999999999
exits 2 'a bias without a value' llm-generate -m $model -p The --bias e
exits 2 'a bias of no number' llm-generate -m $model -p The --bias e=much
exits 2 'an empty stop text' llm-generate -m $model -p The --stop ''
exits 2 'a repeat penalty of 0' llm-generate -m $model -p The --repeat-penalty 0
exits 2 'a typical beyond 1' llm-generate -m $model -p The --typical 2
exits 2 'too many log-probabilities' llm-generate -m $model -p The --logprobs 101

# A token can come again only when the penalty of its being there is small.
exits 0 'a presence penalty' llm-generate -m $model -p 'The kernel' -T 0 -n 40 --ignore-eos \
    --presence-penalty 100 --logprobs 0 -F jsonl
sed 's/.*"tokens"://' out | grep -o '"id":[0-9]*' | sort | uniq -d >twice
test ! -s twice
result 'lets no token come twice' $?
for penalty in '--frequency-penalty 100' '--repeat-penalty 100'
do
	exits 0 "$penalty" llm-generate -m $model -p 'The kernel' -T 0 -n 20 $penalty
	! cmp -s out greedy
	result 'changes the text' $?
	exits 0 'over no window' llm-generate -m $model -p 'The kernel' -T 0 -n 20 $penalty \
	    --penalty-window 0
	prints 'it does not' <greedy
done
exits 0 '--typical' llm-generate -m $model -p 'The kernel' -s 5 -n 20 --typical 0.2
! cmp -s out drawn
result 'draws others' $?

# ---- guesses: the text is never another, however many of them are wrong ----

llm-init -q -m tok --layers 1 --width 32 --heads 2 --context 64 -s 9 -o other
exits 0 'a draft for one file' llm-convert -o other.gguf other
for how in '-T 0' '-T 0.9 -s 5' '-T 1.5 --top-k 30 --presence-penalty 0.5 --stop ed'
do
	exits 0 "$how" llm-generate -m $model -p 'The kernel of The kernel' -n 50 $how
	cp out plainly
	for guess in --lookup '--early-exit 1' '--draft other' '--draft other.gguf' \
	    "--draft $model"
	do
		exits 0 "$guess" llm-generate -m $model -p 'The kernel of The kernel' -n 50 $how \
		    $guess
		prints 'the same text' <plainly
		exits 0 'always' llm-generate -m $model -p 'The kernel of The kernel' -n 50 $how \
		    $guess --draft-always --draft-max 5 -v
		prints 'the same text' <plainly
		# A drawn text may have nothing twice.
		test "$guess$how" != "--lookup-T 0" ||
		    grep -q '^llm-generate: [0-9]* passes, [1-9][0-9]* tokens guessed, ' err
		result 'by guesses' $?
	done
	# By the model itself all are right, but for the last ones, behind the end.
	awk '/guessed/ { exit !($4 > 9 && $7 >= $4 - 5) }' err
	result 'who guesses by the same model is right' $?
done
exits 0 'until the context is full' llm-generate -m $model -p 'The kernel' -n 1000 --ignore-eos
cp out plainly
exits 0 'with guesses' llm-generate -m $model -p 'The kernel' -n 1000 --ignore-eos --draft $model \
    --draft-always
prints 'the same' <plainly
exits 0 'records' llm-generate -m $model -p 'The kernel' -n 9 --logprobs 2 -F jsonl
cp out plainly
exits 0 'with guesses' llm-generate -m $model -p 'The kernel' -n 9 --logprobs 2 -F jsonl \
    --early-exit 1 --draft-always
prints 'the same' <plainly
seq 9 | sed 's/.*/{"text":"The kernel & of The kernel","temperature":0.&,"max_tokens":3&}/' >nine
echo '{"text":"The","max_tokens":30,"structured_outputs":{"regex":"( the [a-z]{2,6}){9}"}}' >>nine
exits 0 'texts at once' llm-generate -m $model nine --logprobs 2 --ignore-eos
cp out plainly
for guess in --lookup '--early-exit 1' '--draft other' "--draft $model"
do
	exits 0 "$guess" llm-generate -m $model nine --logprobs 2 --ignore-eos $guess \
	    --draft-always --draft-max 7 -v
	prints 'the same texts' <plainly
	exits 0 'fewer at once' llm-generate -m $model nine --logprobs 2 --ignore-eos $guess \
	    --draft-always --parallel 4 -j 2
	prints 'the same texts' <plainly
done
exits 0 "$guess" llm-generate -m $model nine --logprobs 2 --ignore-eos $guess --draft-always -v
awk '/guessed/ { exit !($4 > 100 && $7 >= $4 * 0.8) }' err
result 'who guesses by the same model is right, of many texts too' $?
exits 2 'two kinds of guesses' llm-generate -m $model -p The --lookup --early-exit 1
exits 2 'all layers' llm-generate -m $model -p The --early-exit 2
exits 2 'no layer' llm-generate -m $model -p The --early-exit 0
exits 2 'too many guesses' llm-generate -m $model -p The --lookup --draft-max 17
cp -RL other foreign && llm-vocab -n 300 -o foreign train.jsonl
exits 2 'a draft of another tokenizer' llm-generate -m $model -p The --draft foreign
grep -q '^llm-generate: foreign: not the tokenizer of the model$' err
result 'says so' $?
exits 2 'a draft that is not there' llm-generate -m $model -p The --draft nothing

# ---- grammars ----

regex='( the [a-z]{2,6}){2}, [0-9]{3}\.'
exits 0 '--regex' llm-generate -m $model -p 'The kernel' --texts 30 -T 3 -n 40 --regex "$regex" \
    -F jsonl
cp out constrained
! grep -vEq "\"completion\":\"$regex\",.*\"end\":\"whole\"}$" constrained
result 'all texts are of it, and end when they are whole' $?
test "$(sort -u constrained | wc -l)" -gt 20
result 'and are not all the same' $?
exits 0 'one at once' llm-generate -m $model -p 'The kernel' --texts 30 -T 3 -n 40 \
    --regex "$regex" -F jsonl --parallel 1 --early-exit 1 --draft-always
prints 'with guesses they are the same' <constrained
exits 0 'a text that may go on' llm-generate -m $model -p The --texts 30 -T 3 --regex '[ab]{2,}' \
    -n 30 -F jsonl
! grep -vEq '"completion":"[ab]{2,}",.*"end":"(eos|count)"}$' out
result 'ends with an end of text, though it is ignored, or where it has to' $?
exits 0 'what is impossible to the model' llm-generate -m $model -p The -T 0 --regex 'ΩΩ?é\x00?' \
    -n 9
cat >dates <<'END'
# A date.
root ::= year "-" month "-" day
year ::= [0-9]{4}
month ::= "0" [1-9] | "1" [0-2]
day ::= [0-2] [1-9] | "30"
END
exits 0 '--grammar' llm-generate -m $model -p The --texts 20 -T 2 --grammar dates -F jsonl
! grep -vEq '"completion":"[0-9]{4}-(0[1-9]|1[0-2])-([0-2][1-9]|30)",' out
result 'all texts are of it' $?
printf '{"text":"The %s"}\n' kernel file >two
exits 0 'records' llm-generate -m $model -n 20 --grammar dates two
test "$(wc -l <out)" -eq 2 && ! grep -vEq '"completion":"[0-9]{4}-(0[1-9]|1[0-2])-([0-2][1-9]|30)",' out
result 'are answered in it' $?
exits 2 'a regular expression that is none' llm-generate -m $model -p The --regex '(a'
grep -q "^llm-generate: --regex: byte 2 " err
result 'is told with its place' $?
echo 'root ::= "a' >broken
exits 2 'a grammar that is none' llm-generate -m $model -p The --grammar broken
grep -q "^llm-generate: broken: line 1: " err
result 'is told with its line' $?
exits 2 'a grammar that is not there' llm-generate -m $model -p The --grammar nothing
exits 2 'two grammars' llm-generate -m $model -p The --grammar dates --regex a
cat >schema <<'END'
{ "type": "object", "properties": { "name": { "enum": ["ls", "cat"] },
    "n": { "type": "integer", "minimum": 10, "maximum": 20 } },
  "required": ["name", "n"], "additionalProperties": false }
END
exits 0 '--json-schema' llm-generate -m $model -p The --texts 20 -T 3 --json-schema schema -n 60
! grep -vEqx '\{|\}|[ 	]*|[ 	]*\{?[ 	]*("name": ?"(ls|cat)")?(,[ 	]*)?("n": ?(1[0-9]|20))?[ 	]*}?' out &&
    grep -q '"n": *1' out
result 'all texts are of it' $?
echo '{ "properties": { "a": { "not": {} , "if": 1 } } }' >broken
exits 2 'a schema that cannot be honoured' llm-generate -m $model -p The --json-schema broken
grep -q "^llm-generate: broken: schema #/properties/a: 'if' is not supported$" err
result 'is told with its place' $?

# Records ask for their own.
cat >asked <<'END'
{"text":"The","structured_outputs":{"regex":"[ab]{3}"}}
{"text":"The","structured_outputs":{"choice":["yes (1)","n.o"]}}
{"text":"The","response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"enum":[1,2]}}}}
{"text":"The","structured_outputs":{"grammar":"root ::= \"q\" [0-9]"}}
{"text":"The","structured_outputs":{"json":{"type":"boolean"}}}
{"text":"The","structured_outputs":{"json":"{\"const\":7}"}}
{"text":"The","response_format":{"type":"json_object","schema":{"type":"object","maxProperties":0}}}
{"text":"The"}
{"text":"The","structured_outputs":null}
END
exits 0 'grammars of records' llm-generate -m $model -n 30 --regex 'xx?' asked
sed 's/.*"completion":"\(.*\)","token_count".*/\1/' out >completions
cp out many
i=0
for of in '[ab]{3}' '(yes \(1\)|n\.o)' '[12]' 'q[0-9]' '(true|false)' '7' '\{[ \tn]*\}' 'xx?' 'xx?'
do
	i=$((i + 1))
	sed -n "${i}p" completions | grep -Eqx "$of"
	result "record $i is of $of" $?
done
exits 0 'one at once' llm-generate -m $model -n 30 --regex 'xx?' --parallel 1 -j 1 asked
prints 'they are the same' <many
echo '{"text":"The","response_format":{"type":"text"}}' >free
exits 0 'without one' llm-generate -m $model -n 8 -T 0 --ignore-eos --regex 'x' free
test "$(field token_count)" = 8
result 'it is free' $?
awk 'BEGIN { for (i = 0; i < 60; i++)
	printf "{\"text\":\"The\",\"structured_outputs\":{\"regex\":\"a{%d}b\"}}\n", 1 + i * 7 % 40 }' >often
exits 0 'sixty' llm-generate -m $model -n 100 often
sed 's/.*"completion":"\(a*b\)","token_count".*/\1/' out |
    awk 'length != 2 + (NR - 1) * 7 % 40 { bad = 1 } END { exit bad || NR != 60 }'
result 'each is of its own' $?

# bad_record RECORD MESSAGE
bad_record () {
	echo "$1" >bad
	exits 2 "$1" llm-generate -m $model -n 2 bad
	grep -q "^llm-generate: bad:1: key '[a-z_]*': $2" err
	result 'says why' $?
}
bad_record '{"text":"a","structured_outputs":{"regex":"(a"}}' 'byte 2 '
bad_record '{"text":"a","structured_outputs":{"grammar":"root ::= \"a"}}' 'line 1: '
bad_record '{"text":"a","structured_outputs":{"json":{"not":{},"if":1}}}' "schema #: 'if'"
bad_record '{"text":"a","structured_outputs":{"json":{},"regex":"a"}}' 'not one of json, regex'
bad_record '{"text":"a","structured_outputs":{"choice":[]}}' "'choice' is no array of texts"
bad_record '{"text":"a","structured_outputs":{"choice":["a",7]}}' "'choice' is no array of texts"
bad_record '{"text":"a","structured_outputs":{"regex":7}}' ''
bad_record '{"text":"a","structured_outputs":7}' ''
bad_record '{"text":"a","response_format":{"type":"xml"}}' "'type' is not text, json_object"
bad_record '{"text":"a","response_format":{"type":"json_schema"}}' "no 'schema'"
bad_record '{"text":"a","response_format":{"type":"json_object","schema":{"type":"nix"}},"stop":3}' ''
faults malloc - 'no malloc is trusted' llm-generate -m $model -n 2 asked

# ---- records ----

awk '{ printf "{\"n\":%d,\"text\":\"The %s\"}\n", NR, $0 }' >prompts <<'END'
kernel
file
old system
memory
page
driver of the first
END
exits 0 'records' llm-generate -m $model -n 20 prompts
cp out together
test "$(sed 's/.*"n":\([0-9]*\),.*/\1/' together | tr '\n' ' ')" = '1 2 3 4 5 6 '
result 'are answered in their order, with their keys' $?
for many in 1 2 5
do
	exits 0 "$many at once" llm-generate -m $model -n 20 --parallel $many -j 1 prompts
	prints 'are the same' <together
done
prose 3 32 | awk '{ printf "{\"text\":\"%s\"}\n", substr($0, 1, 4 + 3 * NR) }' >many
exits 0 'thirty-two, one at once' llm-generate -m $model -n 9 --parallel 1 --logprobs 2 -j 1 many
cp out alone
test "$(wc -l <alone)" -eq 32
result 'are answered' $?
for threads in 1 2
do
	exits 0 "all at once, $threads threads" llm-generate -m $model -n 9 --parallel 32 \
	    --logprobs 2 -j $threads many
	prints 'the same, and their log-probabilities' <alone
done
exits 0 'from a pipe' sh -c "llm-generate -m $model -n 20 - <prompts"
prints 'they are the same' <together
exits 0 'the greedy one' llm-generate -m $model -n 20 -T 0 prompts
test "$(head -n 1 out | sed 's/.*"completion":"\([^"]*\)".*/\1/')" = "$(cat greedy)"
result 'is that of -p' $?
exits 0 'two texts each' llm-generate -m $model -n 20 --texts 2 prompts
test "$(wc -l <out)" -eq 12 && test "$(sort -u out | wc -l)" -eq 12
result 'are twelve' $?

# A record is answered before the next one has to come.
mkfifo from
llm-generate -m $model -n 5 -o - - <from >slowly &
{ head -n 1 prompts
  for i in 1 2 3 4 5 6 7 8 9 10
  do
	test -s slowly && break
	sleep 0.2
  done
  wc -l <slowly >early; } >from
wait
test "$(cat early)" -eq 1
result 'an answer does not wait for the next record' $?

cat >own <<END
{"text":"The kernel","max_tokens":3,"temperature":0,"ignore_eos":true}
{"text":"The kernel","seed":5,"max_tokens":20}
{"text":"The kernel","seed":5,"max_tokens":20,"temperature":null}
{"text":"The kernel","temperature":0,"stop":"$stop","max_tokens":20}
{"text":"The kernel","temperature":0,"stop":["never there","$stop"],"max_tokens":20}
{"text":"The kernel","temperature":0,"max_tokens":1,"logprobs":true,"top_logprobs":1}
{"text":"The kernel","temperature":0,"max_tokens":1,"logprobs":false}
{"text":"The kernel","temperature":0,"max_tokens":1,"logprobs":0,"logit_bias":{"e":100,"7":false}}
END
exits 0 'options of records' llm-generate -m $model own
line () {
	sed -n "$1p" out
}
line 1 | grep -q '"token_count":3,'
result 'max_tokens' $?
completion=$(llm-generate -m $model -p 'The kernel' -s 5 -n 20 -F jsonl | sed 's/.*"completion"/"completion"/')
test "$(line 2 | sed 's/.*"completion"/"completion"/')" = "$completion"
result 'seed: the text of -s' $?
test "$(line 3 | sed 's/.*"completion"/"completion"/')" = "$(line 2 | sed 's/.*"completion"/"completion"/')"
result 'null is the default' $?
line 4 | grep -q '"end":"stop"' && line 5 | grep -q '"end":"stop"'
result 'stop, of one and of several' $?
line 6 | grep -q '"tokens":\[{.*"top_logprobs":\[{[^}]*}\]}\]}$' && ! line 7 | grep -q '"tokens":'
result 'logprobs' $?
line 8 | grep -q "\"id\":$id,"
result 'logit_bias' $?
n=0
while read -r key
do
	n=$((n + 1))
	printf '{"text":"The kernel",%s}\n' "$key" >one
	exits 2 "a record with $key" llm-generate -m $model one
	grep -q "^llm-generate: one:1: key '" err
	result 'is told by line and key' $?
done <<'END'
"max_tokens":0
"max_tokens":1.5
"max_tokens":"3"
"temperature":-1
"top_p":2
"seed":-1
"ignore_eos":1
"stop":[""]
"stop":{"a":1}
"stop":7
"logprobs":101
"logprobs":"yes"
"logit_bias":[1]
"logit_bias":{"1":"a"}
"logit_bias":{"123456789":1}
END
{ cat prompts; echo '{"text":1}'; echo '{"text":"a","top_k":"b"}'; echo nonsense; } >mixed
exits 1 'bad records with -k' llm-generate -m $model -n 20 -k mixed
prints 'the others are answered' <together
exits 1 'and --bad' llm-generate -m $model -n 20 --bad bad mixed
tail -n 3 mixed | cmp -s - bad
result 'keeps them' $?
exits 0 '--max-bad' llm-generate -m $model -n 20 --max-bad 40% mixed
exits 2 'a bad record' llm-generate -m $model -n 20 mixed
prints 'ends it after those before' <together
printf '{"text":"%s"}\n' "$(prose 1 1)$(prose 2 1)$(prose 3 1)" >long
exits 2 'a prompt beyond the context in a record' llm-generate -m $model long
grep -q "^llm-generate: long:1: .* tokens are more than the model's context of 64$" err
result 'says so' $?
exits 0 '--stats' llm-generate -m $model -n 20 --ignore-eos --stats stats prompts
grep -q '"texts": *6' stats && grep -q '"tokens": *120' stats
result 'has counts' $?
exits 0 '-o' llm-generate -m $model -n 20 -o made.jsonl prompts
cmp -s made.jsonl together
result 'writes a file' $?
mkdir answers
exits 0 '-o DIR/' llm-generate -m $model -n 20 -o answers/ prompts
cmp -s answers/prompts together || cmp -s answers/prompts.jsonl together
result 'writes a file for each' $?
exits 0 'no records' llm-generate -m $model /dev/null
test ! -s out
result 'no answers' $?
exits 2 'a missing file' llm-generate -m $model nothing.jsonl
exits 2 '-p and a file' llm-generate -m $model -p The prompts
exits 2 'a full disk' sh -c "llm-generate -m $model -n 4 prompts >/dev/full"

# ---- messages ----

cp -RL $model talker
cat >talker/chat_template.jinja <<'END'
{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<it>
END
exits 0 'a message' llm-generate -m talker --chat -p 'kernel' -T 0 -n 10
cp out answer
printf '<user>kernel<it>' | llm-generate -m talker -T 0 -n 10 >rendered
cmp -s rendered answer
result 'is continued as the template has it' $?
exits 0 'a system message' llm-generate -m talker --chat --system fast -p 'kernel' -T 0 -n 10
printf '<system>fast<user>kernel<it>' | llm-generate -m talker -T 0 -n 10 >rendered
prints 'goes before it' <rendered
exits 0 'lines' sh -c "printf 'kernel\n\nfile' | llm-generate -m talker --chat -T 0 -n 4 -v"
printf '<user>kernel<it>' | llm-generate -m talker -T 0 -n 4 >rendered
head -c "$(($(wc -c <rendered)))" out | cmp -s - rendered
result 'are answered' $?
{ printf '<user>kernel<assistant>'; head -c -1 rendered; printf '<user>file<it>'; } >second
llm-generate -m talker -T 0 -n 4 -p "$(cat second)" >>rendered
prints 'with what was said before' <rendered
awk '/ tokens of / { n++; if (n == 2) exit !($2 < $5) }' err
result 'which is not computed again' $?
exits 0 'no lines' sh -c ': | llm-generate -m talker --chat'
test ! -s out
result 'no answers' $?
exits 0 'a long conversation' sh -c "yes 'the file' | head -n 12 |
    llm-generate -m talker --chat --ignore-eos -n 8"
grep -q '^llm-generate: the first [0-9]* messages are forgotten: the context of 64 tokens is full$' err
result 'forgets its beginning, and says so' $?
exits 0 'a message that is no UTF-8' sh -c "printf 'a\\377\nkernel\n' |
    llm-generate -m talker --chat -T 0 -n 10"
grep -q '^llm-generate: a message that is no UTF-8 at byte 1$' err
result 'is passed over' $?
prints 'and the next is answered' <answer

# An interrupt ends the answer, and not the conversation.
llm-init -q -m tok --layers 4 --width 256 --context 100k -o slow
cp talker/chat_template.jinja slow
mkfifo lines
llm-generate -m slow --chat --ignore-eos -n 90k -j 1 <lines >said 2>err &
pid=$!
exec 9>lines
echo kernel >&9
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20
do
	test -s said && break
	sleep 0.2
done
kill -INT $pid
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20
do
	test "$(tail -c 1 said | od -An -tx1 | tr -d ' ')" = 0a && break
	sleep 0.2
done
before=$(wc -c <said)
echo file >&9
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20
do
	test "$(wc -c <said)" -gt "$before" && break
	sleep 0.2
done
kill -INT $pid
exec 9>&-
wait $pid
result 'an interrupt ends an answer, the end of the input all of it' $?
test "$(wc -c <said)" -gt "$before"
result 'the next message was answered' $?
rm -rf slow

cat >asks <<'END'
{"messages":[{"role":"user","content":"kernel"}],"max_tokens":10}
{"text":"kernel","max_tokens":10}
END
exits 0 'messages in records' llm-generate -m talker -T 0 --chat asks
test "$(sed 's/.*"completion"/"completion"/' out | sort -u | wc -l)" -eq 1
result 'and texts, are messages' $?
exits 0 'messages without --chat' llm-generate -m talker -T 0 asks
test "$(sed 's/.*"completion"/"completion"/' out | sort -u | wc -l)" -eq 2
result 'are messages, and texts are not' $?
for what in '"messages":7' '"messages":[7]' '"messages":[{"role":"user"'
do
	echo "{$what}" >one
	exits 2 "$what" llm-generate -m talker one
done
head -n 1 asks >one
exits 2 'messages to a model without a template' llm-generate -m $model one
grep -q '^llm-generate: one:1: messages, and the model has no chat template$' err
result 'says so' $?
exits 2 'a conversation with it' llm-generate -m $model --chat -p The
exits 2 'a system message without --chat' llm-generate -m talker --system The -p The
exits 2 '--chat and records of one prompt' llm-generate -m talker --chat -p The -F jsonl
exits 2 'an answer to a full disk' sh -c "llm-generate -m talker --chat -p The -n 4 >/dev/full"

# ---- what was read before ----

exits 0 '--prompt-cache' llm-generate -m $model -p 'The kernel' -T 0 -n 20 --prompt-cache kept
prints 'the same text' <greedy
test -s kept
result 'and a file' $?
exits 0 'with what is in it' llm-generate -m $model -p 'The kernel' -T 0 -n 20 --prompt-cache kept
prints 'the same text' <greedy
exits 0 'drawn' llm-generate -m $model -p 'The kernel' -s 5 -n 20 --prompt-cache kept
prints 'the same text' <drawn
exits 0 'a longer prompt' llm-generate -m $model -p 'The kernel and a file' -T 0 -n 20
cp out longer
exits 0 'goes on from there' llm-generate -m $model -p 'The kernel and a file' -T 0 -n 20 \
    --prompt-cache kept --early-exit 1 --draft-always
prints 'the same text' <longer
exits 0 'another one' llm-generate -m $model -p 'The kernel' -T 0 -n 20 --prompt-cache kept
prints 'does not depend on it' <greedy
exits 0 'a conversation' llm-generate -m talker --chat -p 'kernel' -T 0 -n 10 --prompt-cache talk
exits 0 'is gone on with' llm-generate -m talker --chat -p 'kernel' -T 0 -n 10 --prompt-cache talk \
    -v
prints 'the same answer' <answer
grep -q '^llm-generate: 1 tokens of ' err
result 'one token is computed again' $?
exits 2 'of another model' llm-generate -m other -p The --prompt-cache kept
exits 2 'a file that is none' llm-generate -m $model -p The --prompt-cache prompts
exits 2 'for records' llm-generate -m $model --prompt-cache kept prompts

exits 0 'a full context' llm-generate -m $model -p 'The kernel' -n 1000 --ignore-eos -F jsonl
test "$(field end)" = '"context"'
result 'ends the text' $?
grep -q '^llm-generate: 1 text ended where the context of 64 tokens is full$' err
result 'and is told' $?
exits 0 'as text' llm-generate -m $model -p 'The kernel' -n 1000 --ignore-eos
grep -q '^llm-generate: the context of 64 tokens is full$' err
result 'it is told too' $?
exits 2 'a prompt beyond the context' llm-generate -m $model \
    -p "$(prose 1 1)$(prose 2 1)$(prose 3 1)" -n 1
grep -q "tokens are more than the model's context of 64$" err
result 'says so' $?

# ---- a window ----

long=$(prose 1 1)$(prose 2 1)$(prose 3 1)
exits 0 '--window' llm-generate -m $model -p 'The kernel' -n 500 --ignore-eos --window 30 -F jsonl
test "$(field end)" = '"count"' && test "$(field token_count)" = 500
result 'writes beyond the context' $?
exits 0 'a short text' llm-generate -m $model -p 'The kernel' -T 0 -n 20 --window 30
prints 'is as without it' <greedy
exits 0 'text of a window' llm-generate -m $model -p 'The kernel' -n 500 --ignore-eos --window 30 \
    -j 1
cp out wide
for how in '-j 2' '--window 32 --sinks 16' '--lookup --draft-always' \
    '--early-exit 1 --draft-always' '--draft other --draft-always' "--draft $model --draft-always"
do
	exits 0 "with $how" llm-generate -m $model -p 'The kernel' -n 500 --ignore-eos \
	    --window 30 $how -v
	prints 'is the same' <wide
done
# It has the same window: all are right.
awk '/guessed/ { exit !($4 > 400 && $7 == $4) }' err
result 'who guesses by the same model goes on, too' $?
for how in '--sinks 0' '--window 16'
do
	exits 0 "with $how" llm-generate -m $model -p 'The kernel' -n 500 --ignore-eos \
	    --window 30 $how
	! cmp -s out wide
	result 'is another one' $?
done
exits 0 'a prompt beyond the context' llm-generate -m $model -p "$long" -n 5 --window 30
{ head -n 3 prompts; printf '{"text":"%s"}\n' "$long"; } >windows
exits 0 'records' llm-generate -m $model -n 100 --ignore-eos --window 30 windows
cp out together
for many in 1 3
do
	exits 0 "$many at once" llm-generate -m $model -n 100 --ignore-eos --window 30 \
	    --parallel $many windows
	prints 'are the same' <together
done
exits 0 'an answer beyond the context' llm-generate -m talker --chat -p kernel -n 200 --ignore-eos -v
grep -q ', 200 written at ' err && ! grep -q 'is full' err
result 'goes on' $?
exits 0 'kept for later' llm-generate -m talker --chat -p kernel -n 200 --ignore-eos \
    --prompt-cache moved
exits 0 'there is nothing to begin with' llm-generate -m talker --chat -p kernel -T 0 -n 10 \
    --prompt-cache moved
prints 'and the answer is the same' <answer
exits 2 'a window beyond the context' llm-generate -m $model -p The --window 60
grep -q '^llm-generate: a window of 64 tokens behind 16 sinks takes a context of 96,' err
result 'says what it takes' $?
llm-init -q -m tok --arch gpt2 --layers 1 --width 32 --heads 2 --context 64 -o learned
exits 2 'a window over learned positions' llm-generate -m learned -p The --window 16
grep -q '^llm-generate: no window: the positions of gpt2 are learned' err
result 'says why not' $?
exits 2 'sinks without a window' llm-generate -m $model -p The --sinks 4
for n in 3 100
do
	rm -f kept
	exits 0 "a prompt cache, $n tokens" llm-generate -m $model -p "$long" -n $n --window 30 \
	    --ignore-eos
	cp out longer
	exits 0 'made' llm-generate -m $model -p "$long" -n $n --window 30 --ignore-eos \
	    --prompt-cache kept
	prints 'the same text' <longer
	exits 0 'and used' llm-generate -m $model -p "$long" -n $n --window 30 --ignore-eos \
	    --prompt-cache kept
	prints 'the same text' <longer
done
exits 2 'a window of nothing' llm-generate -m $model -p The --window 0

exits 0 'an empty prompt' llm-generate -m $model -p '' -n 5
test -s out
result 'begins a text' $?
exits 0 'an empty pipe' sh -c ": | llm-generate -m $model -n 5"
exits 0 'speed and counts' llm-generate -m $model -p 'The kernel' -n 5 --ignore-eos -v
grep -q '^llm-generate: prompt [0-9]* tokens in .* s, 5 more at ' err
result 'are told' $?

# Seven of the 400 tokens end a text: drawn evenly, of 20 texts of 60 tokens
# one in three has none of them, and all 20 have none once in 10^9 such runs.
cp -RL $model ends
sed -i 's/"eos_token_id": *[0-9]*/"eos_token_id": [0,1,2,3,4,5,6]/' ends/config.json
rm -f ends/generation_config.json
exits 0 'texts that may end' llm-generate -m ends -p The -n 60 --texts 20 -T 50 --top-p 1 -F jsonl
grep -q '"end":"eos"}$' out
result 'do end' $?
exits 0 '--ignore-eos' llm-generate -m ends -p The -n 60 --texts 20 -T 50 --top-p 1 -F jsonl \
    --ignore-eos
! grep -q '"end":"eos"}$' out
result 'goes on' $?

exits 2 'a prompt that is no UTF-8' llm-generate -m $model -p "$(printf 'ab\377')" -n 1
grep -q '^llm-generate: the prompt is no UTF-8 at byte 2$' err
result 'says where' $?
cp -RL $model bare && rm bare/tokenizer*
exits 2 'a model without a tokenizer' llm-generate -m bare -p The
grep -q 'tokenizer.json' err
result 'says what is missing' $?
rm -rf small && llm-init -q --vocab 300 --layers 1 --width 32 --heads 1 --context 16 -o small
cp tok/tokenizer.json small
exits 2 'a tokenizer of more tokens than the model' llm-generate -m small -p The
exits 2 'a missing model' llm-generate -m nothing -p The
exits 2 'no model' llm-generate -p The
exits 2 'an unknown format' llm-generate -m $model -p The -F xml
exits 2 'a negative temperature' llm-generate -m $model -p The -T -1
exits 2 'a top-p beyond 1' llm-generate -m $model -p The --top-p 1.5
exits 2 'no tokens' llm-generate -m $model -p The -n 0
exits 2 'a full disk' sh -c "llm-generate -m $model -p The -n 4 >/dev/full"
grep -q 'No space left' err
result 'says so' $?
sh -c "llm-generate -m $model -p The -n 60 --texts 50; echo \$? >status" 2>err | head -c 1 >first
test "$(cat status)" -eq 141 && test ! -s err
result 'a closed pipe ends it silently' $?
for kind in malloc read open
do
	faults $kind - "no $kind is trusted" llm-generate -m $model -p The -n 2 -T 0
	faults $kind - "no $kind is trusted, with records" llm-generate -m $model -n 2 own
done
done_testing
