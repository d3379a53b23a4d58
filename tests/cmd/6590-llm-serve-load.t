#!/bin/sh
# A server under load: thousands of requests at once, of every kind; tests/serve says how.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
. "$(dirname "$0")/../serve.sh"
load=$BUILD/tests/serve/load
cd "$tmp" || exit 1
if ! test -x "$load"
then
	echo '1..0 # SKIP tests/serve/load is not built'
	exit 0
fi

# The shape of the smallest model that tells stories: 260 thousand parameters.
prose 9 300 | awk '{ printf "{\"text\":\"%s\"}\n", $0 }' >corpus.jsonl
llm-vocab -q -n 512 -o tok corpus.jsonl && llm-init -q -a llama -m tok --layers 5 --width 64 \
    --heads 8 --kv-heads 4 --ffn 172 --context 512 -o model || exit 1
cat >model/chat_template.jinja <<'EOF'
{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}
{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}
EOF

# loads DESCRIPTION OPTION...: what load finds is well; its table is a comment
loads () {
	what=$1
	shift
	exits 0 "$what" "$load" "$@" --pid "$server" "$(cat port)"
	sed 's/^/# /' out
}

# A cache that is soon full, for it is memory that grows until then, as what ASan keeps does.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=4
export ASAN_OPTIONS
serve -m model --waiting 4096 --patience 3s --cache 8192 --lookup 8
loads '2,000 requests of all kinds, 64 at once,' -n 2000 -c 64 --patience 120s --growth 0.25
loads '500 more, 400 at once,' -n 500 -c 400 -s 2 --patience 120s --growth 0.5
loads '200 streams that nobody reads' -n 0 --bad 0 --idle 200 --idle-memory 40M --patience 120s
loads '50 requests that drip' -n 0 --bad 0 --drips 50 --drip-time 10s
serve_end
result 'it ends with 0' $?
test ! -s serve.err
result 'and has said nothing' $?

serve -m model --waiting 8 --parallel 2
loads 'more requests than may wait' -n 2000 -c 64 --bad 0 --half 0 --slow 0 --growth 1
grep -Eq '^all +	[1-9][0-9]*	[1-9]' out
result 'are refused' $?
serve_end

# Fewer files than clients: they wait, and nothing else happens to them.
(ulimit -n 96 && exec llm-serve -q -m model --port 0 --port-file few --waiting 4096) 2>serve.err &
server=$!
for i in $(seq 100)
do
	test -s few && break
	sleep 0.05
done
mv few port
loads 'fewer files than clients' -n 500 -c 200 --bad 0 --half 0 --growth 0.5 --patience 120s
serve_end
done_testing
