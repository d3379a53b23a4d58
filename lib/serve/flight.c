#include "serve/flight.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/progress.h"

enum { BUCKETS = 1024 };

struct flight {
	struct flight	*next, **at;
	struct generation *g;
	int64_t		 parts;
	uint64_t	 hash;
	ptrdiff_t	 n;
	char		 key[];
};

struct flights {
	struct kept	*kept;
	struct flight	*bucket[BUCKETS];
};

/* Is a member told otherwise, or changes nothing that is drawn? */
static bool
is_apart(str key)
{
	static const char *const apart[] = { "model", "messages", "conversations", "prompt", "n",
	    "best_of", "stream", "stream_options", "echo", "user", "cache_salt", "metadata" };

	for (size_t i = 0; i < sizeof(apart) / sizeof(*apart); i++)
		if (str_eq(key, str_of(apart[i])))
			return true;
	return false;
}

/* The same ones stay as they come: the last is what counts. */
static int
by_key(const void *a, const void *b)
{
	const struct json_member *x = a, *y = b;
	ptrdiff_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
	int c = memcmp(x->key.p, y->key.p, (size_t)n);

	if (c == 0)
		c = (x->key.n > y->key.n) - (x->key.n < y->key.n);
	return c != 0 ? c : (x->key.p > y->key.p) - (x->key.p < y->key.p);
}

int
flights_parameters(str body, struct buf *out, struct err *err)
{
	struct buf all = { 0 };
	const struct json_member *m;
	struct json_member one;
	ptrdiff_t at = 0, n = 0;
	int got;

	while ((got = json_next(body, &at, &one, err)) > 0)
		if (!is_apart(one.key) && !str_eq(one.value, S("null"))) {
			buf_add(&all, (str){ (const char *)&one, sizeof(one) });
			n++;
		}
	if (got == 0 && (got = buf_ok(&all, err)) == 0 && n > 0)
		qsort(all.p, (size_t)n, sizeof(one), by_key);
	m = (const void *)all.p;
	for (ptrdiff_t i = 0; got == 0 && i < n; i++)
		buf_fmt(out, "\"%.*s\":%.*s,", STR_ARG(m[i].key), STR_ARG(m[i].value));
	buf_free(&all);
	return got < 0 ? -1 : buf_ok(out, err);
}

struct flights *
flights_new(struct kept *kept, struct err *err)
{
	struct flights *s = calloc(1, sizeof(*s));

	if (s == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	else
		s->kept = kept;
	return s;
}

void
flights_free(struct flights *s)
{
	free(s);
}

/* Its text has all of its tokens. */
static bool
is_whole(const struct generation *g)
{
	return g->state == GENERATION_OVER && g->report.end != TEXT_BROKEN_OFF &&
	    g->report.end != TEXT_FAILED;
}

/* Is it written, or will it be?  Whom nobody waited for is not. */
static bool
is_good(struct generation *g)
{
	bool good;

	pthread_mutex_lock(&g->lock);
	good = is_whole(g) || ((g->state == GENERATION_NEW || g->state == GENERATION_ACCEPTED) &&
	    !atomic_load(&g->dropped));
	pthread_mutex_unlock(&g->lock);
	return good;
}

struct generation *
flights_find(struct flights *s, str key, struct flight **part)
{
	uint64_t hash = hash64(key);
	struct kept_item *item = NULL;
	struct generation *g = NULL;

	*part = NULL;
	for (struct flight *x = s->bucket[hash % BUCKETS]; x != NULL; x = x->next)
		if (x->hash == hash && str_eq((str){ x->key, x->n }, key) && is_good(x->g)) {
			x->parts++;
			*part = x;
			return generation_hold(x->g);
		}
	if (s->kept != NULL && (item = kept_find(s->kept, key, progress_now())) != NULL) {
		g = generation_hold(kept_value(item));
		kept_drop(s->kept, item);
	}
	return g;
}

struct flight *
flights_add(struct flights *s, str key, struct generation *g, struct err *err)
{
	struct flight *x = malloc(sizeof(*x) + (size_t)key.n);
	struct flight **bucket;

	if (x == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*x = (struct flight){ .g = generation_hold(g), .parts = 1, .hash = hash64(key),
	    .n = key.n };
	memcpy(x->key, key.p, (size_t)key.n);
	bucket = &s->bucket[x->hash % BUCKETS];
	if ((x->next = *bucket) != NULL)
		x->next->at = &x->next;
	x->at = bucket;
	*bucket = x;
	return x;
}

static void
release(void *g)
{
	generation_release(g);
}

/* If it is whole. */
static void
keep(struct kept *kept, str key, struct generation *g)
{
	int64_t bytes = (int64_t)sizeof(*g);
	bool whole;

	pthread_mutex_lock(&g->lock);
	if ((whole = is_whole(g)))
		bytes += g->text.cap + g->cap_token * (int64_t)sizeof(*g->token) +
		    g->cap_top * (int64_t)sizeof(*g->top) +
		    g->cap_begins * (int64_t)sizeof(*g->begins);
	pthread_mutex_unlock(&g->lock);
	if (whole)
		kept_put(kept, key, generation_hold(g), bytes, release, progress_now());
}

void
flights_leave(struct flights *s, struct flight *x)
{
	if (x == NULL || --x->parts > 0)
		return;
	if ((*x->at = x->next) != NULL)
		x->next->at = x->at;
	if (s->kept != NULL)
		keep(s->kept, (str){ x->key, x->n }, x->g);
	generation_release(x->g);
	free(x);
}
