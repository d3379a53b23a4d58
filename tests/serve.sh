# tests/serve.sh - a server for tests; source it after lib.sh

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
