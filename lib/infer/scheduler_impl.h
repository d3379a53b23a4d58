/*
 * scheduler_impl - texts, where they are, and their line: private to lib/infer
 *
 * A text waits in the line, or has a place among those that are being written.
 * One that is taken off its place waits again with the tokens that it has: they are
 * computed again, or found, and it goes on as if nothing had been.
 */
#ifndef INFER_SCHEDULER_IMPL_H
#define INFER_SCHEDULER_IMPL_H

#include "infer/draft.h"
#include "infer/emit.h"
#include "infer/matcher.h"
#include "infer/rowtime.h"
#include "infer/scheduler.h"

struct text {
	struct text	*next;		/* in the line */
	struct request	 r;
	int64_t		 number;	/* in the order they came */
	double		 came, began;	/* when; 0: it has not begun */
	struct seq	*seq;		/* NULL: it waits */
	/* what seq is given before it goes on: the prompt, or all when it was taken off */
	const int32_t	*token;
	int64_t		 n, given;
	int32_t		*own;		/* that, of the latter; or NULL */
	int64_t		 safe;		/* with fewer tokens it gives its place to nobody */
	struct emit	 emit;
	struct matcher	 matcher;	/* of r.constraint */
	struct guess	 guess;
	struct text_report report;
	bool		 rests;		/* nothing of it is computed in this step */
	bool		 over;
};

/* Those that wait, in the order they came. */
struct line {
	struct text	*first;
	int		 n;
};

struct scheduler {
	struct engine	*e;
	const struct tokenizer *tok;
	struct engine_options o;
	struct sampler_space *space;
	struct text	**text;		/* that have a place */
	int		 n;
	struct line	 line;
	int64_t		 came;		/* texts so far */
	double		 spent[TEXT_CLASSES];	/* tokens computed for each by its share */
	double		 interactive;	/* when one had some of a step; 0: never */
	int64_t		 given, rows;	/* tokens of prompts in this step, and all but guesses */
	bool		 awaited;	/* a piece of an interactive prompt is in it */
	struct rowtime	 rowtime;
	double		 token_seconds;	/* that a token of a prompt takes; 0: not known yet */
	struct seq	**seq;		/* of one step */
	uint64_t	*allowed;	/* a bit a token */
	struct token_logp top[TEXT_TOP];
	struct draft	*draft;		/* NULL: none */
	struct guess	**guess;	/* of texts that may have some in this step */
	int		 n_guess;
	int64_t		 guessed;	/* rows of this step that are guesses */
	struct err	 why;		/* a text failed */
};

/* text.c: a text of a request, nowhere yet; NULL: a failure. */
struct text *text_new(struct scheduler *s, const struct request *r, struct err *err);
void text_free(struct text *t);		/* its cache goes back; done() is not called */

/* It is over, and how: its report is told.  0 or -1. */
int text_finish(struct text *t, struct err *err);
/* The same, of one that is broken off, or that failed: nothing more of it is written. */
int text_end(struct text *t, enum text_end end, const struct err *why, struct err *err);
bool text_is_dropped(const struct text *t);

/* place.c: is a before b, to begin, to be computed, and to stay? */
bool text_before(const struct scheduler *s, const struct text *a, const struct text *b);
/* Have a place.  1; 0: there is none; -1: a failure of this text. */
int text_begin(struct scheduler *s, struct text *t, struct err *err);
/* Wait again.  0; -1: it cannot, a failure of this text. */
int text_take_off(struct scheduler *s, struct text *t, struct err *err);
/* The one with a place that a waiting one is to have; NULL: none. */
struct text *text_in_the_way(const struct scheduler *s, const struct text *t);
/* The one that has to go when the cache is full; NULL: none can. */
struct text *text_least(const struct scheduler *s);
/* A text comes: a class that had none begins where the other one is, what it left is gone. */
void class_join(struct scheduler *s, enum text_class class);
/* So many tokens of a class are computed. */
void class_spend(struct scheduler *s, enum text_class class, int64_t tokens);

/*
 * guesses.c: give texts guesses, after all else that a step computes, 0 or -1; take them
 * back, false: there are none, and their texts may go.  The pass took so long, and all is drawn.
 */
int guesses_give(struct scheduler *s, struct err *err);
bool guesses_take_back(struct scheduler *s);
void guesses_judged(struct scheduler *s, double seconds);

/* line.c: put one in; begin those that there is room for; end those that were dropped; end all. */
void line_put(struct scheduler *s, struct text *t);
int line_begin(struct scheduler *s, struct err *err);
int line_drop(struct scheduler *s, struct err *err);
int line_stop(struct scheduler *s, struct err *err);
void line_free(struct scheduler *s);

#endif
