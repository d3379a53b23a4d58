/*
 * draft - options of guessing tokens ahead (infer/draft.h)
 */
#ifndef TOOL_DRAFT_H
#define TOOL_DRAFT_H

#include "infer/draft.h"
#include "tool/tool.h"

struct draft_opts {
	const char	*model;
	bool		 lookup, always;
	int64_t		 early, most;
	/* what is open */
	struct draft	*draft;
};

extern const struct opt draft_options[];

/* For the option table: DRAFT_OPTIONS(struct gen, draft). */
#define DRAFT_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = draft_options }

#define DRAFT_DEFAULTS { .most = 8 }

/* What the engine of the texts needs for it. */
void draft_prepare(const struct draft_opts *o, struct engine_options *eo);

/* Begin to guess; dies when that is not possible.  Without such options nothing happens. */
void draft_begin(struct draft_opts *o, struct engine *e, struct dev *dev,
    const struct tokenizer *tok, struct scheduler *s);

/* To standard error: what came of it. */
void draft_tell(const struct draft_opts *o);
void draft_end(struct draft_opts *o);

#endif
