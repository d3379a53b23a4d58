#include "tool/merge.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define WINDOW		4096		/* verdicts in memory */
#define LEAST_ROOM	64		/* records that a pass remembers, whatever the memory is */
#define BESIDE		((int64_t)5 << 20)	/* bytes for blocks of signs and the program */
#define MOST_FDS	256
#define AT_BITS		40		/* of a place in a file, in units of 8 bytes */

struct merge {
	struct dedup	*d;
	struct merge_source *source;
	const char	*dir;
	int		 n, fds;
	int64_t		 key_bytes, dropped;
	int		 fd;		/* the verdicts */
	struct judged	 window[WINDOW];
	int64_t		 window_at;	/* the first one's number, -1: none */
	bool		 dirty;
	int64_t		 next;		/* of merge_next() */
	struct buf	 fetched;
};

/* Where in the sources a pass begins. */
struct place {
	int		 source;
	bool		 inside;	/* not at the source's start but here: */
	struct signs_mark mark;
	int64_t		 taken;		/* signs of the block */
	int64_t		 number;	/* of the new sign */
};

/* What a pass has and is. */
struct pass {
	struct place	 now, next;
	struct signs_reader reader;
	int64_t		 held;		/* records that are remembered */
	bool		 full;		/* next is where the next pass begins */
};

/* ---- verdicts ---- */

static int
write_window(struct merge *m, struct err *err)
{
	const char *p = (const char *)m->window;
	int64_t n = (int64_t)sizeof(m->window), at = m->window_at * (int64_t)sizeof(*m->window);

	while (m->dirty && n > 0) {
		ssize_t put = pwrite(m->fd, p, (size_t)n, at);

		if (put < 0)
			return err_sys(err, "%s: cannot write verdicts", m->dir);
		p += put;
		n -= put;
		at += put;
	}
	m->dirty = false;
	return 0;
}

static int
read_window(struct merge *m, int64_t first, struct err *err)
{
	char *p = (char *)m->window;
	int64_t n = (int64_t)sizeof(m->window), at = first * (int64_t)sizeof(*m->window);

	/* What was never written is zeros: kept. */
	memset(p, 0, (size_t)n);
	while (n > 0) {
		ssize_t got = pread(m->fd, p, (size_t)n, at);

		if (got < 0)
			return err_sys(err, "%s: cannot read verdicts", m->dir);
		if (got == 0)
			break;
		p += got;
		n -= got;
		at += got;
	}
	m->window_at = first;
	return 0;
}

static struct judged *
verdict_of(struct merge *m, int64_t number, struct err *err)
{
	int64_t first = number / WINDOW * WINDOW;

	if (first != m->window_at && (write_window(m, err) < 0 || read_window(m, first, err) < 0))
		return NULL;
	return &m->window[number - first];
}

int
merge_first(struct merge *m, struct err *err)
{
	m->next = 0;
	return write_window(m, err);
}

int
merge_next(struct merge *m, struct judged *v, struct err *err)
{
	const struct judged *p = verdict_of(m, m->next, err);

	if (p == NULL)
		return -1;
	*v = *p;
	m->next++;
	return 0;
}

/* ---- signs that lie in files ---- */

static int
fetch(struct merge *m, int i, int64_t at, struct sign *s, struct err *err)
{
	struct merge_source *source = &m->source[i];

	if (source->fd == -1 && m->fds == MOST_FDS) {
		for (int j = 0; j < m->n; j++) {
			if (m->source[j].fd != -1)
				close(m->source[j].fd);
			m->source[j].fd = -1;
		}
		m->fds = 0;
	}
	if (source->fd == -1) {
		if ((source->fd = open(source->path, O_RDONLY | O_CLOEXEC)) == -1)
			return err_sys(err, "%s: cannot open", source->path);
		m->fds++;
	}
	return signs_fetch(source->fd, source->path, at, m->key_bytes, s, &m->fetched, err);
}

static int64_t
number_of(int source, int64_t at)
{
	return (int64_t)source << AT_BITS | at / 8;
}

static const uint64_t *
get_set(void *ctx, int64_t number, int64_t n, struct err *err)
{
	struct merge *m = ctx;
	int i = (int)(number >> AT_BITS);
	struct sign s;

	if (fetch(m, i, (number & (((int64_t)1 << AT_BITS) - 1)) * 8, &s, err) < 0)
		return NULL;
	if (s.n != n) {
		err_set(err, ERR_FORMAT, "%s: it changed while it was read", m->source[i].path);
		return NULL;
	}
	return s.set;
}

int
merge_kept(struct merge *m, const struct judged *v, str *name, int64_t *number,
    struct err *err)
{
	const struct merge_source *source = &m->source[v->source - 1];
	struct sign s;

	if (fetch(m, v->source - 1, v->at, &s, err) < 0)
		return -1;
	*name = s.name;
	*number = source->old ? -1 : source->first + s.index;
	return 0;
}

/* ---- passes ---- */

/* The sign as its method knows it. */
static struct dedup_sign
sign_of(const struct dedup *d, const struct sign *s)
{
	struct dedup_sign sign = { .name = s->name };

	if (d->method->sets)
		sign.doc = (struct near_doc){ s->set, s->n,
		    (const uint32_t *)(const void *)s->key };
	else
		memcpy(&sign.hash, s->key, sizeof(sign.hash));
	return sign;
}

/* Remember a record, or when there is no room begin the next pass here. */
static int
remember(struct merge *m, struct pass *p, const struct dedup_sign *sign, const struct sign *s,
    struct err *err)
{
	if (p->full)
		return 0;
	if (p->held == m->d->room) {
		p->full = true;
		p->next = p->now;
		p->next.inside = true;
		p->next.mark = p->reader.block;
		p->next.taken = p->reader.taken - 1;
		return 0;
	}
	p->held++;
	return m->d->method->add(m->d, sign, number_of(p->now.source, s->at), err);
}

static int
decide(struct merge *m, struct pass *p, const struct sign *s, struct err *err)
{
	struct dedup_sign sign = sign_of(m->d, s);
	struct judged *v = verdict_of(m, p->now.number, err);
	struct near_hit hit;
	int got;

	if (v == NULL)
		return -1;
	if (v->source != 0)
		return 0;
	if ((got = m->d->method->find(m->d, &sign, &hit, err)) < 0)
		return -1;
	if (got == 0)
		return remember(m, p, &sign, s, err);
	*v = (struct judged){
		.at = (hit.number & (((int64_t)1 << AT_BITS) - 1)) * 8,
		.source = (int32_t)(hit.number >> AT_BITS) + 1, .jaccard = hit.jaccard,
	};
	m->dirty = true;
	m->dropped++;
	m->source[p->now.source].dropped++;
	return 0;
}

/* All signs of the source at p->now, or from there. */
static int
read_source(struct merge *m, struct pass *p, struct err *err)
{
	const struct merge_source *source = &m->source[p->now.source];
	struct dedup_sign sign;
	struct sign s;
	int got;

	if (signs_open(&p->reader, source->path, err) < 0 || (p->now.inside &&
	    signs_seek(&p->reader, &p->now.mark, p->now.taken, err) < 0))
		return -1;
	while ((got = signs_next(&p->reader, &s, err)) > 0) {
		if (source->old) {
			sign = sign_of(m->d, &s);
			if (remember(m, p, &sign, &s, err) < 0)
				return -1;
			if (p->full)
				break;
			continue;
		}
		if (decide(m, p, &s, err) < 0)
			return -1;
		p->now.number++;
	}
	signs_close(&p->reader);
	return got < 0 ? -1 : 0;
}

/* Begin at *from; return 1 with the place of the next pass there, 0 when there is none, -1. */
static int
run_pass(struct merge *m, struct place *from, struct err *err)
{
	struct pass p = { .now = *from, .reader.fd = -1 };
	int ret = 0;

	for (; ret == 0 && p.now.source < m->n; p.now.source++) {
		if (m->source[p.now.source].old && p.full)
			continue;
		ret = read_source(m, &p, err);
		p.now.inside = false;
	}
	signs_close(&p.reader);
	*from = p.next;
	return ret < 0 ? -1 : p.full;
}

int
merge_run(struct merge *m, int64_t memory, struct err *err)
{
	struct dedup *d = m->d;
	struct place from = { 0 };
	int64_t signs = 1, room;
	int ret;

	for (int i = 0; i < m->n; i++)
		signs += m->source[i].sums.signs;
	room = d->method->fits(d, memory - memory / 16 - BESIDE);
	room = room < LEAST_ROOM ? LEAST_ROOM : room;
	d->room = room < signs ? room : signs;
	d->get = get_set;
	d->get_ctx = m;
	do {
		d->method->close(d);
		spill_free(&d->spill);
		d->passes++;
		if (dedup_open(d, d->method, err) < 0)
			return -1;
	} while ((ret = run_pass(m, &from, err)) > 0);
	return ret < 0 ? -1 : merge_first(m, err);
}

/* All must have been made as d says. */
static int
check_source(struct merge *m, struct merge_source *s, str settings, struct err *err)
{
	struct signs_reader r;
	int ret = signs_open(&r, s->path, err);

	s->fd = -1;
	if (ret == 0 && !str_eq(buf_str(&r.settings), settings))
		ret = err_set(err, ERR_ARG, "%s: made with %.*s, not %.*s", s->path,
		    STR_ARG(buf_str(&r.settings)), STR_ARG(settings));
	if (ret == 0 && r.key_bytes != m->key_bytes)
		ret = err_set(err, ERR_FORMAT, "%s: keys of %lld bytes", s->path,
		    (long long)r.key_bytes);
	signs_close(&r);
	return ret < 0 ? -1 : signs_count(s->path, &s->sums, err);
}

struct merge *
merge_new(struct dedup *d, struct merge_source *source, int n, const char *dir, struct err *err)
{
	struct merge *m = calloc(1, sizeof(*m));
	struct buf settings = { 0 };
	int64_t records = 0;
	int ret = 0;

	if (m == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*m = (struct merge){
		.d = d, .source = source, .n = n, .dir = dir, .window_at = -1, .fd = -1,
		.key_bytes = d->method->key_bytes(d), .fetched.limit = CHUNK_MAX,
	};
	ret = dedup_settings(d, &settings, err);
	for (int i = 0; i < n; i++)
		source[i].fd = -1;
	for (int i = 0; i < n && ret == 0; i++) {
		ret = check_source(m, &source[i], buf_str(&settings), err);
		source[i].first = records;
		if (!source[i].old)
			records += source[i].sums.records;
	}
	if (ret == 0 && (m->fd = spill_file(dir, 0, err)) == -1)
		ret = -1;
	buf_free(&settings);
	if (ret == 0)
		return m;
	merge_free(m);
	return NULL;
}

void
merge_free(struct merge *m)
{
	if (m == NULL)
		return;
	for (int i = 0; i < m->n; i++)
		if (m->source[i].fd != -1)
			close(m->source[i].fd);
	if (m->fd != -1)
		close(m->fd);
	buf_free(&m->fetched);
	free(m);
}

int64_t
merge_dropped(const struct merge *m)
{
	return m->dropped;
}
