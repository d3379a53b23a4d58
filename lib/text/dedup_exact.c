/*
 * A text with its white space folded is known by a 128-bit hash, in a set of
 * 21 to 43 bytes an entry.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "text/dedup.h"
#include "text/hashset.h"
#include "text/minhash.h"

/* A kept record, with a clusters file: the number of its hash in the set. */
struct kept {
	int64_t	number, n;
	char	name[];
};

/* What map() found out, in the batch's scratch: order() gets it by tag[0]. */
struct found {
	hash128	hash;
	str	name;		/* p NULL unless there is a clusters file */
};

static int
hash_record(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct dedup *d = ctx;
	struct buf *fold = state;
	struct found *f = arena_new(r->scratch, struct found, 1, err);

	if (f == NULL)
		return RECORD_BAD;
	if (d->clusters != NULL && (f->name = dedup_name(r, err)).p == NULL)
		return RECORD_BAD;
	if (fold_space(fold, r->text, err) < 0)
		return RECORD_BAD;
	f->hash = hash128_of(buf_str(fold));
	r->tag[0] = (uint64_t)(uintptr_t)f;
	return RECORD_KEEP;
}

static struct kept *
keep_name(struct dedup *d, const struct record *r, str name, struct err *err)
{
	struct kept *k = spill_bytes(&d->spill, (int64_t)sizeof(*k) + name.n, err);

	if (k == NULL)
		return NULL;
	k->number = r->index;
	k->n = name.n;
	memcpy(k->name, name.p, (size_t)name.n);
	return k;
}

static int
decide(void *ctx, struct record *r, struct err *err)
{
	struct dedup *d = ctx;
	const struct found *f = (const struct found *)(uintptr_t)r->tag[0];
	struct kept *k = NULL;
	uint64_t was;
	int new;

	if (d->clusters != NULL && (k = keep_name(d, r, f->name, err)) == NULL)
		return RECORD_BAD;
	new = hashset_add(d->state, f->hash, (uint64_t)(uintptr_t)k, &was, err);
	if (new != 0)
		return new < 0 ? RECORD_BAD : RECORD_KEEP;
	if (d->clusters == NULL)
		return RECORD_DROP;
	k = (struct kept *)(uintptr_t)was;
	return dedup_tell(d, r, f->name, (str){ k->name, k->n }, k->number, 1, err) < 0 ?
	    RECORD_BAD : RECORD_DROP;
}

static int
open_exact(struct dedup *d, struct err *err)
{
	if ((d->state = calloc(1, sizeof(struct hashset))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return hashset_init(d->state, &d->spill, d->clusters != NULL, err);
}

static void
close_exact(struct dedup *d)
{
	free(d->state);
}

static void
free_fold(void *state)
{
	buf_free(state);
}

static const str id[] = { { "id", 2 } };

const struct dedup_method dedup_exact = {
	.name = "exact",
	.takes = (const char *const []){ "clusters", NULL },
	.job = {
		.field = { "text", 4 }, .keys = id, .nkeys = 1,
		.map = hash_record, .order = decide,
		.state_size = sizeof(struct buf), .state_free = free_fold,
	},
	.open = open_exact,
	.close = close_exact,
};
