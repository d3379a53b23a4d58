/*
 * buf - bytes that grow, up to a stated limit
 *
 * The buf owns its bytes.  Appending after a failure fails again, so a run of
 * appends needs one check: buf_ok().
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/str.h"

struct buf {
	char		*p;
	ptrdiff_t	 n, cap;
	ptrdiff_t	 limit;		/* 0: 2 GiB */
	bool		 failed;
};

/* Make room for n more bytes and return where they go, or NULL. */
char *buf_room(struct buf *b, ptrdiff_t n);

void buf_add(struct buf *b, str s);
void buf_byte(struct buf *b, char c);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Return 0, or -1 when an append since buf_reset() failed. */
int buf_ok(const struct buf *b, struct err *err);

static inline str
buf_str(const struct buf *b)
{
	return (str){ b->p, b->n };
}

/* Empty it and keep its memory. */
static inline void
buf_reset(struct buf *b)
{
	b->n = 0;
	b->failed = false;
}

void buf_free(struct buf *b);

#endif
