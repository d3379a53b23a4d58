#include "http.h"

#include <stdlib.h>

#define HEAD_MAX 65536

void
parser_begin(struct answer_parser *p)
{
	struct buf line = p->line;

	buf_reset(&line);
	*p = (struct answer_parser){ .line = line };
}

void
parser_free(struct answer_parser *p)
{
	buf_free(&p->line);
}

static int
wrong(struct exchange *e, const char *why)
{
	e->why = why;
	return -1;
}

/* A number of this base and nothing else, or -1. */
static int64_t
number(str s, int base)
{
	static const char digits[] = "0123456789abcdef";
	int64_t x = 0;

	if (s.n < 1 || s.n > 15)
		return -1;
	for (ptrdiff_t i = 0; i < s.n; i++) {
		int c = s.p[i] >= 'A' && s.p[i] <= 'F' ? s.p[i] + 32 : s.p[i];
		const char *at = c == 0 ? NULL : strchr(digits, c);

		if (at == NULL || at - digits >= base)
			return -1;
		x = x * base + (at - digits);
	}
	return x;
}

struct head {
	int64_t	length;		/* -1: not said */
	bool	chunked, closes;
};

static int
read_header(struct exchange *e, str line, struct head *h)
{
	str rest = line, name = str_cut(&rest, ':'), value = str_trim(rest);

	if (rest.p == NULL || name.n == 0)
		return wrong(e, "a header without a name");
	for (ptrdiff_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ')
			return wrong(e, "a blank in a header's name");
	if (str_like(name, "content-length")) {
		if (h->length >= 0 || (h->length = number(value, 10)) < 0)
			return wrong(e, "a wrong Content-Length");
	} else if (str_like(name, "transfer-encoding")) {
		if (!str_like(value, "chunked"))
			return wrong(e, "a Transfer-Encoding that is not chunked");
		h->chunked = true;
	} else if (str_like(name, "connection")) {
		h->closes = str_like(value, "close");
	} else if (str_like(name, "retry-after")) {
		e->retry_after = number(value, 10) >= 0;
	} else if (str_like(name, "content-type")) {
		ptrdiff_t n = value.n < (ptrdiff_t)sizeof(e->type) ? value.n :
		    (ptrdiff_t)sizeof(e->type) - 1;

		memcpy(e->type, value.p, (size_t)n);
		e->type[n] = '\0';
	}
	return 0;
}

/* The head is in p->line.  As parser_take(). */
static int
read_head(struct answer_parser *p, struct exchange *e)
{
	struct head h = { .length = -1 };
	str all = buf_str(&p->line), line = str_cut(&all, '\n');
	bool old = str_starts(line, S("HTTP/1.0 "));

	if (!(old || str_starts(line, S("HTTP/1.1 "))) || line.n < 13 || line.p[line.n - 1] != '\r' ||
	    (e->status = (int)number((str){ line.p + 9, 3 }, 10)) < 100 ||
	    (line.p[12] != ' ' && line.p[12] != '\r'))
		return wrong(e, "a wrong status line");
	while (all.n > 2) {
		line = str_cut(&all, '\n');
		if (line.n < 1 || line.p[line.n - 1] != '\r')
			return wrong(e, "a header line that does not end with CRLF");
		line.n--;
		if (read_header(e, line, &h) < 0)
			return -1;
	}
	if (h.chunked && h.length >= 0)
		return wrong(e, "both a length and chunks");
	buf_reset(&p->line);
	e->keeps = !h.closes && !old;
	if (e->status < 200)
		return 0;	/* another one follows */
	if (e->head || e->status == 204 || e->status == 304 || h.length == 0)
		return 1;
	p->left = h.length;
	p->state = h.chunked ? AT_SIZE : h.length >= 0 ? AT_LENGTH : AT_CLOSE;
	if (p->state == AT_CLOSE && e->keeps)
		return wrong(e, "a body without an end");
	return 0;
}

static int
add_event(struct exchange *e, ptrdiff_t n, double now)
{
	if (e->n_event == e->cap_event) {
		int64_t cap = e->cap_event * 2 + 32;
		struct exchange_event *p = realloc(e->event, (size_t)cap * sizeof(*p));

		if (p == NULL)
			return wrong(e, "out of memory");
		e->event = p;
		e->cap_event = cap;
	}
	e->event[e->n_event++] = (struct exchange_event){ n, now };
	return 0;
}

static int
add_body(struct exchange *e, str s, double now)
{
	ptrdiff_t from = e->body.n;

	buf_add(&e->body, s);
	if (e->body.failed)
		return wrong(e, "an answer larger than memory");
	if (!str_starts_like(str_of(e->type), "text/event-stream"))
		return 0;
	for (ptrdiff_t i = from > 0 ? from : 1; i < e->body.n; i++)
		if (e->body.p[i] == '\n' && e->body.p[i - 1] == '\n' && add_event(e, i + 1, now) < 0)
			return -1;
	return 0;
}

/* Bytes up to a line's end, which it is with its CRLF, go to p->line: 1, or 0: not all yet. */
static int
take_line(struct answer_parser *p, str *s)
{
	const char *at = memchr(s->p, '\n', (size_t)s->n);
	ptrdiff_t n = at == NULL ? s->n : at + 1 - s->p;

	buf_add(&p->line, (str){ s->p, n });
	*s = (str){ s->p + n, s->n - n };
	return at != NULL;
}

/* A line of the framing is whole. */
static int
framing(struct answer_parser *p, struct exchange *e)
{
	str line = buf_str(&p->line);
	bool empty = line.n == 2;

	if (line.n < 2 || line.p[line.n - 2] != '\r')
		return wrong(e, "a line of the chunks that does not end with CRLF");
	line.n -= 2;
	buf_reset(&p->line);
	switch (p->state) {
	case AT_SIZE:
		if ((p->left = number(line, 16)) < 0)
			return wrong(e, "a wrong size of a chunk");
		p->state = p->left > 0 ? AT_CHUNK : AT_TRAILER;
		return 0;
	case AT_CHUNK_END:
		p->state = AT_SIZE;
		return empty ? 0 : wrong(e, "a chunk longer than it said");
	default:
		return empty;	/* the trailer's end */
	}
}

/* One piece of s.  As parser_take(). */
static int
take_some(struct answer_parser *p, struct exchange *e, str *s, double now)
{
	str part = *s;

	switch (p->state) {
	case AT_HEAD:
		if (!take_line(p, s))
			return p->line.n > HEAD_MAX ? wrong(e, "an endless head") : 0;
		if (p->line.n > HEAD_MAX)
			return wrong(e, "an endless head");
		if (str_ends(buf_str(&p->line), S("\r\n\r\n")))
			return read_head(p, e);
		return 0;
	case AT_CLOSE:
		s->n = 0;
		return add_body(e, part, now);
	case AT_LENGTH:
	case AT_CHUNK:
		if (part.n > p->left)
			part.n = p->left;
		*s = (str){ s->p + part.n, s->n - part.n };
		p->left -= part.n;
		if (add_body(e, part, now) < 0)
			return -1;
		if (p->left > 0)
			return 0;
		if (p->state == AT_LENGTH)
			return 1;
		p->state = AT_CHUNK_END;
		return 0;
	default:
		return take_line(p, s) ? framing(p, e) : 0;
	}
}

int
parser_take(struct answer_parser *p, struct exchange *e, str s, double now)
{
	p->any = true;
	while (s.n > 0) {
		int got = take_some(p, e, &s, now);

		if (got < 0)
			return -1;
		if (got > 0)
			return s.n > 0 && !e->more ? wrong(e, "bytes after the answer") : 1;
	}
	return 0;
}

bool
parser_eof(struct answer_parser *p)
{
	return p->state == AT_CLOSE;
}
