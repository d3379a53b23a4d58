/*
 * loader - which rows a step trains on, and their tokens laid flat
 *
 * The samples of a run are numbered 0, 1, 2 ...; step s takes the next
 * rows-a-step of them.  Which row of which shard a number means is a function
 * of the seed, the shards and the number alone: nothing is remembered, so any
 * step can be resumed at and any rank can take its part.
 *
 * Several shards are interleaved by weight, as evenly as whole numbers allow.
 * Each shard is gone through in a new order every epoch.
 */
#ifndef TRAIN_LOADER_H
#define TRAIN_LOADER_H

#include "fmt/shard.h"

struct loader;

struct loader_options {
	const double	*weight;	/* one a shard, > 0; NULL: by its rows */
	uint64_t	 seed;
	bool		 shuffle;
};

/* Rows as they lie on the device: padding is gone, segments are sequences. */
struct batch {
	int32_t	*token, *pos, *target;	/* tokens; target -1: none; pos by batch_upload() */
	int32_t	*cu_seqlens;		/* seqs + 1 */
	int64_t	 tokens, seqs, targets, source_bytes;
	int64_t	 cap_tokens;
};

/* All shards packed, of one row length and one tokenizer; else an error. */
struct loader *loader_open(char *const *path, int n, const struct loader_options *o,
    struct err *err);
void loader_close(struct loader *l);

/* Row length, vocabulary and tokenizer of the first; rows and tokens of all. */
const struct shard_info *loader_info(const struct loader *l);

/* The shard and row that a sample number means. */
void loader_sample(const struct loader *l, int64_t sample, int *shard, int64_t *row);

int batch_init(struct batch *b, int64_t cap_tokens, struct err *err);
void batch_free(struct batch *b);

/* Replace b by samples [first, first + n); b must have room for n rows. */
int loader_batch(struct loader *l, int64_t first, int64_t n, struct batch *b, struct err *err);

/* As loader_batch(), but rows in file order: for validation. */
int loader_rows(struct loader *l, int64_t first, int64_t n, struct batch *b, struct err *err);

#endif
