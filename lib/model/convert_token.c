/*
 * The tokenizer in the keys of a GGUF file.  Its tokens are written as in
 * tokenizer.json; how text is cut into words is told by a name alone.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "model/convert.h"
#include "token/strmap.h"
#include "token/tokenizer.h"
#include "token/tokenizer_save.h"

#define TOKENS_MAX	((int64_t)1 << 22)	/* as of tokenizer.h's reader */

#define KEY(name) "tokenizer.ggml." name

enum { TYPE_UNKNOWN = 2, TYPE_CONTROL, TYPE_USER };	/* of tokens; 1: normal */

static const struct {
	const char	*name;
	enum scan	 pattern;
	bool		 digits, nfc, ignore_merges;
} cuts[] = {
	{ "gpt-2", SCAN_GPT2 }, { "phi-2", SCAN_GPT2 }, { "olmo", SCAN_GPT2 },
	{ "smollm", SCAN_GPT2, .digits = true }, { "starcoder", SCAN_GPT2, .digits = true },
	{ "llama-bpe", SCAN_LLAMA3, .ignore_merges = true },
	{ "llama3", SCAN_LLAMA3, .ignore_merges = true }, { "dbrx", SCAN_LLAMA3 },
	{ "smaug-bpe", SCAN_LLAMA3 }, { "qwen2", SCAN_QWEN2, .nfc = true },
};

struct conversion {
	const struct gguf *f;
	struct tokenizer_parts parts;
	str		*token;
	uint8_t		*added;
	int32_t		(*merge)[2];
	struct strmap	 by_name;
	struct err	*err;
};

static int
read_kind(struct conversion *c)
{
	str model, pre;

	if (!gguf_text(gguf_find_key(c->f, KEY("model")), &model))
		return err_set(c->err, ERR_FORMAT, "no key '" KEY("model") "': no tokenizer");
	if (!str_eq(model, S("gpt2")))
		return err_set(c->err, ERR_FORMAT, "a tokenizer of kind '%.*s' is not supported, "
		    "only byte-level BPE (gpt2)", (int)(model.n < 99 ? model.n : 99), model.p);
	if (!gguf_text(gguf_find_key(c->f, KEY("pre")), &pre))
		return err_set(c->err, ERR_FORMAT, "no key '" KEY("pre") "': how text is cut into "
		    "words is not known");
	for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		if (!str_eq(pre, str_of(cuts[i].name)))
			continue;
		c->parts.pattern = cuts[i].pattern;
		c->parts.digits = cuts[i].digits;
		c->parts.nfc = cuts[i].nfc;
		c->parts.ignore_merges = cuts[i].ignore_merges;
		return 0;
	}
	return err_set(c->err, ERR_FORMAT, "pre-tokenizer '%.*s' is not supported",
	    (int)(pre.n < 99 ? pre.n : 99), pre.p);
}

static int
read_tokens(struct conversion *c)
{
	const struct gguf_value *tokens = gguf_find_key(c->f, KEY("tokens"));
	const struct gguf_value *types = gguf_find_key(c->f, KEY("token_type"));
	ptrdiff_t at = 0, type_at = 0;
	int64_t n = 0, type;

	if (tokens == NULL || tokens->elem != GGUF_STRING || tokens->n < 1 ||
	    tokens->n > TOKENS_MAX)
		return err_set(c->err, ERR_FORMAT, "key '" KEY("tokens") "' is no list of 1 to "
		    "%" PRId64 " texts", TOKENS_MAX);
	if (types != NULL && types->n != tokens->n)
		return err_set(c->err, ERR_FORMAT, "%" PRId64 " tokens, but %" PRId64
		    " types of them", tokens->n, types->n);
	c->token = calloc((size_t)tokens->n, sizeof(*c->token));
	c->added = calloc((size_t)tokens->n, 1);
	if (c->token == NULL || c->added == NULL ||
	    strmap_init(&c->by_name, tokens->n, c->token, c->err) < 0)
		return err_set(c->err, ERR_NOMEM, "out of memory");
	for (; gguf_next_text(tokens, &at, &c->token[n]); n++) {
		if (utf8_bad(c->token[n]) >= 0)
			return err_set(c->err, ERR_FORMAT, "token %" PRId64 " is no UTF-8", n);
		if (strmap_add(&c->by_name, (int32_t)n) != n)
			return err_set(c->err, ERR_FORMAT, "token %" PRId64 ", '%.*s', is there "
			    "twice", n, (int)(c->token[n].n < 99 ? c->token[n].n : 99),
			    c->token[n].p);
		if (!gguf_next_int(types, &type_at, &type))
			continue;
		if (type == TYPE_UNKNOWN || type == TYPE_CONTROL)
			c->added[n] = ADDED_SPECIAL;
		else if (type == TYPE_USER)
			c->added[n] = ADDED_PLAIN;
	}
	c->parts.n = (int32_t)n;
	c->parts.token = c->token;
	c->parts.added = c->added;
	return 0;
}

/* "a b": the space that parts them is never the first byte. */
static int
read_merge(struct conversion *c, str s, int32_t merge[2])
{
	const char *space = s.n > 1 ? memchr(s.p + 1, ' ', (size_t)s.n - 1) : NULL;

	if (space == NULL)
		return -1;
	merge[0] = strmap_find(&c->by_name, (str){ s.p, space - s.p });
	merge[1] = strmap_find(&c->by_name, (str){ space + 1, s.p + s.n - space - 1 });
	return merge[0] < 0 || merge[1] < 0 ? -1 : 0;
}

static int
read_merges(struct conversion *c)
{
	const struct gguf_value *v = gguf_find_key(c->f, KEY("merges"));
	ptrdiff_t at = 0;
	int64_t n = 0;
	str s;

	if (v == NULL || v->elem != GGUF_STRING)
		return err_set(c->err, ERR_FORMAT, "key '" KEY("merges") "' is no list of texts");
	if ((c->merge = calloc((size_t)v->n + 1, sizeof(*c->merge))) == NULL)
		return err_set(c->err, ERR_NOMEM, "out of memory");
	for (; gguf_next_text(v, &at, &s); n++)
		if (read_merge(c, s, c->merge[n]) < 0)
			return err_set(c->err, ERR_FORMAT, "merge %" PRId64 ", '%.*s', is not two "
			    "tokens", n, (int)(s.n < 99 ? s.n : 99), s.p);
	c->parts.merge = (const int32_t (*)[2])c->merge;
	c->parts.nmerges = n;
	return 0;
}

/* The token that a key names, if any. */
static int
read_role(struct conversion *c, const char *key, str *token, int32_t *id)
{
	const struct gguf_value *v = gguf_find_key(c->f, key);
	int64_t x;

	if (v == NULL)
		return 0;
	if (!gguf_int(v, &x) || x < 0 || x >= c->parts.n)
		return err_set(c->err, ERR_FORMAT, "key '%s' is the number of no token", key);
	*token = c->token[x];
	if (id != NULL)
		*id = (int32_t)x;
	return 0;
}

static int
convert(struct conversion *c, const char *dir)
{
	struct tokenizer_parts *p = &c->parts;
	struct tokenizer *back;

	if (read_kind(c) < 0 || read_tokens(c) < 0 || read_merges(c) < 0 ||
	    read_role(c, KEY("bos_token_id"), &p->bos, &p->bos_id) < 0 ||
	    read_role(c, KEY("eos_token_id"), &p->eos, NULL) < 0 ||
	    read_role(c, KEY("unknown_token_id"), &p->unk, NULL) < 0 ||
	    read_role(c, KEY("padding_token_id"), &p->pad, NULL) < 0)
		return -1;
	gguf_bool(gguf_find_key(c->f, KEY("add_bos_token")), &p->add_bos);
	if (p->add_bos && p->bos.p == NULL)
		return err_set(c->err, ERR_FORMAT, "texts are to begin with a token, but no key "
		    "'" KEY("bos_token_id") "' says which");
	if (gguf_text(gguf_find_key(c->f, "tokenizer.chat_template"), &p->chat_template) &&
	    utf8_bad(p->chat_template) >= 0)
		return err_set(c->err, ERR_FORMAT, "the chat template is no UTF-8");
	/* What was written has to be read again: this checks all the rest. */
	if (tokenizer_save(p, dir, c->err) < 0 || (back = tokenizer_load(dir, c->err)) == NULL)
		return -1;
	tokenizer_free(back);
	return 0;
}

int
convert_gguf_tokenizer(const struct gguf *f, const char *dir, struct err *err)
{
	struct conversion c = { .f = f, .err = err };
	int ret = convert(&c, dir);

	free(c.token);
	free(c.added);
	free(c.merge);
	strmap_free(&c.by_name);
	return ret;
}
