/*
 * cache - the options of a cache of keys and values, for tools that run an engine
 */
#ifndef TOOL_CACHE_H
#define TOOL_CACHE_H

#include "infer/engine.h"
#include "tool/tool.h"

struct cache_opts {
	dtype	kv;		/* --kv; NONE: not given */
	int64_t	window, sinks;	/* 0 and -1: not given */
	const char *kept;	/* --prompt-cache; NULL: not given */
};

#define CACHE_DEFAULTS { .kv = DTYPE_F16, .sinks = -1 }

extern const struct opt cache_options[], window_options[];

/* For the option table: CACHE_OPTIONS(struct gen, cache). */
#define CACHE_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = cache_options }

/* In the same struct, for tools that write one text: --window, --sinks, --prompt-cache. */
#define WINDOW_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = window_options }

/* Into an engine's options; always: where none was given, the largest that the model can have. */
void window_prepare(const struct cache_opts *o, const struct config *c, bool always,
    struct engine_options *eo);

/* What was kept of a sequence, or a new one; and keep it and free it.  They die of failures. */
struct seq *cache_begin(const struct cache_opts *o, struct engine *e);
void cache_end(const struct cache_opts *o, struct seq *s);

#endif
