/*
 * recompute - what a block's backward pass needs is computed again before it
 *
 * After a block's backward launches are recorded, the forward launches that
 * lead to what they read are put before them once more, writing to slots of
 * their own.  What was inside the block then lives through its forward pass,
 * and again through its backward pass, and nowhere between.
 *
 * Whole blocks start from what other blocks left.  Cheap ops alone are
 * repeated where all that they read is there anyway: so that a norm is
 * repeated from the residual stream, but no sum whose parts would have to be
 * kept for it.
 */
#include "nn/tape_impl.h"

#include <stdlib.h>

#define OUT(field) (offsetof(union dev_args, field) + 1)

/* The fields that a kernel writes, plus one; a kernel without any may write all its fields. */
static const size_t outputs[K_COUNT][4] = {
	[K_FILL] = { OUT(fill.y) }, [K_COPY] = { OUT(copy.y) }, [K_CAST] = { OUT(cast.y) },
	[K_ADD] = { OUT(add.y) }, [K_AXPBY] = { OUT(axpby.y) }, [K_EMBED] = { OUT(embed.y) },
	[K_SCATTER] = { OUT(scatter.y) }, [K_MATMUL] = { OUT(matmul.c) },
	[K_GROUPED] = { OUT(grouped.p.c) },
	[K_RMSNORM] = { OUT(rmsnorm.y), OUT(rmsnorm.rstd) },
	[K_LAYERNORM] = { OUT(layernorm.y), OUT(layernorm.mean), OUT(layernorm.rstd) },
	[K_ROPE] = { OUT(rope.y) }, [K_HADAMARD] = { OUT(hadamard.y) },
	[K_ATTENTION] = { OUT(attention.o), OUT(attention.lse) },
	[K_ACT] = { OUT(act.y) }, [K_GLU] = { OUT(glu.y) },
	[K_CONV] = { OUT(conv.y), OUT(conv.state) },
	[K_SCAN] = { OUT(scan.y), OUT(scan.state), OUT(scan.saved) },
	[K_ROUTE] = { OUT(route.id), OUT(route.weight) },
	[K_ROUTE_SORT] = { OUT(route_sort.offset), OUT(route_sort.token), OUT(route_sort.row) },
	[K_ROUTE_SUM] = { OUT(route_sum.sum) }, [K_BALANCE] = { OUT(balance.count),
	OUT(balance.loss) }, [K_COMBINE] = { OUT(combine.y) }, [K_SLICE] = { OUT(slice.y) },
	[K_DOT] = { OUT(dot.out) },
};

/* One block's launches [from, to), and what is known of launches and slots. */
struct again {
	struct tape	*t;
	int		 from, to;
	int		*use;		/* the first use of each launch; one more */
	bool		*can, *will;	/* launches: may be repeated, is */
	bool		*made;		/* slots: written by the block's forward pass */
	bool		*needed;	/* and read after it */
	bool		*there;		/* at hand before the backward pass */
	bool		*fixed;		/* written by what is not repeated */
	int		*fresh;		/* their new slots, -1: none */
};

static bool
writes(const struct launch *l, const struct use *u)
{
	const size_t *out = outputs[l->kernel];

	if (out[0] == 0)
		return true;
	for (int i = 0; i < 4 && out[i] != 0; i++)
		if (out[i] == (size_t)u->field + 1)
			return true;
	return false;
}

/* Uses [*use, end) of launch number i of the block. */
static const struct use *
uses_of(const struct again *a, int i, int *n)
{
	*n = a->use[i + 1] - a->use[i];
	return &a->t->use[a->use[i]];
}

/* Where each forward launch's uses start: they lie in order of launches until now. */
static void
find_uses(struct again *a)
{
	int u = 0;

	for (int i = 0; i <= a->to - a->from; i++) {
		while (u < a->t->n_uses && a->t->use[u].launch < a->from + i)
			u++;
		a->use[i] = u;
	}
}

static bool
is_made(const struct again *a, const struct use *u)
{
	return u->m.slot >= 0 && a->made[u->m.slot];
}

/*
 * What the forward launches write for the first time, and the backward ones
 * read.  What other blocks' backward passes read is there without doing anything.
 */
static void
find_slots(struct again *a, int start)
{
	struct tape *t = a->t;
	int backward = t->block[t->n_blocks - 1].forward_end;

	for (int i = 0; i < t->n_uses; i++) {
		const struct use *u = &t->use[i];
		int s = u->m.slot;

		if (s < 0 || t->slot[s].pinned)
			continue;
		if (u->launch < a->from)
			a->needed[s] = true;	/* another block's: for now */
		else if (u->launch < a->to && !a->needed[s])
			a->made[s] = a->made[s] || writes(&t->launch[u->launch], u);
		else if (u->launch >= backward && u->launch < start)
			a->made[s] = false;
	}
	for (struct tape_tensor *x = t->tensors; x != NULL; x = x->next)
		if (x->output && x->mem.slot >= 0)
			a->made[x->mem.slot] = false;
	for (int i = 0; i < t->n_slots; i++)
		a->needed[i] = false;
	for (int i = 0; i < t->n_uses; i++)
		if (t->use[i].launch >= start && is_made(a, &t->use[i]))
			a->needed[t->use[i].m.slot] = true;
}

/* Note what launch number i writes and is not repeated.  Was something new in it? */
static bool
fix_outputs(struct again *a, int i)
{
	const struct launch *l = &a->t->launch[a->from + i];
	bool new = false;
	int n;
	const struct use *u = uses_of(a, i, &n);

	for (int k = 0; k < n; k++)
		if (is_made(a, &u[k]) && writes(l, &u[k]) && !a->fixed[u[k].m.slot])
			new = a->fixed[u[k].m.slot] = true;
	return new;
}

/*
 * Cheap launches whose inputs are there: kept for backward, or made by such
 * launches.  Where several write to one slot, all of them are repeated or none:
 * so those before one that is not are looked at once more.
 */
static void
choose_cheap(struct again *a)
{
	bool more = true;
	int n;

	while (more) {
		more = false;
		memcpy(a->there, a->needed, (size_t)a->t->n_slots);
		for (int i = 0; i < a->to - a->from; i++) {
			const struct launch *l = &a->t->launch[a->from + i];
			const struct use *u = uses_of(a, i, &n);

			a->can[i] = l->cheap;
			for (int k = 0; k < n; k++)
				if (is_made(a, &u[k]) && (writes(l, &u[k]) ?
				    a->fixed[u[k].m.slot] : !a->there[u[k].m.slot]))
					a->can[i] = false;
			if (!a->can[i] && fix_outputs(a, i))
				more = true;
			for (int k = 0; k < n && a->can[i]; k++)
				if (is_made(a, &u[k]))
					a->there[u[k].m.slot] = true;
		}
	}
}

/* From the last launch to the first: what is needed, and what that needs.  How many? */
static int
choose(struct again *a)
{
	int count = 0, n;

	for (int i = a->to - a->from - 1; i >= 0; i--) {
		const struct launch *l = &a->t->launch[a->from + i];
		const struct use *u = uses_of(a, i, &n);

		for (int k = 0; k < n && a->can[i]; k++)
			if (is_made(a, &u[k]) && writes(l, &u[k]) && a->needed[u[k].m.slot])
				a->will[i] = true;
		for (int k = 0; k < n && a->will[i]; k++)
			if (is_made(a, &u[k]))
				a->needed[u[k].m.slot] = true;
		count += a->will[i];
	}
	return count;
}

/* New slots for what the repeated launches write. */
static void
make_slots(struct again *a)
{
	int n;

	for (int i = 0; i < a->to - a->from; i++) {
		const struct launch *l = &a->t->launch[a->from + i];
		const struct use *u = uses_of(a, i, &n);

		for (int k = 0; k < n && a->will[i]; k++)
			if (is_made(a, &u[k]) && writes(l, &u[k]) && a->fresh[u[k].m.slot] < 0)
				a->fresh[u[k].m.slot] =
				    mem_slot(a->t, a->t->slot[u[k].m.slot].bytes).slot;
	}
}

static struct mem
renewed(const struct again *a, struct mem m)
{
	if (m.slot >= 0 && a->fresh[m.slot] >= 0)
		m.slot = a->fresh[m.slot];
	return m;
}

/* Make room for count launches at start, and write them there. */
static void
insert(struct again *a, int start, int count, int old_uses)
{
	struct tape *t = a->t;
	int at = start, n;

	for (int i = 0; i < old_uses; i++)
		if (t->use[i].launch >= start) {
			t->use[i].m = renewed(a, t->use[i].m);
			t->use[i].launch += count;
		}
	for (int i = 0; i < count; i++)
		tape_launch(t, K_FILL);
	if (tape_failed(t))
		return;
	memmove(&t->launch[start + count], &t->launch[start],
	    (size_t)(t->n_launches - count - start) * sizeof(*t->launch));
	for (int i = 0; i < a->to - a->from; i++) {
		if (!a->will[i])
			continue;
		t->launch[at] = t->launch[a->from + i];
		t->launch[at].block = -1;
		uses_of(a, i, &n);
		for (int k = a->use[i]; k < a->use[i] + n; k++) {
			if (!tape_grow(t, &t->use, t->n_uses, &t->uses_cap, sizeof(*t->use)))
				return;
			t->use[t->n_uses] = t->use[k];
			t->use[t->n_uses].launch = at;
			t->use[t->n_uses++].m = renewed(a, t->use[k].m);
		}
		at++;
	}
}

void
tape_recompute(struct tape *t, int block)
{
	const struct block *b = &t->block[block];
	size_t launches = (size_t)(b->forward_end - b->forward), slots = (size_t)t->n_slots;
	struct again a = { .t = t, .from = b->forward, .to = b->forward_end };
	char *mem = calloc((launches + 1) * (sizeof(int) + 2) + slots * (sizeof(int) + 4), 1);
	int count, old_uses = t->n_uses;

	if (mem == NULL) {
		err_set(&t->err, ERR_NOMEM, "out of memory");
		return;
	}
	a.use = (int *)(void *)mem;
	a.fresh = a.use + launches + 1;
	a.can = (bool *)(a.fresh + slots);
	a.will = a.can + launches + 1;
	a.made = a.will + launches + 1;
	a.needed = a.made + slots;
	a.there = a.needed + slots;
	a.fixed = a.there + slots;
	for (size_t i = 0; i < slots; i++)
		a.fresh[i] = -1;
	find_uses(&a);
	find_slots(&a, b->backward);
	if (t->flags & TAPE_RECOMPUTE_CHEAP)
		choose_cheap(&a);
	else
		for (size_t i = 0; i < launches; i++)
			a.can[i] = !t->launch[(size_t)a.from + i].once;
	count = tape_failed(t) ? 0 : choose(&a);
	if (count > 0) {
		make_slots(&a);
		insert(&a, b->backward, count, old_uses);
	}
	free(mem);
}
