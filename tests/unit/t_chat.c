/*
 * Conversations: special tokens come from the template alone, and the mask is where
 * the answers are, for tokenizers whose tokens are a text's bytes and for others.
 */
#include <stdlib.h>

#include "../tap.h"
#include "base/rng.h"
#include "token/chat.h"

#define DATA "tests/data/tokenizer_json/good/"

/* Each says its own way: with special tokens, with none, and marking its answers. */
static const char *const sources[] = {
	"{{ bos_token }}{% for m in messages %}{{ eos_token }}{{ m.role }}\n{{ m.content }}"
	    "{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}{{ eos_token }}assistant\n"
	    "{% endif %}",
	"{% for m in messages %}### {{ m.role }}: {{ m.content }}\n{% endfor %}"
	    "{% if add_generation_prompt %}### assistant: {% endif %}",
	"{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}[{{ m.content }}]"
	    "{% endgeneration %}{% else %}{{ m.role }}{{ eos_token }}{{ m.content }}{% endif %}"
	    "{% endfor %}",
};

static const char *const words[] = { "a", "the", " ", "\n", "  ", "caf\u00e9", "e\u0301", "\u65e5\u672c",
	"<|", "|>", "end", "x</s", ">", "1999", "'ll", "<s>", "\t", "." };

static void
say(const struct tokenizer *tok, struct buf *b, uint64_t seed)
{
	buf_reset(b);
	for (uint64_t i = 0, n = rng_below(1, 1, seed, 12); i < n; i++) {
		uint64_t r = rng_below(1, 2 + i, seed, 24);
		int32_t id = (int32_t)rng_below(2, 2 + i, seed, (uint64_t)tokenizer_vocab(tok));

		if (r < 18)
			buf_add(b, str_of(words[r]));
		else if (r == 18 && tokenizer_eos(tok) >= 0)
			buf_add(b, tokenizer_bytes(tok, tokenizer_eos(tok)));
		else if (utf8_bad(tokenizer_bytes(tok, id)) < 0)
			buf_add(b, tokenizer_bytes(tok, id));
	}
}

static json_t *
talk(const struct tokenizer *tok, uint64_t seed)
{
	json_t *messages = json_array();
	struct buf b = { 0 };

	for (uint64_t i = 0; i < 1 + seed % 5; i++) {
		say(tok, &b, seed * 8 + i);
		json_array_append_new(messages, json_pack("{s:s, s:s%}", "role",
		    i % 2 == 0 ? "user" : "assistant", "content", b.n > 0 ? b.p : "",
		    (size_t)b.n));
	}
	buf_free(&b);
	return messages;
}

static int64_t
specials(const struct tokenizer *tok, const struct ids *ids)
{
	int64_t n = 0;

	for (int64_t i = 0; i < ids->n; i++)
		n += tokenizer_is_special(tok, ids->id[i]);
	return n;
}

/* Template text has none but these: eos_token and bos_token, as often as they are written. */
static int64_t
expected_specials(const struct tokenizer *tok, int source, size_t messages)
{
	int64_t bos = tokenizer_bos(tok) >= 0 && tokenizer_is_special(tok, tokenizer_bos(tok));
	int64_t eos = tokenizer_eos(tok) >= 0 && tokenizer_is_special(tok, tokenizer_eos(tok));

	return source == 0 ? bos + 2 * eos * (int64_t)messages :
	    source == 1 ? 0 : eos * (int64_t)((messages + 1) / 2);
}

/* Tokens that are the text's bytes, end to end: each is trained on that has one of an answer. */
static bool
same_mask(const struct chat_tokens *a, const struct template_spans *answers,
    const struct tokenizer *tok)
{
	ptrdiff_t at = 0;

	for (int64_t i = 0; i < a->ids.n; i++) {
		ptrdiff_t n = tokenizer_bytes(tok, a->ids.id[i]).n;
		bool in = false;

		for (ptrdiff_t k = 0; k < answers->n; k++)
			in |= answers->at[k].start < at + n && answers->at[k].end > at;
		if (in != a->mask.p[i])
			return false;
		at += n;
	}
	return at == a->text.n;
}

/* plain: tokens are the text's bytes, so that the mask is known from these. */
static void
check(const char *name, bool plain)
{
	struct err err = { 0 };
	char path[200];
	struct tokenizer *tok;
	struct encoder *e;
	struct chat_tokens made = { 0 };
	bool safe = true, right = true, some = false;

	snprintf(path, sizeof(path), DATA "%s.json", name);
	if ((tok = tokenizer_load(path, &err)) == NULL || (e = encoder_new(tok, &err)) == NULL) {
		printf("# %s\n", err.msg);
		exit(2);
	}
	for (uint64_t seed = 0; seed < 600; seed++) {
		struct template *t = template_parse(str_of(sources[seed % 3]), &err);
		struct chat c = { .template = t, .tok = tok };
		json_t *m = talk(tok, seed);
		struct template_input in = { .messages = m };
		struct template_marks marks = { 0 };
		struct buf text = { 0 };

		if (chat_encode(&c, e, &in, &made, &err) < 0) {
			printf("# %s\n", err.msg);
			safe = false;
		}
		safe &= specials(tok, &made.ids) ==
		    expected_specials(tok, (int)(seed % 3), json_array_size(m));
		in.bos = tokenizer_bos(tok) < 0 ? (str){ NULL, 0 } :
		    tokenizer_bytes(tok, tokenizer_bos(tok));
		in.eos = tokenizer_eos(tok) < 0 ? (str){ NULL, 0 } :
		    tokenizer_bytes(tok, tokenizer_eos(tok));
		template_render_answers(t, &in, &text, &marks, false, &err);
		right &= made.mask.n == made.ids.n &&
		    (!plain || same_mask(&made, &marks.answers, tok));
		some |= made.mask.n > 0 && memchr(made.mask.p, 1, (size_t)made.mask.n) != NULL;
		template_marks_free(&marks);
		buf_free(&text);
		template_free(t);
		json_decref(m);
	}
	ok(safe, name);
	ok(right && some, "its masks");
	chat_tokens_free(&made);
	encoder_free(e);
	tokenizer_free(tok);
}

/* ---- records ---- */

static void
reads(const char *record, const char *want, const char *what)
{
	struct json_member member[CHAT_KEYS];
	struct chat_record r = { 0 };
	struct err err = { 0 };
	char *got = NULL;

	if (json_scan(str_of(record), chat_keys, CHAT_KEYS, member, &err) == 0 &&
	    chat_read(member, &r, &err) == 0) {
		json_t *all = json_pack("[O, O?, O?, O?]", r.in.messages, r.in.tools,
		    r.in.documents, r.in.more);

		got = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
		json_decref(all);
	}
	ok(strcmp(got != NULL ? got : err.msg, want) == 0, what);
	if (strcmp(got != NULL ? got : err.msg, want) != 0)
		printf("# %s\n", got != NULL ? got : err.msg);
	free(got);
	chat_record_free(&r);
}

static void
test_records(void)
{
	reads("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":\"[1]\","
	    "\"documents\":null,\"chat_template_kwargs\":{\"x\":true}}",
	    "[[{\"content\":\"a\",\"role\":\"user\"}],[1],null,{\"x\":true}]", "a record");
	reads("{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"gpt\","
	    "\"value\":\"b\"}]}", "[[{\"content\":\"a\",\"role\":\"user\"},{\"content\":\"b\","
	    "\"role\":\"assistant\"}],null,null,null]", "turns of ShareGPT");
	reads("{\"conversations\":[{\"from\":\"robot\",\"value\":\"a\"}]}",
	    "conversations: turn 1 is from 'robot', which is no role that is known",
	    "a role that is not known");
	reads("{\"text\":\"a\"}", "no key 'messages'", "no messages");
	reads("{\"messages\":\"a\"}", "key 'messages': neither array nor object", "a string");
	reads("{\"messages\":[{\"content\":\"a\"}]}", "message 1 has no role", "no role");
	reads("{\"messages\":{}}", "the messages are no array", "an object");
	reads("{\"messages\":[],\"tools\":\"x\"}", "key 'tools': line 1, column 1: '[' or '{' "
	    "expected near 'x'", "tools that are no JSON");
}

int
main(void)
{
	check("gpt2", true);
	check("llama3", true);
	check("smollm2", true);
	check("qwen2", false);		/* normalizes */
	check("prefix", false);		/* put spaces before text */
	check("llama2", false);
	check("mistral", false);
	check("gemma", false);
	test_records();
	return tap_done();
}
