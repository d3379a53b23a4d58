/*
 * An adapter's change put into the matrices themselves, in double:
 *	LoRA	w + s b a
 *	DoRA	the rows of that, scaled to lengths m
 *	IA3	rows (and the bias), or columns, times its vector
 * and sums of whole models.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fmt/safetensors.h"
#include "model/adapter_impl.h"
#include "model/sources_impl.h"
#include "model/merge.h"

struct merge {
	struct adapter	*a;
	struct model	*m;
	const struct st_file *f;
	double		 weight;
	double		*w, *new, *part[3];	/* a matrix, what it becomes; a, b, m */
};

static int
read_part(struct merge *g, int k, const char *module, const char *part, int64_t n,
    int64_t lead, bool pairs, struct err *err)
{
	free(g->part[k]);
	g->part[k] = adapter_read(g->f, module, part, n, lead,
	    pairs ? g->m->config.head_dim : 0, err);
	return g->part[k] == NULL ? -1 : 0;
}

static int
add_lora(struct merge *g, const struct adapted *x, int64_t n, int64_t k, struct err *err)
{
	if (read_part(g, 0, x->name, "lora_A.weight", x->rank * k, x->rank, false, err) < 0 ||
	    read_part(g, 1, x->name, "lora_B.weight", n * x->rank, n, x->pairs, err) < 0 ||
	    (g->a->type == ADAPTER_DORA &&
	    read_part(g, 2, x->name, "lora_magnitude_vector", n, 0, x->pairs, err) < 0))
		return -1;
	for (int64_t i = 0; i < n; i++) {
		double *row = g->new + i * k, sum = 0;

		for (int64_t r = 0; r < x->rank; r++) {
			double b = x->scale * g->part[1][i * x->rank + r];
			const double *a = g->part[0] + r * k;

			for (int64_t j = 0; j < k; j++)
				row[j] += b * a[j];
		}
		if (g->a->type != ADAPTER_DORA)
			continue;
		for (int64_t j = 0; j < k; j++)
			sum += row[j] * row[j];
		for (int64_t j = 0; j < k; j++)
			row[j] *= g->part[2][i] / sqrt(sum);
	}
	return 0;
}

static int
multiply(struct merge *g, const struct adapted *x, int64_t n, int64_t k, struct err *err)
{
	if (read_part(g, 2, x->name, "ia3_l", x->input ? k : n, 0, x->pairs && !x->input,
	    err) < 0)
		return -1;
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j < k; j++)
			g->new[i * k + j] *= g->part[2][x->input ? j : i];
	return 0;
}

/* p = w + weight (new - w) */
static int
put(struct merge *g, const struct param *p, struct err *err)
{
	for (int64_t i = 0; i < p->n; i++)
		g->new[i] = g->w[i] + g->weight * (g->new[i] - g->w[i]);
	return param_upload(&g->m->params, p, 0, p->n, g->new, DTYPE_F64, err);
}

static int
take(struct merge *g, const struct param *p, struct err *err)
{
	free(g->w);
	free(g->new);
	g->w = malloc((size_t)p->n * sizeof(double));
	g->new = malloc((size_t)p->n * sizeof(double));
	if (g->w == NULL || g->new == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (param_download(&g->m->params, p, 0, p->n, g->w, DTYPE_F64, err) < 0)
		return -1;
	memcpy(g->new, g->w, (size_t)p->n * sizeof(double));
	return 0;
}

static int
merge_module(struct merge *g, const struct adapted *x, struct err *err)
{
	const struct param *p = &g->m->params.p[x->w], *bias;
	int64_t n = p->shape[0], k = p->shape[1];

	if (take(g, p, err) < 0)
		return -1;
	if ((g->a->type == ADAPTER_IA3 ? multiply(g, x, n, k, err) :
	    add_lora(g, x, n, k, err)) < 0 || put(g, p, err) < 0)
		return -1;
	if (g->a->type != ADAPTER_IA3 || x->input || x->bias < 0)
		return 0;
	bias = &g->m->params.p[x->bias];
	if (take(g, bias, err) < 0)
		return -1;
	for (int64_t i = 0; i < n; i++)
		g->new[i] *= g->part[2][i];
	return put(g, bias, err);
}

static int
merge_all(struct merge *g, struct err *err)
{
	int each = g->a->type == ADAPTER_LORA ? 2 : g->a->type == ADAPTER_DORA ? 3 : 1;

	if (adapter_match(g->a, g->m, err) < 0)
		return -1;
	if (st_count(g->f) != each * g->a->n)
		return err_set(err, ERR_FORMAT, "%d tensors, of which %d are for the targets",
		    st_count(g->f), each * g->a->n);
	for (int i = 0; i < g->a->n; i++)
		if (merge_module(g, &g->a->module[i], err) < 0)
			return -1;
	return dev_wait(g->m->dev, err);
}

int
adapter_merge(struct model *m, const char *dir, double weight, struct err *err)
{
	struct merge g = { .m = m, .weight = weight };
	struct st_file *f = NULL;
	int ret = -1;

	if ((g.a = adapter_open(dir, err)) != NULL && (f = adapter_weights(dir, err)) != NULL) {
		g.f = f;
		if ((ret = merge_all(&g, err)) < 0)
			err_wrap(err, "%s", dir);
	}
	for (int i = 0; i < 3; i++)
		free(g.part[i]);
	free(g.w);
	free(g.new);
	st_close(f);
	adapter_free(g.a);
	return ret;
}

int
adapter_adds(const char *dir, struct err *err)
{
	struct adapter *a = adapter_open(dir, err);
	int adds = a == NULL ? -1 : a->type == ADAPTER_LORA;

	adapter_free(a);
	return adds;
}

/* ---- models ---- */

static int
mix_params(struct model *m, double a, struct model *other, double b, struct err *err)
{
	int64_t most = 0;
	double *x, *y;
	int ret = 0;

	for (int i = 0; i < m->params.n; i++)
		most = m->params.p[i].n > most ? m->params.p[i].n : most;
	x = malloc((size_t)most * sizeof(*x));
	y = malloc((size_t)most * sizeof(*y));
	if (x == NULL || y == NULL)
		ret = err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < m->params.n && ret == 0; i++) {
		const struct param *p = &m->params.p[i], *q = &other->params.p[i];

		if (i >= other->params.n || strcmp(p->name, q->name) != 0 || p->n != q->n)
			ret = err_set(err, ERR_ARG, "the models differ from parameter '%s' on",
			    p->name);
		else if ((ret = param_download(&m->params, p, 0, p->n, x, DTYPE_F64, err)) == 0)
			ret = param_download(&other->params, q, 0, q->n, y, DTYPE_F64, err);
		for (int64_t k = 0; k < p->n && ret == 0; k++)
			x[k] = a * x[k] + b * y[k];
		if (ret == 0)
			ret = param_upload(&m->params, p, 0, p->n, x, DTYPE_F64, err);
	}
	free(x);
	free(y);
	return ret < 0 ? -1 : dev_wait(m->dev, err);
}

int
model_mix(struct model *m, double a, const char *dir, double b, struct err *err)
{
	struct model other = { .dev = NULL };
	int ret = model_load(&other, dir, m->dev, false, err);

	if (ret == 0 && other.params.n != m->params.n)
		ret = err_set(err, ERR_ARG, "%s: %d parameters, not %d", dir, other.params.n,
		    m->params.n);
	if (ret == 0 && (ret = mix_params(m, a, &other, b, err)) < 0)
		err_wrap(err, "%s", dir);
	model_free(&other);
	return ret;
}
