#include <stdlib.h>

#include "infer/matcher_impl.h"

/*
 * What is in a and in b, or in a and not in b: both are matched at once, and
 * every pair of states that a text can lead to becomes a state of the product.
 */
#define PAIRS_MAX	16384

struct pair {
	int32_t	a, b;		/* sets */
	int32_t	entry;		/* instruction */
};

struct product {
	struct emitter	*m;
	bool		 minus;
	struct constraint *a, *b;
	struct pair	*pair;
	int32_t		 n;
	int32_t		*slot;		/* number + 1; a power of two of them */
};

enum { SLOTS = 1 << 16 };

static struct constraint *
side(struct emitter *m, const struct expr *e, struct grammar **g)
{
	struct rule rule = { .body = e };
	struct builder b = { .rule = &rule, .n_rules = 1, .err = m->b->err };

	if ((*g = grammar_compile(&b, true, m->b->err)) == NULL)
		return NULL;
	return constraint_new(*g, NULL, m->b->err);
}

/* The number of a pair, a new one when it is; -1 when nothing goes on from it, -2: a limit. */
static int32_t
pair_of(struct product *p, int32_t a, int32_t b)
{
	uint32_t i = ((uint32_t)a * 0x9e3779b1u ^ (uint32_t)b * 0x85ebca6bu) >> 7;

	if (a == SET_DEAD || (b == SET_DEAD && !p->minus))
		return -1;
	for (i &= SLOTS - 1; p->slot[i] != 0; i = (i + 1) & (SLOTS - 1)) {
		const struct pair *o = &p->pair[p->slot[i] - 1];

		if (o->a == a && o->b == b)
			return p->slot[i] - 1;
	}
	if (p->n == PAIRS_MAX) {
		builder_fail(p->m->b, ERR_LIMIT, "two patterns, or a pattern and a length, "
		    "together have more than %d states", PAIRS_MAX);
		return -2;
	}
	p->pair[p->n] = (struct pair){ a, b,
	    emit_code(p->m, (struct code){ .op = OP_SPLIT }) };
	if (p->pair[p->n].entry < 0)
		return -2;
	p->slot[i] = p->n + 1;
	return p->n++;
}

static int32_t
pair_next(struct product *p, const struct pair *at, int byte)
{
	int32_t a = set_next(p->a, at->a, (uint8_t)byte, p->m->b->err);
	int32_t b = set_next(p->b, at->b, (uint8_t)byte, p->m->b->err);

	p->a->work = p->b->work = 0;
	if (a < 0 || b < 0) {
		p->m->b->failed = true;
		return -2;
	}
	return pair_of(p, a, b);
}

/* The instructions of a pair: one for each run of bytes that goes to the same. */
static int
emit_pair(struct product *p, int32_t number, int32_t next)
{
	struct pair at = p->pair[number];
	const uint8_t *a = p->a->g->class_of, *b = p->b->g->class_of;
	bool b_done = p->b->s.set[at.b].done;
	int32_t run = -1, first = 0, to, all = 1;

	if (p->a->s.set[at.a].done && b_done != p->minus)
		all = next;
	for (int byte = 0; byte <= 256; byte++, run = to) {
		to = run;
		if (byte > 0 && byte < 256 && a[byte] == a[byte - 1] && b[byte] == b[byte - 1])
			continue;
		to = byte < 256 ? pair_next(p, &at, byte) : -1;
		if (to < -1)
			return -1;
		if (to == run)
			continue;
		if (run >= 0)
			all = emit_split(p->m, emit_code(p->m, (struct code){ .op = OP_BYTE,
			    .lo = (uint8_t)first, .hi = (uint8_t)(byte - 1),
			    .x = p->pair[run].entry }), all);
		first = byte;
	}
	if (all < 0)
		return -1;
	p->m->code[at.entry].x = all;
	p->m->code[at.entry].y = CODE_DEAD;
	return 0;
}

static int32_t
emit_pairs(struct product *p, int32_t next)
{
	if (pair_of(p, p->a->start, p->b->start) < 0)
		return p->m->b->failed ? -1 : CODE_DEAD;
	for (int32_t i = 0; i < p->n; i++)
		if (emit_pair(p, i, next) < 0)
			return -1;
	return p->pair[0].entry;
}

int32_t
emit_product(struct emitter *m, const struct expr *e, int32_t next)
{
	struct product p = { .m = m, .minus = e->op == EXPR_MINUS };
	struct grammar *a = NULL, *b = NULL;
	int32_t at = -1;

	if ((p.a = side(m, e->a, &a)) == NULL || (p.b = side(m, e->b, &b)) == NULL)
		m->b->failed = true;
	else if ((p.pair = calloc(PAIRS_MAX, sizeof(*p.pair))) == NULL ||
	    (p.slot = calloc(SLOTS, sizeof(*p.slot))) == NULL)
		builder_fail(m->b, ERR_NOMEM, "out of memory");
	else
		at = emit_pairs(&p, next);
	free(p.pair);
	free(p.slot);
	constraint_free(p.a);
	constraint_free(p.b);
	grammar_free(a);
	grammar_free(b);
	return at;
}
