/*
 * adapters - options for adapters: one put into the model, or several beside it
 */
#ifndef TOOL_ADAPTERS_H
#define TOOL_ADAPTERS_H

#include "model/adapters.h"
#include "tool/tool.h"

struct adapters_opts {
	const char	*merged;	/* --adapter DIR */
	struct adapter_named named[ADAPTERS_MAX];	/* --adapter NAME=DIR */
	int		 n;
	struct adapters	*beside;	/* its own */
};

extern const struct opt adapters_options[];

/* For the option table: ADAPTERS_OPTIONS(struct gen, adapters). */
#define ADAPTERS_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = adapters_options }

/*
 * Load a model with them, those with names where there are records to ask for
 * them; it dies of what is wrong.  End them after model_free().
 */
void adapters_load(struct adapters_opts *o, bool records, struct model *m, const char *path,
    struct dev *dev);
void adapters_end(struct adapters_opts *o);

#endif
