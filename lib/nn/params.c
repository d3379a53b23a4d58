#include "nn/nn.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/rng.h"

#define ALIGN_ELEMENTS 64

enum {
	PIECE = 1 << 14,	/* elements a task fills */
	PIECES = 64,		/* tasks between uploads */
};

struct param *
params_add(struct params *ps, const char *name, int ndim, const int64_t *shape,
    enum init_kind init, double std, bool decay, struct err *err)
{
	struct param *p;
	int64_t n = 1;

	if (strlen(name) >= NN_NAME || ndim < 1 || ndim > 4) {
		err_set(err, ERR_ARG, "parameter '%.*s': bad name or shape", NN_NAME, name);
		return NULL;
	}
	for (int i = 0; i < ndim; i++)
		if (shape[i] < 1 || __builtin_mul_overflow(n, shape[i], &n) ||
		    n > INT64_MAX / 64) {
			err_set(err, ERR_LIMIT, "parameter '%s' is too large", name);
			return NULL;
		}
	if (ps->n == ps->cap) {
		int cap = ps->cap ? 2 * ps->cap : 64;
		struct param *more = realloc(ps->p, (size_t)cap * sizeof(*more));

		if (more == NULL) {
			err_set(err, ERR_NOMEM, "out of memory");
			return NULL;
		}
		ps->p = more;
		ps->cap = cap;
	}
	p = &ps->p[ps->n++];
	*p = (struct param){ .ndim = ndim, .n = n, .init = init, .std = std,
	    .decay = decay, .trainable = true, .at = ps->elements,
	    .type = ps->compute ? ps->compute : DTYPE_F32 };
	memcpy(p->name, name, strlen(name) + 1);
	memcpy(p->shape, shape, (size_t)ndim * sizeof(*shape));
	ps->elements += (n + ALIGN_ELEMENTS - 1) / ALIGN_ELEMENTS * ALIGN_ELEMENTS;
	return p;
}

/* The tensors of parameters, once the array does not move any more. */
static void
set_tensors(struct params *ps)
{
	for (int i = 0; i < ps->n; i++) {
		struct param *p = &ps->p[i];

		p->t = (struct tensor){ .type = p->type, .ndim = p->ndim,
		    .needs_grad = p->trainable, .data = p->data, .grad = p->grad, .param = p };
		memcpy(p->t.name, p->name, sizeof(p->name));
		memcpy(p->t.shape, p->shape, sizeof(p->shape));
	}
}

int
params_seal(struct params *ps, struct err *err)
{
	if (ps->n == 0)
		return err_set(err, ERR_ARG, "a model without parameters");
	set_tensors(ps);
	return 0;
}

int
params_place(struct params *ps, struct dev *dev, bool grads, struct err *err)
{
	int64_t size;

	if (params_seal(ps, err) < 0)
		return -1;
	size = dtype_size(ps->p[0].type);
	ps->dev = dev;
	ps->data = dev_alloc(dev, ps->elements * size, err);
	if (ps->data.at == 0)
		return -1;
	if (grads) {
		ps->grad = dev_alloc(dev, ps->elements * size, err);
		if (ps->grad.at == 0)
			return -1;
	}
	for (int i = 0; i < ps->n; i++) {
		struct param *p = &ps->p[i];

		p->data = dptr_add(ps->data, p->at * size);
		if (grads)
			p->grad = dptr_add(ps->grad, p->at * size);
	}
	set_tensors(ps);
	return 0;
}

/* One round of filling: pieces of a parameter into host memory. */
struct fill {
	const struct param *p;
	uint64_t	 seed, stream;
	int64_t		 from, n;
	char		*host;
};

static void
fill_piece(void *ctx, int64_t task, int member)
{
	struct fill *f = ctx;
	int64_t at = task * PIECE, end = at + PIECE < f->n ? at + PIECE : f->n;

	(void)member;
	for (; at < end; at++) {
		double v = f->p->init == INIT_ONES ? 1 : f->p->init == INIT_ZEROS ? 0 :
		    f->p->std * rng_normal(f->seed, f->stream, (uint64_t)(f->from + at));

		if (f->p->type == DTYPE_F64)
			((double *)(void *)f->host)[at] = v;
		else
			((float *)(void *)f->host)[at] = (float)v;
	}
}

static void
fill_param(struct params *ps, const struct param *p, uint64_t seed, char *host)
{
	const int64_t round = (int64_t)PIECE * PIECES, size = dtype_size(p->type);
	struct fill f = { .p = p, .seed = seed, .stream = hash64(str_of(p->name)), .host = host };

	for (f.from = 0; f.from < p->n; f.from += round) {
		int64_t tasks;

		f.n = p->n - f.from < round ? p->n - f.from : round;
		tasks = (f.n + PIECE - 1) / PIECE;
		if (ps->dev->team != NULL)
			team_run(ps->dev->team, tasks, fill_piece, &f);
		else
			for (int64_t i = 0; i < tasks; i++)
				fill_piece(&f, i, 0);
		dev_upload(ps->dev, dptr_add(p->data, f.from * size), host, f.n * size);
	}
}

int
params_init(struct params *ps, uint64_t seed, struct err *err)
{
	char *host = malloc((size_t)PIECE * PIECES * sizeof(double));

	if (host == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < ps->n; i++)
		fill_param(ps, &ps->p[i], seed, host);
	free(host);
	return dev_wait(ps->dev, err);
}

struct param *
params_find(struct params *ps, const char *name)
{
	for (int i = 0; i < ps->n; i++)
		if (strcmp(ps->p[i].name, name) == 0)
			return &ps->p[i];
	return NULL;
}

void
params_free(struct params *ps)
{
	if (ps->dev != NULL && ps->data.at != 0)
		dev_free(ps->dev, ps->data);
	if (ps->dev != NULL && ps->grad.at != 0)
		dev_free(ps->dev, ps->grad);
	free(ps->p);
	*ps = (struct params){ 0 };
}
