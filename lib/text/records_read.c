#include "text/records_impl.h"

static int
open_next(struct run *run, struct err *err)
{
	const char *path = run->file[run->at++];

	run->name = strcmp(path, "-") == 0 ? "stdin" : path;
	run->line = 1;
	run->in = in_open(path, err);
	return run->in == NULL ? err_wrap(err, "%s", run->name) : 0;
}

static void
close_input(struct run *run)
{
	if (run->in != NULL) {
		run->before += in_pos(run->in);
		in_close(run->in);
	}
	run->in = NULL;
}

/* The line is longer than a record may be: read on to its end. */
static int
pass_over(struct run *run, struct batch *b, struct err *err)
{
	ptrdiff_t got;
	char *nl = NULL;

	if (run->io->text || !run->io->keep_going)
		return err_set(err, ERR_LIMIT, "%s:%lld: " TOO_LONG, run->name,
		    (long long)run->line, RECORDS_MAX);
	while (nl == NULL) {
		if ((got = in_read(run->in, b->in.p, BATCH, err)) < 0)
			return err_wrap(err, "%s", run->name);
		if (got == 0)
			break;
		nl = memchr(b->in.p, '\n', (size_t)got);
		if (nl != NULL)
			buf_add(&run->carry, (str){ nl + 1, b->in.p + got - (nl + 1) });
	}
	b->in.n = 0;
	b->too_long = true;
	b->line = run->line++;
	return buf_ok(&run->carry, err);
}

const char *
records_separator(const struct run *run, str s)
{
	str sep = run->io->separator;

	return sep.n == 0 || s.n == 0 ? NULL : memmem(s.p, (size_t)s.n, sep.p, (size_t)sep.n);
}

/*
 * Texts are cut from the front on, or what a separator that overlaps itself
 * makes would depend on where the batch ends.  *seen: what has no separator.
 */
static ptrdiff_t
whole_texts(struct run *run, struct batch *b, ptrdiff_t *seen)
{
	ptrdiff_t sep = run->io->separator.n, whole = 0;
	const char *at;

	while ((at = records_separator(run, (str){ b->in.p + *seen, b->in.n - *seen })) != NULL) {
		whole = *seen = at + sep - b->in.p;
		run->line++;
	}
	if (*seen < b->in.n - sep + 1)
		*seen = b->in.n - sep + 1;
	return whole;
}

/* The length of the whole lines or texts; *seen: of what holds no end of one. */
static ptrdiff_t
whole(struct run *run, struct batch *b, ptrdiff_t *seen)
{
	ptrdiff_t from = *seen;
	const char *nl;

	if (run->io->text)
		return whole_texts(run, b, seen);
	*seen = b->in.n;
	if (b->in.n == from)
		return 0;
	nl = memrchr(b->in.p + from, '\n', (size_t)(b->in.n - from));
	return nl == NULL ? 0 : nl + 1 - b->in.p;
}

/* Fill with lines or texts of the open file.  Return 1, 0 at its end, -1. */
static int
fill(struct run *run, struct batch *b, struct err *err)
{
	ptrdiff_t got = 1, seen = 0, n;

	b->line = run->line;
	buf_reset(&b->in);
	buf_add(&b->in, buf_str(&run->carry));
	buf_reset(&run->carry);
	/* What was carried over may hold whole lines, after pass_over(). */
	while ((n = whole(run, b, &seen)) == 0) {
		if (b->in.n > RECORDS_MAX)
			return pass_over(run, b, err) < 0 ? -1 : 1;
		if (buf_room(&b->in, BATCH) == NULL)
			return buf_ok(&b->in, err);
		if ((got = in_read(run->in, b->in.p + b->in.n, BATCH, err)) < 0)
			return err_wrap(err, "%s", run->name);
		if (got == 0)
			break;
		b->in.n += got;
	}
	if (n > 0) {
		buf_add(&run->carry, (str){ b->in.p + n, b->in.n - n });
		b->in.n = n;
	}
	if (!run->io->text)
		run->line += json_lines(buf_str(&b->in));
	return buf_ok(&run->carry, err) < 0 ? -1 : b->in.n > 0;
}

int
records_read(struct run *run, struct batch *b, struct err *err)
{
	b->n = 0;
	b->too_long = false;
	for (;;) {
		int got;

		if (run->in == NULL) {
			if (run->at == run->nfiles)
				return 0;
			if (open_next(run, err) < 0)
				return -1;
		}
		if ((got = fill(run, b, err)) < 0)
			return -1;
		if (got > 0) {
			b->file = run->name;
			b->done = run->before + in_pos(run->in);
			return 1;
		}
		close_input(run);
	}
}

str
records_first(const struct batch *b)
{
	str all = buf_str(&b->in);

	if (b->line == 1 && str_starts(all, S("\xef\xbb\xbf")))
		all = (str){ all.p + 3, all.n - 3 };
	return all;
}

static str
trim(str s)
{
	while (s.n > 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r' ||
	    s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r'))
		s.p++, s.n--;
	return s;
}

str
records_cut(const struct run *run, str rest, str *line)
{
	const char *nl;
	str raw = rest;

	if (run->io->text) {
		nl = records_separator(run, rest);
		*line = nl != NULL ? (str){ rest.p, nl - rest.p } : rest;
		raw.n = nl != NULL ? line->n + run->io->separator.n : rest.n;
		return raw;
	}
	nl = memchr(rest.p, '\n', (size_t)rest.n);
	if (nl != NULL)
		raw.n = nl + 1 - rest.p;
	*line = trim(raw);
	return raw;
}
