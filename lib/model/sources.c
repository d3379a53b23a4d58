#include "model/sources_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/quant.h"
#include "fmt/gguf.h"
#include "fmt/safetensors.h"
#include "model/gguf_impl.h"

/* Layers that predict ahead are often named by a config and left out of the files. */
static void
drop_ahead(struct config *c, const struct st_file *f)
{
	char name[2 * NN_NAME];

	model_layer_prefix(c, c->layers, name);
	snprintf(name + strlen(name), NN_NAME, "eh_proj.weight");
	if (c->ahead > 0 && st_find(f, name) == NULL)
		c->ahead = 0;
}

static int
open_directory(struct sources *f, const char *path, struct config *c, struct err *err)
{
	char file[MODEL_PATH + 16];
	json_t *doc;
	int ret;

	if (config_load(c, path, err) < 0)
		return -1;
	snprintf(file, sizeof(file), "%s/config.json", path);
	if ((doc = json_doc_load(file, err)) == NULL)
		return -1;
	ret = packing_read(&f->packing, doc, err);
	json_decref(doc);
	if (ret < 0)
		return err_wrap(err, "%s", file);
	if ((f->st = st_open(path, err)) == NULL)
		return -1;
	drop_ahead(c, f->st);
	return 0;
}

static int
open_gguf(struct sources *f, const char *path, struct config *c, struct err *err)
{
	if ((f->gguf = gguf_open(path, err)) == NULL)
		return -1;
	if (gguf_config_read(c, f->gguf, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

struct sources *
sources_open(const char *path, struct config *c, struct err *err)
{
	struct sources *f = calloc(1, sizeof(*f));
	struct stat st;
	bool file = stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
	int ret;

	if (f == NULL)
		ret = err_set(err, ERR_NOMEM, "out of memory");
	else if (!file)
		ret = open_directory(f, path, c, err);
	else if (gguf_is(path))
		ret = open_gguf(f, path, c, err);
	else
		ret = err_set(err, ERR_FORMAT, "%s: not a directory: a model is one, with "
		    "config.json and safetensors, or a GGUF file", path);
	if (ret == 0)
		return f;
	sources_close(f);
	return NULL;
}

void
sources_close(struct sources *f)
{
	if (f == NULL)
		return;
	st_close(f->st);
	gguf_close(f->gguf);
	free(f->source);
	free(f->packed);
	for (int i = 0; i < f->n_blocks; i++)
		free(f->blocks[i]);
	free(f->blocks);
	free(f);
}

int
sources_match(struct sources *f, struct model *m, struct err *err)
{
	int ret;

	if ((f->source = calloc((size_t)m->n_weights, sizeof(*f->source))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	ret = f->gguf != NULL ? gguf_match(f, m, err) : st_match(f, m, err);
	for (int i = 0; i < m->n_weights && ret == 0; i++) {
		dtype type = f->source[i].type;

		m->weight[i].type = dtype_block(type) > 1 ? DTYPE_NONE :
		    type == DTYPE_F64 ? DTYPE_F32 : type;
	}
	return ret;
}

bool
source_quantized(const struct source *s)
{
	return s->form == FORM_PACKED || dtype_block(s->type) > 1;
}

/* ---- elements in another order ---- */

void
rows_to_pairs(void *y, const void *x, int64_t rows, int64_t bytes, int64_t head_dim)
{
	for (int64_t r = 0; r < rows; r++) {
		int64_t i = r % head_dim, from = r - i + i / 2 + (i % 2) * (head_dim / 2);

		memcpy((char *)y + r * bytes, (const char *)x + from * bytes, (size_t)bytes);
	}
}

void
rows_to_halves(void *y, const void *x, int64_t rows, int64_t bytes, int64_t head_dim)
{
	int64_t half = head_dim / 2;

	for (int64_t r = 0; r < rows; r++) {
		int64_t i = r % head_dim, from = r - i + (i % half) * 2 + i / half;

		memcpy((char *)y + r * bytes, (const char *)x + from * bytes, (size_t)bytes);
	}
}

void
rows_turned(float *y, const float *x, int64_t n, int64_t k)
{
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j < k; j++)
			y[i * k + j] = x[j * n + i];
}

/* ---- reading ---- */

static void
decode(float *y, const void *x, dtype type, int64_t n)
{
	if (dtype_block(type) > 1)
		quant_decode(type, y, x, n);
	else
		dtype_convert(y, DTYPE_F32, x, type, n);
}

/*
 * kv_b's rows of a head are those that make its keys, then its values.  GGUF
 * has keys as (heads, rank, nope) and values as (heads, v_dim, rank).
 */
static void
join_latent(float *y, const float *x, const struct config *c)
{
	const int64_t rank = c->kv_rank, nope = c->head_dim - c->rope_dims, v = c->v_dim;
	const float *value = x + c->heads * nope * rank;

	for (int64_t h = 0; h < c->heads; h++) {
		rows_turned(y, x + h * nope * rank, nope, rank);
		memcpy(y + nope * rank, value + h * v * rank, (size_t)(v * rank) * sizeof(*y));
		y += (nope + v) * rank;
	}
}

static void
reorder(float *y, const float *x, const struct source *s, const struct weight *w,
    const struct config *c)
{
	int64_t rows = w->shape[0], cols = w->n / rows;

	if (s->form == FORM_TURNED)
		rows_turned(y, x, cols, rows);
	else if (s->form == FORM_LATENT)
		join_latent(y, x, c);
	else
		rows_to_pairs(y, x, rows, cols * 4, c->head_dim);
}

int
sources_blocks(struct sources *f, int weight, dtype *type, const void **data, struct err *err)
{
	const struct source *s = &f->source[weight];
	void *blocks;
	int got;

	*type = s->type;
	if (data != NULL)
		*data = s->data;
	if (s->form != FORM_PACKED)
		return s->form == FORM_SAME && (dtype_block(s->type) > 1 ||
		    (uintptr_t)s->data % (uintptr_t)dtype_size(s->type) == 0);
	if ((got = packing_blocks(s->packed, type, data != NULL ? &blocks : NULL, err)) > 0 &&
	    data != NULL)
		*data = f->blocks[f->n_blocks++] = blocks;
	return got;
}

int
sources_read(const struct sources *f, const struct model *m, int weight, float *y, struct err *err)
{
	const struct source *s = &f->source[weight];
	const struct weight *w = &m->weight[weight];
	const struct config *c = &m->config;
	int64_t first = s->form == FORM_LATENT ?
	    c->heads * (c->head_dim - c->rope_dims) * c->kv_rank : w->n;
	float *x = y;

	if (s->form == FORM_PACKED)
		return packing_decode(s->packed, y, err);
	if (s->form == FORM_TURNED || s->form == FORM_HALVES || s->form == FORM_LATENT)
		x = malloc((size_t)w->n * sizeof(*x));
	if (x == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	decode(x, s->data, s->type, first);
	if (first < w->n)
		decode(x + first, s->other, s->other_type, w->n - first);
	if (x != y) {
		reorder(y, x, s, w, c);
		free(x);
	}
	for (int64_t i = 0; s->form == FORM_PLUS && i < w->n; i++)
		y[i] -= 1;
	for (int64_t i = 0; s->form == FORM_RATES && i < w->n; i++)
		y[i] = (float)log(-(double)y[i]);
	return 0;
}
