/*
 * Texts are sets of five-word shingles; MinHash bands find candidates among
 * the records that were kept, and a record is dropped when the true similarity
 * to one of them reaches the threshold.
 */
#include <stdlib.h>

#include "text/dedup.h"

struct state {
	struct minhash	 shape;
	struct near	*index;
};

static int
sign_near(const struct dedup *d, void *state, const struct record *r, struct dedup_sign *sign,
    struct err *err)
{
	const struct state *s = d->state;
	const uint64_t *set;
	uint64_t *copy;
	uint32_t *key;
	int64_t n = shingles(state, r->text, &set, err);

	if (n < 0)
		return -1;
	copy = arena_new(r->scratch, uint64_t, n, err);
	key = copy == NULL ? NULL : arena_new(r->scratch, uint32_t, s->shape.bands, err);
	if (key == NULL)
		return -1;
	memcpy(copy, set, (size_t)n * sizeof(*copy));
	minhash_keys(&s->shape, set, n, key);
	sign->doc = (struct near_doc){ copy, n, key };
	return 0;
}

static int
find_near(struct dedup *d, const struct dedup_sign *sign, struct near_hit *hit, struct err *err)
{
	struct state *s = d->state;

	return near_find(s->index, &sign->doc, hit, err);
}

static int
add_near(struct dedup *d, const struct dedup_sign *sign, int64_t number, struct err *err)
{
	struct state *s = d->state;

	return near_add(s->index, &sign->doc, number, sign->name, err);
}

static int64_t
fits_near(const struct dedup *d, int64_t memory)
{
	const struct state *s = d->state;

	return near_fits(&s->shape, memory);
}

static int64_t
key_bytes(const struct dedup *d)
{
	const struct state *s = d->state;

	return s->shape.bands * (int64_t)sizeof(uint32_t);
}

static int
open_near(struct dedup *d, struct err *err)
{
	struct state *s = d->state = calloc(1, sizeof(struct state));

	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	minhash_init(&s->shape, d->jaccard);
	s->index = near_new(&s->shape, d->jaccard, &d->spill, d->room, d->get, d->get_ctx, err);
	return s->index != NULL ? 0 : -1;
}

static void
close_near(struct dedup *d)
{
	struct state *s = d->state;

	if (s != NULL && s->index != NULL) {
		d->candidates += near_candidates(s->index);
		near_free(s->index);
	}
	free(s);
	d->state = NULL;
}

static void
put_settings(const struct dedup *d, struct buf *b)
{
	const struct state *s = d->state;

	buf_fmt(b, ",\"jaccard\":%.6g,\"bands\":%d,\"rows\":%d,\"words\":%d", d->jaccard,
	    s->shape.bands, s->shape.rows, SHINGLE_WORDS);
}

static void
add_stats(const struct dedup *d, void *to, void (*put)(void *to, const char *name, double value))
{
	const struct state *s = d->state;

	put(to, "jaccard", d->jaccard);
	put(to, "bands", s->shape.bands);
	put(to, "rows", s->shape.rows);
	put(to, "candidates", (double)(d->candidates + near_candidates(s->index)));
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
		.map = dedup_map, .order = dedup_order,
		.state_size = sizeof(struct shingler), .state_free = free_shingler,
	},
	.open = open_near,
	.stats = add_stats,
	.close = close_near,
	.sign = sign_near,
	.find = find_near,
	.add = add_near,
	.fits = fits_near,
	.key_bytes = key_bytes,
	.settings = put_settings,
	.sets = true,
};
