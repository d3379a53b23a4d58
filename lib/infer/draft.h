/*
 * draft - guesses of the next tokens, which one pass of the model then judges
 *
 * Guesses come from the text itself (what followed the same tokens before), from
 * a smaller model, or from the first layers of the model.  A text does not
 * depend on them: each token is drawn from the model's own logits, as it would
 * be without, and guesses are kept as far as they are what is drawn.
 *
 * All texts of a step have theirs judged in its one pass.  How many are made, and for
 * whom, follows from what was right, of each text and of guesses of its kind, and from
 * what passes of so many rows take by the clock: as long as texts go on faster for it,
 * those counted that have none and wait for the others'.  A guess that is not made costs
 * nothing, and of those by lookup it is seen all the same whether they were right.  For
 * the rest there is a try now and then.  What tries may lose is bounded to a small part
 * of the time.
 */
#ifndef INFER_DRAFT_H
#define INFER_DRAFT_H

#include "infer/matcher.h"
#include "infer/scheduler.h"

enum {
	DRAFT_MAX = 16,		/* guesses at once, of a text */
	DRAFT_ROWS = 64,	/* and of all */
	DRAFT_KINDS = 4		/* of guesses, by how good they should be */
};

struct draft;

/* Can texts of a model have guesses, and can it make some?  0, or -1 with the reason. */
int draft_check(const struct config *c, struct err *err);

/* At most most guesses of a text at once, 1 to DRAFT_MAX. */
struct draft *draft_lookup(int64_t most, struct err *err);
/* By the engine of the texts, which has early layers. */
struct draft *draft_early(struct engine *e, int64_t most, struct err *err);
/*
 * By a model in a file, with the tokens of tok, for so many texts at once and so many
 * tokens of all; 0: one text, which goes on with a window beyond the model's context.
 */
struct draft *draft_model(const char *path, struct dev *dev, const struct tokenizer *tok,
    int64_t seqs, int64_t cache, int64_t most, struct err *err);
/* Bytes that it would take; -1: it cannot be. */
int draft_model_size(const char *path, const struct tokenizer *tok, int64_t seqs, int64_t cache,
    int64_t *weights, int64_t *engine, struct err *err);
void draft_free(struct draft *d);	/* after the texts */

/* Rows that an engine of so many texts is to have for them. */
int64_t draft_rows(int64_t seqs);

/* Guess as much as is possible, whether it pays or not: to test, and to measure what is right. */
void draft_always(struct draft *d);

/* What a text has of guesses: zeros at first. */
struct guess {
	/* the caller's, at each draft_guess() */
	struct seq	*seq;		/* all tokens of the text so far */
	const struct request *r;
	const struct matcher *matcher;	/* where it is in its grammar; c NULL: it has none */
	int64_t		 room;		/* how many more tokens it may have; 0: it has no guesses */
	/* of this step */
	int32_t		 token[DRAFT_MAX];
	int64_t		 n, right;	/* to be judged; those that were right, also of others */
	/* draft's */
	int64_t		 made;		/* tokens there are */
	int64_t		 asked, able;	/* how many there should be, and could be */
	int64_t		 drawn;		/* tokens of the text, in this step */
	int		 kind;
	double		 part[DRAFT_KINDS];	/* of its guesses that are right */
	double		 tokens, next;	/* that are expected; by one more guess */
	bool		 known;		/* it has been asked for */
	struct seq	*own;		/* of the smaller model; or NULL */
	bool		 left_out;	/* there is no room for that */
	struct matcher	 at;		/* behind guesses */
};

void guess_free(struct guess *g);	/* its text is over */

/* What else there is in a step. */
struct draft_step {
	int64_t	rows;		/* guesses that it has room for */
	int64_t	prompt;		/* tokens of prompts that are computed in its pass */
	double	token_seconds;	/* that each of those takes; 0: not known */
};

/* Guess how n texts go on that have a row each in this step.  0 or -1; borrowed until judged. */
int draft_guess(struct draft *d, struct guess *const *g, int n, const struct draft_step *step,
    struct err *err);

/* The next token of a text was drawn.  Was it guessed, and are there logits behind it? */
bool draft_drawn(struct guess *g, int32_t id);

/* The pass of the last guesses took so long, and all its tokens are drawn. */
void draft_judged(struct draft *d, double seconds);

struct draft_report {
	int64_t	steps, guesses, right;	/* passes; tokens guessed, and rightly */
};
const struct draft_report *draft_report(const struct draft *d);

#endif
