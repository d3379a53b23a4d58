/* The components of tokenizer.json, and how they go together. */
#include <stdlib.h>

#include "base/hash.h"
#include "token/tokenizer_impl.h"
#include "token/tokenizer_save.h"

/* tokenizer.json's members. */
enum { ADDED, NORMALIZER, PRE, POST, DECODER, MODEL, NPARTS };

static int
find_parts(str file, struct json_member part[NPARTS], struct model *model, struct err *err)
{
	const str key[NPARTS] = {
		[ADDED] = S("added_tokens"), [NORMALIZER] = S("normalizer"),
		[PRE] = S("pre_tokenizer"), [POST] = S("post_processor"),
		[DECODER] = S("decoder"), [MODEL] = S("model"),
	};
	const str in_model[MODEL_MEMBERS] = {
		[MODEL_TYPE] = S("type"), [MODEL_VOCAB] = S("vocab"),
		[MODEL_MERGES] = S("merges"), [MODEL_IGNORE] = S("ignore_merges"),
		[MODEL_UNKNOWN] = S("unk_token"), [MODEL_FUSE] = S("fuse_unk"),
		[MODEL_PREFIX] = S("continuing_subword_prefix"),
		[MODEL_SUFFIX] = S("end_of_word_suffix"),
		[MODEL_LONGEST] = S("max_input_chars_per_word"),
		[MODEL_FALLBACK] = S("byte_fallback"), [MODEL_DROPOUT] = S("dropout"),
		[MODEL_UNK_ID] = S("unk_id"),
	};
	const struct json_find parts = { key, NPARTS, part };
	const struct json_find members = { in_model, MODEL_MEMBERS, model->m };

	while (file.n > 0 && strchr(" \t\r\n", file.p[file.n - 1]) != NULL)
		file.n--;
	while (file.n > 0 && strchr(" \t\r\n", file.p[0]) != NULL)
		file.p++, file.n--;
	if (str_starts(file, S("\xef\xbb\xbf")))
		file.p += 3, file.n -= 3;
	return json_scan_in(file, &parts, &key[MODEL], &members, err);
}

/* A small part as a tree; NULL is a failure, JSON null is not. */
static json_t *
tree(const struct json_member *m, struct err *err)
{
	struct buf b = { 0 };
	json_t *list;

	if (m->value.p == NULL)
		return json_null();
	/* Wrapped, for jansson takes objects and arrays only. */
	buf_byte(&b, '[');
	buf_add(&b, m->value);
	buf_byte(&b, ']');
	list = buf_ok(&b, err) == 0 ? json_doc(buf_str(&b), err) : NULL;
	buf_free(&b);
	if (list != NULL) {
		json_t *v = json_incref(json_array_get(list, 0));

		json_decref(list);
		return v;
	}
	return NULL;
}

/* ---- the shape of the whole ---- */

/*
 * Do the components do what sentence.h does, on bytes and in one go?  n: as many
 * of the normalizers come before.
 */
static bool
is_sentence(struct sentence *s, json_t *const tree_of[NPARTS], const struct model *model,
    size_t *n)
{
	const json_t *list = json_object_get(tree_of[NORMALIZER], "normalizers");
	struct sentence try = { 0 };
	struct err err = { 0 };

	if (model->kind != MODEL_UNIGRAM && (model->kind != MODEL_BPE ||
	    !vocab_has(model, MODEL_FALLBACK) || vocab_has(model, MODEL_PREFIX) ||
	    vocab_has(model, MODEL_SUFFIX)))
		return false;
	*n = json_array_size(list);
	if (list == NULL)
		*n = sentence_normalizer(&try, tree_of[NORMALIZER], &err) <= 0;
	else
		while (*n > 0 && sentence_normalizer(&try, json_array_get(list, *n - 1), &err) > 0)
			--*n;
	if (sentence_pre(&try, tree_of[PRE], &err) <= 0)
		return false;
	*s = try;
	return true;
}

/* SentencePiece's: the first n normalizers, the rest is done by sentence.h. */
static int
read_sentence(struct tokenizer *t, json_t *const tree_of[NPARTS], size_t n, struct err *err)
{
	const json_t *list = json_object_get(tree_of[NORMALIZER], "normalizers");

	/* The classes of characters are there in any case. */
	if ((t->pre = pretoken_new(json_null(), err)) == NULL)
		return -1;
	if (list == NULL)
		return n == 0 ? 0 : normal_read(&t->normalizer, tree_of[NORMALIZER], err);
	for (size_t i = 0; i < n; i++)
		if (normal_read(&t->normalizer, json_array_get(list, i), err) < 0)
			return -1;
	return 0;
}

/* Each component as it says.  Words are bytes where ByteLevel makes them so for BPE. */
static int
read_each(struct tokenizer *t, json_t *const tree_of[NPARTS], const struct model *model,
    struct err *err)
{
	if (normal_read(&t->normalizer, tree_of[NORMALIZER], err) < 0 ||
	    (t->pre = pretoken_new(tree_of[PRE], err)) == NULL)
		return -1;
	if (model->kind == MODEL_BPE && pretoken_bytes(t->pre) &&
	    !vocab_has(model, MODEL_PREFIX) && !vocab_has(model, MODEL_SUFFIX))
		return 0;
	t->names.on = true;
	if (pretoken_bytes(t->pre) && pretoken_spell(t->pre, err) < 0)
		return -1;
	if (model->kind == MODEL_WORDPIECE)
		t->wordpiece.spaces = pretoken_keep_space(t->pre);
	return 0;
}

static int
read_components(struct tokenizer *t, json_t *const tree_of[NPARTS], const struct model *model,
    struct err *err)
{
	size_t n;

	if (is_sentence(&t->sentence, tree_of, model, &n) ?
	    read_sentence(t, tree_of, n, err) < 0 : read_each(t, tree_of, model, err) < 0)
		return -1;
	return decoders_read(&t->decoders, tree_of[DECODER], err);
}

/* What each token decodes to, where that is not the bytes that it stands for. */
static int
decode_tokens(struct tokenizer *t, bool null, struct err *err)
{
	struct decoders_scratch s = { 0 };
	ptrdiff_t *end;
	int ret = 0;

	if ((!t->names.on && (null || t->decoders.bytes)) ||
	    (t->sentence.on && t->decoders.plain))
		return 0;
	end = calloc((size_t)t->n, sizeof(*end));
	t->text = calloc((size_t)t->n, sizeof(*t->text));
	if (end == NULL || t->text == NULL)
		ret = err_set(err, ERR_NOMEM, "out of memory");
	for (int32_t i = 0; i < t->n && ret == 0; i++) {
		str text = t->name[i];

		if (t->kind[i] != 0)
			ret = decoders_token(&t->decoders, &s, 0, &text, err);
		buf_add(&t->decoded, text);
		end[i] = t->decoded.n;
	}
	buf_room(&t->decoded, POOL_SLACK);
	if (ret == 0)
		ret = buf_ok(&t->decoded, err);
	for (int32_t i = 0; i < t->n && ret == 0; i++) {
		ptrdiff_t from = i > 0 ? end[i - 1] : 0;

		t->text[i] = (str){ t->decoded.p + from, end[i] - from };
	}
	decoders_scratch_free(&s);
	free(end);
	return ret;
}

/* Canonical text of what decides ids: keys sorted, no space. */
static int
hash_tree(struct hasher *hash, const json_t *json, struct err *err)
{
	char *s = json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);

	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	hasher_add(hash, str_of(s));
	free(s);
	return 0;
}

/* A character without a token may join the next, unless its bytes have some, in merges. */
static int
make_cuts(struct tokenizer *t, struct err *err)
{
	struct sentence form = t->sentence;
	bool pieces = t->unigram.floats, bytes = !t->unigram.on;
	int32_t n = 0;
	str *token;

	if (!t->sentence.on)
		return 0;
	for (int b = 0; b < 256; b++)
		bytes &= t->bpe.byte_id[b] >= 0;
	form.whole |= pieces;
	form.split &= !pieces;
	t->cuts = malloc(sizeof(*t->cuts));
	token = malloc(((size_t)t->n + 1) * sizeof(*token));
	if (t->cuts == NULL || token == NULL) {
		free(token);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	for (int32_t i = 0; i < t->n; i++)
		if (pieces || (t->kind[i] & TOKEN_BYTES) != 0)
			token[n++] = t->bytes[i];
	sentence_cuts(t->cuts, &form, bytes || pieces ? token : NULL, n);
	free(token);
	return 0;
}

static int
read_parts(struct tokenizer *t, const struct json_member part[NPARTS],
    json_t *const tree_of[NPARTS], const struct model *model, const struct tokenizer_parts *from,
    struct hasher *hash, struct err *err)
{
	if (read_components(t, tree_of, model, err) < 0 ||
	    hash_tree(hash, tree_of[NORMALIZER], err) < 0 ||
	    hash_tree(hash, tree_of[PRE], err) < 0 ||
	    (from != NULL ? vocab_take(t, from, hash, err) :
	    vocab_load(t, model, part[ADDED].value, hash, err)) < 0 ||
	    decode_tokens(t, json_is_null(tree_of[DECODER]), err) < 0 ||
	    ends_read(t, tree_of[POST], err) < 0 ||
	    make_cuts(t, err) < 0 || (!t->names.on && match_init(&t->match, t, err) < 0))
		return -1;
	t->fingerprint = hasher_end(hash);
	return 0;
}

int
tokenizer_read(struct tokenizer *t, str file, const struct tokenizer_parts *from,
    struct err *err)
{
	struct json_member part[NPARTS];
	json_t *tree_of[NPARTS] = { NULL };
	struct hasher *hash = NULL;
	struct model model;
	int ret = -1;

	if (find_parts(file, part, &model, err) < 0 ||
	    vocab_kind(&model, part[MODEL].value, err) < 0)
		return -1;
	for (int i = NORMALIZER; i <= DECODER; i++)
		if ((tree_of[i] = tree(&part[i], err)) == NULL)
			goto out;
	if ((hash = hasher_new(err)) != NULL)
		ret = read_parts(t, part, tree_of, &model, from, hash, err);
out:
	hasher_free(hash);
	for (int i = NORMALIZER; i <= DECODER; i++)
		json_decref(tree_of[i]);
	return ret;
}
