#!/bin/sh
# What others sent to servers like this one to bring them down, or to be let in: each is
# refused or answered soon, and meanwhile everybody else is answered as before.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
. "$(dirname "$0")/../serve.sh"
cd "$tmp" || exit 1
need_curl
make_model '' --layers 1 --width 32 --context 1024
cat >model/chat_template.jinja <<'!'
{% for t in tools or [] %}{{ t.function.name }} {% endfor %}
{% for m in messages %}{{ m.role }}: {{ m.content }}
{%- for c in m.tool_calls or [] %}{% for k, v in c.function.arguments.items() %} {{ k }}={{ v }}
{%- endfor %}{% endfor %}
{% endfor %}
!
serve -m tiny=model --embed v=model

# many TEXT N: it so many times
many () {
	awk -v s="$1" -v n="$2" 'BEGIN { while (n-- > 0) printf "%s", s }'
}

# structured KIND VALUE [TOKENS]: a text that has to be so; the value is JSON
structured () {
	printf '{"prompt":"The","seed":1,"max_tokens":%d,"structured_outputs":{"%s":%s}}' \
	    "${3:-20}" "$1" "$2" >body
	soon /v1/completions
}

# soon PATH: ask with body, which is to take less than 5 seconds
soon () {
	begun=$(date +%s%N)
	ask "$1" @body -m 20
	took=$((($(date +%s%N) - begun) / 1000000))
}

# so CODE DESCRIPTION PATTERN: as says, and it was soon
so () {
	test "$took" -lt 5000 || code="after $took ms, $code"
	says "$@"
}

# Another one asks all the while.
plain='{"prompt":"The kernel","max_tokens":8,"temperature":0}'
ask /v1/completions "$plain"
text=$(sed 's/.*"text":"\([^"]*\)".*/\1/' out)
while test ! -e enough
do
	curl -s -o beside.out -w '%{http_code} %{time_total}\n' -d "$plain" "$url/v1/completions"
	sleep 0.05
done >beside &
beside=$!

# Grammars
groups=$(many '(' 60000)a$(many ')' 60000)
structured grammar "\"root ::= $(many '(' 60000)\\\"a\\\"$(many ')' 60000)\""
so 400 'a grammar of 60,000 groups in groups is refused' 'groups in groups.*"param":"structured_outputs"'
structured regex "\"$groups\""
so 400 'and so is a pattern of them' 'groups in groups.*"param":"structured_outputs"'
structured json "{\"type\":\"string\",\"pattern\":\"$groups\"}"
so 400 'and one in a schema' 'groups in groups.*"param":"structured_outputs"'
structured json "$(many '{"properties":{"a":' 3000)1$(many '}}' 3000)"
so 400 'JSON that is nested 3,000 deep is refused' 'nested too deep'
structured json '{"$ref":"#"}'
so 400 'a schema that is itself is refused' 'without end'
structured json '{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}'
so 400 'and two that are each other' 'without end'
structured json '{"type":"string","maxLength":2000}' 600
so 200 'a text of at most 2,000 characters' '"choices"'
structured json '{"type":"string","minLength":999999,"maxLength":1000000}' 600
so 200 'or a million' '"finish_reason":"length"'
structured grammar '"root ::= (\"\"* | x)* \"a\"\nx ::= \"\"*"'
so 200 'an empty text over and over' '"text":"a"'
structured regex '"((a*)*)*b"'
so 200 'rounds in rounds in rounds' '"choices"'
structured regex '"(((a{0,1000}){0,1000}){0,1000}){0,1000}"'
so 200 'a thousand of a thousand of a thousand' '"choices"'
structured grammar '"root ::= root \"a\" | \"b\""'
so 400 'a rule that begins with itself' 'left recursion'
structured regex '"(a|b)*a(a|b){300}"'
so 200 'a pattern of 2^300 states' '"choices"'
structured choice "[$(seq -s, -f '"x%.0f"' 10000)]"
so 200 'one of 10,000 texts' '"text":"x[0-9]'
structured choice "[$(seq -s, -f '"x%.0f"' 50000)]"
so 400 'one of 50,000 is refused' 'too large'
structured regex "\"$(seq -s'|' 20000 80000)\""
so 400 'and so is a pattern of as many' 'too large'
structured json "{\"properties\":{$(seq -s, -f '"p%.0f":{"type":"string"}' 3000)}}"
so 400 'a schema of 3,000 properties is refused' 'instructions'
structured json "{\"allOf\":[$(many '{"anyOf":[{"properties":{"a":{"type":"string"}}},{"properties":{"b":{"minLength":3}}},{"minProperties":2}]},' 12)true]}"
so 400 'alternatives of alternatives are refused' '"param":"structured_outputs"'
structured grammar "\"root ::= r0\\n$(seq 0 4999 | awk '{ printf "r%d ::= r%d | \\\"x\\\" r%d\\n", $1, $1 + 1, $1 + 1 }')r5000 ::= [a-z]*\""
so 200 'a chain of 5,000 rules' '"choices"'

# Bodies
printf '{"prompt":"%s","max_tokens":2}' "$(many 'a ' 25000)" >body
soon /v1/completions
so 400 'a prompt of 50 kB' '"code":"context_length_exceeded"'
printf '{"messages":[{"role":"user","content":"%s"}],"max_tokens":2}' "$(many 'a ' 25000)" >body
soon /v1/chat/completions
so 400 'a message of 50 kB' '"code":"context_length_exceeded"'
printf '{"messages":[%s{"role":"user","content":"a"}]}' \
    "$(many '{"role":"user","content":"a"},' 50000)" >body
soon /v1/chat/completions
so 400 '50,000 messages' '"code":"context_length_exceeded"'
printf '{"prompt":[%s"a"],"n":128,"max_tokens":1}' "$(many '"a",' 249)" >body
soon /v1/completions
so 400 '32,000 texts at once are refused' '"param":"n"'
printf '{"messages":[{"role":"user","content":"a"}],"chat_template_kwargs":{"messages":%s1%s}}' \
    "$(many '[' 3000)" "$(many ']' 3000)" >body
soon /v1/chat/completions
so 400 'variables of a template that are nested' 'nested too deep'
printf '{"prompt":"a","stop":["%s"]}' "$(many x 2000000)" >body
soon /v1/completions
so 400 'a stop text of 2 MB' '"param":"stop"'
printf '{"prompt":"a\377\376b"}' >body
soon /v1/completions
so 400 'what is no UTF-8 is told' 'not UTF-8 at offset'
printf '{"messages":[{"role":"user","content":"a\303"}]}' >body
soon /v1/chat/completions
so 400 'in a message, too' 'not UTF-8 at offset'

# Values of another type, or beyond all limits
wrong='n "a" 0 -1 1.5 129 1e99 {}
max_tokens "a" 0 -1 1.5 true []
max_completion_tokens "a" 0 -1 1e99
temperature "a" -1 101 true
top_p "a" -0.1 1.1
top_k "a" -2 1.5
min_p "a" 2
typical_p "a" 2
presence_penalty "a" 1000 []
frequency_penalty "a" -1000
repetition_penalty "a" 0
penalty_window "a" -1
seed "a" -1 1.5 1e99
stop 5 [5] {} [""] ""
logit_bias 5 [] {"0":"a"} {"99999999":1} {"":1}
logprobs "a" -1 101
top_logprobs "a" -1 1000000000
ignore_eos 1 "a"
stream 1 "a" []
echo 1 "a"
suffix "a"
best_of "a" 0 3
cache_salt 5 []
priority "a" 1e99
deadline "a" -1 0
adapter 5 "none"
response_format 5 "json" {} {"type":"xml"} {"type":"json_schema"} {"type":"json_schema","json_schema":{"schema":5}}
structured_outputs 5 {} {"regex":5} {"json":{"type":5}} {"choice":[]} {"choice":"a"} {"regex":"a","grammar":"b"}'
bad=
echo "$wrong" >table
while read -r key values
do
	for value in $values
	do
		ask /v1/completions "{\"prompt\":\"The\",\"max_tokens\":1,\"$key\":$value}"
		test "$code" = 400 && grep -q "\"param\":\"$key\"" out || bad="$bad $key=$value:$code"
	done
done <table
test -z "$bad"
result "wrong values name their key" $?
test -z "$bad" || echo "#$bad"
{
	sed 's/ .*//' table
	printf '%s\n' model prompt messages tools tool_choice parallel_tool_calls stream_options \
	    documents chat_template_kwargs service_tier user metadata store input tokens content
} >names
others='"prompt":"A","input":"A","content":"A","tokens":[1],"max_tokens":1,'
others="$others"'"messages":[{"role":"user","content":"A"}]'
awk -v url="$url" -v others="$others" 'BEGIN {
	n = split("null true -1 1e99 \"\\ud800\" [] {} [[{}]] {\"type\":null}", value, " ")
	m = split("/v1/completions /v1/chat/completions /v1/embeddings /tokenize /detokenize", path, " ")
}
{
	for (i = 1; i <= n; i++)
		for (j = 1; j <= m; j++) {
			body = "{" others ",\"" $1 "\":" value[i] "}"
			gsub(/[\\"]/, "\\\\&", body)
			printf "%surl = \"%s%s\"\noutput = out\ndata = \"%s\"\n", k++ ? "next\n" : "", url, path[j], body
			printf "write-out = \"%s %s %%{http_code}\\n\"\n", path[j], $1
		}
}' names | curl -s -K - >codes
test "$(wc -l <codes)" -gt 1500 && : >odd && ! grep -v ' \(200\|400\|404\)$' codes >odd
result 'any key may be anything, and nothing but 200, 400 and 404 comes' $?
sed 's/^/# /' odd | head -n 5

# Calls in messages, as templates want them
# call ARGUMENTS: a message that called with them
call () {
	printf '{"max_tokens":1,"messages":[{"role":"user","content":"a"},{"role":"assistant",
	    "content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f",
	    "arguments":%s}}]},{"role":"tool","tool_call_id":"1","content":"b"}]}' "$1" >body
	soon /v1/chat/completions
}
call '"{\"a\": 1}"'
so 200 'arguments are an object to a template' '"choices"'
call '""'
so 200 'none are one, too' '"choices"'
call '"{\"a\": "'
so 400 'those that were cut are told' 'chat template: line 3: .*items'

# Nobody else was held up, or answered otherwise.
: >enough
wait $beside
awk '$1 != 200 || $2 > 5 { print "# another one:", $0; bad = 1 } END { exit bad || NR < 20 }' beside
result "$(wc -l <beside) requests beside them were answered" $?
ask /v1/completions "$plain"
test "$(sed 's/.*"text":"\([^"]*\)".*/\1/' out)" = "$text"
result 'as before' $?
if ! grep -q fsanitize "$BUILD/config" 2>/dev/null
then
	most=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' /proc/$server/status)
	test "$most" -lt 500000
	result "$((most / 1024)) MiB were enough" $?
fi
serve_end
result 'it ends with 0' $?
test ! -s serve.err
result 'and has said nothing' $?

# Nothing but its health and its pages is told without a key
source=$data/../../lib/serve/api.c
sed -n 's/^	{ "\(\/[^"]*\)", "\([A-Z]*\)".*/\2 \1/p' "$source" >routes
test "$(wc -l <routes)" -ge 12
result 'there are routes' $?
key=$(llm-serve --api-key-file keys --new-key alice)
serve -m tiny=model --api-key-file keys
open=
while read -r method path
do
	for at in "$path" "$path?a=b" "$path/../metrics" "$path%00"
	do
		code=$(curl -s --path-as-is -X "$method" -o out -w '%{http_code}' "$url$at")
		case $code:$at in
		401:*|200:*/health|200:*/health\?a=b|200:*/health%00) ;;
		*)	open="$open $method:$at:$code" ;;
		esac
	done
	code=$(curl -s -X "$method" -o out -w '%{http_code}' -H "Authorization: Bearer $key" "$url$path")
	test "$code" != 401 || open="$open $method:$path:with"
done <routes
test -z "$open"
result 'all routes but /health want a key' $?
test -z "$open" || echo "#$open"
for given in 'Bearer' 'Bearer ' "Basic $key" "Bearer ${key}x" "Bearer $(many a 5000)" "$key"
do
	code=$(curl -s -o out -w '%{http_code}' -H "Authorization: $given" "$url/v1/models")
	test "$code" = 401 || open="$open '$given'"
done
test -z "$open"
result 'and that key' $?
serve_end
done_testing
