/*
 * extract_impl - what extract.c and extract_lines.c share
 */
#ifndef TEXT_EXTRACT_IMPL_H
#define TEXT_EXTRACT_IMPL_H

#include "base/arena.h"
#include "base/buf.h"
#include "text/html.h"
#include "text/kind.h"

#define HTML_MEMORY	((ptrdiff_t)2 << 30)	/* of one page's tree, at most */

enum outcome { OUTCOME_NONE, OUTCOME_EMPTY, OUTCOME_BINARY, OUTCOME_FAILED };

/* A document, or a piece of JSON lines, on its way. */
struct item {
	struct buf	bytes, label, name;	/* label: "source" of the record */
	enum kind	kind;
	enum outcome	outcome;
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
	struct buf	utf8, text, scratch;
	struct html_about about;
};

/* Note a failure; line 0: of the whole file. */
void item_fail(struct item *it, int64_t line, const struct err *why);

/* JSON lines: each with its text under "text", an id and a source. */
void lines_convert(struct item *it, struct member *m, str field, int64_t min_bytes,
    bool keep_going);

#endif
