#include "token/tokenizer_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/stream.h"
#include "token/known.h"
#include "token/tokenizer_save.h"

/* tokenizer.json's members. */
enum { ADDED, NORMALIZER, PRE, POST, DECODER, MODEL, NPARTS };

static int
find_parts(str file, struct json_member part[NPARTS], struct err *err)
{
	const str key[NPARTS] = {
		[ADDED] = S("added_tokens"), [NORMALIZER] = S("normalizer"),
		[PRE] = S("pre_tokenizer"), [POST] = S("post_processor"),
		[DECODER] = S("decoder"), [MODEL] = S("model"),
	};

	while (file.n > 0 && strchr(" \t\r\n", file.p[file.n - 1]) != NULL)
		file.n--;
	while (file.n > 0 && strchr(" \t\r\n", file.p[0]) != NULL)
		file.p++, file.n--;
	if (str_starts(file, S("\xef\xbb\xbf")))
		file.p += 3, file.n -= 3;
	return json_scan(file, key, NPARTS, part, err);
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

static const char *
type_of(const json_t *json)
{
	const char *type = json_string_value(json_object_get(json, "type"));

	return type != NULL ? type : "without a type";
}

/* What is not there is true, but for the accents, which go with the case. */
static void
read_bert(struct bert_form *form, const json_t *json)
{
	const json_t *strip = json_object_get(json, "strip_accents");

	form->on = true;
	form->clean = !json_is_false(json_object_get(json, "clean_text"));
	form->chinese = !json_is_false(json_object_get(json, "handle_chinese_chars"));
	form->lower = !json_is_false(json_object_get(json, "lowercase"));
	form->strip = json_is_boolean(strip) ? json_is_true(strip) : form->lower;
}

static int
read_normalizer(struct tokenizer *t, const json_t *json, int depth, struct err *err)
{
	const char *type = type_of(json);
	const json_t *list = json_object_get(json, "normalizers");
	int sentence;

	if (json_is_null(json))
		return 0;
	if (strcmp(type, "BertNormalizer") == 0 && depth == 0) {
		read_bert(&t->bert, json);
		return 0;
	}
	if (strcmp(type, "Sequence") == 0 && json_is_array(list) && depth < 4) {
		for (size_t i = 0; i < json_array_size(list); i++)
			if (read_normalizer(t, json_array_get(list, i), depth + 1, err) < 0)
				return -1;
		return 0;
	}
	if (strcmp(type, "Precompiled") == 0 && !t->charsmap.on) {
		const json_t *map = json_object_get(json, "precompiled_charsmap");

		return charsmap_load64(&t->charsmap, (str){ json_string_value(map),
		    (ptrdiff_t)json_string_length(map) }, err);
	}
	if ((sentence = sentence_normalizer(&t->sentence, json, err)) != 0)
		return sentence < 0 ? -1 : 0;
	if (t->form == UNI_NONE && strcmp(type, "NFC") == 0)
		t->form = UNI_NFC;
	else if (t->form == UNI_NONE && strcmp(type, "NFKC") == 0)
		t->form = UNI_NFKC;
	else
		return err_set(err, ERR_FORMAT, "normalizer %.64s is not supported", type);
	return 0;
}

static int
read_decoder(struct tokenizer *t, const json_t *json, struct err *err)
{
	int sentence;

	if (json_is_null(json) || strcmp(type_of(json), "ByteLevel") == 0)
		return 0;
	if (strcmp(type_of(json), "WordPiece") == 0) {
		t->wordpiece.decoder = true;
		t->wordpiece.tidy = !json_is_false(json_object_get(json, "cleanup"));
		return 0;
	}
	if ((sentence = sentence_decoder(&t->sentence, json, err)) != 0)
		return sentence < 0 ? -1 : 0;
	return err_set(err, ERR_FORMAT, "decoder %.64s is not supported", type_of(json));
}

/* The id that a template puts before or after the text. */
static int32_t
template_id(const json_t *json, const json_t *piece)
{
	const char *name = json_string_value(json_object_get(
	    json_object_get(piece, "SpecialToken"), "id"));
	const json_t *ids;

	if (name == NULL)
		return -1;
	ids = json_object_get(json, "special_tokens");
	ids = json_object_get(json_object_get(ids, name), "ids");
	return json_array_size(ids) == 1 ?
	    (int32_t)json_integer_value(json_array_get(ids, 0)) : -1;
}

/* "cls": ["[CLS]", 101] before a text, and "sep" after it. */
static int
read_bert_post(struct tokenizer *t, const json_t *json, struct err *err)
{
	const json_t *cls = json_array_get(json_object_get(json, "cls"), 1);
	const json_t *sep = json_array_get(json_object_get(json, "sep"), 1);
	json_int_t a = json_is_integer(cls) ? json_integer_value(cls) : -1;
	json_int_t b = json_is_integer(sep) ? json_integer_value(sep) : -1;

	if (a < 0 || a >= t->n || b < 0 || b >= t->n)
		return err_set(err, ERR_FORMAT, "BertProcessing names a token that is not there");
	t->bos = (int32_t)a;
	t->eos = (int32_t)b;
	t->add_bos = t->add_eos = true;
	return 0;
}

/* What a template adds around a text tells which tokens begin and end one. */
static int
read_post(struct tokenizer *t, const json_t *json, int depth, struct err *err)
{
	const char *type = type_of(json);
	const json_t *list = json_object_get(json, "processors");
	const json_t *single = json_object_get(json, "single");
	bool after = false;

	if (json_is_null(json) || strcmp(type, "ByteLevel") == 0)
		return 0;
	if (strcmp(type, "BertProcessing") == 0)
		return read_bert_post(t, json, err);
	if (strcmp(type, "Sequence") == 0 && json_is_array(list) && depth < 4) {
		for (size_t i = 0; i < json_array_size(list); i++)
			if (read_post(t, json_array_get(list, i), depth + 1, err) < 0)
				return -1;
		return 0;
	}
	if (strcmp(type, "TemplateProcessing") != 0)
		return err_set(err, ERR_FORMAT, "post-processor %.64s is not supported", type);
	for (size_t i = 0; i < json_array_size(single); i++) {
		const json_t *piece = json_array_get(single, i);
		int32_t id = template_id(json, piece);

		if (json_object_get(piece, "Sequence") != NULL) {
			after = true;
			continue;
		}
		if (id < 0 || id >= t->n || t->kind[id] == 0)
			return err_set(err, ERR_FORMAT,
			    "the template names a token that is not there");
		*(after ? &t->eos : &t->bos) = id;
		*(after ? &t->add_eos : &t->add_bos) = true;
	}
	return 0;
}

/* ---- beginning and end of a text ---- */

/* "<s>", or {"content": "<s>", ...}. */
static int32_t
named_id(const struct tokenizer *t, const json_t *config, const char *key)
{
	const json_t *v = json_object_get(config, key);

	if (json_is_object(v))
		v = json_object_get(v, "content");
	if (!json_is_string(v))
		return -1;
	return tokenizer_id(t, (str){ json_string_value(v), (ptrdiff_t)json_string_length(v) });
}

/* The first of the well-known names that is an added token here. */
static int32_t
known_id(const struct tokenizer *t, const char *const *name)
{
	for (; *name != NULL; name++) {
		int32_t id = tokenizer_id(t, str_of(*name));

		if (id >= 0 && (t->kind[id] & TOKEN_ADDED) != 0)
			return id;
	}
	return -1;
}

/* What the files beside tokenizer.json say; they need not be there. */
static int
read_config(struct tokenizer *t, const char *dir, const char *name, struct err *err)
{
	char path[4096];
	struct stat st;
	json_t *config;
	int32_t id;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return err_set(err, ERR_ARG, "%s: name too long", dir);
	if (stat(path, &st) < 0)
		return 0;
	if ((config = json_doc_load(path, err)) == NULL)
		return err_wrap(err, "%s", path);
	if ((id = named_id(t, config, "bos_token")) >= 0)
		t->bos = id;
	if ((id = named_id(t, config, "eos_token")) >= 0)
		t->eos = id;
	t->add_bos |= t->bos >= 0 && json_is_true(json_object_get(config, "add_bos_token"));
	t->add_eos |= t->eos >= 0 && json_is_true(json_object_get(config, "add_eos_token"));
	json_decref(config);
	return 0;
}

static int
read_ends(struct tokenizer *t, const char *dir, struct err *err)
{
	if (dir != NULL && (read_config(t, dir, "special_tokens_map.json", err) < 0 ||
	    read_config(t, dir, "tokenizer_config.json", err) < 0))
		return -1;
	if (t->bos < 0)
		t->bos = known_id(t, known_bos);
	if (t->eos < 0)
		t->eos = known_id(t, known_eos);
	return 0;
}

/* ---- the whole ---- */

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

static int
read_pre(struct tokenizer *t, const json_t *json, struct err *err)
{
	int sentence = sentence_pre(&t->sentence, json, err);
	json_t *none;

	if (sentence < 0)
		return -1;
	if (sentence == 0 && (json_is_null(json) || t->sentence.on))
		return err_set(err, ERR_FORMAT, "no pre-tokenizer: only byte-level tokenizers, "
		    "SentencePiece's BPE and WordPiece are supported");
	/* It has the classes of characters in any case. */
	none = sentence == 0 ? NULL : json_pack("{s:s, s:b, s:b}", "type", "ByteLevel",
	    "add_prefix_space", 0, "use_regex", 0);
	t->pre = pretoken_new(none != NULL ? none : json, err);
	json_decref(none);
	return t->pre == NULL ? -1 : 0;
}

static int
read_parts(struct tokenizer *t, const struct json_member part[NPARTS],
    json_t *const tree_of[NPARTS], const struct tokenizer_parts *from, struct hasher *hash,
    struct err *err)
{
	if (read_normalizer(t, tree_of[NORMALIZER], 0, err) < 0 ||
	    read_decoder(t, tree_of[DECODER], err) < 0)
		return -1;
	if (read_pre(t, tree_of[PRE], err) < 0 ||
	    hash_tree(hash, tree_of[NORMALIZER], err) < 0 ||
	    hash_tree(hash, tree_of[PRE], err) < 0 ||
	    (from != NULL ? vocab_take(t, from, hash, err) :
	    vocab_load(t, part[MODEL].value, part[ADDED].value, hash, err)) < 0 ||
	    read_post(t, tree_of[POST], 0, err) < 0 || match_init(&t->match, t, err) < 0)
		return -1;
	t->fingerprint = hasher_end(hash);
	return 0;
}

/* From a file; its vocabulary and merges are those of parts, when these are there. */
static int
parse(struct tokenizer *t, str file, const struct tokenizer_parts *from, struct err *err)
{
	struct json_member part[NPARTS];
	json_t *tree_of[NPARTS] = { NULL };
	struct hasher *hash = NULL;
	int ret = -1;

	if (find_parts(file, part, err) < 0)
		return -1;
	for (int i = NORMALIZER; i <= DECODER; i++)
		if ((tree_of[i] = tree(&part[i], err)) == NULL)
			goto out;
	if ((hash = hasher_new(err)) != NULL)
		ret = read_parts(t, part, tree_of, from, hash, err);
out:
	hasher_free(hash);
	for (int i = NORMALIZER; i <= DECODER; i++)
		json_decref(tree_of[i]);
	return ret;
}

struct tokenizer *
tokenizer_parse(str file, struct err *err)
{
	struct tokenizer *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	t->bos = t->eos = -1;
	if (parse(t, file, NULL, err) == 0 && read_ends(t, NULL, err) == 0)
		return t;
	tokenizer_free(t);
	return NULL;
}

struct tokenizer *
tokenizer_make(const struct tokenizer_parts *parts, struct err *err)
{
	struct tokenizer *t = calloc(1, sizeof(*t));
	struct tokenizer_parts frame = *parts;
	struct buf text = { .n = 0 };
	int ret = -1;

	/* What is small goes through its text; the lists, which are not, go straight. */
	if (!parts->wordpiece)
		frame.n = 0;
	frame.nmerges = 0;
	if (t == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
	} else if (tokenizer_text(&frame, &text, err) == 0) {
		t->bos = t->eos = -1;
		ret = parse(t, buf_str(&text), parts->wordpiece ? NULL : parts, err);
		if (t->bos < 0 && parts->bos.p != NULL)
			t->bos = parts->bos_id;
		if (t->eos < 0 && parts->eos.p != NULL)
			t->eos = parts->eos_id;
		if (ret == 0)
			ret = read_ends(t, NULL, err);
	}
	buf_free(&text);
	if (ret == 0)
		return t;
	tokenizer_free(t);
	return NULL;
}

/* The tokenizer.json of a directory; what is there in its place is named. */
static int
file_inside(const char *dir, char *path, size_t size, struct err *err)
{
	static const char *const names[] = {
		"tokenizer.json", "latest/tokenizer.json", "tokenizer.model", "vocab.json",
		"vocab.txt", "tokenizer.tiktoken", NULL
	};
	const char *name = file_first(dir, names);

	if (name == names[0] && snprintf(path, size, "%s/%s", dir, name) < (int)size)
		return 0;
	errno = ENOENT;
	if (name == NULL || name == names[0])
		return err_sys(err, "%s/tokenizer.json", dir);
	if (name == names[1])
		return err_sys(err, "%s is a run, its model is %s/latest: tokenizer.json", dir,
		    dir);
	return err_sys(err, "%s: %s is not read, tokenizer.json is needed", dir, name);
}

struct tokenizer *
tokenizer_load(const char *path, struct err *err)
{
	struct tokenizer *t = calloc(1, sizeof(*t));
	struct arena arena = { 0 };
	char inside[4096];
	struct stat st;
	const char *dir = NULL;
	str file;

	if (t == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	t->bos = t->eos = -1;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		dir = path;
		if (file_inside(dir, inside, sizeof(inside), err) < 0)
			goto fail;
		path = inside;
	}
	if (arena_init(&arena, TOKENIZER_FILE_MAX + 4096, err) < 0)
		goto fail;
	file = file_slurp(&arena, path, TOKENIZER_FILE_MAX, err);
	if (file.p == NULL)
		goto fail;
	if (parse(t, file, NULL, err) < 0) {
		err_wrap(err, "%s", path);
		goto fail;
	}
	if (read_ends(t, dir, err) < 0)
		goto fail;
	arena_free(&arena);
	return t;
fail:
	arena_free(&arena);
	tokenizer_free(t);
	return NULL;
}

void
tokenizer_free(struct tokenizer *t)
{
	if (t == NULL)
		return;
	free(t->kind);
	free(t->name);
	free(t->bytes);
	free(t->pool);
	strmap_free(&t->by_bytes);
	strmap_free(&t->by_name);
	bpe_free(&t->bpe);
	unigram_free(&t->unigram);
	charsmap_free(&t->charsmap);
	match_free(&t->match);
	pretoken_free(t->pre);
	added_free(&t->raw);
	added_free(&t->normal);
	free(t);
}

int32_t
tokenizer_vocab(const struct tokenizer *t)
{
	return t->n;
}

hash128
tokenizer_fingerprint(const struct tokenizer *t)
{
	return t->fingerprint;
}

int32_t
tokenizer_bos(const struct tokenizer *t)
{
	return t->bos;
}

int32_t
tokenizer_eos(const struct tokenizer *t)
{
	return t->eos;
}

int32_t
tokenizer_unknown(const struct tokenizer *t)
{
	return t->wordpiece.on ? t->wordpiece.unknown : t->unigram.on ? t->unigram.unknown : -1;
}

bool
tokenizer_adds_bos(const struct tokenizer *t)
{
	return t->add_bos;
}

bool
tokenizer_adds_eos(const struct tokenizer *t)
{
	return t->add_eos;
}

int32_t
tokenizer_id(const struct tokenizer *t, str token)
{
	int32_t id = strmap_find(&t->by_name, token);
	struct bytemap map;
	struct buf b = { 0 };
	const char *p = token.p, *end = token.p + token.n;

	if (id >= 0)
		return id;
	if (t->sentence.on) {
		b.failed = buf_room(&b, token.n) == NULL;
		if (!b.failed)
			b.n = sentence_bytes(b.p, token);
		id = b.failed ? -1 : strmap_find(&t->by_bytes, buf_str(&b));
		buf_free(&b);
		return id;
	}
	bytemap_init(&map);
	while (p < end) {
		int32_t c = utf8_next(&p, end);

		if (c >= BYTEMAP_CHARS || map.from[c] < 0)
			break;
		buf_byte(&b, (char)map.from[c]);
	}
	if (p == end && !b.failed)
		id = strmap_find(&t->by_bytes, buf_str(&b));
	buf_free(&b);
	return id;
}

bool
tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
	return id >= 0 && id < t->n && (t->kind[id] & TOKEN_SPECIAL) != 0;
}

str
tokenizer_bytes(const struct tokenizer *t, int32_t id)
{
	return id >= 0 && id < t->n ? t->bytes[id] : (str){ NULL, 0 };
}
