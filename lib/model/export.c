#include "model/export.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/sources_impl.h"
#include "model/gguf_impl.h"
#include "model/pooling.h"

enum part { PART_ALL, PART_KEYS, PART_VALUES, PART_FACTORS };

struct export_from {
	char		 name[NN_NAME];
	int		 param;		/* -1: factors of positions */
	enum gguf_form	 form;
	enum part	 part;		/* of a latent one */
	bool		 wide, pairs;
};

/* ---- a directory's tensors ---- */

static void
add(struct export *x, const struct export_from *from, dtype type, int ndim,
    const int64_t *shape)
{
	struct gguf_tensor *t = &x->tensor[x->n];

	x->from[x->n] = *from;
	*t = (struct gguf_tensor){ .name = x->from[x->n].name, .ndim = ndim, .n = 1,
	    .type = (uint32_t)gguf_type_of(from->wide ? DTYPE_F32 : type) };
	for (int i = 0; i < ndim; i++) {
		t->shape[i] = shape[i];
		t->n *= shape[i];
	}
	x->most = t->n > x->most ? t->n : x->most;
	x->n++;
}

static void
add_latent(struct export *x, struct export_from *from, dtype type)
{
	const struct config *c = &x->m.config;
	const int64_t k[] = { c->heads, c->kv_rank, c->head_dim - c->rope_dims };
	const int64_t v[] = { c->heads, c->v_dim, c->kv_rank };
	char *module = strstr(from->name, "attn_kv_b");

	for (int i = 0; i < 2; i++) {
		snprintf(module, NN_NAME - (size_t)(module - from->name), "attn_%c_b.weight",
		    "kv"[i]);
		from->part = i == 0 ? PART_KEYS : PART_VALUES;
		add(x, from, type, 3, i == 0 ? k : v);
	}
}

/* The type of a parameter in the files: that of its first weight. */
static dtype
type_of(const struct export *x, int param)
{
	for (int i = 0; i < x->m.n_weights; i++) {
		dtype type = x->m.files->source[i].type;

		if (x->m.weight[i].param == param)
			return type == DTYPE_F16 || type == DTYPE_BF16 ? type : DTYPE_F32;
	}
	return DTYPE_F32;
}

static int
add_param(struct export *x, int i, struct err *err)
{
	const struct param *p = &x->m.params.p[i];
	struct export_from from = { .param = i };
	struct gguf_name name;
	int64_t flat[2] = { p->shape[0], p->ndim > 1 ? p->shape[p->ndim - 1] : 0 };

	if (gguf_name(&x->m.config, p, &name, err) < 0)
		return -1;
	snprintf(from.name, sizeof(from.name), "%s", name.name);
	from.form = name.form;
	from.wide = name.wide;
	from.pairs = name.pairs;
	if (name.form == GGUF_LATENT)
		add_latent(x, &from, type_of(x, i));
	else if (p->ndim == 3 && p->shape[1] == 1)	/* a convolution is a matrix there */
		add(x, &from, type_of(x, i), 2, flat);
	else
		add(x, &from, type_of(x, i), p->ndim, p->shape);
	return 0;
}

static int
add_params(struct export *x, struct err *err)
{
	static const char *const factors[] = { ROPE_FREQS, ROPE_LONG, ROPE_SHORT };
	int64_t pairs = rope_dims(&x->m.config) / 2;
	size_t most = 2 * (size_t)x->m.params.n + 3;

	x->tensor = calloc(most, sizeof(*x->tensor));
	x->from = calloc(most, sizeof(*x->from));
	if (x->tensor == NULL || x->from == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < x->m.params.n; i++)
		if (add_param(x, i, err) < 0)
			return -1;
	for (int i = 0; i < 3; i++) {
		struct export_from from = { .param = -1, .part = PART_FACTORS, .wide = true };

		snprintf(from.name, sizeof(from.name), "%s", factors[i]);
		if (gguf_rope_factors(&x->m.config, factors[i], NULL))
			add(x, &from, DTYPE_F32, 1, &pairs);
	}
	return 0;
}

/* ---- a file's ---- */

static int
copy_file(struct export *x, struct err *err)
{
	x->n = gguf_count(x->gguf);
	if ((x->tensor = calloc((size_t)x->n + 1, sizeof(*x->tensor))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < x->n; i++) {
		x->tensor[i] = *gguf_at(x->gguf, i);
		x->tensor[i].data = NULL;
		x->most = x->tensor[i].n > x->most ? x->tensor[i].n : x->most;
	}
	for (int i = 0; i < gguf_keys(x->gguf); i++)
		if (strcmp(gguf_key(x->gguf, i)->key, "general.file_type") != 0)
			gguf_put_value(&x->keys, gguf_key(x->gguf, i));
	return 0;
}

/* ---- a model's own ---- */

static int
add_own(struct export *x, int i, struct err *err)
{
	const struct weight *w = &x->m.weight[i];
	const struct param *p = &x->m.params.p[w->param];
	struct export_from from = { .param = w->param };
	struct gguf_name name = { .form = GGUF_SAME };

	if (arch_family(x->m.config.arch)->gguf == NULL)
		snprintf(name.name, sizeof(name.name), "%s", p->name);
	else if (gguf_name(&x->m.config, p, &name, err) < 0)
		return -1;
	snprintf(from.name, sizeof(from.name), "%s", name.name);
	from.form = name.form;
	add(x, &from, type_of(x, w->param), w->ndim, w->shape);
	return 0;
}

int
export_open_own(struct export *x, const char *path, struct err *err)
{
	size_t n;

	x->own = true;
	if (model_open(&x->m, path, err) < 0)
		return -1;
	n = (size_t)x->m.n_weights;
	x->tensor = calloc(n, sizeof(*x->tensor));
	x->from = calloc(n, sizeof(*x->from));
	if (x->tensor == NULL || x->from == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < x->m.n_weights; i++)
		if (add_own(x, i, err) < 0)
			return err_wrap(err, "%s", path);
	return 0;
}

int
export_open(struct export *x, const char *path, struct err *err)
{
	if (gguf_is(path)) {
		if ((x->gguf = gguf_open(path, err)) == NULL)
			return -1;
		return copy_file(x, err);
	}
	if (model_open(&x->m, path, err) < 0)
		return -1;
	if (gguf_config_write(&x->keys, &x->m.config, err) < 0 ||
	    gguf_tokens_write(&x->keys, &x->m.config, path, err) < 0 || add_params(x, err) < 0)
		return err_wrap(err, "%s", path);
	pooling_write(&x->keys, arch_family(x->m.config.arch)->gguf, path);
	return 0;
}

void
export_close(struct export *x)
{
	gguf_keys_free(&x->keys);
	gguf_close(x->gguf);
	model_free(&x->m);
	free(x->tensor);
	free(x->from);
	*x = (struct export){ .n = 0 };
}

void
export_mats(const struct export *x, int tensor, int64_t *all, int64_t *first)
{
	const struct gguf_tensor *t = &x->tensor[tensor];

	*all = t->ndim > 2 ? t->shape[0] : 1;
	*first = 0;
	if (x->own) {
		const struct weight *w = &x->m.weight[tensor];

		*all = x->m.params.p[w->param].n / w->n;
		*first = w->at / w->n;
	}
}

float
export_plus(const struct export *x, int tensor)
{
	return x->own && x->from[tensor].form == GGUF_PLUS ? 1 : 0;
}

const char *
export_called(const struct export *x, int tensor)
{
	return x->own ? x->m.weight[tensor].name : x->tensor[tensor].name;
}

bool
export_free(const struct export *x, int tensor)
{
	if (x->own)
		return is_linear(&x->m.config, &x->m.params.p[x->from[tensor].param]) &&
		    !x->m.weight[tensor].turned;
	if (x->gguf != NULL)
		return x->tensor[tensor].ndim > 1 &&
		    !gguf_is_wide(x->tensor[tensor].name);
	return !x->from[tensor].wide;
}

const char *
export_quantized(const struct export *x, int tensor)
{
	if (x->gguf != NULL)
		return dtype_block(gguf_block(x->tensor[tensor].type)->type) > 1 ?
		    x->tensor[tensor].name : NULL;
	for (int i = 0; i < x->m.n_weights; i++)
		if ((x->own ? i == tensor : x->m.weight[i].param == x->from[tensor].param) &&
		    source_quantized(&x->m.files->source[i]))
			return x->m.weight[i].name;
	return NULL;
}

/* ---- elements ---- */

/* Of kv_b's rows (nope keys, v values of a head): the keys transposed, or the values. */
static void
split_latent(float *y, const float *x, const struct config *c, enum part part)
{
	const int64_t rank = c->kv_rank, nope = c->head_dim - c->rope_dims, v = c->v_dim;

	for (int64_t h = 0; h < c->heads; h++, x += (nope + v) * rank) {
		if (part == PART_KEYS)
			rows_turned(y + h * nope * rank, x, rank, nope);
		else
			memcpy(y + h * v * rank, x + nope * rank,
			    (size_t)(v * rank) * sizeof(*y));
	}
}

/* From a parameter's elements and order to those of its tensor. */
static void
to_form(float *y, const float *x, const struct export_from *from, const struct param *p,
    const struct config *c)
{
	if (from->part != PART_ALL) {
		split_latent(y, x, c, from->part);
		return;
	}
	if (from->pairs)
		rows_to_pairs(y, x, p->shape[0], p->n / p->shape[0] * 4, c->head_dim);
	else
		memcpy(y, x, (size_t)p->n * sizeof(*y));
	for (int64_t i = 0; from->form == GGUF_PLUS && i < p->n; i++)
		y[i] += 1;
	for (int64_t i = 0; from->form == GGUF_RATES && i < p->n; i++)
		y[i] = (float)-exp((double)y[i]);
}

int
export_read(struct export *x, int tensor, float *y, struct err *err)
{
	const struct export_from *from = x->gguf != NULL ? NULL : &x->from[tensor];
	const struct param *p;
	float *all;
	int ret = 0;

	if (from == NULL)
		return gguf_decode(gguf_at(x->gguf, tensor), y, err);
	if (x->own)
		return model_read(&x->m, tensor, y, err);
	if (from->part == PART_FACTORS) {
		gguf_rope_factors(&x->m.config, from->name, y);
		return 0;
	}
	p = &x->m.params.p[from->param];
	if ((all = malloc((size_t)p->n * sizeof(*all))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < x->m.n_weights && ret == 0; i++)
		if (x->m.weight[i].param == from->param)
			ret = model_read(&x->m, i, all + x->m.weight[i].at, err);
	if (ret == 0)
		to_form(y, all, from, p, &x->m.config);
	free(all);
	return ret;
}

/* ---- saving ---- */

struct saving {
	struct export	*x;
	struct gguf_tensor *as;
	float		*y;
	int		 held;		/* the tensor that is in y, -1: none */
};

static int
fill(void *ctx, int tensor, int64_t at, void *p, int64_t n, struct err *err)
{
	struct saving *s = ctx;
	dtype type = gguf_block(s->as[tensor].type)->type;
	int64_t size = dtype_size(type);

	if (s->held != tensor && export_read(s->x, tensor, s->y, err) < 0)
		return -1;
	s->held = tensor;
	dtype_convert(p, type, s->y + at / size, DTYPE_F32, n / size);
	return 0;
}

/* The types to write.  Those that stay, of a file, are written as they lie there. */
static void
describe(struct saving *s, dtype type)
{
	for (int i = 0; i < s->x->n; i++) {
		struct gguf_tensor *t = &s->as[i];

		*t = s->x->tensor[i];
		if (type != DTYPE_NONE && export_free(s->x, i))
			t->type = (uint32_t)gguf_type_of(type);
		if (s->x->gguf != NULL && t->type == s->x->tensor[i].type)
			t->data = gguf_at(s->x->gguf, i)->data;
	}
}

/* What llama.cpp calls a file by the type of most of it: its table token_embd has it. */
static void
put_file_type(struct gguf_keys *k, const struct saving *s)
{
	static const int file_type[] = { [0] = 0, [1] = 1, [30] = 32 };

	for (int i = 0; i < s->x->n; i++)
		if (strcmp(s->as[i].name, "token_embd.weight") == 0 &&
		    (s->as[i].type < 2 || s->as[i].type == 30))
			gguf_put_u32(k, "general.file_type", file_type[s->as[i].type]);
}

int
export_save(struct export *x, const char *path, dtype type, struct err *err)
{
	struct saving s = { .x = x, .held = -1,
	    .as = calloc((size_t)x->n + 1, sizeof(*s.as)),
	    .y = malloc((size_t)(x->most + 1) * sizeof(*s.y)) };
	struct gguf_write w = { .keys = &x->keys, .n = x->n, .fill = fill, .ctx = &s };
	int ret;

	if (s.as == NULL || s.y == NULL) {
		ret = err_set(err, ERR_NOMEM, "out of memory");
	} else {
		describe(&s, type);
		put_file_type(&x->keys, &s);
		w.tensor = s.as;
		ret = gguf_save(path, &w, err);
	}
	free(s.as);
	free(s.y);
	return ret;
}
