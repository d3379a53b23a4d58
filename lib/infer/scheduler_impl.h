/*
 * scheduler_impl - texts, where they are, and their line: private to lib/infer
 */
#ifndef INFER_SCHEDULER_IMPL_H
#define INFER_SCHEDULER_IMPL_H

#include "infer/emit.h"
#include "infer/matcher.h"
#include "infer/scheduler.h"

struct text {
	struct text	*next;		/* in the line */
	struct request	 r;
	struct seq	*seq;		/* NULL: it has not begun */
	int64_t		 given;		/* tokens of the prompt that seq has */
	int64_t		 promised;	/* tokens of the cache */
	struct emit	 emit;
	struct matcher	 matcher;	/* of r.constraint */
	struct text_report report;
	double		 start;		/* when it came into the line, then when it began */
	bool		 over;
};

/* Those that wait, in the order in which they begin. */
struct line {
	struct text	*first;
	int		 n;
};

struct scheduler {
	struct engine	*e;
	const struct tokenizer *tok;
	struct engine_options o;
	struct sampler_space *space;
	struct text	**text;		/* that are being written */
	int		 n;
	struct line	 line;
	struct seq	**seq;		/* of one step */
	int64_t		 room;		/* tokens of the cache, not promised */
	uint64_t	*allowed;	/* a bit a token */
	struct token_logp top[TEXT_TOP];
	struct draft	*draft;		/* NULL: none */
	const int32_t	*guess;		/* of this step, for its only text */
	int64_t		 n_guess;
	bool		 guessing;	/* may it have guesses? */
	struct err	 why;		/* a text failed */
};

/* A text of a request, nowhere yet; NULL: a failure. */
struct text *text_new(struct scheduler *s, const struct request *r, struct err *err);
/* What it has of engine and cache goes back; done() is not called. */
void text_free(struct scheduler *s, struct text *t);

/* It is over, and how: its report is told.  0 or -1. */
int text_finish(struct text *t, struct err *err);
/* The same, of one that is broken off, or that failed: nothing more of it is written. */
int text_end(struct text *t, enum text_end end, const struct err *why, struct err *err);

/* Take a place.  1; 0: there is none; -1: it failed alone. */
int text_begin(struct scheduler *s, struct text *t, struct err *err);

/* Begin those that there is room for; end those that were dropped; end all. */
int line_begin(struct scheduler *s, struct err *err);
int line_drop(struct scheduler *s, struct err *err);
int line_stop(struct scheduler *s, struct err *err);
void line_free(struct scheduler *s);

#endif
