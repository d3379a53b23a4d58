#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

char *
buf_room(struct buf *b, ptrdiff_t n)
{
	ptrdiff_t limit = b->limit > 0 ? b->limit : (ptrdiff_t)1 << 31, cap = b->cap;
	char *p;

	if (b->failed || n < 0 || n > limit - b->n) {
		b->failed = true;
		return NULL;
	}
	if (b->p != NULL && b->n + n <= cap)
		return b->p + b->n;
	if (cap < 256)
		cap = 256;
	while (cap < b->n + n)
		cap *= 2;
	if ((p = realloc(b->p, (size_t)cap)) == NULL) {
		b->failed = true;
		return NULL;
	}
	b->p = p;
	b->cap = cap;
	return p + b->n;
}

void
buf_add(struct buf *b, str s)
{
	char *at = buf_room(b, s.n);

	if (at == NULL || s.n == 0)
		return;
	memcpy(at, s.p, (size_t)s.n);
	b->n += s.n;
}

void
buf_byte(struct buf *b, char c)
{
	char *at = b->n < b->cap && !b->failed ? b->p + b->n : buf_room(b, 1);

	if (at == NULL)
		return;
	*at = c;
	b->n++;
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;
	char *at;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	at = n < 0 ? NULL : buf_room(b, (ptrdiff_t)n + 1);
	if (at != NULL) {
		vsnprintf(at, (size_t)n + 1, fmt, again);
		b->n += n;
	} else {
		b->failed = true;
	}
	va_end(again);
}

int
buf_ok(const struct buf *b, struct err *err)
{
	if (!b->failed)
		return 0;
	return err_set(err, ERR_LIMIT, "out of memory, or more than %td bytes in one buffer",
	    b->limit > 0 ? b->limit : (ptrdiff_t)1 << 31);
}

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ .limit = b->limit };
}
