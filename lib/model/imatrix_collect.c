/* An importance matrix from the inputs of a model's matrices. */
#include <math.h>
#include <stdlib.h>

#include "model/gguf_impl.h"
#include "model/imatrix.h"
#include "model/inputs.h"

/* The entry of an input's matrix, which is made when it is asked for first. */
static struct imatrix_entry *
entry_of(struct imatrix *im, const struct config *c, const struct input *p, struct err *err)
{
	struct gguf_name name;
	const struct imatrix_entry *e;
	int64_t mats = p->experts > 0 ? p->experts : 1, cols = p->param->shape[p->param->ndim - 1];

	if (gguf_name(c, p->param, &name, err) < 0)
		return NULL;
	if ((e = imatrix_find(im, name.name)) == NULL)
		return imatrix_add(im, name.name, cols * mats, mats, err);
	return (struct imatrix_entry *)e;
}

static int
collect(struct imatrix *im, struct inputs *in, const struct config *c, int i, float *x,
    struct err *err)
{
	const struct input *p = inputs_at(in, i);
	struct imatrix_entry *e = entry_of(im, c, p, err);
	int64_t row, rows;

	if (e == NULL || inputs_read(in, i, x, err) < 0)
		return -1;
	for (int64_t mat = 0; mat < e->mats; mat++) {
		int64_t cols = e->n / e->mats;
		float *sum = e->sum + mat * cols, *most = e->most + mat * cols;

		if (inputs_rows(in, i, mat, &row, &rows, err) < 0)
			return -1;
		for (int64_t r = row; r < row + rows; r++)
			for (int64_t k = 0; k < cols; k++) {
				sum[k] += x[r * cols + k] * x[r * cols + k];
				most[k] = fmaxf(most[k], fabsf(x[r * cols + k]));
			}
		e->count[mat] += (float)rows;
	}
	return 0;
}

int
imatrix_collect(struct imatrix *im, struct inputs *in, struct err *err)
{
	const struct config *c = &inputs_model(in)->config;
	int64_t most = 1;
	float *x;
	int ret = 0;

	for (int i = 0; i < inputs_count(in); i++) {
		const struct tensor *t = inputs_at(in, i)->x;

		if (t->shape[0] * t->shape[1] > most)
			most = t->shape[0] * t->shape[1];
	}
	if ((x = malloc((size_t)most * sizeof(*x))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < inputs_count(in) && ret == 0; i++)
		ret = collect(im, in, c, i, x, err);
	free(x);
	return ret;
}
