/*
 * shard_impl - what the reader, the map and the writer of shards share
 *
 * A block is a run of chunks: its first chunk, ..., "toks".  Documents:
 *
 *	"lens"	i32[docs]		tokens of each
 *	"srcb"	i64[docs]		source bytes of each
 *	"lwgt"	u8[tokens]		weights of tokens, 0 or 1; lacks where all are 1
 *	"toks"	u16 or u32[tokens]
 *
 * Rows:
 *
 *	"rows"	i32[rows + 1]		where each row's entries in cuse begin
 *	"cuse"	i32[segments + rows]	for each row, segment starts and the end
 *	"srcb"	i64[segments]		source bytes of each
 *	"segf"	u8[segments]		whether a document begins (1), ends (2) in it
 *	"lwgt"	u8[rows * row_len]	as above; 1 where padding is
 *	"toks"	u16 or u32[rows * row_len]
 *
 * The first chunk's arguments are items, segments, tokens, source bytes;
 * segf's first is the number of documents that begin in the block, lwgt's that of
 * tokens with weight 0.
 */
#ifndef FMT_SHARD_IMPL_H
#define FMT_SHARD_IMPL_H

#include "fmt/chunk.h"
#include "fmt/shard.h"

#define SHARD_KIND	'S'

/* The payload of the "info" chunk; longer ones are from later versions. */
struct shard_head {
	uint32_t	width;		/* bytes of a token: 2 or 4 */
	int32_t		row_len;	/* 0: documents */
	int32_t		vocab, eos;
	uint64_t	tokenizer[2];	/* low, high */
};

struct shard_block {
	int64_t		 at;		/* of its first chunk */
	int64_t		 items, segments, docs, tokens, bytes, masked;
	const int32_t	*first;		/* lens or rows */
	const int32_t	*cuse;		/* rows only */
	const int64_t	*srcb;
	const uint8_t	*segf;		/* rows only */
	const uint8_t	*lwgt;		/* NULL: all are 1 */
	const void	*toks;
};

/* How the payloads of a block are held when they are not mapped. */
struct shard_bufs {
	struct buf	first, cuse, srcb, segf, lwgt, toks;
};

/* A container's part of a stream, as it is read. */
struct shard_stream {
	struct chunk_reader chunks;
	struct shard_info info;		/* totals so far */
	bool		 started;	/* info is that of the first container */
	bool		 inside;	/* a container, */
	bool		 summed;	/* whose totals were read */
	int64_t		 sums[5];	/* totals when this container began */
	uint64_t	 hash;		/* of the containers that have ended */
	struct buf	 scrap, provenance;
};

/*
 * Read on to the next block.  Return 1, 0 at the end of all containers, -1.
 * With b NULL at the start: only the first container's info.
 */
int shard_block_next(struct shard_stream *s, struct shard_bufs *bufs, struct shard_block *b,
    struct err *err);

/*
 * Row i of a block, its bounds and ids checked.  All row_len tokens are widened
 * into token.
 */
int shard_block_row(const struct shard_info *info, const struct shard_block *b, int64_t i,
    uint32_t *token, struct shard_item *item, struct err *err);

void shard_stream_free(struct shard_stream *s);
void shard_bufs_free(struct shard_bufs *b);

/* docs, rows, segments, tokens, source bytes: the payload of "sums". */
void shard_sums(const struct shard_info *t, int64_t sums[5]);

/* Widen n tokens of 2 or 4 bytes.  Return 0, or -1 when an id is not below vocab. */
int shard_widen(const struct shard_info *info, const void *from, int64_t n, uint32_t *to,
    struct err *err);

static inline int
shard_width(const struct shard_info *info)
{
	return info->vocab <= 65536 ? 2 : 4;
}

#endif
