#include "text/warc.h"

#include <stdlib.h>

#include "base/buf.h"
#include "text/warc_impl.h"

struct warc {
	struct warc_bytes bytes;
	struct buf	 head;		/* of the record at hand */
	int64_t		 left;		/* of its block */
	int64_t		 offset, inside;
	bool		 open;		/* the end of the block was not seen */
	bool		 lost;		/* look for a line that begins a record */
	char		 date[24];	/* of an ARC's record, rewritten */
};

static str
word(str *rest)
{
	str s = str_cut(rest, ' ');

	while (s.n > 0 && (s.p[s.n - 1] == '\r' || s.p[s.n - 1] == '\n'))
		s.n--;
	return s;
}

static int64_t
number(str s)
{
	int64_t x = 0;

	if (s.n == 0 || s.n > 15)
		return -1;
	for (ptrdiff_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		x = x * 10 + s.p[i] - '0';
	}
	return x;
}

/* The line of an ARC's record: address, IP, date, type, ..., length. */
static bool
arc_line(str line, str field[4], int64_t *size)
{
	str rest = line, last = { NULL, 0 };
	int n = 0;

	while (rest.p != NULL && n <= 10) {
		last = word(&rest);
		if (n < 4)
			field[n] = last;
		n++;
	}
	if (rest.p != NULL || n < 4 || memchr(field[0].p, ':', (size_t)field[0].n) == NULL)
		return false;
	*size = number(last);
	return *size >= 0 && number(field[2]) >= 0 && field[2].n >= 12;
}

bool
warc_begins(str s)
{
	const char *nl = s.n > 0 ? memchr(s.p, '\n', (size_t)s.n) : NULL;
	str field[4];
	int64_t size;

	if (str_starts(s, S("WARC/1.")) || str_starts(s, S("WARC/0.")))
		return true;
	return nl != NULL && s.n > 0 && ((*s.p | 32) >= 'a' && (*s.p | 32) <= 'z') &&
	    arc_line((str){ s.p, nl - s.p }, field, &size);
}

/* Append a line to the header; of one that is longer than room, its start. */
static int
add_line(struct warc *w, ptrdiff_t room, struct err *err)
{
	struct warc_bytes *b = &w->bytes;
	bool done = false;
	int got;

	while (!done) {
		const char *nl;
		ptrdiff_t n;

		if (b->i == b->n && (got = warc_fill(b, err)) <= 0)
			return got;
		nl = memchr(b->block + b->i, '\n', (size_t)(b->n - b->i));
		done = nl != NULL;
		n = done ? nl + 1 - (b->block + b->i) : b->n - b->i;
		buf_add(&w->head, (str){ b->block + b->i, n < room ? n : room });
		room -= n < room ? n : room;
		b->i += n;
	}
	return buf_ok(&w->head, err) < 0 ? -1 : 1;
}

/*
 * Past line ends between records, or within the gzip member: its end tells that
 * the checksum is right.  Return 1 at a byte, 0 at the end, -1.
 */
static int
skip_blank(struct warc *w, bool within, struct err *err)
{
	struct warc_bytes *b = &w->bytes;
	int got;

	for (;;) {
		while (b->i < b->n && (b->block[b->i] == '\r' || b->block[b->i] == '\n'))
			b->i++;
		if (b->i < b->n)
			return 1;
		if ((got = within ? warc_fill_member(b, err) : warc_fill(b, err)) <= 0)
			return got;
	}
}

static void
mark(struct warc *w)
{
	const struct warc_bytes *b = &w->bytes;

	w->offset = b->gzip ? b->member : b->taken + b->i;
	w->inside = b->gzip ? b->taken + b->i : 0;
}

/* To a line that begins a record; it becomes the header's first. */
static int
find_line(struct warc *w, struct err *err)
{
	int got;

	for (;;) {
		if (w->bytes.i == w->bytes.n && (got = warc_fill(&w->bytes, err)) <= 0)
			return got;
		mark(w);
		buf_reset(&w->head);
		if ((got = add_line(w, 4096, err)) <= 0)
			return got;
		if (warc_begins(buf_str(&w->head))) {
			w->lost = false;
			return 1;
		}
	}
}

static int
warc_header(struct warc *w, struct warc_record *r, struct err *err)
{
	str rest, line, name, kind = { NULL, 0 }, type = { NULL, 0 };
	ptrdiff_t from;
	int got;

	do {
		from = w->head.n;
		if (from > WARC_HEADER)
			return err_set(err, ERR_FORMAT, "a record's header of more than %d bytes",
			    WARC_HEADER);
		if ((got = add_line(w, WARC_HEADER, err)) <= 0)
			return got < 0 ? -1 :
			    err_set(err, ERR_FORMAT, "truncated header of a record");
		line = (str){ w->head.p + from, w->head.n - from };
	} while (str_trim(line).n > 0);
	w->left = -1;
	for (rest = buf_str(&w->head); rest.p != NULL; ) {
		line = str_cut(&rest, '\n');
		name = str_cut(&line, ':');
		line = str_trim(line);
		if (str_like(name, "Content-Length"))
			w->left = number(line);
		else if (str_like(name, "WARC-Type"))
			kind = line;
		else if (str_like(name, "WARC-Record-ID"))
			r->id = line;
		else if (str_like(name, "WARC-Target-URI"))
			r->url = line;
		else if (str_like(name, "WARC-Date"))
			r->date = line;
		else if (str_like(name, "Content-Type"))
			type = line;
		else if (str_like(name, "WARC-Identified-Payload-Type"))
			r->type = line;
	}
	if (w->left < 0)
		return err_set(err, ERR_FORMAT, "a record without a Content-Length");
	/* Some write <address>, as the first standard's grammar had it. */
	if (r->url.n > 2 && r->url.p[0] == '<' && r->url.p[r->url.n - 1] == '>')
		r->url = (str){ r->url.p + 1, r->url.n - 2 };
	r->kind = str_like(kind, "response") ? WARC_RESPONSE :
	    str_like(kind, "conversion") ? WARC_CONVERSION : WARC_OTHER;
	r->http = r->kind == WARC_RESPONSE && type.n >= 16 &&
	    strncasecmp(type.p, "application/http", 16) == 0;
	if (r->type.n == 0 && !r->http)
		r->type = type;
	return 0;
}

static int
arc_header(struct warc *w, struct warc_record *r, struct err *err)
{
	str field[4], line = str_trim(buf_str(&w->head));
	const char *d;

	if (!arc_line(line, field, &w->left))
		return err_set(err, ERR_FORMAT, "no record where one should begin");
	r->url = field[0];
	d = field[2].p;
	if (field[2].n == 14) {
		static const char form[] = "0000-00-00T00:00:00Z";

		for (int i = 0; i < 20; i++)
			w->date[i] = form[i] == '0' ? *d++ : form[i];
		r->date = (str){ w->date, 20 };
	}
	r->http = str_starts_like(r->url, "http");
	r->kind = r->http ? WARC_RESPONSE : WARC_OTHER;
	return 0;
}

/* Have bytes of the block.  Return 0 or -1. */
static int
fill_block(struct warc *w, struct err *err)
{
	struct warc_bytes *b = &w->bytes;
	int got = b->i < b->n;

	/* A member that begins with a record shows a length that is wrong. */
	if (got == 0 && b->gzip && !b->in_member && (got = warc_at_record(b, err)) > 0)
		return err_set(err, ERR_FORMAT, "truncated record: %lld bytes are missing "
		    "at the end of its gzip member", (long long)w->left);
	if (got == 0)
		got = warc_fill(b, err);
	if (got == 0)
		err_set(err, ERR_FORMAT, "truncated record: %lld bytes are missing",
		    (long long)w->left);
	return got > 0 ? 0 : -1;
}

/* The rest of a block goes unread, and what ends it. */
static int
finish(struct warc *w, struct err *err)
{
	struct warc_bytes *b = &w->bytes;

	while (w->left > 0) {
		ptrdiff_t n;

		if (fill_block(w, err) < 0)
			return -1;
		n = b->n - b->i < w->left ? b->n - b->i : (ptrdiff_t)w->left;
		b->i += n;
		w->left -= n;
	}
	if (b->gzip && skip_blank(w, true, err) < 0)
		return -1;
	w->open = false;
	return 0;
}

static int
fail(struct warc *w)
{
	w->left = 0;
	w->open = false;
	w->lost = true;
	return -1;
}

int
warc_next(struct warc *w, struct warc_record *r, struct err *err)
{
	int got;

	*r = (struct warc_record){ 0 };
	if (w->open && finish(w, err) < 0)
		return fail(w);
	if (w->bytes.broken && (got = warc_find_member(&w->bytes, err)) <= 0)
		return got;
	buf_reset(&w->head);
	if (w->lost) {
		if ((got = find_line(w, err)) <= 0)
			return got;
	} else {
		if ((got = skip_blank(w, false, err)) <= 0) {
			mark(w);
			return got < 0 ? fail(w) : 0;
		}
		mark(w);
		if (add_line(w, WARC_HEADER, err) < 0)
			return fail(w);
	}
	got = str_starts(buf_str(&w->head), S("WARC/")) ? warc_header(w, r, err) :
	    arc_header(w, r, err);
	if (got < 0)
		return fail(w);
	r->size = w->left;
	w->open = true;
	return 1;
}

ptrdiff_t
warc_read(struct warc *w, void *p, ptrdiff_t n, struct err *err)
{
	struct warc_bytes *b = &w->bytes;

	if (!w->open)
		return 0;
	if (w->left == 0)
		return finish(w, err) < 0 ? fail(w) : 0;
	if (fill_block(w, err) < 0)
		return fail(w);
	if (n > b->n - b->i)
		n = b->n - b->i;
	if (n > w->left)
		n = (ptrdiff_t)w->left;
	memcpy(p, b->block + b->i, (size_t)n);
	b->i += n;
	w->left -= n;
	return n;
}

int64_t
warc_offset(const struct warc *w, int64_t *inside)
{
	*inside = w->inside;
	return w->offset;
}

struct warc *
warc_open(const struct warc_source *from, struct err *err)
{
	struct warc *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	w->bytes.from = *from;
	return w;
}

void
warc_close(struct warc *w)
{
	if (w == NULL)
		return;
	warc_bytes_end(&w->bytes);
	buf_free(&w->head);
	free(w);
}
