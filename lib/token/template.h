/*
 * template - chat templates: from messages to the text that a model knows
 *
 * The part of Jinja that templates of models use, with what transformers adds
 * and sets: trim_blocks, lstrip_blocks, break and continue, tojson without
 * escapes, raise_exception(), strftime_now(), {% generation %}.  Its output is
 * Jinja2's.  A template comes with a model and is not trusted: it sees nothing
 * but its variables, changes no value, and ends within TEMPLATE_STEPS steps and
 * the memory, depth and output below, or in an error that names the line.
 *
 * Not there: recursive loops, includes and inheritance, * and ** arguments, and
 * filters for web pages; each is an error that names it.  Whole numbers have 64
 * bits.  Text marked as safe is text.
 */
#ifndef TOKEN_TEMPLATE_H
#define TOKEN_TEMPLATE_H

#include <jansson.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define TEMPLATE_SOURCE_MAX	((ptrdiff_t)1 << 20)	/* bytes */
#define TEMPLATE_STEPS		10000000		/* parts evaluated, or 16 bytes of text */
#define TEMPLATE_MEMORY		((ptrdiff_t)256 << 20)	/* of all values of a rendering */
#define TEMPLATE_OUTPUT		((ptrdiff_t)64 << 20)
#define TEMPLATE_DEPTH		400			/* of expressions, blocks and calls */

/* Immutable; any number of threads may render it. */
struct template;

/* source is needed no longer. */
struct template *template_parse(str source, struct err *err);
void template_free(struct template *t);

struct template_input {
	const json_t	*messages;	/* array of objects with role and content */
	const json_t	*tools, *documents;	/* NULL: none */
	const json_t	*more;		/* object: more variables, which go first; or NULL */
	str		 bos, eos;	/* text of these tokens; p == NULL: not defined */
	bool		 prompt;	/* add_generation_prompt */
	const struct tm	*now;		/* for strftime_now(); NULL: there is no time */
};

/* What the assistant said: bytes [start, end) of the text. */
struct template_spans {
	struct template_span {
		ptrdiff_t	start, end;
	}		*at;
	ptrdiff_t	 n, cap;
};
void template_spans_free(struct template_spans *s);

/*
 * Append the text to out.  spans, unless NULL, gets those of {% generation %}.
 * Return 0, or -1 and out is as before.
 */
int template_render(const struct template *t, const struct template_input *in, struct buf *out,
    struct template_spans *spans, struct err *err);

/* Does it mark what the assistant says? */
bool template_marks(const struct template *t);

/*
 * As template_render(), for templates that do not mark it too: what a rendering
 * up to a message of the assistant adds to one up to the message before it, and
 * the prompt for it, without white space at its end.  ERR_FORMAT when later
 * messages change the text of earlier ones.  One rendering for two messages.
 */
int template_render_spans(const struct template *t, const struct template_input *in,
    struct buf *out, struct template_spans *spans, struct err *err);

#endif
