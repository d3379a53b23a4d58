/*
 * documents - what is evaluated: shards, packed or not, or records
 *
 * A file that begins as a shard does is one; the standard input ("-") is one
 * too; anything else is JSON lines, whose text is tokenized as llm-tokenize
 * does by default.
 */
#ifndef EVAL_DOCUMENTS_H
#define EVAL_DOCUMENTS_H

#include "base/hash.h"
#include "base/str.h"
#include "token/tokenizer.h"

struct documents {
	const struct tokenizer *tokenizer;	/* NULL: records are an error */
	str	field;				/* of records; p NULL: "text" */
	hash128	fingerprint;			/* of the tokenizer shards must have; 0: any */
	/* One document, or one segment of a packed row. */
	int	(*each)(void *ctx, const uint32_t *token, int64_t n, int64_t source_bytes,
		    struct err *err);
	void	*ctx;
};

/*
 * The ids of a text with what begins and ends it, as each() gets them; token has room
 * for two more than ids.  Return how many they are.
 */
int64_t documents_tokens(const struct tokenizer *t, const struct ids *ids, uint32_t *token);

/* Call each() for all documents of a file.  Messages name the file. */
int documents_each(const struct documents *d, const char *path, struct err *err);

#endif
