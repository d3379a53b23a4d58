#include "infer/chat.h"

#include "base/json.h"

/* Put into the text of a special token in a message, and cut out again: a noncharacter. */
#define BREAK "\xf4\x8f\xbf\xbf"

int
chat_say(json_t *messages, const char *role, str content, struct err *err)
{
	json_t *m = json_pack("{s:s, s:s%}", "role", role, "content", content.p,
	    (size_t)content.n);

	if (m == NULL || json_array_append_new(messages, m) < 0)
		return err_set(err, ERR_NOMEM, "a message that is no text, or out of memory");
	return 0;
}

/* Where the first special token is in a text, or NULL. */
static const char *
find_special(const struct tokenizer *tok, str s)
{
	const char *first = NULL;

	for (int32_t id = 0; id < tokenizer_vocab(tok); id++) {
		str text;
		const char *at;

		if (!tokenizer_is_special(tok, id))
			continue;
		text = tokenizer_bytes(tok, id);
		at = text.n > 0 && s.n > 0 ? memmem(s.p, (size_t)s.n, text.p, (size_t)text.n) :
		    NULL;
		if (at != NULL && (first == NULL || at < first))
			first = at;
	}
	return first;
}

static json_t *
broken_text(const struct tokenizer *tok, const json_t *s)
{
	str rest = { json_string_value(s), (ptrdiff_t)json_string_length(s) };
	struct buf b = { 0 };
	const char *at;
	json_t *x = NULL;

	while ((at = find_special(tok, rest)) != NULL) {
		ptrdiff_t n = at - rest.p + 1;

		/* Behind its first character, of all its bytes. */
		while (n < rest.n && ((unsigned char)rest.p[n] & 0xc0) == 0x80)
			n++;
		buf_add(&b, (str){ rest.p, n });
		buf_add(&b, S(BREAK));
		rest = (str){ rest.p + n, rest.n - n };
	}
	buf_add(&b, rest);
	if (!b.failed)
		x = json_stringn(b.n > 0 ? b.p : "", (size_t)b.n);
	buf_free(&b);
	return x;
}

/* A copy in which no text has a special token; NULL: no memory. */
static json_t *
broken(const struct tokenizer *tok, const json_t *x)
{
	json_t *copy, *value;
	const char *key;
	size_t i, len;

	if (json_is_string(x))
		return broken_text(tok, x);
	if (!json_is_array(x) && !json_is_object(x))
		return json_deep_copy(x);
	copy = json_is_array(x) ? json_array() : json_object();
	json_array_foreach(x, i, value)
		if (json_array_append_new(copy, broken(tok, value)) < 0)
			goto fail;
	json_object_keylen_foreach((json_t *)(uintptr_t)x, key, len, value)
		if (json_object_setn_new(copy, key, len, broken(tok, value)) < 0)
			goto fail;
	return copy;
fail:
	json_decref(copy);
	return NULL;
}

static int
encode_pieces(const struct tokenizer *tok, str text, struct ids *ids, struct err *err)
{
	struct encoder *enc = encoder_new(tok, err);
	int ret = enc == NULL ? -1 : 0;

	while (ret == 0 && text.n > 0) {
		const str mark = S(BREAK);
		const char *at = memmem(text.p, (size_t)text.n, mark.p, (size_t)mark.n);
		str piece = { text.p, at != NULL ? at - text.p : text.n };
		ptrdiff_t gone = piece.n + (at != NULL ? mark.n : 0);

		ret = encode(enc, piece, ENCODE_SPECIAL, ids, err);
		text = (str){ text.p + gone, text.n - gone };
	}
	encoder_free(enc);
	return ret;
}

static str
token_text(const struct tokenizer *tok, int32_t id)
{
	return id < 0 ? (str){ NULL, 0 } : tokenizer_bytes(tok, id);
}

int
chat_prompt(const struct template *t, const struct tokenizer *tok, const json_t *messages,
    struct ids *ids, struct err *err)
{
	struct template_input in = { .bos = token_text(tok, tokenizer_bos(tok)),
	    .eos = token_text(tok, tokenizer_eos(tok)), .prompt = true };
	struct buf text = { 0 };
	int64_t before = ids->n;
	json_t *copy, *m;
	size_t i;
	int ret = -1;

	json_array_foreach(messages, i, m)
		if (!json_is_string(json_object_get(m, "role")))
			return err_set(err, ERR_FORMAT, "message %zu has no role", i + 1);
	in.messages = copy = broken(tok, messages);
	if (copy == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	else if (template_render(t, &in, &text, NULL, err) == 0)
		ret = encode_pieces(tok, buf_str(&text), ids, err);
	if (ret == 0 && ids->n == before)
		ret = err_set(err, ERR_FORMAT, "the template makes nothing of the messages");
	json_decref(copy);
	buf_free(&text);
	return ret;
}
