#!/bin/sh
# What is written down of answers, what is kept from them, and what is given twice.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
. "$(dirname "$0")/../serve.sh"
cd "$tmp" || exit 1
if ! command -v curl >/dev/null
then
	echo '1..0 # SKIP no curl'
	exit
fi
make_samples
cp -rL run/latest m
echo '{% for m in messages %}{{ m.role }}: {{ m.content }}
{% endfor %}' >m/chat_template.jinja

# ask PATH BODY [OPTION...]: curl's output is in out, the status in code
ask () {
	at=$1
	body=$2
	shift 2
	code=$(curl -s -N -o out -w '%{http_code}' -d "$body" "$@" "$url$at")
}

# says CODE DESCRIPTION PATTERN [FILE]
says () {
	test "$code" = "$1" && grep -q -- "$3" "${4:-out}"
	result "$2" $?
	test "$code" = "$1" && grep -q -- "$3" "${4:-out}" || sed "s/^/# $code /" "${4:-out}"
}

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
done_testing
