#include "model/pooling.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/stream.h"
#include "model/gguf_impl.h"

/* As llama.cpp numbers them. */
static const enum pooling numbers[] = { POOL_NONE, POOL_MEAN, POOL_CLS, POOL_LAST };

/* A JSON file of the directory, or NULL when it is not there or none. */
static json_t *
beside(const char *dir, const char *name)
{
	char path[MODEL_PATH];
	struct err ignored;
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= MODEL_PATH ||
	    stat(path, &st) < 0)
		return NULL;
	return json_doc_load(path, &ignored);
}

static enum pooling
kind_beside(const char *dir)
{
	json_t *doc = beside(dir, "1_Pooling/config.json");
	enum pooling p = doc == NULL ? POOL_AUTO : POOL_MEAN;

	if (json_is_true(json_object_get(doc, "pooling_mode_cls_token")))
		p = POOL_CLS;
	else if (json_is_true(json_object_get(doc, "pooling_mode_lasttoken")))
		p = POOL_LAST;
	json_decref(doc);
	return p;
}

/* Is there a module that normalizes, or a table's word that it is? */
static bool
normalized_beside(const char *dir)
{
	json_t *doc = beside(dir, "modules.json"), *module, *config = beside(dir, "config.json");
	bool found = json_is_true(json_object_get(config, "normalize"));
	size_t i;

	json_array_foreach(doc, i, module) {
		const char *type = json_string_value(json_object_get(module, "type"));

		found |= type != NULL && str_ends(str_of(type), S(".Normalize"));
	}
	json_decref(doc);
	json_decref(config);
	return found;
}

static int64_t
most_beside(const char *dir)
{
	json_t *doc = beside(dir, "sentence_bert_config.json");
	int64_t n = (int64_t)json_integer_value(json_object_get(doc, "max_seq_length"));

	json_decref(doc);
	return n;
}

static struct pooled
of_gguf(const char *path)
{
	struct pooled p = { .kind = POOL_AUTO };
	struct err ignored;
	struct gguf *f = gguf_open(path, &ignored);
	int64_t x;

	if (f != NULL && gguf_int(gguf_family_key(f, "pooling_type"), &x) && x >= 0 &&
	    x < (int64_t)(sizeof(numbers) / sizeof(*numbers))) {
		p.kind = numbers[x];
		p.normalize = p.kind != POOL_NONE;
	}
	gguf_close(f);
	return p;
}

struct pooled
pooling_of(const char *path)
{
	if (gguf_is(path))
		return of_gguf(path);
	return (struct pooled){ kind_beside(path), normalized_beside(path), most_beside(path) };
}

void
pooling_write(struct gguf_keys *k, const char *family, const char *dir)
{
	enum pooling kind = kind_beside(dir);
	char key[64];

	snprintf(key, sizeof(key), "%s.pooling_type", family);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (numbers[i] == kind)
			gguf_put_u32(k, key, (int64_t)i);
}

/* ---- to a directory ---- */

static int
put_json(const char *dir, const char *name, json_t *doc, struct err *err)
{
	char path[MODEL_PATH], *text = doc == NULL ? NULL : json_dumps(doc, JSON_INDENT(2));
	int ret = -1;

	if (text == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	else if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= MODEL_PATH)
		err_set(err, ERR_ARG, "%s: name too long", dir);
	else
		ret = file_write(path, str_of(text), err);
	free(text);
	json_decref(doc);
	return ret;
}

static json_t *
modules(bool normalize)
{
	static const char *const name[] = { "Transformer", "Pooling", "Normalize" };
	static const char *const path[] = { "", "1_Pooling", "2_Normalize" };
	json_t *list = json_array();
	char type[64];

	for (int i = 0; i < 2 + normalize; i++) {
		snprintf(type, sizeof(type), "sentence_transformers.models.%s", name[i]);
		json_array_append_new(list, json_pack("{s:i, s:s#, s:s, s:s}", "idx", i, "name",
		    &"012"[i], (size_t)1, "path", path[i], "type", type));
	}
	return list;
}

int
pooling_save(const char *path, int64_t width, const char *dir, struct err *err)
{
	struct pooled p = pooling_of(path);
	char sub[MODEL_PATH];

	if (p.kind == POOL_AUTO || p.kind == POOL_NONE)
		return 0;
	if (snprintf(sub, sizeof(sub), "%s/1_Pooling", dir) >= MODEL_PATH)
		return err_set(err, ERR_ARG, "%s: name too long", dir);
	if (mkdir(sub, 0777) < 0)
		return err_sys(err, "%s", sub);
	if (put_json(sub, "config.json", json_pack("{s:I, s:b, s:b, s:b}",
	    "word_embedding_dimension", (json_int_t)width,
	    "pooling_mode_cls_token", p.kind == POOL_CLS,
	    "pooling_mode_mean_tokens", p.kind == POOL_MEAN,
	    "pooling_mode_lasttoken", p.kind == POOL_LAST), err) < 0 ||
	    put_json(dir, "modules.json", modules(p.normalize), err) < 0)
		return -1;
	return p.most == 0 ? 0 : put_json(dir, "sentence_bert_config.json",
	    json_pack("{s:I}", "max_seq_length", (json_int_t)p.most), err);
}
