#!/bin/sh
. "$(dirname "$0")/../lib.sh"
tok=$data/tokenizer_json/good/gpt2.json

mkdir "$tmp/m"
cp "$tok" "$tmp/m/tokenizer.json"
cat >"$tmp/m/chat_template.jinja" <<'EOF'
{% for m in messages %}{{ eos_token }}{{ m.role }}
{{ m.content }}{{ eos_token }}
{% endfor %}{% if add_generation_prompt %}{{ eos_token }}assistant
{% endif %}{% if tools %}{{ tools|tojson }}{% endif %}{% if day %}{{ strftime_now('%Y-%m-%d') }}{% endif %}
EOF
cat >"$tmp/in" <<'EOF'
{"messages":[{"role":"user","content":"the"},{"role":"assistant","content":"a"}]}
{"messages":[{"role":"user","content":"<|endoftext|>"},{"role":"assistant","content":"a"},{"role":"user","content":"b"},{"role":"assistant","content":"<|endoftext|>"}]}
{"conversations":[{"from":"human","value":"the"},{"from":"gpt","value":"a"}]}
EOF
exits 0 'ids' llm-tokenize -m "$tmp/m" --chat -F ids "$tmp/in"
awk '{ n = 0; for (i = 1; i <= NF; i++) n += $i == 0; print n }' "$tmp/out" >"$tmp/ends"
cp "$tmp/out" "$tmp/ids"
cmp -s "$tmp/ends" - <<'EOF'
4
8
4
EOF
result 'special tokens are those of the template' $?
test "$(sed -n 1p "$tmp/ids")" = "$(sed -n 3p "$tmp/ids")"
result 'turns of ShareGPT are messages' $?
exits 0 'with those in what is said' llm-tokenize -m "$tmp/m" --chat --parse-special -F ids "$tmp/in"
awk '{ n = 0; for (i = 1; i <= NF; i++) n += $i == 0; print n }' "$tmp/out" | sed -n 2p >"$tmp/ends"
test "$(cat "$tmp/ends")" = 10
result 'there are two more' $?

exits 0 'a mask' llm-tokenize -m "$tmp/m" --chat -F mask "$tmp/in"
sed -n 1p "$tmp/out" >"$tmp/mask"
test "$(wc -w <"$tmp/mask")" -eq "$(sed -n 1p "$tmp/ids" | wc -w)" &&
    grep -Eq '^(0 )+1 1 0$' "$tmp/mask"
result 'has the answer and its end' $?
grep -o 1 "$tmp/out" | wc -l >"$tmp/ones"
exits 0 'of the last answer' llm-tokenize -m "$tmp/m" --chat --train-on last -F mask "$tmp/in"
test "$(sed -n 2p "$tmp/out" | tr -d ' 0')" != "$(llm-tokenize -m "$tmp/m" --chat -F mask "$tmp/in" |
    sed -n 2p | tr -d ' 0')" && test "$(sed -n 1p "$tmp/out")" = "$(cat "$tmp/mask")"
result 'leaves out those before' $?
exits 0 'of all' llm-tokenize -m "$tmp/m" --chat --train-on all -F mask "$tmp/in"
grep -q 0 "$tmp/out"
test $? -eq 1
result 'leaves out nothing' $?
exits 0 'counts' llm-tokenize -m "$tmp/m" --chat -F count "$tmp/in"
awk '{ print NF }' "$tmp/ids" >"$tmp/nf"
prints 'are those of the ids' <"$tmp/nf"

exits 0 'a shard' llm-tokenize -m "$tmp/m" --chat --stats "$tmp/stats" -o "$tmp/a.shard" "$tmp/in"
exits 0 'is sound' llm-shard -t verify "$tmp/a.shard"
grep -q "\"trained\": $(cat "$tmp/ones")" "$tmp/stats"
result 'what is trained on is counted' $?
llm-shard -t head "$tmp/a.shard" | tr -d - >"$tmp/out"
prints 'the ids are in it' <"$tmp/ids"
llm-shard -t head -n 1 "$tmp/a.shard" | sed 's/-[0-9]*/n/g; s/[0-9][0-9]*/1/g; s/n/0/g' >"$tmp/out"
prints 'and the mask' <"$tmp/mask"
llm-shard -F json "$tmp/a.shard" | tr -d ' ' | grep -q "\"trained\":$(cat "$tmp/ones"),"
result 'and their number' $?
exits 0 'four threads' llm-tokenize -j4 -m "$tmp/m" --chat -o "$tmp/b.shard" "$tmp/in"
cmp -s "$tmp/a.shard" "$tmp/b.shard"
result 'the same bytes' $?
exits 0 'packed' llm-pack -l 16 -o "$tmp/p.shard" "$tmp/a.shard"
llm-shard -F json "$tmp/p.shard" | tr -d ' ' | grep -q "\"trained\":$(cat "$tmp/ones"),"
result 'it is as much' $?
exits 2 'no place for it' llm-shard -t export -F nanogpt -o "$tmp/x" "$tmp/a.shard"
grep -q 'not trained on' "$tmp/err"
result 'says so' $?

echo '{{ messages|length }}!' >"$tmp/t.jinja"
exits 0 'another template' llm-tokenize -m "$tok" --chat --template "$tmp/t.jinja" -F count "$tmp/in"
cat >"$tmp/more" <<'EOF'
{"messages":[],"chat_template_kwargs":{"day":1}}
EOF
exits 2 'a template that asks for the time' llm-tokenize -m "$tmp/m" --chat -F ids "$tmp/more"
grep -q 'time' "$tmp/err"
result 'gets none' $?
exits 0 'unless there is a day' llm-tokenize -m "$tmp/m" --chat --date 2024-02-29 -F ids "$tmp/more"
exits 0 'messages elsewhere' sh -c 'sed s/messages/talk/ "$1" |
    llm-tokenize -m "$2" --chat -f talk -F ids' sh "$tmp/in" "$tmp/m"
prints 'are the same' <"$tmp/ids"

exits 2 'no messages' llm-tokenize -m "$tmp/m" --chat "$data/tokenizer_json/train.jsonl"
grep -q "train.jsonl:1: no key 'messages'" "$tmp/err"
result 'says so, with the line' $?
echo '{"messages":[{"role":"user","content":"a"}]}' >"$tmp/good"
cat "$data/tokenizer_json/train.jsonl" "$tmp/good" >"$tmp/some"
exits 1 'they are passed over' llm-tokenize -k -q -m "$tmp/m" --chat -F ids "$tmp/some"
test "$(wc -l <"$tmp/out")" -eq 1
result 'but not the good one' $?
exits 2 'no template' llm-tokenize -m "$tok" --chat "$tmp/in"
exits 2 'a day that is none' llm-tokenize -m "$tmp/m" --chat --date 2023-02-29 "$tmp/in"
exits 2 'a part that is none' llm-tokenize -m "$tmp/m" --chat --train-on user "$tmp/in"
exits 2 'a mask of texts' llm-tokenize -m "$tok" -F mask "$tmp/in"
exits 2 'a template without --chat' llm-tokenize -m "$tok" --template "$tmp/t.jinja" "$tmp/in"
echo '{"text":"a<|endoftext|>"}' >"$tmp/text"
exits 0 'special tokens in texts' llm-tokenize -m "$tok" --parse-special -F ids "$tmp/text"
grep -q ' 0$' "$tmp/out"
result 'when asked for' $?
done_testing
