#include "nn/tape_impl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Records of a tape: about 1 KB a launch; a reservation, not memory. */
#define TAPE_RECORDS ((ptrdiff_t)1 << 32)

static struct tape_tensor *
own(const struct tensor *x)
{
	return x->param == NULL ? x->priv : NULL;
}

struct tape *
tape_new(struct dev *dev, int64_t max_tokens, int64_t max_seqs, unsigned flags, struct err *err)
{
	struct tape *t;

	if (max_tokens < 1 || max_tokens > INT32_MAX || max_seqs < 1 || max_seqs > INT32_MAX) {
		err_set(err, ERR_ARG, "a tape of %" PRId64 " tokens and %" PRId64 " sequences",
		    max_tokens, max_seqs);
		return NULL;
	}
	if ((t = calloc(1, sizeof(*t))) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (arena_init(&t->arena, TAPE_RECORDS, err) < 0) {
		free(t);
		return NULL;
	}
	t->dev = dev;
	t->type = flags & TAPE_F64 ? DTYPE_F64 : flags & TAPE_BF16 ? DTYPE_BF16 :
	    flags & TAPE_F16 ? DTYPE_F16 : DTYPE_F32;
	t->wide = flags & TAPE_F64 ? DTYPE_F64 : DTYPE_F32;
	t->flags = flags;
	t->max_tokens = max_tokens;
	t->max_seqs = max_seqs;
	t->none.type = t->type;
	t->none.ndim = 1;
	t->none.shape[0] = 1;
	/* Slot 0: the counts.  The first three are those of struct dim at row 0. */
	mem_slot(t, 0);
	if (t->n_slots == 1)
		t->slot[0].pinned = true;
	tape_count(t, COUNT_TOKENS, 0, max_tokens, 1);
	tape_count(t, COUNT_SEQS, 0, max_seqs, 1);
	return t;
}

void
tape_free(struct tape *t)
{
	if (t == NULL)
		return;
	for (int i = 0; i < LISTS; i++)
		dev_forget(t->dev, t->list[i]);
	if (t->memory.at != 0)
		dev_free(t->dev, t->memory);
	free(t->launch);
	free(t->use);
	free(t->slot);
	free(t->block);
	free(t->count);
	free(t->grad);
	arena_free(&t->arena);
	free(t);
}

int64_t
tape_tokens(const struct tape *t)
{
	return t->max_tokens;
}

int64_t
tape_seqs(const struct tape *t)
{
	return t->max_seqs;
}

dtype
tape_type(const struct tape *t)
{
	return t->type;
}

dtype
tape_wide(const struct tape *t)
{
	return t->wide;
}

bool
tape_failed(const struct tape *t)
{
	return t->err.code != ERR_NONE;
}

struct tensor *
tape_none(struct tape *t)
{
	return &t->none;
}

struct tensor *
tape_fail(struct tape *t, const char *fmt, ...)
{
	va_list ap;

	if (!tape_failed(t)) {
		t->err.code = ERR_ARG;
		va_start(ap, fmt);
		vsnprintf(t->err.msg, sizeof(t->err.msg), fmt, ap);
		va_end(ap);
	}
	return &t->none;
}

/* One more element of a growing array; false and a failed tape without memory. */
bool
tape_grow(struct tape *t, void *array, int n, int *cap, size_t size)
{
	void **p = array, *more;
	int want = *cap ? 2 * *cap : 64;

	if (n < *cap)
		return true;
	if ((more = realloc(*p, (size_t)want * size)) == NULL) {
		if (!tape_failed(t))
			err_set(&t->err, ERR_NOMEM, "out of memory");
		return false;
	}
	*p = more;
	*cap = want;
	return true;
}

struct shape_text
shape_text(const struct tensor *x)
{
	struct shape_text r = { "(" };
	size_t n = 1;

	if (x == NULL)
		return (struct shape_text){ "none" };
	for (int i = 0; i < x->ndim; i++)
		n += (size_t)snprintf(r.s + n, sizeof(r.s) - n, "%s%" PRId64,
		    i ? ", " : "", x->shape[i]);
	snprintf(r.s + n, sizeof(r.s) - n, ")");
	return r;
}

bool
is_matrix(const struct tensor *x)
{
	return x != NULL && x->ndim == 2;
}

bool
is_activation(const struct tape *t, const struct tensor *x)
{
	return is_matrix(x) && x->type == t->type && (x->param == NULL || t->type == t->wide);
}

bool
same_rows(const struct tensor *a, const struct tensor *b)
{
	return a->shape[0] == b->shape[0] && a->rows == b->rows;
}

static int64_t
elements(const struct tensor *x)
{
	int64_t n = 1;

	for (int i = 0; i < x->ndim; i++)
		n *= x->shape[i];
	return n;
}

int64_t
tape_bytes(const struct tape *t, int64_t n)
{
	return n * dtype_size(t->type);
}

/* ---- slots and tensors ---- */

struct mem
mem_slot(struct tape *t, int64_t bytes)
{
	if (!tape_grow(t, &t->slot, t->n_slots, &t->slots_cap, sizeof(*t->slot)))
		return (struct mem){ .slot = -1 };
	t->slot[t->n_slots] = (struct slot){ .bytes = bytes, .first = -1, .inside = -1 };
	return (struct mem){ .slot = t->n_slots++ };
}

struct mem
mem_scratch(struct tape *t, int64_t bytes)
{
	return mem_slot(t, bytes);
}

struct mem
mem_rows(struct tape *t, const struct tensor *like, int64_t width)
{
	return mem_slot(t, tape_bytes(t, like->shape[0] * width));
}

struct mem
mem_wide(struct tape *t, const struct tensor *like, int64_t width)
{
	return mem_slot(t, like->shape[0] * width * dtype_size(t->wide));
}

struct mem
mem_of(const struct tensor *x)
{
	if (x == NULL)
		return (struct mem){ .slot = -1 };
	if (x->param != NULL)
		return (struct mem){ .slot = -1, .param = x->param };
	if (own(x) != NULL)
		return own(x)->mem;
	return (struct mem){ .slot = -1, .other = x };
}

struct mem
mem_at(struct mem m, int64_t bytes)
{
	m.at += bytes;
	return m;
}

static struct tensor *
tensor_new(struct tape *t, const char *name, dtype type, enum rows rows, int ndim,
    const int64_t *shape)
{
	struct tape_tensor *x;

	if (tape_failed(t))
		return &t->none;
	if (t->planned)
		return tape_fail(t, "the tape is planned: nothing can be recorded");
	for (int i = 0; i < ndim; i++)
		if (shape[i] < 1 || shape[i] > (int64_t)1 << 40)
			return tape_fail(t, "a tensor of size %" PRId64, shape[i]);
	if ((x = arena_new(&t->arena, struct tape_tensor, 1, &t->err)) == NULL)
		return &t->none;
	x->t = (struct tensor){ .type = type, .rows = rows, .ndim = ndim, .priv = x };
	memcpy(x->t.shape, shape, (size_t)ndim * sizeof(*shape));
	snprintf(x->t.name, sizeof(x->t.name), "%s", name);
	x->mem = mem_slot(t, elements(&x->t) * dtype_size(type));
	x->grad = (struct mem){ .slot = -1 };
	x->next = t->tensors;
	t->tensors = x;
	return &x->t;
}

struct tensor *
tape_rows_like(struct tape *t, const struct tensor *like, int64_t width)
{
	return tensor_new(t, "", t->type, like->rows, 2, (int64_t[]){ like->shape[0], width });
}

struct tensor *
tape_rows_wide(struct tape *t, const struct tensor *like, int64_t width)
{
	return tensor_new(t, "", t->wide, like->rows, 2, (int64_t[]){ like->shape[0], width });
}

struct tensor *
tape_row_values(struct tape *t, const struct tensor *like)
{
	return tensor_new(t, "", t->wide, like->rows, 1, like->shape);
}

struct tensor *
tape_new_tensor(struct tape *t, dtype type, enum rows rows, int ndim, const int64_t *shape)
{
	return tensor_new(t, "", type, rows, ndim, shape);
}

struct tensor *
tape_scalar(struct tape *t, dtype type)
{
	return tensor_new(t, "", type, ROWS_FIXED, 1, (int64_t[]){ 1 });
}

static void
pin(struct tape *t, const struct tensor *x)
{
	struct mem m = mem_of(x);

	if (m.slot >= 0)
		t->slot[m.slot].pinned = true;
}

struct tensor *
tape_input(struct tape *t, const char *name, dtype type, enum rows rows, int ndim,
    const int64_t *shape)
{
	struct tensor *x = tensor_new(t, name, type, rows, ndim, shape);

	if (!tape_failed(t) && rows == ROWS_WANTED) {
		if (t->max_wanted != 0 && t->max_wanted != shape[0])
			return tape_fail(t, "input '%s': another capacity of wanted rows", name);
		t->max_wanted = shape[0];
	}
	pin(t, x);
	return x;
}

struct tensor *
tape_const(struct tape *t, const char *name, dtype type, int ndim, const int64_t *shape,
    const void *from)
{
	struct tensor *x = tensor_new(t, name, type, ROWS_FIXED, ndim, shape);
	ptrdiff_t bytes;
	void *copy;

	if (tape_failed(t))
		return x;
	bytes = (ptrdiff_t)(elements(x) * dtype_size(type));
	if ((copy = arena_alloc(&t->arena, bytes, 1, &t->err)) == NULL)
		return &t->none;
	memcpy(copy, from, (size_t)bytes);
	own(x)->constant = copy;
	pin(t, x);
	return x;
}

void
tape_keep(struct tape *t, struct tensor *x)
{
	pin(t, x);
	tape_output(t, x);
}

void
tape_output(struct tape *t, struct tensor *x)
{
	if (!tape_failed(t) && own(x) != NULL)
		own(x)->output = true;
}

void
tape_seed(struct tape *t, struct tensor *x)
{
	struct tape_tensor *o = own(x);

	if (tape_failed(t) || o == NULL || !x->needs_grad || o->written)
		return;
	o->grad = mem_slot(t, elements(x) * dtype_size(x->type));
	if (o->grad.slot >= 0)
		t->slot[o->grad.slot].pinned = true;
	o->written = o->output = true;
}

/* ---- blocks, ops, launches ---- */

int
tape_block(struct tape *t, const char *name)
{
	struct block *b;

	if (!tape_grow(t, &t->block, t->n_blocks, &t->blocks_cap, sizeof(*t->block)))
		return -1;
	b = &t->block[t->n_blocks];
	*b = (struct block){ .forward = t->n_launches };
	snprintf(b->name, sizeof(b->name), "%s", name);
	return t->n_blocks++;
}

struct op *
tape_op(struct tape *t, const struct op_kind *kind)
{
	struct op *op;

	if (t->n_blocks == 0)
		tape_block(t, "all");
	if (tape_failed(t) || (op = arena_new(&t->arena, struct op, 1, &t->err)) == NULL) {
		memset(&t->spare, 0, sizeof(t->spare));
		return &t->spare;
	}
	op->kind = kind;
	op->block = t->n_blocks - 1;
	op->prev = t->ops;
	t->ops = op;
	return op;
}

union dev_args *
tape_launch(struct tape *t, int kernel)
{
	struct launch *l;

	if (t->n_blocks == 0)
		tape_block(t, "all");
	if (!tape_grow(t, &t->launch, t->n_launches, &t->launches_cap, sizeof(*t->launch))) {
		memset(&t->spare.f, 0, sizeof(t->spare.f));
		return &t->spare.f;
	}
	l = &t->launch[t->n_launches++];
	memset(l, 0, sizeof(*l));
	l->kernel = kernel;
	l->block = t->in_backward ? -1 : t->n_blocks - 1;
	l->cheap = t->ops != NULL && t->ops->kind->cheap;
	l->once = t->ops != NULL && t->ops->kind->once;
	return &l->a;
}

void
tape_bind(struct tape *t, size_t field, struct mem m)
{
	if (tape_failed(t) || (m.slot < 0 && m.param == NULL && m.other == NULL))
		return;
	if (!tape_grow(t, &t->use, t->n_uses, &t->uses_cap, sizeof(*t->use)))
		return;
	t->use[t->n_uses++] = (struct use){ .launch = t->n_launches - 1, .field = (int)field,
	    .m = m };
}

/* The number of a count: what holds on the device is clamp(n - row0, 0, cap) * times. */
int
tape_count(struct tape *t, enum count_of of, int64_t row0, int64_t cap, int64_t times)
{
	struct count c = { of, row0, cap, times };

	for (int i = 0; i < t->n_counts; i++)
		if (memcmp(&t->count[i], &c, sizeof(c)) == 0)
			return i;
	if (!tape_grow(t, &t->count, t->n_counts, &t->counts_cap, sizeof(*t->count)))
		return 0;
	t->count[t->n_counts] = c;
	return t->n_counts++;
}

static void
bind_count(struct tape *t, size_t field, int64_t cap, int count)
{
	if (tape_failed(t))
		return;
	((struct dim *)(void *)((char *)&t->launch[t->n_launches - 1].a + field))->cap = cap;
	if (count >= 0)
		tape_bind(t, field + offsetof(struct dim, n),
		    (struct mem){ .slot = 0, .at = count * (int64_t)sizeof(int32_t) });
}

void
tape_bind_dim(struct tape *t, size_t field, const struct tensor *rows, int64_t row0,
    int64_t cap, int64_t times)
{
	int count = rows->rows == ROWS_FIXED ? -1 :
	    tape_count(t, rows->rows == ROWS_TOKENS ? COUNT_TOKENS : COUNT_WANTED,
	    row0, cap, times);

	bind_count(t, field, cap * times, count);
}

void
tape_bind_seqs(struct tape *t, size_t field)
{
	bind_count(t, field, t->max_seqs, tape_count(t, COUNT_SEQS, 0, t->max_seqs, 1));
}

/* ---- gradients ---- */

bool
tape_backward_on(const struct tape *t)
{
	return t->flags & TAPE_GRAD;
}

bool
tape_wants(const struct tape *t, const struct tensor *x)
{
	return x != NULL && (t->flags & TAPE_GRAD) &&
	    (x->param != NULL ? x->param->trainable : x->needs_grad);
}

static struct mem
param_grad(const struct tensor *x)
{
	return (struct mem){ .slot = -1, .param = x->param, .grad = true };
}

struct mem
grad_of(struct tape *t, const struct tensor *y)
{
	(void)t;
	return y != NULL && own(y) != NULL && own(y)->written ? own(y)->grad :
	    (struct mem){ .slot = -1 };
}

static void
new_grad(struct tape *t, const struct tensor *x)
{
	own(x)->grad = mem_slot(t, elements(x) * dtype_size(x->type));
	own(x)->written = true;
}

/*
 * x's gradient is about to be added to in place.  If another tensor whose
 * gradient is still to be read stands on the same memory, take a copy first.
 */
static void
unshare(struct tape *t, struct tensor *x)
{
	struct tape_tensor *o = own(x);
	struct mem old = o->grad;
	union dev_args *a;

	if (!o->shared)
		return;
	for (struct tape_tensor *i = t->tensors; i != NULL; i = i->next) {
		if (i == o || !i->written || i->grad.slot != old.slot || (i->done && !i->output))
			continue;
		new_grad(t, x);
		o->shared = false;
		a = tape_launch(t, K_COPY);
		a->copy.bytes = elements(x) * dtype_size(x->type);
		BIND(t, copy.y, o->grad);
		BIND(t, copy.x, old);
		return;
	}
}

struct mem
grad_add(struct tape *t, struct tensor *x, bool *add)
{
	*add = true;
	if (x->param != NULL)
		return param_grad(x);
	if (own(x) == NULL)
		return (struct mem){ .slot = -1 };
	if (own(x)->written) {
		unshare(t, x);
	} else {
		new_grad(t, x);
		*add = false;
	}
	return own(x)->grad;
}

struct mem
grad_begin(struct tape *t, struct tensor *x)
{
	if (own(x) != NULL && !own(x)->written && tape_wants(t, x)) {
		new_grad(t, x);
		return own(x)->grad;
	}
	return mem_slot(t, elements(x) * dtype_size(x->type));
}

static void
add_into(struct tape *t, struct tensor *x, struct mem from)
{
	bool add;
	struct mem g = grad_add(t, x, &add);
	union dev_args *a = tape_launch(t, K_ADD);

	a->add.type = x->type;
	a->add.c = elements(x) / x->shape[0];
	BIND_ROWS(t, add.t, x);
	BIND(t, add.y, g);
	BIND(t, add.a, g);
	BIND(t, add.b, from);
}

void
grad_end(struct tape *t, struct tensor *x, struct mem m)
{
	if (!tape_wants(t, x) || (own(x) != NULL && own(x)->grad.slot == m.slot))
		return;
	add_into(t, x, m);
}

void
grad_pass(struct tape *t, struct tensor *x, const struct tensor *y)
{
	struct tape_tensor *o = own(x), *from = own(y);

	if (!tape_wants(t, x))
		return;
	if (o == NULL || o->written) {
		add_into(t, x, from->grad);
		return;
	}
	o->grad = from->grad;
	o->written = o->shared = from->shared = true;
}

/* ---- running ---- */

/* Tell the device all counts: chunks and rows of heads follow from the three. */
static void
send_counts(struct tape *t)
{
	for (int i = 0; i < t->n_counts; i++) {
		const struct count *c = &t->count[i];
		int64_t n = c->of == COUNT_TOKENS ? t->tokens : c->of == COUNT_SEQS ? t->seqs :
		    t->wanted;

		n -= c->row0;
		n = n < 0 ? 0 : n > c->cap ? c->cap : n;
		t->count_host[i] = (int32_t)(n * c->times);
	}
	dev_upload(t->dev, t->memory, t->count_host, t->n_counts * (int64_t)sizeof(int32_t));
}

void
tape_set_counts(struct tape *t, int32_t tokens, int32_t seqs)
{
	t->tokens = tokens;
	t->seqs = seqs;
	send_counts(t);
}

void
tape_set_wanted(struct tape *t, int32_t wanted)
{
	t->wanted = wanted;
	send_counts(t);
}

void
tape_upload(struct tape *t, struct tensor *x, const void *from, int64_t n)
{
	dev_upload(t->dev, x->data, from, n * dtype_size(x->type));
}

void
tape_upload_grad(struct tape *t, struct tensor *x, const void *from, int64_t n)
{
	dev_upload(t->dev, x->grad, from, n * dtype_size(x->type));
}

void
tape_download(struct tape *t, const struct tensor *x, void *to, int64_t n)
{
	dev_download(t->dev, to, x->data, n * dtype_size(x->type));
}

void
tape_zero(struct tape *t, struct tensor *x)
{
	union dev_args a = { .fill = { .y = x->data, .type = x->type, .n = elements(x) } };

	dev_launch(t->dev, K_FILL, &a);
}

void
tape_zero_grads(struct tape *t, bool soon)
{
	t->fresh = soon;
	if (!dev_begin(t->dev, &t->list[soon ? LIST_ZERO_SOON : LIST_ZERO]))
		return;
	for (int i = 0; i < t->n_grads; i++) {
		const struct param *p = t->grad[i].p;

		if (!soon || !t->grad[i].overwritten)
			dev_launch(t->dev, K_FILL, &(union dev_args){ .fill = {
			    .y = p->grad, .type = DTYPE_F32, .n = p->n } });
	}
	dev_end(t->dev);
}

void
tape_measure_grads(struct tape *t, dptr out)
{
	for (int i = LIST_FORWARD + 1; i < LIST_ZERO && t->listed.at != out.at; i += 2) {
		dev_forget(t->dev, t->list[i]);
		t->list[i] = NULL;
	}
	t->sumsq = t->listed = out;
}

/* Measure what no launch measured as it wrote it. */
static void
measure_others(struct tape *t)
{
	struct k_sumsq part = { .out = t->sumsq, .type = t->wide };

	for (int i = 0; i < t->n_grads; i++) {
		const struct param *p = t->grad[i].p;

		if (t->grad[i].measured)
			continue;
		part.x = p->grad;
		part.n = p->n;
		dev_launch(t->dev, K_SUMSQ, &(union dev_args){ .sumsq = part });
	}
}

union dev_args
tape_args(const struct tape *t, const struct launch *l, dptr sumsq)
{
	union dev_args a = l->a;

	if (l->kernel == K_MATMUL)
		a.matmul.loose = t->flags & TAPE_GRAD;
	if (l->first)
		a.matmul.add = !t->fresh;
	if (l->measures && l->kernel == K_MATMUL)
		a.matmul.sumsq = sumsq;
	else if (l->measures)
		a.embed_bwd.sumsq = sumsq;
	return a;
}

static void
run(struct tape *t, int from, int to)
{
	for (int i = from; i < to; i++) {
		union dev_args a = tape_args(t, &t->launch[i], t->sumsq);

		dev_launch(t->dev, t->launch[i].kernel, &a);
	}
}

static void
run_forward(struct tape *t, int from, int to)
{
	for (int i = from; i < to; i++) {
		dev_mark(t->dev, "forward", t->block[i].name);
		run(t, t->block[i].forward, t->block[i].forward_end);
	}
}

static void
run_backward(struct tape *t, int from, int to)
{
	for (int i = to - 1; i >= from; i--) {
		dev_mark(t->dev, "backward", t->block[i].name);
		run(t, t->block[i].backward, t->block[i].backward_end);
	}
	if (from == 0 && t->sumsq.at != 0)
		measure_others(t);
}

/* A whole pass is a list, of those that are like it. */
static void
run_pass(struct tape *t, int list, int from, int to,
    void (*pass)(struct tape *t, int from, int to))
{
	if (to < 0 || to > t->n_blocks)
		to = t->n_blocks;
	list += 2 * t->fresh + (t->sumsq.at != 0);
	if (from > 0 || to < t->n_blocks) {
		pass(t, from, to);
	} else if (dev_begin(t->dev, &t->list[list])) {
		pass(t, from, to);
		dev_end(t->dev);
	}
}

void
tape_forward(struct tape *t, int from, int to)
{
	run_pass(t, LIST_FORWARD, from, to, run_forward);
}

void
tape_backward(struct tape *t, int from, int to)
{
	run_pass(t, LIST_BACKWARD, from, to, run_backward);
	if (from > 0)
		return;
	t->fresh = false;
	t->sumsq = (dptr){ 0 };
}
