/*
 * shard_list - several shards as one stream of documents or rows
 *
 * They must agree in kind, row length, vocabulary, end token and tokenizer.
 * One is open at a time.
 */
#ifndef FMT_SHARD_LIST_H
#define FMT_SHARD_LIST_H

#include <jansson.h>

#include "base/buf.h"
#include "fmt/shard.h"

struct shard_list;

/*
 * Open the first of files, a list that ends with NULL and stays the caller's;
 * an empty one is the standard input.  Each input that has been read is added
 * to provenance, unless that is NULL.
 */
struct shard_list *shard_list_open(char *const *files, json_t *provenance, struct err *err);

/* Of the first file; totals are of all that has been read to its end. */
const struct shard_info *shard_list_info(const struct shard_list *l);
int shard_list_next(struct shard_list *l, struct shard_item *item, struct err *err);

/* Bytes of the file being read, and its size or -1; for progress. */
int64_t shard_list_pos(const struct shard_list *l);
int64_t shard_list_size(const struct shard_list *l);
void shard_list_close(struct shard_list *l);

/* What is known of a file when it has been read. */
struct shard_summary {
	struct shard_info info;
	uint64_t	 hash;
	struct buf	 provenance;	/* freed by shard_summary_free() */
};

/*
 * From the headers of a plain file, else by reading it all.  "-" is the standard
 * input.  The struct is zeroed before its first use and may be used again.
 */
int shard_summarize(const char *path, struct shard_summary *s, struct err *err);
void shard_summary_free(struct shard_summary *s);

/*
 * The tokens of all files, which must be named, for they will be read again;
 * each is added to provenance, unless that is NULL.
 */
int shard_list_count(char *const *files, json_t *provenance, int64_t *tokens, struct err *err);

/* Append a description for people, or a line of JSON. */
void shard_summary_text(const char *path, const struct shard_summary *s, struct buf *b);
void shard_summary_json(const char *path, const struct shard_summary *s, struct buf *b);

/*
 * Write the ids of the next n items to path (NULL: standard output), one item a
 * line, with spaces between; segments are apart by " | ".  Those that are not
 * trained on have a minus before them.
 */
int shard_list_print(struct shard_list *l, int64_t n, const char *path, struct err *err);

/* The part of the rows that is not padding; 1 for documents. */
double shard_fill(const struct shard_info *t);

/* Copy all of l into w, which is finished, or aborted on failure. */
int shard_join(struct shard_list *l, struct shard_writer *w, const json_t *provenance,
    struct err *err);

/*
 * Copy l into files dir/00000.shard and on; dir is made.  With parts, into so many: an item
 * goes to the part in which its first token lies when all tokens, tokens of
 * them, are cut evenly.  Else a file ends when it has size tokens.  provenance
 * of each file is the same, or NULL.
 */
struct shard_split {
	const char	*dir;
	int64_t		 parts, tokens, size;
	const json_t	*provenance;
};
int shard_split(struct shard_list *l, const struct shard_split *s, struct err *err);

/* Set the provenance, unless it is NULL, and finish. */
int shard_finish_from(struct shard_writer *w, const json_t *provenance, struct err *err);

#endif
