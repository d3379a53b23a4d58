/*
 * plan - the backward pass written down, and memory for everything
 *
 * Slots are placed largest first, each into the smallest gap that takes it
 * among those alive at the same time (Pisarchyk and Lee, arXiv 2001.03288,
 * greedy by size).  Quadratic in the number of slots, which is thousands.
 */
#include "nn/tape_impl.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#define ALIGN 64

/* ---- backward ---- */

static void
close_forward(struct tape *t)
{
	for (int i = 0; i < t->n_blocks; i++)
		t->block[i].forward_end = i + 1 < t->n_blocks ? t->block[i + 1].forward :
		    t->n_launches;
}

static bool
has_gradient(struct tape *t, const struct op *op)
{
	for (int i = 0; i < 3; i++)
		if (grad_of(t, op->out[i]).slot >= 0)
			return true;
	return false;
}

static void
backward(struct tape *t)
{
	struct op *op = t->ops;

	t->in_backward = true;
	for (int b = t->n_blocks - 1; b >= 0; b--) {
		t->block[b].backward = t->n_launches;
		for (; op != NULL && op->block == b && !tape_failed(t); op = op->prev) {
			if (op->kind->backward != NULL && has_gradient(t, op))
				op->kind->backward(t, op);
			for (int i = 0; i < 3; i++)
				if (op->out[i] != NULL)
					((struct tape_tensor *)op->out[i]->priv)->done = true;
		}
		if (!tape_failed(t) && (t->flags & (TAPE_RECOMPUTE_CHEAP | TAPE_RECOMPUTE_BLOCK)))
			tape_recompute(t, b);
		t->block[b].backward_end = t->n_launches;
	}
}

/* ---- placement ---- */

struct place {
	struct slot	*s;
	int64_t		 at, end;
};

static int
larger_first(const void *a, const void *b)
{
	const struct slot *x = *(struct slot *const *)a, *y = *(struct slot *const *)b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->first != y->first ? (x->first > y->first ? 1 : -1) : x < y ? -1 : x > y;
}

static int
lower_first(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->at != y->at ? (x->at > y->at ? 1 : -1) : 0;
}

/* The start of the smallest gap between busy (sorted) that takes bytes. */
static int64_t
best_gap(const struct place *busy, int n, int64_t bytes)
{
	int64_t end = 0, best = -1, best_size = INT64_MAX;

	for (int i = 0; i < n; i++) {
		int64_t gap = busy[i].at - end;

		if (gap >= bytes && gap < best_size) {
			best = end;
			best_size = gap;
		}
		if (busy[i].end > end)
			end = busy[i].end;
	}
	return best >= 0 ? best : end;
}

static int64_t
round_up(int64_t n)
{
	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static void
place_all(struct slot **order, int n, struct place *busy, int64_t *total)
{
	for (int i = 0; i < n; i++) {
		struct slot *s = order[i];
		int nbusy = 0;

		for (int j = 0; j < i; j++)
			if (order[j]->first <= s->last && s->first <= order[j]->last)
				busy[nbusy++] = (struct place){ order[j], order[j]->at,
				    order[j]->at + round_up(order[j]->bytes) };
		qsort(busy, (size_t)nbusy, sizeof(*busy), lower_first);
		s->at = best_gap(busy, nbusy, round_up(s->bytes));
		if (s->at + round_up(s->bytes) > *total)
			*total = s->at + round_up(s->bytes);
	}
}

/* ---- lives of slots ---- */

/*
 * From first to last use.  A forward block can run again: what it takes from
 * others lives to its end.
 */
static void
find_lives(struct tape *t)
{
	for (int i = 0; i < t->n_slots; i++)
		t->slot[i].first = t->slot[i].last = t->slot[i].through = -1;
	for (int i = 0; i < t->n_uses; i++) {
		const struct use *u = &t->use[i];
		struct slot *s = u->m.slot >= 0 ? &t->slot[u->m.slot] : NULL;

		if (s != NULL && (s->first < 0 || u->launch < s->first))
			s->first = u->launch;
		if (s != NULL && u->launch > s->last)
			s->last = u->launch;
	}
	for (int i = 0; i < t->n_uses; i++) {
		struct slot *s = t->use[i].m.slot >= 0 ? &t->slot[t->use[i].m.slot] : NULL;
		int block = t->launch[t->use[i].launch].block;

		if (s != NULL && block > t->launch[s->first].block && block > s->through)
			s->through = block;
	}
}

/* What is pinned or an output lives longer than its uses. */
static void
extend_lives(struct tape *t)
{
	for (struct tape_tensor *x = t->tensors; x != NULL; x = x->next)
		if (x->output) {
			if (x->mem.slot >= 0 && t->slot[x->mem.slot].first >= 0)
				t->slot[x->mem.slot].last = INT_MAX;
			if (x->grad.slot >= 0 && t->slot[x->grad.slot].first >= 0)
				t->slot[x->grad.slot].last = INT_MAX;
		}
	for (int i = 0; i < t->n_slots; i++) {
		struct slot *s = &t->slot[i];

		if (s->pinned) {
			s->first = 0;
			s->last = INT_MAX;
		} else if (s->through >= 0 && s->last < t->block[s->through].forward_end - 1) {
			s->last = t->block[s->through].forward_end - 1;
		}
	}
}

/* Pairs of fields of which the first may be the second: (kernel, output, input). */
static const struct {
	int	kernel;
	size_t	out, in;
} in_place[] = {
#define PAIR(kernel, out, in) \
	{ kernel, offsetof(union dev_args, out), offsetof(union dev_args, in) }
	PAIR(K_ADD, add.y, add.a), PAIR(K_ADD, add.y, add.b), PAIR(K_ROPE, rope.y, rope.x),
	PAIR(K_ACT, act.y, act.x), PAIR(K_ACT_BWD, act_bwd.dx, act_bwd.x),
	PAIR(K_ACT_BWD, act_bwd.dx, act_bwd.dy), PAIR(K_GLU, glu.y, glu.gate),
	PAIR(K_GLU_BWD, glu_bwd.dgate, glu_bwd.gate), PAIR(K_GLU_BWD, glu_bwd.dup, glu_bwd.up),
#undef PAIR
};

/* The slot at a field of launch number at, whose uses are among n of u; -1: none. */
static int
slot_of(const struct use *u, int n, int at, size_t field)
{
	for (int i = 0; i < n && u[i].launch == at; i++)
		if ((size_t)u[i].field == field && u[i].m.at == 0)
			return u[i].m.slot;
	return -1;
}

/* Let out go on in the memory of in, when in ends where out begins. */
static void
merge(struct tape *t, int out, int in, int at)
{
	struct slot *y, *x;

	if (out < 0 || in < 0 || out == in)
		return;
	while (t->slot[in].inside >= 0)
		in = t->slot[in].inside;
	y = &t->slot[out];
	x = &t->slot[in];
	/* What comes from another block must be there when this one runs again. */
	if (y->inside >= 0 || y->pinned || y->first != at || x->pinned || x->last != at ||
	    x->bytes != y->bytes || (x->through >= 0 && t->launch[at].block >= 0))
		return;
	y->inside = in;
	x->last = y->last;
	x->through = y->through > x->through ? y->through : x->through;
}

static int
by_launch(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	return x->launch != y->launch ? (x->launch > y->launch ? 1 : -1) :
	    (x->field > y->field) - (x->field < y->field);
}

static void
merge_slots(struct tape *t)
{
	qsort(t->use, (size_t)t->n_uses, sizeof(*t->use), by_launch);
	for (int i = 0; i < t->n_uses; i++) {
		int at = t->use[i].launch, kernel = t->launch[at].kernel;

		if (i > 0 && t->use[i - 1].launch == at)
			continue;
		for (size_t k = 0; k < sizeof(in_place) / sizeof(*in_place); k++)
			if (in_place[k].kernel == kernel)
				merge(t, slot_of(t->use + i, t->n_uses - i, at, in_place[k].out),
				    slot_of(t->use + i, t->n_uses - i, at, in_place[k].in), at);
	}
}

static int
place_slots(struct tape *t, struct err *err)
{
	struct slot **order = calloc((size_t)t->n_slots + 1, sizeof(struct slot *));
	struct place *busy = calloc((size_t)t->n_slots + 1, sizeof(*busy));
	int n = 0, ret = -1;

	if (order == NULL || busy == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		goto out;
	}
	t->slot[0].bytes = t->n_counts * (int64_t)sizeof(int32_t);
	t->bytes = round_up(t->slot[0].bytes);	/* the counts come first */
	for (int i = 1; i < t->n_slots; i++)
		if (t->slot[i].first >= 0 && t->slot[i].inside < 0)
			order[n++] = &t->slot[i];
	qsort(order, (size_t)n, sizeof(struct slot *), larger_first);
	{
		int64_t total = 0, counts = t->bytes;

		place_all(order, n, busy, &total);
		for (int i = 0; i < n; i++)
			order[i]->at += counts;
		t->bytes = counts + total;
	}
	for (int i = 0; i < t->n_slots; i++) {
		const struct slot *s = &t->slot[i];

		while (s->inside >= 0)
			s = &t->slot[s->inside];
		t->slot[i].at = s->at;
	}
	ret = 0;
out:
	free(order);
	free(busy);
	return ret;
}

/* ---- gradients of parameters ---- */

/* Does this launch give all of the gradient as its result? */
static bool
writes_grad(const struct tape *t, const struct use *u)
{
	const struct launch *l = &t->launch[u->launch];
	const struct k_matmul *m = &l->a.matmul;

	return l->kernel == K_MATMUL && u->field == offsetof(union dev_args, matmul.c) &&
	    m->add && m->ldc == m->n && u->m.at == 0 && m->m.cap * m->n == u->m.param->n;
}

/* Its number among those that the tape adds to, or how many there are; -1: no gradient. */
static int
grad_at(const struct tape *t, const struct use *u)
{
	int k = 0;

	if (u->m.slot >= 0 || u->m.other != NULL || !u->m.grad)
		return -1;
	while (k < t->n_grads && t->grad[k].p != u->m.param)
		k++;
	return k;
}

/*
 * Which gradients the tape adds to, in the order of time, what is first to write
 * one, and which can be measured as they are written: a product tells the squares
 * of its result, and rows of an embedding that are added later what they add.
 */
static void
find_grads(struct tape *t)
{
	for (int i = 0; i < t->n_uses; i++) {
		const struct use *u = &t->use[i];
		struct launch *l = &t->launch[u->launch];
		int k = grad_at(t, u);

		if (k < 0)
			continue;
		if (k < t->n_grads) {
			t->grad[k].measured = t->grad[k].measured && l->kernel == K_EMBED_BWD;
			continue;
		}
		if (!tape_grow(t, &t->grad, k, &t->grads_cap, sizeof(*t->grad)))
			return;
		l->first = writes_grad(t, u);
		t->grad[t->n_grads++] = (struct grad){ u->m.param, l->first,
			l->first && t->wide == DTYPE_F32 };
	}
	for (int i = 0; i < t->n_uses; i++) {
		int k = grad_at(t, &t->use[i]);

		t->launch[t->use[i].launch].measures |= k >= 0 && t->grad[k].measured;
	}
}

/* ---- all of it ---- */

int
tape_layout(struct tape *t, struct err *err)
{
	if (!tape_failed(t) && t->n_launches == 0)
		tape_fail(t, "an empty tape");
	close_forward(t);
	t->planned = true;
	if (!tape_failed(t) && tape_backward_on(t))
		backward(t);
	if (tape_failed(t)) {
		*err = t->err;
		return -1;
	}
	find_lives(t);
	extend_lives(t);
	merge_slots(t);
	find_grads(t);
	if (tape_failed(t)) {
		*err = t->err;
		return -1;
	}
	return place_slots(t, err);
}

/* ---- addresses ---- */

/* Stands for where gradients are measured, in launches that are only looked at. */
static const dptr some_place = { ALIGN };

static int
address(struct tape *t, struct mem m, dptr *p, struct err *err)
{
	dptr base;

	if (m.slot >= 0)
		base = dptr_add(t->memory, t->slot[m.slot].at);
	else if (m.other != NULL)
		base = m.other->data;
	else
		base = m.grad ? m.param->grad : m.param->data;
	if (base.at == 0 && m.other != NULL)
		return err_set(err, ERR_ARG, "tensor '%s' has no memory", m.other->name);
	if (base.at == 0)
		return err_set(err, ERR_ARG, "parameter '%s' has no %s", m.param->name,
		    m.grad ? "memory for its gradient" : "memory");
	*p = dptr_add(base, m.at);
	return 0;
}

static int
set_addresses(struct tape *t, struct err *err)
{
	for (int i = 0; i < t->n_uses; i++) {
		const struct use *u = &t->use[i];
		dptr p = { 0 };

		if (address(t, u->m, &p, err) < 0)
			return -1;
		memcpy((char *)&t->launch[u->launch].a + u->field, &p, sizeof(p));
	}
	for (struct tape_tensor *x = t->tensors; x != NULL; x = x->next) {
		if (t->slot[x->mem.slot].first >= 0)
			x->t.data = dptr_add(t->memory, t->slot[x->mem.slot].at);
		if (x->grad.slot >= 0 && t->slot[x->grad.slot].first >= 0)
			x->t.grad = dptr_add(t->memory, t->slot[x->grad.slot].at);
	}
	return 0;
}

static void
upload_constants(struct tape *t)
{
	for (struct tape_tensor *x = t->tensors; x != NULL; x = x->next)
		if (x->constant != NULL)
			dev_upload(t->dev, x->t.data, x->constant, t->slot[x->mem.slot].bytes);
}

int
tape_plan(struct tape *t, struct err *err)
{
	if (tape_layout(t, err) < 0)
		return -1;
	t->memory = dev_alloc(t->dev, t->bytes, err);
	if (t->memory.at == 0)
		return err_wrap(err, "%" PRId64 " bytes of activations", t->bytes);
	if (set_addresses(t, err) < 0)
		return -1;
	for (int i = 0; i < t->n_launches; i++) {
		union dev_args a = tape_args(t, &t->launch[i], some_place);

		if (dev_check(t->dev, t->launch[i].kernel, &a, err) < 0)
			return -1;
	}
	t->count_host = arena_new(&t->arena, int32_t, t->n_counts, err);
	if (t->count_host == NULL)
		return -1;
	free(t->use);
	t->use = NULL;
	t->n_uses = t->uses_cap = 0;
	t->wanted = t->max_wanted;
	upload_constants(t);
	tape_set_counts(t, (int32_t)t->max_tokens, (int32_t)t->max_seqs);
	return dev_wait(t->dev, err);
}

int64_t
tape_scratch(const struct tape *t, struct dev *dev)
{
	int64_t most = 0;

	for (int i = 0; i < t->n_launches; i++) {
		union dev_args a = tape_args(t, &t->launch[i], some_place);
		int64_t bytes = dev_scratch(dev, t->launch[i].kernel, &a);

		most = bytes > most ? bytes : most;
	}
	return most;
}

void
tape_cost(const struct tape *t, struct tape_cost *cost)
{
	*cost = (struct tape_cost){ .memory = t->bytes, .blocks = t->n_blocks,
	    .launches = t->n_launches, .records = t->arena.at - t->arena.base };

	cost->records += t->n_launches * (int64_t)sizeof(*t->launch) +
	    t->n_slots * (int64_t)sizeof(*t->slot);
	for (const struct op *op = t->ops; op != NULL; op = op->prev) {
		cost->flops += op->flops;
		cost->bytes += op->bytes;
		cost->flops_backward += op->flops_backward;
	}
}
