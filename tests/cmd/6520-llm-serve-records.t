#!/bin/sh
# What is written down of answers, what is kept from them, and what is given twice.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
. "$(dirname "$0")/../serve.sh"
cd "$tmp" || exit 1
need_curl
make_samples
cp -rL run/latest m
echo '{% for m in messages %}{{ m.role }}: {{ m.content }}
{% endfor %}' >m/chat_template.jinja

# told FILE N: wait until it has so many lines
told () {
	for i in $(seq 40)
	do
		test -e "$1" && test "$(wc -l <"$1")" -ge "$2" && break
		sleep 0.05
	done
}

# Records
serve -m m --audit audit --feedback said --unsure 0
ask /v1/chat/completions '{"messages":[{"role":"user","content":"I am joe@example.org"}],"max_tokens":4,"temperature":0}'
says 200 'a chat' '"id":"chatcmpl-'
id=$(sed 's/.*"id":"\([^"]*\)".*/\1/' out)
text=$(sed 's/.*"content":\("[^"]*"\).*/\1/' out)
told audit 1
says 200 'is written down' "\"id\":\"$id\",\"peer\":\"127.0.0.1\",\"route\":\"/v1/chat/completions\",\"model\":\"m\",\"status\":200" audit
says 200 'its prompt as the model reads it, without an address' '"prompt":"user: I am <EMAIL>\\n' audit
grep -qF "\"answer\":$text" audit
result 'its answer' $?
says 200 'its counts' '"tokens":4,"first_token_seconds":[0-9.e-]*,"seconds":[0-9.e-]*,"end":"length","mean_logprob":-[0-9.]*}$' audit
told said 1
says 200 'and it is unsure' '"why":"unsure","id":"chatcmpl-' said
ask /v1/completions '{"prompt":["The","A"],"n":2,"max_tokens":2,"stream":true}'
told audit 5
test "$(grep -c '"route":"/v1/completions"' audit)" -eq 4
result 'two prompts, two answers each: four lines' $?
ask /v1/completions '{"prompt":"The","top_k":"x","max_tokens":2}'
told audit 6
tail -n 1 audit | grep -q '"status":400,"prompt":"The"'
result 'one that is refused' $?
ask /v1/feedback "{\"id\":\"$id\",\"rating\":-1,\"comment\":\"call +1 212-555-0134\"}"
says 200 'a rating' ok
grep -q "\"why\":\"rating\",\"id\":\"$id\",\"peer\":\"127.0.0.1\",\"rating\":-1,\"comment\":\"call <PHONE>\"}" said
result 'is kept' $?
ask /v1/feedback '{"rating":1}'
says 400 'of nothing' '"param":"id"'
ask /v1/feedback '{"id":"x","rating":"good"}'
says 400 'that is none' '"param":"rating"'
exits 2 'a file that another one writes' llm-serve -m m --port 0 --audit audit
mv audit old
kill -HUP $server
sleep 0.2
ask /v1/completions '{"prompt":"The","max_tokens":2}'
told audit 1
test "$(wc -l <audit)" -eq 1 && test "$(stat -c %a audit)" = 600
result 'a new file after SIGHUP' $?
serve_end
serve -m m
ask /v1/feedback "{\"id\":\"$id\",\"rating\":1}"
says 404 'without a file' 'not kept'
serve_end
exits 2 'kinds that are none' llm-serve -m m --port 0 --audit audit --audit-redact planets

# The guard
cat >rules <<'!'
request block pattern /forbidden/ ban
request redact pii email
!
serve -m m --guard rules --audit watched
ask /v1/chat/completions '{"messages":[{"role":"system","content":"be forbidden"},{"role":"user","content":"hi"}]}'
says 400 'a message that is blocked' '"code":"content_filter"'
ask /v1/chat/completions '{"messages":[{"role":"user","content":[{"type":"text","text":"for\u0062idden"}]}]}'
says 400 'in parts, with escapes' '"code":"content_filter"'
ids=$(curl -s -d '{"content":"so forbidden"}' "$url/tokenize" | sed 's/.*"tokens":\(\[[^]]*\]\).*/\1/')
ask /v1/completions "{\"prompt\":[[264],$ids],\"max_tokens\":2}"
says 400 'as tokens' '"code":"content_filter"'
ask /v1/completions '{"prompt":["The","so forbidden"],"max_tokens":2,"stream":true}'
says 400 'in a list' '"code":"content_filter"'
ask /v1/completions '{"prompt":"From joe@example.org","max_tokens":2,"echo":true}'
says 200 'what is redacted' '"text":"From <EMAIL>'
ask /v1/completions '{"prompt":"The kernel","max_tokens":8,"temperature":0}'
says 200 'what is not' '"completion_tokens":8'
text=$(sed 's/.*"text":"\([^"]*\)".*/\1/' out)
told watched 6
test "$(grep -c '"status":400,.*"guard":\[{"rule":"ban","action":"block","count":1,"blocked":true}\]' watched)" -eq 4
result 'is written down' $?
grep -q '"guard":\[{"rule":"pii","action":"redact","count":1}\]' watched
result 'and so is what was redacted' $?
serve_end
word=$(printf %s "$text" | grep -o '[a-z][a-z][a-z]' | tail -n 1)
for action in block redact
do
	echo "response $action pattern /$word/ end" >rules
	serve -m m --guard rules
	for stream in false true
	do
		ask /v1/completions "{\"prompt\":\"The kernel\",\"max_tokens\":8,\"temperature\":0,\"stream\":$stream}"
		got=$(sed -n 's/.*"text":"\([^"]*\)".*/\1/p' out | tr -d '\n')
		case $action in
		block)	want=${text%%"$word"*} reason=content_filter ;;
		redact)	want=$(echo "$text" | sed "s/$word/<END>/g") reason=length ;;
		esac
		test "$got" = "$want" && grep -q "\"finish_reason\":\"$reason\"" out
		result "$action in an answer, stream $stream" $?
		test "$got" = "$want" || printf "# %s, not %s\n" "$got" "$want"
	done
	ask /v1/chat/completions '{"messages":[{"role":"user","content":"The"}],"logprobs":true}'
	says 400 'log-probabilities of what is filtered' '"param":"logprobs"'
	serve_end
done

# The same at once, and again
# count METRIC: its value
count () {
	curl -s "$url/metrics" | sed -n "s/^$1 //p"
}
one='{"prompt":"The small kernel","max_tokens":24,"temperature":0}'
serve -m m --keep-answers 1M
ask /v1/completions "$one"
says 200 'a text' '"completion_tokens":24'
cut -d , -f 5- out >first
test "$(count llm_generated_tokens_total)" -eq 24
result 'is computed' $?
ask /v1/completions '{"temperature":0, "max_tokens":24,"stream":false,"prompt":"The small kernel"}' -D head
cut -d , -f 5- out | cmp -s - first
result 'the same again is given' $?
grep -qi '^x-cache: hit' head && test "$(count llm_generated_tokens_total)" -eq 24
result 'and not computed' $?
ask /v1/completions '{"prompt":"The small kernel","max_tokens":24,"temperature":0,"stream":true}'
test "$(sed -n 's/^data: .*"text":"\([^"]*\)".*/\1/p' out | tr -d '\n')" = \
    "$(sed 's/.*"text":"\([^"]*\)".*/\1/' first)"
result 'as a stream, too' $?
ask /v1/completions '{"prompt":"The small kernel","max_tokens":24,"temperature":0,"cache_salt":"x"}' -D head
! grep -qi '^x-cache' head
result 'not to who has another salt' $?
ask /v1/completions '{"prompt":"The small kernel","max_tokens":24,"temperature":0,"presence_penalty":1}' -D head
! grep -qi '^x-cache' head
result 'nor with another parameter' $?
ask /v1/completions '{"prompt":["A","A"],"max_tokens":8,"temperature":1}'
was=$(count llm_generated_tokens_total)
ask /v1/completions '{"prompt":["A","A"],"max_tokens":8,"temperature":1}' -D head
! grep -qi '^x-cache' head && test "$(count llm_generated_tokens_total)" -eq $((was + 16))
result 'what is drawn is drawn anew' $?
ask /v1/completions '{"prompt":["A","A"],"max_tokens":8,"temperature":1,"seed":7,"n":2,"ignore_eos":true}'
says 200 'two equal prompts' '"completion_tokens":32'
test "$(count llm_generated_tokens_total)" -eq $((was + 32)) &&
    test "$(count llm_joined_answers_total)" -eq 2
result 'are computed once' $?
serve_end
result 'it ends with 0' $?
serve -m m
curl -s -d "$one" "$url/v1/completions" -o a &
first=$!
curl -s -d "$one" "$url/v1/completions" -o b &
wait $first $!
test "$(sed 's/.*choices"//; s/"usage.*//' a)" = "$(sed 's/.*choices"//; s/"usage.*//' b)" &&
    grep -q '"completion_tokens":24' a
result 'two at once have the same answer' $?
serve_end

# Programs: they are slow, and nobody else waits for them
cat >judge <<'!'
#!/bin/sh
while read -r line
do
	sleep 0.5
	case $line in
	*forbidden*)	echo '{"action":"block"}' ;;
	*response*)	echo '{"action":"replace","text":"another text"}' ;;
	*)		echo '{"action":"pass"}' ;;
	esac
done
!
chmod +x judge
echo "both redact program $tmp/judge" >rules
serve -m m --guard rules
{ ask /v1/completions '{"prompt":"The kernel","max_tokens":2}'; echo "$code" >code; } &
asked=$!
sleep 0.2
start=$(date +%s%N)
code=$(curl -s -o health -w '%{http_code}' "$url/health")
test "$code" = 200 && test $(($(date +%s%N) - start)) -lt 300000000
result 'others are answered while a program is asked' $?
wait $asked
code=$(cat code)
says 200 'a text of a program' '"text":"another text"'
ask /v1/completions '{"prompt":"The kernel","max_tokens":2,"stream":true}'
says 200 'in a stream' '"text":"another text"'
was=$(count llm_generated_tokens_total)
for i in 1 2
do
	curl -s -d '{"prompt":"The same","max_tokens":6,"temperature":0,"ignore_eos":true}' \
	    -o same$i "$url/v1/completions" &
	eval "asked$i=\$!"
done
wait $asked1 $asked2
test $(($(count llm_generated_tokens_total) - was)) -eq 6 &&
    grep -q another same1 && grep -q another same2
result 'two requests at once are computed once' $?
ask /v1/completions '{"prompt":"so forbidden","max_tokens":2}'
says 400 'what a program blocks' '"code":"content_filter"'
curl -s -d '{"prompt":"The kernel","max_tokens":2}' -o asked "$url/v1/completions" &
asked=$!
sleep 0.2
echo 'both block pattern /kernel/ word' >rules
kill -HUP $server
sleep 0.2
ask /v1/completions '{"prompt":"The kernel","max_tokens":2}'
says 400 'other rules on SIGHUP' '"code":"content_filter"'
ask /v1/completions '{"prompt":"The","max_tokens":2,"temperature":0}'
says 200 'and the old program is asked no more' '"completion_tokens":2'
wait $asked
grep -q '"text":"another text"' asked
result 'a text that ran has its own to the end' $?
echo 'both maul pii' >rules
kill -HUP $server
sleep 0.2
says 200 'rules that are none are told' "llm-serve: rules:1: 'maul' is none of" serve.err
ask /v1/completions '{"prompt":"The kernel","max_tokens":2}'
says 400 'and change nothing' '"code":"content_filter"'
echo "both redact program $tmp/judge" >rules
kill -HUP $server
sleep 0.2
curl -s -m 0.2 -d '{"prompt":"The","max_tokens":2}' "$url/v1/completions"
curl -s -m 0.7 -d '{"prompt":"The","max_tokens":2}' "$url/v1/completions"
ask /v1/completions '{"prompt":"so forbidden","max_tokens":2}'
says 400 'after some that went away' '"code":"content_filter"'
serve_end
result 'it ends with 0' $?
echo 'request maul pii' >rules
exits 2 'rules that are none' llm-serve -m m --port 0 --guard rules
done_testing
