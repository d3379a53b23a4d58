/*
 * token_sink - documents of token ids, into a shard or another program's file
 *
 * A shard takes with it what it was made by (a provenance object) and the hash
 * of the texts, which are told with their documents; other programs' files have
 * no place for these.  Memory: that of shard.h or shard_convert.h.
 */
#ifndef FMT_TOKEN_SINK_H
#define FMT_TOKEN_SINK_H

#include <jansson.h>

#include "base/stream.h"
#include "fmt/shard.h"
#include "fmt/shard_convert.h"

struct token_sink {
	struct shard_writer	*shard;		/* one of these two */
	struct foreign_writer	*foreign;
	json_t			*provenance;	/* the caller's; NULL: none is written */
	struct hasher		*hash;		/* of the hashes of all texts */
};

/*
 * kind FOREIGN_NONE: a shard, compressed by codec.  provenance becomes complete
 * at the end.  Return 0, or -1 with nothing left to free.
 */
int token_sink_open(struct token_sink *s, enum foreign kind, const char *path,
    struct codec_spec codec, const struct shard_info *info, json_t *provenance,
    struct err *err);

/* text: the hash of what the document was made from. */
int token_sink_put(struct token_sink *s, const struct shard_item *doc, uint64_t text,
    struct err *err);

/* Both leave nothing to free. */
int token_sink_finish(struct token_sink *s, struct err *err);
void token_sink_abort(struct token_sink *s);

#define TOKEN_LINE	11	/* bytes of an id in a line, with what follows it */

/* Write n ids in decimal, spaces between and a newline behind.  Return the length. */
ptrdiff_t token_line(char *to, const int32_t *id, int64_t n);

#endif
