#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "infer/grammar_impl.h"

#define BUILDER_BYTES	((ptrdiff_t)64 << 20)

int
builder_init(struct builder *b, struct err *err)
{
	*b = (struct builder){ .err = err };
	if (arena_init(&b->arena, BUILDER_BYTES, err) < 0)
		return -1;
	b->rule = arena_new(&b->arena, struct rule, GRAMMAR_RULES_MAX, err);
	if (b->rule != NULL)
		return 0;
	builder_free(b);
	return -1;
}

void
builder_free(struct builder *b)
{
	arena_free(&b->arena);
}

struct expr *
builder_fail(struct builder *b, enum err_code code, const char *fmt, ...)
{
	char msg[400];
	va_list ap;

	if (!b->failed) {
		va_start(ap, fmt);
		vsnprintf(msg, sizeof(msg), fmt, ap);
		va_end(ap);
		err_set(b->err, code, "%s", msg);
	}
	b->failed = true;
	return NULL;
}

static void *
take(struct builder *b, ptrdiff_t n, ptrdiff_t size)
{
	void *p;

	if (b->failed)
		return NULL;
	if ((p = arena_alloc(&b->arena, n, size, b->err)) == NULL) {
		b->failed = true;
		err_set(b->err, ERR_LIMIT, "the grammar is too large");
	}
	return p;
}

int32_t
builder_rule(struct builder *b, str name, ptrdiff_t at)
{
	str copy = { NULL, 0 };
	char *p;

	if (b->n_rules == GRAMMAR_RULES_MAX) {
		builder_fail(b, ERR_LIMIT, "more than %d rules", GRAMMAR_RULES_MAX);
		return -1;
	}
	if ((p = take(b, name.n + 1, 1)) == NULL)
		return -1;
	if (name.n > 0)
		memcpy(p, name.p, (size_t)name.n);
	copy = (str){ p, name.n };
	b->rule[b->n_rules] = (struct rule){ .name = copy, .at = at };
	return b->n_rules++;
}

/* ---- expressions ---- */

static int32_t
sum(int64_t x)
{
	return x > GRAMMAR_SIZE_MAX ? GRAMMAR_SIZE_MAX : (int32_t)x;
}

static const struct expr *
make(struct builder *b, struct expr e)
{
	struct expr *p = take(b, 1, sizeof(*p));

	if (p != NULL)
		*p = e;
	return p;
}

const struct expr *
expr_empty(struct builder *b)
{
	return make(b, (struct expr){ .op = EXPR_EMPTY });
}

const struct expr *
expr_none(struct builder *b)
{
	return make(b, (struct expr){ .op = EXPR_NONE });
}

const struct expr *
expr_bytes(struct builder *b, str bytes)
{
	char *p;

	if (bytes.n == 0)
		return expr_empty(b);
	if ((p = take(b, bytes.n, 1)) == NULL)
		return NULL;
	memcpy(p, bytes.p, (size_t)bytes.n);
	return make(b, (struct expr){ .op = EXPR_BYTES, .bytes = { p, bytes.n },
	    .size = sum(bytes.n) });
}

const struct expr *
expr_byte(struct builder *b, int lo, int hi)
{
	return make(b, (struct expr){ .op = EXPR_BYTE, .min = lo, .max = hi, .size = 1 });
}

const struct expr *
expr_text(struct builder *b, const char *text)
{
	return expr_bytes(b, str_of(text));
}

const struct expr *
expr_chars(struct builder *b, const struct chars *c)
{
	int64_t size = 0;

	if (c == NULL)
		return NULL;
	if (c->n == 0)
		return expr_none(b);
	for (int32_t i = 0; i < c->n; i++)
		size += c->span[i].hi < 0x80 ? 1 : 4;
	return make(b, (struct expr){ .op = EXPR_CHARS, .chars = c, .size = sum(size) });
}

const struct expr *
expr_seq(struct builder *b, const struct expr *x, const struct expr *y)
{
	if (x == NULL || y == NULL)
		return NULL;
	if (x->op == EXPR_EMPTY || y->op == EXPR_NONE)
		return y;
	if (y->op == EXPR_EMPTY || x->op == EXPR_NONE)
		return x;
	return make(b, (struct expr){ .op = EXPR_SEQ, .a = x, .b = y,
	    .size = sum((int64_t)x->size + y->size) });
}

const struct expr *
expr_alt(struct builder *b, const struct expr *x, const struct expr *y)
{
	if (x == NULL || y == NULL)
		return NULL;
	if (x->op == EXPR_NONE)
		return y;
	if (y->op == EXPR_NONE)
		return x;
	return make(b, (struct expr){ .op = EXPR_ALT, .a = x, .b = y,
	    .size = sum((int64_t)x->size + y->size + 1) });
}

/*
 * A repeated repetition is one where it can be: left as it is, (x*){0,99} would
 * be matched in as many ways as there are counts.
 */
const struct expr *
expr_repeat(struct builder *b, const struct expr *x, int32_t min, int32_t max)
{
	if (x == NULL)
		return NULL;
	if (max == 0 || x->op == EXPR_EMPTY)
		return expr_empty(b);
	if (min == 1 && max == 1)
		return x;
	if (x->op == EXPR_NONE)
		return min == 0 ? expr_empty(b) : x;
	if (x->op == EXPR_REPEAT && x->min == 0 && x->max == REPEAT_INF)
		return x;
	if (x->op == EXPR_REPEAT && x->min == 0 && x->max == 1)
		return expr_repeat(b, x->a, 0, max);
	if (x->op == EXPR_REPEAT && x->min == 1 && x->max == REPEAT_INF)
		return expr_repeat(b, x->a, min, REPEAT_INF);
	return make(b, (struct expr){ .op = EXPR_REPEAT, .a = x, .min = min, .max = max,
	    .size = sum((int64_t)x->size + 1) });
}

const struct expr *
expr_call(struct builder *b, int32_t rule)
{
	return rule < 0 ? NULL : make(b, (struct expr){ .op = EXPR_CALL, .rule = rule, .size = 1 });
}

const struct expr *
expr_and(struct builder *b, const struct expr *x, const struct expr *y)
{
	if (x == NULL || y == NULL)
		return NULL;
	return make(b, (struct expr){ .op = EXPR_AND, .a = x, .b = y,
	    .size = sum((int64_t)x->size + y->size) });
}

const struct expr *
expr_minus(struct builder *b, const struct expr *x, const struct expr *y)
{
	if (x == NULL || y == NULL)
		return NULL;
	return make(b, (struct expr){ .op = EXPR_MINUS, .a = x, .b = y,
	    .size = sum((int64_t)x->size + y->size) });
}

const struct expr *
expr_multiple(struct builder *b, int32_t of)
{
	return make(b, (struct expr){ .op = EXPR_MULTIPLE, .min = of, .size = sum(of * 11LL) });
}

/* ---- sets of characters ---- */

struct chars *
chars_new(struct builder *b)
{
	return take(b, 1, sizeof(struct chars));
}

void
chars_add(struct builder *b, struct chars *c, int32_t lo, int32_t hi)
{
	if (c == NULL)
		return;
	if (c->n == c->cap) {
		int32_t cap = c->cap == 0 ? 8 : c->cap * 2;
		struct span *more = take(b, cap, sizeof(*more));

		if (more == NULL)
			return;
		if (c->n > 0)
			memcpy(more, c->span, (size_t)c->n * sizeof(*more));
		c->span = more;
		c->cap = cap;
	}
	c->span[c->n++] = (struct span){ lo, hi };
}

void
chars_add_set(struct builder *b, struct chars *c, const struct chars *more)
{
	for (int32_t i = 0; more != NULL && i < more->n; i++)
		chars_add(b, c, more->span[i].lo, more->span[i].hi);
}

static int
by_lo(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

void
chars_sort(struct chars *c)
{
	int32_t n = 0;

	if (c == NULL || c->n == 0)
		return;
	qsort(c->span, (size_t)c->n, sizeof(*c->span), by_lo);
	for (int32_t i = 1; i < c->n; i++) {
		if (c->span[i].lo > c->span[n].hi + 1)
			c->span[++n] = c->span[i];
		else if (c->span[i].hi > c->span[n].hi)
			c->span[n].hi = c->span[i].hi;
	}
	c->n = n + 1;
}

struct chars *
chars_not(struct builder *b, const struct chars *sorted)
{
	struct chars *c = chars_new(b);
	int32_t at = 0;

	for (int32_t i = 0; sorted != NULL && i < sorted->n; i++) {
		if (sorted->span[i].lo > at)
			chars_add(b, c, at, sorted->span[i].lo - 1);
		at = sorted->span[i].hi + 1;
	}
	if (at <= CHAR_MAX_VALUE)
		chars_add(b, c, at, CHAR_MAX_VALUE);
	return c;
}
