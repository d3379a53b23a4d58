#include "serve/kept.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"

struct kept_item {
	struct kept_item *next; /* of its bucket */
	struct kept_item *newer, *older; /* by last use */
	hash128 hash;
	void *value;
	void (*free_value)(void *);
	int64_t bytes; /* of all that it takes */
	double at; /* when it was made */
	int64_t refs; /* who use it, and the table */
	ptrdiff_t n;
	char key[];
};

struct kept {
	pthread_mutex_t lock;
	int64_t max_bytes;
	double max_age;
	struct kept_item **bucket;
	int64_t n_buckets; /* a power of two */
	struct kept_item *newest, *oldest;
	struct kept_stats stats;
};

#define FIRST	64	/* buckets */

struct kept *
kept_new(int64_t max_bytes, double max_age, struct err *err)
{
	struct kept *k = calloc(1, sizeof(*k));

	if (k == NULL || (k->bucket = calloc(FIRST, sizeof(struct kept_item *))) == NULL) {
		free(k);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	k->n_buckets = FIRST;
	k->max_bytes = max_bytes;
	k->max_age = max_age;
	pthread_mutex_init(&k->lock, NULL);
	return k;
}

/* What is put into a key has its length before it, so no two requests have the same bytes. */
static void
put_part(struct buf *b, str part)
{
	int64_t n = part.n;

	buf_add(b, (str){ (const char *)&n, sizeof(n) });
	buf_add(b, part);
}

void
kept_key(struct buf *b, str model, const int32_t *ids, int64_t n_ids, str parameters,
    uint64_t salt)
{
	buf_add(b, (str){ (const char *)&salt, sizeof(salt) });
	put_part(b, model);
	put_part(b, (str){ (const char *)ids, (ptrdiff_t)(n_ids * (int64_t)sizeof(*ids)) });
	put_part(b, parameters);
}

/* ---- under the lock ---- */

static struct kept_item **
bucket_of(struct kept *k, hash128 h)
{
	return &k->bucket[h.lo & (uint64_t)(k->n_buckets - 1)];
}

/* Where the item of this key hangs, or the end of its bucket. */
static struct kept_item **
find(struct kept *k, hash128 h, str key)
{
	struct kept_item **at = bucket_of(k, h);

	while (*at != NULL && ((*at)->hash.lo != h.lo || (*at)->hash.hi != h.hi ||
	    !str_eq((str){ (*at)->key, (*at)->n }, key)))
		at = &(*at)->next;
	return at;
}

static void
unlink_item(struct kept *k, struct kept_item *x)
{
	*(x->newer != NULL ? &x->newer->older : &k->newest) = x->older;
	*(x->older != NULL ? &x->older->newer : &k->oldest) = x->newer;
}

static void
link_newest(struct kept *k, struct kept_item *x)
{
	x->newer = NULL;
	x->older = k->newest;
	*(k->newest != NULL ? &k->newest->newer : &k->oldest) = x;
	k->newest = x;
}

/* One reference less; an item that nobody has any more is added to *dead. */
static void
unref(struct kept_item *x, struct kept_item **dead)
{
	if (--x->refs > 0)
		return;
	x->next = *dead;
	*dead = x;
}

/* Take the item that hangs at this place out of the table. */
static void
take_out(struct kept *k, struct kept_item **at, struct kept_item **dead)
{
	struct kept_item *x = *at;

	*at = x->next;
	unlink_item(k, x);
	k->stats.items--;
	k->stats.bytes -= x->bytes;
	unref(x, dead);
}

static void
make_room(struct kept *k, int64_t bytes, struct kept_item **dead)
{
	while (k->oldest != NULL && k->stats.bytes + bytes > k->max_bytes)
		take_out(k, find(k, k->oldest->hash, (str){ k->oldest->key, k->oldest->n }), dead);
}

/* Twice the buckets; when memory lacks, chains are longer. */
static void
grow(struct kept *k)
{
	struct kept_item **old = k->bucket, **new;
	int64_t n = k->n_buckets;

	if ((new = calloc((size_t)n * 2, sizeof(struct kept_item *))) == NULL)
		return;
	k->bucket = new;
	k->n_buckets = n * 2;
	for (int64_t i = 0; i < n; i++)
		for (struct kept_item *x = old[i], *next; x != NULL; x = next) {
			struct kept_item **at = bucket_of(k, x->hash);

			next = x->next;
			x->next = *at;
			*at = x;
		}
	free(old);
}

/* ---- not under it: freeing a value is the caller's business, and may take a while ---- */

static void
free_all(struct kept_item *dead)
{
	for (struct kept_item *next; dead != NULL; dead = next) {
		next = dead->next;
		dead->free_value(dead->value);
		free(dead);
	}
}

struct kept_item *
kept_find(struct kept *k, str key, double now)
{
	hash128 h = hash128_of(key);
	struct kept_item **at, *x, *dead = NULL;

	pthread_mutex_lock(&k->lock);
	at = find(k, h, key);
	if (*at != NULL && k->max_age > 0 && now - (*at)->at > k->max_age) {
		take_out(k, at, &dead);
		x = NULL;
	} else if ((x = *at) != NULL) {
		unlink_item(k, x);
		link_newest(k, x);
		x->refs++;
	}
	*(x != NULL ? &k->stats.found : &k->stats.missed) += 1;
	pthread_mutex_unlock(&k->lock);
	free_all(dead);
	return x;
}

void *
kept_value(const struct kept_item *item)
{
	return item->value;
}

void
kept_drop(struct kept *k, struct kept_item *item)
{
	struct kept_item *dead = NULL;

	pthread_mutex_lock(&k->lock);
	unref(item, &dead);
	pthread_mutex_unlock(&k->lock);
	free_all(dead);
}

bool
kept_put(struct kept *k, str key, void *value, int64_t bytes, void (*free_value)(void *value),
    double now)
{
	int64_t all = bytes + key.n + (int64_t)sizeof(struct kept_item) +
	    2 * (int64_t)sizeof(struct kept_item *);
	struct kept_item *x = all > k->max_bytes ? NULL : malloc(sizeof(*x) + (size_t)key.n);
	struct kept_item *dead = NULL, **at;

	if (x == NULL) {
		free_value(value);
		return false;
	}
	*x = (struct kept_item){ .hash = hash128_of(key), .value = value,
		.free_value = free_value, .bytes = all, .at = now, .refs = 1, .n = key.n };
	memcpy(x->key, key.p, (size_t)key.n);
	pthread_mutex_lock(&k->lock);
	if (*(at = find(k, x->hash, key)) != NULL)
		take_out(k, at, &dead);
	make_room(k, all, &dead);
	if (k->stats.items >= k->n_buckets)
		grow(k);
	at = bucket_of(k, x->hash);
	x->next = *at;
	*at = x;
	link_newest(k, x);
	k->stats.items++;
	k->stats.bytes += all;
	pthread_mutex_unlock(&k->lock);
	free_all(dead);
	return true;
}

void
kept_clear(struct kept *k)
{
	struct kept_item *dead = NULL;

	pthread_mutex_lock(&k->lock);
	make_room(k, k->max_bytes + 1, &dead);
	pthread_mutex_unlock(&k->lock);
	free_all(dead);
}

struct kept_stats
kept_stats(struct kept *k)
{
	struct kept_stats s;

	pthread_mutex_lock(&k->lock);
	s = k->stats;
	pthread_mutex_unlock(&k->lock);
	return s;
}

void
kept_free(struct kept *k)
{
	if (k == NULL)
		return;
	kept_clear(k);
	pthread_mutex_destroy(&k->lock);
	free(k->bucket);
	free(k);
}
