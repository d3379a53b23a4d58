/* Weights in: from the files of a model to its parameters. */
#include <stdlib.h>

#include "model/adapter_impl.h"
#include "model/sources_impl.h"

int
model_read(struct model *m, int weight, float *y, struct err *err)
{
	const struct weight *w = &m->weight[weight];

	return m->dev == NULL ? sources_read(m->files, m, weight, y, err) :
	    param_download(&m->params, &m->params.p[w->param], w->at, w->n, y, DTYPE_F32, err);
}

/* As it is in the file, when it lies there so: no rounding of F64 on a reference device. */
static int
load_weight(struct model *m, const struct sources *f, int i, float *x, struct err *err)
{
	const struct source *s = &f->source[i];
	const struct weight *w = &m->weight[i];
	const struct param *p = &m->params.p[w->param];

	if (dtype_block(s->type) == 1 && s->form == FORM_SAME)
		return param_upload(&m->params, p, w->at, w->n, s->data, s->type, err);
	if (sources_read(f, m, i, x, err) < 0)
		return -1;
	return param_upload(&m->params, p, w->at, w->n, x, DTYPE_F32, err);
}

/* ---- weights that stay in the mapping ---- */

/*
 * Can kernels read a matrix of this type beside activations of the compute
 * type, and lose nothing of what was asked for?
 */
static bool
is_read(const struct params *ps, const struct param *p, dtype type)
{
	int64_t block = dtype_block(type);

	if (params_wide(ps) != DTYPE_F32)
		return false;
	if (type == p->type)
		return true;
	if (!p->decay)		/* read by other kernels than those of products */
		return false;
	if (block > 1)
		return p->shape[p->ndim - 1] % block == 0;
	return p->type == DTYPE_F32 && (type == DTYPE_F16 || type == DTYPE_BF16);
}

/* The one weight of each parameter, -1 where it has several. */
static void
find_single(const struct model *m, int *single)
{
	for (int i = 0; i < m->params.n; i++)
		single[i] = -2;
	for (int i = 0; i < m->n_weights; i++) {
		int *s = &single[m->weight[i].param];

		*s = *s == -2 ? i : -1;
	}
}

/* A stack of experts is one tensor in GGUF: its first weight lies where it does. */
static int
whole_weight(const struct model *m, const struct sources *f, const int *single, int param)
{
	if (single[param] >= 0)
		return single[param];
	for (int i = 0; i < m->n_weights && f->gguf != NULL; i++)
		if (m->weight[i].param == param && m->weight[i].at == 0)
			return i;
	return -1;
}

/* DoRA takes the lengths of rows, which no kernel has of blocks. */
static bool
may_map(const struct model *m, const struct param *p, bool grads, dtype type)
{
	if (m->writable || p->ndim < 2 || (grads && p->trainable))
		return false;
	return m->adapter == NULL || m->adapter->type != ADAPTER_DORA || dtype_block(type) == 1;
}

/*
 * 1 when it stays where the files have it, or as blocks of what they pack; 0, or -1.
 * Without a device only its type is settled.
 */
static int
map_weight(struct model *m, struct sources *f, int i, struct dev *dev, bool grads,
    struct err *err)
{
	struct param *p = &m->params.p[m->weight[i].param];
	dtype type = f->source[i].form == FORM_PACKED ? DTYPE_Q8_0 : f->source[i].type;
	const void *data;
	int got;

	/* Blocks of 32 are all alike in this. */
	if (!is_read(&m->params, p, type) || !may_map(m, p, grads, type))
		return 0;
	got = sources_blocks(f, i, &type, dev != NULL ? &data : NULL, err);
	if (got > 0 && dev == NULL) {
		p->type = type;
		p->mapped = true;
		p->trainable = false;
	} else if (got > 0)
		got = param_map(&m->params, p, dev, data, type, err) < 0 ? -1 : 1;
	return got;
}

/* Whether any is mapped, or -1. */
static int
map_weights(struct model *m, struct sources *f, struct dev *dev, bool grads, struct err *err)
{
	int *single = malloc(((size_t)m->params.n + 1) * sizeof(*single));
	int ret = 0, any = 0;

	if (single == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	find_single(m, single);
	for (int i = 0; i < m->params.n && ret == 0; i++) {
		int w = whole_weight(m, f, single, i);

		if (w >= 0 && (ret = map_weight(m, f, w, dev, grads, err)) > 0) {
			any = 1;
			ret = 0;
		}
	}
	free(single);
	return ret < 0 ? -1 : any;
}

static int
load_all(struct model *m, const struct sources *f, struct err *err)
{
	int64_t most = 1;
	float *x;
	int ret = 0;

	for (int i = 0; i < m->n_weights; i++)
		most = m->weight[i].n > most ? m->weight[i].n : most;
	if ((x = malloc((size_t)most * sizeof(*x))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < m->n_weights && ret == 0; i++)
		if (!m->params.p[m->weight[i].param].mapped)
			ret = load_weight(m, f, i, x, err);
	free(x);
	return ret < 0 ? -1 : dev_wait(m->dev, err);
}

int
model_reload(struct model *m, const char *path, struct err *err)
{
	struct config c;
	struct sources *f = sources_open(path, &c, err);
	int ret;

	if (f == NULL)
		return -1;
	ret = sources_match(f, m, err) < 0 || load_all(m, f, err) < 0 ? -1 : 0;
	sources_close(f);
	return ret < 0 ? err_wrap(err, "%s", path) : 0;
}

int
model_open(struct model *m, const char *path, struct err *err)
{
	struct config c;

	if ((m->files = sources_open(path, &c, err)) == NULL)
		return -1;
	if (model_declare(m, &c, err) < 0 || sources_match(m->files, m, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

int
model_load(struct model *m, const char *path, struct dev *dev, bool grads, struct err *err)
{
	int mapped;

	if (model_open(m, path, err) < 0)
		return -1;
	m->dev = dev;
	mapped = map_weights(m, m->files, dev, grads, err);
	if (mapped < 0 || params_place(&m->params, dev, grads, err) < 0 ||
	    load_all(m, m->files, err) < 0)
		return err_wrap(err, "%s", path);
	if (mapped == 0) {
		sources_close(m->files);
		m->files = NULL;
	}
	if (m->adapter != NULL && adapter_fill(m, err) < 0)
		return -1;
	return m->adapters != NULL ? adapters_fill(m, err) : 0;
}

/* ---- what they take ---- */

int64_t
model_weights(struct model *m, struct err *err)
{
	int64_t bytes;

	if (map_weights(m, m->files, NULL, false, err) < 0 || params_seal(&m->params, err) < 0)
		return -1;
	bytes = params_bytes(&m->params, false);
	for (int i = 0; i < m->params.n; i++)
		if (m->params.p[i].mapped)
			bytes += dtype_bytes(m->params.p[i].type, m->params.p[i].n);
	return bytes;
}

void
model_touch(const struct model *m, const atomic_bool *stop)
{
	const int64_t page = 4096;

	for (int i = 0; m->files != NULL && i < m->n_weights; i++) {
		const struct source *s = &m->files->source[i];
		const volatile char *at = s->data;
		int64_t n = m->params.p[m->weight[i].param].mapped && s->form != FORM_PACKED ?
		    dtype_bytes(s->type, m->weight[i].n) : 0;

		for (int64_t k = 0; k < n && !atomic_load(stop); k += page)
			(void)at[k];
	}
}

/* ---- a parameter in another model of the same shape ---- */

static bool
has_pairs(const struct model *m, int param)
{
	for (int i = 0; i < m->n_weights; i++)
		if (m->weight[i].param == param && m->weight[i].pairs)
			return true;
	return false;
}

int
model_lend(const struct model *m, int i, const struct model *to, struct param *p, void **copy,
    struct err *err)
{
	bool pairs = has_pairs(to, i);
	int64_t rows, bytes;
	char *own;
	int ret;

	*p = m->params.p[i];
	*copy = NULL;
	if (pairs == has_pairs(m, i))
		return 0;
	rows = p->shape[0];
	bytes = dtype_bytes(p->type, p->n);
	own = malloc((size_t)bytes);
	if (own == NULL || (*copy = malloc((size_t)bytes)) == NULL) {
		free(own);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	dev_download(m->dev, own, p->data, bytes);
	if ((ret = dev_wait(m->dev, err)) == 0) {
		(pairs ? rows_to_pairs : rows_to_halves)(*copy, own, rows, bytes / rows,
		    m->config.head_dim);
		p->data = dev_import(m->dev, *copy, bytes, err);
		ret = p->data.at == 0 ? -1 : 0;
	}
	free(own);
	return ret;
}
