/*
 * draft_impl - what guesses, and what was learnt of it: private to lib/infer
 */
#ifndef INFER_DRAFT_IMPL_H
#define INFER_DRAFT_IMPL_H

#include "infer/draft.h"
#include "infer/rowtime.h"

struct draft {
	int64_t		 most;
	bool		 always;
	/* who guesses; no engine: lookup */
	struct engine	*e;
	bool		 early;
	struct model	 m;		/* of its own */
	struct sampler_space *space;
	uint64_t	*allowed;	/* a bit a token */
	struct guess	**at;		/* texts of a round of guesses, and their sequences */
	struct seq	**seq;
	/* what was learnt */
	double		 part[DRAFT_KINDS];	/* of guesses that are right */
	struct rowtime	 pass, own;	/* of the texts, and of who guesses */
	double		 follow;	/* seconds to read a text that it had not read */
	bool		 followed;
	double		 hand;		/* seconds that tries may take */
	int64_t		 without, with;	/* steps since there were guesses, since there were none */
	/* this step */
	struct guess	*const *g;
	int		 n;
	bool		 beside;	/* a prompt */
	double		 row;		/* what a row costs there */
	double		 seconds;	/* that guessing took */
	struct draft_report report;
};

/* draft_make.c: what a text may go on with, before it is known how many are wanted. */
void draft_look(struct draft *d, struct guess *g);
/* Seconds to guess one more for a text, when so many others have one more too. */
double draft_price(const struct draft *d, const struct guess *g, int64_t others);
/* Guess what is asked.  0 or -1. */
int draft_make(struct draft *d, struct err *err);

#endif
