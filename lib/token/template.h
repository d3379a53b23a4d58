/*
 * template - chat templates: from messages to the text that a model knows
 *
 * The part of Jinja that templates of models use, with what transformers adds
 * and sets: trim_blocks, lstrip_blocks, break and continue, tojson without
 * escapes, raise_exception(), strftime_now(), {% generation %}.  Its output is
 * Jinja2's.  A template comes with a model and is not trusted: it sees nothing
 * but its variables, changes no value, and ends within the steps, memory, depth
 * and text below, or in an error that names the line.
 *
 * Not there: recursive loops, includes and inheritance, * and ** arguments, and
 * filters for web pages; each is an error that names it.  Whole numbers have 64
 * bits.  Of text marked as safe there is what + makes of it, and no methods.
 */
#ifndef TOKEN_TEMPLATE_H
#define TOKEN_TEMPLATE_H

#include <jansson.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/*
 * Limits of a rendering.  Those of steps, memory and text grow with what it is given,
 * by 64, 32 and 16 for each byte of that.
 */
#define TEMPLATE_SOURCE_MAX	((ptrdiff_t)128 << 10)	/* bytes */
#define TEMPLATE_STEPS		1000000			/* parts evaluated, or 16 bytes of text */
#define TEMPLATE_MEMORY		((ptrdiff_t)12 << 20)	/* of all values */
#define TEMPLATE_TEXT		((ptrdiff_t)4 << 20)
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

/* Bytes [start, end) of the text, in order. */
struct template_spans {
	struct template_span {
		ptrdiff_t	start, end;
		int		who;	/* of said: template_who() of a message, or the like */
	}		*at;
	ptrdiff_t	 n, cap;
};

/* A message is told from those near it, not from all. */
#define TEMPLATE_OTHER	255		/* tools, documents and what else is given */
static inline int
template_who(int64_t message)
{
	return (int)(1 + message % 254);
}

/*
 * What is where in the text, counted from what out had before.  What was said came
 * with the input, not from the template: each byte is followed from one to the other,
 * through whatever the template does to it.  A role that is a plain word is the
 * template's.
 */
struct template_marks {
	struct template_spans	answers;	/* of the assistant */
	struct template_spans	said;
};
void template_marks_free(struct template_marks *m);

/*
 * Append the text to out.  marks, unless NULL, gets what was said, and as answers what
 * {% generation %} holds.  Return 0, or -1 and out is as before.
 */
int template_render(const struct template *t, const struct template_input *in, struct buf *out,
    struct template_marks *marks, struct err *err);

/* Does it mark what the assistant says? */
bool template_marks(const struct template *t);

/* Its source, as long as it is. */
str template_source(const struct template *t);

/* A hash of its source. */
uint64_t template_fingerprint(const struct template *t);

/*
 * As template_render(), for templates that do not mark answers too: what each message
 * of the assistant adds to the prompt for it, without white space at its end.  It is
 * found by rendering the messages up to it, with the prompt and with the answer: two
 * renderings for each.  last: only of the last message of the assistant.
 */
int template_render_answers(const struct template *t, const struct template_input *in,
    struct buf *out, struct template_marks *marks, bool last, struct err *err);

#endif
