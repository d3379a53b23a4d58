/*
 * pack - documents into rows of equal length, their boundaries kept
 *
 * Best-fit-decreasing over a window of documents (Ding et al., Fewer
 * Truncations Improve Language Modeling, 2024): the longest piece first, each
 * into the row with the least room that still holds it.  A document longer
 * than a row is cut at multiples of the row's length: its full pieces are rows
 * of their own at once, the rest waits in the window.  No token is lost or
 * stored twice.  Or plain concatenation, cut where a row is full.
 *
 * A piece [a, b) of a document of n tokens and B bytes is credited with
 * floor(B b / n) - floor(B a / n) of them, so the sum is B exactly.
 *
 * O(log row_len) for each piece and O(w log w) to sort a window.  Memory: the
 * tokens of the window, less than PACK_HELD plus a row.  The result depends on
 * the documents, their order and the options alone.
 */
#ifndef FMT_PACK_H
#define FMT_PACK_H

#include <stdint.h>

#include "base/err.h"
#include "fmt/shard.h"

#define PACK_ROW_MAX	((int32_t)1 << 24)	/* tokens a row */
#define PACK_WINDOW_MAX	((int64_t)1 << 28)	/* documents */
#define PACK_HELD	((int64_t)64 << 20)	/* a window ends at so many tokens, too */

enum pack_method { PACK_BEST_FIT, PACK_STREAM };

struct pack_opts {
	enum pack_method method;
	int32_t	row_len;
	int64_t	window;		/* documents */
};

struct pack_count {
	int64_t	docs, empty;	/* given; of these, without tokens and so left out */
	int64_t	cut;		/* documents in more than one piece */
	int64_t	rows, segments, tokens, source_bytes;
};

struct packer;

/* Rows go to a writer of packed shards, which stays the caller's. */
struct packer *packer_new(const struct pack_opts *o, struct shard_writer *to, struct err *err);
int packer_add(struct packer *p, const struct shard_item *doc, struct err *err);

/* Write the rows that wait. */
int packer_finish(struct packer *p, struct err *err);
const struct pack_count *packer_count(const struct packer *p);
void packer_free(struct packer *p);

#endif
