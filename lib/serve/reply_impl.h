/*
 * reply_impl - the answer to one call, from the generations that it asked for: private
 * to lib/serve
 *
 * Each choice is a generation.  The answer is whole when all are over, or streamed
 * as server-sent events: chunks of what came since, then usage where it was asked
 * for, then [DONE].  Characters are never cut.
 */
#ifndef SERVE_REPLY_IMPL_H
#define SERVE_REPLY_IMPL_H

#include "serve/api_impl.h"
#include "serve/check.h"
#include "serve/calls.h"

struct choice {
	struct generation *g;
	struct generation_watch watch;
	int64_t		text, token;	/* told so far: bytes, tokens with log-probabilities */
	bool		begun, over;	/* its first and its last chunk went out */
	struct flight	*flight;	/* its part in g; or NULL */
	struct check	*check;		/* by the guard, or NULL */
	int64_t		checked;	/* bytes of the generation's text that it has */
	/* Of a chat: what its text says, and that as members of a message or a delta. */
	struct calls	calls;
	struct buf	said;
};

struct reply {
	struct api	*api;
	struct http_call *call;
	struct served	*model;
	struct buf	 name;		/* of the model, as it was asked for */
	bool		 chat, stream, usage, logprobs;
	char		 id[48];
	int64_t		 created;
	int		 n, per_prompt;	/* choices; of each prompt */
	int		 kept;		/* of them, those that were computed before */
	struct choice	*choice;
	struct buf	*echo;		/* of each prompt, its text, which goes first; or NULL */
	struct buf	 out;		/* of a stream, not yet read */
	ptrdiff_t	 sent;
	bool		 done;
	struct key	*key;		/* that it was admitted by, or NULL */
	int64_t		 most;		/* tokens that were asked for */
	double		 spoke;		/* a stream, last */
	double		 start;
	struct buf	 verdict;	/* the guard's, of the request */
	struct buf	*prompt;	/* each, to be written down with its answers; or NULL */
	json_t		*tools;		/* that may be called, or NULL */
	bool		 single;	/* one call at most */
	bool		 thinking;	/* its text begins with thoughts */
};

struct reply *reply_new(struct api *a, struct http_call *c, int n, struct err *err);

/* From here on it lives as long as its call, which waits for it. */
void reply_wait(struct reply *r);

/* One that waits for nothing, and is written down; NULL: nothing. */
void reply_drop(struct reply *r);

/* What may be told of a choice so far; its generation's lock is held. */
str reply_text(const struct choice *x);

/* Why a choice ended, as OpenAI has it. */
const char *reply_finish(const struct choice *x);

/* record.c: what is known of any call; a line for each choice of one. */
void record_entry(struct audit_entry *e, const struct http_call *c);
void record_reply(const struct reply *r);

/* A chunk: the text, or of a chat what its delta has; the reason of its end, or NULL. */
void reply_chunk(struct reply *r, int i, str said, int64_t tokens, const char *reason);

/*
 * reply_said.c, of a chat and under the generation's lock: choice.said is what all of
 * the text says; or chunks of what more of it says.
 */
void said_whole(const struct reply *r, int i);
void said_more(struct reply *r, int i, str text, bool last);

#endif
