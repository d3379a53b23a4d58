/*
 * prompts - records with a prompt each, answered by a model
 *
 * The stream of records (tool/filter.h) with its options and exits; their keys
 * may change the request that the options make (infer/request.h).  Where there
 * is a key messages, an array of them, it is the prompt, by the model's template.
 */
#ifndef TOOL_PROMPTS_H
#define TOOL_PROMPTS_H

#include "infer/answer.h"
#include "token/template.h"
#include "tool/filter.h"

struct prompts {
	struct filter_opts io;
	const struct tokenizer *tok;
	struct scheduler *scheduler;
	const struct request *request;	/* as the options have it */
	const struct template *template;	/* for messages; NULL: the model has none */
	const char	*system;	/* what goes before a text that is a message, or NULL */
	bool		 chat;		/* texts are messages */
	int64_t		 context;	/* of the engine: longer prompts are bad records */
	int64_t		 texts;		/* for each prompt */
	/* its own */
	struct answers	*answers;
	struct out	*out;
};

/* The exit status. */
int prompts_main(const struct tool *tool, struct prompts *p, char **files);

/* The same for a prompt that is no record: an object of it for each text. */
int prompts_one(struct prompts *p, str prompt, struct err *err);

#endif
