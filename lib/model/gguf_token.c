/*
 * The tokenizer in the keys of a GGUF file.  Its tokens are written as in
 * tokenizer.json; how text is cut into words is told by a name alone.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "model/gguf_impl.h"
#include "text/unicode.h"
#include "token/sentence.h"
#include "token/spm.h"
#include "token/strmap.h"
#include "token/tokenizer.h"
#include "token/tokenizer_save.h"

#define TOKENS_MAX	((int64_t)1 << 22)	/* as of tokenizer.h's reader */
#define MEM_MAX		((ptrdiff_t)4 << 30)

#define KEY(name) "tokenizer.ggml." name

/* Of tokens. */
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER, TYPE_UNUSED, TYPE_BYTE };

/* Of those alike the first is written. */
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
	{ "gpt-4o", SCAN_O200K }, { "tekken", SCAN_TEKKEN, .ignore_merges = true },
	{ "deepseek-v3", SCAN_DEEPSEEK },
};

#define CUTS (sizeof(cuts) / sizeof(*cuts))

/* ---- reading ---- */

struct conversion {
	const struct gguf *f;
	struct tokenizer_parts parts;
	str		*token;
	uint8_t		*added;
	int32_t		(*merge)[2];
	float		*score;
	double		*logp;
	struct spm_form	 form;
	char		*pieces;	/* the text of WordPiece's, whose form there is another */
	struct strmap	 by_name;
	struct err	*err;
};

static int
read_kind(struct conversion *c)
{
	str model, pre;

	if (!gguf_text(gguf_find_key(c->f, KEY("model")), &model))
		return err_set(c->err, ERR_FORMAT, "no key '" KEY("model") "': no tokenizer");
	if (str_eq(model, S("llama"))) {
		c->parts.sentence = c->parts.prefix = true;
		gguf_bool(gguf_find_key(c->f, KEY("add_space_prefix")), &c->parts.prefix);
		return 0;
	}
	if (str_eq(model, S("t5"))) {
		c->parts.sentence = c->parts.unigram = c->parts.prefix = true;
		c->parts.unk_id = -1;
		gguf_bool(gguf_find_key(c->f, KEY("add_space_prefix")), &c->parts.prefix);
		gguf_bool(gguf_find_key(c->f, KEY("remove_extra_whitespaces")), &c->parts.words);
		return 0;
	}
	if (str_eq(model, S("bert"))) {
		c->parts.wordpiece = true;
		return 0;
	}
	if (!str_eq(model, S("gpt2")))
		return err_set(c->err, ERR_FORMAT, "a tokenizer of kind '%.*s' is not supported, "
		    "only byte-level BPE (gpt2), SentencePiece's (llama), Unigram (t5) and "
		    "WordPiece (bert)",
		    (int)(model.n < 99 ? model.n : 99), model.p);
	if (!gguf_text(gguf_find_key(c->f, KEY("pre")), &pre))
		return err_set(c->err, ERR_FORMAT, "no key '" KEY("pre") "': how text is cut into "
		    "words is not known");
	for (size_t i = 0; i < CUTS; i++) {
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

/* What converters put where there is no token. */
static bool
is_hole(str token, int64_t id)
{
	char hole[32];

	snprintf(hole, sizeof(hole), "[PAD%" PRId64 "]", id);
	return str_eq(token, str_of(hole));
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
		else if (type == TYPE_UNUSED && is_hole(c->token[n], n))
			c->token[n].p = NULL;
		if (type == TYPE_UNKNOWN && c->parts.unigram)
			c->parts.unk_id = (int32_t)n;
		c->parts.fallback |= type == TYPE_BYTE;
	}
	c->parts.n = (int32_t)n;
	c->parts.token = c->token;
	c->parts.added = c->added;
	return 0;
}

/* ---- WordPiece: words are marked, where others mark what goes on with one ---- */

#define MARK S("\xe2\x96\x81")
#define GOES_ON S("##")

/* "\u2581page" is "page", "s" is "##s", and "[CLS]" is itself. */
static int
read_pieces(struct conversion *c)
{
	ptrdiff_t room = 1;
	char *to;

	for (int32_t i = 0; i < c->parts.n; i++)
		room += c->token[i].n + GOES_ON.n;
	if ((c->pieces = to = malloc((size_t)room)) == NULL)
		return err_set(c->err, ERR_NOMEM, "out of memory");
	for (int32_t i = 0; i < c->parts.n; i++) {
		str s = c->token[i];

		if (s.p == NULL || c->added[i] != ADDED_NOT ||
		    (str_starts(s, S("[")) && str_ends(s, S("]"))))
			continue;
		if (str_starts(s, MARK)) {
			c->token[i] = (str){ s.p + MARK.n, s.n - MARK.n };
			continue;
		}
		memcpy(to, GOES_ON.p, (size_t)GOES_ON.n);
		memcpy(to + GOES_ON.n, s.p, (size_t)s.n);
		c->token[i] = (str){ to, GOES_ON.n + s.n };
		to += GOES_ON.n + s.n;
	}
	return 0;
}

static int
put_piece(str *token, bool added, struct arena *a, struct err *err)
{
	str s = *token;
	char *p;

	if (added)
		return 0;
	if (str_starts(s, GOES_ON) && s.n > GOES_ON.n) {
		*token = (str){ s.p + GOES_ON.n, s.n - GOES_ON.n };
		return 0;
	}
	if ((p = arena_alloc(a, MARK.n + s.n, 1, err)) == NULL)
		return -1;
	memcpy(p, MARK.p, (size_t)MARK.n);
	memcpy(p + MARK.n, s.p, (size_t)s.n);
	*token = (str){ p, MARK.n + s.n };
	return 0;
}

/* ---- SentencePiece: scores, where others have merges ---- */

struct scored {
	int32_t	id;
	float	score;
};

static int
by_score(const void *a, const void *b)
{
	const struct scored *x = a, *y = b;

	return x->score > y->score ? -1 : x->score < y->score ? 1 : x->id - y->id;
}

/* Each way to make a token of two, when merges is there; how many. */
static int64_t
split_token(const struct conversion *c, int32_t id, int32_t (*merge)[2])
{
	str s = c->token[id];
	const char *p = s.p, *end = s.p + s.n;
	int64_t n = 0;

	while (p < end) {
		int32_t left, right;

		utf8_next(&p, end);
		if (p == end)
			break;
		left = strmap_find(&c->by_name, (str){ s.p, p - s.p });
		right = left < 0 ? -1 : strmap_find(&c->by_name, (str){ p, end - p });
		if (right < 0 || c->added[left] != ADDED_NOT || c->added[right] != ADDED_NOT)
			continue;
		if (merge != NULL) {
			merge[n][0] = left;
			merge[n][1] = right;
		}
		n++;
	}
	return n;
}

/* The best token that two pieces can become is made first: merges by score. */
static int
merges_of_scores(struct conversion *c, const float *score)
{
	struct scored *order = malloc((size_t)c->parts.n * sizeof(*order));
	int64_t n = 0, most = 0, at = 0;

	if (order == NULL)
		return err_set(c->err, ERR_NOMEM, "out of memory");
	for (int32_t i = 0; i < c->parts.n; i++) {
		if (c->token[i].p == NULL || c->added[i] != ADDED_NOT || score[i] != score[i])
			continue;
		order[n++] = (struct scored){ i, score[i] };
		most += c->token[i].n;
	}
	if (n > 0)
		qsort(order, (size_t)n, sizeof(*order), by_score);
	c->merge = malloc(((size_t)most + 1) * sizeof(*c->merge));
	for (int64_t i = 0; i < n && c->merge != NULL; i++)
		at += split_token(c, order[i].id, c->merge + at);
	free(order);
	if (c->merge == NULL)
		return err_set(c->err, ERR_NOMEM, "out of memory");
	c->parts.merge = (const int32_t (*)[2])c->merge;
	c->parts.nmerges = at;
	return 0;
}

static int
read_scores(struct conversion *c, bool merges)
{
	const struct gguf_value *v = gguf_find_key(c->f, KEY("scores"));

	if (v == NULL || v->type != GGUF_ARRAY || v->elem != GGUF_F32 || v->n != c->parts.n)
		return err_set(c->err, ERR_FORMAT, "key '" KEY("scores") "' is no list of a "
		    "number for each token");
	if ((c->score = malloc((size_t)v->n * sizeof(*c->score))) == NULL)
		return err_set(c->err, ERR_NOMEM, "out of memory");
	memcpy(c->score, v->raw.p, (size_t)v->raw.n);
	c->parts.score = c->score;
	return merges ? merges_of_scores(c, c->score) : 0;
}

/* ---- Unigram ---- */

static int
read_map(struct conversion *c)
{
	const struct gguf_value *v = gguf_find_key(c->f, KEY("precompiled_charsmap"));

	if (v == NULL)
		return 0;
	if (v->type != GGUF_ARRAY || (v->elem != GGUF_U8 && v->elem != GGUF_I8))
		return err_set(c->err, ERR_FORMAT, "key '" KEY("precompiled_charsmap") "' is no "
		    "list of bytes");
	if (v->n > 0)
		c->parts.charsmap = v->raw;
	return 0;
}

/* The normal form is that of SentencePiece, where pieces of the user's stand apart. */
static int
read_form(struct conversion *c)
{
	struct tokenizer_parts *p = &c->parts;
	struct darts_key *user = calloc((size_t)p->n, sizeof(*user));
	int64_t n = 0;
	int ret;

	if (user == NULL)
		return err_set(c->err, ERR_NOMEM, "out of memory");
	for (int32_t i = 0; i < p->n; i++) {
		if (c->added[i] != ADDED_PLAIN)
			continue;
		user[n++] = (struct darts_key){ c->token[i], i };
		c->logp[i] = spm_user_score(c->token[i].n);
		c->added[i] = ADDED_NOT;
	}
	c->form = (struct spm_form){ .prefix = p->prefix, .trim = p->words,
	    .unknown = p->unk_id };
	ret = spm_form(&c->form, p->charsmap, user, n, c->err);
	p->spm = &c->form;
	free(user);
	return ret;
}

/* save: as Hugging Face's tokenizers have it. */
static int
read_unigram(struct conversion *c, bool save)
{
	if (read_scores(c, false) < 0 || read_map(c) < 0)
		return -1;
	c->parts.score = NULL;
	if ((c->logp = malloc((size_t)c->parts.n * sizeof(*c->logp))) == NULL)
		return err_set(c->err, ERR_NOMEM, "out of memory");
	for (int32_t i = 0; i < c->parts.n; i++)
		c->logp[i] = c->added[i] == ADDED_NOT && c->token[i].p != NULL ?
		    (double)c->score[i] : (double)NAN;
	c->parts.logp = c->logp;
	return save ? 0 : read_form(c);
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

/* What stands around a text and for odd words of WordPiece; where nothing says, as in BERT. */
static int
read_ends(struct conversion *c)
{
	static const char *const names[] = { "[CLS]", "[SEP]", "[UNK]" };
	struct tokenizer_parts *p = &c->parts;
	str *token[] = { &p->bos, &p->eos, &p->unk };
	int32_t unknown, *id[] = { &p->bos_id, &p->eos_id, &unknown };

	if (read_role(c, KEY("cls_token_id"), &p->bos, &p->bos_id) < 0 ||
	    read_role(c, KEY("seperator_token_id"), &p->eos, &p->eos_id) < 0 ||
	    read_role(c, KEY("unknown_token_id"), &p->unk, NULL) < 0)
		return -1;
	for (int i = 0; i < 3; i++) {
		if (token[i]->p != NULL)
			continue;
		if ((*id[i] = strmap_find(&c->by_name, str_of(names[i]))) < 0)
			return err_set(c->err, ERR_FORMAT, "no token '%s'", names[i]);
		*token[i] = c->token[*id[i]];
	}
	return 0;
}

/* merges: of SentencePiece's scores too, as tokenizer.json has them. */
static int
read_all(struct conversion *c, bool merges)
{
	struct tokenizer_parts *p = &c->parts;

	if (read_kind(c) < 0 || read_tokens(c) < 0 || (p->unigram ? read_unigram(c, merges) :
	    p->sentence ? read_scores(c, merges) : p->wordpiece ? read_pieces(c) :
	    read_merges(c)) < 0 ||
	    read_role(c, KEY("bos_token_id"), &p->bos, &p->bos_id) < 0 ||
	    read_role(c, KEY("eos_token_id"), &p->eos, &p->eos_id) < 0 ||
	    (p->wordpiece && read_ends(c) < 0) ||
	    read_role(c, KEY("unknown_token_id"), &p->unk, NULL) < 0 ||
	    read_role(c, KEY("padding_token_id"), &p->pad, NULL) < 0)
		return -1;
	gguf_bool(gguf_find_key(c->f, KEY("add_bos_token")), &p->add_bos);
	if (p->unigram && p->eos.p != NULL)
		gguf_bool(gguf_find_key(c->f, KEY("add_eos_token")), &p->add_eos);
	if (p->add_bos && p->bos.p == NULL)
		return err_set(c->err, ERR_FORMAT, "texts are to begin with a token, but no key "
		    "'" KEY("bos_token_id") "' says which");
	if (gguf_text(gguf_find_key(c->f, "tokenizer.chat_template"), &p->chat_template) &&
	    utf8_bad(p->chat_template) >= 0)
		return err_set(c->err, ERR_FORMAT, "the chat template is no UTF-8");
	return 0;
}

static void
free_all(struct conversion *c)
{
	free(c->token);
	free(c->added);
	free(c->merge);
	free(c->score);
	free(c->logp);
	spm_free(&c->form);
	free(c->pieces);
	strmap_free(&c->by_name);
}

struct tokenizer *
gguf_tokenizer(const struct gguf *f, struct err *err)
{
	struct conversion c = { .f = f, .err = err };
	struct tokenizer *t = read_all(&c, false) < 0 ? NULL : tokenizer_make(&c.parts, err);

	free_all(&c);
	return t;
}

int
gguf_tokens_save(const struct gguf *f, const char *dir, struct err *err)
{
	struct conversion c = { .f = f, .err = err };
	struct tokenizer *back;
	int ret = -1;

	if (read_all(&c, true) == 0 && tokenizer_save(&c.parts, dir, err) == 0 &&
	    (back = tokenizer_load(dir, err)) != NULL) {
		tokenizer_free(back);
		ret = 0;
	}
	free_all(&c);
	return ret;
}

/* ---- writing ---- */

static int
put_kind(struct gguf_keys *k, const struct tokenizer_parts *p, struct err *err)
{
	if (p->unigram) {
		gguf_put_text(k, KEY("model"), S("t5"));
		gguf_put_text(k, KEY("pre"), S("default"));
		gguf_put_bool(k, KEY("add_space_prefix"), p->prefix);
		gguf_put_bool(k, KEY("remove_extra_whitespaces"), p->words);
		if (p->charsmap.p != NULL)
			gguf_put_array(k, KEY("precompiled_charsmap"), GGUF_U8, p->charsmap.p,
			    p->charsmap.n);
		return 0;
	}
	if (p->sentence) {
		gguf_put_text(k, KEY("model"), S("llama"));
		gguf_put_text(k, KEY("pre"), S("default"));
		gguf_put_bool(k, KEY("add_space_prefix"), p->prefix);
		return 0;
	}
	if (p->wordpiece) {
		gguf_put_text(k, KEY("model"), S("bert"));
		gguf_put_text(k, KEY("pre"), S("default"));
		return 0;
	}
	for (size_t i = 0; i < CUTS; i++) {
		if (cuts[i].pattern != p->pattern || cuts[i].digits != p->digits ||
		    cuts[i].nfc != p->nfc || cuts[i].ignore_merges != p->ignore_merges)
			continue;
		gguf_put_text(k, KEY("model"), S("gpt2"));
		gguf_put_text(k, KEY("pre"), str_of(cuts[i].name));
		return 0;
	}
	return err_set(err, ERR_ARG, "the tokenizer cuts text in a way that has no name in GGUF");
}

/* All ids of the model have a token there, and a type. */
static int
put_tokens(struct gguf_keys *k, const struct tokenizer_parts *p, int64_t vocab,
    struct arena *a, struct err *err)
{
	str *token = arena_new(a, str, vocab, err);
	int32_t *type = arena_new(a, int32_t, vocab, err);
	char hole[32];

	if (token == NULL || type == NULL)
		return -1;
	if (p->n > vocab)
		return err_set(err, ERR_ARG, "the tokenizer has %d tokens, the model %" PRId64,
		    (int)p->n, vocab);
	for (int64_t i = 0; i < vocab; i++) {
		bool there = i < p->n && p->token[i].p != NULL;

		snprintf(hole, sizeof(hole), "[PAD%" PRId64 "]", i);
		token[i] = there ? p->token[i] : arena_str(a, str_of(hole), err);
		if (token[i].p == NULL || (p->wordpiece && there &&
		    put_piece(&token[i], p->added[i] != ADDED_NOT, a, err) < 0))
			return -1;
		type[i] = !there ? TYPE_UNUSED : p->added[i] == ADDED_SPECIAL ? TYPE_CONTROL :
		    p->added[i] == ADDED_PLAIN ? TYPE_USER :
		    p->sentence && (!p->unigram || p->fallback) &&
		    sentence_byte(token[i]) >= 0 ? TYPE_BYTE : TYPE_NORMAL;
		if (there && (p->unigram ? i == p->unk_id :
		    p->sentence && str_eq(token[i], S("<unk>"))))
			type[i] = TYPE_UNKNOWN;
	}
	gguf_put_texts(k, KEY("tokens"), token, vocab);
	gguf_put_array(k, KEY("token_type"), GGUF_I32, type, vocab);
	return 0;
}

/* What a token's first merge is by rank, is its score, below 0. */
static int
put_scores(struct gguf_keys *k, const struct tokenizer_parts *p, const struct tokenizer *t,
    int64_t vocab, struct arena *a, struct err *err)
{
	float *score = arena_new(a, float, vocab, err);
	int64_t left = 0;

	if (score == NULL)
		return -1;
	if (p->unigram || p->score != NULL) {
		for (int64_t i = 0; i < p->n; i++)
			score[i] = p->score != NULL ? p->score[i] :
			    isnan(p->logp[i]) ? 0 : (float)p->logp[i];
		gguf_put_array(k, KEY("scores"), GGUF_F32, score, vocab);
		return 0;
	}
	for (int64_t i = 0; i < p->nmerges; i++) {
		int32_t id = tokenizer_merged(t, p->merge[i]);

		if (id >= 0 && score[id] == 0)
			score[id] = -(float)++left;
	}
	/* The others are made by no merge. */
	for (int64_t i = 0; i < p->n; i++)
		if (score[i] == 0 && p->added[i] == ADDED_NOT && sentence_byte(p->token[i]) < 0)
			score[i] = -(float)++left;
	gguf_put_array(k, KEY("scores"), GGUF_F32, score, vocab);
	return 0;
}

static int
put_merges(struct gguf_keys *k, const struct tokenizer_parts *p, struct arena *a,
    struct err *err)
{
	str *merge = arena_new(a, str, p->nmerges, err);

	for (int64_t i = 0; i < p->nmerges && merge != NULL; i++) {
		str x = p->token[p->merge[i][0]], y = p->token[p->merge[i][1]];
		char *both = arena_alloc(a, x.n + 1 + y.n, 1, err);

		if (both == NULL)
			return -1;
		memcpy(both, x.p, (size_t)x.n);
		both[x.n] = ' ';
		memcpy(both + x.n + 1, y.p, (size_t)y.n);
		merge[i] = (str){ both, x.n + 1 + y.n };
	}
	if (merge == NULL)
		return -1;
	gguf_put_texts(k, KEY("merges"), merge, p->nmerges);
	return 0;
}

static void
put_id(struct gguf_keys *k, const char *key, int64_t id)
{
	if (id >= 0)
		gguf_put_u32(k, key, id);
}

/* The config says which tokens end a text; the tokenizer, where it does not. */
static void
put_roles(struct gguf_keys *k, const struct config *c, const struct tokenizer *t)
{
	put_id(k, KEY("bos_token_id"), c->bos >= 0 || t == NULL ? c->bos : tokenizer_bos(t));
	put_id(k, KEY("eos_token_id"), c->eos >= 0 || t == NULL ? c->eos : tokenizer_eos(t));
	put_id(k, KEY("eot_token_id"), c->n_eos_more > 0 ? c->eos_more[0] : -1);
	put_id(k, KEY("padding_token_id"), c->pad);
	if (t == NULL)
		return;
	gguf_put_bool(k, KEY("add_bos_token"), tokenizer_adds_bos(t));
	gguf_put_bool(k, KEY("add_eos_token"), tokenizer_adds_eos(t));
}

/* Of tokenizer_config.json, the first when there are several, or the file of its own. */
static int
put_template(struct gguf_keys *k, const char *dir, struct arena *a, struct err *err)
{
	static const char *const own[] = { "chat_template.jinja", NULL };
	static const char *const config[] = { "tokenizer_config.json", NULL };
	char path[MODEL_PATH + 32];
	json_t *doc;
	const json_t *v;
	str s;

	if (file_first(dir, own) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, own[0]);
		if ((s = file_slurp(a, path, (ptrdiff_t)1 << 24, err)).p == NULL)
			return -1;
		gguf_put_text(k, "tokenizer.chat_template", s);
		return 0;
	}
	if (file_first(dir, config) == NULL)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", dir, config[0]);
	if ((doc = json_doc_load(path, err)) == NULL)
		return -1;
	v = json_object_get(doc, "chat_template");
	if (json_is_array(v))
		v = json_object_get(json_array_get(v, 0), "template");
	if (json_is_string(v))
		gguf_put_text(k, "tokenizer.chat_template",
		    (str){ json_string_value(v), (ptrdiff_t)json_string_length(v) });
	json_decref(doc);
	return 0;
}

static int
put_tokenizer(struct gguf_keys *k, const struct config *c, const struct tokenizer *t,
    const char *dir, struct arena *a, struct err *err)
{
	struct tokenizer_parts p;

	if (tokenizer_parts(t, &p, a, err) < 0 || put_kind(k, &p, err) < 0 ||
	    put_tokens(k, &p, c->vocab, a, err) < 0 || (p.sentence ?
	    put_scores(k, &p, t, c->vocab, a, err) : p.wordpiece ? 0 :
	    put_merges(k, &p, a, err)) < 0)
		return -1;
	put_roles(k, c, t);
	if (p.wordpiece) {
		put_id(k, KEY("cls_token_id"), p.bos_id);
		put_id(k, KEY("seperator_token_id"), p.eos_id);
	}
	put_id(k, KEY("unknown_token_id"), tokenizer_unknown(t));
	return put_template(k, dir, a, err);
}

int
gguf_tokens_write(struct gguf_keys *k, const struct config *c, const char *dir, struct err *err)
{
	static const char *const any[] = { "tokenizer.json", "tokenizer.model", "spiece.model",
	    "sentencepiece.bpe.model", "qwen.tiktoken", "tokenizer.tiktoken", "vocab.json",
	    "vocab.txt", NULL };
	struct arena a = { 0 };
	struct tokenizer *t;
	int ret = -1;

	if (file_first(dir, any) == NULL) {
		gguf_put_text(k, KEY("model"), S("no_vocab"));
		put_roles(k, c, NULL);
		return 0;
	}
	if ((t = tokenizer_load(dir, err)) == NULL)
		return -1;
	if (arena_init(&a, MEM_MAX, err) == 0)
		ret = put_tokenizer(k, c, t, dir, &a, err);
	arena_free(&a);
	tokenizer_free(t);
	return ret;
}
