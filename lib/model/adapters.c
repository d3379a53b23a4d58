#include "model/adapters.h"

#include <stdio.h>
#include <stdlib.h>

#include "fmt/safetensors.h"
#include "model/adapter_impl.h"

/* A matrix that some adapt: (adapters, rank, in) and (adapters, out, rank). */
struct adapted_stack {
	int	 w, a, b;		/* parameters, by number */
	int64_t	 rank;			/* the largest; the others' end in zeros */
	bool	 recorded;
};

struct adapters {
	int		 n;
	struct adapter	**one;
	char		**name;
	struct adapted_stack *stack;
	int		 n_stacks;
};

/* ---- which there are ---- */

static int
open_one(struct adapters *a, const struct adapter_named *named, struct err *err)
{
	if (adapters_find(a, named->name) != 0)
		return err_set(err, ERR_ARG, "two adapters are named '%.*s'",
		    STR_ARG(named->name));
	if ((a->name[a->n] = strndup(named->name.p, (size_t)named->name.n)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if ((a->one[a->n] = adapter_open(named->dir, err)) == NULL) {
		free(a->name[a->n]);
		return -1;
	}
	if (a->one[a->n++]->type != ADAPTER_LORA)
		return err_set(err, ERR_ARG, "%s: only plain LoRA stands beside the model: "
		    "llm-merge puts others into it", named->dir);
	return 0;
}

struct adapters *
adapters_open(const struct adapter_named *named, int n, struct err *err)
{
	struct adapters *a = calloc(1, sizeof(*a));

	if (a == NULL || (a->one = calloc((size_t)n, sizeof(*a->one))) == NULL ||
	    (a->name = calloc((size_t)n, sizeof(*a->name))) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		adapters_free(a);
		return NULL;
	}
	for (int i = 0; i < n; i++)
		if (open_one(a, &named[i], err) < 0) {
			adapters_free(a);
			return NULL;
		}
	return a;
}

void
adapters_free(struct adapters *a)
{
	if (a == NULL)
		return;
	for (int i = 0; i < a->n; i++) {
		adapter_free(a->one[i]);
		free(a->name[i]);
	}
	free(a->one);
	free(a->name);
	free(a->stack);
	free(a);
}

int
adapters_count(const struct adapters *a)
{
	return a->n;
}

str
adapters_name(const struct adapters *a, int number)
{
	return str_of(a->name[number - 1]);
}

int
adapters_find(const struct adapters *a, str name)
{
	for (int i = 0; i < a->n; i++)
		if (str_eq(str_of(a->name[i]), name))
			return i + 1;
	return 0;
}

/* ---- parameters ---- */

static const struct adapted *
module_of(const struct adapter *a, int w)
{
	for (int i = 0; i < a->n; i++)
		if (a->module[i].w == w)
			return &a->module[i];
	return NULL;
}

static int
add_stack(struct model *m, const char *of, const char *part, int64_t n, int64_t rows,
    int64_t cols, struct err *err)
{
	int64_t shape[] = { n, rows, cols };
	char name[2 * NN_NAME];
	struct param *p;

	if (snprintf(name, sizeof(name), "%s.%s", of, part) >= NN_NAME)
		return err_set(err, ERR_LIMIT, "the name '%s' is too long", name);
	if ((p = params_add(&m->params, name, 3, shape, INIT_ZEROS, 0, false, err)) == NULL)
		return -1;
	p->type = params_wide(&m->params);
	return m->params.n - 1;
}

static int
declare_stack(struct adapters *a, struct model *m, int w, struct err *err)
{
	struct adapted_stack *s = &a->stack[a->n_stacks];
	const char *name = NULL;

	*s = (struct adapted_stack){ .w = w };
	for (int i = 0; i < a->n; i++) {
		const struct adapted *x = module_of(a->one[i], w);

		if (x != NULL && x->rank > s->rank)
			s->rank = x->rank;
		name = x != NULL ? x->name : name;
	}
	if (name == NULL)
		return 0;
	a->n_stacks++;
	s->a = add_stack(m, name, "adapters_A", a->n, s->rank, m->params.p[w].shape[1], err);
	s->b = add_stack(m, name, "adapters_B", a->n, m->params.p[w].shape[0], s->rank, err);
	return s->a < 0 || s->b < 0 ? -1 : 0;
}

bool
is_adapted(const struct model *m, const char *name)
{
	int w = 0;
	bool is = false;

	while (w < m->params.n && strcmp(m->params.p[w].name, name) != 0)
		w++;
	if (m->adapter != NULL)
		is = module_of(m->adapter, w) != NULL;
	for (int i = 0; m->adapters != NULL && i < m->adapters->n; i++)
		is |= module_of(m->adapters->one[i], w) != NULL;
	return is;
}

int
adapters_declare(struct model *m, struct err *err)
{
	struct adapters *a = m->adapters;
	int own = m->params.n;

	for (int i = 0; i < a->n; i++)
		if (adapter_match(a->one[i], m, err) < 0)
			return err_wrap(err, "%s", a->one[i]->dir);
	free(a->stack);
	a->n_stacks = 0;
	if ((a->stack = calloc((size_t)own, sizeof(*a->stack))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int w = 0; w < own; w++)
		if (declare_stack(a, m, w, err) < 0)
			return -1;
	return 0;
}

/* An adapter's part of a stack, into (rank, in) and (out, rank) of zeros. */
static int
read_module(const struct adapted_stack *s, const struct adapted *x, const struct model *m,
    const struct st_file *f, double *to_a, double *to_b, struct err *err)
{
	int64_t k = m->params.p[s->a].shape[2], n = m->params.p[s->b].shape[1];
	double *a = adapter_read(f, x->name, "lora_A.weight", x->rank * k,
	    x->rank, 0, err);
	double *b = a == NULL ? NULL : adapter_read(f, x->name, "lora_B.weight", n * x->rank, n,
	    x->pairs ? m->config.head_dim : 0, err);

	for (int64_t i = 0; b != NULL && i < x->rank * k; i++)
		to_a[i] = a[i];
	for (int64_t i = 0; b != NULL && i < n; i++)
		for (int64_t r = 0; r < x->rank; r++)
			to_b[i * s->rank + r] = x->scale * b[i * x->rank + r];
	free(a);
	free(b);
	return b == NULL ? -1 : 0;
}

static int
fill_module(const struct adapters *a, int i, const struct adapted *x, struct model *m,
    const struct st_file *f, struct err *err)
{
	const struct adapted_stack *s = a->stack;
	const struct param *pa, *pb;
	int64_t na, nb;
	double *host;
	int ret;

	while (s->w != x->w)
		s++;
	pa = &m->params.p[s->a];
	pb = &m->params.p[s->b];
	na = pa->n / a->n;
	nb = pb->n / a->n;
	if ((host = calloc((size_t)(na + nb), sizeof(*host))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	ret = read_module(s, x, m, f, host, host + na, err);
	if (ret == 0)
		ret = param_upload(&m->params, pa, i * na, na, host, DTYPE_F64, err);
	if (ret == 0)
		ret = param_upload(&m->params, pb, i * nb, nb, host + na, DTYPE_F64, err);
	free(host);
	return ret;
}

static int
fill_one(const struct adapters *a, int i, struct model *m, struct err *err)
{
	const struct adapter *one = a->one[i];
	struct st_file *f = adapter_weights(one->dir, err);
	int ret = 0;

	if (f == NULL)
		return -1;
	if (st_count(f) != 2 * one->n)
		ret = err_set(err, ERR_FORMAT, "%d tensors, of which %d are for the targets",
		    st_count(f), 2 * one->n);
	for (int k = 0; k < one->n && ret == 0; k++)
		ret = fill_module(a, i, &one->module[k], m, f, err);
	st_close(f);
	return ret < 0 ? err_wrap(err, "%s", one->dir) : 0;
}

int
adapters_fill(struct model *m, struct err *err)
{
	for (int i = 0; i < m->adapters->n; i++)
		if (fill_one(m->adapters, i, m, err) < 0)
			return -1;
	return dev_wait(m->dev, err);
}

/* ---- recording ---- */

struct tensor *
adapters_linear(struct adapters *a, struct tape *t, struct params *ps, struct tensor *x,
    struct tensor *w, struct tensor *bias, struct tensor *first)
{
	struct tensor *y = op_linear(t, x, w, bias);
	struct adapted_stack *s = NULL;

	for (int i = 0; i < a->n_stacks && s == NULL; i++)
		if (&ps->p[a->stack[i].w].t == w)
			s = &a->stack[i];
	if (s == NULL)
		return y;
	s->recorded = true;
	x = op_groups(t, x, &ps->p[s->a].t, first, NULL);
	return op_groups(t, x, &ps->p[s->b].t, first, y);
}

int
adapters_recorded(const struct adapters *a, const struct params *ps, struct err *err)
{
	for (int i = 0; i < a->n_stacks; i++)
		if (!a->stack[i].recorded)
			return err_set(err, ERR_ARG, "'%s' is no linear layer that can be "
			    "adapted", ps->p[a->stack[i].w].name);
	return 0;
}
