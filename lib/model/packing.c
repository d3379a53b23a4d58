/*
 * Weights that other programs quantized, in safetensors: FP8 with scales
 * (DeepSeek, compressed-tensors), integers of GPTQ and AWQ, and those of
 * compressed-tensors, packed or not.  They become fp32 when they are read, but
 * for those that packing_blocks() makes blocks of.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fmt/safetensors.h"
#include "model/packing_impl.h"

/* ---- quantization_config ---- */

static int64_t
size_in(const json_t *o, const char *key, int64_t def)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) && json_integer_value(v) > 0 ? json_integer_value(v) : def;
}

static bool
is(const json_t *o, const char *key, const char *value)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL && strcmp(s, value) == 0;
}

/* Modules may be of several groups of settings, as long as their tensors tell them apart. */
static int
read_compressed(struct packing *p, const json_t *q, struct err *err)
{
	static const char *const formats[] = { "pack-quantized", "int-quantized",
	    "float-quantized", "naive-quantized" };
	const json_t *groups = json_object_get(q, "config_groups"), *block = NULL, *v;
	const char *name;
	bool known = false;

	for (int i = 0; i < 4; i++)
		known |= is(q, "format", formats[i]);
	if (!known)
		return err_set(err, ERR_FORMAT, "compressed-tensors of this format are not "
		    "supported");
	p->bits = 0;
	json_object_foreach((json_t *)(uintptr_t)groups, name, v) {
		const json_t *weights = json_object_get(v, "weights");
		int64_t bits = size_in(weights, "num_bits", 8);

		if (p->bits != 0 && (bits != p->bits || json_array_size(block) > 0 ||
		    json_array_size(json_object_get(weights, "block_structure")) > 0))
			return err_set(err, ERR_FORMAT, "compressed-tensors of several groups "
			    "that differ in bits, or have blocks, are not supported");
		p->bits = bits;
		block = json_object_get(weights, "block_structure");
	}
	if (p->bits == 0)
		return err_set(err, ERR_FORMAT, "compressed-tensors without 'config_groups' are "
		    "not supported");
	for (size_t i = 0; i < 2 && json_array_size(block) == 2; i++)
		p->block[i] = json_integer_value(json_array_get(block, i));
	return 0;
}

static int
check(const struct packing *p, struct err *err)
{
	if (p->bits != 2 && p->bits != 4 && p->bits != 8)
		return err_set(err, ERR_FORMAT, "weights of %" PRId64 " bits are not supported",
		    p->bits);
	for (int i = 0; i < 2; i++)
		if (p->block[i] < 0 || p->block[i] > SIZE_LIMIT)
			return err_set(err, ERR_FORMAT, "blocks of weights are out of range");
	return 0;
}

int
packing_read(struct packing *p, const json_t *config, struct err *err)
{
	const json_t *q = json_object_get(config, "quantization_config"), *block;

	*p = (struct packing){ .bits = 8 };
	if (q == NULL || json_is_null(q))
		return 0;
	if (is(q, "quant_method", "fp8")) {
		block = json_object_get(q, "weight_block_size");
		for (size_t i = 0; i < 2; i++)
			p->block[i] = json_array_size(block) == 2 ?
			    json_integer_value(json_array_get(block, i)) : 0;
	} else if (is(q, "quant_method", "gptq")) {
		p->bits = size_in(q, "bits", 4);
		p->less_one = !is(q, "checkpoint_format", "gptq_v2");
		p->symmetric = json_is_true(json_object_get(q, "sym"));
	} else if (is(q, "quant_method", "awq")) {
		p->bits = size_in(q, "bits", size_in(q, "w_bit", 4));
		p->interleaved = true;
		if (p->bits != 4 || (json_object_get(q, "version") != NULL &&
		    !is(q, "version", "gemm") && !is(q, "version", "GEMM")))
			return err_set(err, ERR_FORMAT, "AWQ of other than 4 bits, or other than "
			    "gemm, is not supported");
	} else if (is(q, "quant_method", "compressed-tensors")) {
		if (read_compressed(p, q, err) < 0)
			return -1;
	} else {
		return err_set(err, ERR_FORMAT, "'quantization_config': this quant_method is not "
		    "supported");
	}
	return check(p, err);
}

/* ---- finding the tensors of a weight ---- */

static const struct st_tensor *
part(const struct packed *w, packing_find *find, void *ctx, const char *suffix)
{
	char name[2 * NN_NAME];

	snprintf(name, sizeof(name), "%s.%s", w->module, suffix);
	return find(ctx, name);
}

static int
bad(const struct st_tensor *t, struct err *err)
{
	return err_set(err, ERR_FORMAT, "tensor '%s' is not of the type or shape that its weight "
	    "needs", t->name);
}

static bool
is_shape(const struct st_tensor *t, int64_t n, int64_t k)
{
	return t->ndim == 2 && t->shape[0] == n && t->shape[1] == k;
}

static bool
is_float(dtype t)
{
	return t == DTYPE_F32 || t == DTYPE_F16 || t == DTYPE_BF16;
}

/* Scales are one, one a row, or of blocks: block[] is how many rows and columns share one. */
static int
check_scale(struct packed *w, const struct packing *p, struct err *err)
{
	const struct st_tensor *s = w->scale;
	int64_t r = s->ndim > 0 ? s->shape[0] : 1, c = s->ndim > 1 ? s->shape[1] : 1;

	if (!is_float(s->type) || s->ndim > 2 || r < 1 || c < 1)
		return bad(s, err);
	w->block[0] = p->block[0] > 0 && r > 1 ? p->block[0] : (w->n + r - 1) / r;
	w->block[1] = p->block[1] > 0 && c > 1 ? p->block[1] : (w->k + c - 1) / c;
	if ((w->n + w->block[0] - 1) / w->block[0] != r ||
	    (w->k + w->block[1] - 1) / w->block[1] != c)
		return bad(s, err);
	w->groups = c;
	return 0;
}

/* Which group each column is of, where groups do not follow each other. */
static int
check_order(const struct packed *w, struct err *err)
{
	const struct st_tensor *t = w->order;
	int32_t g;

	if (t == NULL)
		return 0;
	if (t->type != DTYPE_I32 || t->ndim != 1 || t->shape[0] != w->k)
		return bad(t, err);
	for (int64_t j = 0; j < w->k; j++) {
		memcpy(&g, (const char *)t->data + 4 * j, 4);
		if (g < 0 || g >= w->groups)
			return bad(t, err);
	}
	return 0;
}

/* FP8 or bytes, one element each. */
static int
match_plain(struct packed *w, const struct packing *p, packing_find *find, void *ctx,
    struct err *err)
{
	if ((w->scale = part(w, find, ctx, "weight_scale_inv")) == NULL &&
	    (w->scale = part(w, find, ctx, "weight_scale")) == NULL)
		return err_set(err, ERR_FORMAT, "no tensor '%s.weight_scale'", w->module);
	part(w, find, ctx, "input_scale");
	w->bits = 8;
	w->zero = part(w, find, ctx, "weight_zero_point");
	if (!is_shape(w->q, w->n, w->k))
		return bad(w->q, err);
	if (w->zero != NULL && (w->zero->type != DTYPE_I8 || w->q->type != DTYPE_I8 ||
	    w->zero->ndim != w->scale->ndim || w->zero->bytes != st_bytes(DTYPE_I8,
	    w->scale->ndim, w->scale->shape)))
		return bad(w->zero, err);
	return check_scale(w, p, err);
}

/* Words along the columns, of compressed-tensors. */
static int
match_rows(struct packed *w, const struct packing *p, packing_find *find, void *ctx,
    struct err *err)
{
	const int64_t each = 32 / p->bits;

	w->kind = PACKED_ROWS;
	w->bits = p->bits;
	part(w, find, ctx, "weight_shape");
	w->zero = part(w, find, ctx, "weight_zero_point");
	w->order = part(w, find, ctx, "weight_g_idx");
	if ((w->scale = part(w, find, ctx, "weight_scale")) == NULL)
		return err_set(err, ERR_FORMAT, "no tensor '%s.weight_scale'", w->module);
	if (w->q->type != DTYPE_I32 || !is_shape(w->q, w->n, (w->k + each - 1) / each))
		return bad(w->q, err);
	if (check_scale(w, p, err) < 0)
		return -1;
	if (w->zero != NULL && (w->zero->type != DTYPE_I32 || w->block[0] != 1 ||
	    !is_shape(w->zero, (w->n + each - 1) / each, w->groups)))
		return bad(w->zero, err);
	return check_order(w, err);
}

/* Words along the inputs (GPTQ), or the outputs (AWQ), of the transpose. */
static int
match_columns(struct packed *w, const struct packing *p, packing_find *find, void *ctx,
    struct err *err)
{
	const int64_t each = 32 / p->bits;
	uint32_t first = 0;

	w->kind = p->interleaved ? PACKED_AWQ : PACKED_GPTQ;
	w->bits = p->bits;
	w->scale = part(w, find, ctx, "scales");
	w->zero = part(w, find, ctx, "qzeros");
	w->order = part(w, find, ctx, "g_idx");
	if (w->scale == NULL || w->zero == NULL)
		return err_set(err, ERR_FORMAT, "no tensors '%s.scales' and '%s.qzeros'",
		    w->module, w->module);
	if (w->n % each != 0 || w->k % each != 0 || w->q->type != DTYPE_I32 ||
	    !(p->interleaved ? is_shape(w->q, w->k, w->n / each) :
	    is_shape(w->q, w->k / each, w->n)))
		return bad(w->q, err);
	w->groups = w->scale->ndim == 2 ? w->scale->shape[0] : 0;
	if (w->groups < 1 || !is_float(w->scale->type) || w->scale->shape[1] != w->n ||
	    w->k % w->groups != 0)
		return bad(w->scale, err);
	w->block[1] = w->k / w->groups;
	if (w->zero->type != DTYPE_I32 || !is_shape(w->zero, w->groups, w->n / each))
		return bad(w->zero, err);
	/* Some files say the wrong version: of symmetric ones the middle is 8. */
	memcpy(&first, w->zero->data, 4);
	w->less_one = p->less_one && !(p->symmetric && p->bits == 4 && first == 0x88888888);
	return check_order(w, err);
}

int
packing_match(struct packed *w, const struct packing *p, const char *name, int64_t n, int64_t k,
    packing_find *find, void *ctx, struct err *err)
{
	*w = (struct packed){ .n = n, .k = k };
	snprintf(w->module, sizeof(w->module), "%.*s", (int)strlen(name) - 7, name);
	if (!str_ends(str_of(name), S(".weight")))
		return 0;
	if ((w->q = part(w, find, ctx, "weight")) != NULL) {
		if (w->q->type != DTYPE_F8_E4M3 && w->q->type != DTYPE_F8_E5M2 &&
		    w->q->type != DTYPE_I8)
			return 0;
		return match_plain(w, p, find, ctx, err) < 0 ? -1 : 1;
	}
	if ((w->q = part(w, find, ctx, "weight_packed")) != NULL)
		return match_rows(w, p, find, ctx, err) < 0 ? -1 : 1;
	if ((w->q = part(w, find, ctx, "qweight")) != NULL)
		return match_columns(w, p, find, ctx, err) < 0 ? -1 : 1;
	return 0;
}

/* ---- decoding ---- */

/* Number i of those that are packed in words, the lowest first. */
static int
number(const void *words, int64_t i, int bits)
{
	uint8_t b = ((const uint8_t *)words)[i * bits / 8];

	return b >> (i * bits % 8) & ((1 << bits) - 1);
}

/* Where AWQ has column j of the eight of a word. */
static int64_t
awq_place(int64_t j)
{
	static const uint8_t place[8] = { 0, 4, 1, 5, 2, 6, 3, 7 };

	return j / 8 * 8 + place[j % 8];
}

int64_t
packed_group(const struct packed *w, int64_t j)
{
	int32_t g;

	if (w->order == NULL)
		return j / w->block[1];
	memcpy(&g, (const char *)w->order->data + 4 * j, 4);
	return g;
}

int64_t
packed_scale(const struct packed *w, int64_t i, int64_t g)
{
	return w->kind == PACKED_PLAIN || w->kind == PACKED_ROWS ?
	    i / w->block[0] * w->groups + g : g * w->n + i;
}

int
packed_zero(const struct packed *w, int64_t i, int64_t g)
{
	const int bits = (int)w->bits;

	switch (w->kind) {
	case PACKED_PLAIN:
		return w->zero == NULL ? 0 :
		    ((const int8_t *)w->zero->data)[packed_scale(w, i, g)];
	case PACKED_ROWS:
		/* Zeros are packed down the rows. */
		return w->zero == NULL ? 1 << (bits - 1) :
		    number((const char *)w->zero->data + (i / (32 / bits) * w->groups + g) * 4,
		    i % (32 / bits), bits);
	case PACKED_GPTQ:
		return number(w->zero->data, g * w->n + i, bits) + w->less_one;
	default:
		return number(w->zero->data, g * w->n + awq_place(i), bits);
	}
}

void
packed_integers(const struct packed *w, int64_t i, int64_t j, int n, int *to)
{
	const int bits = (int)w->bits;
	const int64_t each = 32 / bits;

	switch (w->kind) {
	case PACKED_PLAIN:
		for (int k = 0; k < n; k++)
			to[k] = ((const int8_t *)w->q->data)[i * w->k + j + k];
		break;
	case PACKED_ROWS:
		for (int k = 0; k < n; k++)
			to[k] = number(w->q->data, i * w->q->shape[1] * each + j + k, bits);
		break;
	case PACKED_GPTQ:
		for (int k = 0; k < n; k++)
			to[k] = number((const char *)w->q->data + ((j + k) / each * w->n + i) * 4,
			    (j + k) % each, bits);
		break;
	default:
		i = awq_place(i);
		for (int k = 0; k < n; k++)
			to[k] = number(w->q->data, (j + k) * w->n + i, bits);
	}
}

static float
element(const struct packed *w, const float *scale, int64_t i, int64_t j)
{
	int64_t g = packed_group(w, j);
	float s = scale[packed_scale(w, i, g)];
	int q;

	if (w->kind == PACKED_PLAIN && w->q->type != DTYPE_I8)
		return f8_to_f32(((const uint8_t *)w->q->data)[i * w->k + j],
		    w->q->type == DTYPE_F8_E5M2) * s;
	packed_integers(w, i, j, 1, &q);
	return (float)(q - packed_zero(w, i, g)) * s;
}

int
packing_decode(const struct packed *w, float *y, struct err *err)
{
	int64_t n = w->scale->bytes / dtype_size(w->scale->type);
	float *scale = malloc((size_t)n * sizeof(*scale));

	if (scale == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	dtype_convert(scale, DTYPE_F32, w->scale->data, w->scale->type, n);
	for (int64_t i = 0; i < w->n; i++)
		for (int64_t j = 0; j < w->k; j++)
			y[i * w->k + j] = element(w, scale, i, j);
	free(scale);
	return 0;
}
