/*
 * What of a text was said: each byte of a value has a mark, at the same place in a
 * second arena.  It is copied along with the byte, wherever that goes, and is zero
 * for what the template says itself.
 */
#include <stdlib.h>

#include "token/template_run_impl.h"

/* The marks of what p points to, or NULL: none of it is marked. */
static uint8_t *
marks_at(const struct run *r, const char *p)
{
	uintptr_t at = (uintptr_t)p - (uintptr_t)r->arena.base;

	if (r->marks.base == NULL || at >= (uintptr_t)(r->arena.end - r->arena.base))
		return NULL;
	return (uint8_t *)r->marks.base + at;
}

/* Those of what a buffer has from a byte on, as far as they are known; or NULL. */
static uint8_t *
marks_in(struct run *r, const struct buf *b, ptrdiff_t from)
{
	struct buf *m = b == &r->held ? &r->held_marks : &r->out_marks;
	ptrdiff_t start = b == &r->held ? 0 : r->start, more = b->n - start - m->n;

	if (more > 0) {
		char *p = buf_room(m, more);

		if (p == NULL)
			return NULL;
		memset(p, 0, (size_t)more);
		m->n += more;
	}
	return (uint8_t *)m->p + (from - start);
}

void
tpl_add(struct run *r, struct buf *b, str s)
{
	const uint8_t *from = marks_at(r, s.p);
	uint8_t *to;

	buf_add(b, s);
	if (s.n > 0 && from != NULL && !b->failed && (to = marks_in(r, b, b->n - s.n)) != NULL)
		memcpy(to, from, (size_t)s.n);
}

void
tpl_add_as(struct run *r, struct buf *b, ptrdiff_t from, str like)
{
	const uint8_t *m = marks_at(r, like.p);
	uint8_t *to;

	for (ptrdiff_t i = 0; m != NULL && i < like.n; i++) {
		if (m[i] == 0)
			continue;
		if (b->n > from && !b->failed && (to = marks_in(r, b, from)) != NULL)
			memset(to, m[i], (size_t)(b->n - from));
		return;
	}
}

void
tpl_copy(struct run *r, char *to, str s)
{
	const uint8_t *from = marks_at(r, s.p);

	if (s.n == 0)
		return;
	memcpy(to, s.p, (size_t)s.n);
	if (from != NULL)
		memcpy(marks_at(r, to), from, (size_t)s.n);
}

/* Take what was held from a byte on, n of them, to memory at p. */
void
tpl_take_marks(struct run *r, ptrdiff_t from, ptrdiff_t n, char *p)
{
	if (r->held_marks.n <= from)
		return;
	n = r->held_marks.n - from < n ? r->held_marks.n - from : n;
	memcpy(marks_at(r, p), r->held_marks.p + from, (size_t)n);
	r->held_marks.n = from;
}

/* The name of a role, which is the template's as much as the sender's. */
static bool
is_role(str key, str s)
{
	if (!str_eq(key, S("role")))
		return false;
	for (ptrdiff_t i = 0; i < s.n; i++)
		if ((unsigned)((s.p[i] | 32) - 'a') > 25 && (unsigned)(s.p[i] - '0') > 9 &&
		    s.p[i] != '_' && s.p[i] != '-' && s.p[i] != ' ')
			return false;
	return true;
}

int
tpl_said(struct run *r, str key, str s, struct value *out)
{
	char *p;

	*out = tpl_str_value(s);
	if (r->marks.base == NULL || is_role(key, s))
		return 0;
	if ((p = tpl_alloc(r, s.n, 1)) == NULL)
		return -1;
	tpl_copy(r, p, s);
	memset(marks_at(r, p), r->who, (size_t)s.n);
	out->s.p = p;
	return 0;
}

int
tpl_said_spans(struct run *r, struct template_spans *said)
{
	const uint8_t *m = (const uint8_t *)r->out_marks.p;

	if (buf_ok(&r->out_marks, r->err) < 0)
		return -1;
	for (ptrdiff_t i = 0, from; i < r->out_marks.n; i++) {
		if (m[i] == 0)
			continue;
		for (from = i; i + 1 < r->out_marks.n && m[i + 1] == m[from]; )
			i++;
		if (tpl_add_span(said, from, i + 1, m[from], r->err) < 0)
			return -1;
	}
	return 0;
}
