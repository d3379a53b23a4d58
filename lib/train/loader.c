#include "train/loader.h"

#include <stdlib.h>

#include "base/rng.h"

enum { FIXED = 32 };		/* shares are in units of 2^-32 */

struct loader {
	struct shard_map **map;
	int		 n;
	/* share[i]: the part that shard i takes of what shards 0..i-1 left */
	uint64_t	*share;
	uint64_t	 seed;
	bool		 shuffle;
	struct shard_info info;
	uint32_t	*row;		/* one row of tokens */
};

static int
check(const struct loader *l, const struct shard_info *info, const char *path, struct err *err)
{
	if (!info->packed)
		return err_set(err, ERR_FORMAT,
		    "%s: holds documents, not packed rows (see llm-pack)", path);
	if (info->rows == 0)
		return err_set(err, ERR_FORMAT, "%s: holds no rows", path);
	if (l->info.rows > 0 && (info->row_len != l->info.row_len ||
	    info->vocab != l->info.vocab ||
	    info->tokenizer.lo != l->info.tokenizer.lo ||
	    info->tokenizer.hi != l->info.tokenizer.hi))
		return err_set(err, ERR_FORMAT,
		    "%s: row length or tokenizer is not that of the shards before it", path);
	return 0;
}

static double
weight_of(const struct loader *l, const double *weight, int i)
{
	return weight != NULL ? weight[i] : (double)shard_map_info(l->map[i])->rows;
}

static int
set_shares(struct loader *l, const double *weight, struct err *err)
{
	double left = 0;

	for (int i = 0; i < l->n; i++) {
		double w = weight_of(l, weight, i);

		if (!(w > 0) || w > 1e15)
			return err_set(err, ERR_ARG, "weight %g is not positive", w);
		left += w;
	}
	for (int i = 0; i < l->n; i++) {
		double w = weight_of(l, weight, i);

		l->share[i] = (uint64_t)(w / left * (double)((uint64_t)1 << FIXED) + 0.5);
		left -= w;
	}
	return 0;
}

static int
add_shard(struct loader *l, const char *path, struct err *err)
{
	const struct shard_info *info;

	if ((l->map[l->n] = shard_map_open(path, err)) == NULL)
		return -1;
	info = shard_map_info(l->map[l->n++]);
	if (check(l, info, path, err) < 0)
		return -1;
	if (l->n == 1) {
		l->info = *info;
		return 0;
	}
	l->info.rows += info->rows;
	l->info.tokens += info->tokens;
	l->info.docs += info->docs;
	l->info.source_bytes += info->source_bytes;
	l->info.masked += info->masked;
	return 0;
}

struct loader *
loader_open(char *const *path, int n, const struct loader_options *o, struct err *err)
{
	struct loader *l = calloc(1, sizeof(*l));

	if (l == NULL)
		goto nomem;
	l->seed = o->seed;
	l->shuffle = o->shuffle;
	l->map = calloc((size_t)n, sizeof(struct shard_map *));
	l->share = calloc((size_t)n, sizeof(*l->share));
	if (l->map == NULL || l->share == NULL)
		goto nomem;
	for (int i = 0; i < n; i++)
		if (add_shard(l, path[i], err) < 0)
			goto fail;
	if (set_shares(l, o->weight, err) < 0)
		goto fail;
	if ((l->row = calloc((size_t)l->info.row_len, sizeof(*l->row))) == NULL)
		goto nomem;
	return l;
nomem:
	err_set(err, ERR_NOMEM, "out of memory");
fail:
	loader_close(l);
	return NULL;
}

void
loader_close(struct loader *l)
{
	if (l == NULL)
		return;
	for (int i = 0; i < l->n; i++)
		shard_map_close(l->map[i]);
	free(l->map);
	free(l->share);
	free(l->row);
	free(l);
}

const struct shard_info *
loader_info(const struct loader *l)
{
	return &l->info;
}

/* How many of the first n samples a share takes: floor(n * share). */
static int64_t
taken(int64_t n, uint64_t share)
{
	uint64_t high = (uint64_t)n >> FIXED, low = (uint64_t)n & 0xffffffff;

	return (int64_t)(high * share + (low * share >> FIXED));
}

void
loader_sample(const struct loader *l, int64_t sample, int *shard, int64_t *row)
{
	int64_t rows, epoch, at;
	int i = 0;

	for (; i < l->n - 1; i++) {
		int64_t before = taken(sample, l->share[i]);

		if (taken(sample + 1, l->share[i]) > before) {
			sample = before;
			break;
		}
		sample -= before;
	}
	rows = shard_map_info(l->map[i])->rows;
	epoch = sample / rows;
	at = sample % rows;
	*shard = i;
	*row = l->shuffle ? (int64_t)rng_permute(l->seed,
	    (uint64_t)epoch << 20 | (uint64_t)i, (uint64_t)at, (uint64_t)rows) : at;
}

int
batch_init(struct batch *b, int64_t cap_tokens, struct err *err)
{
	size_t n = (size_t)cap_tokens + 1;

	*b = (struct batch){ .cap_tokens = cap_tokens };
	b->token = calloc(n, sizeof(int32_t));
	b->pos = calloc(n, sizeof(int32_t));
	b->target = calloc(n, sizeof(int32_t));
	b->cu_seqlens = calloc(n, sizeof(int32_t));
	if (b->token == NULL || b->pos == NULL || b->target == NULL || b->cu_seqlens == NULL) {
		batch_free(b);
		return err_set(err, ERR_NOMEM, "out of memory for a batch");
	}
	return 0;
}

void
batch_free(struct batch *b)
{
	free(b->token);
	free(b->pos);
	free(b->target);
	free(b->cu_seqlens);
	*b = (struct batch){ 0 };
}

static void
batch_empty(struct batch *b)
{
	b->tokens = b->seqs = b->targets = b->source_bytes = 0;
	b->cu_seqlens[0] = 0;
}

static int
add_row(struct loader *l, int shard, int64_t row, struct batch *b, struct err *err)
{
	struct shard_item item;

	if (shard_map_row(l->map[shard], row, l->row, &item, err) < 0)
		return -1;
	for (int32_t s = 0; s < item.nseg; s++) {
		int32_t from = item.start[s], to = item.start[s + 1];

		if (to == from)
			continue;
		if (b->tokens + (to - from) > b->cap_tokens)
			return err_set(err, ERR_LIMIT, "a batch has more tokens than planned");
		for (int32_t i = from; i < to; i++) {
			b->token[b->tokens] = (int32_t)l->row[i];
			bool none = i + 1 == to ||
			    (item.weight != NULL && item.weight[i + 1] == 0);

			b->target[b->tokens] = none ? -1 : (int32_t)l->row[i + 1];
			b->targets += !none;
			b->tokens++;
		}
		b->seqs++;
		b->cu_seqlens[b->seqs] = (int32_t)b->tokens;
		b->source_bytes += item.seg_bytes[s];
	}
	return 0;
}

int
loader_batch(struct loader *l, int64_t first, int64_t n, struct batch *b, struct err *err)
{
	batch_empty(b);
	for (int64_t i = first; i < first + n; i++) {
		int64_t row;
		int shard;

		loader_sample(l, i, &shard, &row);
		if (add_row(l, shard, row, b, err) < 0)
			return -1;
	}
	return 0;
}

int
loader_rows(struct loader *l, int64_t first, int64_t n, struct batch *b, struct err *err)
{
	batch_empty(b);
	for (int i = 0; i < l->n && n > 0; i++) {
		int64_t rows = shard_map_info(l->map[i])->rows;

		for (; n > 0 && first < rows; first++, n--)
			if (add_row(l, i, first, b, err) < 0)
				return -1;
		first -= rows;
	}
	return 0;
}
