/*
 * talk - a conversation with a model, line by line
 *
 * A line of the standard input is a message, and its answer is written as it
 * comes.  What the model has read stays in the cache.  An interrupt ends the
 * answer, and not the conversation; the end of the input does.
 */
#ifndef TOOL_TALK_H
#define TOOL_TALK_H

#include <jansson.h>

#include "base/stream.h"
#include "infer/scheduler.h"
#include "token/template.h"

struct talk {
	const struct template *template;
	const struct tokenizer *tok;
	struct engine	*engine;
	struct scheduler *scheduler;
	struct request	 request;	/* as the options have it */
	struct seq	*seq;		/* of the conversation */
	json_t		*messages;	/* so far; a system message may be first */
	struct out	*out;
	bool		 verbose;
};

/* Answer what the lines say, or only message when it is not NULL.  0 or -1. */
int talk_run(struct talk *t, const char *message, struct err *err);

#endif
