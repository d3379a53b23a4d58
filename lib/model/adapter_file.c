/* PEFT's files: adapter_config.json and adapter_model.safetensors. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fmt/safetensors.h"
#include "model/adapter_impl.h"
#include "model/sources_impl.h"

#define PREFIX "base_model.model."

struct st_file *
adapter_weights(const char *dir, struct err *err)
{
	static const char *const other[] = { "adapter_model.bin", NULL };
	char path[MODEL_PATH + 32];
	static const char *const own[] = { "adapter_model.safetensors", NULL };

	snprintf(path, sizeof(path), "%s/adapter_model.safetensors", dir);
	if (file_first(dir, own) == NULL && file_first(dir, other) != NULL) {
		err_set(err, ERR_FORMAT, "%s: adapter_model.bin is not read, safetensors are "
		    "needed: adapter_model.safetensors", dir);
		return NULL;
	}
	return st_open(path, err);
}

const struct st_tensor *
adapter_tensor(const struct st_file *f, const char *module, const char *part)
{
	char name[3 * NN_NAME];
	const struct st_tensor *s;

	snprintf(name, sizeof(name), PREFIX "%s.%s", module, part);
	if ((s = st_find(f, name)) == NULL) {
		/* As live models of PEFT call the magnitudes. */
		snprintf(name, sizeof(name), PREFIX "%s.%s.weight", module, part);
		s = st_find(f, name);
	}
	return s != NULL && (s->type == DTYPE_F32 || s->type == DTYPE_F16 ||
	    s->type == DTYPE_BF16 || s->type == DTYPE_F64) ? s : NULL;
}

double *
adapter_read(const struct st_file *f, const char *module, const char *part, int64_t n,
    int64_t lead, int64_t head_dim, struct err *err)
{
	const struct st_tensor *s = adapter_tensor(f, module, part);
	int64_t have = 1, rows = lead > 0 ? lead : n;
	double *x = NULL, *y;

	if (s == NULL) {
		err_set(err, ERR_FORMAT, "no tensor '%s.%s'", module, part);
		return NULL;
	}
	for (int i = 0; i < s->ndim; i++)
		have *= s->shape[i];
	if (have != n || (lead > 0 && (s->ndim != 2 || s->shape[0] != lead))) {
		err_set(err, ERR_FORMAT, "tensor '%s' does not fit the model", s->name);
		return NULL;
	}
	if ((y = malloc((size_t)n * sizeof(*y))) == NULL ||
	    (head_dim > 0 && (x = malloc((size_t)n * sizeof(*x))) == NULL)) {
		free(y);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	dtype_convert(y, DTYPE_F64, s->data, s->type, n);
	if (head_dim > 0) {
		memcpy(x, y, (size_t)n * sizeof(*x));
		rows_to_pairs(y, x, rows, n / rows * (int64_t)sizeof(*x), head_dim);
		free(x);
	}
	return y;
}

/* ---- saving ---- */

struct save {
	struct model	*m;
	struct st_tensor *tensor;
	char		(*name)[NN_NAME + sizeof(PREFIX)];
	int		*param;
	bool		*pairs;
	int		 n;
};

static void
describe(struct save *s, int i, bool pairs, int64_t rows, int64_t cols)
{
	const struct param *p = &s->m->params.p[i];

	snprintf(s->name[s->n], sizeof(*s->name), PREFIX "%s", p->name);
	s->tensor[s->n] = (struct st_tensor){ .name = s->name[s->n], .type = DTYPE_F32,
	    .ndim = cols > 0 ? 2 : 1, .shape = { rows, cols } };
	s->pairs[s->n] = pairs;
	s->param[s->n++] = i;
}

static int
fill(void *ctx, int tensor, int64_t at, void *to, int64_t n, struct err *err)
{
	struct save *s = ctx;
	struct params *ps = &s->m->params;
	const struct param *p = &ps->p[s->param[tensor]];
	int64_t row = p->n / p->shape[0] * 4;
	float *x, *y;
	int ret;

	if (!s->pairs[tensor])
		return param_download(ps, p, at / 4, n / 4, to, DTYPE_F32, err);
	if ((x = malloc((size_t)p->n * 2 * sizeof(*x))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	y = x + p->n;
	if ((ret = param_download(ps, p, 0, p->n, x, DTYPE_F32, err)) == 0) {
		rows_to_halves(y, x, p->shape[0], row, s->m->config.head_dim);
		memcpy(to, (const char *)y + at, (size_t)n);
	}
	free(x);
	return ret;
}

static int
save_tensors(struct save *s, const char *path, struct err *err)
{
	const struct adapter *a = s->m->adapter;
	struct st_write w = { .fill = fill, .ctx = s };

	for (int i = 0; i < a->n; i++) {
		const struct adapted *x = &a->module[i];
		const struct param *p = s->m->params.p;

		if (x->a >= 0) {
			describe(s, x->a, false, p[x->a].shape[0], p[x->a].shape[1]);
			describe(s, x->b, x->pairs, p[x->b].shape[0], p[x->b].shape[1]);
		}
		/* PEFT keeps IA3's vectors as matrices, along what they multiply. */
		if (x->m >= 0 && a->type == ADAPTER_IA3)
			describe(s, x->m, x->pairs && !x->input, x->input ? 1 : p[x->m].n,
			    x->input ? p[x->m].n : 1);
		else if (x->m >= 0)
			describe(s, x->m, x->pairs, p[x->m].n, 0);
	}
	w.tensor = s->tensor;
	w.n = s->n;
	return st_save(path, &w, err);
}

int
adapter_save(struct model *m, const char *dir, struct err *err)
{
	size_t most = 3 * (size_t)m->adapter->n;
	struct save s = { .m = m, .tensor = calloc(most, sizeof(*s.tensor)),
	    .name = calloc(most, sizeof(*s.name)), .param = calloc(most, sizeof(*s.param)),
	    .pairs = calloc(most, sizeof(*s.pairs)) };
	char path[MODEL_PATH];
	int ret = -1;

	if (snprintf(path, sizeof(path), "%s/adapter_model.safetensors", dir) >=
	    (int)sizeof(path))
		err_set(err, ERR_ARG, "%s: name too long", dir);
	else if (s.tensor == NULL || s.name == NULL || s.param == NULL ||
	    s.pairs == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	else
		ret = save_tensors(&s, path, err);
	free(s.tensor);
	free(s.name);
	free(s.param);
	free(s.pairs);
	if (ret < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/adapter_config.json", dir);
	return json_doc_save(path, m->adapter->config, err);
}
