/*
 * extract_impl - what the files extract*.c share
 */
#ifndef TEXT_EXTRACT_IMPL_H
#define TEXT_EXTRACT_IMPL_H

#include "base/arena.h"
#include "base/buf.h"
#include "text/files.h"
#include "text/html.h"
#include "text/http.h"
#include "text/kind.h"

#define HTML_MEMORY	((ptrdiff_t)2 << 30)	/* of one page's tree, at most */

/* What is no record, and why. */
enum outcome {
	OUTCOME_NONE,
	OUTCOME_EMPTY,
	OUTCOME_BINARY,
	OUTCOME_STATUS,		/* a server said something else than success */
	OUTCOME_TYPE,		/* a response that holds no page */
	OUTCOME_PDF,		/* and there is no pdftotext */
	OUTCOME_FAILED
};

/* A document, or a piece of JSON lines, on its way. */
struct item {
	struct buf	bytes, label, name;	/* label: "source" of the record */
	enum kind	kind;
	enum outcome	outcome;
	/* Of a web archive: */
	bool		web, http, conversion;
	struct buf	id, url, date, type;
	int64_t		line;			/* JSON lines before this piece */
	struct buf	record;			/* what it became */
	int64_t		records, text_bytes;
	struct buf	bad;			/* failures as JSON lines */
	struct buf	say;			/* as messages, each with a NUL */
	int64_t		nbad;
	struct err	err;			/* the first */
};

/* A thread's own. */
struct member {
	bool		ready;
	struct arena	arena;
	struct buf	utf8, text, scratch, chunks, inflated;
	struct guard	guard;
	struct html_about about;
};

/* Note a failure; line 0: of the whole file. */
void item_fail(struct item *it, int64_t line, const struct err *why);

/*
 * What a record of a web archive holds, and its kind.  Return 1, 0 with the
 * outcome set when it is nothing to read, -1.
 */
int web_payload(struct item *it, struct member *m, int64_t limit, str *body, str *charset,
    struct err *err);

/* JSON lines: each with its text under "text", an id and a source. */
void lines_convert(struct item *it, struct member *m, str field, int64_t min_bytes,
    bool keep_going);

#endif
