#include "token/runs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/spill.h"
#include "token/wordkey.h"

#define FAN	16			/* runs of a level become one of the next */
#define WINDOW	((ptrdiff_t)1 << 16)	/* bytes read or written at once */
#define VARINT	10			/* bytes of a number, at most */

struct run {
	int	fd;
	int	level;
};

/* A run as it is read: window is what follows at the place pos in the file. */
struct reader {
	int		fd;
	int64_t		pos;		/* of what the window will get next */
	struct buf	window;
	ptrdiff_t	at;		/* in the window */
	struct counted	now;
	int		left;		/* now is a word, and not past the end */
};

struct writer {
	const char	*dir;
	int		 fd;
	struct buf	 buf;
	int64_t		 bytes, words, text;
};

struct runs {
	const char	*dir;
	pthread_mutex_t	 lock;		/* of run and n */
	struct run	 run[RUNS_MOST + 1];
	int		 n;
	_Atomic int64_t	 bytes;
	struct reader	 reader;	/* of runs_next() */
};

struct runs *
runs_new(const char *dir, struct err *err)
{
	struct runs *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	r->dir = dir;
	r->reader.fd = -1;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void
runs_free(struct runs *r)
{
	if (r == NULL)
		return;
	for (int i = 0; i < r->n; i++)
		close(r->run[i].fd);
	buf_free(&r->reader.window);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* ---- writing ---- */

static int
flush(struct writer *w, struct err *err)
{
	ptrdiff_t done = 0;

	if (buf_ok(&w->buf, err) < 0)
		return -1;
	while (done < w->buf.n) {
		ssize_t n = write(w->fd, w->buf.p + done, (size_t)(w->buf.n - done));

		if (n < 0)
			return err_sys(err, "%s: cannot spill words", w->dir);
		done += n;
	}
	w->bytes += w->buf.n;
	buf_reset(&w->buf);
	return 0;
}

static void
put_number(struct buf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_byte(b, (char)(v | 0x80));
	buf_byte(b, (char)v);
}

static int
put_word(struct writer *w, const struct counted *c, struct err *err)
{
	put_number(&w->buf, (uint64_t)c->word.n);
	put_number(&w->buf, (uint64_t)c->count);
	buf_add(&w->buf, c->word);
	w->words++;
	w->text += c->word.n;
	return w->buf.n < WINDOW ? 0 : flush(w, err);
}

/* A run of what next() gives.  Return 0 or -1, and then w->fd is closed. */
static int
write_run(struct writer *w, int (*next)(void *from, struct counted *c, struct err *err),
    void *from, struct err *err)
{
	struct counted c;
	int got;

	if ((w->fd = spill_file(w->dir, 0, err)) < 0)
		return -1;
	while ((got = next(from, &c, err)) > 0)
		if (put_word(w, &c, err) < 0) {
			got = -1;
			break;
		}
	if (got == 0)
		got = flush(w, err);
	if (got < 0)
		close(w->fd);
	buf_free(&w->buf);
	return got;
}

/* ---- reading ---- */

/* Have n bytes at r->at, or what there is. */
static int
fill(struct reader *r, ptrdiff_t n, struct err *err)
{
	struct buf *b = &r->window;

	if (b->n - r->at >= n)
		return 0;
	if (r->at > 0)
		memmove(b->p, b->p + r->at, (size_t)(b->n - r->at));
	b->n -= r->at;
	r->at = 0;
	if (n < WINDOW)
		n = WINDOW;
	while (b->n < n) {
		char *room = buf_room(b, n - b->n);
		ssize_t got;

		if (room == NULL)
			return buf_ok(b, err);
		if ((got = pread(r->fd, room, (size_t)(n - b->n), r->pos)) < 0)
			return err_sys(err, "cannot read spilled words");
		if (got == 0)
			break;
		b->n += got;
		r->pos += got;
	}
	return 0;
}

static uint64_t
get_number(struct reader *r)
{
	uint64_t v = 0;
	int shift = 0;

	for (;;) {
		uint8_t c = (uint8_t)r->window.p[r->at++];

		v |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			return v;
		shift += 7;
	}
}

/* The next word into r->now, with r->left false at the end. */
static int
advance(struct reader *r, struct err *err)
{
	struct counted *c = &r->now;

	if (fill(r, 2 * VARINT, err) < 0)
		return -1;
	r->left = r->at < r->window.n;
	if (!r->left)
		return 0;
	c->word.n = (ptrdiff_t)get_number(r);
	c->count = (int64_t)get_number(r);
	if (fill(r, c->word.n, err) < 0)
		return -1;
	c->word.p = r->window.p + r->at;
	c->hash = word_hash(word_key(c->word), c->word.n);
	r->at += c->word.n;
	return 0;
}

/* ---- merging ---- */

struct merge {
	struct reader	reader[RUNS_MOST + 1];
	int		n;
	struct buf	word;		/* the one that was given out last */
};

static int
order(const struct counted *a, const struct counted *b)
{
	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	if (a->word.n != b->word.n)
		return a->word.n < b->word.n ? -1 : 1;
	return memcmp(a->word.p, b->word.p, (size_t)a->word.n);
}

/* The lowest word of all runs, with its counts added up. */
static int
merge_next(void *from, struct counted *w, struct err *err)
{
	struct merge *m = from;
	const struct reader *low = NULL;

	for (int i = 0; i < m->n; i++)
		if (m->reader[i].left && (low == NULL ||
		    order(&m->reader[i].now, &low->now) < 0))
			low = &m->reader[i];
	if (low == NULL)
		return 0;
	*w = low->now;
	buf_reset(&m->word);
	buf_add(&m->word, w->word);
	if (buf_ok(&m->word, err) < 0)
		return -1;
	w->word = buf_str(&m->word);
	w->count = 0;
	for (int i = 0; i < m->n; i++) {
		struct reader *r = &m->reader[i];

		if (r->left && order(&r->now, w) == 0) {
			w->count += r->now.count;
			if (advance(r, err) < 0)
				return -1;
		}
	}
	return 1;
}

/* Make one run of the last n.  Called with the lock held. */
static int
merge_last(struct runs *r, int n, struct writer *out, struct err *err)
{
	struct run *run = &r->run[r->n - n];
	struct merge *m = calloc(1, sizeof(*m));
	int ret = 0;

	if (m == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (m->n = 0; m->n < n && ret == 0; m->n++) {
		m->reader[m->n].fd = run[m->n].fd;
		ret = advance(&m->reader[m->n], err);
	}
	if (ret == 0)
		ret = write_run(out, merge_next, m, err);
	for (int i = 0; i < m->n; i++)
		buf_free(&m->reader[i].window);
	buf_free(&m->word);
	free(m);
	if (ret < 0)
		return -1;
	r->bytes += out->bytes;
	for (int i = 0; i < n; i++)
		close(run[i].fd);
	*run = (struct run){ out->fd, run->level + 1 };
	r->n -= n - 1;
	return 0;
}

int
runs_add(struct runs *r, int (*next)(void *from, struct counted *w, struct err *err),
    void *from, struct err *err)
{
	struct writer w = { .dir = r->dir };
	int ret = 0;

	if (write_run(&w, next, from, err) < 0)
		return -1;
	r->bytes += w.bytes;
	pthread_mutex_lock(&r->lock);
	r->run[r->n++] = (struct run){ .fd = w.fd };
	while (ret == 0 && r->n >= FAN && r->run[r->n - FAN].level == r->run[r->n - 1].level) {
		struct writer out = { .dir = r->dir };

		ret = merge_last(r, FAN, &out, err);
	}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

int64_t
runs_bytes(const struct runs *r)
{
	return r->bytes;
}

int
runs_settle(struct runs *r, int64_t *words, int64_t *bytes, struct err *err)
{
	struct writer out = { .dir = r->dir };

	if (merge_last(r, r->n, &out, err) < 0)
		return -1;
	*words = out.words;
	*bytes = out.text;
	r->reader.fd = r->run[0].fd;
	return 0;
}

int
runs_next(struct runs *r, struct counted *w, struct err *err)
{
	struct reader *reader = &r->reader;

	if (advance(reader, err) < 0)
		return -1;
	*w = reader->now;
	if (!reader->left) {
		reader->pos = reader->at = 0;
		buf_reset(&reader->window);
	}
	return reader->left;
}
