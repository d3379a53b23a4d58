/*
 * matcher - where a text is in a grammar, and which tokens may follow
 *
 * A constraint is one grammar over one vocabulary: the states that texts have
 * led to so far, what each byte does to them, and masks.  All of it is found
 * once and kept, in at most CONSTRAINT_BYTES; when that is full, it is emptied
 * of all that no matcher stands on.  One thread at a time uses a constraint
 * and its matchers.
 *
 * A matcher is a place in a constraint: a number, so that a copy costs nothing
 * (a draft that may be taken back, a fork).  It must stay where it is in memory
 * from its start to its end.
 */
#ifndef INFER_MATCHER_H
#define INFER_MATCHER_H

#include "infer/grammar.h"
#include "infer/token_trie.h"

#define CONSTRAINT_BYTES	((ptrdiff_t)256 << 20)
#define MATCHER_DEPTH		1000	/* rules in rules; a text may not go deeper */
#define MATCHER_STACKS		1024	/* ways to read a text, at once */

struct constraint;

struct matcher {
	struct constraint *c;
	struct matcher	*prev, *next;	/* of the constraint's */
	int32_t		 set;
};

/* Grammar and trie are the caller's and stay; trie NULL: no tokens, no masks. */
struct constraint *constraint_new(const struct grammar *g, const struct token_trie *trie,
    struct err *err);
void constraint_free(struct constraint *c);
bool constraint_unused(const struct constraint *c);	/* has it no matcher? */

void matcher_start(struct matcher *m, struct constraint *c);	/* before any text */
void matcher_copy(struct matcher *m, const struct matcher *from);	/* m: not started */
void matcher_end(struct matcher *m);

/*
 * Go on by bytes, or by a token.  Return 1; or 0, and it stays where it is, when
 * no text of the grammar goes on so; or -1: ERR_LIMIT, there are too many ways
 * to read the text.  An end of text is no token of a text.
 */
int matcher_bytes(struct matcher *m, str bytes, struct err *err);
int matcher_token(struct matcher *m, int32_t id, struct err *err);

/* Is the text so far one of the grammar's?  Can any follow that is longer? */
bool matcher_done(const struct matcher *m);
bool matcher_can_go_on(const struct matcher *m);

/*
 * Set bit id & 63 of mask[id >> 6] for each token that may come next, the ends
 * of text among them when the text is done, and clear all others: n bits,
 * those past the vocabulary too.  Return whether there is any, or -1.
 */
int matcher_mask(struct matcher *m, uint64_t *mask, int64_t n, struct err *err);

#endif
