/*
 * calls_ask - what a client says of tools, and its messages as templates want them
 *
 * Messages are OpenAI's: content may be parts or null, arguments are JSON in a
 * string.  Templates know texts and objects.
 */
#ifndef SERVE_CALLS_ASK_H
#define SERVE_CALLS_ASK_H

#include "serve/calls.h"

struct calls_asked {
	json_t *tools; /* that may be called, the struct's; NULL: none */
	bool required; /* one has to be */
	bool single; /* and one at most */
	bool strict; /* some tool's arguments have to be its schema's, always */
};

/*
 * From the raw values of "tools", "tool_choice" and "parallel_tool_calls", p NULL where
 * there is none.  A choice of one tool leaves the others out.
 */
int calls_ask(struct calls_asked *a, str tools, str choice, str parallel, struct err *err);
void calls_asked_free(struct calls_asked *a);

/*
 * Change messages so: developers are the system, contents are texts, arguments are
 * objects, results have the name of their tool, and identifiers are what the form's
 * templates take.  An error names the message.
 */
int calls_messages(json_t *messages, enum calls_format f, struct err *err);

/*
 * For a template that knows nothing of tools: say in the system's message which there
 * are and how they are called (CALLS_JSON), unless tools is NULL, and turn calls and
 * results into texts.
 */
int calls_describe(json_t *messages, const json_t *tools, struct err *err);

/* Nine letters and digits, as all templates take them: of a call of an answer. */
enum { CALLS_ID = 10 };
void calls_id(str answer, int choice, int index, char id[CALLS_ID]);

#endif
