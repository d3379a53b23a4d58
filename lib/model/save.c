/* Weights out: to safetensors, as Hugging Face lays them out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fmt/safetensors.h"
#include "model/adapter_impl.h"
#include "model/save_impl.h"
#include "model/sources_impl.h"

#define PART ((int64_t)5000000000)	/* bytes of a file, as Hugging Face has it */

/* What of a weight a tensor of the file has. */
enum part {
	PART_WHOLE,
	/* Elements, scales of groups or rows, sizes: of what is quantized. */
	PART_PACKED, PART_GROUPS, PART_SHAPE,
};

struct piece {
	int		 weight;
	enum part	 part;
	char		 name[2 * NN_NAME];	/* where it is not the weight's */
};

struct save {
	struct model	*m;
	const char	*dir;
	const struct save_as *as;	/* or NULL */
	dtype		*type;		/* that each weight gets */
	struct st_tensor *tensor;	/* those of a weight follow each other */
	struct piece	*piece;		/* of each */
	int		 n;
	int		 first;		/* of the part that is written */
	bool		 quantized;	/* any weight */
	int		 held;		/* the weight that is in host, -1: none */
	float		*host, *raw;	/* a whole one: in the file's order, in the parameter's */
	/* In files scales come behind all words of groups, or before all bytes of rows. */
	char		*groups;	/* scales of the groups of all weights */
	int64_t		*groups_at;	/* where those of each begin; at the end, how many bytes */
};

/* Not as it lies in memory: brought to the host as a whole. */
static bool
is_held(const struct save *s, const struct weight *w)
{
	return w->turned || w->pairs || s->quantized || s->m->dev == NULL;
}

/* From s->host to the order of files, rows of so many bytes. */
static void
to_halves(struct save *s, const struct weight *w, int64_t bytes)
{
	if (w->pairs)
		rows_to_halves(s->host, s->raw, w->shape[0], bytes, s->m->config.head_dim);
	else
		memcpy(s->host, s->raw, (size_t)(w->shape[0] * bytes));
}

static int
hold(struct save *s, int i, struct err *err)
{
	const struct weight *w = &s->m->weight[i];
	int64_t rows = w->shape[0];

	if ((s->as != NULL ? s->as->read(s->as->ctx, i, s->raw, err) :
	    model_read(s->m, i, s->raw, err)) < 0)
		return -1;
	if (w->turned)
		rows_turned(s->host, s->raw, rows, w->n / rows);
	else
		to_halves(s, w, w->n / rows * 4);
	s->held = i;
	return 0;
}

/* Scales of a weight, and the bytes of one: of rows, or of groups. */
static int64_t
scales_of(const struct save *s, int i, int64_t *bytes)
{
	const struct weight *w = &s->m->weight[i];

	if ((*bytes = channel_scale(s->type[i])) > 0)
		return w->shape[0];
	*bytes = 2;
	return dtype_block(s->type[i]) > 1 ? w->n / dtype_block(s->type[i]) : 0;
}

/* The elements to s->raw, the scales to where all of them are. */
static int
hold_groups(struct save *s, int i, struct err *err)
{
	const struct weight *w = &s->m->weight[i];
	int64_t size, n = scales_of(s, i, &size), bytes = channel_scale(s->type[i]) > 0 ?
	    size + w->shape[1] : dtype_bytes(s->type[i], w->n) / n;
	const char *from = (const char *)s->host;
	char *to = (char *)s->raw, *scale = s->groups + s->groups_at[i];

	if (s->as->encode(s->as->ctx, i, s->raw, err) < 0)
		return -1;
	to_halves(s, w, n * bytes / w->shape[0]);
	for (int64_t k = 0; k < n; k++, from += bytes, to += bytes - size) {
		memcpy(scale + size * k, from, (size_t)size);
		memcpy(to, from + size, (size_t)(bytes - size));
	}
	s->held = i;
	return 0;
}

static int
fill_groups(struct save *s, const struct piece *piece, int64_t at, void *p, int64_t n,
    struct err *err)
{
	const char *from;

	if (piece->part == PART_SHAPE) {
		from = (const char *)s->m->weight[piece->weight].shape;
	} else {
		bool known = piece->part == PART_GROUPS && dtype_block(s->type[piece->weight]) > 1;

		if (!known && s->held != piece->weight && hold_groups(s, piece->weight, err) < 0)
			return -1;
		from = piece->part == PART_GROUPS ? s->groups + s->groups_at[piece->weight] :
		    (const char *)s->raw;
	}
	memcpy(p, from + at, (size_t)n);
	return 0;
}

static int
fill(void *ctx, int tensor, int64_t at, void *p, int64_t n, struct err *err)
{
	struct save *s = ctx;
	const struct piece *piece = &s->piece[s->first + tensor];
	const struct weight *w = &s->m->weight[piece->weight];
	dtype type = s->tensor[s->first + tensor].type;
	int64_t size = dtype_size(type);

	if (piece->part >= PART_PACKED)
		return fill_groups(s, piece, at, p, n, err);
	if (!is_held(s, w))
		return param_download(&s->m->params, &s->m->params.p[w->param], w->at + at / size,
		    n / size, p, type, err);
	if (s->held != piece->weight && hold(s, piece->weight, err) < 0)
		return -1;
	dtype_convert(p, type, s->host + at / size, DTYPE_F32, n / size);
	return 0;
}

/* ---- what there is to write ---- */

/* A tensor of weight i; suffix takes the place of "weight", NULL: as it is. */
static void
add(struct save *s, int i, enum part part, const char *suffix, dtype type, int ndim,
    const int64_t *shape)
{
	const struct weight *w = &s->m->weight[i];
	struct piece *p = &s->piece[s->n];
	struct st_tensor *t = &s->tensor[s->n++];

	p->weight = i;
	p->part = part;
	*t = (struct st_tensor){ .name = w->name, .ndim = ndim, .type = type };
	memcpy(t->shape, shape, (size_t)ndim * sizeof(*shape));
	t->bytes = st_bytes(type, ndim, shape);
	if (suffix == NULL)
		return;
	snprintf(p->name, sizeof(p->name), "%.*s%s", (int)(strlen(w->name) - strlen("weight")),
	    w->name, suffix);
	t->name = p->name;
}

static void
add_weight(struct save *s, int i)
{
	const struct weight *w = &s->m->weight[i];
	dtype type = s->type[i];
	int64_t block = dtype_block(type), rows = w->shape[0], cols = w->shape[1];

	if (!save_quantizes(type)) {
		add(s, i, PART_WHOLE, NULL, type, w->ndim, w->shape);
		return;
	}
	if (block == 1) {
		add(s, i, PART_PACKED, NULL, type, 2, w->shape);
		add(s, i, PART_GROUPS, "weight_scale", channel_scale(type) == 4 ? DTYPE_F32 :
		    DTYPE_BF16, 2, (int64_t[]){ rows, 1 });
		return;
	}
	add(s, i, PART_PACKED, "weight_packed", DTYPE_I32, 2, (int64_t[]){ rows, cols / 8 });
	add(s, i, PART_GROUPS, "weight_scale", DTYPE_BF16, 2, (int64_t[]){ rows, cols / block });
	add(s, i, PART_SHAPE, "weight_shape", DTYPE_I64, 1, (int64_t[]){ 2 });
}

static dtype
type_of(const struct save *s, int i, dtype type)
{
	const struct weight *w = &s->m->weight[i];
	dtype own = w->type != DTYPE_NONE ? w->type : DTYPE_F32;

	if (s->as != NULL)
		type = s->as->type[i];
	return type == DTYPE_NONE ? own : type;
}

/* Of all weights; what config.json says of them. */
static dtype
describe(struct save *s, dtype type)
{
	for (int i = 0; i < s->m->n_weights; i++) {
		int64_t n, size;

		s->type[i] = type_of(s, i, type);
		n = scales_of(s, i, &size);
		s->quantized |= n > 0;
		s->groups_at[i + 1] = s->groups_at[i] + n * size;
		add_weight(s, i);
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

/* ---- what compressed-tensors calls these weights ---- */

/* The name of the module whose weight this is; empty when it is none's. */
static str
module_of(const struct weight *w)
{
	str name = str_of(w->name);

	return w->ndim == 2 && str_ends(name, S(".weight")) ?
	    (str){ name.p, name.n - S(".weight").n } : S("");
}

/* Append the names of modules whose weights are of this type, NONE: of none that is quantized. */
static int
add_modules(const struct save *s, json_t *list, dtype type)
{
	int bad = 0;

	for (int i = 0; i < s->m->n_weights; i++) {
		str name = module_of(&s->m->weight[i]);

		if ((save_quantizes(s->type[i]) ? s->type[i] : DTYPE_NONE) == type && name.n > 0 &&
		    !str_eq(name, S("lm_head")))
			bad |= json_array_append_new(list, json_stringn(name.p, (size_t)name.n));
	}
	return bad;
}

/* The settings of one type; all Linear modules are meant, or those that are of it. */
static json_t *
scheme(const struct save *s, dtype type, bool all)
{
	bool rows = channel_scale(type) > 0;
	json_t *targets = json_array(), *weights, *inputs = json_null();
	int bad = all ? json_array_append_new(targets, json_string("Linear")) :
	    add_modules(s, targets, type);

	weights = json_pack("{s:i, s:s, s:b, s:s, s:b}", "num_bits", rows ? 8 : 4, "type",
	    type == DTYPE_F8_E4M3 ? "float" : "int", "symmetric", 1, "strategy",
	    rows ? "channel" : "group", "dynamic", 0);
	if (type == DTYPE_I8)
		inputs = json_pack("{s:i, s:s, s:b, s:s, s:b}", "num_bits", 8, "type", "int",
		    "symmetric", 1, "strategy", "token", "dynamic", 1);
	if (!rows)
		bad |= json_object_set_new(weights, "group_size", json_integer(dtype_block(type)));
	if (s->as != NULL && s->as->ordered)
		bad |= json_object_set_new(weights, "actorder", json_string("weight"));
	if (bad != 0 || weights == NULL || inputs == NULL) {
		json_decref(targets);
		json_decref(weights);
		json_decref(inputs);
		return NULL;
	}
	return json_pack("{s:o, s:o, s:n, s:o}", "targets", targets, "input_activations", inputs,
	    "output_activations", "weights", weights);
}

static int
count(const struct save *s, dtype type)
{
	int n = 0;

	for (int i = 0; i < s->m->n_weights; i++)
		n += s->type[i] == type;
	return n;
}

/*
 * The type that most modules have is said of all.  Among them are those that others fuse, whose
 * names are not these.
 */
static int
put_scheme(const struct save *s, json_t *doc, struct err *err)
{
	static const dtype types[] = { DTYPE_F8_E4M3, DTYPE_I8, DTYPE_I4_128, DTYPE_I4_64,
	    DTYPE_I4_32 };
	static const char *const formats[] = { "float-quantized", "int-quantized" };
	const int n_types = sizeof(types) / sizeof(*types);
	json_t *ignore = json_array(), *groups = json_object();
	int bad = json_array_append_new(ignore, json_string("lm_head")), n = 0, most = 0;

	for (int k = 1; k < n_types; k++)
		if (count(s, types[k]) > count(s, types[most]))
			most = k;
	for (int k = 0; k < n_types; k++) {
		char name[32];

		if (count(s, types[k]) == 0)
			continue;
		snprintf(name, sizeof(name), "group_%d", n++);
		bad |= json_object_set_new(groups, name, scheme(s, types[k], k == most));
	}
	bad |= add_modules(s, ignore, DTYPE_NONE);
	bad |= json_object_set_new(doc, "quantization_config", json_pack("{s:s, s:s, s:s, s:o, "
	    "s:o}", "quant_method", "compressed-tensors", "format",
	    most < 2 ? formats[most] : "pack-quantized", "quantization_status",
	    "compressed", "ignore", ignore, "config_groups", groups));
	return bad != 0 ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

/* ---- the whole ---- */

static int
save_configs(const struct save *s, const struct config *c, const char *dir, struct err *err)
{
	json_t *doc = config_write(c, err);

	if (doc != NULL && s->quantized && put_scheme(s, doc, err) < 0) {
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

static int
allocate(struct save *s, struct err *err)
{
	size_t n = (size_t)s->m->n_weights + 1;

	s->type = calloc(n, sizeof(*s->type));
	s->tensor = calloc(3 * n, sizeof(*s->tensor));
	s->piece = calloc(3 * n, sizeof(*s->piece));
	s->groups_at = calloc(n, sizeof(*s->groups_at));
	if (s->type == NULL || s->tensor == NULL || s->piece == NULL || s->groups_at == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static int
save(struct save *s, dtype type, int64_t part, struct err *err)
{
	struct config c = s->m->config;

	if (allocate(s, err) < 0)
		return -1;
	c.dtype = describe(s, type);
	s->groups = malloc((size_t)s->groups_at[s->m->n_weights] + 1);
	if (s->groups == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (save_configs(s, &c, s->dir, err) < 0)
		return -1;
	return save_weights(s, part > 0 ? part : PART, err);
}

static int
save_free(struct save *s, int ret)
{
	free(s->type);
	free(s->tensor);
	free(s->piece);
	free(s->groups_at);
	free(s->groups);
	free(s->host);
	free(s->raw);
	return ret;
}

int
model_save(struct model *m, const char *dir, dtype type, int64_t part, struct err *err)
{
	struct save s = { .m = m, .dir = dir, .held = -1 };

	if (m->adapter != NULL)
		return adapter_save(m, dir, err);
	return save_free(&s, save(&s, type, part, err));
}

int
model_save_as(struct model *m, const char *dir, const struct save_as *as, struct err *err)
{
	struct save s = { .m = m, .dir = dir, .as = as, .held = -1 };

	return save_free(&s, save(&s, DTYPE_NONE, 0, err));
}
