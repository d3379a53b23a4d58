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
 *
 * Memory: a writer holds a block of about SHARD_BLOCK bytes, or one document
 * if that is longer; so does a reader.  A map holds about 100 bytes for each
 * block.
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

#define SHARD_VERSION	1			/* written, and the newest read */
#define SHARD_BLOCK	((int64_t)4 << 20)	/* bytes of tokens in a block */
#define SHARD_ROW_MAX	((int32_t)1 << 30)	/* tokens a row */

struct shard_info {
	bool	 packed;
	int32_t	 row_len;	/* packed: tokens a row */
	int32_t	 vocab;		/* token ids are below; u16 up to 65536, else u32 */
	hash128	 tokenizer;	/* fingerprint of its canonical content; 0: not known */
	int32_t	 eos;		/* -1: none */
	/*
	 * Totals; -1 from a stream until its end.  Writers ignore them.  In a
	 * packed shard docs counts documents that begin, segments their pieces,
	 * and tokens leaves padding out.
	 */
	int64_t	 docs, rows, segments, tokens, source_bytes;
	int64_t	 masked;	/* tokens that are not trained on */
};

/* ---- a stream of documents or rows, from a file or a pipe ---- */

/* One document, or one packed row.  Slices are good until the next call. */
struct shard_item {
	const uint32_t *token;		/* n */
	int32_t	 n;			/* without padding */
	int64_t	 source_bytes;		/* of a document; of a row, the sum of its segments' */
	/* Of each token: 0, it is seen and not trained on, or 1.  NULL: all are 1. */
	const uint8_t *weight;
	/*
	 * nseg segments [start[i], start[i+1]), start[0] == 0, start[nseg] == n.
	 * A document that is read has one; of one that is put these are ignored.
	 */
	const int32_t *start;
	const int64_t *seg_bytes;	/* source bytes credited to each segment */
	const uint8_t *seg_flags;	/* SEG_ bits; NULL when put: all are whole documents */
	int32_t	 nseg;
};

enum { SEG_BEGIN = 1, SEG_END = 2, SEG_WHOLE = 3 };	/* a document begins, ends here */

struct shard_reader;
struct shard_reader *shard_open(const char *path, struct err *err);	/* NULL, "-": stdin */

/* The same from an open input; takes it, also on failure. */
struct shard_reader *shard_open_in(struct in *in, struct err *err);
const struct shard_info *shard_reader_info(const struct shard_reader *r);

/* Checksums, bounds and ids are checked.  Return 1, 0 at the end, -1. */
int shard_next(struct shard_reader *r, struct shard_item *item, struct err *err);

/* At the end: a hash of all that was read, and the last provenance or p NULL. */
uint64_t shard_reader_hash(const struct shard_reader *r);
str shard_reader_provenance(const struct shard_reader *r);

/* Bytes taken from the input, and its size or -1. */
int64_t shard_reader_pos(const struct shard_reader *r);
int64_t shard_reader_size(const struct shard_reader *r);
void shard_close(struct shard_reader *r);

/* 0 when shards of a and b may be joined or mixed, else -1 and what differs. */
int shard_same(const struct shard_info *a, const struct shard_info *b, struct err *err);

struct shard_writer;

/*
 * provenance: a JSON object or p NULL; copied.  Takes out, commits or aborts
 * it; also on failure.
 */
struct shard_writer *shard_create(struct out *out, const struct shard_info *info,
    str provenance, struct err *err);
int shard_put(struct shard_writer *w, const struct shard_item *item, struct err *err);

/* Another provenance than at first: that of the inputs is known at the end. */
int shard_set_provenance(struct shard_writer *w, str provenance, struct err *err);

/* What was put so far; totals are right at any time. */
const struct shard_info *shard_writer_info(const struct shard_writer *w);
int shard_finish(struct shard_writer *w, struct err *err);	/* writes END, commits, frees */
void shard_abort(struct shard_writer *w);			/* NULL is allowed */

/* ---- random access to packed rows, mapped ---- */

/*
 * Reads headers only, so it is fast for any size; a row's bounds and ids are
 * checked when it is asked for, its checksum is not (shard_verify does that).
 * Immutable: any number of threads may read rows.  Documents may be mapped
 * too, for their totals.
 */
struct shard_map;
struct shard_map *shard_map_open(const char *path, struct err *err);
const struct shard_info *shard_map_info(const struct shard_map *m);

/* The last provenance, or p NULL. */
str shard_map_provenance(const struct shard_map *m);

/* A hash of all the content, from the headers: equals shard_reader_hash(). */
uint64_t shard_map_hash(const struct shard_map *m);

/*
 * Tokens of row i (row_len of them, widened, padding included) and its
 * segments; item's slices are in the mapping, item->token is token.
 */
int shard_map_row(const struct shard_map *m, int64_t i, uint32_t *token,
    struct shard_item *item, struct err *err);
void shard_map_close(struct shard_map *m);

/* Check every checksum, count and bound.  Return 0 or -1 with the offset. */
int shard_verify(const char *path, struct shard_info *info, struct err *err);

#endif
