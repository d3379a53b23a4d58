/* Which tokens begin and end a text. */
#include <stdio.h>
#include <sys/stat.h>

#include "token/known.h"
#include "token/tokenizer_impl.h"

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

/* Bert's and Roberta's: "cls": ["[CLS]", 101] before a text, and "sep" after it. */
static int
read_bert_post(struct tokenizer *t, const json_t *json, struct err *err)
{
	const json_t *cls = json_array_get(json_object_get(json, "cls"), 1);
	const json_t *sep = json_array_get(json_object_get(json, "sep"), 1);
	json_int_t a = json_is_integer(cls) ? json_integer_value(cls) : -1;
	json_int_t b = json_is_integer(sep) ? json_integer_value(sep) : -1;

	if (a < 0 || a >= t->n || b < 0 || b >= t->n)
		return err_set(err, ERR_FORMAT, "a post-processor names a token that is not there");
	t->bos = (int32_t)a;
	t->eos = (int32_t)b;
	t->add_bos = t->add_eos = true;
	return 0;
}

/* What a template adds around a text tells which tokens begin and end one. */
static int
read_post(struct tokenizer *t, const json_t *json, int depth, struct err *err)
{
	const char *type = json_string_value(json_object_get(json, "type"));
	const json_t *list = json_object_get(json, "processors");
	const json_t *single = json_object_get(json, "single");
	bool after = false;

	if (json_is_null(json))
		return 0;
	if (type == NULL)
		return err_set(err, ERR_FORMAT, "a post-processor without a type");
	if (strcmp(type, "ByteLevel") == 0)
		return 0;
	if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0)
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
		if (after ? t->add_eos : t->add_bos)
			return err_set(err, ERR_FORMAT, "a template with two tokens %s a text is "
			    "not supported", after ? "after" : "before");
		*(after ? &t->eos : &t->bos) = id;
		*(after ? &t->add_eos : &t->add_bos) = true;
	}
	return 0;
}

int
ends_read(struct tokenizer *t, const json_t *post, struct err *err)
{
	return read_post(t, post, 0, err);
}

/* ---- where that says nothing ---- */

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

int
ends_find(struct tokenizer *t, const char *dir, struct err *err)
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
