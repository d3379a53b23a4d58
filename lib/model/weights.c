/* Weights in: from the files of a model to its parameters. */
#include <stdlib.h>

#include "model/adapter_impl.h"
#include "model/files_impl.h"

int
model_read(struct model *m, int weight, float *y, struct err *err)
{
	const struct weight *w = &m->weight[weight];

	return m->dev == NULL ? files_read(m->files, m, weight, y, err) :
	    param_download(&m->params, &m->params.p[w->param], w->at, w->n, y, DTYPE_F32, err);
}

/* As it is in the file, when it lies there so: no rounding of F64 on a reference device. */
static int
load_weight(struct model *m, const struct files *f, int i, float *x, struct err *err)
{
	const struct source *s = &f->source[i];
	const struct weight *w = &m->weight[i];
	const struct param *p = &m->params.p[w->param];

	if (dtype_block(s->type) == 1 && s->form == FORM_SAME)
		return param_upload(&m->params, p, w->at, w->n, s->data, s->type, err);
	if (files_read(f, m, i, x, err) < 0)
		return -1;
	return param_upload(&m->params, p, w->at, w->n, x, DTYPE_F32, err);
}

static int
load_all(struct model *m, const struct files *f, struct err *err)
{
	int64_t most = 1;
	float *x;
	int ret = 0;

	for (int i = 0; i < m->n_weights; i++)
		most = m->weight[i].n > most ? m->weight[i].n : most;
	if ((x = malloc((size_t)most * sizeof(*x))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < m->n_weights && ret == 0; i++)
		ret = load_weight(m, f, i, x, err);
	free(x);
	return ret < 0 ? -1 : dev_wait(m->dev, err);
}

int
model_reload(struct model *m, const char *path, struct err *err)
{
	struct config c;
	struct files *f = files_open(path, &c, err);
	int ret;

	if (f == NULL)
		return -1;
	ret = files_match(f, m, err) < 0 || load_all(m, f, err) < 0 ? -1 : 0;
	files_close(f);
	return ret < 0 ? err_wrap(err, "%s", path) : 0;
}

int
model_open(struct model *m, const char *path, struct err *err)
{
	struct config c;

	if ((m->files = files_open(path, &c, err)) == NULL)
		return -1;
	if (model_declare(m, &c, err) < 0 || files_match(m->files, m, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

int
model_load(struct model *m, const char *path, struct dev *dev, bool grads, struct err *err)
{
	if (model_open(m, path, err) < 0)
		return -1;
	m->dev = dev;
	if (params_place(&m->params, dev, grads, err) < 0 || load_all(m, m->files, err) < 0)
		return err_wrap(err, "%s", path);
	return m->adapter != NULL ? adapter_fill(m, err) : 0;
}
