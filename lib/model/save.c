/* Weights out: to safetensors, as Hugging Face lays them out. */
#include <stdio.h>
#include <stdlib.h>

#include "fmt/safetensors.h"
#include "model/adapter_impl.h"
#include "model/sources_impl.h"

#define PART ((int64_t)5000000000)	/* bytes of a file, as Hugging Face has it */

struct save {
	struct model	*m;
	const char	*dir;
	struct st_tensor *tensor;	/* one a weight */
	int		 first;		/* of the part that is written */
	int		 held;		/* the weight that is in host, -1: none */
	float		*host, *raw;	/* a whole one: in the file's order, in the parameter's */
};

/* Not as it lies in memory: brought to the host as a whole. */
static bool
is_held(const struct save *s, const struct weight *w)
{
	return w->turned || w->pairs || s->m->dev == NULL;
}

static int
hold(struct save *s, int i, struct err *err)
{
	const struct weight *w = &s->m->weight[i];
	int64_t rows = w->shape[0];

	if (model_read(s->m, i, s->raw, err) < 0)
		return -1;
	if (w->turned)
		rows_turned(s->host, s->raw, rows, w->n / rows);
	else if (w->pairs)
		rows_to_halves(s->host, s->raw, rows, w->n / rows * 4, s->m->config.head_dim);
	else
		memcpy(s->host, s->raw, (size_t)w->n * sizeof(*s->host));
	s->held = i;
	return 0;
}

static int
fill(void *ctx, int tensor, int64_t at, void *p, int64_t n, struct err *err)
{
	struct save *s = ctx;
	const struct weight *w = &s->m->weight[s->first + tensor];
	dtype type = s->tensor[s->first + tensor].type;
	int64_t size = dtype_size(type);

	if (!is_held(s, w))
		return param_download(&s->m->params, &s->m->params.p[w->param], w->at + at / size,
		    n / size, p, type, err);
	if (s->held != s->first + tensor && hold(s, s->first + tensor, err) < 0)
		return -1;
	dtype_convert(p, type, s->host + at / size, DTYPE_F32, n / size);
	return 0;
}

static dtype
describe(struct save *s, dtype type)
{
	for (int i = 0; i < s->m->n_weights; i++) {
		const struct weight *w = &s->m->weight[i];
		dtype own = w->type != DTYPE_NONE ? w->type : DTYPE_F32;
		struct st_tensor *t = &s->tensor[i];

		*t = (struct st_tensor){ .name = w->name, .ndim = w->ndim,
		    .type = type != DTYPE_NONE ? type : own };
		memcpy(t->shape, w->shape, sizeof(w->shape));
		t->bytes = w->n * dtype_size(t->type);
	}
	return s->tensor[0].type;
}

/* The end of the part that begins at weight i. */
static int
part_end(const struct save *s, int i, int64_t limit)
{
	int64_t bytes = 0;
	int from = i;

	for (; i < s->m->n_weights; i++) {
		bytes += s->tensor[i].bytes;
		if (bytes > limit && i > from)
			break;
	}
	return i;
}

static int
save_part(struct save *s, const char *name, int end, struct err *err)
{
	struct st_write w = { .tensor = s->tensor + s->first, .n = end - s->first, .fill = fill,
	    .ctx = s };
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	return st_save(path, &w, err);
}

static int
save_json(const char *dir, const char *name, json_t *doc, struct err *err)
{
	char path[4096];
	int ret = -1;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (doc == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	else
		ret = json_doc_save(path, doc, err);
	json_decref(doc);
	return ret;
}

static int
save_parts(struct save *s, int parts, int64_t limit, struct err *err)
{
	json_t *map = json_object(), *index;
	int64_t total = 0;
	bool bad = map == NULL;

	for (int n = 1; n <= parts; n++) {
		char name[64];
		int end = part_end(s, s->first, limit);

		snprintf(name, sizeof(name), "model-%05d-of-%05d.safetensors", n, parts);
		if (save_part(s, name, end, err) < 0) {
			json_decref(map);
			return -1;
		}
		for (; s->first < end; s->first++) {
			total += s->tensor[s->first].bytes;
			bad |= json_object_set_new(map, s->tensor[s->first].name,
			    json_string(name)) < 0;
		}
	}
	index = json_pack("{s:{s:I}, s:o}", "metadata", "total_size", (json_int_t)total,
	    "weight_map", map);
	if (bad) {
		json_decref(index);
		index = NULL;
	}
	return save_json(s->dir, "model.safetensors.index.json", index, err);
}

static int
save_weights(struct save *s, int64_t limit, struct err *err)
{
	int64_t most = 1;
	int parts = 0;

	for (int i = 0; i < s->m->n_weights; i = part_end(s, i, limit))
		parts++;
	for (int i = 0; i < s->m->n_weights; i++)
		if (is_held(s, &s->m->weight[i]) && s->m->weight[i].n > most)
			most = s->m->weight[i].n;
	s->host = malloc((size_t)most * sizeof(*s->host));
	s->raw = malloc((size_t)most * sizeof(*s->raw));
	if (s->host == NULL || s->raw == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return parts == 1 ? save_part(s, "model.safetensors", s->m->n_weights, err) :
	    save_parts(s, parts, limit, err);
}

static int
save_configs(const struct config *c, const char *dir, struct err *err)
{
	json_t *doc = config_write(c, err);

	if (doc == NULL || save_json(dir, "config.json", doc, err) < 0)
		return -1;
	if ((doc = json_pack("{s:b}", "_from_model_config", 1)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (config_write_tokens(c, doc, err) < 0) {
		json_decref(doc);
		return -1;
	}
	return save_json(dir, "generation_config.json", doc, err);
}

int
model_save(struct model *m, const char *dir, dtype type, int64_t part, struct err *err)
{
	struct save s = { .m = m, .dir = dir, .held = -1 };
	struct config c = m->config;
	int ret = -1;

	if (m->adapter != NULL)
		return adapter_save(m, dir, err);
	s.tensor = calloc((size_t)m->n_weights, sizeof(*s.tensor));
	if (s.tensor == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c.dtype = describe(&s, type);
	if (save_configs(&c, dir, err) == 0)
		ret = save_weights(&s, part > 0 ? part : PART, err);
	free(s.tensor);
	free(s.host);
	free(s.raw);
	return ret;
}
