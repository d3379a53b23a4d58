#!/bin/sh
# What answers, and what is refused; who comes and goes is 65xx beside it.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
. "$(dirname "$0")/../serve.sh"
cd "$tmp" || exit 1
need_curl
make_samples
serve -m tiny=run/latest

ask /health
says 200 'it is ready' '^{"status":"ok"}$'
ask /v1/models
says 200 'models are told' '"id":"tiny","object":"model"'
ask /v1/models/tiny
says 200 'or one of them' '^{"id":"tiny"'
ask /v1/models/other
says 404 'if it is there' '"code":"model_not_found"'
ask /v1/completions '{"prompt":"The kernel","max_tokens":8,"temperature":0}'
says 200 'a completion' '"finish_reason":"length"}\],"usage":{"prompt_tokens":2,"completion_tokens":8,'
text=$(llm-generate -m run/latest -p 'The kernel' -n 8 -T 0)
grep -qF "\"text\":\"$text\"" out
result 'is what llm-generate writes' $?
ask /v1/completions '{"prompt":"The kernel","max_tokens":8,"temperature":0,"stream":true}'
says 200 'a stream' '^data: \[DONE\]$'
test "$(sed -n 's/^data: .*"text":"\([^"]*\)".*/\1/p' out | tr -d '\n')" = "$text"
result 'has the same text' $?
ask /v1/completions '{"prompt":["The kernel",[264,317]],"n":2,"max_tokens":4,"seed":1}'
says 200 'two prompts, two texts each' '"index":3,'
ask /v1/completions '{"prompt":"The","echo":true,"max_tokens":1}'
says 200 'echo' '"text":"The'
ask /v1/chat/completions '{"messages":[{"role":"user","content":"hi"}]}'
says 400 'no template, no chat' 'no chat template'
ask /v1/completions '{"prompt":"The","temperature":-1}'
says 400 'a value beyond its limits' '"param":"temperature"'
ask /v1/completions '{"prompt":"The","n":1000000}'
says 400 'a great many choices' '"param":"n"'
ask /v1/completions '{"prompt":5}'
says 400 'a prompt that is none' '"param":"prompt"'
ask /v1/completions '{"max_tokens":5}'
says 400 'no prompt' '"param":"prompt"'
ask /v1/completions '{"prompt":"The","model":"other"}'
says 404 'another model' '"code":"model_not_found"'
ask /v1/completions '{"prompt":"The","max_tokens":1,"service_tier":"flex","priority":3,"deadline":5}'
says 200 'how urgent it is' '"choices"'
ask /v1/completions '{"prompt":"The","deadline":-1}'
says 400 'a deadline before now' '"param":"deadline"'
ask /v1/completions 'The kernel'
says 400 'no JSON' 'not a JSON object'
ask /v1/completions "{\"prompt\":\"$(llm-generate -m run/latest -p The -T 1 -n 60 | tr -cd 'a-z ' | head -c 4000) $(seq -s ' ' 1 100)\"}"
says 400 'a prompt beyond the context' '"code":"context_length_exceeded"'
ask /v1/completions '{"prompt":"The","max_tokens":9,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"enum":["a"]}}}}'
says 200 'a schema' '"text":"\\"a\\""'
ask /v1/completions '{"prompt":"The","structured_outputs":{"regex":"(("}}'
says 400 'a pattern that is none' '"param":"structured_outputs"'
ask /tokenize '{"content":"The kernel"}'
says 200 'tokens' '"tokens":\[[0-9]*,[0-9]*\],"count":2'
ask /detokenize "{\"tokens\":$(sed 's/.*"tokens":\(\[[^]]*\]\).*/\1/' out)}"
says 200 'and back' '^{"content":"The kernel"}$'
ask /none
says 404 'another path' 'nothing at'
ask /v1/completions
says 405 'another method' 'takes POST'
code=$(curl -s -o out -w '%{http_code}' -H 'Host: evil.example' "$url/v1/models")
says 403 'another name of the server' 'evil.example'
code=$(curl -s -o out -w '%{http_code}' -H 'Origin: http://evil.example' "$url/v1/models")
says 403 'a page from elsewhere' 'evil.example'
code=$(head -c 20000000 /dev/zero | curl -s -o out -w '%{http_code}' -H 'Expect:' --data-binary @- "$url/v1/completions")
says 413 'a body that is too large' 'too large'
ask /metrics
says 200 'counts' '^llm_generated_tokens_total [1-9]'
ask /slots
says 200 'nothing runs' '^\[\]$'
ask /
says 200 'a page' '<html'
long='The small kernel reads the old file, and a page is in the table of the slow driver'
ask /v1/completions "{\"prompt\":\"$long\",\"max_tokens\":3,\"temperature\":0}"
cp out first
ask /v1/completions "{\"prompt\":\"$long\",\"max_tokens\":3,\"temperature\":0}"
says 200 'a prompt again' '"cached_tokens":[1-9]'
test "$(sed 's/.*choices"//; s/"usage.*//' first)" = "$(sed 's/.*choices"//; s/"usage.*//' out)"
result 'has the same text' $?
ask /v1/completions "{\"prompt\":\"$long\",\"max_tokens\":3,\"cache_salt\":\"mine\"}"
says 200 'with a salt' '"cached_tokens":0'
serve_end
result 'it ends with 0' $?

# Vectors
serve -m run/latest --lookup 8 --embed v=run/latest
text=$(llm-generate -m run/latest -p 'The kernel' -n 40 -T 0)
ask /v1/completions '{"prompt":"The kernel","max_tokens":40,"temperature":0}'
test "$code" = 200 && grep -qF "\"text\":\"$text\"" out
result 'what is guessed changes no text' $?
ask /v1/embeddings '{"input":["The kernel","a page"]}'
says 200 'vectors' '"index":1,"embedding":\[.*"usage":{"prompt_tokens":[1-9]'
printf '{"text":"The kernel"}\n' | llm-embed -m run/latest -q - |
    sed 's/.*"embedding":\[//; s/,.*//' >first
sed 's/.*"index":0,"embedding":\[//; s/,.*//' out | awk -v x="$(cat first)" \
    '{ exit !($1 - x < 1e-6 && x - $1 < 1e-6) }'
result 'are those of llm-embed' $?
ask /v1/embeddings '{"input":"The kernel","encoding_format":"base64"}'
says 200 'as base64' '"embedding":"[A-Za-z0-9+/]*=*"'
ask /v1/embeddings '{"input":"The kernel","model":"latest"}'
says 400 'none of a model of texts' 'makes no vectors'
ask /v1/completions '{"prompt":"The","model":"v"}'
says 400 'nor texts of one of vectors' 'writes no texts'
ask /v1/embeddings '{"input":[]}'
says 400 'nothing' '"param":"input"'
serve_end

# Keys
key=$(llm-serve --api-key-file keys --new-key 'alice requests=3/m')
result 'a key' $?
exits 2 'a name twice, without a new line for it,' llm-serve --api-key-file keys --new-key 'alice'
exits 2 'a setting that is none' llm-serve --api-key-file keys --new-key 'bob rockets=3'
! grep -q "$key" keys && test "$(stat -c %a keys)" = 600
result 'is not in its file, which is its owner'"'"'s' $?
serve -m run/latest --api-key-file keys
ask /v1/models
says 401 'without a key' '"code":"invalid_api_key"'
ask /metrics
says 401 'nor counts' 'invalid_api_key'
ask /health
says 200 'but its health' ok
for i in 1 2 3 4
do
	code=$(curl -s -D head -o out -w '%{http_code}' -H "Authorization: Bearer $key" \
	    -d '{"prompt":"The","max_tokens":1}' "$url/v1/completions")
done
says 429 'more than its rate' 'rate_limit'
grep -qi '^retry-after: [1-9]' head
result 'and when to try again' $?
llm-serve --api-key-file keys --new-key bob >bob
kill -HUP $server
sleep 0.3
code=$(curl -s -o out -w '%{http_code}' -H "Authorization: Bearer $(cat bob)" "$url/v1/models")
says 200 'a key that came later' '"id":"latest"'
serve_end
result 'it ends with 0, too' $?

exits 0 'a dry run' llm-serve -m tiny=run/latest --parallel 3 --context 32 --kv bf16 --dry-run
printf 'model\ttiny\n' | cmp -s - "$(head -n 1 out >line; echo line)" && grep -q '^texts	3	at once$' out
result 'tells of a model and what goes in' $?
exits 2 'for others, without keys' llm-serve -m run/latest --host 0.0.0.0 --port 0
exits 2 'no model' llm-serve --port 0
exits 2 'an adapter of none' llm-serve --lora a=b
exits 2 'two of one name' llm-serve -m a=run/latest -m a=run/latest
serve -m run/latest --socket here
test "$(curl -s --unix-socket here http://localhost/health)" = '{"status":"ok"}'
result 'a Unix socket' $?
exits 2 'where one listens' llm-serve -m run/latest --socket here
serve_end
test ! -e here
result 'is removed' $?
done_testing
