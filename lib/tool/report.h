/*
 * report - what quantizing did to each tensor, and what each part of a model costs by it
 *
 * A table, columns separated by tabs.  With a text the model as it was and as it
 * is now are compared on the first REPORT_TOKENS of it, part by part
 * (eval/parts.h): that takes a pass for each, whatever the size of the text.
 */
#ifndef TOOL_REPORT_H
#define TOOL_REPORT_H

#include "base/buf.h"
#include "base/progress.h"
#include "base/stream.h"
#include "eval/parts.h"
#include "model/quantize.h"
#include "tool/tool.h"

#define REPORT_TOKENS 1024

struct report {
	const char	*path, *valid;	/* the table; the text, or NULL */
	const char	*device, *field;
	int64_t		 context;
	bool		 quiet, verbose;
	struct team	*team;
	/* from report_begin() on: */
	struct out	*out;
	struct dev	*dev;
	struct model	 original;
	struct buf	 token;		/* of the text, uint32_t: a count, then so many, ... */
	int64_t		 tokens;
	struct progress	 progress;
};

/*
 * Open the table, and load what is needed to compare with the model at path.
 * A failure ends the tool.
 */
void report_begin(struct report *r, const char *path);

/* Write the table of q, whose model is at path now.  A failure ends the tool. */
void report_write(struct report *r, const struct quantize *q, const char *path);
void report_free(struct report *r);

#endif
