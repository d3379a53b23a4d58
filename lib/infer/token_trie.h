/*
 * token_trie - the tokens of a vocabulary by their bytes
 *
 * All tokens that are text, as a tree in one array: a node, then the nodes
 * below it, in the order of bytes.  Walking it judges every token of a
 * vocabulary while each common beginning is judged once.  Special tokens are
 * no text, and are there by their ids alone.  Immutable; threads may share it.
 */
#ifndef INFER_TOKEN_TRIE_H
#define INFER_TOKEN_TRIE_H

#include "token/tokenizer.h"

struct token_node {
	int32_t		next;		/* the node after those below this one */
	int32_t		tokens;		/* id[] of those that end here, to the next node's */
	uint16_t	depth;		/* bytes from the top; 1 for a first byte */
	uint8_t		byte;
};

struct token_trie {
	struct token_node *node;	/* one more at the end */
	int32_t		 n;
	int32_t		*id;
	int32_t		 vocab;
	int32_t		 longest;	/* bytes of a token */
	int32_t		 eos[16];	/* ends of text, which a whole text may have next */
	int32_t		 n_eos;
	const struct tokenizer *tok;	/* the caller's, and stays */
};

struct token_trie *token_trie_new(const struct tokenizer *tok, const int32_t *eos, int32_t n_eos,
    struct err *err);
void token_trie_free(struct token_trie *t);

/* The bytes of a token that is text; n is 0 for others. */
str token_trie_text(const struct token_trie *t, int32_t id);

#endif
