/*
 * A text with its white space folded, or the name of an address, is known by a
 * 128-bit hash, in a set of 21 to 43 bytes an entry.
 */
#include <stdlib.h>

#include "text/dedup.h"
#include "text/hashset.h"
#include "text/url.h"

/* A kept record, with a clusters file: the number of its hash in the set. */
struct kept {
	int64_t	number, n;
	char	name[];
};

static int
sign_exact(const struct dedup *d, void *state, const struct record *r, struct dedup_sign *s,
    struct err *err)
{
	struct buf *fold = state;

	(void)d;
	if (fold_space(fold, r->text, err) < 0)
		return -1;
	s->hash = hash128_of(buf_str(fold));
	return 0;
}

static int
sign_url(const struct dedup *d, void *state, const struct record *r, struct dedup_sign *s,
    struct err *err)
{
	struct buf *name = state;

	(void)d;
	if (url_name(name, r->text, err) < 0)
		return -1;
	s->hash = hash128_of(buf_str(name));
	return 0;
}

static int
find_exact(struct dedup *d, const struct dedup_sign *s, struct near_hit *hit, struct err *err)
{
	const struct kept *k;
	uint64_t was;

	(void)err;
	if (hashset_get(d->state, s->hash, &was) == 0)
		return 0;
	*hit = (struct near_hit){ .number = (int64_t)was, .jaccard = 1 };
	if (d->room > 0 || d->clusters == NULL)
		return 1;
	k = (const struct kept *)(uintptr_t)was;
	hit->number = k->number;
	hit->name = (str){ k->name, k->n };
	return 1;
}

static int
add_exact(struct dedup *d, const struct dedup_sign *s, int64_t number, struct err *err)
{
	uint64_t value = (uint64_t)number, was;
	struct kept *k;

	if (d->room == 0 && d->clusters != NULL) {
		k = spill_bytes(&d->spill, (int64_t)sizeof(*k) + s->name.n, err);
		if (k == NULL)
			return -1;
		k->number = number;
		k->n = s->name.n;
		memcpy(k->name, s->name.p, (size_t)s->name.n);
		value = (uint64_t)(uintptr_t)k;
	}
	return hashset_add(d->state, s->hash, value, &was, err) < 0 ? -1 : 0;
}

static int64_t
fits_exact(const struct dedup *d, int64_t memory)
{
	(void)d;
	return hashset_fits(memory);
}

static int64_t
key_bytes(const struct dedup *d)
{
	(void)d;
	return sizeof(hash128);
}

static int
open_exact(struct dedup *d, struct err *err)
{
	if ((d->state = calloc(1, sizeof(struct hashset))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (hashset_init(d->state, &d->spill, d->room > 0 || d->clusters != NULL, err) < 0)
		return -1;
	return d->room > 0 ? hashset_reserve(d->state, d->room, err) : 0;
}

static void
close_exact(struct dedup *d)
{
	if (d->state != NULL)
		hashset_free(d->state);
	free(d->state);
	d->state = NULL;
}

static void
free_fold(void *state)
{
	buf_free(state);
}

static const str id[] = { { "id", 2 } };

#define METHOD(which, key)							\
	const struct dedup_method dedup_##which = {				\
		.name = #which,							\
		.takes = (const char *const []){ "clusters", NULL },		\
		.job = {							\
			.field = { key, sizeof(key) - 1 }, .keys = id, .nkeys = 1, \
			.map = dedup_map, .order = dedup_order,			\
			.state_size = sizeof(struct buf), .state_free = free_fold, \
		},								\
		.open = open_exact, .close = close_exact,			\
		.sign = sign_##which, .find = find_exact, .add = add_exact,	\
		.fits = fits_exact, .key_bytes = key_bytes,			\
	}

METHOD(exact, "text");
METHOD(url, "url");
