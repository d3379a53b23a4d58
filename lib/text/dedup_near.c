/*
 * Texts are sets of five-word shingles; MinHash bands find candidates among
 * the records that were kept, and a record is dropped when the true similarity
 * to one of them reaches the threshold.
 */
#include <stdlib.h>

#include "text/dedup.h"
#include "text/minhash.h"

struct state {
	struct minhash	 shape;
	struct near	*index;
};

/* What map() found out, in the batch's scratch: order() gets it by tag[0]. */
struct found {
	struct near_doc	doc;
	str		name;		/* p NULL unless there is a clusters file */
};

static int
sign_record(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct dedup *d = ctx;
	const struct state *s = d->state;
	struct found *f = arena_new(r->scratch, struct found, 1, err);
	const uint64_t *set;
	uint64_t *copy;
	uint32_t *key;
	int64_t n;

	if (f == NULL)
		return RECORD_BAD;
	if (d->clusters != NULL && (f->name = dedup_name(r, err)).p == NULL)
		return RECORD_BAD;
	if ((n = shingles(state, r->text, &set, err)) < 0)
		return RECORD_BAD;
	copy = arena_new(r->scratch, uint64_t, n, err);
	key = copy == NULL ? NULL : arena_new(r->scratch, uint32_t, s->shape.bands, err);
	if (key == NULL)
		return RECORD_BAD;
	memcpy(copy, set, (size_t)n * sizeof(*copy));
	minhash_keys(&s->shape, set, n, key);
	f->doc = (struct near_doc){ copy, n, key };
	r->tag[0] = (uint64_t)(uintptr_t)f;
	return RECORD_KEEP;
}

static int
decide(void *ctx, struct record *r, struct err *err)
{
	struct dedup *d = ctx;
	struct state *s = d->state;
	const struct found *f = (const struct found *)(uintptr_t)r->tag[0];
	struct near_hit hit;
	int got = near_find(s->index, &f->doc, &hit, err);

	if (got == 0)
		got = near_add(s->index, &f->doc, r->index, f->name, err);
	else if (got > 0 && dedup_tell(d, r, f->name, hit.name, hit.number, hit.jaccard, err) < 0)
		got = -1;
	return got < 0 ? RECORD_BAD : got > 0 ? RECORD_DROP : RECORD_KEEP;
}

static int
open_near(struct dedup *d, struct err *err)
{
	struct state *s = d->state = calloc(1, sizeof(struct state));

	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	minhash_init(&s->shape, d->jaccard);
	s->index = near_new(&s->shape, d->jaccard, &d->spill, err);
	return s->index != NULL ? 0 : -1;
}

static void
close_near(struct dedup *d)
{
	struct state *s = d->state;

	if (s != NULL)
		near_free(s->index);
	free(s);
}

static void
add_stats(const struct dedup *d, void *to, void (*put)(void *to, const char *name, double value))
{
	const struct state *s = d->state;

	put(to, "jaccard", d->jaccard);
	put(to, "bands", s->shape.bands);
	put(to, "rows", s->shape.rows);
	put(to, "candidates", (double)near_candidates(s->index));
}

static void
free_shingler(void *state)
{
	shingler_free(state);
}

static const str id[] = { { "id", 2 } };

const struct dedup_method dedup_near = {
	.name = "near",
	.takes = (const char *const []){ "jaccard", "clusters", NULL },
	.job = {
		.field = { "text", 4 }, .keys = id, .nkeys = 1,
		.map = sign_record, .order = decide,
		.state_size = sizeof(struct shingler), .state_free = free_shingler,
	},
	.open = open_near,
	.stats = add_stats,
	.close = close_near,
};
