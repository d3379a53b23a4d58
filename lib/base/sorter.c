#include "base/sorter.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/spill.h"

#define BUFFER	((int64_t)64 << 10)	/* least that a run is read or written by */
#define BUFFERS	((int64_t)4 << 20)	/* and most */

/* A piece in memory. */
struct entry {
	struct sorter_key key;
	uint64_t	 at;		/* in the data; grows with each piece */
	uint32_t	 group, n;
};

/* Before a piece in a file. */
struct head {
	struct sorter_key key;
	uint64_t	 n;
};

/* The pieces of one group in one run: a part of the file. */
struct segment {
	int64_t	at, end;
};

/* A segment that is being read. */
struct cursor {
	struct segment	 left;		/* not in buf yet */
	char		*buf;
	ptrdiff_t	 cap, at, n;	/* the piece is at at, what was read ends at n */
	struct head	 head;
	int		 run;
};

/* The cursors of one group, those with pieces left, as a heap. */
struct merge {
	struct cursor	*cursor;
	int		 n;
	bool		 open, began;	/* the first cursor's piece was given */
};

struct sorter {
	const char	*dir;
	int64_t		 memory;
	int		 ngroups;
	char		*region;	/* data from its start on, entries down from its end */
	int64_t		 data, n;
	int		 fd;		/* of the runs; -1: none */
	int64_t		 length, spilled;
	struct segment	*segment;	/* of run i and group g: [i * ngroups + g] */
	int		 nruns, cap;
	int64_t		*at;		/* in memory alone: the next entry of each group */
	struct merge	*merge;		/* of each group */
	int64_t		 buffer;	/* bytes of each cursor */
};

struct sorter *
sorter_new(const char *dir, int64_t memory, int ngroups, struct err *err)
{
	struct sorter *s = calloc(1, sizeof(*s));

	if (memory < SORTER_MIN)
		memory = SORTER_MIN;
	if (s != NULL) {
		s->at = calloc((size_t)ngroups + 1, sizeof(*s->at));
		s->merge = calloc((size_t)ngroups + 1, sizeof(*s->merge));
		s->fd = -1;
	}
	if (s == NULL || s->at == NULL || s->merge == NULL) {
		sorter_free(s);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	s->dir = dir;
	s->memory = memory & ~(int64_t)4095;
	s->ngroups = ngroups;
	/* Pages cost nothing until they are touched. */
	s->region = mmap(NULL, (size_t)s->memory, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->region == MAP_FAILED) {
		s->region = NULL;
		err_sys(err, "cannot get %lld bytes", (long long)memory);
		sorter_free(s);
		return NULL;
	}
	madvise(s->region, (size_t)s->memory, MADV_HUGEPAGE);
	return s;
}

static struct entry *
entries(const struct sorter *s)
{
	return (struct entry *)(void *)(s->region + s->memory) - s->n;
}

static inline int
key_order(struct sorter_key x, struct sorter_key y)
{
	if (x.a != y.a)
		return x.a < y.a ? -1 : 1;
	return x.b < y.b ? -1 : x.b > y.b;
}

static int
entry_order(const void *x, const void *y)
{
	const struct entry *e = x, *f = y;
	int order;

	if (e->group != f->group)
		return e->group < f->group ? -1 : 1;
	order = key_order(e->key, f->key);
	return order != 0 ? order : e->at < f->at ? -1 : 1;
}

static void
sort_entries(struct sorter *s)
{
	qsort(entries(s), (size_t)s->n, sizeof(struct entry), entry_order);
}

/* ---- runs are written ---- */

/* What is being written: through a buffer that is the caller's. */
struct writer {
	struct sorter	*s;
	int		 fd;
	int64_t		 at;		/* of the buffer, in the file */
	char		*buf;
	ptrdiff_t	 n, cap;
};

static int
put_through(struct writer *w, const char *p, ptrdiff_t n, struct err *err)
{
	while (n > 0) {
		ssize_t put = pwrite(w->fd, p, (size_t)n, w->at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_sys(err, "%s: cannot spill", w->s->dir);
		w->at += put;
		w->s->spilled += put;
		p += put;
		n -= put;
	}
	return 0;
}

static int
put_flush(struct writer *w, struct err *err)
{
	ptrdiff_t n = w->n;

	w->n = 0;
	return put_through(w, w->buf, n, err);
}

static int
put(struct writer *w, const void *p, ptrdiff_t n, struct err *err)
{
	if (n > w->cap - w->n && put_flush(w, err) < 0)
		return -1;
	if (n > w->cap)
		return put_through(w, p, n, err);
	memcpy(w->buf + w->n, p, (size_t)n);
	w->n += n;
	return 0;
}

static int
put_piece(struct writer *w, struct sorter_key key, str bytes, struct err *err)
{
	struct head head = { key, (uint64_t)bytes.n };

	return put(w, &head, sizeof(head), err) < 0 ? -1 : put(w, bytes.p, bytes.n, err);
}

static int
writer_open(struct writer *w, struct sorter *s, int fd, int64_t at, struct err *err)
{
	*w = (struct writer){ .s = s, .fd = fd, .at = at, .cap = 4 * BUFFER };
	w->buf = malloc((size_t)w->cap);
	return w->buf != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

/* Room for the segments of one more run; they are where s->nruns says. */
static struct segment *
new_run(struct segment **segment, int *cap, int nruns, int ngroups, struct err *err)
{
	if (nruns == *cap) {
		int more = *cap > 0 ? 2 * *cap : 16;
		struct segment *p = reallocarray(*segment, (size_t)more * (size_t)ngroups,
		    sizeof(*p));

		if (p == NULL) {
			err_set(err, ERR_NOMEM, "out of memory");
			return NULL;
		}
		*segment = p;
		*cap = more;
	}
	return *segment + (ptrdiff_t)nruns * ngroups;
}

/* Sort what is in memory and write it behind the runs there are. */
static int
spill(struct sorter *s, struct err *err)
{
	struct segment *seg = new_run(&s->segment, &s->cap, s->nruns, s->ngroups, err);
	struct entry *e = entries(s);
	struct writer w;
	int64_t i = 0;
	int ret = 0;

	if (seg == NULL || (s->fd == -1 && (s->fd = spill_file(s->dir, 0, err)) == -1) ||
	    writer_open(&w, s, s->fd, s->length, err) < 0)
		return -1;
	sort_entries(s);
	for (int g = 0; g < s->ngroups && ret == 0; g++) {
		seg[g].at = w.at + w.n;
		for (; i < s->n && (int)e[i].group == g && ret == 0; i++)
			ret = put_piece(&w, e[i].key, (str){ s->region + e[i].at, e[i].n }, err);
		seg[g].end = w.at + w.n;
	}
	if (ret == 0)
		ret = put_flush(&w, err);
	s->length = w.at;
	free(w.buf);
	s->nruns++;
	s->data = s->n = 0;
	return ret;
}

int
sorter_add(struct sorter *s, int group, struct sorter_key key, str bytes, struct err *err)
{
	/* What sorting takes beside the entries may be as much as they are. */
	int64_t taken = s->data + 2 * (s->n + 1) * (int64_t)sizeof(struct entry);

	if (bytes.n > s->memory / 8)
		return err_set(err, ERR_LIMIT, "%td bytes in one are more than an eighth of "
		    "the %lld of memory", bytes.n, (long long)s->memory);
	if (taken + bytes.n > s->memory && spill(s, err) < 0)
		return -1;
	memcpy(s->region + s->data, bytes.p, (size_t)bytes.n);
	s->n++;
	*entries(s) = (struct entry){ key, (uint64_t)s->data, (uint32_t)group, (uint32_t)bytes.n };
	/* Each has a place of its own, the empty ones too: it is what tells equal ones apart. */
	s->data += bytes.n + 1;
	return 0;
}

/* ---- runs are read ---- */

/* Make the next n bytes of the cursor be there, at c->at.  Return 0 or -1. */
static int
fetch(const struct sorter *s, int fd, struct cursor *c, ptrdiff_t n, struct err *err)
{
	if (c->n - c->at >= n)
		return 0;
	if (c->at > 0)
		memmove(c->buf, c->buf + c->at, (size_t)(c->n - c->at));
	c->n -= c->at;
	c->at = 0;
	if (n > c->cap) {
		char *p = realloc(c->buf, (size_t)n);

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		c->buf = p;
		c->cap = n;
	}
	while (c->n < n) {
		int64_t want = c->cap - c->n, left = c->left.end - c->left.at;
		ssize_t got = pread(fd, c->buf + c->n, (size_t)(want < left ? want : left),
		    c->left.at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, "%s: cannot read what was spilled", s->dir);
		if (got == 0)
			return err_set(err, ERR_IO, "%s: what was spilled is cut short", s->dir);
		c->n += got;
		c->left.at += got;
	}
	return 0;
}

/* Go on to the next piece.  Return 1, 0 at the segment's end, -1. */
static int
advance(const struct sorter *s, int fd, struct cursor *c, struct err *err)
{
	if (c->at == c->n && c->left.at == c->left.end)
		return 0;
	if (fetch(s, fd, c, sizeof(c->head), err) < 0)
		return -1;
	memcpy(&c->head, c->buf + c->at, sizeof(c->head));
	c->at += (ptrdiff_t)sizeof(c->head);
	return fetch(s, fd, c, (ptrdiff_t)c->head.n, err) < 0 ? -1 : 1;
}

static bool
comes_before(const struct cursor *x, const struct cursor *y)
{
	int order = key_order(x->head.key, y->head.key);

	return order != 0 ? order < 0 : x->run < y->run;
}

static void
sink(struct merge *m, int i)
{
	struct cursor x = m->cursor[i];

	for (;;) {
		int child = 2 * i + 1;

		if (child >= m->n)
			break;
		if (child + 1 < m->n && comes_before(&m->cursor[child + 1], &m->cursor[child]))
			child++;
		if (!comes_before(&m->cursor[child], &x))
			break;
		m->cursor[i] = m->cursor[child];
		i = child;
	}
	m->cursor[i] = x;
}

static void
merge_close(struct merge *m)
{
	for (int i = 0; i < m->n; i++)
		free(m->cursor[i].buf);
	free(m->cursor);
	*m = (struct merge){ 0 };
}

/* Begin to read a group of runs [first, last). */
static int
merge_open(const struct sorter *s, struct merge *m, int group, int first, int last,
    int64_t buffer, struct err *err)
{
	m->open = true;
	m->cursor = calloc((size_t)(last - first) + 1, sizeof(*m->cursor));
	if (m->cursor == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int run = first; run < last; run++) {
		struct cursor *c = &m->cursor[m->n];
		int64_t size;

		*c = (struct cursor){ s->segment[(ptrdiff_t)run * s->ngroups + group],
		    .run = run };
		size = c->left.end - c->left.at;
		if (size == 0)
			continue;
		c->cap = size < buffer ? size : buffer;
		m->n++;
		if ((c->buf = malloc((size_t)c->cap)) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		if (advance(s, s->fd, c, err) < 0)
			return -1;
	}
	for (int i = m->n / 2; i-- > 0;)
		sink(m, i);
	return 0;
}

/* The next piece; as sorter_next(). */
static int
merge_next(const struct sorter *s, struct merge *m, struct sorter_key *key, str *bytes,
    struct err *err)
{
	struct cursor *c = m->cursor;

	if (m->began) {
		int got;

		c->at += (ptrdiff_t)c->head.n;
		if ((got = advance(s, s->fd, c, err)) < 0)
			return -1;
		if (got == 0) {
			free(c->buf);
			*c = m->cursor[--m->n];
		}
		if (m->n > 0)
			sink(m, 0);
	}
	m->began = m->n > 0;
	if (m->n == 0)
		return 0;
	*key = c->head.key;
	*bytes = (str){ c->buf + c->at, (ptrdiff_t)c->head.n };
	return 1;
}

/* Write one group of runs [first, last) as one segment. */
static int
merge_group(struct sorter *s, struct writer *w, int group, int first, int last,
    struct segment *to, struct err *err)
{
	struct merge m = { 0 };
	struct sorter_key key;
	str bytes;
	int got = -1;

	to->at = w->at + w->n;
	if (merge_open(s, &m, group, first, last, BUFFER, err) == 0)
		while ((got = merge_next(s, &m, &key, &bytes, err)) > 0)
			if (put_piece(w, key, bytes, err) < 0) {
				got = -1;
				break;
			}
	merge_close(&m);
	to->end = w->at + w->n;
	return got;
}

/* Merge each `many' runs to one, into another file. */
static int
merge_runs(struct sorter *s, int many, struct err *err)
{
	struct segment *segment = NULL;
	int nruns = 0, cap = 0, fd = spill_file(s->dir, 0, err), ret = 0;
	struct writer w;

	if (fd == -1)
		return -1;
	if (writer_open(&w, s, fd, 0, err) < 0) {
		close(fd);
		return -1;
	}
	for (int first = 0; first < s->nruns && ret == 0; first += many) {
		int last = first + many < s->nruns ? first + many : s->nruns;
		struct segment *to = new_run(&segment, &cap, nruns, s->ngroups, err);

		ret = to == NULL ? -1 : 0;
		for (int g = 0; g < s->ngroups && ret == 0; g++)
			ret = merge_group(s, &w, g, first, last, &to[g], err);
		nruns++;
	}
	if (ret == 0)
		ret = put_flush(&w, err);
	free(w.buf);
	if (ret < 0) {
		free(segment);
		close(fd);
		return -1;
	}
	close(s->fd);
	free(s->segment);
	s->fd = fd;
	s->length = w.at;
	s->segment = segment;
	s->cap = cap;
	s->nruns = nruns;
	return 0;
}

/* Segments with something in them. */
static int64_t
filled(const struct sorter *s)
{
	int64_t n = 0;

	for (int64_t i = 0; i < (int64_t)s->nruns * s->ngroups; i++)
		n += s->segment[i].end > s->segment[i].at;
	return n;
}

int
sorter_end(struct sorter *s, struct err *err)
{
	int64_t fit = s->memory / BUFFER, each;

	if (s->nruns == 0) {
		struct entry *e = entries(s);

		sort_entries(s);
		for (int64_t i = s->n; i-- > 0;)
			s->at[e[i].group] = i;
		for (int g = 0; g < s->ngroups; g++)
			if (s->n == 0 || (int)e[s->at[g]].group != g)
				s->at[g] = s->n;
		return 0;
	}
	if (s->n > 0 && spill(s, err) < 0)
		return -1;
	munmap(s->region, (size_t)s->memory);
	s->region = NULL;
	while (filled(s) > fit && s->nruns > 1)
		if (merge_runs(s, fit < s->nruns ? (int)fit : s->nruns, err) < 0)
			return -1;
	each = s->memory / (filled(s) + 1);
	s->buffer = each < BUFFER ? BUFFER : each > BUFFERS ? BUFFERS : each & ~(int64_t)4095;
	return 0;
}

int
sorter_next(struct sorter *s, int group, str *bytes, struct err *err)
{
	struct merge *m = &s->merge[group];
	struct sorter_key key;
	const struct entry *e;

	if (s->nruns == 0) {
		e = entries(s) + s->at[group];
		if (s->at[group] == s->n || (int)e->group != group)
			return 0;
		s->at[group]++;
		*bytes = (str){ s->region + e->at, e->n };
		return 1;
	}
	if (!m->open && merge_open(s, m, group, 0, s->nruns, s->buffer, err) < 0)
		return -1;
	return merge_next(s, m, &key, bytes, err);
}

int64_t
sorter_spilled(const struct sorter *s)
{
	return s->spilled;
}

void
sorter_free(struct sorter *s)
{
	if (s == NULL)
		return;
	for (int g = 0; g < s->ngroups; g++)
		merge_close(&s->merge[g]);
	if (s->region != NULL)
		munmap(s->region, (size_t)s->memory);
	if (s->fd != -1)
		close(s->fd);
	free(s->segment);
	free(s->at);
	free(s->merge);
	free(s);
}
