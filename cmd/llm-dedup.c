/*
 * llm-dedup - drop records whose text was seen before
 *
 * Exact: the text with its white space folded is known by a 128-bit hash, in
 * a set of 21 to 43 bytes an entry.  Near: texts are sets of five-word
 * shingles; MinHash bands find candidates among the records that were kept,
 * and a record is dropped when the true similarity to one of them reaches the
 * threshold.  Hashing runs on all threads, decisions are made in input order
 * on one, so the first of equal records is the one that stays, whatever -j.
 * What must be remembered is in memory up to --memory, then in a file.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/spill.h"
#include "text/hashset.h"
#include "text/minhash.h"
#include "tool/filter.h"

struct dedup {
	struct filter_opts io;
	bool		 near;		/* -t near */
	double		 threshold;	/* -J */
	const char	*clusters;
	int64_t		 memory;
	const char	*work;
	struct spill	 spill;
	struct hashset	 seen;
	struct minhash	 shape;
	struct near	*index;
	struct buf	 line;		/* of the clusters file */
};

static int
parse_type(void *into, const char *arg, struct err *err)
{
	struct dedup *d = into;

	d->near = strcmp(arg, "near") == 0;
	if (!d->near && strcmp(arg, "exact") != 0)
		return err_set(err, ERR_ARG, "'%s' is neither exact nor near", arg);
	return 0;
}

static const struct opt opts[] = {
	{ .letter = 't', .name = "type", .type = OPT_CALL, .arg = "exact|near",
	  .help = "drop equal texts (exact) or similar ones", .call = parse_type },
	{ .letter = 'J', .name = "jaccard", .type = OPT_F64,
	  .at = offsetof(struct dedup, threshold), .arg = "similarity",
	  .help = "near: drop from this similarity on (0.8)", .min = 0.1, .max = 1 },
	{ .name = "clusters", .type = OPT_STR, .at = offsetof(struct dedup, clusters),
	  .arg = "file", .help = "write which record each dropped one repeats" },
	{ .name = "memory", .type = OPT_BYTES, .at = offsetof(struct dedup, memory),
	  .arg = "size", .help = "remember this much in memory, the rest in a file (4G)",
	  .min = 0, .max = 1e18 },
	{ .name = "work", .type = OPT_STR, .at = offsetof(struct dedup, work), .arg = "dir",
	  .help = "directory of that file ($TMPDIR or /tmp)" },
	FILTER_OPTIONS(struct dedup, io),
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-dedup",
	.synopsis = "[file ...]",
	.summary  = "drop records whose text was seen before",
	.opts     = opts,
};

/* A kept record, exact and with --clusters: the number of its hash in the set. */
struct kept {
	int64_t	number, n;
	char	name[];
};

/* What a thread has: room for the text, and for its name. */
struct worker {
	struct buf	fold, name;
	struct shingler	shingler;
};

static void
worker_free(void *state)
{
	struct worker *w = state;

	buf_free(&w->fold);
	buf_free(&w->name);
	shingler_free(&w->shingler);
}

/* What map() found out, in the batch's scratch: order() gets it by tag[0]. */
struct found {
	hash128		hash;		/* exact */
	struct near_doc	doc;		/* near */
	str		name;		/* raw JSON; p NULL unless there is a clusters file */
};

/* The id as it stands in the record, or else the hash of the text. */
static int
find_name(const struct record *r, struct found *f, struct err *err)
{
	str id = r->member[0].value;
	char hex[35];

	if (id.p == NULL || str_eq(id, S("null"))) {
		hex[0] = '"';
		hash128_hex(hash128_of(r->text), hex + 1);
		hex[33] = '"';
		id = (str){ hex, 34 };
	}
	f->name = arena_str(r->scratch, id, err);
	return f->name.p != NULL ? 0 : -1;
}

static int
fold_exact(struct worker *w, str text, struct found *f, struct err *err)
{
	if (fold_space(&w->fold, text, err) < 0)
		return -1;
	f->hash = hash128_of(buf_str(&w->fold));
	return 0;
}

static int
sign(const struct dedup *d, struct worker *w, struct record *r, struct found *f,
    struct err *err)
{
	const uint64_t *set;
	uint64_t *copy;
	uint32_t *key;
	int64_t n = shingles(&w->shingler, r->text, &set, err);

	if (n < 0)
		return -1;
	copy = arena_new(r->scratch, uint64_t, n, err);
	key = copy == NULL ? NULL : arena_new(r->scratch, uint32_t, d->shape.bands, err);
	if (key == NULL)
		return -1;
	memcpy(copy, set, (size_t)n * sizeof(*copy));
	minhash_keys(&d->shape, set, n, key);
	f->doc = (struct near_doc){ copy, n, key };
	return 0;
}

static int
hash_record(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct dedup *d = ctx;
	struct worker *w = state;
	struct found *f = arena_new(r->scratch, struct found, 1, err);

	if (f == NULL)
		return RECORD_BAD;
	if (d->io.side != NULL && find_name(r, f, err) < 0)
		return RECORD_BAD;
	if ((d->near ? sign(d, w, r, f, err) : fold_exact(w, r->text, f, err)) < 0)
		return RECORD_BAD;
	r->tag[0] = (uint64_t)(uintptr_t)f;
	return RECORD_KEEP;
}

/* One line of the clusters file. */
static int
put_pair(struct dedup *d, const struct record *r, const struct found *f,
    const struct near_hit *hit, struct err *err)
{
	if (d->io.side == NULL)
		return 0;
	buf_reset(&d->line);
	buf_add(&d->line, S("{\"id\":"));
	buf_add(&d->line, f->name);
	buf_fmt(&d->line, ",\"index\":%lld,\"kept_id\":", (long long)r->index);
	buf_add(&d->line, hit->name);
	buf_fmt(&d->line, ",\"kept_index\":%lld,\"jaccard\":%.6g,\"method\":\"%s\"}\n",
	    (long long)hit->number, hit->jaccard, d->near ? "near" : "exact");
	if (buf_ok(&d->line, err) < 0)
		return -1;
	return out_write(d->io.side, d->line.p, d->line.n, err);
}

static struct kept *
keep_name(struct dedup *d, const struct record *r, const struct found *f, struct err *err)
{
	struct kept *k = spill_bytes(&d->spill, (int64_t)sizeof(*k) + f->name.n, err);

	if (k == NULL)
		return NULL;
	k->number = r->index;
	k->n = f->name.n;
	memcpy(k->name, f->name.p, (size_t)f->name.n);
	return k;
}

static int
order_exact(void *ctx, struct record *r, struct err *err)
{
	struct dedup *d = ctx;
	const struct found *f = (const struct found *)(uintptr_t)r->tag[0];
	struct near_hit hit = { .jaccard = 1 };
	struct kept *k = NULL;
	uint64_t was;
	int new;

	if (d->io.side != NULL && (k = keep_name(d, r, f, err)) == NULL)
		return RECORD_BAD;
	new = hashset_add(&d->seen, f->hash, (uint64_t)(uintptr_t)k, &was, err);
	if (new != 0)
		return new < 0 ? RECORD_BAD : RECORD_KEEP;
	if (d->io.side != NULL) {
		k = (struct kept *)(uintptr_t)was;
		hit.number = k->number;
		hit.name = (str){ k->name, k->n };
	}
	return put_pair(d, r, f, &hit, err) < 0 ? RECORD_BAD : RECORD_DROP;
}

static int
order_near(void *ctx, struct record *r, struct err *err)
{
	struct dedup *d = ctx;
	const struct found *f = (const struct found *)(uintptr_t)r->tag[0];
	struct near_hit hit;
	int got = near_find(d->index, &f->doc, &hit, err);

	if (got < 0)
		return RECORD_BAD;
	if (got > 0)
		return put_pair(d, r, f, &hit, err) < 0 ? RECORD_BAD : RECORD_DROP;
	return near_add(d->index, &f->doc, r->index, f->name, err) < 0 ? RECORD_BAD :
	    RECORD_KEEP;
}

static void
add_stats(void *ctx, json_t *stats)
{
	const struct dedup *d = ctx;

	json_object_set_new(stats, "type", json_string(d->near ? "near" : "exact"));
	json_object_set_new(stats, "memory", json_integer(d->spill.in_memory));
	json_object_set_new(stats, "spilled", json_integer(d->spill.in_files));
	if (!d->near)
		return;
	json_object_set_new(stats, "jaccard", json_real(d->threshold));
	json_object_set_new(stats, "bands", json_integer(d->shape.bands));
	json_object_set_new(stats, "rows", json_integer(d->shape.rows));
	json_object_set_new(stats, "candidates", json_integer(near_candidates(d->index)));
}

/* Set up what records are compared with. */
static void
begin(struct dedup *d)
{
	struct codec_spec codec = { CODEC_PLAIN, 0 };
	struct err err;

	spill_init(&d->spill, tool_work(d->work), d->memory);
	if (d->near) {
		minhash_init(&d->shape, d->threshold);
		d->index = near_new(&d->shape, d->threshold, &d->spill, &err);
		if (d->index == NULL)
			tool_fail(NULL, &err);
	} else if (hashset_init(&d->seen, &d->spill, d->clusters != NULL, &err) < 0) {
		tool_fail(NULL, &err);
	}
	if (d->clusters == NULL)
		return;
	if (d->io.codec != NULL && codec_parse(str_of(d->io.codec), &codec, &err) < 0)
		tool_usage("%s", err.msg);
	if ((d->io.side = out_open(d->clusters, codec, &err)) == NULL)
		tool_fail(NULL, &err);
}

int
main(int argc, char **argv)
{
	static const str id[] = { { "id", 2 } };
	struct dedup d = { .threshold = 0.8, .memory = (int64_t)4 << 30 };
	char **files = tool_start(&tool, argc, argv, &d);
	struct records_job job = {
		.ctx = &d, .field = filter_field(&d.io), .keys = id, .nkeys = 1,
		.map = hash_record, .state_size = sizeof(struct worker),
		.state_free = worker_free,
	};
	int status;

	if (tool_given("jaccard") && !d.near)
		tool_usage("-J is for -t near");
	begin(&d);
	job.order = d.near ? order_near : order_exact;
	d.io.across = true;
	d.io.more_stats = add_stats;
	d.io.ctx = &d;
	status = filter_main(&tool, &d.io, files, &job);
	near_free(d.index);
	spill_free(&d.spill);
	buf_free(&d.line);
	return status;
}
