#!/bin/sh
# Chats: framing of what is streamed, calls of tools, messages that templates want mended.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
. "$(dirname "$0")/../serve.sh"
cd "$tmp" || exit 1
need_curl
make_model ' </think>' --layers 1 --width 32 --context 1024
cat >model/chat_template.jinja <<'EOF'
{% for t in tools or [] %}{{ t.function | tojson }}
{% endfor %}{% for m in messages %}[{{ m.role }}] {{ m.content }}
{%- for c in m.tool_calls or [] %}<tool_call>{{ c.function.arguments.city }}</tool_call>{% endfor %}
{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}
EOF
cp -r model plain
cat >plain/chat_template.jinja <<'EOF'
{% for m in messages %}[{{ m.role }}] {{ m.content }}
{% endfor %}
EOF
cp -r model thinks
sed 's/\[assistant\]/&<think>/' model/chat_template.jinja >thinks/chat_template.jinja
serve -m tiny=model -m plain=plain -m thinks=thinks

tools='"tools":[{"type":"function","function":{"name":"weather","parameters":{"properties":
    {"city":{"enum":["Rome","Oslo"]}},"required":["city"]}}}]'

# chat REST: a request of it and a message; curl's output is in out, the status in code
chat () {
	code=$(curl -s -N -o out -w '%{http_code}' "$url/v1/chat/completions" \
	    -d "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"seed\":3,\"max_tokens\":150,$1}")
}

# says CODE DESCRIPTION PATTERN...: all are in out
says () {
	want=$1 what=$2 good=0
	shift 2
	test "$code" = "$want" || good=1
	for pattern
	do
		grep -q -- "$pattern" out || good=1
	done
	result "$what" $good
	test $good -eq 0 || { sed "s/^/# $code /" out; echo; }
}

chat '"max_tokens":4,"temperature":0'
says 200 'a chat' '"object":"chat.completion"' \
    '"message":{"role":"assistant","content":"[^"]*","refusal":null},"logprobs":null'
text=$(sed 's/.*"content":"\(.*\)","refusal.*/\1/' out)
chat '"max_tokens":4,"temperature":0,"stream":true,"stream_options":{"include_usage":true}'
says 200 'a stream' '^data: {"id":"chatcmpl-.*"delta":{"role":"assistant","content":""}' \
    '"delta":{},"logprobs":null,"finish_reason":"length"}],"usage":null}$' \
    '"choices":\[\],"usage":{"prompt_tokens":[0-9]*,"completion_tokens":4,' '^data: \[DONE\]$'
test "$(sed -n 's/^data: .*"delta":{"content":"\(.*\)"},"log.*/\1/p' out | tr -d '\n')" = "$text"
result 'has the same text' $?
test "$(grep -c '^data: ' out)" -eq "$(grep -c '^$' out)" && ! grep -qv '^data: ' out |
    grep -q .
result 'each event is one line and an empty one' $?

chat "$tools"',"tool_choice":"required","parallel_tool_calls":false'
says 200 'a call that has to be' '"content":null,"tool_calls":\[{"id":"[0-9A-Za-z]\{9\}","type":"function","function":{"name":"weather","arguments":"{[^}]*\\"city\\":.*}"}}\],"refusal":null' \
    '"finish_reason":"tool_calls"'
id=$(sed 's/.*"tool_calls":\[{"id":"\([^"]*\)".*/\1/' out)
arguments=$(sed 's/.*"arguments":\("{.*}"\)}}\].*/\1/' out)
chat "$tools"',"tool_choice":{"type":"function","function":{"name":"weather"}},"stream":true'
says 200 'streamed' \
    '"delta":{"tool_calls":\[{"index":0,"id":"[0-9A-Za-z]\{9\}","type":"function","function":{"name":"weather","arguments":""}}\]}' \
    '"delta":{"tool_calls":\[{"index":0,"function":{"arguments":"' '"delta":{},.*"finish_reason":"tool_calls"'
test "\"$(sed -n 's/^data: .*{"index":0,"function":{"arguments":"\(.*\)"}}\]}.*/\1/p' out | tr -d '\n')\"" = "$arguments"
result 'has the same arguments' $?
test "$(grep -c '"name":"weather"' out)" -eq 1
result 'and the name once' $?
chat "$tools"',"tool_choice":"required","model":"plain","parallel_tool_calls":false'
says 200 'of a template without tools' '"name":"weather","arguments":"{' '"finish_reason":"tool_calls"'
code=$(curl -s -o out -w '%{http_code}' "$url/v1/chat/completions" -d "{$tools,\"max_tokens\":1,\"messages\":[
    {\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},{\"role\":\"user\",\"content\":\"b\"},
    {\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"$id\",\"type\":\"function\",
    \"function\":{\"name\":\"weather\",\"arguments\":$arguments}}]},
    {\"role\":\"tool\",\"tool_call_id\":\"$id\",\"content\":\"5\"}]}")
says 200 'the call and its result go back' '"role":"assistant"'

# Thoughts: their tokens are those up to the mark, counted here by the log-probabilities.
thoughts='"structured_outputs":{"regex":"<think>[a-z ]{9,30}</think>[a-z ]{9}"}'
for how in '"temperature":1' '"temperature":0'
do
	chat "$how,$thoughts,\"logprobs\":true"
	grep -o '"token":"[^"]*"' out | awk '{
		all = all substr($0, 10, length($0) - 10)
		if (!n && index(all, "</think>"))
			n = NR
	} END { print n }' >want
	says 200 "thoughts, $how" '"content":"[a-z ]*[a-z][a-z ]*","reasoning_content":"[a-z ]*"' \
	    "\"reasoning_tokens\":$(cat want)}" '"completion_tokens":[1-9]'
	chat "$how,$thoughts,\"stream\":true,\"stream_options\":{\"include_usage\":true}"
	says 200 'streamed' '"delta":{"reasoning_content":"' "\"reasoning_tokens\":$(cat want)}"
	chat "$how,$thoughts,\"stop\":[\"</thinkers\",\"</think>!\"]"
	says 200 'with text that is held back meanwhile' "\"reasoning_tokens\":$(cat want)}"
done
chat "$thoughts"',"stop":["</th"]'
n=$(sed 's/.*"completion_tokens":\([0-9]*\).*/\1/' out)
says 200 'thoughts that have no end are all of it' "\"reasoning_tokens\":$n}" '"content":""'
chat '"max_tokens":4'
says 200 'and where there are none' '"reasoning_tokens":0}'

# A format, and tools that may be called: either, and nothing else
format='"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"properties":
    {"ok":{"type":"boolean"}},"required":["ok"],"additionalProperties":false}}}'
ok='"message":{"role":"assistant","content":"{[^}]*\\"ok\\"[^}]*}","refusal":null},"logprobs":null,"finish_reason":"stop"'
called='"message":{"role":"assistant","content":null,"tool_calls":\[{"id":"[0-9A-Za-z]*","type":"function","function":{"name":"weather","arguments":"{[^}]*}"}}\],"refusal":null},"logprobs":null,"finish_reason":"tool_calls"'
chat "$tools,$format"',"parallel_tool_calls":false,"n":24,"temperature":2'
says 200 'an answer of the format, or a call' "$ok" "$called"
test "$(grep -o "$ok\|$called" out | wc -l)" -eq 24
result 'each of them' $?
chat "$tools,$format"',"tool_choice":"none"'
says 200 'no calls: the format' "$ok"
chat "$tools,$format"',"tool_choice":"required","parallel_tool_calls":false'
says 200 'a call that has to be: no format' "$called"
# A model that knows nothing ends them soon by these.
soon='"logit_bias":{"</":9,"think":9,">":9},"max_tokens":900'
chat "$format,$soon"',"model":"thinks"'
says 200 'thoughts that the prompt begins come before it' \
    '"content":"{[^}]*\\"ok\\"[^}]*}","reasoning_content":"' '"finish_reason":"stop"'
chat "$tools,$format,$soon"',"model":"thinks","n":8'
says 200 'or before a call' '"reasoning_content":"'
test "$(grep -o '"content":"{[^}]*\\"ok\\"[^}]*}"\|"name":"weather"' out | wc -l)" -ge 8
result 'each of them' $?
chat "$tools"',"response_format":{"type":"json_schema","json_schema":{"schema":{"type":5}}}'
says 400 'a schema that is none' '"param":"response_format"'

chat "$tools"',"tool_choice":"any"'
says 400 'a choice that is none' '"param":"tool_choice"'
chat '"tool_choice":"required"'
says 400 'calls without tools' '"param":"tool_choice"'
chat '"tools":[{"type":"function"}]'
says 400 'a tool without a name' '"param":"tools"'
chat '"tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"uniqueItems":true}}}],"tool_choice":"required"'
says 400 'a strict schema that is not held' '"param":"tools"' uniqueItems
for key in functions function_call audio modalities web_search_options
do
	chat "\"$key\":[\"text\",\"audio\"]"
	says 400 "$key are refused" "\"param\":\"$key\""
done
chat '"max_tokens":1,"modalities":["text"],"functions":null,"store":true,"metadata":{"a":"b"},"user":"u",
    "max_completion_tokens":1,"reasoning_effort":"low","service_tier":"auto","prompt_cache_key":"k"'
says 200 'what changes nothing is taken' '"finish_reason":"length"'
code=$(curl -s -o out -w '%{http_code}' -d '{"input":"hi"}' "$url/v1/responses")
says 404 'what is not there is told as OpenAI does' '"error":{"message":"there is nothing at .*"type":"invalid_request_error"'
chat '"messages":[{"role":"user","content":[{"type":"image_url"}]}]'
says 400 'a part that is not read' '"param":"messages"' 'message 1' image_url
serve_end
result 'it ends with 0' $?
done_testing
