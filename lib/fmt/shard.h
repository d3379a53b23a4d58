/*
 * shard - token files: documents with boundaries, or packed rows
 *
 * One file kind for both (llm-shard(5)): a header, then chunks {id, flags,
 * length, XXH3}, an END chunk always.  It can be written to a pipe, mapped,
 * and concatenated: a reader takes several files in one as one stream.
 *
 * A document shard holds documents, each some tokens and the UTF-8 bytes it
 * was made from.  A packed shard holds rows of row_len tokens, each some
 * segments (the pieces of documents that do not see each other), and padding
 * only at the end of a row, outside every segment.
 */
#ifndef FMT_SHARD_H
#define FMT_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/stream.h"

struct shard_info {
	bool	 packed;
	int32_t	 row_len;	/* packed: tokens a row */
	int32_t	 vocab;		/* token ids are below; u16 up to 65536, else u32 */
	hash128	 tokenizer;	/* fingerprint of its canonical content */
	int32_t	 eos;		/* -1: none */
	int64_t	 docs, rows, tokens, source_bytes;	/* totals; -1 from a pipe until its end */
};

/* ---- a stream of documents or rows, from a file or a pipe ---- */

/* One document, or one packed row.  Slices are good until the next call. */
struct shard_item {
	const uint32_t *token;		/* n */
	int32_t	 n;			/* without padding */
	int64_t	 source_bytes;		/* of a document; of a row, the sum of its segments' */
	/* rows: nseg segments [start[i], start[i+1]), start[nseg] == n */
	const int32_t *start;
	const int64_t *seg_bytes;	/* source bytes credited to each segment */
	int32_t	 nseg;
};

struct shard_reader;
struct shard_reader *shard_open(const char *path, struct err *err);	/* NULL, "-": stdin */
const struct shard_info *shard_reader_info(const struct shard_reader *r);
int shard_next(struct shard_reader *r, struct shard_item *item, struct err *err);
void shard_close(struct shard_reader *r);

struct shard_writer;
/* provenance: a JSON object or p NULL.  Takes out, commits or aborts it. */
struct shard_writer *shard_create(struct out *out, const struct shard_info *info,
    str provenance, struct err *err);
int shard_put(struct shard_writer *w, const struct shard_item *item, struct err *err);
int shard_finish(struct shard_writer *w, struct err *err);	/* writes END, commits, frees */
void shard_abort(struct shard_writer *w);

/* ---- random access to packed rows, mapped ---- */

struct shard_map;
struct shard_map *shard_map_open(const char *path, struct err *err);
const struct shard_info *shard_map_info(const struct shard_map *m);
/* Tokens of row i (row_len of them, widened, padding included) and its segments. */
int shard_map_row(const struct shard_map *m, int64_t i, uint32_t *token,
    struct shard_item *item, struct err *err);
void shard_map_close(struct shard_map *m);

/* Check every checksum, count and bound.  Return 0 or -1 with the offset. */
int shard_verify(const char *path, struct shard_info *info, struct err *err);

#endif
