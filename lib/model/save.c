/* Weights out: to safetensors, as Hugging Face lays them out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fmt/safetensors.h"
#include "model/adapter_impl.h"
#include "model/sources_impl.h"

#define PART ((int64_t)5000000000)	/* bytes of a file, as Hugging Face has it */

struct save {
	struct model	*m;
	const char	*dir;
	struct st_tensor *tensor;	/* one a weight, and its scales after it */
	char		(*name)[2 * NN_NAME];	/* of scales */
	int		*of;		/* the weight of each */
	int		 n;
	int		 first;		/* of the part that is written */
	int		 held;		/* the weight that is in host, -1: none */
	float		*host, *raw;	/* a whole one: in the file's order, in the parameter's */
	float		*scale;		/* of its rows, when they are FP8 */
};

#define F8_MOST	448.0f

/* To the nearest FP8 (e4m3fn), ties to even. */
static uint8_t
f8_from_f32(float x)
{
	uint8_t sign = signbit(x) ? 0x80 : 0;
	uint32_t u;

	x = fabsf(x) < F8_MOST ? fabsf(x) : F8_MOST;
	if (x < 0x1p-6f)
		return sign | (uint8_t)lrintf(x * 0x1p9f);
	memcpy(&u, &x, sizeof(u));
	u += 0x7ffff + (u >> 20 & 1);
	return sign | (uint8_t)((u >> 20) - ((127 - 7) << 3));
}

/*
 * Becomes this weight FP8, with a scale a row?  What lies transposed is no Linear module to
 * those who read the layout.
 */
static bool
is_scaled(const struct save *s, const struct weight *w)
{
	return s->scale != NULL && !w->turned &&
	    is_linear(&s->m->config, &s->m->params.p[w->param]);
}

/* Not as it lies in memory: brought to the host as a whole. */
static bool
is_held(const struct save *s, const struct weight *w)
{
	return w->turned || w->pairs || s->scale != NULL || s->m->dev == NULL;
}

/* Each row divided by its scale, which takes its largest to FP8's. */
static int
scale_rows(struct save *s, const struct weight *w, struct err *err)
{
	int64_t cols = w->shape[1];

	for (int64_t i = 0; i < w->shape[0]; i++) {
		float *x = s->host + i * cols, most = 0;

		for (int64_t k = 0; k < cols; k++)
			most = fabsf(x[k]) <= most ? most : fabsf(x[k]);
		if (!isfinite(most))
			return err_set(err, ERR_FORMAT, "tensor '%s' has elements that are no "
			    "numbers", w->name);
		s->scale[i] = most > 0 ? most / F8_MOST : 1;
		for (int64_t k = 0; k < cols; k++)
			x[k] /= s->scale[i];
	}
	return 0;
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
	return is_scaled(s, w) ? scale_rows(s, w, err) : 0;
}

static int
fill(void *ctx, int tensor, int64_t at, void *p, int64_t n, struct err *err)
{
	struct save *s = ctx;
	int t = s->first + tensor, i = s->of[t];
	const struct weight *w = &s->m->weight[i];
	dtype type = s->tensor[t].type;
	int64_t size = dtype_size(type);
	const float *from;

	if (!is_held(s, w))
		return param_download(&s->m->params, &s->m->params.p[w->param], w->at + at / size,
		    n / size, p, type, err);
	if (s->held != i && hold(s, i, err) < 0)
		return -1;
	from = (t > 0 && s->of[t - 1] == i ? s->scale : s->host) + at / size;
	if (type != DTYPE_F8_E4M3)
		dtype_convert(p, type, from, DTYPE_F32, n / size);
	for (int64_t k = 0; type == DTYPE_F8_E4M3 && k < n; k++)
		((uint8_t *)p)[k] = f8_from_f32(from[k]);
	return 0;
}

static void
add_scale(struct save *s, int i)
{
	const struct weight *w = &s->m->weight[i];

	snprintf(s->name[s->n], sizeof(*s->name), "%s_scale", w->name);
	s->tensor[s->n] = (struct st_tensor){ .name = s->name[s->n], .ndim = 2,
	    .shape = { w->shape[0], 1 }, .type = DTYPE_F32, .bytes = 4 * w->shape[0] };
	s->of[s->n++] = i;
}

static dtype
describe(struct save *s, dtype type)
{
	for (int i = 0; i < s->m->n_weights; i++) {
		const struct weight *w = &s->m->weight[i];
		dtype own = w->type != DTYPE_NONE ? w->type : DTYPE_F32;
		struct st_tensor *t = &s->tensor[s->n];
		bool stays = type == DTYPE_NONE || (type == DTYPE_F8_E4M3 && !is_scaled(s, w));

		*t = (struct st_tensor){ .name = w->name, .ndim = w->ndim,
		    .type = stays ? own : type };
		memcpy(t->shape, w->shape, sizeof(w->shape));
		t->bytes = w->n * dtype_size(t->type);
		s->of[s->n++] = i;
		if (t->type == DTYPE_F8_E4M3)
			add_scale(s, i);
	}
	return s->tensor[0].type;
}

/* The end of the part that begins at weight i. */
static int
part_end(const struct save *s, int i, int64_t limit)
{
	int64_t bytes = 0;
	int from = i;

	for (; i < s->n; i++) {
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

	for (int i = 0; i < s->n; i = part_end(s, i, limit))
		parts++;
	for (int i = 0; i < s->m->n_weights; i++)
		if (is_held(s, &s->m->weight[i]) && s->m->weight[i].n > most)
			most = s->m->weight[i].n;
	s->host = malloc((size_t)most * sizeof(*s->host));
	s->raw = malloc((size_t)most * sizeof(*s->raw));
	if (s->host == NULL || s->raw == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return parts == 1 ? save_part(s, "model.safetensors", s->n, err) :
	    save_parts(s, parts, limit, err);
}

/* What compressed-tensors calls these weights; modules that stay as they are go by name. */
static int
put_scheme(const struct save *s, json_t *doc, struct err *err)
{
	json_t *ignore = json_array();
	int bad = json_array_append_new(ignore, json_string("lm_head"));

	for (int i = 0; i < s->m->n_weights; i++) {
		const struct weight *w = &s->m->weight[i];
		str name = str_of(w->name);

		if (w->ndim == 2 && !is_scaled(s, w) && str_ends(name, S(".weight")) &&
		    !str_eq(name, S("lm_head.weight")))
			bad |= json_array_append_new(ignore, json_stringn(name.p,
			    (size_t)(name.n - S(".weight").n)));
	}
	bad |= json_object_set_new(doc, "quantization_config", json_pack("{s:s, s:s, s:s, s:o, "
	    "s:{s:{s:[s], s:n, s:n, s:{s:i, s:s, s:b, s:s, s:b}}}}",
	    "quant_method", "compressed-tensors", "format", "float-quantized",
	    "quantization_status", "compressed", "ignore", ignore, "config_groups", "group_0",
	    "targets", "Linear", "input_activations", "output_activations", "weights",
	    "num_bits", 8, "type", "float", "symmetric", 1, "strategy", "channel",
	    "dynamic", 0));
	return bad != 0 ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static int
save_configs(const struct save *s, const struct config *c, const char *dir, struct err *err)
{
	json_t *doc = config_write(c, err);

	if (doc != NULL && s->scale != NULL && put_scheme(s, doc, err) < 0) {
		json_decref(doc);
		return -1;
	}
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
	size_t most = 2 * (size_t)m->n_weights + 1;
	int64_t rows = 1;
	int ret = -1;

	if (m->adapter != NULL)
		return adapter_save(m, dir, err);
	s.tensor = calloc(most, sizeof(*s.tensor));
	s.name = calloc(most, sizeof(*s.name));
	s.of = calloc(most, sizeof(*s.of));
	for (int i = 0; i < m->n_weights; i++)
		rows = m->weight[i].shape[0] > rows ? m->weight[i].shape[0] : rows;
	if (type == DTYPE_F8_E4M3)
		s.scale = malloc((size_t)rows * sizeof(*s.scale));
	if (s.tensor == NULL || s.name == NULL || s.of == NULL ||
	    (type == DTYPE_F8_E4M3 && s.scale == NULL)) {
		err_set(err, ERR_NOMEM, "out of memory");
	} else {
		c.dtype = describe(&s, type);
		if (type == DTYPE_F8_E4M3 && s.n == m->n_weights)
			err_set(err, ERR_ARG, "%s has no linear layers that fp8's layout holds",
			    arch_name(c.arch));
		else if (save_configs(&s, &c, dir, err) == 0)
			ret = save_weights(&s, part > 0 ? part : PART, err);
	}
	free(s.tensor);
	free(s.name);
	free(s.of);
	free(s.scale);
	free(s.host);
	free(s.raw);
	return ret;
}
