/* The parameters of an adapter, and what a matrix becomes with them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/rng.h"
#include "fmt/safetensors.h"
#include "model/adapter_impl.h"
#include "model/sources_impl.h"

/* ---- parameters ---- */

static int
add(struct model *m, const char *module, const char *part, enum init_kind init, double std,
    int64_t n, int64_t k, struct err *err)
{
	char name[2 * NN_NAME];
	struct param *p;

	if (snprintf(name, sizeof(name), "%s.%s", module, part) >= NN_NAME)
		return err_set(err, ERR_LIMIT, "the name '%s' is too long", name);
	/* Decay would pull the sum towards the model, which is no better than it was. */
	p = params_add(&m->params, name, k > 0 ? 2 : 1, (int64_t[]){ n, k }, init, std, false,
	    err);
	if (p == NULL)
		return -1;
	p->type = params_wide(&m->params);
	return m->params.n - 1;
}

static int
declare_module(struct adapter *a, struct adapted *x, struct model *m, struct err *err)
{
	int64_t n = m->params.p[x->w].shape[0], k = m->params.p[x->w].shape[1];

	if (a->type == ADAPTER_IA3)
		return x->m = add(m, x->name, "ia3_l", INIT_ONES, 0, x->input ? k : n, 0, err);
	/* The variance of what PEFT draws: uniform within 1 / sqrt(k). */
	x->a = add(m, x->name, "lora_A.weight", INIT_NORMAL, 1 / sqrt(3 * (double)k), x->rank, k,
	    err);
	x->b = add(m, x->name, "lora_B.weight", INIT_ZEROS, 0, n, x->rank, err);
	if (a->type == ADAPTER_DORA)
		x->m = add(m, x->name, "lora_magnitude_vector", INIT_ONES, 0, n, 0, err);
	return x->a < 0 || x->b < 0 || (a->type == ADAPTER_DORA && x->m < 0) ? -1 : 0;
}

int
adapter_declare(struct model *m, struct err *err)
{
	struct adapter *a = m->adapter;

	if (adapter_match(a, m, err) < 0)
		return -1;
	for (int i = 0; i < m->params.n; i++)
		m->params.p[i].trainable = false;
	for (int i = 0; i < a->n; i++)
		if (declare_module(a, &a->module[i], m, err) < 0)
			return -1;
	return 0;
}

/* ---- what they are at first ---- */

static int
draw(struct params *ps, const struct param *p, uint64_t seed, double *x, struct err *err)
{
	uint64_t stream = hash64(str_of(p->name));

	for (int64_t i = 0; i < p->n; i++)
		x[i] = p->init == INIT_ONES ? 1 : p->init == INIT_ZEROS ? 0 :
		    p->std * rng_normal(seed, stream, (uint64_t)i);
	return param_upload(ps, p, 0, p->n, x, DTYPE_F64, err);
}

/* DoRA's magnitudes begin as the lengths of the rows. */
static int
lengths(struct params *ps, const struct param *w, const struct param *m, double *x,
    struct err *err)
{
	int64_t n = w->shape[0], k = w->shape[1];

	if (param_download(ps, w, 0, w->n, x, DTYPE_F64, err) < 0)
		return -1;
	for (int64_t i = 0; i < n; i++) {
		double sum = 0;

		for (int64_t j = 0; j < k; j++)
			sum += x[i * k + j] * x[i * k + j];
		x[i] = sqrt(sum);
	}
	return param_upload(ps, m, 0, n, x, DTYPE_F64, err);
}

static int
begin_module(const struct adapter *a, const struct adapted *x, struct params *ps, double *host,
    struct err *err)
{
	if (a->type == ADAPTER_IA3)
		return draw(ps, &ps->p[x->m], a->seed, host, err);
	if (draw(ps, &ps->p[x->a], a->seed, host, err) < 0 ||
	    draw(ps, &ps->p[x->b], a->seed, host, err) < 0)
		return -1;
	return a->type == ADAPTER_DORA ? lengths(ps, &ps->p[x->w], &ps->p[x->m], host, err) : 0;
}

static int
begin(const struct adapter *a, struct params *ps, struct err *err)
{
	int64_t most = 0;
	double *host;
	int ret = 0;

	for (int i = 0; i < ps->n; i++)
		most = ps->p[i].n > most ? ps->p[i].n : most;
	if ((host = malloc((size_t)most * sizeof(*host))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < a->n && ret == 0; i++)
		ret = begin_module(a, &a->module[i], ps, host, err);
	free(host);
	return ret;
}

/* head_dim: of a part whose rows lie in pairs; else 0. */
static int
load_part(struct params *ps, int i, const struct st_file *f, const char *module,
    const char *part, int64_t head_dim, int *used, struct err *err)
{
	const struct param *p = &ps->p[i];
	double *x = adapter_read(f, module, part, p->n, p->ndim == 2 ? p->shape[0] : 0, head_dim,
	    err);
	int ret = x == NULL ? -1 : param_upload(ps, p, 0, p->n, x, DTYPE_F64, err);

	(*used)++;
	free(x);
	return ret;
}

static int
load(struct model *m, const struct st_file *f, struct err *err)
{
	const struct adapter *a = m->adapter;
	struct params *ps = &m->params;
	int used = 0;

	for (int i = 0; i < a->n; i++) {
		const struct adapted *x = &a->module[i];
		int64_t head_dim = x->pairs ? m->config.head_dim : 0;

		if (x->a >= 0 && (load_part(ps, x->a, f, x->name, "lora_A.weight", 0, &used,
		    err) < 0 || load_part(ps, x->b, f, x->name, "lora_B.weight", head_dim,
		    &used, err) < 0))
			return -1;
		if (x->m >= 0 && load_part(ps, x->m, f, x->name, a->type == ADAPTER_IA3 ?
		    "ia3_l" : "lora_magnitude_vector", x->input ? 0 : head_dim, &used, err) < 0)
			return -1;
	}
	if (used != st_count(f))
		return err_set(err, ERR_FORMAT, "%d tensors, of which %d are for the targets",
		    st_count(f), used);
	return 0;
}

int
adapter_fill(struct model *m, struct err *err)
{
	struct adapter *a = m->adapter;
	struct st_file *f;
	int ret;

	if (a->dir[0] == '\0')
		ret = begin(a, &m->params, err);
	else if ((f = adapter_weights(a->dir, err)) == NULL)
		return -1;
	else {
		ret = load(m, f, err);
		st_close(f);
		if (ret < 0)
			err_wrap(err, "%s", a->dir);
	}
	return ret < 0 ? -1 : dev_wait(m->dev, err);
}

/* ---- recording ---- */

static struct tensor *
lora(const struct adapter *a, const struct adapted *x, struct tape *t, struct params *ps,
    struct tensor *in, struct tensor *bias)
{
	struct tensor *w = &ps->p[x->w].t, *pa = &ps->p[x->a].t, *pb = &ps->p[x->b].t;
	bool dora = a->type == ADAPTER_DORA;
	struct tensor *y = op_linear(t, in, w, dora ? NULL : bias), *r;

	y = op_add(t, y, op_linear(t, op_scale(t, op_linear(t, in, pa, NULL), NULL, NULL, NULL,
	    x->scale), pb, NULL));
	if (!dora)
		return y;
	r = op_row_norm(t, w, pa, pb, x->scale);
	return op_scale(t, y, &ps->p[x->m].t, r, bias, 1 / sqrt((double)w->shape[1]));
}

struct tensor *
adapter_linear(struct adapter *a, struct tape *t, struct params *ps, struct tensor *x,
    struct tensor *w, struct tensor *bias)
{
	struct adapted *at = NULL;

	for (int i = 0; i < a->n && at == NULL && w != NULL; i++)
		if (&ps->p[a->module[i].w].t == w)
			at = &a->module[i];
	if (at == NULL)
		return op_linear(t, x, w, bias);
	at->recorded = true;
	if (a->type != ADAPTER_IA3)
		return lora(a, at, t, ps, x, bias);
	if (at->input)
		return op_linear(t, op_scale(t, x, &ps->p[at->m].t, NULL, NULL, 1), w, bias);
	return op_scale(t, op_linear(t, x, w, bias), &ps->p[at->m].t, NULL, NULL, 1);
}

int
adapter_recorded(const struct adapter *a, struct err *err)
{
	for (int i = 0; i < a->n; i++)
		if (!a->module[i].recorded)
			return err_set(err, ERR_ARG, "'%s' is no linear layer that can be adapted",
			    a->module[i].name);
	return 0;
}
