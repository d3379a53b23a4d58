/*
 * models - options for several models with names, each with its adapters and draft
 */
#ifndef TOOL_MODELS_H
#define TOOL_MODELS_H

#include "model/adapters.h"
#include "tool/tool.h"

enum { MODELS_MAX = 16 };

struct models_opts {
	struct models_one {
		char		*name;
		const char	*path;
		bool		 vectors;	/* --embed, not -m */
		struct adapter_named adapter[ADAPTERS_MAX];
		int		 adapters;
		const char	*draft;		/* NULL: none */
	}		 one[MODELS_MAX];
	int		 n;
};

extern const struct opt models_options[];

/* For the option table: MODELS_OPTIONS(struct serve, models). */
#define MODELS_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = models_options }

void models_end(struct models_opts *o);

#endif
