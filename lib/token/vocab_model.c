/* The model of tokenizer.json, but for its vocabulary and merges. */
#include "base/hash.h"
#include "token/tokenizer_impl.h"

bool
vocab_has(const struct model *model, int member)
{
	str v = model->m[member].value;
	double x;
	struct err ignored;

	return json_given(v) && !str_eq(v, S("false")) &&
	    !str_eq(v, S("\"\"")) && !(json_number(v, &x, &ignored) == 0 && x == 0);
}

static bool
is_kind(str v, const char *name)
{
	return v.n == (ptrdiff_t)strlen(name) + 2 && memcmp(v.p + 1, name, strlen(name)) == 0;
}

int
vocab_kind(struct model *model, str text, struct err *err)
{
	static const char *const kind[] = {
		[MODEL_BPE] = "BPE", [MODEL_WORDPIECE] = "WordPiece",
		[MODEL_WORDLEVEL] = "WordLevel", [MODEL_UNIGRAM] = "Unigram",
	};
	const struct json_member *m = model->m;
	str type = m[MODEL_TYPE].value;
	size_t k = 0;

	if (text.p == NULL || text.p[0] != '{')
		return err_set(err, ERR_FORMAT, "no model");
	while (type.p != NULL && k < sizeof(kind) / sizeof(*kind) && !is_kind(type, kind[k]))
		k++;
	if (k == sizeof(kind) / sizeof(*kind))
		return err_set(err, ERR_FORMAT, "model %.*s is not supported",
		    (int)(type.n < 64 ? type.n : 64), type.p);
	model->kind = (enum model_kind)k;
	if (m[MODEL_VOCAB].value.p == NULL ||
	    m[MODEL_VOCAB].value.p[0] != (k == MODEL_UNIGRAM ? '[' : '{') ||
	    (k == MODEL_BPE && m[MODEL_MERGES].value.p == NULL))
		return err_set(err, ERR_FORMAT, "a model without vocab and merges");
	return 0;
}

/* The members of a WordPiece model beside the vocabulary. */
static int
read_wordpiece(struct tokenizer *t, const struct model *model, struct hasher *hash,
    struct buf *text, struct err *err)
{
	const struct json_member *m = model->m;
	struct wordpiece *w = &t->wordpiece;
	double longest = WORDPIECE_LONGEST;
	str prefix = S("##");

	if ((m[MODEL_PREFIX].value.p != NULL &&
	    json_text(m[MODEL_PREFIX].value, text, &prefix, err) < 0) ||
	    (m[MODEL_LONGEST].value.p != NULL &&
	    json_number(m[MODEL_LONGEST].value, &longest, err) < 0))
		return -1;
	if (prefix.n > WORDPIECE_PREFIX || !(longest >= 1 && longest <= 1000))
		return err_set(err, ERR_FORMAT, "WordPiece with a prefix of %td bytes and words of "
		    "%g characters is not supported", prefix.n, longest);
	if (prefix.n > 0)
		memcpy(w->prefix, prefix.p, (size_t)prefix.n);
	w->n_prefix = prefix.n;
	w->longest = (int64_t)longest;
	w->on = true;
	hasher_add(hash, S("WordPiece"));
	hasher_add(hash, prefix);
	hasher_add(hash, (str){ (const char *)&w->longest, sizeof(w->longest) });
	return 0;
}

static int
read_affix(struct names *s, const struct model *model, int i, struct buf *text, struct err *err)
{
	str affix;

	if (json_text(model->m[MODEL_PREFIX + i].value, text, &affix, err) < 0)
		return -1;
	if (affix.n > NAMES_AFFIX || s->fallback)
		return err_set(err, ERR_FORMAT, "BPE with a prefix or suffix of %td bytes%s is "
		    "not supported", affix.n, s->fallback ? " and byte_fallback" : "");
	memcpy(s->affix[i], affix.p, (size_t)affix.n);
	s->n_affix[i] = affix.n;
	return 0;
}

/* The members of a BPE or WordLevel model beside vocabulary and merges. */
static int
read_names(struct names *s, const struct model *model, struct hasher *hash, struct buf *text,
    struct err *err)
{
	s->whole = model->kind == MODEL_WORDLEVEL;
	s->fuse = vocab_has(model, MODEL_FUSE);
	s->fallback = vocab_has(model, MODEL_FALLBACK);
	for (int i = 0; i < 2; i++)
		if (vocab_has(model, MODEL_PREFIX + i) && read_affix(s, model, i, text, err) < 0)
			return -1;
	if (vocab_has(model, MODEL_DROPOUT))
		return err_set(err, ERR_FORMAT, "BPE with dropout, which is random, is not "
		    "supported");
	if (s->on) {
		hasher_add(hash, s->whole ? S("WordLevel") : S("names"));
		hasher_add(hash, (str){ s->affix[0], s->n_affix[0] });
		hasher_add(hash, (str){ s->affix[1], s->n_affix[1] });
		hasher_add(hash, s->fuse ? S("fuse") : S("each"));
		hasher_add(hash, s->fallback ? S("bytes") : S("unknown"));
	}
	return 0;
}

/* The members of a Unigram model beside the vocabulary. */
static int
read_unigram(struct tokenizer *t, const struct model *model, struct err *err)
{
	double id = -1;

	if (json_given(model->m[MODEL_UNK_ID].value) &&
	    (json_number(model->m[MODEL_UNK_ID].value, &id, err) < 0 ||
	    !(id >= 0 && id < IDS_MAX) || id != (double)(int32_t)id))
		return err_set(err, ERR_FORMAT, "unk_id of Unigram is no number of a token");
	t->unigram.on = true;
	t->unigram.unknown = (int32_t)id;
	t->unigram.fallback = vocab_has(model, MODEL_FALLBACK);
	return 0;
}

/* The token for what has none; WordPiece cannot do without. */
int
vocab_unknown(struct tokenizer *t, const struct model *model, struct hasher *hash,
    struct err *err)
{
	bool pieces = model->kind == MODEL_WORDPIECE, has = vocab_has(model, MODEL_UNKNOWN);
	struct buf text = { 0 };
	str name = S("[UNK]");
	int32_t id = -1;
	int ret = 0;

	if (has)
		ret = json_text(model->m[MODEL_UNKNOWN].value, &text, &name, err);
	if (ret == 0 && (pieces || has))
		id = tokenizer_id(t, name);
	buf_free(&text);
	if (ret < 0)
		return -1;
	if (pieces && id < 0)
		return err_set(err, ERR_FORMAT, "the unknown token is not in the vocabulary");
	t->wordpiece.unknown = t->names.unknown = id;
	hasher_add(hash, t->names.on && id >= 0 ? t->name[id] : S(""));
	return 0;
}

int
vocab_model(struct tokenizer *t, const struct model *model, struct hasher *hash, struct err *err)
{
	struct buf text = { 0 };
	int ret;

	t->ignore_merges = vocab_has(model, MODEL_IGNORE);
	if (model->kind == MODEL_UNIGRAM)
		ret = read_unigram(t, model, err);
	else if (model->kind == MODEL_WORDPIECE)
		ret = read_wordpiece(t, model, hash, &text, err);
	else
		ret = read_names(&t->names, model, hash, &text, err);
	buf_free(&text);
	return ret;
}
