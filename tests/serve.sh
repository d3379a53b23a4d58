# tests/serve.sh - a server for tests, and questions to it; source it after lib.sh

# need_curl: what asks by it is skipped without it
need_curl () {
	if ! command -v curl >/dev/null
	then
		echo '1..0 # SKIP no curl'
		exit 0
	fi
}

# make_model MORE OPTION...: records of prose that end so, a tokenizer of them, a model of that
make_model () {
	prose 1 40 | awk -v more="$1" '{ printf "{\"text\":\"%s%s\"}\n", $0, more }' >train.jsonl
	shift
	exits 0 'a tokenizer' llm-vocab -n 400 -o tok train.jsonl
	exits 0 'a model' llm-init -a llama -m tok --heads 2 --kv-heads 1 "$@" -o model
}

# serve OPTION...: start one on a free port; $url is where, $server its process
serve () {
	rm -f "$tmp/port"
	llm-serve -q --port 0 --port-file "$tmp/port" "$@" 2>"$tmp/serve.err" &
	server=$!
	trap 'kill $server 2>/dev/null; rm -rf "$tmp"' EXIT
	for i in $(seq 100)
	do
		test -s "$tmp/port" && break
		sleep 0.05
	done
	url=http://127.0.0.1:$(cat "$tmp/port")
}

# serve_end: ask it to end; its exit status
serve_end () {
	kill "$server"
	wait "$server"
}

# ask PATH [BODY [OPTION...]]: curl's output is in out, the status in code
ask () {
	at=$1
	shift
	if test $# -gt 0
	then
		set -- -d "$@"
	fi
	code=$(curl -s -N -o out -w '%{http_code}' "$@" "$url$at")
}

# says CODE DESCRIPTION PATTERN [FILE]: the status, and what is in out or the file
says () {
	test "$code" = "$1" && grep -q -- "$3" "${4:-out}"
	good=$?
	result "$2" $good
	test $good -eq 0 || sed "s/^/# $code /" "${4:-out}"
}
