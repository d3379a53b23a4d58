#include <string.h>

#include "infer/grammar_impl.h"

#define EMIT_NEST	4000	/* of the C stack, some 200 bytes each */
#define UNROLLED	128	/* instructions that a counted repetition may be written out to */

int32_t
emit_code(struct emitter *m, struct code c)
{
	if (m->n == m->cap) {
		builder_fail(m->b, ERR_LIMIT, "the grammar compiles to more than %d instructions",
		    m->cap);
		return -1;
	}
	m->code[m->n] = c;
	return m->n++;
}

int32_t
emit_split(struct emitter *m, int32_t x, int32_t y)
{
	if (x < 0 || y < 0)
		return -1;
	return emit_code(m, (struct code){ .op = OP_SPLIT, .x = x, .y = y });
}

static int32_t
emit_byte(struct emitter *m, int lo, int hi, int32_t next)
{
	if (next < 0)
		return -1;
	return emit_code(m, (struct code){ .op = OP_BYTE, .lo = (uint8_t)lo, .hi = (uint8_t)hi,
	    .x = next });
}

static int32_t
emit_bytes(struct emitter *m, str bytes, int32_t next)
{
	for (ptrdiff_t i = bytes.n - 1; i >= 0; i--)
		next = emit_byte(m, (uint8_t)bytes.p[i], (uint8_t)bytes.p[i], next);
	return next;
}

/* ---- characters as UTF-8 ---- */

/* One set on its way: any[k] is k continuation bytes and then what follows. */
struct utf8 {
	struct emitter	*m;
	int32_t		 any[4];
	int32_t		 all;		/* the alternatives so far */
};

static int
encode_utf8(uint8_t p[4], int32_t c)
{
	static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (int i = n - 1; i > 0; i--, c >>= 6)
		p[i] = (uint8_t)(0x80 | (c & 0x3f));
	p[0] = (uint8_t)(lead[n * (n > 1)] | c);
	return n;
}

static int32_t
any_tail(struct utf8 *u, int n)
{
	if (u->any[n] < 0)
		u->any[n] = emit_byte(u->m, 0x80, 0xbf, any_tail(u, n - 1));
	return u->any[n];
}

static bool
tail_is(const uint8_t *p, int n, uint8_t value)
{
	for (int i = 0; i < n; i++)
		if (p[i] != value)
			return false;
	return true;
}

/* Texts of n bytes from lo to hi, as bytes are compared; or -1. */
static int32_t
between(struct utf8 *u, const uint8_t *lo, const uint8_t *hi, int n)
{
	int first = lo[0], last = hi[0];
	int32_t all = -1, part;

	if (n == 1)
		return emit_byte(u->m, first, last, u->any[0]);
	if (first == last)
		return emit_byte(u->m, first, first, between(u, lo + 1, hi + 1, n - 1));
	if (!tail_is(lo + 1, n - 1, 0x80)) {
		static const uint8_t high[3] = { 0xbf, 0xbf, 0xbf };

		all = emit_byte(u->m, first, first, between(u, lo + 1, high, n - 1));
		first++;
	}
	if (!tail_is(hi + 1, n - 1, 0xbf)) {
		static const uint8_t low[3] = { 0x80, 0x80, 0x80 };

		part = emit_byte(u->m, last, last, between(u, low, hi + 1, n - 1));
		all = all < 0 ? part : emit_split(u->m, all, part);
		last--;
	}
	if (first > last)
		return all;
	part = emit_byte(u->m, first, last, any_tail(u, n - 1));
	return all < 0 ? part : emit_split(u->m, all, part);
}

/* Surrogates, which UTF-8 has not, are left out. */
static void
emit_span(struct utf8 *u, struct span s)
{
	static const struct span length[] = {
		{ 0, 0x7f }, { 0x80, 0x7ff }, { 0x800, 0xd7ff }, { 0xe000, 0xffff },
		{ 0x10000, CHAR_MAX_VALUE },
	};

	for (int i = 0; i < 5; i++) {
		int32_t a = s.lo > length[i].lo ? s.lo : length[i].lo;
		int32_t z = s.hi < length[i].hi ? s.hi : length[i].hi, part;
		uint8_t lo[4], hi[4];
		int n;

		if (a > z)
			continue;
		n = encode_utf8(lo, a);
		encode_utf8(hi, z);
		part = between(u, lo, hi, n);
		u->all = u->all < 0 ? part : emit_split(u->m, u->all, part);
	}
}

static int32_t
emit_chars(struct emitter *m, const struct chars *c, int32_t next)
{
	struct utf8 u = { .m = m, .any = { next, -1, -1, -1 }, .all = -1 };

	if (next < 0)
		return -1;
	for (int32_t i = 0; i < c->n && !m->b->failed; i++)
		emit_span(&u, c->span[i]);
	if (u.all < 0 && !m->b->failed)		/* surrogates alone */
		return CODE_DEAD;
	return u.all;
}

/* ---- repetition ---- */

static int32_t
emit_star(struct emitter *m, const struct expr *body, int32_t next)
{
	int32_t at = emit_split(m, 0, next), x;

	if (at < 0 || (x = emit(m, body, at)) < 0)
		return -1;
	m->code[at].x = x;
	return at;
}

static int32_t
emit_repeat(struct emitter *m, const struct expr *e, int32_t next)
{
	bool open = e->max == REPEAT_INF;
	int32_t copies = open ? e->min : e->max, at;

	if (next < 0)
		return -1;
	if (copies > 1 && (int64_t)copies * (e->a->size + 1) > UNROLLED) {
		at = emit_code(m, (struct code){ .op = OP_REPEAT, .y = next,
		    .min = e->min, .max = open ? INT32_MAX : e->max });
		if (at >= 0) {
			int32_t x = emit(m, e->a, CODE_END);

			m->code[at].x = x;
			return x < 0 ? -1 : at;
		}
		return -1;
	}
	at = open ? emit_star(m, e->a, next) : next;
	for (int32_t i = e->min; !open && i < e->max && at >= 0; i++)
		at = emit_split(m, emit(m, e->a, at), next);
	for (int32_t i = 0; i < e->min && at >= 0; i++)
		at = emit(m, e->a, at);
	return at;
}

/* From a remainder, each digit goes to another: one instruction a remainder, then digits. */
static int32_t
emit_multiple(struct emitter *m, int32_t of, int32_t next)
{
	int32_t first = m->n;

	for (int32_t r = 0; r < of; r++)
		if (emit_code(m, (struct code){ .op = OP_SPLIT, .x = CODE_DEAD,
		    .y = r == 0 ? next : CODE_DEAD }) < 0)
			return -1;
	for (int32_t r = 0; r < of; r++)
		for (int d = 0; d < 10; d++) {
			int32_t to = first + (10 * r + d) % of;
			int32_t all = emit_split(m, emit_byte(m, '0' + d, '0' + d, to),
			    m->code[first + r].x);

			if (all < 0)
				return -1;
			m->code[first + r].x = all;
		}
	return first;
}

static int32_t
emit_leaf(struct emitter *m, const struct expr *e, int32_t next)
{
	switch (e->op) {
	case EXPR_EMPTY:
		return next;
	case EXPR_BYTES:
		return emit_bytes(m, e->bytes, next);
	case EXPR_BYTE:
		return emit_byte(m, e->min, e->max, next);
	case EXPR_CHARS:
		return emit_chars(m, e->chars, next);
	case EXPR_REPEAT:
		return emit_repeat(m, e, next);
	case EXPR_CALL:
		/* The rule's number, until all rules have a place. */
		return next < 0 ? -1 :
		    emit_code(m, (struct code){ .op = OP_CALL, .x = e->rule, .y = next });
	case EXPR_MULTIPLE:
		return emit_multiple(m, e->min, next);
	case EXPR_AND:
	case EXPR_MINUS:
		return emit_product(m, e, next);
	default:
		return CODE_DEAD;
	}
}

int32_t
emit(struct emitter *m, const struct expr *e, int32_t next)
{
	int32_t all;

	if (e == NULL || next < 0 || m->b->failed)
		return -1;
	if (m->nest == EMIT_NEST) {
		builder_fail(m->b, ERR_LIMIT, "the grammar is nested too deep");
		return -1;
	}
	m->nest++;
	while (e->op == EXPR_SEQ && next >= 0) {
		next = emit(m, e->b, next);
		e = e->a;
	}
	if (e->op != EXPR_ALT) {
		all = emit_leaf(m, e, next);
	} else {
		all = emit(m, e->b, next);
		while (e = e->a, e->op == EXPR_ALT && all >= 0)
			all = emit_split(m, emit(m, e->b, next), all);
		if (all >= 0)
			all = emit_split(m, emit(m, e, next), all);
	}
	m->nest--;
	return all;
}
