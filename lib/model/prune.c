#include "model/prune.h"

#include <math.h>
#include <stdlib.h>

#include "model/gguf_impl.h"

static float
score(const float *y, const float *w, int64_t i)
{
	return w != NULL ? fabsf(y[i]) * sqrtf(w[i]) : fabsf(y[i]);
}

static int
by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* Of each four the two with the least scores; the later one where they are alike. */
static void
two_of_four(float *y, const float *w, int64_t n)
{
	for (int64_t i = 0; i + 4 <= n; i += 4) {
		float s[4];

		for (int k = 0; k < 4; k++)
			s[k] = score(y, w, i + k);
		for (int k = 0; k < 4; k++) {
			int better = 0;

			for (int j = 0; j < 4; j++)
				better += s[j] > s[k] || (s[j] == s[k] && j < k);
			if (better >= 2)
				y[i + k] = 0;
		}
	}
}

void
prune_row(float *y, const float *w, int64_t n, const struct prune_options *o, float *scratch)
{
	int64_t count = (int64_t)(o->share * (double)n);
	float limit;

	if (o->two_of_four) {
		two_of_four(y, w, n);
		return;
	}
	if (count == 0)
		return;
	for (int64_t i = 0; i < n; i++)
		scratch[i] = score(y, w, i);
	qsort(scratch, (size_t)n, sizeof(*scratch), by_size);
	limit = scratch[count - 1];
	for (int64_t i = 0; i < n; i++)
		if (score(y, w, i) < limit) {
			y[i] = 0;
			count--;
		}
	/* Of those at the limit the first, until the share is full. */
	for (int64_t i = 0; i < n && count > 0; i++)
		if (y[i] != 0 && score(y, w, i) == limit) {
			y[i] = 0;
			count--;
		}
}

/* The importance of a weight's columns in w, of number mat of its parameter's; or NULL. */
static const float *
importance(const struct model *m, const struct prune_options *o, const struct weight *w,
    int64_t cols, float *to)
{
	const struct param *p = &m->params.p[w->param];
	const struct imatrix_entry *e;
	struct gguf_name name;
	struct err none;

	if (o->imatrix == NULL || gguf_name(&m->config, p, &name, &none) < 0 ||
	    (e = imatrix_find(o->imatrix, name.name)) == NULL)
		return NULL;
	return imatrix_mean(e, w->at / w->n, p->n / w->n, cols, to) ? to : NULL;
}

static int
prune_weight(struct model *m, int i, const struct prune_options *o, float *y,
    struct prune_report *r, struct err *err)
{
	const struct weight *w = &m->weight[i];
	const struct param *p = &m->params.p[w->param];
	int64_t cols = p->shape[p->ndim - 1];
	float *row = malloc(2 * (size_t)cols * sizeof(*row));
	const float *by;
	int ret = -1;

	if (row == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (param_download(&m->params, p, w->at, w->n, y, DTYPE_F32, err) == 0) {
		by = importance(m, o, w, cols, row);
		r->blind += o->imatrix != NULL && by == NULL;
		for (int64_t at = 0; at < w->n; at += cols)
			prune_row(y + at, by, cols, o, row + cols);
		for (int64_t k = 0; k < w->n; k++)
			r->zeros += y[k] == 0;
		r->weights += w->n;
		r->matrices++;
		ret = param_upload(&m->params, p, w->at, w->n, y, DTYPE_F32, err);
	}
	free(row);
	return ret < 0 ? -1 : dev_wait(m->dev, err);
}

int
model_prune(struct model *m, const struct prune_options *o, struct prune_report *r,
    struct err *err)
{
	int64_t most = 1;
	float *y;
	int ret = 0;

	*r = (struct prune_report){ 0 };
	for (int i = 0; i < m->n_weights; i++)
		if (m->weight[i].n > most)
			most = m->weight[i].n;
	if ((y = malloc((size_t)most * sizeof(*y))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < m->n_weights && ret == 0; i++) {
		const struct param *p = &m->params.p[m->weight[i].param];

		if (p->hidden && p->ndim > 1)
			ret = prune_weight(m, i, o, y, r, err);
	}
	free(y);
	return ret;
}
