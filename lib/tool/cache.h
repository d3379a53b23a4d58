/*
 * cache - the options of a cache of keys and values, for tools that run an engine
 */
#ifndef TOOL_CACHE_H
#define TOOL_CACHE_H

#include "infer/engine.h"
#include "tool/tool.h"

struct cache_opts {
	dtype	kv;		/* --kv; NONE: not given */
};

#define CACHE_DEFAULTS { .kv = DTYPE_F16 }

extern const struct opt cache_options[];

/* For the option table: CACHE_OPTIONS(struct gen, cache). */
#define CACHE_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = cache_options }

#endif
