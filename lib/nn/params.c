#include "nn/nn.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/quant.h"
#include "base/rng.h"

#define ALIGN_ELEMENTS 64

enum {
	PIECE = 1 << 14,	/* elements a task fills */
	PIECES = 64,		/* tasks between uploads */
};

dtype
params_wide(const struct params *ps)
{
	return ps->compute == DTYPE_F64 ? DTYPE_F64 : DTYPE_F32;
}

unsigned
params_tape(const struct params *ps)
{
	return ps->compute == DTYPE_F64 ? TAPE_F64 : ps->compute == DTYPE_BF16 ? TAPE_BF16 :
	    ps->compute == DTYPE_F16 ? TAPE_F16 : 0;
}

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
	    .decay = decay, .trainable = true,
	    .type = ndim > 1 && ps->compute ? ps->compute : params_wide(ps) };
	memcpy(p->name, name, strlen(name) + 1);
	memcpy(p->shape, shape, (size_t)ndim * sizeof(*shape));
	return p;
}

/* The place of n more elements in an array, or -1 when they are not for it. */
static int64_t
take(int64_t *array_n, int64_t n, bool wanted)
{
	int64_t at = *array_n;

	if (!wanted)
		return -1;
	*array_n += (n + ALIGN_ELEMENTS - 1) / ALIGN_ELEMENTS * ALIGN_ELEMENTS;
	return at;
}

static void
set_places(struct params *ps)
{
	ps->wide_n = ps->low_n = ps->grad_n = 0;
	for (int i = 0; i < ps->n; i++) {
		struct param *p = &ps->p[i];
		bool owned = !p->mapped && dtype_block(p->type) == 1;
		bool low = owned && p->type != params_wide(ps);

		p->wide_at = take(&ps->wide_n, p->n, owned && (!low || p->trainable));
		p->low_at = take(&ps->low_n, p->n, low);
		p->grad_at = take(&ps->grad_n, p->n, p->trainable);
	}
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

/* Can a parameter be of its type? */
static bool
is_possible(const struct params *ps, const struct param *p)
{
	int64_t block = dtype_block(p->type);

	if (block > 1)
		return !p->trainable && p->ndim > 1 && p->shape[p->ndim - 1] % block == 0;
	if (p->mapped && p->type == DTYPE_F32)
		return !p->trainable;
	return p->type == params_wide(ps) || p->type == DTYPE_BF16 || p->type == DTYPE_F16;
}

int
params_seal(struct params *ps, struct err *err)
{
	if (ps->n == 0)
		return err_set(err, ERR_ARG, "a model without parameters");
	for (int i = 0; i < ps->n; i++)
		if (!is_possible(ps, &ps->p[i]))
			return err_set(err, ERR_ARG, "parameter '%s' of type %s", ps->p[i].name,
			    dtype_name(ps->p[i].type));
	set_places(ps);
	set_tensors(ps);
	return 0;
}

int64_t
params_bytes(const struct params *ps, bool grads)
{
	return dtype_size(params_wide(ps)) * (ps->wide_n + (grads ? ps->grad_n : 0)) +
	    2 * ps->low_n;
}

/* A flat array, 0 when nothing is in it. */
static int
place(struct dev *dev, dptr *array, int64_t bytes, struct err *err)
{
	if (bytes > 0 && (*array = dev_alloc(dev, bytes, err)).at == 0)
		return -1;
	return 0;
}

int
param_map(struct params *ps, struct param *p, struct dev *dev, const void *data, dtype type,
    struct err *err)
{
	ps->dev = dev;
	p->data = dev_import(dev, data, dtype_bytes(type, p->n), err);
	if (p->data.at == 0)
		return -1;
	p->type = type;
	p->mapped = true;
	p->trainable = false;
	return 0;
}

int
params_place(struct params *ps, struct dev *dev, bool grads, struct err *err)
{
	int64_t size = dtype_size(params_wide(ps));

	if (params_seal(ps, err) < 0)
		return -1;
	ps->dev = dev;
	if (place(dev, &ps->wide, ps->wide_n * size, err) < 0 ||
	    place(dev, &ps->low, ps->low_n * 2, err) < 0 ||
	    (grads && place(dev, &ps->grad, ps->grad_n * size, err) < 0))
		return -1;
	for (int i = 0; i < ps->n; i++) {
		struct param *p = &ps->p[i];

		if (p->wide_at >= 0)
			p->data = p->master = dptr_add(ps->wide, p->wide_at * size);
		if (p->low_at >= 0)
			p->data = dptr_add(ps->low, p->low_at * 2);
		if (grads && p->grad_at >= 0)
			p->grad = dptr_add(ps->grad, p->grad_at * size);
	}
	set_tensors(ps);
	return 0;
}

/* ---- contents ---- */

int
param_upload(struct params *ps, const struct param *p, int64_t at, int64_t n, const void *from,
    dtype type, struct err *err)
{
	const int64_t size = dtype_size(params_wide(ps)), most = n < PIECE ? n : PIECE;
	char *wide = malloc((size_t)(most * (size + 2)) + 1), *low = wide + most * size;

	if (wide == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < n; i += PIECE) {
		int64_t some = n - i < PIECE ? n - i : PIECE;

		/* What is rounded twice here is rounded twice from a master, too. */
		dtype_convert(wide, params_wide(ps), (const char *)from + i * dtype_size(type),
		    type, some);
		if (p->master.at != 0)
			dev_upload(ps->dev, dptr_add(p->master, (at + i) * size), wide,
			    some * size);
		if (p->low_at < 0)
			continue;
		dtype_convert(low, p->type, wide, params_wide(ps), some);
		dev_upload(ps->dev, dptr_add(p->data, (at + i) * 2), low, some * 2);
	}
	free(wide);
	return 0;
}

/* As param_download(), of blocks. */
static int
decode(struct params *ps, const struct param *p, int64_t at, int64_t n, void *to, dtype type,
    struct err *err)
{
	const int64_t bytes = dtype_bytes(p->type, PIECE);
	float *x = malloc((size_t)PIECE * sizeof(*x) + (size_t)bytes);
	char *piece = (char *)(x + PIECE);
	int ret = 0;

	if (x == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < n && ret == 0; i += PIECE) {
		int64_t some = n - i < PIECE ? n - i : PIECE;

		dev_download(ps->dev, piece, dptr_add(p->data, dtype_bytes(p->type, at + i)),
		    dtype_bytes(p->type, some));
		if ((ret = dev_wait(ps->dev, err)) < 0)
			break;
		quant_decode(p->type, x, piece, some);
		dtype_convert((char *)to + i * dtype_size(type), type, x, DTYPE_F32, some);
	}
	free(x);
	return ret;
}

int
param_download(struct params *ps, const struct param *p, int64_t at, int64_t n, void *to,
    dtype type, struct err *err)
{
	dtype have = p->master.at != 0 ? params_wide(ps) : p->type;
	const int64_t size = dtype_size(have);
	dptr from = p->master.at != 0 ? p->master : p->data;
	char *piece;
	int ret = 0;

	if (dtype_block(have) > 1)
		return decode(ps, p, at, n, to, type, err);
	if (have == type) {
		dev_download(ps->dev, to, dptr_add(from, at * size), n * size);
		return dev_wait(ps->dev, err);
	}
	if ((piece = malloc((size_t)(PIECE * size))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < n && ret == 0; i += PIECE) {
		int64_t some = n - i < PIECE ? n - i : PIECE;

		dev_download(ps->dev, piece, dptr_add(from, (at + i) * size), some * size);
		if ((ret = dev_wait(ps->dev, err)) == 0)
			dtype_convert((char *)to + i * dtype_size(type), type, piece, have, some);
	}
	free(piece);
	return ret;
}

/* One round of filling: pieces of a parameter into host memory. */
struct fill {
	const struct param *p;
	bool		 f64;
	uint64_t	 seed, stream;
	int64_t		 from, n;
	char		*host;
};

static double
initial(const struct fill *f, int64_t i)
{
	const struct param *p = f->p;
	double step;

	switch (p->init) {
	case INIT_ZEROS:
		return 0;
	case INIT_ONES:
		return 1;
	case INIT_LOGS:
		return log(1 + (double)(i % p->shape[p->ndim - 1]));
	case INIT_STEPS:
		step = 1e-3 * pow(100, rng_unit(f->seed, f->stream, (uint64_t)i));
		return log(expm1(step));
	default:
		return p->std * rng_normal(f->seed, f->stream, (uint64_t)i);
	}
}

static void
fill_piece(void *ctx, int64_t task, int member)
{
	struct fill *f = ctx;
	int64_t at = task * PIECE, end = at + PIECE < f->n ? at + PIECE : f->n;

	(void)member;
	for (; at < end; at++) {
		double v = initial(f, f->from + at);

		if (f->f64)
			((double *)(void *)f->host)[at] = v;
		else
			((float *)(void *)f->host)[at] = (float)v;
	}
}

static int
fill_param(struct params *ps, const struct param *p, uint64_t seed, char *host, struct err *err)
{
	const int64_t round = (int64_t)PIECE * PIECES;
	const dtype wide = params_wide(ps);
	struct fill f = { .p = p, .f64 = wide == DTYPE_F64, .seed = seed,
	    .stream = hash64(str_of(p->name)), .host = host };

	for (f.from = 0; f.from < p->n; f.from += round) {
		int64_t tasks;

		f.n = p->n - f.from < round ? p->n - f.from : round;
		tasks = (f.n + PIECE - 1) / PIECE;
		if (ps->dev->team != NULL)
			team_run(ps->dev->team, tasks, fill_piece, &f);
		else
			for (int64_t i = 0; i < tasks; i++)
				fill_piece(&f, i, 0);
		if (param_upload(ps, p, f.from, f.n, host, wide, err) < 0)
			return -1;
	}
	return 0;
}

int
params_init(struct params *ps, uint64_t seed, struct err *err)
{
	char *host = malloc((size_t)PIECE * PIECES * sizeof(double));
	int ret = 0;

	if (host == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < ps->n && ret == 0; i++)
		if (!ps->p[i].mapped && dtype_block(ps->p[i].type) == 1)
			ret = fill_param(ps, &ps->p[i], seed, host, err);
	free(host);
	return ret < 0 ? -1 : dev_wait(ps->dev, err);
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
	if (ps->dev != NULL) {
		for (int i = 0; i < ps->n; i++)
			if (ps->p[i].mapped)
				dev_free(ps->dev, ps->p[i].data);
		dev_free(ps->dev, ps->wide);
		dev_free(ps->dev, ps->low);
		dev_free(ps->dev, ps->grad);
	}
	free(ps->p);
	*ps = (struct params){ 0 };
}
