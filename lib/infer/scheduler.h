/*
 * scheduler - many texts at once over one engine
 *
 * Each step computes one token of every text that is being written, and pieces
 * of the prompts of those that joined since, in the engine's passes; a text
 * that ends makes room for another.  What runs beside a text, and when it
 * joined, never changes it.  With engine_options.keep a text goes on from what
 * others computed of its beginning, those that are beside it too.
 *
 * A text that fails ends alone.  One thread at a time uses a scheduler; but what
 * dropped points to is anyone's to set.
 */
#ifndef INFER_SCHEDULER_H
#define INFER_SCHEDULER_H

#include <stdatomic.h>

#include "infer/engine.h"
#include "infer/sampler.h"
#include "model/adapters.h"
#include "token/tokenizer.h"

/* WHOLE: by its grammar nothing more can follow. */
enum text_end {
	TEXT_COUNT, TEXT_EOS, TEXT_STOP, TEXT_WHOLE, TEXT_CONTEXT, TEXT_BROKEN_OFF, TEXT_FAILED
};

/* "count", "eos", "stop", "whole", "context", "broken off", "failed". */
const char *text_end_name(enum text_end end);

struct text_report {
	enum text_end end;
	const struct err *failed;	/* why: its grammar, or a full cache; NULL: none */
	int64_t	taken_off;		/* how often */
	int64_t	prompt, cached;		/* its tokens; those that had been computed */
	int64_t	tokens;			/* that were drawn, an end of text too */
	int64_t	guessed, right;		/* tokens, and those of them that were drawn */
	double	logp;			/* their mean log-probability, nats */
	double	waited;			/* seconds in the line before it began */
	double	prompt_seconds, seconds;
};

/* A token that was drawn. */
struct text_token {
	int32_t	id;
	int64_t	text;			/* bytes before it; some may be held back */
	double	logp;
	const struct token_logp *top;	/* the likeliest, best first; NULL: not wanted */
	int64_t	n_top;
};

enum { TEXT_TOP = 100 };		/* alternatives told of a token, at most */

/*
 * Who is to begin, to be computed and to keep its place before others.  Classes share
 * what is computed, seven parts to one while both have texts, and what one does not
 * use is the other's: the one that had less of its part comes first.  In a class it is
 * the higher priority; then who has the least time left, until its deadline less what
 * its prompt will take by the speed so far, or until 10 s after it came when it has
 * none; then who came first.
 *
 * While interactive texts come, prompts of batches do not make a step longer than 50 ms,
 * as far as they are not below a block; and batches rest while an interactive prompt
 * that comes before them is computed.
 *
 * A text begins when it and all with a place can have 64 tokens more in the cache, or
 * as many as they may, or when it is alone.  Where the cache is full all the same, the
 * last one is taken off, and waits again; so is, for one that waits, one of CLASS_BATCH
 * for CLASS_INTERACTIVE and one of a lower priority of its class, but not before it
 * wrote 16 tokens since it was the last time.  So 64 tokens are written before the
 * cache is full again, and 16 before a place changes back: whoever is taken off, all
 * end.  One that is taken off goes on as if it had not been, bit for bit.
 */
enum text_class { CLASS_INTERACTIVE, CLASS_BATCH };
enum { TEXT_CLASSES = 2 };

/* What is borrowed is good until done() was called. */
struct request {
	const int32_t	*prompt;
	int64_t		 n;		/* at least one token */
	struct sampler	 sampler;
	int64_t		 max_tokens;	/* at least one; the context may end it before */
	bool		 ignore_eos;	/* go on after an end of text */
	bool		 special;	/* special tokens are text too */
	const str	*stop;		/* texts that end it, not part of it; none is empty */
	int64_t		 n_stop;
	struct constraint *constraint;	/* what it may be (matcher.h), then eos ends it; or NULL */
	struct grammars	*grammars;	/* that it may ask for; or NULL */
	struct constraint *held;	/* of those, by request_read(); or NULL */
	const struct adapters *adapters;	/* that it may name; or NULL */
	int		 adapter;	/* seq_adapt() */
	uint64_t	 salt;		/* seq_salt(): another finds nothing of it */
	uint64_t	 stream;	/* of random numbers: one a text */
	int64_t		 top;		/* likeliest tokens that token() is told; -1: none */
	enum text_class	 class;
	int		 priority;
	double		 deadline;	/* of its first token, by progress_now(); 0: none */
	/* Looked at before each step: true, and it is broken off at once.  NULL: never. */
	const atomic_bool *dropped;
	/* To write it in: what it has of the prompt is not computed again, and it is never
	   taken off.  NULL: a new one. */
	struct seq	*seq;
	/* Text as it comes, whole characters; 0 or -1. */
	int		(*write)(void *ctx, str text, struct err *err);
	/* Before the text of each token; 1 breaks off, 0 or -1.  NULL: none. */
	int		(*token)(void *ctx, const struct text_token *t, struct err *err);
	/* The text is over; 0 or -1.  NULL: none, and -1 when it failed. */
	int		(*done)(void *ctx, const struct text_report *r, struct err *err);
	void		*ctx;
};

struct scheduler;

/* Texts at once, pass and cache are the engine's. */
struct scheduler *scheduler_new(struct engine *e, const struct tokenizer *tok, struct err *err);
void scheduler_free(struct scheduler *s);	/* texts that are not whole are dropped */

/*
 * Guess what texts go on with (draft.h); borrowed.  The engine's rows are at least
 * DRAFT_MAX more than its sequences; draft_rows() are enough.
 */
struct draft;
void scheduler_guess(struct scheduler *s, struct draft *d);

/* Begin a text.  1; 0 when it has to wait for others to end, or to begin; -1. */
int scheduler_add(struct scheduler *s, const struct request *r, struct err *err);

/*
 * Put a text in the line, from which scheduler_step() begins those that there is
 * room for.  0; or -1, and done() is not called: ERR_LIMIT when its prompt is
 * beyond the context.
 */
int scheduler_submit(struct scheduler *s, const struct request *r, struct err *err);

/* How many have begun and are not whole yet; how many have not begun. */
int scheduler_running(const struct scheduler *s);
int scheduler_waiting(const struct scheduler *s);

/*
 * Go on with all, or until all are whole.  0; or -1 when the device fails, or a
 * function of a request: then only scheduler_stop() and scheduler_free() are left.
 */
int scheduler_step(struct scheduler *s, struct err *err);
int scheduler_finish(struct scheduler *s, struct err *err);

/*
 * Break all off where they are: done() is called of each, also after a failure.  0, or
 * -1 with the first failure of what they call.
 */
int scheduler_stop(struct scheduler *s, struct err *err);

#endif
